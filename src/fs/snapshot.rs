//! Snapshots: names for moments of directories, made and deleted by an operation that costs the same for any tree.

use super::engine::Engine;
use super::ground::allowed;
use super::principals::check_line;
use super::view;
use crate::access::Right;
use crate::core::{Caller, Error, Ino, Kind, Result, error::fail};
use crate::meta::{Edit, OpKind, Snapshot};
use serde_json::json;
use std::sync::Arc;

/// How many snapshots a tenant may have.
const SNAPSHOTS_MAX: usize = 10_000;
/// The longest description, in bytes.
const DESCRIPTION_MAX: usize = 4096;

impl Engine {
    /// Gives a directory as it is now a name. Takes read permission on it. Fails with `Exists` when the tenant has a snapshot of
    /// this name. That the name is a fit one is the caller's to see to (see `history::snapshot`).
    pub fn create_snapshot(
        &self,
        caller: &Caller,
        dir: Ino,
        name: &str,
        description: Option<&str>,
    ) -> Result<Arc<Snapshot>> {
        if view::is_view(dir) {
            return fail(
                Kind::Unsupported,
                "this is a view and has no present of its own",
            );
        }
        if description.is_some_and(|d| d.len() > DESCRIPTION_MAX) {
            let message = format!("a description has {DESCRIPTION_MAX} bytes at most");
            return fail(Kind::TooBig, message);
        }
        check_line("description", description, DESCRIPTION_MAX)?;
        self.change(caller, |ch| {
            let node = self.directory(caller, dir)?;
            self.may_still(caller, dir, Right::Read)?;
            let home = self.home(node.tenant)?;
            if home.snapshots.contains_key(name) {
                return fail(Kind::Exists, format!("a snapshot {name:?} exists"));
            }
            if home.snapshots.len() >= SNAPSHOTS_MAX {
                let message =
                    format!("a tenant has {SNAPSHOTS_MAX} snapshots at most: delete some");
                return fail(Kind::NoSpace, message);
            }
            let owned = |s: &Option<Arc<str>>| s.as_deref().map(str::to_owned);
            let new = Arc::new(Snapshot {
                tenant: node.tenant,
                name: name.to_owned(),
                op: ch.op(),
                ino: dir,
                uid: caller.uid,
                user: owned(&caller.user),
                agent: owned(&caller.agent),
                created: ch.now,
                description: description.map(str::to_owned),
            });
            ch.edit(Edit::Snapshot(new.clone()));
            let path = self.path_of(dir)?;
            let undo = json!({ "note": name, "snapshot": &*new });
            ch.record(OpKind::SnapshotCreate, dir, &path, None, &undo);
            Ok(new)
        })
    }

    /// Deletes a name; what it stood for stays in the past. For who made it, who owns the directory, and administrators.
    pub fn delete_snapshot(&self, caller: &Caller, name: &str) -> Result<()> {
        self.change(caller, |ch| {
            let old = self.snapshot(caller, name)?;
            // An agent's word is its own; a user's counts for his agents.
            let made = old.uid == caller.uid
                && (caller.agent.is_none() || caller.agent.as_deref() == old.agent.as_deref());
            if !made && !caller.admin && !self.owns_still(caller, old.ino)? {
                let message = "a snapshot is deleted by who made it or who owns its directory";
                return fail(Kind::NotPermitted, message);
            }
            ch.edit(Edit::SnapshotGone(old.clone()));
            // A directory that is gone has no path any more.
            let path = self.path_of(old.ino).unwrap_or_default();
            let undo = json!({ "note": name, "snapshot": &*old });
            ch.record(OpKind::SnapshotDelete, old.ino, &path, None, &undo);
            Ok(())
        })
    }

    /// A snapshot by its name; fails with `NotFound` for one of a directory that the caller may not see today.
    pub fn snapshot(&self, caller: &Caller, name: &str) -> Result<Arc<Snapshot>> {
        let none = || Error::new(Kind::NotFound, format!("no snapshot {name:?}"));
        let tenant = caller.tenant.ok_or_else(none)?;
        let found = self.home(tenant)?.snapshots.get(name).cloned();
        let found = found.ok_or_else(none)?;
        if self.may_know(caller, &found)? {
            return Ok(found);
        }
        Err(none())
    }

    /// The snapshots of directories that the caller may see today, by name.
    pub fn snapshots(&self, caller: &Caller) -> Result<Vec<Arc<Snapshot>>> {
        let Some(tenant) = caller.tenant else {
            return Ok(Vec::new());
        };
        let mut seen = Vec::new();
        for snapshot in self.home(tenant)?.snapshots.values() {
            if self.may_know(caller, snapshot)? {
                seen.push(snapshot.clone());
            }
        }
        Ok(seen)
    }

    fn may_know(&self, caller: &Caller, snapshot: &Snapshot) -> Result<bool> {
        allowed(self.may_still(caller, snapshot.ino, Right::Read))
    }
}
