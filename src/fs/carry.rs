//! What comes to another directory, and what that gives to others.
//!
//! Grants above a node are its parent's, and whoever owns a directory above it may make some. So who moves what is not his
//! must not give anybody more on it, by that, than he has himself; link(2) puts up no more than that. Budget: one decision
//! for an owner; for others a walk up, never one down.

use super::engine::Engine;
use super::namespace::{ABOVE_MAX, circle};
use crate::access::decide::{Standing, weigh};
use crate::access::domain::Domain;
use crate::access::gain::gained;
use crate::access::{Chain, Ground, Right, Rights};
use crate::core::{Caller, Ino, Kind, Result, Time, error::fail};
use crate::meta::Node;
use std::collections::HashSet;
use std::sync::Arc;

/// A directory, for what lies in it: what is said from it upwards, and who owns one from it upwards.
#[derive(Clone, Default)]
pub(super) struct Spot {
    pub(super) chain: Chain,
    owners: Arc<HashSet<u32>>,
}

impl Spot {
    /// A directory in this one, of which `said` was said.
    pub(super) fn below(&self, said: Option<Arc<Domain>>, owner: u32) -> Self {
        let said = said.into_iter().chain(self.chain.iter().cloned());
        let mut owners = self.owners.clone();
        if !owners.contains(&owner) {
            Arc::make_mut(&mut owners).insert(owner);
        }
        Self {
            chain: said.collect(),
            owners,
        }
    }
}

/// Something that is carried, and what who carries it has on it.
pub(super) struct Carried<'a> {
    node: &'a Node,
    ground: &'a Ground,
    standing: Standing,
    /// Without an administrator's word.
    plain: Rights,
}

impl<'a> Carried<'a> {
    pub(super) fn of(caller: &Caller, node: &'a Node, ground: &'a Ground) -> Result<Self> {
        let standing = weigh(caller, node, ground)?;
        let plain = if caller.admin {
            standing.without_his_word(caller, node, ground)
        } else {
            standing.by_layers()
        };
        Ok(Self {
            node,
            ground,
            standing,
            plain,
        })
    }

    pub(super) fn is_own(&self) -> bool {
        self.plain.has(Right::Own)
    }

    /// Whether others would have more on it in another directory than who carries it has.
    fn gives_more(&self, from: &Spot, to: &Spot, now: Time) -> bool {
        // What lies below a directory has modes and boundaries of its own, of which grants pass the one and ownership both.
        let (held, theirs) = if self.node.is_dir() {
            let by_graph = self.standing.graph.without(self.standing.denied);
            (by_graph, Rights::ALL)
        } else {
            // As of links by fs.protected_hardlinks (proc_sys_fs(5)): who may read and write it could put a copy there.
            (self.plain, Rights::READ.and(Rights::WRITE))
        };
        let own = self.ground.own.as_deref();
        let given = gained(own, &from.chain, &to.chain, now);
        // Whether somebody owns a directory from `to` upwards, and neither the node nor a directory from `from` upwards.
        let is_new = |uid: &u32| ![0, self.node.uid].contains(uid) && !from.owners.contains(uid);
        let has_others = to.owners.iter().any(is_new);
        !held.covers(given) || has_others && !held.covers(theirs)
    }
}

impl Engine {
    /// Fails with `CrossDevice` when a directory would give others more on a node than the caller has, who brings it there
    /// from another: copying takes reading, and makes a file of his own.
    pub(super) fn may_carry(&self, caller: &Caller, node: &Node, from: Ino, to: Ino) -> Result<()> {
        if from == to {
            return Ok(());
        }
        self.may_carry_to(caller, node, from, || self.spot(to))
    }

    /// The same for a directory that need not be there yet.
    pub(super) fn may_carry_to(
        &self,
        caller: &Caller,
        node: &Node,
        from: Ino,
        to: impl FnOnce() -> Result<Spot>,
    ) -> Result<()> {
        let ground = self.ground(caller, node)?;
        let carried = Carried::of(caller, node, &ground)?;
        if carried.is_own() {
            return Ok(());
        }
        let message = "others would have more on it there than you have: copy it";
        self.may_give(caller, &carried, (&self.spot(from)?, &to()?), message)
            .map(drop)
    }

    /// Decides whether what is carried may give others more in another directory: by an administrator's word alone, which is noted;
    /// says whether it is given by that.
    pub(super) fn may_give(
        &self,
        caller: &Caller,
        carried: &Carried<'_>,
        (from, to): (&Spot, &Spot),
        refusal: &'static str,
    ) -> Result<bool> {
        if !carried.gives_more(from, to, self.latest()) {
            return Ok(false);
        }
        if !caller.admin {
            return fail(Kind::CrossDevice, refusal);
        }
        self.note_bypass(caller, carried.node, carried.ground, Right::Own)?;
        Ok(true)
    }

    /// A directory that is there.
    pub(super) fn spot(&self, dir: Ino) -> Result<Spot> {
        let (mut owners, mut at) = (HashSet::new(), dir);
        for _ in 0..ABOVE_MAX {
            if at == Ino(0) {
                return Ok(Spot {
                    chain: self.chain(dir)?,
                    owners: Arc::new(owners),
                });
            }
            let dir = self.node(at)?;
            owners.insert(dir.uid);
            at = dir.parent;
        }
        circle(dir)
    }
}
