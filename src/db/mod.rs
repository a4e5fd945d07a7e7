//! The SQL seam: rows in, rows out, on SQLite or PostgreSQL.
//!
//! Promises: a transaction that is dropped leaves nothing; one that committed is seen by every later read;
//! after [`Db::sync`] returned, everything committed before the call survives a power cut. Statements are
//! written once, in the subset both databases share: `$1…$n` placeholders, `ON CONFLICT`, `RETURNING`,
//! `BIGINT`, `BYTEA`, `TEXT`.

pub mod row;
pub mod sqlite;
pub mod postgres;
mod migrate;
#[cfg(test)]
mod contract;

pub use row::{Param, Row, Value};

use crate::core::Result;

/// A database.
pub trait Db: Send + Sync {
    /// Starts a read of one consistent state.
    fn read(&self) -> Result<Box<dyn Tx + '_>>;

    /// Starts a change. Blocks until no other change is under way in this process (SQLite has one writer).
    fn begin(&self) -> Result<Box<dyn Tx + '_>>;

    /// Makes everything committed so far survive a power cut. Callers that wait at the same time share one sync.
    fn sync(&self) -> Result<()>;

    /// Brings the schema up to date; refuses a newer one with [`crate::core::Kind::Version`].
    fn migrate(&self) -> Result<()>;
}

/// A transaction. Dropping it rolls back.
pub trait Tx {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>>;

    /// Runs a statement and returns how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64>;

    fn commit(self: Box<Self>) -> Result<()>;
}
