//! Directories that may differ between two moments: all others need not be looked into.

use crate::core::{Ino, Result};
use crate::fs::{Engine, Moment};
use crate::meta::{OpKind, Record, log};
use std::collections::HashSet;

/// Between moments further apart every directory is looked into, in operations.
const OPERATIONS_MAX: u64 = 100_000;
/// How many records one query fetches.
const PAGE: u32 = 1000;

/// Directories below which something was done between two moments.
pub(super) struct Touched(HashSet<Ino>);

impl Touched {
    /// Reads the log between two moments; `None` where it is long, or has operations that do not name all that they changed.
    pub(super) fn between(engine: &Engine, one: Moment, other: Moment) -> Result<Option<Self>> {
        let (from, to) = (one.op.min(other.op), one.op.max(other.op));
        if to.0 - from.0 > OPERATIONS_MAX {
            return Ok(None);
        }
        // A file that was written a thousand times is looked for once.
        let mut nodes = HashSet::new();
        let mut after = from;
        while after < to {
            let page = log::after(&mut *engine.store().read()?, one.tenant, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = last.op;
            for (record, _) in page.iter().filter(|(r, _)| r.op <= to) {
                let Some(changed) = changed(record) else {
                    return Ok(None);
                };
                nodes.extend(changed);
            }
        }
        let mut touched = Self(HashSet::new());
        for ino in nodes {
            touched.add(engine, one, ino)?;
            touched.add(engine, other, ino)?;
        }
        Ok(Some(touched))
    }

    /// Whether something at or below a directory may differ.
    pub(super) fn has(&self, dir: Ino) -> bool {
        self.0.contains(&dir)
    }

    /// Notes the directories above a node at a moment, all of them where it had several names.
    fn add(&mut self, engine: &Engine, at: Moment, ino: Ino) -> Result<()> {
        let mut todo = vec![ino];
        while let Some(ino) = todo.pop() {
            for parent in engine.parents_at(at, ino)? {
                if self.0.insert(parent) {
                    todo.push(parent);
                }
            }
        }
        Ok(())
    }
}

/// The nodes that an operation changed, gave a name or took one from; `None` when its record does not name them all.
fn changed(record: &Record) -> Option<Vec<Ino>> {
    if matches!(record.kind, OpKind::Undo | OpKind::Restore | OpKind::Init) {
        return None;
    }
    let undo = record.details();
    let other = |key: &str| undo.get(key).and_then(serde_json::Value::as_u64).map(Ino);
    let others = [other("replaced"), other("with")];
    Some(others.into_iter().flatten().chain([record.ino]).collect())
}
