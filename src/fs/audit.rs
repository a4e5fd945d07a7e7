//! What only an administrator's word allowed, and what was refused as only an administrator's: both are in the log.
//!
//! An access is noted where it is judged, which may be in the midst of a change, and written down as an operation of its
//! own right afterwards: at the end of a command, or by the next housekeeping. The same access of the same caller is
//! written once a session and hour, so that who walks a tree again does not fill the log. Nor does who walks one of others for the
//! first time: of what he reads in a directory the first is told by name, and with the second the directory, for all that is
//! in it. What he changes is told one by one, as the changes are.
//!
//! What is done again within the hour is counted, and one more record says how often and when last: after the hour, when what
//! is remembered has to make room, or when the store is closed.

mod again;
mod refusal;
mod tally;

use self::refusal::Refusals;
use self::tally::{Tally, Told};
use super::engine::Engine;
use crate::access::decide::{Standing, weigh};
use crate::access::{Ground, Right};
use crate::core::{Caller, FsPath, Ino, Result};
use crate::meta::{Node, OpKind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many accesses are remembered as written, and how many refusals.
const REMEMBERED: usize = 16_384;

/// What the record of a whole directory says.
const READ_WITHIN: &str = "read what is in it";

/// What somebody did to what.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Did {
    To(Ino, Right),
    /// Read something in a directory.
    ReadOneIn(Ino),
    /// Read more than that: what else he reads there is told.
    ReadWithin(Ino),
}

/// Who did that, in which session: an access that is written once an hour.
type Access = (u32, Option<Arc<str>>, Did);

/// An access as it was when it was noted.
struct Bypass {
    caller: Caller,
    ino: Ino,
    path: FsPath,
    what: &'static str,
    told: Arc<Told>,
}

/// Accesses that are not written down yet, and what was written down.
pub(super) struct Audit {
    waiting: Mutex<Vec<Bypass>>,
    written: Tally<Access>,
    refused: Refusals,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            written: Tally::of(REMEMBERED),
            refused: Refusals::default(),
        }
    }
}

impl Engine {
    /// Counts an access that is written already; says whether it is.
    fn is_written(&self, caller: &Caller, did: Did) -> bool {
        let access = (caller.uid, caller.session.clone(), did);
        self.audit.written.again(access, self.clock.now())
    }

    /// Remembers an access as written; says whether it was not, and counts it if it was.
    fn begins(&self, caller: &Caller, did: Did) -> Option<Arc<Told>> {
        let access = (caller.uid, caller.session.clone(), did);
        self.audit.written.begin(access, self.clock.now())
    }

    /// Notes that an administrator is allowed what no other layer allows him; not a change that he only tries. To search a
    /// directory is to read in it: what is there may be open to all.
    pub(super) fn note_bypass(
        &self,
        caller: &Caller,
        node: &Node,
        ground: &Ground,
        right: Right,
    ) -> Result<()> {
        if !caller.admin {
            return Ok(());
        }
        let standing = weigh(caller, node, ground)?;
        self.note_standing(caller, (node, ground), right, standing)
    }

    /// The same where it is known what each layer says.
    pub(super) fn note_standing(
        &self,
        caller: &Caller,
        (node, ground): (&Node, &Ground),
        right: Right,
        standing: Standing,
    ) -> Result<()> {
        if !caller.admin || standing.without_his_word(caller, node, ground).has(right) {
            return Ok(());
        }
        if right == Right::Read || right == Right::Execute && node.is_dir() {
            return self.note_read(caller, node);
        }
        if !caller.rehearses {
            self.note_one(caller, node, right);
        }
        Ok(())
    }

    /// Notes that an administrator takes a node out of a directory by his word alone: it may be the directory that is not
    /// his to change, or, where that is sticky, the node.
    pub(super) fn note_taking(
        &self,
        caller: &Caller,
        (dir, in_dir): (&Node, &Ground),
        (node, on_node): (&Node, &Ground),
    ) -> Result<()> {
        if !caller.admin || caller.rehearses {
            return Ok(());
        }
        let standing = weigh(caller, node, on_node)?;
        let granted = standing.graph.without(standing.denied);
        let there = weigh(caller, dir, in_dir)?.without_his_word(caller, dir, in_dir);
        if !granted.and(there).has(Right::Write) {
            self.note_one(caller, dir, Right::Write);
        }
        let is_sticky = dir.mode & 0o1000 != 0;
        let own = || standing.without_his_word(caller, node, on_node).and(there);
        if is_sticky && !own().has(Right::Own) {
            self.note_one(caller, node, Right::Own);
        }
        Ok(())
    }

    fn note_one(&self, caller: &Caller, node: &Node, right: Right) {
        let did = Did::To(node.ino, right);
        if self.is_written(caller, did) {
            return;
        }
        if let Some(told) = self.begins(caller, did) {
            self.note(caller, node.ino, right.word(), told);
        }
    }

    fn note_read(&self, caller: &Caller, node: &Node) -> Result<()> {
        // A root is in no directory, and what has no name any more in none by which it could be told.
        let Some(dir) = self.parent(node)? else {
            self.note_one(caller, node, Right::Read);
            return Ok(());
        };
        let to_this = Did::To(node.ino, Right::Read);
        if self.is_written(caller, Did::ReadWithin(dir)) || self.is_written(caller, to_this) {
            return Ok(());
        }
        if self.begins(caller, Did::ReadOneIn(dir)).is_some() {
            if let Some(told) = self.begins(caller, to_this) {
                self.note(caller, node.ino, Right::Read.word(), told);
            }
        } else if let Some(told) = self.begins(caller, Did::ReadWithin(dir)) {
            self.note(caller, dir, READ_WITHIN, told);
        }
        Ok(())
    }

    fn note(&self, caller: &Caller, ino: Ino, what: &'static str, told: Arc<Told>) {
        // By the time it is written down, the process may be gone and the node without a name.
        let author = self.author(caller);
        let caller = Caller {
            pid: author.pid,
            comm: Some(author.comm.into()),
            ..caller.clone()
        };
        let path = self.path_of(ino).unwrap_or_default();
        let bypass = Bypass {
            caller,
            ino,
            path,
            what,
            told,
        };
        self.audit.waiting.lock().push(bypass);
    }

    /// Writes down what administrators did by their word alone.
    pub fn write_bypasses(&self) -> Result<()> {
        let mut waiting = std::mem::take(&mut *self.audit.waiting.lock());
        while let Some(bypass) = waiting.pop() {
            let undo = json!({ "note": bypass.what });
            let (kind, at) = (OpKind::Bypass, (bypass.ino, &bypass.path));
            if let Err(e) = self.tell_first(&bypass.caller, kind, at, &undo, &bypass.told)
                // With a tenant went its log.
                && self.tenants.lives(bypass.caller.tenant).is_ok()
            {
                waiting.push(bypass);
                self.audit.waiting.lock().append(&mut waiting);
                return Err(e);
            }
        }
        Ok(())
    }

    /// Writes the record of what is told for the first time in an hour.
    fn tell_first(
        &self,
        caller: &Caller,
        kind: OpKind,
        (ino, path): (Ino, &FsPath),
        undo: &Value,
        told: &Told,
    ) -> Result<()> {
        let op = self.change(caller, |ch| {
            let op = ch.op();
            ch.record(kind, ino, path, None, undo);
            Ok(op)
        })?;
        if let Some(tenant) = caller.tenant {
            told.by(tenant, op);
        }
        Ok(())
    }
}
