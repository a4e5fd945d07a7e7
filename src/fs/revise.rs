//! A revision: many rows set to what somebody worked out that they should be, in one change and one operation.
//!
//! What is done must be allowed (semantics.md §6): each name takes what adding or removing it takes, each node what
//! changing it takes. What comes back inside a directory that comes back is judged by the name that brings that one, as long as
//! it is what it was when it went; what is there and comes into it, by what will be said there.

mod lost;
mod refusal;
mod reviser;
mod returning;

use self::reviser::Reviser;
use super::commit::Change;
use super::engine::Engine;
use crate::blob::Sealed;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, Time, error::fail};
use crate::meta::cache::Place;
use crate::meta::tuple::Tuple;
use crate::meta::{Entry, Member, Node, OpKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What rows are to be; what it does not speak of stays. Whoever makes one knows the present: it holds for one end of the log, and
/// for later ones as long as nothing that it was made of has changed.
#[derive(Default)]
pub struct Revision {
    /// Nodes that are not there and come back. Link counts and parents are worked out.
    pub back: Vec<Node>,
    /// Nodes that are there: mode, owner, content and times are taken over.
    pub changed: Vec<Node>,
    pub gone: Vec<Ino>,
    pub names: Vec<Naming>,
    pub xattrs: Vec<(Ino, Vec<u8>, Option<Vec<u8>>)>,
    pub grants_gone: Vec<Arc<Tuple>>,
    /// Grants that come back, where node and holder are there.
    pub grants_back: Vec<Arc<Tuple>>,
    pub members_gone: Vec<Member>,
    /// Memberships that come back, where group and member are there.
    pub members_back: Vec<Member>,
    /// When directories were last changed, as it is to look.
    pub times: Vec<(Ino, Time)>,
    /// Contents that are new.
    pub made: Vec<Sealed>,
}

/// A name, what it stands for, and what it is to stand for.
#[derive(Debug, Clone)]
pub struct Naming {
    pub place: Place,
    pub was: Option<Arc<Entry>>,
    pub to: Option<Ino>,
}

impl Revision {
    pub fn is_empty(&self) -> bool {
        let nodes = self.back.is_empty() && self.changed.is_empty() && self.gone.is_empty();
        let grants = self.grants_gone.is_empty() && self.grants_back.is_empty();
        let members = self.members_gone.is_empty() && self.members_back.is_empty();
        let others = self.names.is_empty() && self.xattrs.is_empty() && self.times.is_empty();
        nodes && grants && members && others
    }

    /// Nodes of which what is being written would be lost: those that change, and those that lose a name.
    fn touched(&self) -> impl Iterator<Item = Ino> {
        let changed = self.changed.iter().map(|node| node.ino);
        let named = self.names.iter().filter_map(|naming| naming.was.as_ref());
        let named = named.map(|entry| entry.ino);
        changed.chain(self.gone.iter().copied()).chain(named)
    }
}

/// How the log is to have it.
#[derive(Debug, Clone)]
pub struct Title {
    pub kind: OpKind,
    pub path: FsPath,
    /// What reverses it, beside the rows it ends.
    pub undo: serde_json::Value,
}

impl Engine {
    /// Makes a revision in one operation; there is none where all is so already. `finish` is asked while nobody else changes
    /// anything, so all writers wait for it: it sees to it that the revision holds for the present, changes nothing but that, and
    /// says how the log is to have it. Fails with `Conflict` where the revision does not fit the present.
    pub fn revise(
        &self,
        caller: &Caller,
        what: &mut Revision,
        finish: impl FnOnce(&mut Revision) -> Result<Title>,
    ) -> Result<Option<Op>> {
        let mut is_written = false;
        let made = self.change(caller, |ch| {
            let title = finish(what)?;
            let op = self.make(ch, what, &title)?;
            is_written = what.touched().any(|ino| self.files.pending(ino).is_some());
            if is_written {
                return fail(Kind::Conflict, "somebody is writing there");
            }
            Ok(op)
        });
        if is_written {
            // What somebody is writing becomes a version first.
            self.seal_pending(what.touched())?;
        }
        let op = made?;
        self.refresh(what)?;
        Ok(op)
    }

    /// Asks every permission that a revision takes, for a caller who asked for `path`, and leaves nothing. Nobody waits for it: where
    /// others change meanwhile what it is about, it may fail with `Conflict` or `NotFound`, or not notice.
    pub fn rehearse(&self, caller: &Caller, what: &Revision, path: &FsPath) -> Result<()> {
        self.try_change(&rehearsing(caller), |ch| Reviser::new(ch, what, path).run())
    }

    /// The nodes that a caller may not make what a revision says, beside which the rest of it might be made. Nobody waits for it, and
    /// it leaves nothing.
    pub fn refused(
        &self,
        caller: &Caller,
        what: &Revision,
        path: &FsPath,
    ) -> Result<BTreeSet<Ino>> {
        let mut found = BTreeSet::new();
        self.try_change(&rehearsing(caller), |ch| {
            let mut reviser = Reviser::new(ch, what, path);
            reviser.refusals = Some(BTreeSet::new());
            reviser.run()?;
            found = reviser.refusals.take().unwrap_or_default();
            Ok(())
        })?;
        Ok(found)
    }

    fn make(&self, ch: &mut Change<'_>, what: &Revision, title: &Title) -> Result<Option<Op>> {
        Reviser::new(ch, what, &title.path).run()?;
        if ch.is_nothing() {
            return Ok(None);
        }
        let (op, root) = (ch.op(), self.root(ch.caller)?);
        ch.relocated = true;
        ch.record(title.kind, root, &title.path, None, &title.undo);
        Ok(Some(op))
    }

    /// Files that are open go on from what they are now.
    fn refresh(&self, what: &Revision) -> Result<()> {
        for node in what.changed.iter().chain(&what.back) {
            match self.node(node.ino) {
                Ok(node) => self.files.refresh(&node),
                // It has lost its last name.
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn rehearsing(caller: &Caller) -> Caller {
    Caller {
        rehearses: true,
        ..caller.clone()
    }
}
