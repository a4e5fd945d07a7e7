//! Appending, syncing, and writing over what is no longer needed.

use super::record::{Lsn, frame, size};
use super::recover;
use super::segment::{Segment, Tail};
use crate::core::Result;
use crate::db::group_sync::{GroupSync, Past};
use parking_lot::Mutex;
use std::fs::{DirBuilder, File};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes after which the other segment is written. What a restart has to apply again is two of them at most.
const SEGMENT: u64 = 32 << 20;

/// Takes a record and says whether to go on to the next.
pub(super) type Visit<'a> = dyn FnMut(Lsn, &[u8]) -> Result<ControlFlow<()>> + 'a;

/// The journal of one store: two segments that take turns.
#[derive(Debug)]
pub struct Journal {
    segments: [Segment; 2],
    tail: Mutex<Tail>,
    group: GroupSync,
    synced: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
}

impl Journal {
    /// Opens the files, making them when there are none. Call [`Journal::recover`] before anything else.
    pub fn open(dir: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let segments = [
            Segment::open(&dir.join("a"))?,
            Segment::open(&dir.join("b"))?,
        ];
        File::open(dir)?.sync_all()?;
        if let Some(parent) = dir.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            segments,
            tail: Mutex::new(Tail::starting_after(Lsn(0))),
            group: GroupSync::default(),
            synced: AtomicU64::new(0),
            records: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        })
    }

    /// Visits every record after `applied`, in order, and returns the last one's number. Stops where a crash tore the journal,
    /// or where `visit` says so; fails with [`Corrupt`](crate::core::Kind::Corrupt) where something is gone that had been synced.
    pub fn recover(&self, applied: Lsn, visit: &mut Visit<'_>) -> Result<Lsn> {
        let bytes = [
            self.segments[0].read(applied)?,
            self.segments[1].read(applied)?,
        ];
        recover::scan([&bytes[0], &bytes[1]], applied, visit)
    }

    /// Begins anew after `last`, a number that no run has had before. The database must have everything up to it on disk.
    pub fn restart(&self, last: Lsn) {
        *self.tail.lock() = Tail::starting_after(last);
        self.synced.store(last.0, Ordering::Release);
    }

    /// Writes a record. `None` when both segments are in use, or an earlier sync failed: apply everything, make the
    /// database sync, [`Journal::release`] it, and try again. One change at a time may append.
    pub fn append(&self, payload: &[u8]) -> Result<Option<Lsn>> {
        let mut tail = self.tail.lock();
        let bytes = size(payload.len()) as u64;
        if tail.distrusted && tail.released < tail.last {
            return Ok(None);
        }
        if tail.distrusted || tail.offset > 0 && tail.offset + bytes > SEGMENT {
            let other = 1 - tail.active;
            if tail.ends[other] > tail.released {
                return Ok(None);
            }
            tail.active = other;
            tail.offset = 0;
            tail.distrusted = false;
        }
        let lsn = tail.last.next();
        let mut record = Vec::with_capacity(size(payload.len()));
        frame(
            lsn,
            Lsn(self.synced.load(Ordering::Acquire)),
            payload,
            &mut record,
        );
        let segment = &self.segments[tail.active];
        if let Err(e) = segment.write(tail.offset, &record) {
            // What got through must not be taken for a change that was made.
            if let Err(again) = segment.write(tail.offset, &[0; 8]) {
                tracing::warn!("a record of the journal is half written: {}", again.chain());
            }
            return Err(e.context("cannot write to the journal"));
        }
        tail.offset += bytes;
        tail.last = lsn;
        let active = tail.active;
        tail.ends[active] = lsn;
        self.records.fetch_add(1, Ordering::Relaxed);
        Ok(Some(lsn))
    }

    /// Makes every record so far survive a power cut. `settle` is called when an earlier sync failed: it has to bring everything
    /// to the database's disk instead, for what a failed sync left in the page cache cannot be trusted.
    pub fn sync(&self, settle: impl Fn() -> Result<Lsn>) -> Result<()> {
        let ticket = self.group.ticket();
        let outcome = self.group.wait(ticket, |past| {
            self.syncs.fetch_add(1, Ordering::Relaxed);
            let last = match past {
                Past::Sound if self.is_trusted() => self.sync_segments()?,
                Past::Sound | Past::Failed => settle()?,
            };
            self.synced.fetch_max(last.0, Ordering::AcqRel);
            Ok(())
        });
        outcome.map_err(|e| e.context("cannot sync the journal"))
    }

    /// Whether no record lies where a sync failed, but those that the database has on disk. One that was on its way while
    /// [`Journal::sync`] settled may.
    fn is_trusted(&self) -> bool {
        let tail = self.tail.lock();
        !tail.distrusted || tail.released >= tail.last
    }

    fn sync_segments(&self) -> Result<Lsn> {
        let (last, active) = {
            let tail = self.tail.lock();
            (tail.last, tail.active)
        };
        // The older one first: a record is on disk only with all before it.
        let mut both = [1 - active, active].into_iter();
        both.try_for_each(|n| self.segments[n].sync())
            .inspect_err(|_| self.tail.lock().distrusted = true)?;
        Ok(last)
    }

    /// Says that the database has everything up to `lsn` on disk: what holds no more than that may be written over.
    pub fn release(&self, lsn: Lsn) {
        let mut tail = self.tail.lock();
        tail.released = tail.released.max(lsn);
    }

    /// A record that waits for nothing but [`Journal::release`]: the end of the segment that is not written now.
    pub fn retired(&self) -> Option<Lsn> {
        let tail = self.tail.lock();
        let end = tail.ends[1 - tail.active];
        (end > tail.released).then_some(end)
    }

    /// How many records were written and how often they were synced since the journal was opened.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.records.load(Ordering::Relaxed),
            self.syncs.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Kind;
    use std::fs;

    fn open(dir: &Path, applied: Lsn) -> (Journal, Vec<(Lsn, Vec<u8>)>) {
        let journal = Journal::open(dir).unwrap();
        let mut found = vec![];
        let last = journal.recover(applied, &mut |lsn, bytes| {
            found.push((lsn, bytes.to_vec()));
            Ok(ControlFlow::Continue(()))
        });
        journal.restart(last.unwrap().next_run());
        (journal, found)
    }

    fn append(journal: &Journal, bytes: &[u8]) -> Lsn {
        journal.append(bytes).unwrap().unwrap()
    }

    fn sync(journal: &Journal) {
        journal.sync(|| panic!("no sync has failed")).unwrap();
    }

    #[test]
    fn what_was_appended_is_found_again_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, none) = open(dir.path(), Lsn(0));
        assert_eq!(none, []);
        let first = append(&journal, b"one");
        let second = append(&journal, b"two");
        drop(journal);
        let (journal, found) = open(dir.path(), first);
        assert_eq!(found, [(second, b"two".to_vec())]);
        // A run's records follow none of the run before.
        let third = append(&journal, b"three");
        assert!(third > second.next());
        drop(journal);
        let (_, found) = open(dir.path(), second.next_run());
        assert_eq!(found, [(third, b"three".to_vec())]);
    }

    #[test]
    fn segments_take_turns_and_wait_for_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let large = vec![7; usize::try_from(SEGMENT / 4).unwrap()];
        let mut lsns = vec![];
        while let Some(lsn) = journal.append(&large).unwrap() {
            lsns.push(lsn);
        }
        assert_eq!(lsns.len(), 6, "three a segment");
        assert_eq!(journal.retired(), Some(lsns[2]));
        journal.release(lsns[2]);
        assert_eq!(journal.retired(), None);
        lsns.push(append(&journal, &large));
        assert_eq!(
            journal.append(&large).unwrap().map(|l| l.0),
            Some(lsns[6].0 + 1)
        );
        drop(journal);
        let (_, found) = open(dir.path(), lsns[2]);
        assert_eq!(found.len(), 5, "those that were not released");
    }

    #[test]
    fn a_record_that_a_failed_sync_may_have_lost_is_not_synced_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let first = append(&journal, b"in the database");
        let second = append(&journal, b"not yet");
        // A sync failed; the next one settled what it knew of while the second was on its way.
        journal.tail.lock().distrusted = true;
        journal.release(first);
        let settled = std::cell::Cell::new(0);
        let settle = || {
            settled.set(settled.get() + 1);
            journal.release(second);
            Ok(second)
        };
        journal.sync(settle).unwrap();
        assert_eq!(settled.get(), 1);
        journal.sync(settle).unwrap();
        assert_eq!(settled.get(), 1, "the database has it");
    }

    #[test]
    fn a_torn_end_is_no_record_and_a_hole_in_what_was_synced_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let start = journal.tail.lock().last;
        append(&journal, b"one");
        let at = journal.tail.lock().offset;
        append(&journal, b"two");
        drop(journal);
        let file = dir.path().join("a");
        let whole = fs::read(&file).unwrap();
        let damage = |bytes: &[u8]| {
            let mut bad = bytes.to_vec();
            bad[usize::try_from(at).unwrap() + 33] ^= 1;
            fs::write(&file, bad).unwrap();
        };
        damage(&whole);
        let (journal, found) = open(dir.path(), start);
        assert_eq!(found.len(), 1, "what was not synced may be lost");
        let start = journal.tail.lock().last;
        append(&journal, b"one");
        append(&journal, b"two");
        sync(&journal);
        append(&journal, b"three");
        drop(journal);
        damage(&fs::read(&file).unwrap());
        let journal = Journal::open(dir.path()).unwrap();
        let refused = journal
            .recover(start, &mut |_, _| Ok(ControlFlow::Continue(())))
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Corrupt);
    }
}
