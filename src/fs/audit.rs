//! What only an administrator's word allowed, and what was refused as only an administrator's: both are in the log.
//!
//! An access is noted where it is judged, which may be in the midst of a change, and written down as an operation of its
//! own right afterwards: at the end of a command, or by the next housekeeping. The same access of the same caller is
//! written once a session, so that who walks a tree again does not fill the log.

use super::engine::Engine;
use crate::access::decide::weigh;
use crate::access::{Ground, Right};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result};
use crate::meta::{Node, OpKind, Request};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde_json::json;
use std::sync::Arc;

/// How many accesses are remembered as written.
const REMEMBERED: usize = 16_384;

/// Who did what to what: an access that is written once.
type Access = (u32, Option<Arc<str>>, Ino, Right);

/// Accesses that are not written down yet.
pub(super) struct Audit {
    waiting: Mutex<Vec<(Caller, Ino, Right)>>,
    written: Cache<Access, ()>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            written: Cache::new(REMEMBERED),
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
        let standing = weigh(caller, node, ground)?;
        if standing
            .graph
            .and(standing.unix)
            .without(standing.denied)
            .has(right)
        {
            return Ok(());
        }
        let access = (caller.uid, caller.session.clone(), node.ino, right);
        if self.audit.written.get(&access).is_none() {
            self.audit.written.insert(access, ());
            let noted = (caller.clone(), node.ino, right);
            self.audit.waiting.lock().push(noted);
        }
        Ok(())
    }

    /// Writes down what administrators did by their word alone.
    pub fn write_bypasses(&self) -> Result<()> {
        let mut waiting = std::mem::take(&mut *self.audit.waiting.lock());
        while let Some((caller, ino, right)) = waiting.pop() {
            let written = self.change(&caller, |ch| {
                // What has no name any more was unlinked by this very access, and its record has the name.
                let path = self.path_of(ino).unwrap_or_default();
                let undo = json!({ "note": right.word() });
                ch.record(OpKind::Bypass, ino, &path, None, &undo);
                Ok(())
            });
            // With a tenant went its log.
            if let Err(e) = written
                && self.tenants.lives(caller.tenant).is_ok()
            {
                waiting.push((caller, ino, right));
                self.audit.waiting.lock().append(&mut waiting);
                return Err(e);
            }
        }
        Ok(())
    }

    /// Writes down that a command, and what it asked for, was refused to somebody because it is not his to give.
    pub fn write_refusal(
        &self,
        caller: &Caller,
        (command, asked): (&str, &Request),
        why: &Error,
    ) -> Result<()> {
        if why.kind() != Kind::NotPermitted || caller.tenant.is_none() {
            return Ok(());
        }
        let root = self.root(caller)?;
        self.change(caller, |ch| {
            let undo = json!({ "subject": command, "note": why.message(), "asked": asked });
            ch.record(OpKind::Refused, root, &FsPath::default(), None, &undo);
            Ok(())
        })
    }
}
