//! What a path does not choose though it changed something there: an undo or restore is recorded with the directory that all it
//! changed is in, and to undo it for one path below would undo what was not asked for.

use super::chosen::{Found, found};
use crate::api::context::Context;
use crate::core::{Kind, Op, Result, TenantId, Time, error::fail};
use crate::db::Tx;
use crate::fs::Reader;
use crate::history::{self, OpSet};
use crate::meta::log_query::{Cursor, OF_MANY, Query, look, op_at};
use crate::meta::{OpKind, Record, log};

/// How many are told.
const TOLD_MAX: usize = 100;
/// How many records, or nodes of them, are looked at for that.
const LOOKED_MAX: usize = 200_000;
const PAGE: u32 = 256;
/// How many operations that one undid are looked at; with more, it is told.
const UNDONE_MAX: usize = 1000;

/// Operations that changed something at the path of a query and are not chosen by it, the newest first. Those that are undone are as
/// if they had not been, and so is an undo of what fits.
pub(super) fn reaching(
    cx: &Context<'_>,
    query: &Query,
    chosen: &OpSet,
    fits: impl Fn(Op) -> bool,
) -> Result<Vec<Found>> {
    if query.path.is_none() {
        return Ok(Vec::new());
    }
    let mut kinds = OF_MANY.to_vec();
    kinds.retain(|kind| query.kinds.is_empty() || query.kinds.contains(kind));
    let query = &Query {
        kinds,
        reaching: true,
        ..query.clone()
    };
    let (tenant, mut told) = (cx.tenant()?, Vec::new());
    let conditions = conditions(&mut *cx.engine().store().read()?, tenant, query)?;
    let (mut at, mut looked_at) = (Cursor::NEWEST, 0);
    let mut reader = Reader::new(cx.engine(), cx.caller)?;
    while !query.kinds.is_empty() {
        let mut tx = cx.engine().store().read()?;
        let page = look(&mut *tx, tenant, query, at, PAGE)?;
        drop(tx);
        let oldest = page.records.last().map(|(record, _)| record.op);
        let undone = history::undone_since(cx.engine(), tenant, oldest.unwrap_or(Op(u64::MAX)))?;
        for (record, _) in &page.records {
            let op = record.op;
            if told.len() >= TOLD_MAX || looked_at + reader.effort() >= LOOKED_MAX {
                return Ok(told);
            }
            looked_at += 1;
            let stands = !undone.has(op) && !chosen.has(op) && fits(op);
            if stands && reader.tells(query, record)? && !is_of_these(cx, record, &conditions)? {
                told.push(found(record));
            }
        }
        match page.upto.or(oldest) {
            Some(op) => at = at.moved(op),
            None => break,
        }
    }
    Ok(told)
}

/// What is asked of operations wherever they were, with their numbers for times.
fn conditions(tx: &mut dyn Tx, tenant: TenantId, query: &Query) -> Result<Query> {
    let mut query = Query {
        path: None,
        kinds: Vec::new(),
        ..query.clone()
    };
    if let Some(since) = query.since.take() {
        let before = op_at(tx, tenant, Time(since.0.saturating_sub(1)))?;
        query.first = query.first.max(Some(Op(before.0 + 1)));
    }
    if let Some(until) = query.until.take() {
        let last = op_at(tx, tenant, until)?;
        query.last = query.last.into_iter().chain([last]).min();
    }
    Ok(query)
}

/// Whether one is an undo of nothing but what meets the conditions.
fn is_of_these(cx: &Context<'_>, record: &Record, conditions: &Query) -> Result<bool> {
    let of = history::named_by(record)?;
    if record.kind != OpKind::Undo || of.len() > UNDONE_MAX {
        return Ok(false);
    }
    let mut tx = cx.engine().store().read()?;
    for op in of.iter() {
        let found = log::at(&mut *tx, record.tenant, op)?;
        if found.is_none_or(|(record, _)| conditions.fits(&record) != Some(true)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fails with them where nothing else is there to undo.
pub(super) fn alone(reaching: &[Found]) -> Result<()> {
    let Some(Found { op, kind, path }) = reaching.first() else {
        return Ok(());
    };
    let message = format!(
        "no operation of its own fits; operation {op} ({kind} {path}) changed something there, and more: `nexus undo {op}`"
    );
    fail(Kind::NotFound, message)
}
