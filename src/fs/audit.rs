//! What only an administrator's word allowed, and what was refused as only an administrator's: both are in the log.
//!
//! An access is noted where it is judged, which may be in the midst of a change, and written down as an operation of its
//! own right afterwards: at the end of a command, or by the next housekeeping. The same access of the same caller is
//! written once a session, so that who walks a tree again does not fill the log.

use super::engine::Engine;
use crate::access::decide::{weigh, without_his_word};
use crate::access::{Ground, Right};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result, TenantId};
use crate::meta::{Node, OpKind, Request};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde_json::json;
use std::sync::Arc;

/// How many accesses are remembered as written.
const REMEMBERED: usize = 16_384;

/// Who did what to what: an access that is written once.
type Access = (u32, Option<Arc<str>>, Ino, Right);

/// An access as it was when it was noted.
struct Bypass {
    caller: Caller,
    ino: Ino,
    path: FsPath,
    right: Right,
}

/// Whose command was refused: tenant, number, session and the command.
type Refusal = (Option<TenantId>, u32, Option<Arc<str>>, Box<str>);

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
    /// Notes that an administrator is allowed what no other layer allows him. Searching a directory is not noted: what is
    /// then done in it is.
    pub(super) fn note_bypass(
        &self,
        caller: &Caller,
        node: &Node,
        ground: &Ground,
        right: Right,
    ) -> Result<()> {
        if !caller.admin || right == Right::Execute {
            return Ok(());
        }
        if !without_his_word(caller, node, ground)?.has(right) {
            self.note(caller, node, right);
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
        if !caller.admin {
            return Ok(());
        }
        let standing = weigh(caller, node, on_node)?;
        let granted = standing.graph.without(standing.denied);
        let there = without_his_word(caller, dir, in_dir)?;
        if !granted.and(there).has(Right::Write) {
            self.note(caller, dir, Right::Write);
        }
        let is_sticky = dir.mode & 0o1000 != 0;
        let own = without_his_word(caller, node, on_node)?.and(there);
        if is_sticky && !own.has(Right::Own) {
            self.note(caller, node, Right::Own);
        }
        Ok(())
    }

    fn note(&self, caller: &Caller, node: &Node, right: Right) {
        let access = (caller.uid, caller.session.clone(), node.ino, right);
        if self.audit.written.get(&access).is_some() {
            return;
        }
        self.audit.written.insert(access, ());
        // By the time it is written down, the process may be gone and the node without a name.
        let author = self.author(caller);
        let caller = Caller {
            pid: author.pid,
            comm: Some(author.comm.into()),
            ..caller.clone()
        };
        let path = self.path_of(node.ino).unwrap_or_default();
        let bypass = Bypass {
            caller,
            ino: node.ino,
            path,
            right,
        };
        self.audit.waiting.lock().push(bypass);
    }

    /// Writes down what administrators did by their word alone.
    pub fn write_bypasses(&self) -> Result<()> {
        let mut waiting = std::mem::take(&mut *self.audit.waiting.lock());
        while let Some(bypass) = waiting.pop() {
            let written = self.change(&bypass.caller, |ch| {
                let undo = json!({ "note": bypass.right.word() });
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

    /// Writes down that a command, and what it asked for, was refused to somebody because it is not his to give; once a session,
    /// so that who asks again and again does not fill the log.
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
        let refusal = (caller.tenant, caller.uid, session, said.into());
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
