//! What somebody may not undo, where he wants the rest undone: the operations on the nodes that are not his to change stay.

use super::ops::OpSet;
use super::plan::{Conflict, Plan};
use super::touched::changed;
use super::undo::common;
use crate::core::{Caller, Ino, Result, TenantId};
use crate::fs::Engine;
use crate::meta::log;
use std::collections::{BTreeMap, HashMap};

/// For each node of a plan that the caller may not make what it would be, the operations among `ops` that changed it. None where it
/// is not one of theirs that he may not change: the revision itself fails then.
pub(super) fn conflicts(
    engine: &Engine,
    caller: &Caller,
    (tenant, ops): (TenantId, &OpSet),
    plan: &Plan,
) -> Result<Vec<Conflict>> {
    let refused = engine.refused(caller, &plan.revision, &common(&plan.paths))?;
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let mut of = BTreeMap::<Ino, OpSet>::new();
    // What somebody has saved by a rename since is another node of the same name.
    let mut named = HashMap::new();
    for ino in &refused {
        let path = engine.listed_path(caller, *ino)?;
        named.extend(path.map(|path| (path.to_bytes(), *ino)));
    }
    log::each(&mut *engine.store().read()?, tenant, ops, |record| {
        // One that does not name all that it changed may have changed any of them.
        let nodes = changed(&record).unwrap_or_else(|| refused.iter().copied().collect());
        let nodes = nodes.into_iter().filter(|ino| refused.contains(ino));
        let paths = [Some(&record.path), record.path2.as_ref()];
        let by_name = paths.into_iter().flatten().filter_map(|p| named.get(p));
        for ino in nodes.chain(by_name.copied()) {
            of.entry(ino).or_default().add(record.op.0);
        }
        Ok(())
    })?;
    let conflict = |(ino, undone)| Conflict {
        undone,
        by: None,
        why: "is not yours to change",
        node: Some(ino),
        aside: None,
    };
    Ok(of.into_iter().map(conflict).collect())
}
