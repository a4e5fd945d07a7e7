//! The record that ends an operation: who did what, and what reverses it.

use super::Change;
use crate::core::{Caller, FsPath, Ino, Time};
use crate::meta::{Edit, OpKind, Record};

impl Change<'_> {
    /// Ends the operation with its record; what follows in this change belongs to the next operation.
    pub(in crate::fs) fn record(
        &mut self,
        kind: OpKind,
        ino: Ino,
        path: &FsPath,
        path2: Option<&FsPath>,
        undo: &serde_json::Value,
    ) {
        let caller = self.caller;
        self.record_as(caller, kind, ino, path, path2, undo);
    }

    pub(in crate::fs) fn record_as(
        &mut self,
        who: &Caller,
        kind: OpKind,
        ino: Ino,
        path: &FsPath,
        path2: Option<&FsPath>,
        undo: &serde_json::Value,
    ) {
        let mut undo = self.all_that_reverses(undo);
        if matches!(kind, OpKind::Undo | OpKind::Restore)
            && let Some(fields) = undo.as_object_mut()
        {
            fields.insert("rows".to_owned(), self.edits.rows_of(self.op()));
        }
        let record = Record {
            tenant: self.tenant,
            op: self.op(),
            time: self.now,
            kind,
            ino,
            path: path.to_bytes(),
            path2: path2.map(FsPath::to_bytes),
            author: self.engine.author(who),
            undo: undo.to_string(),
            state: self.head.state,
        };
        let hash = record.chain(&self.head.hash);
        self.head.op = record.op;
        self.head.hash = hash;
        self.edits.push(Edit::Log(Box::new(record), hash));
    }

    /// What reverses the operation, with the times of directories, the grants and memberships that went or came back, and the
    /// names of whom they are to.
    fn all_that_reverses(&mut self, undo: &serde_json::Value) -> serde_json::Value {
        let touched = std::mem::take(&mut self.touched);
        let dropped = std::mem::take(&mut self.dropped);
        let returned = std::mem::take(&mut self.returned);
        let members = [
            (std::mem::take(&mut self.joined), "joined"),
            (std::mem::take(&mut self.left), "left"),
        ];
        let mut undo = undo.clone();
        if let Some(fields) = undo.as_object_mut() {
            if !touched.is_empty() {
                let times: Vec<_> = touched.into_iter().map(|of| self.times_of(of)).collect();
                fields.insert("dirs".to_owned(), serde_json::json!(times));
            }
            for (moved, key) in members {
                if !moved.is_empty() {
                    fields.insert(key.to_owned(), moved.into());
                }
            }
            let both = [
                (dropped, "grants", "grantees"),
                (returned, "granted", "granted_to"),
            ];
            for (moved, grants, names) in both {
                if !moved.is_empty() {
                    let (tuples, to): (Vec<_>, Vec<_>) = moved.into_iter().unzip();
                    fields.insert(grants.to_owned(), serde_json::json!(tuples));
                    fields.insert(names.to_owned(), serde_json::json!(to));
                }
            }
        }
        undo
    }

    /// A directory, its time before, and its time now where that is not the operation's.
    fn times_of(&self, (dir, before): (Ino, Time)) -> Vec<i64> {
        let mut times = vec![dir.0.cast_signed(), before.0];
        if let Some(Some(now)) = self.nodes.get(&dir)
            && now.mtime != self.now
        {
            times.push(now.mtime.0);
        }
        times
    }
}
