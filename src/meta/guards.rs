//! Guards on rows that an earlier version wrote without: principals, memberships, keys, tuples.

use super::principal::guard;
use super::tenant::{counter, raise_counter};
use super::tuple;
use crate::core::Result;
use crate::db::Tx;

/// The counter that says that every row has its guard.
const GUARDED: &str = "guarded";

/// Whether every row has its guard: from then on one without is damaged.
pub fn complete(tx: &mut dyn Tx) -> Result<bool> {
    Ok(counter(tx, GUARDED)? > 0)
}

/// Gives every row its guard. What was damaged before is not found by it.
pub fn fill(tx: &mut dyn Tx) -> Result<()> {
    guard::guard_all(tx)?;
    tuple::guard_all(tx)?;
    raise_counter(tx, GUARDED, 1)
}
