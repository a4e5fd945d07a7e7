//! Operations of the log that a request chooses: by numbers, by conditions, or the newest; as far as the caller may read them.

use super::search::Search;
use crate::api::context::Context;
use crate::core::{Error, Kind, Op, Result, TenantId, Text, Time, error::fail};
use crate::db::Tx;
use crate::history::{self, OpSet, Undoings};
use crate::meta::log_query::{Cursor, Query, op_at};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

const PAGE: u32 = 10_000;
/// How many operations one request of somebody who is no administrator undoes.
const CHOSEN_MAX: usize = 500_000;
/// How many records that nobody asked for are read along rather than begin another statement.
const GAP: u64 = 16;
/// How many are looked at to find the newest.
const FEW: u32 = 32;

/// An operation that a condition chose.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    pub op: u64,
    pub kind: String,
    pub path: Text,
}

pub(super) fn found(record: &Record) -> Found {
    Found {
        op: record.op.0,
        kind: record.kind.name().to_owned(),
        path: Text(record.path.clone()),
    }
}

/// Every operation that fits and that the caller may read. Fails with `TooBig` where that takes too much, for whoever is no
/// administrator.
pub(super) fn all(
    cx: &Context<'_>,
    query: &Query,
    fits: impl FnMut(&Record) -> bool,
) -> Result<OpSet> {
    let search = Search::new(cx, query.clone(), Cursor::OLDEST, PAGE)?;
    found_by(cx, search, fits)
}

/// The same of what a search finds.
pub(in crate::api) fn found_by(
    cx: &Context<'_>,
    mut search: Search<'_>,
    mut fits: impl FnMut(&Record) -> bool,
) -> Result<OpSet> {
    let mut all = Vec::new();
    while let Some(page) = search.readable()? {
        let known = all.len();
        all.extend(page.iter().filter(|r| fits(r)).map(|r| r.op));
        search.in_vain(page.len() - (all.len() - known));
        search.goes_on()?;
        not_too_many(cx, all.len())?;
    }
    Ok(all.into_iter().collect())
}

/// What one request undoes is planned in memory.
fn not_too_many(cx: &Context<'_>, chosen: usize) -> Result<()> {
    if chosen > CHOSEN_MAX && !cx.caller.admin {
        let message = format!(
            "more than {CHOSEN_MAX} operations: undo the newest first, with --since or their numbers"
        );
        return fail(Kind::TooBig, message);
    }
    Ok(())
}

/// Gives each of some operations that is there to `take`, with whether the caller may read it.
fn by_number(
    cx: &Context<'_>,
    ops: &OpSet,
    mut take: impl FnMut(&Record, bool) -> Result<()>,
) -> Result<()> {
    let mut search = Search::new(cx, Query::default(), Cursor::OLDEST, PAGE)?;
    for (first, last) in ops.runs(GAP) {
        let run = Query {
            first: Some(first),
            last: Some(last),
            ..Query::default()
        };
        search.turn_to(run, Cursor::OLDEST);
        while let Some(page) = search.page()? {
            for record in page.iter().filter(|r| ops.has(r.op)) {
                take(record, search.may_read(record)?)?;
            }
            search.goes_on()?;
        }
    }
    Ok(())
}

/// Operations by their numbers, as far as they fit; fails with `NotFound` on those that are not there, for the caller.
pub(super) fn numbered(cx: &Context<'_>, ops: &OpSet, wanted: &Query) -> Result<OpSet> {
    if ops.is_empty() {
        return fail(Kind::Invalid, "say which operations: 7, 3-9 or 3,7-9");
    }
    let conditions = timed(&mut *cx.engine().store().read()?, cx.tenant()?, wanted)?;
    let (mut found, mut fitting) = (Vec::new(), Vec::new());
    by_number(cx, ops, |record, may_read| {
        if may_read {
            found.push(record.op);
            fitting.extend((conditions.fits(record) == Some(true)).then_some(record.op));
        }
        not_too_many(cx, found.len())
    })?;
    let mut missing = ops.clone();
    missing.leave_out(&found.into_iter().collect());
    if let Some(first) = missing.first() {
        cx.engine().can_undo(cx.tenant()?, first)?;
        return fail(Kind::NotFound, format!("no operation {missing}"));
    }
    Ok(fitting.into_iter().collect())
}

/// A query with operations for its times: a single record says whether it fits.
pub(super) fn timed(tx: &mut dyn Tx, tenant: TenantId, query: &Query) -> Result<Query> {
    let mut query = query.clone();
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

/// Fails with `NotFound` where some of the operations are behind the horizon.
pub(super) fn remembered(cx: &Context<'_>, ops: &OpSet) -> Result<()> {
    let (tenant, first) = (cx.tenant()?, ops.first().unwrap_or(Op(u64::MAX)));
    let oldest = cx.engine().horizon(tenant)?.oldest();
    let some = ops.last().is_some_and(|last| last >= oldest);
    cx.engine().can_undo(tenant, first).map_err(|e| {
        if some {
            Error::new(
                e.kind(),
                format!("{e}: `--since op:{oldest}` leaves out what is older"),
            )
        } else {
            e
        }
    })
}

/// What fits of what the caller did himself.
pub(super) fn own(cx: &Context<'_>, query: Query) -> Query {
    Query {
        user: cx.caller.user.as_deref().map(str::to_owned),
        agent: cx.caller.agent.as_deref().map(str::to_owned),
        ..query
    }
}

/// Whether a request speaks of a session alone: everybody may give his work any session's name, so it means the caller's own work
/// in it, and that of his agents. An administrator means all of it.
pub(super) fn is_of_session(cx: &Context<'_>, query: &Query) -> bool {
    let names_somebody = query.user.is_some() || query.agent.is_some();
    query.session.is_some() && !names_somebody && !cx.caller.admin
}

/// The newest operation of the caller himself, or of whom the query names; those that an undo has reversed already, and undos, are
/// passed over. Fails where what he did last cannot be undone: he may not mean what he did before that.
pub(super) fn newest(cx: &Context<'_>, query: Query) -> Result<Option<Found>> {
    let is_named = query.user.is_some() || query.agent.is_some();
    let query = if is_named { query } else { own(cx, query) };
    let tenant = cx.tenant()?;
    let (mut stays, mut undoings) = (None, Undoings::default());
    let found = backwards(cx, &query, FEW, |page, search| {
        let (oldest, vain) = (page.last().map(|record| record.op), page.len());
        let undone = undoings.back_to(cx.engine(), tenant, oldest)?;
        let counts = |r: &Record| {
            let own = is_named || r.author.uid == cx.caller.uid;
            own && !undone.has(r.op)
        };
        for record in page.into_iter().filter(counts) {
            if record.kind == OpKind::Undo && stays.is_none() && undid_others(cx, &record)? {
                let message = format!(
                    "operation {0} undid what others had done: `nexus undo {0}` takes it back",
                    record.op
                );
                return fail(Kind::Invalid, message);
            }
            if is_told(record.kind) {
                continue;
            }
            let is_it = history::is_reversible(&record);
            let found = found(&record);
            if is_it {
                return Ok(Break(found));
            }
            stays.get_or_insert(found);
        }
        // An undo may have been of a hundred thousand.
        search.leap(undone);
        Ok(Continue(vain))
    })?;
    let Some(Found { op, kind, .. }) = stays else {
        return Ok(found);
    };
    let older = found.map_or(String::new(), |found| {
        let Found { op, kind, path } = found;
        format!("; the newest that can be is {op} ({kind} {path}): `nexus undo {op}`")
    });
    let whose = if is_named { "the" } else { "your" };
    let message =
        format!("{whose} newest change, operation {op} ({kind}), cannot be undone{older}");
    fail(Kind::Invalid, message)
}

/// Whether an undo was of something that others had done: whoever did that last may mean it, and not what he did before.
fn undid_others(cx: &Context<'_>, undo: &Record) -> Result<bool> {
    let mut others = false;
    by_number(cx, &history::named_by(undo)?, |record, may_read| {
        others |= may_read && record.author.uid != undo.author.uid;
        Ok(())
    })?;
    Ok(others)
}

/// Whether an operation is no change that somebody meant to make, or one that undid others.
fn is_told(kind: OpKind) -> bool {
    use OpKind as K;
    matches!(kind, K::Undo | K::Bypass | K::Refused | K::Init)
}

/// Gives pages of records that the caller may read to `look`, the newest first, until it has what it looks for or there are no more;
/// else it says how many of them were of no use, and may leap over what comes next. Fails with `TooBig` where these are too many, for
/// whoever is no administrator.
pub(in crate::api) fn backwards<T>(
    cx: &Context<'_>,
    query: &Query,
    limit: u32,
    mut look: impl FnMut(Vec<Record>, &mut Search<'_>) -> Result<ControlFlow<T, usize>>,
) -> Result<Option<T>> {
    let mut search = Search::new(cx, query.clone(), Cursor::NEWEST, limit)?;
    while let Some(page) = search.readable()? {
        match look(page, &mut search)? {
            Break(found) => return Ok(Some(found)),
            Continue(vain) => search.in_vain(vain),
        }
        search.goes_on()?;
    }
    Ok(None)
}
