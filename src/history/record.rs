//! What the record of a revision says, so that it can be undone itself.

use super::ops::OpSet;
use crate::core::Result;
use crate::fs::Revision;
use crate::meta::Record;
use serde_json::{Value, json};

/// Adds the nodes that a revision concerns: with the rows that it begins and ends, and the grants that came and went, which
/// the engine adds, all that reverses it.
pub(super) fn of(revision: &Revision, mut said: Value) -> Value {
    let back = revision.back.iter().map(|n| n.ino);
    let changed = revision.changed.iter().map(|n| n.ino);
    let named = revision.names.iter().flat_map(|n| {
        let was = n.was.as_ref().map(|entry| entry.ino);
        was.into_iter().chain(n.to)
    });
    let attributed = revision.xattrs.iter().map(|(ino, ..)| *ino);
    let gone = revision.gone.iter().copied();
    let all = back
        .chain(changed)
        .chain(named)
        .chain(attributed)
        .chain(gone);
    let nodes: OpSet = all.collect();
    said["nodes"] = json!(nodes.to_string());
    said
}

/// The operations that a record names: those that an undo was of, or that the trash was emptied of.
pub fn named_by(record: &Record) -> Result<OpSet> {
    record.details()["ops"].as_str().unwrap_or_default().parse()
}
