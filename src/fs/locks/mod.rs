//! Locks on ranges of files between processes (fcntl(2)), which hold across all mounts of this daemon.
//!
//! They belong to open files: nothing of them is stored or logged, and none outlives the handle it was taken through. Who has to
//! wait occupies no thread: his answer lies in the table, and whoever makes room sends it.

mod calls;
mod held;
mod pending;
mod table;
mod wait;
mod watch;
#[cfg(test)]
mod model;

pub use calls::{LockAsk, LockFound};
pub use held::LockKind;
pub use wait::Reply;

use parking_lot::Mutex;
use table::Table;

/// All locks of an engine.
#[derive(Default)]
pub(super) struct Locks(Mutex<Table>);
