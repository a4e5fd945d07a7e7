//! What the judge needs to know about a node, gathered: every question of the engine goes through here.

use super::engine::Engine;
use super::policy::TRIES;
use crate::access::decide::{Standing, decide_chown, decide_remove, weigh};
use crate::access::{Chain, Ground, Right, decide};
use crate::core::{Caller, Error, Ino, Kind, Result, Time, error::fail};
use crate::meta::Node;
use crate::meta::cache::Place;
use std::sync::Arc;

impl Engine {
    /// Decides whether `caller` has `right` on a node (see [`decide`]).
    pub(super) fn may(&self, caller: &Caller, node: &Node, right: Right) -> Result<()> {
        let ground = self.ground(caller, node)?;
        self.note_bypass(caller, node, &ground, right)?;
        decide(caller, node, &ground, right)
    }

    /// What each layer says of a caller and a node.
    pub(super) fn standing(&self, caller: &Caller, node: &Node) -> Result<Standing> {
        weigh(caller, node, &self.ground(caller, node)?)
    }

    /// Decides whether `caller` may take `node` out of `dir`.
    pub(super) fn may_take(&self, caller: &Caller, dir: &Node, node: &Node) -> Result<()> {
        let grounds = (self.ground(caller, dir)?, self.ground(caller, node)?);
        self.note_taking(caller, (dir, &grounds.0), (node, &grounds.1))?;
        decide_remove(caller, (dir, &grounds.0), (node, &grounds.1))
    }

    /// Decides a change of owner or group.
    pub(super) fn may_chown(
        &self,
        caller: &Caller,
        node: &Node,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> Result<()> {
        let ground = self.ground(caller, node)?;
        self.note_bypass(caller, node, &ground, Right::Own)?;
        decide_chown(caller, node, &ground, uid, gid)
    }

    /// What was said about a node and what lies above it. Costs nothing where nothing was said at all.
    #[inline]
    pub(super) fn ground(&self, caller: &Caller, node: &Node) -> Result<Ground> {
        self.tenants.lives(caller.tenant)?;
        if self.policy.is_empty() || caller.tenant != Some(node.tenant) {
            return Ok(Ground::default());
        }
        for _ in 0..TRIES {
            let before = self.policy.revision();
            let (above, beside) = self.above(node)?;
            let ground = Ground {
                own: self.policy.domain(node.ino),
                above,
                beside,
                who: self.reached_by(caller)?,
                now: self.moment(),
            };
            // Else the parts may be of different moments, and together allow what no moment did.
            if self.policy.revision() == before {
                return Ok(ground);
            }
        }
        fail(
            Kind::Conflict,
            "permissions change faster than they can be read",
        )
    }

    /// The same for what lies in a directory, of whatever was said about itself.
    pub(super) fn ground_in(&self, caller: &Caller, dir: &Node) -> Result<Ground> {
        self.tenants.lives(caller.tenant)?;
        if self.policy.is_empty() || caller.tenant != Some(dir.tenant) {
            return Ok(Ground::default());
        }
        Ok(Ground {
            own: None,
            above: self.chain(dir.ino)?,
            beside: Vec::new(),
            who: self.reached_by(caller)?,
            now: self.moment(),
        })
    }

    /// The time for a decision; any will do while no grant ends by itself.
    fn moment(&self) -> Time {
        if self.policy.any_ends() {
            self.latest()
        } else {
            Time::default()
        }
    }

    /// What lies above a node by one of its names, and by the others.
    fn above(&self, node: &Node) -> Result<(Chain, Vec<Chain>)> {
        if has_names(node) {
            let mut all = self.chains(node)?;
            return Ok((all.pop().unwrap_or_default(), all));
        }
        let chain = self.parent(node)?.map(|dir| self.chain(dir));
        Ok((chain.transpose()?.unwrap_or_default(), Vec::new()))
    }

    /// What lies above a node, by each of its names; nothing for one that has a single name.
    pub(super) fn beside(&self, node: &Node) -> Result<Vec<Chain>> {
        if has_names(node) {
            self.chains(node)
        } else {
            Ok(Vec::new())
        }
    }

    fn chains(&self, node: &Node) -> Result<Vec<Chain>> {
        self.chains_of(&self.parents(node)?)
    }

    /// What lies above a node with names in some directories, by each of them.
    pub(super) fn chains_of(&self, dirs: &[Ino]) -> Result<Vec<Chain>> {
        dirs.iter().map(|dir| self.chain(*dir)).collect()
    }

    /// Whether anything was said about a node, or above it.
    pub(super) fn is_spoken_of(&self, node: &Node) -> Result<bool> {
        for dir in self.parents(node)? {
            if !self.chain(dir)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(self.policy.domain(node.ino).is_some())
    }

    /// Whether who may use a node depends on all of its names.
    pub(super) fn is_torn(&self, node: &Node) -> Result<bool> {
        let all = self.beside(node)?;
        Ok(all.windows(2).any(|two| !two[0].is_same(&two[1])))
    }

    /// Whether a kernel that keeps one name of a node would keep what another decides.
    pub fn depends_on_names(&self, node: &Node) -> bool {
        has_names(node) && !self.policy.is_empty()
    }

    /// Fails with `CrossDevice` when a node with several names would have names in different domains: who may use it would
    /// depend on them all, of which most people see one.
    pub(super) fn stays(&self, node: &Node, from: Ino, to: Ino) -> Result<()> {
        if has_names(node) {
            return self.one_domain(from, to);
        }
        Ok(())
    }

    /// Fails with `CrossDevice` unless the same was said about two directories and what lies above them.
    pub(super) fn one_domain(&self, one: Ino, other: Ino) -> Result<()> {
        if self.chain(one)?.is_same(&self.chain(other)?) {
            return Ok(());
        }
        fail(
            Kind::CrossDevice,
            "a file has names only where the same was granted: copy it",
        )
    }

    /// The directories that a node is in.
    pub(super) fn parents(&self, node: &Node) -> Result<Vec<Ino>> {
        if has_names(node) {
            let all = self.places(node)?;
            return Ok(all.iter().map(|place| place.parent).collect());
        }
        Ok(self.parent(node)?.into_iter().collect())
    }

    /// Every place where a node has a name.
    pub(super) fn places(&self, node: &Node) -> Result<Vec<Arc<Place>>> {
        if !has_names(node) {
            return Ok(self.place(node.ino)?.into_iter().collect());
        }
        let names = self.store.names_of(node.ino, node.nlink)?;
        let place = |entry: &Arc<crate::meta::Entry>| {
            Arc::new(Place {
                parent: entry.parent,
                name: entry.name.clone(),
            })
        };
        Ok(names.iter().map(place).collect())
    }

    /// The directory that a node is in, one of them; `None` for a root and for what has no name any more.
    pub(super) fn parent(&self, node: &Node) -> Result<Option<Ino>> {
        if !node.is_dir() && node.nlink == 0 {
            return Ok(None);
        }
        if node.is_dir() || node.parent != Ino(0) {
            return Ok(Some(node.parent).filter(|up| *up != Ino(0)));
        }
        Ok(self.place(node.ino)?.map(|place| place.parent))
    }
}

/// Whether a node has several names.
#[inline]
pub(super) fn has_names(node: &Node) -> bool {
    !node.is_dir() && node.nlink > 1
}

/// The directory that a node is in, where the node itself says so: it has one name.
pub(super) fn only_parent(node: &Node) -> Option<Ino> {
    Some(node.parent).filter(|dir| *dir != Ino(0) && !has_names(node))
}

/// Turns "not allowed" into yes or no and leaves what went wrong an error.
pub(super) fn allowed(decision: Result<()>) -> Result<bool> {
    allowed_to(decision).map(|yes| yes.is_some())
}

/// The same of something that is found only by who may.
pub(super) fn allowed_to<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if is_refusal(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether an error says "not allowed", and not that something went wrong.
pub(super) fn is_refusal(e: &Error) -> bool {
    matches!(e.kind(), Kind::Denied | Kind::NotPermitted | Kind::NotFound)
}
