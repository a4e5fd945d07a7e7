//! What comes to another directory, and what that gives to others.
//!
//! Grants above a node are its parent's, and whoever owns a directory above it may make some. So who moves what is not his
//! must not give anybody more on it, by that, than he has himself; link(2) puts up no more than that. Budget: one decision
//! for an owner; for others a walk up, never one down.

use super::engine::Engine;
use super::namespace::{ABOVE_MAX, circle};
use crate::access::decide::weigh;
use crate::access::gain::gained;
use crate::access::{Chain, Right, Rights};
use crate::core::{Caller, Ino, Kind, Result, error::fail};
use crate::meta::Node;
use std::collections::HashSet;

impl Engine {
    /// Fails with `CrossDevice` when a directory would give others more on a node than the caller has, who brings it there
    /// from another: copying takes reading, and makes a file of his own.
    pub(super) fn may_carry(&self, caller: &Caller, node: &Node, from: Ino, to: Ino) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let goal = (|| self.chain(to), || self.owners(to));
        self.may_carry_to(caller, node, from, goal)
    }

    /// The same for a directory that need not be there yet: what is said from it upwards, and who owns one from it upwards.
    pub(super) fn may_carry_to(
        &self,
        caller: &Caller,
        node: &Node,
        from: Ino,
        (chain, owners): (
            impl FnOnce() -> Result<Chain>,
            impl FnOnce() -> Result<HashSet<u32>>,
        ),
    ) -> Result<()> {
        let ground = self.ground(caller, node)?;
        let standing = weigh(caller, node, &ground)?;
        let plain = if caller.admin {
            standing.without_his_word(caller, node, &ground)
        } else {
            standing.by_layers()
        };
        if plain.has(Right::Own) {
            return Ok(());
        }
        // What lies below a directory has modes and boundaries of its own, of which grants pass the one and ownership both.
        let (held, theirs) = if node.is_dir() {
            (standing.graph.without(standing.denied), Rights::ALL)
        } else {
            // As of links by fs.protected_hardlinks (proc_sys_fs(5)): who may read and write it could put a copy there.
            (plain, Rights::READ.and(Rights::WRITE))
        };
        let own = ground.own.as_deref();
        let given = gained(own, &self.chain(from)?, &chain()?, self.latest());
        let others_above = || self.has_others_above(node, from, &owners()?);
        if held.covers(given) && (held.covers(theirs) || !others_above()?) {
            return Ok(());
        }
        if caller.admin {
            return self.may(caller, node, Right::Own);
        }
        fail(
            Kind::CrossDevice,
            "others would have more on it there than you have: copy it",
        )
    }

    /// Whether one of these owns neither the node nor a directory from `from` upwards.
    fn has_others_above(&self, node: &Node, from: Ino, owners: &HashSet<u32>) -> Result<bool> {
        let mut before = self.owners(from)?;
        before.extend([0, node.uid]);
        Ok(!owners.is_subset(&before))
    }

    /// Who owns a directory from one upwards.
    pub(super) fn owners(&self, dir: Ino) -> Result<HashSet<u32>> {
        let (mut all, mut at) = (HashSet::new(), dir);
        for _ in 0..ABOVE_MAX {
            if at == Ino(0) {
                return Ok(all);
            }
            let dir = self.node(at)?;
            all.insert(dir.uid);
            at = dir.parent;
        }
        circle(dir)
    }
}
