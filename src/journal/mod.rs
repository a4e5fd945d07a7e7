//! The redo journal: every change, in order, before it is in the database.
//!
//! Appending is one `pwrite(2)` into the page cache: it survives the death of the process. [`Journal::sync`] makes it
//! survive a power cut, once for all who wait. Records are applied to the database later, many at a time, and a segment whose
//! records the database has on disk is written over from its beginning: no file is made, cut or removed while the
//! store runs, for that is what makes a sync dear.

mod seal;
mod record;
mod segment;
mod notes;
mod redo;
mod recover;

pub use record::Lsn;
pub use redo::Journal;

/// The segments' files.
const NAMES: [&str; 2] = ["a", "b"];

/// What to do about a journal that cannot be read.
const CURE: &str = "Restore the data directory from a backup; or move its `journal` away and start without the changes that \
                    only the journal has: none, if the daemon was last stopped with `nexusctl shutdown`";
