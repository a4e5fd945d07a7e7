//! A page of the log being read: along which index, and for how long.

use super::statement::{Below, Statement};
use super::{Cursor, Found, OF_MANY, Query, Span};
use crate::core::{Hash, Op, Result, TenantId};
use crate::db::{Row, Tx};
use crate::meta::log::{OpKind, Record};
use std::cmp::Reverse;

/// How many records of a session, an agent, a user, a command or a kind are counted to find the fewest; with fewer, nothing is
/// narrower.
const FEW: u32 = 1000;
/// How many records one statement fetches by number: always as many, so that it is one statement to the database.
const BATCH: u32 = 128;

/// After how much a look ends that finds nothing: some tenths of a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Records fetched by number.
    pub(super) fetched: usize,
    /// Operations read over in the order of the log.
    pub(super) read: u64,
}

/// What callers wait for.
pub(super) const BOUNDS: Bounds = Bounds {
    fetched: 50_000,
    read: 500_000,
};

/// Columns with an index that has their records in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Session,
    Agent,
    User,
    Command,
}

impl Column {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Agent => "agent",
            Self::User => "user_name",
            Self::Command => "comm",
        }
    }
}

/// Operations that an index has in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index<'a> {
    /// Those with one value.
    Of(Column, &'a str),
    /// Those of some kinds, which it has in order for each.
    Kinds(&'a [OpKind]),
}

impl Query {
    /// The values that an index of their own column has.
    pub(super) fn equal(&self) -> impl Iterator<Item = (Column, &str)> {
        let asked = [
            (Column::Session, &self.session),
            (Column::Agent, &self.agent),
            (Column::User, &self.user),
            (Column::Command, &self.command),
        ];
        asked
            .into_iter()
            .filter_map(|(column, value)| Some((column, value.as_deref()?)))
    }

    /// The indexes that have its records, each with others.
    pub(super) fn indexes(&self) -> impl Iterator<Item = Index<'_>> {
        let values = self.equal().map(|(column, value)| Index::Of(column, value));
        let by_kind = !self.kinds.is_empty();
        values.chain(by_kind.then_some(Index::Kinds(&self.kinds)))
    }
}

/// The way a page is read.
pub(super) enum Way<'a> {
    /// These numbers, ascending: all that are on the path.
    Listed(Vec<Op>),
    /// The numbers that an index has.
    Along(Index<'a>),
    All,
}

/// One page being read.
pub(super) struct Reading<'a> {
    pub(super) tenant: TenantId,
    pub(super) query: &'a Query,
    pub(super) from: Cursor,
    pub(super) span: Span,
    pub(super) limit: u32,
    pub(super) bounds: Bounds,
}

impl<'a> Reading<'a> {
    pub(super) fn read(&self, tx: &mut dyn Tx) -> Result<Found> {
        match self.way(tx)? {
            Way::Listed(ops) => self.listed(tx, ops),
            Way::Along(index) => self.along(tx, index),
            Way::All => self.all(tx),
        }
    }

    /// The narrowest way: a session, agent, user, command or kind with few records; else a path with so few that to sort them is
    /// cheaper than to meet them on the way through the log; else that of the former whose records lie furthest apart.
    pub(super) fn way(&self, tx: &mut dyn Tx) -> Result<Way<'a>> {
        let mut counted = Vec::new();
        for index in self.query.indexes() {
            let ops = self.numbers(tx, index, self.span, FEW)?;
            let reach = ops.last().map_or(0, |last| last.0.abs_diff(self.start().0));
            counted.push((ops.len(), Reverse(reach), index));
        }
        let least = counted
            .into_iter()
            .min_by_key(|(count, reach, _)| (*count, *reach));
        if least.is_none_or(|(count, ..)| count == FEW as usize)
            && let Some(below) = self.query.below()
            && let Some(ops) = self.below(tx, &below)?
        {
            return Ok(Way::Listed(ops));
        }
        Ok(least.map_or(Way::All, |(.., index)| Way::Along(index)))
    }

    /// Where in the span the page begins.
    fn start(&self) -> Op {
        match self.from {
            Cursor::After(_) => self.span.0,
            Cursor::Before(_) => self.span.1,
        }
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
            all.extend(numbers("kind = $2", kind.name())?);
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
            // Numbers first: with both conditions at once SQLite reads the whole log.
            let numbers = format!("SELECT op FROM log WHERE tenant = $1 AND path IN ({above})");
            format!(
                "UNION ALL SELECT op FROM log WHERE tenant = $1 AND op IN ({numbers}) \
                 AND kind || '' IN ('{undo}', '{restore}')"
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
    fn all(&self, tx: &mut dyn Tx) -> Result<Found> {
        let below = self.query.below();
        let (after, upto) = self.span;
        let most = if below.is_some() {
            self.bounds.read
        } else {
            u64::MAX
        };
        let (after, upto) = match self.from {
            Cursor::After(_) => (after, Op(after.0.saturating_add(most)).min(upto)),
            Cursor::Before(_) => (Op(upto.0.saturating_sub(most)).max(after), upto),
        };
        let mut statement = Statement::of(self.tenant, self.query);
        statement.and("op >", after.into());
        statement.and("op <=", upto.into());
        statement.and_below(below.as_ref());
        let records = statement.read(tx, self.from, self.limit)?;
        let end = match self.from {
            Cursor::After(_) => upto,
            Cursor::Before(_) => Op(after.0 + 1),
        };
        let is_part = (after, upto) != self.span;
        Ok(self.found(records, is_part.then_some(end)))
    }

    /// Reads in the order of an index.
    fn along(&self, tx: &mut dyn Tx, index: Index<'_>) -> Result<Found> {
        let below = self.query.below();
        let (mut span, mut found, mut fetched) = (self.span, Vec::new(), 0);
        while found.len() < self.limit as usize {
            let ops = self.numbers(tx, index, span, BATCH)?;
            let Some(last) = ops.last() else { break };
            match self.from {
                Cursor::After(_) => span.0 = *last,
                Cursor::Before(_) => span.1 = Op(last.0 - 1),
            }
            found.extend(self.fetch(tx, &ops, below.as_ref())?);
            fetched += ops.len();
            if fetched >= self.bounds.fetched {
                return Ok(self.found(found, Some(*last)));
            }
        }
        Ok(self.found(found, None))
    }

    /// Reads those of the operations on a path that fit.
    fn listed(&self, tx: &mut dyn Tx, mut ops: Vec<Op>) -> Result<Found> {
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
        Ok(self.found(found, None))
    }

    /// What is told of records that were looked at up to an operation: with enough of them, the last one says where to go on.
    fn found(&self, mut records: Vec<(Record, Hash)>, upto: Option<Op>) -> Found {
        let limit = self.limit as usize;
        let upto = upto.filter(|_| records.len() < limit);
        records.truncate(limit);
        Found { records, upto }
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
