//! What becomes of a tenant that was deleted: its log tells of that as its last word, and its files are history until `gc` is told
//! to forget what is as old as the deletion.

use super::check::Report;
use super::engine::Engine;
use super::forget::Forgetting;
use crate::core::{Caller, FsPath, Op, Result, Time};
use crate::db::Tx;
use crate::meta::log_query::{self, Cursor, Query, page};
use crate::meta::snapshot::{self, Snapshot};
use crate::meta::tenant::Sum;
use crate::meta::{Edit, Horizon, Horizons, OpKind, Tenant, horizon, tenant};
use serde_json::json;
use std::sync::Arc;

/// A deleted tenant whose files are to be forgotten.
pub(super) struct Overdue {
    pub tenant: Tenant,
    /// The operation that deleted it.
    end: Op,
    sum: Sum,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Overdue {
    /// What it forgets; `op` is the operation that did.
    pub(super) fn told(&self, op: Option<Op>) -> Forgetting {
        Forgetting {
            tenant: self.tenant.name.clone(),
            horizon: self.end,
            op,
            rows: self.sum.rows,
            bytes: self.sum.bytes,
            snapshots: self.snapshots.iter().map(|s| s.name.clone()).collect(),
        }
    }
}

impl Engine {
    /// The tenants that were deleted before `since`, but those that are forgotten.
    pub(super) fn overdue(&self, since: Time) -> Result<Vec<Overdue>> {
        let mut tx = self.store.read()?;
        let horizons = horizon::all(&mut *tx)?;
        let before = Time(since.0.saturating_sub(1));
        let mut found = Vec::new();
        for tenant in tenant::tenants(&mut *tx)? {
            let end = tenant::head(&mut *tx, tenant.id)?.op;
            // Nothing comes after the deletion but that it is forgotten.
            let is_forgotten = horizons.get(&tenant.id).is_some_and(|h| h.by == end);
            let is_old = log_query::op_at(&mut *tx, tenant.id, before)? == end;
            if tenant.is_gone() && is_old && !is_forgotten {
                let sum = tenant::sum(&mut *tx, tenant.id)?;
                let mut snapshots = Vec::new();
                for snapshot in snapshot::all(&mut *tx)? {
                    snapshots.push(Arc::new(snapshot?));
                }
                snapshots.retain(|s| s.tenant == tenant.id);
                found.push(Overdue {
                    tenant,
                    end,
                    sum,
                    snapshots,
                });
            }
        }
        Ok(found)
    }

    /// Forgets the nodes of a deleted tenant, present and past, and its snapshots: one operation, the last of its log. The rows
    /// go after it, a little at a time (see `forget`).
    pub(super) fn forget_tenant(&self, caller: &Caller, of: &Overdue) -> Result<Op> {
        let _turn = self.turn.lock();
        let (id, upto) = (of.tenant.id, of.end);
        let head = self.store.head(id)?;
        let (by, _) = self.change_from(caller, id, head, |ch| {
            let by = ch.op();
            for snapshot in &of.snapshots {
                ch.edit(Edit::SnapshotGone(snapshot.clone()));
            }
            ch.edit(Edit::Horizon {
                tenant: id,
                upto,
                by,
            });
            ch.has_no_rows();
            let said = json!({
                "note": format!("all of tenant {}", of.tenant.name),
                "horizon": upto.0, "rows": of.sum.rows, "bytes": of.sum.bytes,
                "snapshots": of.snapshots,
            });
            ch.record(
                OpKind::Forget,
                of.tenant.root,
                &FsPath::default(),
                None,
                &said,
            );
            Ok(by)
        })?;
        self.cache.clear();
        Ok(by)
    }
}

/// Adds those that are to be forgotten to the horizons of the others, as if they were.
pub(super) fn add_to(horizons: &mut Horizons, overdue: &[Overdue]) {
    let all = Horizon {
        upto: Op(u64::MAX),
        ..Horizon::default()
    };
    horizons.extend(overdue.iter().map(|o| (o.tenant.id, all.clone())));
}

/// Checks that a tenant is gone exactly when its log says that it was deleted.
pub(super) fn scan_end(tx: &mut dyn Tx, of: &Tenant, report: &mut Report) {
    let query = Query {
        kinds: vec![OpKind::TenantDelete],
        ..Query::default()
    };
    let Some(found) = report.note(page(tx, of.id, &query, Cursor::NEWEST, 1)) else {
        return;
    };
    // The default tenant's log tells of others.
    let is_own = |of_whom: &serde_json::Value| of_whom["went"]["tenant"] == json!(of.id);
    let is_told = found
        .first()
        .is_some_and(|(record, _)| is_own(&record.details()));
    if is_told != of.is_gone() {
        report.problem(format!(
            "tenant {}: whether it was deleted is not what its log tells",
            of.name
        ));
    }
}
