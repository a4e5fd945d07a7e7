//! The guard on a row: 64 bits of a SHA-256 over its fields.
//!
//! It finds what a disk did to a row, on every read; the sum over all present rows of a tenant is the state
//! that each log record carries, so that `verify` can tell that rows and log belong together.

use crate::core::{Error, Kind, Result};

/// Adds up the fields of a row, each with its length, so that no two rows feed the same bytes. They are gathered and hashed at once:
/// most are a few bytes long.
pub struct Summer(Vec<u8>);

/// Room for what most rows have.
const USUAL: usize = 256;

impl Summer {
    /// Starts with the table's name: rows of two tables never have the same sum by construction.
    pub fn new(table: &str) -> Self {
        Self(Vec::with_capacity(USUAL)).bytes(table.as_bytes())
    }

    #[must_use]
    pub fn int(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    #[must_use]
    pub fn time(self, t: crate::core::Time) -> Self {
        self.int(t.0.cast_unsigned())
    }

    #[must_use]
    pub fn opt_time(self, t: Option<crate::core::Time>) -> Self {
        match t {
            Some(t) => self.int(1).time(t),
            None => self.int(0),
        }
    }

    #[must_use]
    pub fn bytes(mut self, b: &[u8]) -> Self {
        self.0.extend_from_slice(&(b.len() as u64).to_le_bytes());
        self.0.extend_from_slice(b);
        self
    }

    #[must_use]
    pub fn text(self, s: Option<&str>) -> Self {
        match s {
            Some(s) => self.int(1).bytes(s.as_bytes()),
            None => self.int(0),
        }
    }

    pub fn hash(self) -> crate::core::Hash {
        crate::core::Hash::of(&self.0)
    }

    pub fn sum(self) -> i64 {
        self.hash()
            .0
            .first_chunk()
            .map_or(0, |first| i64::from_le_bytes(*first))
    }
}

/// A row outside the tree that carries a guard. It is checked when the store is opened, and by `verify`.
pub trait Guarded {
    /// The guard over all of its fields.
    fn guard(&self) -> i64;

    /// What it is a row of, and its table: `user 17, in table users`.
    fn what(&self) -> String;

    /// Passes the row on when the stored guard is the one over its fields.
    fn guarded_by(self, stored: i64) -> Result<Self>
    where
        Self: Sized,
    {
        if self.guard() == stored {
            return Ok(self);
        }
        let message = format!(
            "{} is damaged: bring the row back from a backup, or delete it",
            self.what()
        );
        Err(Error::new(Kind::Corrupt, message))
    }
}
