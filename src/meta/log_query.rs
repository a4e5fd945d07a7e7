//! Which records of a log are wanted, and reading them a page at a time, in either direction.
//!
//! Promise: a page costs what it shows, and a look at the log has an end, whatever it finds. A page is read along the narrowest
//! way that the query leaves: few operations that an index on paths names, the records of one session, agent, user, command or
//! kind in their order, or all of them. Whether somebody may see a record is asked elsewhere.

mod reading;
mod statement;

use self::reading::{BOUNDS, Reading};
use self::statement::Below;
use super::log::{Author, OpKind, Record};
use crate::core::{FsPath, Hash, Name, Op, Result, TenantId, Time};
use crate::db::Tx;

/// Conditions on records, which all have to hold. One that is not set holds always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Of this path or something below it, as paths were when it was done; for a rename, where it came from or went.
    pub path: Option<FsPath>,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    /// The command's name, as the process had it.
    pub command: Option<String>,
    /// Of one of these kinds; of any when there is none.
    pub kinds: Vec<OpKind>,
    /// Behind the last operation before this time (see [`op_at`]).
    pub since: Option<Time>,
    /// Up to the last operation at this time.
    pub until: Option<Time>,
    /// The first operation, itself included.
    pub first: Option<Op>,
    /// The last operation, itself included.
    pub last: Option<Op>,
    /// With a path: an undo or restore, too, that is recorded with a directory above it and may have reached it. Whoever reads them
    /// finds out ([`Reader::tells`](crate::fs::Reader::tells)).
    pub reaching: bool,
}

/// What changes many nodes, and is recorded with the directory that all of them are in.
pub const OF_MANY: [OpKind; 2] = [OpKind::Undo, OpKind::Restore];

impl Query {
    /// Whether a record fits; `None` where that takes a look at the log's times.
    pub fn fits(&self, record: &Record) -> Option<bool> {
        if self.since.is_some() || self.until.is_some() {
            return None;
        }
        let Author {
            user,
            agent,
            session,
            comm,
            ..
        } = &record.author;
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted) == found)
        };
        Some(
            is(&self.user, user.as_ref())
                && is(&self.agent, agent.as_ref())
                && is(&self.session, session.as_ref())
                && is(&self.command, Some(comm))
                && (self.kinds.is_empty() || self.kinds.contains(&record.kind))
                && self.first.is_none_or(|first| first <= record.op)
                && self.last.is_none_or(|last| record.op <= last)
                && (self.lies(record) || self.may_reach(record)),
        )
    }

    /// Whether a record is of the path or something below it.
    pub fn lies(&self, record: &Record) -> bool {
        self.path.as_ref().is_none_or(|path| {
            let lies = |bytes: &[u8]| path.is_root() || is_below(bytes, path.names());
            lies(&record.path) || record.path2.as_deref().is_some_and(lies)
        })
    }

    /// Whether a record is of many nodes, with a directory above the path, where those are asked for.
    fn may_reach(&self, record: &Record) -> bool {
        let is_above = |path: &FsPath| is_above(&record.path, path.names());
        self.reaching && OF_MANY.contains(&record.kind) && self.path.as_ref().is_some_and(is_above)
    }

    /// The path that is a condition: below the root lies everything.
    fn below(&self) -> Option<Below> {
        let path = self.path.as_ref().filter(|path| !path.is_root())?;
        Some(Below::of(path, self.reaching))
    }
}

/// What a written path has behind some names; `None` where it does not begin with them.
fn behind<'p>(path: &'p [u8], names: &[Name]) -> Option<&'p [u8]> {
    names.iter().try_fold(path, |rest, name| {
        rest.strip_prefix(b"/")?.strip_prefix(name.as_bytes())
    })
}

/// Whether a written path is the one of some names, or below it.
fn is_below(path: &[u8], names: &[Name]) -> bool {
    behind(path, names).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// Whether a written path is that of a directory above some names.
fn is_above(path: &[u8], names: &[Name]) -> bool {
    let depth = path.split(|byte| *byte == b'/').count() - 1;
    match path {
        b"/" => !names.is_empty(),
        _ => depth < names.len() && behind(path, &names[..depth]).is_some_and(<[u8]>::is_empty),
    }
}

/// Where a page begins and in which direction it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Behind an operation, oldest first.
    After(Op),
    /// Before an operation, newest first.
    Before(Op),
}

impl Cursor {
    /// Before everything: the newest come first.
    pub const NEWEST: Self = Self::Before(Op(u64::MAX));
    /// Behind nothing: the oldest come first.
    pub const OLDEST: Self = Self::After(Op(0));

    /// The same direction, from another operation.
    #[must_use]
    pub fn moved(self, op: Op) -> Self {
        match self {
            Self::After(_) => Self::After(op),
            Self::Before(_) => Self::Before(op),
        }
    }

    /// The operation that it stands at.
    pub fn op(self) -> Op {
        match self {
            Self::After(op) | Self::Before(op) => op,
        }
    }

    fn order(self) -> &'static str {
        match self {
            Self::After(_) => "op",
            Self::Before(_) => "op DESC",
        }
    }
}

/// What a look at the log found.
#[derive(Debug, Default)]
pub struct Found {
    /// Records that fit, with their hashes, in the order of the cursor.
    pub records: Vec<(Record, Hash)>,
    /// The last operation that was looked at, where the look ended before it had found enough: there may be more behind it.
    pub upto: Option<Op>,
}

/// Reads up to `limit` records that fit, with their hashes, in the order of the cursor. Fewer than `limit` are the last.
pub fn page(
    tx: &mut dyn Tx,
    tenant: TenantId,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<Vec<(Record, Hash)>> {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let found = look(tx, tenant, query, at, left)?;
        all.extend(found.records);
        match found.upto {
            Some(op) => at = at.moved(op),
            None => return Ok(all),
        }
    }
}

/// The same with an end: where few records fit, those that a part of the log has.
pub fn look(
    tx: &mut dyn Tx,
    tenant: TenantId,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<Found> {
    let Some(span) = span(tx, tenant, query, from)? else {
        return Ok(Found::default());
    };
    let reading = Reading {
        tenant,
        query,
        from,
        span,
        limit,
        bounds: BOUNDS,
    };
    reading.read(tx)
}

/// The operation at which a tenant's log passed a time: it was done then or before, and the next one after; 0 when none
/// was. A clock that was set back passes some times more than once: it is one of those moments, always the same one.
pub fn op_at(tx: &mut dyn Tx, tenant: TenantId, at: Time) -> Result<Op> {
    let (mut low, mut high) = (Op(0), Op(newest(tx, tenant)?.0 + 1));
    while low.0 + 1 < high.0 {
        let middle = Op(low.0.midpoint(high.0));
        let rows = tx.query(
            "SELECT op, time FROM log WHERE tenant = $1 AND op >= $2 ORDER BY op LIMIT 1",
            &[tenant.into(), middle.into()],
        )?;
        match rows.first() {
            Some(row) if row.uint(0)? < high.0 && row.int(1)? <= at.0 => low = Op(row.uint(0)?),
            _ => high = middle,
        }
    }
    Ok(low)
}

fn newest(tx: &mut dyn Tx, tenant: TenantId) -> Result<Op> {
    let sql = "SELECT op FROM log WHERE tenant = $1 ORDER BY op DESC LIMIT 1";
    let rows = tx.query(sql, &[tenant.into()])?;
    rows.first().map_or(Ok(Op(0)), |row| Ok(Op(row.uint(0)?)))
}

/// Operations behind the first number, up to the second.
type Span = (Op, Op);

/// Which operations come into question by number and time; `None` when there are none.
fn span(tx: &mut dyn Tx, tenant: TenantId, query: &Query, from: Cursor) -> Result<Option<Span>> {
    let before = |op: Op| Op(op.0.saturating_sub(1));
    let (mut after, mut upto) = match from {
        Cursor::After(op) => (op, newest(tx, tenant)?),
        Cursor::Before(op) => (Op(0), newest(tx, tenant)?.min(before(op))),
    };
    after = query.first.map_or(after, |first| after.max(before(first)));
    upto = query.last.map_or(upto, |last| upto.min(last));
    if let Some(since) = query.since {
        after = after.max(op_at(tx, tenant, Time(since.0.saturating_sub(1)))?);
    }
    if let Some(until) = query.until {
        upto = upto.min(op_at(tx, tenant, until)?);
    }
    Ok((after < upto).then_some((after, upto)))
}

#[cfg(test)]
mod tests;
