//! The past: any moment of it read, what was done in it undone.
//!
//! History is a property of the tables: each row carries the operation that made it, each former row the one that ended it.
//! So reading the past is the same query with a bound, and undoing is deciding what rows should be, and writing them in one
//! change (`fs::revise`).

pub mod when;
mod seats;
mod at;
pub mod snapshot;
mod versions;
mod patch;
mod touched;
mod basis;
mod diff;
mod blame;
mod compare;
mod ops;
mod fold;
mod merge;
mod members;
mod effects;
mod grants;
mod aside;
mod succession;
mod check;
mod record;
mod pairs;
mod plan;
mod refused;
mod saves;
mod undo;
mod home;
mod tree;
mod restore;
mod steps;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod at_tests;

pub use at::At;
pub use blame::{Line, blame};
pub use compare::{Compared, Side, compare};
pub use diff::{Change, Difference, Differences, differences, may_read};
pub use home::{directory_now, named_at};
pub use ops::OpSet;
pub use pairs::Undoings;
pub use plan::{Conflict, Plan};
pub use record::named_by;
pub use restore::{Restoring, restore, restore_content};
pub use saves::saves;
pub use steps::Told;
pub use undo::{Answer, Choice, Undone, common, is_reversible, undo};
pub use versions::{Version, beginning, version, versions};
pub use when::{When, resolve_when};
