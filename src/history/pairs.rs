//! Operations that were undone, each set with the undo that did it: a pair of them is as if neither had been.

use super::effects::Rows;
use super::ops::OpSet;
use super::record::named_by;
use crate::core::{Op, Result, TenantId};
use crate::db::Tx;
use crate::fs::Engine;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{OpKind, Record};

/// How many records of undos one statement reads.
const PAGE: u32 = 1000;

/// What undos that stand have undone, each with its undo.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    all: Vec<OpSet>,
    /// All of them together.
    any: OpSet,
}

impl Pairs {
    /// Those of a tenant whose undo came after the first of some operations and is none of them. What is behind the horizon is in no pair.
    pub(super) fn beside(
        tx: &mut dyn Tx,
        tenant: TenantId,
        chosen: &OpSet,
        oldest: Op,
    ) -> Result<Self> {
        let mut pairs = Self::default();
        let first = chosen.first().unwrap_or_default();
        standing(tx, tenant, first, chosen, |record, ops| {
            // Copies that it put beside something go with it: that is not as if it had not been.
            let has_copies = record.details()["copies"].as_bool() == Some(true);
            if !has_copies && ops.first().is_some_and(|op| op >= oldest) {
                let mut pair = ops.clone();
                pair.add(record.op.0);
                pairs.any.join(&pair);
                pairs.all.push(pair);
            }
        })?;
        Ok(pairs)
    }

    /// Adds the pairs that had a part in making rows what they are; says whether there were any.
    pub(super) fn join(&self, undone: &mut OpSet, rows: &Rows) -> bool {
        let mut joined = false;
        for op in rows.operations() {
            if self.any.has(op) && !undone.has(op) {
                for pair in self.all.iter().filter(|pair| pair.has(op)) {
                    undone.join(pair);
                    joined = true;
                }
            }
        }
        joined
    }

    /// Forgets those with one of these operations: they cannot be as if they had not been. Says whether there were any.
    pub(super) fn part(&mut self, ops: &OpSet) -> bool {
        let before = self.all.len();
        self.all.retain(|pair| !pair.iter().any(|op| ops.has(op)));
        self.any = OpSet::default();
        for pair in &self.all {
            self.any.join(pair);
        }
        self.all.len() < before
    }
}

/// Operations of a tenant that undos from `first` on have undone, and that nobody has done again.
pub fn undone_since(engine: &Engine, tenant: TenantId, first: Op) -> Result<OpSet> {
    let (mut undone, none) = (OpSet::default(), OpSet::default());
    let mut tx = engine.store().read()?;
    standing(&mut *tx, tenant, first, &none, |_, ops| undone.join(ops))?;
    Ok(undone)
}

/// Gives the undos from `first` on that are not undone themselves, `but` some, the newest first, with what each has undone.
fn standing(
    tx: &mut dyn Tx,
    tenant: TenantId,
    first: Op,
    but: &OpSet,
    mut give: impl FnMut(&Record, &OpSet),
) -> Result<()> {
    let query = Query {
        kinds: vec![OpKind::Undo],
        first: Some(first),
        ..Query::default()
    };
    let (mut off, mut at) = (but.clone(), Cursor::NEWEST);
    loop {
        let found = page(tx, tenant, &query, at, PAGE)?;
        for (record, _) in &found {
            at = at.moved(record.op);
            if !off.has(record.op) {
                let ops = named_by(record)?;
                give(record, &ops);
                off.join(&ops);
            }
        }
        if found.len() < PAGE as usize {
            return Ok(());
        }
    }
}
