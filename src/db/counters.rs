//! What was asked of a database: tests hold an operation to its budget with it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much was asked of a database since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Statements of callers; the seam's own `BEGIN` and `COMMIT` are not counted.
    pub statements: u64,
    /// Reads started.
    pub reads: u64,
    /// Changes started.
    pub changes: u64,
    /// Syncs that reached the disk: fewer than were asked for when callers shared one.
    pub syncs: u64,
}

/// The running count behind [`Counters`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    statements: AtomicU64,
    reads: AtomicU64,
    changes: AtomicU64,
    syncs: AtomicU64,
}

impl Tally {
    pub(super) fn statement(&self) {
        self.statements.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) {
        self.reads.fetch_add(1, Relaxed);
    }

    pub(super) fn change(&self) {
        self.changes.fetch_add(1, Relaxed);
    }

    pub(super) fn sync(&self) {
        self.syncs.fetch_add(1, Relaxed);
    }

    pub(super) fn now(&self) -> Counters {
        Counters {
            statements: self.statements.load(Relaxed),
            reads: self.reads.load(Relaxed),
            changes: self.changes.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
        }
    }
}
