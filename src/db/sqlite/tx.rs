//! One transaction: statements in, rows out, rolled back unless committed.

use std::ops::Deref;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::failure;
use crate::core::error::fail;
use crate::core::{Kind, Result};
use crate::db::counters::Tally;
use crate::db::{Param, Row, Tx, Value};

/// A transaction on the writer or on a reader.
pub(super) struct SqliteTx<'a, C: Deref<Target = Connection>> {
    conn: C,
    /// Why a statement failed. SQLite may go on after that, or may have rolled back by itself and would run the next
    /// statement outside of any transaction; so nothing runs after it.
    failed: Option<Kind>,
    /// Each statement is a transaction of its own, and may only read.
    single: bool,
    tally: &'a Tally,
}

impl<'a, C: Deref<Target = Connection>> SqliteTx<'a, C> {
    pub(super) fn start(conn: C, begin: &str, tally: &'a Tally) -> Result<Self> {
        // Made before BEGIN: whatever an earlier rollback could not end is ended by this drop if BEGIN fails on it.
        let mut tx = Self::single(conn, tally);
        tx.single = false;
        tx.run(begin).map_err(|e| failure("begin", e))?;
        Ok(tx)
    }

    /// Without BEGIN: each statement is a transaction of its own.
    pub(super) fn single(conn: C, tally: &'a Tally) -> Self {
        Self {
            conn,
            failed: None,
            single: true,
            tally,
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.raw_execute().map(drop)
    }

    fn statement<T>(
        &mut self,
        sql: &str,
        params: &[Param],
        work: impl FnOnce(CachedStatement<'_>) -> Result<T>,
    ) -> Result<T> {
        self.usable()?;
        self.tally.statement();
        let prepared = prepare(&self.conn, sql, params).and_then(|statement| {
            if self.single && !statement.readonly() {
                return fail(Kind::ReadOnly, "a glance changes nothing");
            }
            Ok(statement)
        });
        prepared
            .and_then(work)
            .inspect_err(|e| self.failed = Some(e.kind()))
    }

    fn usable(&self) -> Result<()> {
        self.failed.map_or(Ok(()), |kind| {
            fail(kind, "an earlier statement of this change failed")
        })
    }
}

impl<C: Deref<Target = Connection>> Tx for SqliteTx<'_, C> {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.statement(sql, params, |mut statement| {
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            let mut answer = Vec::new();
            while let Some(row) = rows.next().map_err(|e| failure("query", e))? {
                let mut found = Row(Vec::with_capacity(columns));
                for i in 0..columns {
                    let read = value(row, i).map_err(|e| failure("read", e).context(found.name(2)));
                    found.0.push(read?);
                }
                answer.push(found);
            }
            Ok(answer)
        })
    }

    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.statement(sql, params, |mut statement| {
            let changed = statement.raw_execute();
            Ok(changed.map_err(|e| failure("change", e))? as u64)
        })
    }

    /// A commit that fails may leave the transaction open; the drop at the end rolls it back.
    fn commit(self: Box<Self>) -> Result<()> {
        self.usable()?;
        if self.single {
            return Ok(());
        }
        self.run("COMMIT").map_err(|e| failure("commit", e))
    }
}

impl<C: Deref<Target = Connection>> Drop for SqliteTx<'_, C> {
    fn drop(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(e) = self.run("ROLLBACK")
        {
            tracing::error!(error = %e, "cannot roll back");
        }
    }
}

/// Prepares and binds. SQLite takes `$2` for a name and numbers names by first use, so each is bound by its own number.
fn prepare<'c>(conn: &'c Connection, sql: &str, params: &[Param]) -> Result<CachedStatement<'c>> {
    let mut statement = conn
        .prepare_cached(sql)
        .map_err(|e| failure("prepare", e))?;
    let count = statement.parameter_count();
    if count != params.len() {
        let given = params.len();
        return fail(
            Kind::Invalid,
            format!("statement has {count} placeholders for {given} values"),
        );
    }
    for index in 1..=count {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'));
        let param = number.and_then(|n| n.parse::<usize>().ok()?.checked_sub(1));
        let Some(param) = param.and_then(|i| params.get(i)) else {
            return fail(
                Kind::Invalid,
                format!("statement has no value for placeholder {index}"),
            );
        };
        if matches!(param, Param::Text(text) if text.contains('\0')) {
            return fail(Kind::Invalid, "text with a NUL");
        }
        statement
            .raw_bind_parameter(index, param)
            .map_err(|e| failure("bind", e))?;
    }
    Ok(statement)
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(n) => ValueRef::Integer(n),
            Self::Text(s) => ValueRef::Text(s.as_bytes()),
            Self::Bytes(b) => ValueRef::Blob(b),
        }))
    }
}

/// What a column of a row holds.
pub(super) fn value(row: &rusqlite::Row, i: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(i)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        // We store none: whoever wants a number of that column finds that it is damaged.
        ValueRef::Real(n) => Value::Text(n.to_string()),
        // What is no text is damaged in the same way.
        ValueRef::Text(s) => match str::from_utf8(s) {
            Ok(s) => Value::Text(s.to_owned()),
            Err(_) => Value::Bytes(s.to_vec()),
        },
        ValueRef::Blob(b) => Value::Bytes(b.to_vec()),
    })
}
