//! Whether what the log tells of is there: each operation on one node has left rows that began or ended with it.
//!
//! `lineage` goes from rows to the log, and misses nothing of a row that is gone with all that followed it. Behind the horizon
//! rows are missing rightly. Costs two or three look-ups by key an operation.

use super::check::Report;
use crate::core::{Ino, Op, Result};
use crate::db::Tx;
use crate::meta::{OpKind, Record, Tenant};

/// A row of a node that an operation has begun or ended.
pub(super) struct Trace {
    what: &'static str,
    table: &'static str,
    began: bool,
}

const NODE_BEGAN: Trace = Trace::of("its first state", "nodes", true);
const NODE_ENDED: Trace = Trace::of("its former state", "nodes", false);
const NAME_BEGAN: Trace = Trace::of("its new name", "entries", true);
pub(super) const NAME_ENDED: Trace = Trace::of("its former name", "entries", false);
const ATTRIBUTE_BEGAN: Trace = Trace::of("the attribute it got", "xattrs", true);
const ATTRIBUTE_ENDED: Trace = Trace::of("the attribute it had", "xattrs", false);

impl Trace {
    const fn of(what: &'static str, table: &'static str, began: bool) -> Self {
        Self { what, table, began }
    }

    /// Whether it is there, of a node and an operation.
    pub(super) fn is_left(&self, tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
        let table = self.table;
        let sql = if self.began {
            format!(
                "SELECT 1 FROM {table} WHERE ino = $1 AND began = $2 \
                 UNION ALL SELECT 1 FROM {table}_past WHERE ino = $1 AND began = $2 LIMIT 1"
            )
        } else {
            format!("SELECT 1 FROM {table}_past WHERE ino = $1 AND ended = $2 LIMIT 1")
        };
        Ok(!tx.query(&sql, &[ino.into(), op.into()])?.is_empty())
    }
}

/// Looks for the traces of an operation.
pub(super) fn verify_traces(
    tx: &mut dyn Tx,
    of: &Tenant,
    record: &Record,
    report: &mut Report,
) -> Result<()> {
    for trace in left_by(record) {
        if !trace.is_left(tx, record.ino, record.op)? {
            report.problem(format!(
                "tenant {}: operation {} ({} {}) has lost {}, of node {}",
                of.name,
                record.op,
                record.kind.name(),
                record.path.escape_ascii(),
                trace.what,
                record.ino
            ));
        }
    }
    Ok(())
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
