//! How far back the past of a tenant is kept.
//!
//! Rows that ended up to the horizon are forgotten, but those that are seen from a moment that a snapshot names. What can be
//! shown, what undone and which rows may go follows from here, so that the three always agree.

use super::page::naming;
use super::snapshot;
use crate::core::{Op, Result, TenantId};
use crate::db::{Row, Tx};
use std::collections::BTreeMap;

/// What of a tenant's past is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Horizon {
    /// The oldest operation whose tree is kept whether it has a name or not; 0 while nothing was ever forgotten.
    pub upto: Op,
    /// The operation that forgot what lies behind.
    pub by: Op,
    /// Operations whose trees have names, ascending: those are kept behind the horizon, too.
    pub named: Vec<Op>,
}

/// The horizon of every tenant.
pub type Horizons = BTreeMap<TenantId, Horizon>;

impl Horizon {
    /// Whether the tree as an operation left it can be shown.
    pub fn has_moment(&self, op: Op) -> bool {
        op >= self.upto || self.named.binary_search(&op).is_ok()
    }

    /// The first moment that can be shown in which a state held that began and ended with these operations; `None` where
    /// there is none: it is forgotten.
    pub fn sight_of(&self, began: Op, ended: Option<Op>) -> Option<Op> {
        let named = self.named.partition_point(|op| *op < began);
        let named = self.named.get(named).copied().unwrap_or(Op(u64::MAX));
        let first = named.min(began.max(self.upto));
        // Behind a horizon that is as far as can be nothing is seen, the present neither.
        let ended = ended.unwrap_or(Op(u64::MAX));
        (first < ended).then_some(first)
    }

    /// Whether a state that began and ended with these operations is forgotten.
    pub fn hides(&self, began: Op, ended: Option<Op>) -> bool {
        self.sight_of(began, ended).is_none()
    }

    /// The oldest operation that can be undone: what it replaced is there.
    pub fn oldest(&self) -> Op {
        Op(self.upto.0 + 1)
    }
}

/// Reads the horizons of all tenants; fails with `Corrupt` where a snapshot is damaged: nobody knows what it keeps.
pub fn all(tx: &mut dyn Tx) -> Result<Horizons> {
    let read = |row: &Row| {
        let horizon = Horizon {
            upto: Op(row.uint(1)?),
            by: Op(row.uint(2)?),
            named: Vec::new(),
        };
        Ok((TenantId(row.u32(0)?), horizon))
    };
    let rows = tx.query("SELECT id, horizon, forgot FROM tenants", &[])?;
    let named = |row: &Row| naming(("tenants", 1), row, read(row));
    let mut all = rows.iter().map(named).collect::<Result<Horizons>>()?;
    for snapshot in snapshot::all(tx)? {
        let snapshot = snapshot?;
        if let Some(of) = all.get_mut(&snapshot.tenant) {
            of.named.push(snapshot.op);
        }
    }
    for of in all.values_mut() {
        of.named.sort_unstable();
    }
    Ok(all)
}

pub(super) fn set(tx: &mut dyn Tx, tenant: TenantId, upto: Op, by: Op) -> Result<()> {
    // A snapshot that goes leaves rows behind, too, though the horizon stays where it is.
    tx.execute(
        "UPDATE tenants SET horizon = $1, forgot = $2, thinned = -1 WHERE id = $3",
        &[upto.into(), by.into(), tenant.into()],
    )?;
    Ok(())
}

/// Whether rows behind a horizon may be left.
pub fn is_behind(tx: &mut dyn Tx) -> Result<bool> {
    let sql = "SELECT 1 FROM tenants WHERE thinned <> horizon LIMIT 1";
    Ok(!tx.query(sql, &[])?.is_empty())
}

/// Notes that no row behind a horizon is left.
pub fn set_thinned(tx: &mut dyn Tx) -> Result<()> {
    let sql = "UPDATE tenants SET thinned = horizon WHERE thinned <> horizon";
    tx.execute(sql, &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn horizon(upto: u64, named: &[u64]) -> Horizon {
        Horizon {
            upto: Op(upto),
            by: Op(upto + 1),
            named: named.iter().map(|op| Op(*op)).collect(),
        }
    }

    #[test]
    fn what_a_snapshot_sees_is_kept_behind_the_horizon() {
        let h = horizon(10, &[4]);
        let seen = |began, ended| h.sight_of(Op(began), Some(Op(ended)));
        assert_eq!(seen(1, 4), None, "over when the snapshot was made");
        assert_eq!(seen(1, 5), Some(Op(4)));
        assert_eq!(seen(5, 10), None);
        assert_eq!(seen(5, 11), Some(Op(10)));
        assert_eq!(seen(12, 13), Some(Op(12)));
        assert_eq!(h.sight_of(Op(6), None), Some(Op(10)));
    }

    proptest! {
        /// A state is hidden exactly when no moment that can be shown has it.
        #[test]
        fn states_and_moments_are_of_one_mind(
            upto in 0_u64..20, named in proptest::collection::btree_set(1_u64..20, 0..4), began in 1_u64..20, len in 1_u64..9,
        ) {
            let h = horizon(upto, &named.into_iter().collect::<Vec<_>>());
            let first = (began..began + len).map(Op).find(|op| h.has_moment(*op));
            prop_assert_eq!(h.sight_of(Op(began), Some(Op(began + len))), first);
        }
    }
}
