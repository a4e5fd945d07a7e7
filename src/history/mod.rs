//! The past: what was done, undone.
//!
//! History is a property of the tables: each row carries the operation that made it, each former row the one that ended it.
//! So undoing is deciding what rows should be, and writing them in one change (`fs::revise`).

mod ops;
mod fold;
mod merge;
mod effects;
mod check;
mod plan;
mod record;
mod undo;
mod steps;
#[cfg(test)]
mod tests;

pub use ops::OpSet;
pub use plan::{Conflict, Plan};
pub use undo::{Answer, Choice, Undone, is_reversible, undo};
