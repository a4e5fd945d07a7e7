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
    /// What was undone, also by undos that are of no pair.
    undone: OpSet,
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
        let mut standing = Standing {
            off: chosen.clone(),
            ..Standing::default()
        };
        standing.back_to(tx, tenant, first, |record, ops| {
            pairs.undone.join(ops);
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

    /// What was undone.
    pub(super) fn undone(&self) -> &OpSet {
        &self.undone
    }

    /// Adds the pairs that had a part in making rows what they are; says whether there were any.
    pub(super) fn join(&self, undone: &mut OpSet, rows: &Rows) -> bool {
        let new = |op: &Op| self.any.has(*op) && !undone.has(*op);
        let new: OpSet = rows.operations().filter(new).collect();
        if new.is_empty() {
            return false;
        }
        let met = self.all.iter().filter(|pair| pair.meets(&new));
        met.for_each(|pair| undone.join(pair));
        true
    }

    /// Forgets those with one of these operations: they cannot be as if they had not been. Says whether there were any.
    pub(super) fn part(&mut self, ops: &OpSet) -> bool {
        let before = self.all.len();
        self.all.retain(|pair| !pair.meets(ops));
        self.any = OpSet::default();
        for pair in &self.all {
            self.any.join(pair);
        }
        self.all.len() < before
    }
}

/// What undos have undone that nobody has done again: known as far back as was asked for.
#[derive(Default)]
pub struct Undoings {
    standing: Standing,
    undone: OpSet,
}

impl Undoings {
    /// Operations of a tenant that undos from `first` on have undone; with none, nothing more is looked at. It is asked for ever
    /// earlier ones.
    pub fn back_to(
        &mut self,
        engine: &Engine,
        tenant: TenantId,
        first: Option<Op>,
    ) -> Result<&OpSet> {
        if let Some(first) = first {
            let mut tx = engine.store().read()?;
            let undone = &mut self.undone;
            self.standing
                .back_to(&mut *tx, tenant, first, |_, ops| undone.join(ops))?;
        }
        Ok(&self.undone)
    }
}

/// Undos that are not undone themselves, the newest first.
struct Standing {
    /// What was undone, and undos that are not to be met.
    off: OpSet,
    at: Cursor,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            off: OpSet::default(),
            at: Cursor::NEWEST,
        }
    }
}

impl Standing {
    /// Gives those from `first` on that it has not met yet, with what each has undone.
    fn back_to(
        &mut self,
        tx: &mut dyn Tx,
        tenant: TenantId,
        first: Op,
        mut give: impl FnMut(&Record, &OpSet),
    ) -> Result<()> {
        let query = Query {
            kinds: vec![OpKind::Undo],
            first: Some(first),
            ..Query::default()
        };
        loop {
            let found = page(tx, tenant, &query, self.at, PAGE)?;
            for (record, _) in &found {
                self.at = self.at.moved(record.op);
                if !self.off.has(record.op) {
                    let ops = named_by(record)?;
                    give(record, &ops);
                    self.off.join(&ops);
                }
            }
            if found.len() < PAGE as usize {
                return Ok(());
            }
        }
    }
}
