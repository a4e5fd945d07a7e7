//! Which records of a log are wanted, and reading them a page at a time, in either direction.
//!
//! Promise: a page costs what it has to look at, not what the log holds. It is read along the narrowest way that the query
//! leaves: few operations that an index on paths names, the records of one session, agent or user in their order, or
//! all of them. Whether somebody may see a record is asked elsewhere.

mod statement;

use self::statement::{Below, Statement};
use super::log::{Author, OpKind, Record};
use crate::core::{FsPath, Hash, Op, Result, TenantId, Time};
use crate::db::{Row, Tx};

/// How many records of a session, an agent or a user are counted to find the smallest; with fewer, nothing is narrower.
const FEW: u32 = 1000;
/// How many records one statement fetches by number: always as many, so that it is one statement to the database.
const BATCH: u32 = 128;

/// Which kinds of operations are few, in the very words of the index `log_by_kind` (`db/schema/0010_log_by_kind.sql`).
const IS_RARE: &str = "kind NOT IN ('create', 'write', 'truncate', 'mkdir', 'mknod', 'symlink', 'link', 'unlink', 'rmdir', \
                       'rename', 'exchange', 'chmod', 'chown', 'times', 'setxattr', 'removexattr')";

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
const OF_MANY: [OpKind; 2] = [OpKind::Undo, OpKind::Restore];

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
                && self.below().is_none_or(|below| {
                    below.has(record) || OF_MANY.contains(&record.kind) && below.is_in(&record.path)
                }),
        )
    }

    /// Whether a record is of the path or something below it.
    pub fn lies(&self, record: &Record) -> bool {
        self.below().is_none_or(|below| below.has(record))
    }

    /// The path that is a condition: below the root lies everything.
    fn below(&self) -> Option<Below> {
        let path = self.path.as_ref().filter(|path| !path.is_root())?;
        Some(Below::of(path, self.reaching))
    }

    /// The values that an index of their own column has.
    fn equal(&self) -> impl Iterator<Item = (Column, &str)> {
        let asked = [
            (Column::Session, &self.session),
            (Column::Agent, &self.agent),
            (Column::User, &self.user),
        ];
        asked
            .into_iter()
            .filter_map(|(column, value)| Some((column, value.as_deref()?)))
    }

    /// The indexes that have its records, each with others.
    fn indexes(&self) -> impl Iterator<Item = Index<'_>> {
        let rare = |kind: &OpKind| !IS_RARE.contains(&format!("'{}'", kind.name()));
        let by_kind = !self.kinds.is_empty() && self.kinds.iter().all(rare);
        let values = self.equal().map(|(column, value)| Index::Of(column, value));
        values.chain(by_kind.then_some(Index::Kinds(&self.kinds)))
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

/// Reads up to `limit` records that fit, with their hashes, in the order of the cursor. Fewer than `limit` are the last.
pub fn page(
    tx: &mut dyn Tx,
    tenant: TenantId,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<Vec<(Record, Hash)>> {
    let Some(span) = span(tx, tenant, query, from)? else {
        return Ok(Vec::new());
    };
    let reading = Reading {
        tenant,
        query,
        from,
        span,
        limit,
    };
    match reading.way(tx)? {
        Way::Listed(ops) => reading.listed(tx, ops),
        Way::Along(index) => reading.along(tx, index),
        Way::All => reading.all(tx),
    }
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

/// Columns with an index that has their records in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Session,
    Agent,
    User,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Agent => "agent",
            Self::User => "user_name",
        }
    }
}

/// Operations that an index has in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index<'a> {
    /// Those with one value.
    Of(Column, &'a str),
    /// Those of kinds that are rare, which it has in order for each.
    Kinds(&'a [OpKind]),
}

/// The way a page is read.
enum Way<'a> {
    /// These numbers, ascending: all that are on the path.
    Listed(Vec<Op>),
    /// The numbers that an index has.
    Along(Index<'a>),
    All,
}

/// One page being read.
struct Reading<'a> {
    tenant: TenantId,
    query: &'a Query,
    from: Cursor,
    span: Span,
    limit: u32,
}

impl<'a> Reading<'a> {
    /// The narrowest way: a session, agent, user or kind with few records; else a path with so few that to sort them is cheaper
    /// than to meet them on the way through the log; else the smallest of the former.
    fn way(&self, tx: &mut dyn Tx) -> Result<Way<'a>> {
        let mut counted = Vec::new();
        for index in self.query.indexes() {
            counted.push((self.numbers(tx, index, self.span, FEW)?.len(), index));
        }
        let least = counted.into_iter().min_by_key(|(count, _)| *count);
        if least.is_none_or(|(count, _)| count == FEW as usize)
            && let Some(below) = self.query.below()
            && let Some(ops) = self.below(tx, &below)?
        {
            return Ok(Way::Listed(ops));
        }
        Ok(least.map_or(Way::All, |(_, index)| Way::Along(index)))
    }

    /// The first operations of a span in the order of the cursor, from an index alone.
    fn numbers(
        &self,
        tx: &mut dyn Tx,
        index: Index<'_>,
        (after, upto): Span,
        limit: u32,
    ) -> Result<Vec<Op>> {
        let order = self.from.order();
        let mut numbers = |condition: &str, value: &str| -> Result<Vec<Op>> {
            let sql = format!(
                "SELECT op FROM log WHERE tenant = $1 AND {condition} AND op > $3 AND op <= $4 ORDER BY {order} LIMIT $5"
            );
            let tenant = self.tenant.into();
            let params = [
                tenant,
                value.into(),
                after.into(),
                upto.into(),
                limit.into(),
            ];
            tx.query(&sql, &params)?.iter().map(op_of).collect()
        };
        let kinds = match index {
            Index::Of(column, value) => return numbers(&format!("{} = $2", column.name()), value),
            Index::Kinds(kinds) => kinds,
        };
        let mut all = Vec::new();
        for kind in kinds {
            all.extend(numbers(&format!("kind = $2 AND {IS_RARE}"), kind.name())?);
        }
        all.sort_unstable();
        all.dedup();
        if matches!(self.from, Cursor::Before(_)) {
            all.reverse();
        }
        all.truncate(limit as usize);
        Ok(all)
    }

    /// The operations on a path and below it, ascending; `None` when they are so many that the way through the log
    /// is shorter: of `n` that lie evenly in it, a page meets `limit` among `limit / n` of its records.
    fn below(&self, tx: &mut dyn Tx, below: &Below) -> Result<Option<Vec<Op>>> {
        let (after, upto) = self.span;
        let most = (upto.0 - after.0).saturating_mul(self.limit.into()).isqrt();
        let [own, first, end] = below.bounds();
        let mut params = vec![self.tenant.into(), own, first, end, (most + 1).into()];
        let above = below.bind_above(&mut params);
        let reaching = above.map_or(String::new(), |above| {
            let [undo, restore] = OF_MANY.map(OpKind::name);
            format!(
                "UNION ALL SELECT op FROM log WHERE tenant = $1 AND path IN ({above}) \
                 AND kind IN ('{undo}', '{restore}')"
            )
        });
        // The span is not in it: an index on paths has operations last, and the database would rather read the span.
        let sql = format!(
            "SELECT op FROM log WHERE tenant = $1 AND path = $2 \
             UNION ALL SELECT op FROM log WHERE tenant = $1 AND path >= $3 AND path < $4 \
             UNION ALL SELECT op FROM log WHERE tenant = $1 AND path2 = $2 \
             UNION ALL SELECT op FROM log WHERE tenant = $1 AND path2 >= $3 AND path2 < $4 \
             {reaching} LIMIT $5"
        );
        let rows = tx.query(&sql, &params)?;
        if rows.len() as u64 > most {
            return Ok(None);
        }
        let ops: Result<Vec<Op>> = rows.iter().map(op_of).collect();
        let mut ops = ops?;
        ops.retain(|op| *op > after && *op <= upto);
        ops.sort_unstable();
        ops.dedup();
        Ok(Some(ops))
    }

    /// Reads in the order of the log.
    fn all(&self, tx: &mut dyn Tx) -> Result<Vec<(Record, Hash)>> {
        let below = self.query.below();
        let mut statement = Statement::of(self.tenant, self.query);
        statement.and("op >", self.span.0.into());
        statement.and("op <=", self.span.1.into());
        statement.and_below(below.as_ref());
        statement.read(tx, self.from, self.limit)
    }

    /// Reads in the order of an index.
    fn along(&self, tx: &mut dyn Tx, index: Index<'_>) -> Result<Vec<(Record, Hash)>> {
        let below = self.query.below();
        let (mut span, mut found) = (self.span, Vec::new());
        while found.len() < self.limit as usize {
            let ops = self.numbers(tx, index, span, BATCH)?;
            let Some(last) = ops.last() else { break };
            match self.from {
                Cursor::After(_) => span.0 = *last,
                Cursor::Before(_) => span.1 = Op(last.0 - 1),
            }
            found.extend(self.fetch(tx, &ops, below.as_ref())?);
        }
        found.truncate(self.limit as usize);
        Ok(found)
    }

    /// Reads those of the operations on a path that fit.
    fn listed(&self, tx: &mut dyn Tx, mut ops: Vec<Op>) -> Result<Vec<(Record, Hash)>> {
        if matches!(self.from, Cursor::Before(_)) {
            ops.reverse();
        }
        let mut found = Vec::new();
        for batch in ops.chunks(BATCH as usize) {
            if found.len() >= self.limit as usize {
                break;
            }
            found.extend(self.fetch(tx, batch, None)?);
        }
        found.truncate(self.limit as usize);
        Ok(found)
    }

    /// Reads those of up to a batch of operations that fit.
    fn fetch(
        &self,
        tx: &mut dyn Tx,
        ops: &[Op],
        below: Option<&Below>,
    ) -> Result<Vec<(Record, Hash)>> {
        let mut statement = Statement::of(self.tenant, self.query);
        let filled = ops.iter().chain(ops.last().into_iter().cycle());
        statement.and_op_in(filled.take(BATCH as usize));
        statement.and_below(below);
        statement.read(tx, self.from, BATCH)
    }
}

fn op_of(row: &Row) -> Result<Op> {
    row.uint(0).map(Op)
}

#[cfg(test)]
mod tests;
