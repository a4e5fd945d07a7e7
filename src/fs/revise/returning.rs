//! What comes back, and what comes into something that comes back: judged as if nothing had gone, and who brings it back did at
//! once all that makes it another than it was when it went.
//!
//! So nobody gets rights by that that he could not have given himself. What comes back as it went, where it went from, takes no
//! more than the names do.

use super::lost::said;
use super::reviser::Reviser;
use crate::access::Right;
use crate::core::{Caller, Error, Ino, Kind, Op, Result};
use crate::fs::carry::Spot;
use crate::fs::ground::allowed;
use crate::fs::privileges::is_protected;
use crate::fs::xattr::prefix;
use crate::meta::tuple::Tuple;
use crate::meta::{Last, Node, timeline};
use std::collections::BTreeMap;

impl Reviser<'_, '_, '_> {
    /// The mode that a node comes back with; fails where it would be another than it was, which the caller could not make of it.
    pub(super) fn may_return(&mut self, to: &Node) -> Result<u32> {
        let caller = self.ch.caller;
        let last = self.lost.last(to.ino);
        let (gone, engine) = (&mut self.lost, self.engine);
        let may_set = || match &last {
            Some(last) => allowed(gone.may(caller, last, Right::Own)),
            None => Ok(false),
        };
        let mode = engine.mode_of_returning(to, last.as_deref(), may_set)?;
        let Some(last) = last else { return Ok(mode) };
        let to = Node { mode, ..to.clone() };
        self.may_differ(&last, &to)
            .map_err(|e| self.refused(to.ino, e))?;
        Ok(mode)
    }

    fn may_differ(&mut self, last: &Last, to: &Node) -> Result<()> {
        let (was, caller) = (&last.node, self.ch.caller);
        if (was.uid, was.gid) != (to.uid, to.gid) {
            self.lost.may_chown(caller, last, to)?;
        }
        for right in self.takes(last, to) {
            let may = self.lost.may(caller, last, right);
            // An owner lets himself.
            may.or_else(|e| self.lost.may(caller, last, Right::Own).map_err(|_| e))?;
        }
        Ok(())
    }

    /// What making of a node that went another one takes.
    fn takes(&self, last: &Last, to: &Node) -> Vec<Right> {
        let was = &last.node;
        // Set-id bits that go take no more than what takes them away.
        let stripped = if to.is_dir() { 0 } else { 0o6000 & !to.mode };
        let mut rights = Vec::new();
        if (was.mode ^ to.mode) & !stripped != 0 {
            rights.push(Right::Own);
        }
        // A directory's time follows from its names.
        let is_moved = was.mtime != to.mtime && !to.is_dir();
        if is_moved || (&was.content, was.size) != (&to.content, to.size) {
            rights.push(Right::Write);
        }
        let before: BTreeMap<_, _> = last.xattrs.iter().map(|x| (&*x.name, &*x.value)).collect();
        let after: BTreeMap<_, _> = self.xattrs_of(to.ino).collect();
        for name in before.keys().chain(after.keys()) {
            if before.get(name) == after.get(name) || is_protected(name) {
                continue;
            }
            rights.push(match prefix(name) {
                b"user" => Right::Write,
                _ => Right::Own,
            });
        }
        rights
    }

    /// Whether a grant on a node that comes back may come, too: it went with that, or its grants are the caller's to change.
    pub(super) fn may_return_grant(&mut self, ino: Ino, tuple: &Tuple) -> Result<()> {
        let caller = self.ch.caller;
        let Some(last) = self.lost.last(ino) else {
            return Ok(());
        };
        if self.lost.had_grant(&last, tuple)? {
            return Ok(());
        }
        let may = self.lost.may(caller, &last, Right::Own);
        may.map_err(|e| self.refused(ino, e))
    }

    /// Asks whether what comes back may come to other directories than it went from, and what is there to one that comes back.
    pub(super) fn may_arrive(&mut self) -> Result<()> {
        let what = self.what;
        for naming in &what.names {
            let (dir, Some(ino)) = (naming.place.parent, naming.to) else {
                continue;
            };
            let is_back = self.new.contains_key(&ino);
            let may = if is_back {
                self.may_land(ino, dir)
            } else if self.new.contains_key(&dir) {
                self.may_enter(ino, dir)
            } else {
                continue;
            };
            let may = may.map_err(|e| {
                let last = self.lost.last(ino);
                let said = if last.is_some_and(|last| last.name.parent == dir) {
                    "it went from a sticky directory, and neither that nor it is yours"
                } else {
                    "it went from another directory, out of which it was not yours to take"
                };
                if is_back {
                    self.told_anew(ino, e, said)
                } else {
                    e.context(self.told(ino))
                }
            });
            self.judged([ino], may)?;
        }
        Ok(())
    }

    /// Asks of a node that comes back.
    fn may_land(&mut self, ino: Ino, dir: Ino) -> Result<()> {
        let Some(last) = self.lost.last(ino) else {
            return Ok(());
        };
        if last.name.parent == dir {
            return self.lost.may_name_again(self.ch.caller, &last);
        }
        if self.was_in_both(&last, dir)? {
            return Ok(());
        }
        let to = self.goal(dir)?;
        self.lost.may_carry(self.ch.caller, &last, || Ok(to))
    }

    /// Asks of a node that is there.
    fn may_enter(&mut self, ino: Ino, dir: Ino) -> Result<()> {
        let (engine, caller): (_, &Caller) = (self.engine, self.ch.caller);
        let (node, to) = (engine.node(ino)?, self.goal(dir)?);
        for from in engine.parents(&node)? {
            engine.may_carry_to(caller, &node, from, || Ok(to.clone()))?;
            if node.is_dir() {
                engine.may(caller, &node, Right::Write)?;
            }
        }
        Ok(())
    }

    /// Whether a file that was in several directories was in this one, too, was the same until it went, and comes back to the
    /// last as well: nothing was hidden by taking that name away.
    fn was_in_both(&self, last: &Last, dir: Ino) -> Result<bool> {
        let ino = last.node.ino;
        let mut names = self.what.names.iter().filter(|n| n.to == Some(ino));
        if last.node.is_dir() || !names.any(|n| n.place.parent == last.name.parent) {
            return Ok(false);
        }
        let mut tx = self.engine.store.read()?;
        let spells = timeline::names(&mut *tx, &[ino], Op(0))?;
        let here = spells.iter().filter(|s| s.state.parent == dir);
        let Some(ended) = here.filter_map(|s| s.ended).max() else {
            return Ok(false);
        };
        let since = |began: Op| began >= ended;
        let moved = spells.iter().any(|s| since(s.state.began));
        let changed = since(last.node.began) || last.xattrs.iter().any(|x| since(x.began));
        Ok(!moved && !changed)
    }

    /// What a directory will be to what lies in it, which may come back itself.
    fn goal(&mut self, dir: Ino) -> Result<Spot> {
        if let Some(known) = self.goals.get(&dir) {
            return Ok(known.clone());
        }
        let (mut line, mut at) = (Vec::new(), dir);
        // None of them is in itself: there are no more than come back.
        while let Some(node) = self.new.get(&at).filter(|_| line.len() < self.new.len()) {
            line.push(*node);
            at = self.parents.get(&at).copied().unwrap_or_default();
        }
        let mut spot = self.engine.spot(at)?;
        for node in line.into_iter().rev() {
            let granted = self.what.grants_back.iter();
            let domain = said(node.ino, self.xattrs_of(node.ino), granted)?;
            spot = spot.below(domain, node.uid);
        }
        self.goals.insert(dir, spot.clone());
        Ok(spot)
    }

    /// The attributes that a node which comes back will have.
    fn xattrs_of(&self, ino: Ino) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.given.get(&ino).into_iter().flatten().copied()
    }

    fn refused(&self, ino: Ino, e: Error) -> Error {
        let said = "what was changed of it before it went is not yours to undo: it comes back as it was then, by undoing its \
                    removal alone";
        self.told_anew(ino, e, said)
    }

    fn told_anew(&self, ino: Ino, e: Error, said: &'static str) -> Error {
        let e = match e.kind() {
            Kind::NotPermitted | Kind::Denied => Error::new(e.kind(), said).caused_by(e),
            _ => e,
        };
        e.context(self.told(ino))
    }
}
