//! Whether what the log tells of is there: each operation on one node has left rows that began or ended with it.
//!
//! [`Lineage`] goes from rows to the log, and misses nothing of a row that is gone with all that followed it. Behind the
//! horizon rows are missing rightly. Costs two or three look-ups by key an operation.

use super::check::PAGE;
use super::lineage::Lineage;
use crate::core::{Ino, Op, Result};
use crate::meta::{OpKind, Record, Tenant, log};

/// A row that an operation on a node leaves: what is asked for it.
type Trace = (&'static str, &'static str);

const NODE_ENDED: Trace = (
    "its former state",
    "SELECT 1 FROM nodes_past WHERE ino = $1 AND ended = $2",
);
const NAME_ENDED: Trace = (
    "its former name",
    "SELECT 1 FROM entries_past WHERE ino = $1 AND ended = $2 LIMIT 1",
);
const NODE_BEGAN: Trace = (
    "its first state",
    "SELECT 1 FROM nodes WHERE ino = $1 AND began = $2 \
     UNION ALL SELECT 1 FROM nodes_past WHERE ino = $1 AND began = $2 LIMIT 1",
);
const NAME_BEGAN: Trace = (
    "its new name",
    "SELECT 1 FROM entries WHERE ino = $1 AND began = $2 \
     UNION ALL SELECT 1 FROM entries_past WHERE ino = $1 AND began = $2 LIMIT 1",
);
const ATTRIBUTE_BEGAN: Trace = (
    "the attribute it got",
    "SELECT 1 FROM xattrs WHERE ino = $1 AND began = $2 \
     UNION ALL SELECT 1 FROM xattrs_past WHERE ino = $1 AND began = $2 LIMIT 1",
);
const ATTRIBUTE_ENDED: Trace = (
    "the attribute it had",
    "SELECT 1 FROM xattrs_past WHERE ino = $1 AND ended = $2 LIMIT 1",
);

impl Lineage<'_> {
    /// Looks for the traces of every operation that is not forgotten.
    pub(super) fn traces(&mut self) -> Result<()> {
        for tenant in self.tenants {
            let upto = self.horizons.get(&tenant.id).map(|h| h.upto);
            let mut after = upto.unwrap_or_default();
            // A damaged page is named by the walk along the chain.
            while let Ok(page) = log::after(self.tx, tenant.id, after, PAGE) {
                let Some((last, _)) = page.last() else { break };
                after = last.op;
                for (record, _) in &page {
                    self.traces_of(tenant, record)?;
                }
            }
        }
        Ok(())
    }

    fn traces_of(&mut self, tenant: &Tenant, record: &Record) -> Result<()> {
        for (what, sql) in left_by(record) {
            if !self.is_left(sql, record.ino, record.op)? {
                let path = record.path.escape_ascii();
                self.report.problem(format!(
                    "tenant {}: operation {} ({} {path}) has lost {what}, of node {}",
                    tenant.name,
                    record.op,
                    record.kind.name(),
                    record.ino
                ));
            }
        }
        Ok(())
    }

    fn is_left(&mut self, sql: &str, ino: Ino, op: Op) -> Result<bool> {
        Ok(!self.tx.query(sql, &[ino.into(), op.into()])?.is_empty())
    }
}

/// What an operation on one node leaves for certain.
fn left_by(record: &Record) -> &'static [Trace] {
    let was_last = || record.details()["links"].as_u64() == Some(1);
    let existed = || record.details()["existed"].as_bool() == Some(true);
    match record.kind {
        OpKind::Create | OpKind::Mkdir | OpKind::Mknod | OpKind::Symlink => {
            &[NODE_BEGAN, NAME_BEGAN]
        }
        OpKind::Write | OpKind::Truncate | OpKind::Chmod | OpKind::Chown | OpKind::Times => {
            &[NODE_ENDED]
        }
        OpKind::Link => &[NAME_BEGAN],
        OpKind::Unlink if !was_last() => &[NAME_ENDED],
        OpKind::Unlink | OpKind::Rmdir => &[NAME_ENDED, NODE_ENDED],
        OpKind::Rename | OpKind::Exchange => &[NAME_BEGAN, NAME_ENDED],
        OpKind::SetXattr if !existed() => &[ATTRIBUTE_BEGAN],
        OpKind::SetXattr => &[ATTRIBUTE_BEGAN, ATTRIBUTE_ENDED],
        OpKind::RemoveXattr => &[ATTRIBUTE_ENDED],
        _ => &[],
    }
}
