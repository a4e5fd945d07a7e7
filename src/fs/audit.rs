//! What only an administrator's word allowed, and what was refused as only an administrator's: both are in the log.
//!
//! An access is noted where it is judged, which may be in the midst of a change, and written down as an operation of its
//! own right afterwards: at the end of a command, or by the next housekeeping. The same access of the same caller is
//! written once a session and hour, so that who walks a tree again does not fill the log. Nor does who walks one of others for the
//! first time: of what he reads in a directory the first is told by name, and with the second the directory, for all that is
//! in it. What he changes is told one by one, as the changes are.

use super::engine::Engine;
use crate::access::decide::{Standing, weigh};
use crate::access::{Ground, Right};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result, TenantId};
use crate::meta::{Node, OpKind, Request};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde_json::json;
use std::sync::Arc;

/// How many accesses are remembered as written.
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

/// Who did that, and in which hour: an access that is written once.
type Access = (u32, Option<Arc<str>>, Did, Hour);

/// Hours since 1970.
type Hour = i64;

const HOUR: i64 = 3_600_000_000_000;

/// An access as it was when it was noted.
struct Bypass {
    caller: Caller,
    ino: Ino,
    path: FsPath,
    what: &'static str,
}

/// Whose command was refused: tenant, number, session and the command; and when.
type Refusal = (Option<TenantId>, u32, Option<Arc<str>>, Box<str>, Hour);

/// Accesses that are not written down yet, and what was written down.
pub(super) struct Audit {
    waiting: Mutex<Vec<Bypass>>,
    written: Cache<Access, ()>,
    refused: Cache<Refusal, ()>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            written: Cache::new(REMEMBERED),
            refused: Cache::new(REMEMBERED),
        }
    }
}

impl Engine {
    fn hour(&self) -> Hour {
        self.clock.now().0 / HOUR
    }

    fn is_written(&self, caller: &Caller, did: Did) -> bool {
        let access = (caller.uid, caller.session.clone(), did, self.hour());
        self.audit.written.get(&access).is_some()
    }

    /// Remembers an access as written; says whether it was not.
    fn is_new(&self, caller: &Caller, did: Did) -> bool {
        let access = (caller.uid, caller.session.clone(), did, self.hour());
        let is_new = self.audit.written.get(&access).is_none();
        if is_new {
            self.audit.written.insert(access, ());
        }
        is_new
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
        if self.is_new(caller, Did::To(node.ino, right)) {
            self.note(caller, node.ino, right.word());
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
        if self.is_new(caller, Did::ReadOneIn(dir)) {
            self.is_new(caller, to_this);
            self.note(caller, node.ino, Right::Read.word());
        } else if self.is_new(caller, Did::ReadWithin(dir)) {
            self.note(caller, dir, READ_WITHIN);
        }
        Ok(())
    }

    fn note(&self, caller: &Caller, ino: Ino, what: &'static str) {
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
        };
        self.audit.waiting.lock().push(bypass);
    }

    /// Writes down what administrators did by their word alone.
    pub fn write_bypasses(&self) -> Result<()> {
        let mut waiting = std::mem::take(&mut *self.audit.waiting.lock());
        while let Some(bypass) = waiting.pop() {
            let written = self.change(&bypass.caller, |ch| {
                let undo = json!({ "note": bypass.what });
                ch.record(OpKind::Bypass, bypass.ino, &bypass.path, None, &undo);
                Ok(())
            });
            // With a tenant went its log.
            if let Err(e) = written
                && self.tenants.lives(bypass.caller.tenant).is_ok()
            {
                waiting.push(bypass);
                self.audit.waiting.lock().append(&mut waiting);
                return Err(e);
            }
        }
        Ok(())
    }

    /// Writes down that a command, and what it asked for, was refused to somebody because it is not his to give; once a session
    /// and hour, so that who asks again and again does not fill the log.
    pub fn write_refusal(
        &self,
        caller: &Caller,
        (command, asked): (&str, &Request),
        why: &Error,
    ) -> Result<()> {
        if why.kind() != Kind::NotPermitted || caller.tenant.is_none() {
            return Ok(());
        }
        let session = caller.session.clone();
        let said = json!([command, asked]).to_string();
        let refusal = (caller.tenant, caller.uid, session, said.into(), self.hour());
        if self.audit.refused.get(&refusal).is_some() {
            return Ok(());
        }
        let root = self.root(caller)?;
        self.change(caller, |ch| {
            let undo = json!({ "subject": command, "note": why.message(), "asked": asked });
            ch.record(OpKind::Refused, root, &FsPath::default(), None, &undo);
            Ok(())
        })?;
        self.audit.refused.insert(refusal, ());
        Ok(())
    }
}
