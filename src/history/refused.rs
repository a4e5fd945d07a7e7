//! What somebody may not undo, where he wants the rest undone: the operations on the nodes that are not his to change stay.

use super::ops::OpSet;
use super::plan::{Conflict, Plan};
use super::touched::changed;
use super::undo::common;
use crate::core::{Caller, Ino, Op, Result, TenantId};
use crate::fs::Engine;
use crate::meta::log;
use std::collections::{BTreeMap, HashMap};

/// How many records are read at a time, and how many that nobody asked for are read along.
const PAGE: u32 = 1000;
const GAP: u64 = 1000;

/// For each node of a plan that the caller may not make what it would be, the operations among `ops` that changed it. None where it
/// is not one of theirs that he may not change: the revision itself fails then.
pub(super) fn conflicts(
    engine: &Engine,
    caller: &Caller,
    (tenant, ops): (TenantId, &OpSet),
    plan: &Plan,
) -> Result<Vec<Conflict>> {
    let refused = engine.refused(caller, &plan.revision, &common(&plan.paths))?;
    let mut of = BTreeMap::<Ino, OpSet>::new();
    // What somebody has saved by a rename since is another node of the same name.
    let mut named = HashMap::new();
    for ino in &refused {
        let path = engine.listed_path(caller, *ino)?;
        named.extend(path.map(|path| (path.to_bytes(), *ino)));
    }
    let runs = if refused.is_empty() {
        Vec::new()
    } else {
        ops.runs(GAP)
    };
    for (first, last) in runs {
        let mut at = Op(first.0.saturating_sub(1));
        while at < last {
            let page = log::after(&mut *engine.store().read()?, tenant, at, PAGE)?;
            let Some((newest, _)) = page.last() else {
                break;
            };
            at = newest.op;
            for (record, _) in page.iter().filter(|(record, _)| ops.has(record.op)) {
                // One that does not name all that it changed may have changed any of them.
                let nodes = changed(record).unwrap_or_else(|| refused.iter().copied().collect());
                let nodes = nodes.into_iter().filter(|ino| refused.contains(ino));
                let paths = [Some(&record.path), record.path2.as_ref()];
                let by_name = paths.into_iter().flatten().filter_map(|p| named.get(p));
                for ino in nodes.chain(by_name.copied()) {
                    of.entry(ino).or_default().add(record.op.0);
                }
            }
        }
    }
    let conflict = |(ino, undone)| Conflict {
        undone,
        by: None,
        why: "is not yours to change",
        node: Some(ino),
        aside: None,
    };
    Ok(of.into_iter().map(conflict).collect())
}
