//! One file of the journal, written from its beginning to its end and then again.

use super::record::{HEADER, Lsn, is_of_earlier_run};
use crate::core::Result;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file and what is known of it.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    /// Written since its last sync began.
    unsynced: AtomicBool,
}

impl Segment {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        Ok(Self {
            file: options.open(path)?,
            unsynced: AtomicBool::new(false),
        })
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.unsynced.store(true, Ordering::Release);
        Ok(self.file.write_all_at(bytes, at)?)
    }

    /// Syncs what was written before the call. One that failed stays unsynced.
    pub(super) fn sync(&self) -> Result<()> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file
            .sync_data()
            .inspect_err(|_| self.unsynced.store(true, Ordering::Release))?;
        Ok(())
    }

    /// Reads everything; nothing when its records are of an earlier run than `applied`.
    pub(super) fn read(&self, applied: Lsn) -> Result<Vec<u8>> {
        let mut head = [0; HEADER];
        let short = self.file.metadata()?.len() < HEADER as u64;
        if short
            || self.file.read_exact_at(&mut head, 0).is_ok() && is_of_earlier_run(&head, applied)
        {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(self.file.metadata()?.len()).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// Where the next record goes.
#[derive(Debug)]
pub(super) struct Tail {
    /// Which segment is written.
    pub active: usize,
    pub offset: u64,
    /// The newest record.
    pub last: Lsn,
    /// The newest record of each segment; the database has all of a segment's once it has this one.
    pub ends: [Lsn; 2],
    /// The newest record that the database has on disk.
    pub released: Lsn,
    /// A sync failed: what the page cache holds may never reach the disk.
    pub distrusted: bool,
}

impl Tail {
    pub(super) fn starting_after(last: Lsn) -> Self {
        Self {
            active: 0,
            offset: 0,
            last,
            ends: [last; 2],
            released: last,
            distrusted: false,
        }
    }
}
