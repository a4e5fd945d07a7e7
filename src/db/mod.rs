//! The SQL seam: rows in, rows out, on SQLite or PostgreSQL.
//!
//! Promises: a transaction that is dropped leaves nothing; one that committed is seen by every later read;
//! after [`Db::sync`] returned, everything committed before the call survives a power cut.
//!
//! Statements are written once, in the subset both databases share:
//! - `$1…$n` placeholders, each used, in any order, as often as needed; `CAST($1 AS BIGINT)` where
//!   PostgreSQL cannot infer a type, never `$1::BIGINT` (SQLite reads that as a name);
//! - `BIGINT`, `BYTEA`, `TEXT`; text has no NUL; truth values are read as 0 and 1;
//! - `CAST(SUM(x) AS BIGINT)`: PostgreSQL sums `BIGINT` to `NUMERIC`, which is refused;
//! - `ON CONFLICT` and `RETURNING` (through [`Tx::query`]);
//! - order and ranges over numbers and bytes: text sorts by the server's collation.

pub mod row;
pub mod owner;
mod counters;
pub mod group_sync;
pub mod sqlite;
pub mod postgres;
mod migrate;
#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod server;

pub use counters::Counters;
pub use postgres::Postgres;
pub use row::{Param, Row, Value};
pub use sqlite::Sqlite;

use crate::core::Result;

/// A database.
pub trait Db: Send + Sync {
    /// Starts a read of one consistent state: the newest when its first statement runs.
    fn read(&self) -> Result<Box<dyn Tx + '_>>;

    /// Starts a read of one statement and a few rows. Hold it no longer than that: SQLite answers it from the writer's
    /// connection when that is free, whose pages are warm, while a reader drops all of its own after each change.
    fn glance(&self) -> Result<Box<dyn Tx + '_>> {
        self.read()
    }

    /// Starts a change. SQLite has one writer: there it blocks until no other change is under way, and a thread that
    /// begins twice waits for itself. On PostgreSQL changes overlap, and one that cannot be put in an order with the
    /// others ends with [`crate::core::Kind::Conflict`]: start again from the top.
    fn begin(&self) -> Result<Box<dyn Tx + '_>>;

    /// Makes everything committed so far survive a power cut. Callers that wait at the same time share one sync.
    fn sync(&self) -> Result<()>;

    /// Brings the schema up to date; refuses a newer one with [`crate::core::Kind::Version`].
    fn migrate(&self) -> Result<()>;

    /// Tells what was asked of the database since it was opened.
    fn counters(&self) -> Counters;
}

/// A transaction. Dropping it rolls back. After a statement failed it is over: every later statement and the commit
/// fail with the same kind, whatever the database itself would allow.
pub trait Tx {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>>;

    /// Runs a statement that answers no rows and returns how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64>;

    /// Makes the change visible, or leaves nothing of it and says why. Only [`crate::core::Kind::Unavailable`] from a
    /// server that went away in the middle leaves open which.
    fn commit(self: Box<Self>) -> Result<()>;
}
