//! One file of the journal, written from its beginning to its end and then again.

use super::record::{HEADER, Lsn, header, parse, size};
use super::seal::Seal;
use crate::core::Result;
use crate::db::owner;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A file and what is known of it.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    /// Written since its last sync began, or while it ran.
    unsynced: AtomicBool,
    /// How long the file is, in bytes.
    len: AtomicU64,
}

/// Bytes by which a file grows.
const GROWTH: u64 = 1 << 20;

impl Segment {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = owner::open_file(path)?;
        let len = AtomicU64::new(file.metadata()?.len());
        Ok(Self {
            file,
            unsynced: AtomicBool::new(false),
            len,
        })
    }

    /// One at a time may write.
    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let end = at + bytes.len() as u64;
        if end > self.len.load(Ordering::Relaxed) {
            self.grow(end);
        }
        self.file.write_all_at(bytes, at)?;
        // Where growing failed: else the next try would begin before what is written now.
        self.len.fetch_max(end, Ordering::Relaxed);
        // Behind the write: a sync that begins in between may miss it.
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes the file longer than it has to be: a sync within its length writes no metadata, which is half of its time
    /// (measured on ext4; fallocate(2) does not help, its extents are marked when they are written).
    fn grow(&self, end: u64) {
        let from = self.len.load(Ordering::Relaxed);
        let to = end.next_multiple_of(GROWTH);
        let zeros = vec![0; usize::try_from(to - from).unwrap_or(0)];
        match self.file.write_all_at(&zeros, from) {
            Ok(()) => self.len.store(to, Ordering::Relaxed),
            // The record itself may fit still.
            Err(e) => tracing::debug!("the journal cannot grow ahead: {e}"),
        }
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

    /// Writes what nobody waits for and no sync is needed for, if there is room.
    pub(super) fn note(&self, at: u64, bytes: &[u8]) {
        if at + bytes.len() as u64 > self.len.load(Ordering::Relaxed) {
            return;
        }
        if let Err(e) = self.file.write_all_at(bytes, at) {
            tracing::debug!("a note in the journal is not written: {e}");
        }
    }

    /// Reads everything; nothing when its first record is sound and of an earlier run than `applied`.
    pub(super) fn read(&self, seal: Seal, applied: Lsn) -> Result<Vec<u8>> {
        let len = usize::try_from(self.file.metadata()?.len()).unwrap_or(0);
        let mut head = [0; HEADER];
        if len < HEADER {
            return Ok(Vec::new());
        }
        self.file.read_exact_at(&mut head, 0)?;
        if let Some(first) = header(seal, &head)
            && first.lsn.next_run() <= applied
        {
            let mut bytes = vec![0; size(first.len as usize).min(len)];
            self.file.read_exact_at(&mut bytes, 0)?;
            if parse(seal, &bytes).is_some() {
                return Ok(Vec::new());
            }
        }
        let mut bytes = vec![0; len];
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn a_sync_that_runs_during_a_write_does_not_count_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = vec![7; 32 << 20];
        for n in 0..100 {
            let segment = Segment::open(&dir.path().join(n.to_string())).unwrap();
            let written = AtomicBool::new(false);
            let during = std::thread::scope(|s| {
                s.spawn(|| {
                    segment.write(0, &bytes).unwrap();
                    written.store(true, Ordering::SeqCst);
                });
                while segment.file.metadata().unwrap().len() == 0 {}
                // What a sync begins with.
                segment.unsynced.swap(false, Ordering::SeqCst);
                !written.load(Ordering::SeqCst)
            });
            if during {
                assert!(segment.unsynced.load(Ordering::SeqCst));
                return;
            }
        }
        panic!("no sync began during a write");
    }

    #[test]
    fn growing_again_after_it_failed_spares_what_was_written() {
        let file = File::from(memfd_create("segment", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let segment = Segment::open(Path::new(&path)).unwrap();
        // As on a full disk: some bytes find room, a MiB does not.
        file.set_len(4096).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
        segment.write(0, b"first").unwrap();
        segment.write(8, b"second").unwrap();
        let mut first = [0; 5];
        file.read_exact_at(&mut first, 0).unwrap();
        assert_eq!(&first, b"first");
    }
}
