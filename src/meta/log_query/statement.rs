//! The statement that reads records: conditions, and the values bound to them.

use super::{Cursor, OF_MANY, Query};
use crate::core::{FsPath, Hash, Op, Result, TenantId};
use crate::db::{Param, Tx};
use crate::meta::log::{COLUMNS, Record, from_row};

/// A statement that grows by conditions.
pub(super) struct Statement<'a> {
    conditions: Vec<String>,
    params: Vec<Param<'a>>,
}

impl<'a> Statement<'a> {
    /// Has every condition of a query but those on paths, numbers and times, in words that no index answers: which
    /// one is used has been decided, and the database knows less of it.
    pub(super) fn of(tenant: TenantId, query: &'a Query) -> Self {
        let mut statement = Self {
            conditions: Vec::new(),
            params: Vec::new(),
        };
        statement.and("tenant =", tenant.into());
        for (column, value) in query.equal() {
            statement.and(&format!("{} || '' =", column.name()), value.into());
        }
        if !query.kinds.is_empty() {
            let names = query.kinds.iter().map(|kind| kind.name().into());
            statement.and_in("kind || ''", names);
        }
        statement
    }

    /// Binds a value and gives its placeholder.
    fn bind(&mut self, value: Param<'a>) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    pub(super) fn and(&mut self, left: &str, value: Param<'a>) {
        let placeholder = self.bind(value);
        self.conditions.push(format!("{left} {placeholder}"));
    }

    fn and_in(&mut self, column: &str, values: impl Iterator<Item = Param<'a>>) {
        let placeholders: Vec<_> = values.map(|value| self.bind(value)).collect();
        let list = placeholders.join(",");
        self.conditions.push(format!("{column} IN ({list})"));
    }

    pub(super) fn and_op_in<'b>(&mut self, ops: impl Iterator<Item = &'b Op>) {
        self.and_in("op", ops.map(|op| (*op).into()));
    }

    /// Adds that one of the two paths lies below a directory, in words that no index answers either.
    pub(super) fn and_below(&mut self, below: Option<&'a Below>) {
        let Some(below) = below else { return };
        let [own, first, end] = below.bounds().map(|bound| self.bind(bound));
        let lies = |path: &str| format!("{path} = {own} OR ({path} >= {first} AND {path} < {end})");
        // Of a record without a second path the second expression is the first path again.
        let (one, other) = (lies("COALESCE(path, path2)"), lies("COALESCE(path2, path)"));
        let reaching = below.bind_above(&mut self.params).map(|above| {
            let kind = OF_MANY.map(|kind| format!("kind || '' = '{}'", kind.name()));
            let kind = kind.join(" OR ");
            format!(" OR (({kind}) AND COALESCE(path, path2) IN ({above}))")
        });
        let reaching = reaching.unwrap_or_default();
        self.conditions
            .push(format!("({one} OR {other}{reaching})"));
    }

    /// Runs it: up to `limit` records in the order of the cursor.
    pub(super) fn read(
        mut self,
        tx: &mut dyn Tx,
        from: Cursor,
        limit: u32,
    ) -> Result<Vec<(Record, Hash)>> {
        let limit = self.bind(limit.into());
        let (conditions, order) = (self.conditions.join(" AND "), from.order());
        let sql =
            format!("SELECT {COLUMNS} FROM log WHERE {conditions} ORDER BY {order} LIMIT {limit}");
        tx.query(&sql, &self.params)?.iter().map(from_row).collect()
    }
}

/// The bytes that a path and what is below it lie between, and perhaps the paths above it.
pub(super) struct Below {
    own: Vec<u8>,
    first: Vec<u8>,
    end: Vec<u8>,
    /// The root first; none where they are not asked for.
    above: Vec<Vec<u8>>,
}

impl Below {
    pub(super) fn of(path: &FsPath, reaching: bool) -> Self {
        let own = path.to_bytes();
        let with = |last: u8| [&own[..], &[last]].concat();
        let slashes = own.iter().enumerate().filter(|(_, b)| **b == b'/');
        let above = slashes.map(|(at, _)| own[..at.max(1)].to_vec());
        Self {
            first: with(b'/'),
            end: with(b'/' + 1),
            above: above.filter(|_| reaching).collect(),
            own,
        }
    }

    /// Binds the paths above and gives their placeholders.
    pub(super) fn bind_above<'a>(&'a self, params: &mut Vec<Param<'a>>) -> Option<String> {
        let mut places = Vec::new();
        for path in &self.above {
            params.push(path.as_slice().into());
            places.push(format!("${}", params.len()));
        }
        (!places.is_empty()).then(|| places.join(","))
    }

    /// The path itself, the first bytes that something below it may have, and the first behind all of them.
    pub(super) fn bounds(&self) -> [Param<'_>; 3] {
        [&self.own, &self.first, &self.end].map(|bytes| bytes.as_slice().into())
    }
}
