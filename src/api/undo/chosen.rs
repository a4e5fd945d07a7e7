//! Operations of the log that a request chooses: by numbers, by conditions, or the newest; as far as the caller may read them.

use crate::api::context::Context;
use crate::core::{Error, Kind, Op, Result, Text, error::fail};
use crate::fs::Reader;
use crate::history::{self, OpSet};
use crate::meta::log_query::{self, Cursor, Query};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

const PAGE: u32 = 10_000;
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

/// Every operation that fits and that the caller may read.
pub(super) fn all(
    cx: &Context<'_>,
    query: &Query,
    fits: impl Fn(&Record) -> bool,
) -> Result<OpSet> {
    let (mut at, mut all) = (Op(0), Vec::new());
    loop {
        let (last, page) = records(cx, query, Cursor::After(at), PAGE)?;
        let Some(last) = last else {
            return Ok(all.into_iter().collect());
        };
        at = last;
        all.extend(page.iter().filter(|r| fits(r)).map(|r| r.op));
    }
}

/// Operations by their numbers, as far as they fit; fails with `NotFound` on those that are not there, for the caller.
pub(super) fn numbered(cx: &Context<'_>, ops: &OpSet, wanted: Query) -> Result<OpSet> {
    if ops.is_empty() {
        return fail(Kind::Invalid, "say which operations: 7, 3-9 or 3,7-9");
    }
    let span = Query {
        first: ops.first(),
        last: ops.last(),
        ..Query::default()
    };
    let found = all(cx, &span, |r| ops.has(r.op))?;
    let mut missing = ops.clone();
    missing.leave_out(&found);
    if let Some(first) = missing.first() {
        cx.engine().can_undo(cx.tenant()?, first)?;
        return fail(Kind::NotFound, format!("no operation {missing}"));
    }
    if wanted == Query::default() {
        return Ok(found);
    }
    let fitting = Query {
        first: wanted.first.max(span.first),
        last: wanted.last.into_iter().chain(span.last).min(),
        ..wanted
    };
    all(cx, &fitting, |r| ops.has(r.op))
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
    let mut stays = None;
    let found = backwards(cx, &query, FEW, |page| {
        let oldest = page.last().map_or(Op(u64::MAX), |record| record.op);
        let undone = history::undone_since(cx.engine(), tenant, oldest)?;
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
        Ok(Continue(()))
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
    let ops = history::named_by(undo)?;
    let span = Query {
        first: ops.first(),
        last: ops.last(),
        ..Query::default()
    };
    let others = all(cx, &span, |r| {
        ops.has(r.op) && r.author.uid != undo.author.uid
    })?;
    Ok(!others.is_empty())
}

/// Whether an operation is no change that somebody meant to make, or one that undid others.
fn is_told(kind: OpKind) -> bool {
    use OpKind as K;
    matches!(kind, K::Undo | K::Bypass | K::Refused | K::Init)
}

/// Gives pages of records to `look`, the newest first, until it has what it looks for or there are no more.
pub(in crate::api) fn backwards<T>(
    cx: &Context<'_>,
    query: &Query,
    limit: u32,
    mut look: impl FnMut(Vec<Record>) -> Result<ControlFlow<T>>,
) -> Result<Option<T>> {
    let mut before = Op(u64::MAX);
    loop {
        let (oldest, page) = records(cx, query, Cursor::Before(before), limit)?;
        let Some(oldest) = oldest else {
            return Ok(None);
        };
        before = oldest;
        if let Break(found) = look(page)? {
            return Ok(Some(found));
        }
    }
}

/// A page of records as far as the caller may read them, and the last that was looked at.
pub(in crate::api) fn records(
    cx: &Context<'_>,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<(Option<Op>, Vec<Record>)> {
    let mut tx = cx.engine().store().read()?;
    let page = log_query::page(&mut *tx, cx.tenant()?, query, from, limit)?;
    drop(tx);
    let last = page.last().map(|(record, _)| record.op);
    let mut reader = Reader::new(cx.engine(), cx.caller)?;
    let mut readable = Vec::with_capacity(page.len());
    for (record, _) in page {
        if reader.may_read(&record)? {
            readable.push(record);
        }
    }
    Ok((last, readable))
}
