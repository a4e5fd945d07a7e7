//! What a path does not choose though it changed something there: an undo or restore is recorded with the directory that all it
//! changed is in, and to undo it for one path below would undo what was not asked for.

use super::chosen::{Found, found, timed};
use super::search::Search;
use crate::api::context::Context;
use crate::core::{Kind, Op, Result, TenantId, error::fail};
use crate::db::Tx;
use crate::history::{self, OpSet, Undoings};
use crate::meta::log_query::{Cursor, OF_MANY, Query};
use crate::meta::{OpKind, Record, log};

/// How many are told.
const TOLD_MAX: usize = 100;
const PAGE: u32 = 256;
/// How many operations that one undid are looked at; with more, it is told.
const UNDONE_MAX: usize = 1000;

/// Operations that changed something at the path of a query and are not chosen by it, the newest first, as far as some seconds of
/// looking find them. Those that are undone are as
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
    if query.kinds.is_empty() {
        return Ok(Vec::new());
    }
    let (tenant, mut told, mut undoings) = (cx.tenant()?, Vec::new(), Undoings::default());
    let conditions = conditions(&mut *cx.engine().store().read()?, tenant, query)?;
    let mut search = Search::new(cx, query.clone(), Cursor::NEWEST, PAGE)?;
    while let Some(page) = search.page()? {
        let oldest = page.last().map(|record| record.op);
        let undone = undoings.back_to(cx.engine(), tenant, oldest)?;
        for record in &page {
            let op = record.op;
            if told.len() >= TOLD_MAX || search.is_spent() {
                return Ok(told);
            }
            search.in_vain(1);
            let stands = !undone.has(op) && !chosen.has(op) && fits(op);
            if stands && search.tells(record)? && !is_of_these(cx, record, &conditions)? {
                told.push(found(record));
            }
        }
        if search.is_spent() {
            break;
        }
    }
    Ok(told)
}

/// What is asked of operations wherever they were.
fn conditions(tx: &mut dyn Tx, tenant: TenantId, query: &Query) -> Result<Query> {
    let query = Query {
        path: None,
        kinds: Vec::new(),
        ..query.clone()
    };
    timed(tx, tenant, &query)
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
