//! Directories that may differ between two moments: all others need not be looked into.

use crate::core::{Ino, Op, Result};
use crate::fs::{Engine, Moment};
use crate::meta::{OpKind, Record, log, timeline};
use std::collections::{HashMap, HashSet};

/// Between moments further apart the log is not read, in operations.
const OPERATIONS_MAX: u64 = 100_000;
/// How many names are looked at before it pays to read the tables, which tell nothing of what was done elsewhere.
const NAMES: u64 = 2000;
/// How many records one query fetches.
const PAGE: u32 = 1000;

/// Where something was done between two moments.
pub(super) enum Touched {
    /// At or below these directories, and no others.
    Below(HashSet<Ino>),
    /// Not below these.
    NotBelow(HashSet<Ino>),
}

impl Touched {
    /// How many names may be looked at before it pays to ask what was touched: as many as that costs.
    pub(super) fn pays_after(one: Moment, other: Moment) -> u64 {
        match one.op.0.abs_diff(other.op.0) {
            few @ 0..=OPERATIONS_MAX => few,
            _ => NAMES,
        }
    }

    /// Asks the log; where it is long, or has operations that do not name all that they changed, the rows of what is below `top`.
    pub(super) fn between(engine: &Engine, one: Moment, other: Moment, top: Ino) -> Result<Self> {
        let by_log = Self::by_log(engine, one, other)?;
        by_log.map_or_else(|| Self::by_rows(engine, one.op.min(other.op), top), Ok)
    }

    fn by_log(engine: &Engine, one: Moment, other: Moment) -> Result<Option<Self>> {
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
        let mut touched = HashSet::new();
        for ino in nodes {
            add(engine, one, ino, &mut touched)?;
            add(engine, other, ino, &mut touched)?;
        }
        Ok(Some(Self::Below(touched)))
    }

    /// Looks for directories below which, and in which, every row of today was there and nothing else since an operation. What has
    /// gone from them, and what was done later, only lets more be looked into.
    fn by_rows(engine: &Engine, since: Op, top: Ino) -> Result<Self> {
        let mut tx = engine.store().read()?;
        let (mut above, mut stirred) = (HashMap::from([(top, top)]), Vec::new());
        let mut level = vec![top];
        while !level.is_empty() {
            stirred.extend(timeline::stirred(&mut *tx, &level, since)?);
            let below = timeline::directories(&mut *tx, &level)?;
            level.clear();
            for (dir, ino) in below {
                above.entry(ino).or_insert_with(|| {
                    level.push(ino);
                    dir
                });
            }
        }
        for mut dir in stirred {
            while let Some(up) = above.remove(&dir) {
                dir = up;
            }
        }
        Ok(Self::NotBelow(above.into_keys().collect()))
    }

    /// Whether something at or below a directory may differ.
    pub(super) fn has(&self, dir: Ino) -> bool {
        match self {
            Self::Below(dirs) => dirs.contains(&dir),
            Self::NotBelow(dirs) => !dirs.contains(&dir),
        }
    }
}

/// Notes the directories above a node at a moment, all of them where it had several names.
fn add(engine: &Engine, at: Moment, ino: Ino, touched: &mut HashSet<Ino>) -> Result<()> {
    let mut todo = vec![ino];
    while let Some(ino) = todo.pop() {
        for parent in engine.parents_at(at, ino)? {
            if touched.insert(parent) {
                todo.push(parent);
            }
        }
    }
    Ok(())
}

/// The nodes that an operation changed, gave a name or took one from; `None` when its record does not name them all.
pub(super) fn changed(record: &Record) -> Option<Vec<Ino>> {
    if matches!(record.kind, OpKind::Undo | OpKind::Restore | OpKind::Init) {
        return None;
    }
    let undo = record.details();
    let other = |key: &str| undo.get(key).and_then(serde_json::Value::as_u64).map(Ino);
    let others = [other("replaced"), other("with")];
    Some(others.into_iter().flatten().chain([record.ino]).collect())
}
