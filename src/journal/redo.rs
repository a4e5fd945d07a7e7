//! Appending, syncing, and writing over what is no longer needed.

use super::notes::Notes;
use super::record::{Lsn, PAYLOAD_MAX, frame, size};
use super::recover;
use super::seal::{self, Seal};
use super::segment::{Segment, Tail};
use crate::core::{Kind, Result, error::fail};
use crate::db::group_sync::{GroupSync, Past};
use crate::db::owner;
use parking_lot::Mutex;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes after which the other segment is written. What a restart has to apply again is two of them at most.
const SEGMENT: u64 = 32 << 20;

/// Takes a record, and whether it is known to have been on disk before the crash; says whether to go on to the next.
pub(super) type Visit<'a> = dyn FnMut(Lsn, &[u8], bool) -> Result<ControlFlow<()>> + 'a;

/// The journal of one store: two segments that take turns.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// What the records of earlier runs have; `None` before there was a file of it.
    found: Option<Seal>,
    seal: Seal,
    segments: [Segment; 2],
    notes: Notes,
    /// Whether a segment's file had to be made though there was a store.
    was_cut: AtomicBool,
    tail: Mutex<Tail>,
    group: GroupSync,
    synced: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
}

impl Journal {
    /// Opens the files, making them when there are none. Call [`Journal::recover`] before anything else.
    pub fn open(dir: &Path) -> Result<Self> {
        owner::make_dir(dir)?;
        let is_new = super::NAMES.iter().any(|name| !dir.join(name).exists());
        let [a, b] = super::NAMES.map(|name| Segment::open(&dir.join(name)));
        File::open(dir)?.sync_all()?;
        if let Some(parent) = dir.parent() {
            File::open(parent)?.sync_all()?;
        }
        let found = Seal::read(dir)?;
        let seal = found.map_or_else(Seal::new, Ok)?;
        Ok(Self {
            dir: dir.to_owned(),
            found,
            seal,
            segments: [a?, b?],
            notes: Notes::open(dir)?,
            was_cut: AtomicBool::new(is_new),
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
        let seal = self.found.unwrap_or(seal::PLAIN);
        let [a, b] = self.segments.each_ref().map(|s| s.read(seal, applied));
        let (a, b) = (a?, b?);
        if self.found.is_none() {
            for (name, bytes) in super::NAMES.iter().zip([&a, &b]) {
                has_no_seal(name, bytes)?;
            }
        }
        let noted = self.notes.read(seal);
        // Of a run of which something is noted the notes tell; one that the database has nothing of had hardly begun.
        let was_cut = noted.next_run() != applied.next_run() && !applied.is_of_none();
        self.was_cut.fetch_and(was_cut, Ordering::AcqRel);
        recover::scan([&a, &b], seal, (applied, noted), visit)
    }

    /// Whether segments were gone when the journal was opened, and nobody knows whether they had anything that the database has
    /// not.
    pub fn was_cut(&self) -> bool {
        self.was_cut.load(Ordering::Acquire)
    }

    /// Begins anew after `last`, a number that no run has had before. The database must have everything up to it on disk.
    pub fn restart(&self, last: Lsn) -> Result<()> {
        if self.found.is_none() {
            self.seal.write(&self.dir)?;
        }
        *self.tail.lock() = Tail::starting_after(last);
        self.synced.store(last.0, Ordering::Release);
        Ok(())
    }

    /// Writes a record. `None` when both segments are in use, or an earlier sync failed: apply everything, make the
    /// database sync, [`Journal::release`] it, and try again. One change at a time may append; `payload` is not empty, and fails
    /// with `TooBig` from 4 GiB on.
    pub fn append(&self, payload: &[u8]) -> Result<Option<Lsn>> {
        if payload.len() > PAYLOAD_MAX {
            return fail(Kind::TooBig, "a change of more than 4 GiB has no record");
        }
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
            self.seal,
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

    /// Makes every record so far survive a power cut, `named` first: it brings to the disk what those records name. `settle` is
    /// called when an earlier sync failed: it has to bring everything to the database's disk instead, for what a failed sync
    /// left in the page cache cannot be trusted.
    pub fn sync(
        &self,
        named: impl Fn() -> Result<()>,
        settle: impl Fn() -> Result<Lsn>,
    ) -> Result<()> {
        let ticket = self.group.ticket();
        let outcome = self.group.wait(ticket, |past| {
            self.syncs.fetch_add(1, Ordering::Relaxed);
            let last = match past {
                Past::Sound if self.is_trusted() => self.sync_segments(&named)?,
                Past::Sound | Past::Failed => settle()?,
            };
            self.synced.fetch_max(last.0, Ordering::AcqRel);
            self.mark();
            Ok(())
        });
        outcome.map_err(|e| e.context("cannot sync the journal"))
    }

    /// Says behind the newest record what is on disk: without it damage to that record would look like a crash before its
    /// sync. One pwrite(2) of 32 bytes that the next record takes the place of, and one beside the segments for whoever cuts
    /// those; they reach the disk when the kernel likes.
    fn mark(&self) {
        let tail = self.tail.lock();
        let synced = Lsn(self.synced.load(Ordering::Acquire));
        let mut mark = Vec::with_capacity(size(0));
        frame(self.seal, tail.last.next(), synced, &[], &mut mark);
        self.segments[tail.active].note(tail.offset, &mark);
        self.notes.write(&mark);
    }

    /// Whether no record lies where a sync failed, but those that the database has on disk. One that was on its way while
    /// [`Journal::sync`] settled may.
    fn is_trusted(&self) -> bool {
        let tail = self.tail.lock();
        !tail.distrusted || tail.released >= tail.last
    }

    fn sync_segments(&self, named: &impl Fn() -> Result<()>) -> Result<Lsn> {
        let (last, active) = {
            let tail = self.tail.lock();
            (tail.last, tail.active)
        };
        // Of these records: what a later one names may not be on the disk, and no word of that one is given.
        named()?;
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

/// Fails where records are that only a seal tells: its file is gone.
fn has_no_seal(name: &str, segment: &[u8]) -> Result<()> {
    let first = segment.first_chunk().unwrap_or(&[0; 4]);
    if *first == [0; 4] || *first == seal::PLAIN.0[..4] {
        return Ok(());
    }
    fail(
        Kind::Corrupt,
        format!(
            "the journal is damaged: `seal` is gone, which the records of segment {name} are read with. {}",
            super::CURE
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(dir: &Path, applied: Lsn) -> (Journal, Vec<(Lsn, Vec<u8>)>) {
        let journal = Journal::open(dir).unwrap();
        let mut found = vec![];
        let last = journal.recover(applied, &mut |lsn, bytes, _| {
            found.push((lsn, bytes.to_vec()));
            Ok(ControlFlow::Continue(()))
        });
        journal.restart(last.unwrap().next_run()).unwrap();
        (journal, found)
    }

    fn append(journal: &Journal, bytes: &[u8]) -> Lsn {
        journal.append(bytes).unwrap().unwrap()
    }

    fn sync(journal: &Journal) {
        let settle = || panic!("no sync has failed");
        journal.sync(|| Ok(()), settle).unwrap();
    }

    #[test]
    fn a_record_that_comes_while_blobs_are_synced_is_not_said_to_be_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let first = append(&journal, b"its blobs are synced");
        let blobs = || {
            append(&journal, b"its blobs are not");
            Ok(())
        };
        let settle = || panic!("no sync has failed");
        journal.sync(blobs, settle).unwrap();
        assert_eq!(journal.synced.load(Ordering::Acquire), first.0);
        sync(&journal);
        assert_eq!(journal.synced.load(Ordering::Acquire), first.next().0);
    }

    #[test]
    fn a_change_whose_length_no_header_holds_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        // Zeros that nobody reads take no memory.
        let refused = journal.append(&vec![0; PAYLOAD_MAX + 1]).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooBig);
        append(&journal, b"the next one");
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
        journal.sync(|| Ok(()), settle).unwrap();
        assert_eq!(settled.get(), 1);
        journal.sync(|| Ok(()), settle).unwrap();
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
            .recover(start, &mut |_, _, _| Ok(ControlFlow::Continue(())))
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Corrupt);
    }

    #[test]
    fn damage_to_the_newest_record_that_was_synced_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let start = journal.tail.lock().last;
        append(&journal, b"one");
        let at = usize::try_from(journal.tail.lock().offset).unwrap();
        append(&journal, b"two");
        sync(&journal);
        drop(journal);
        let mut bytes = fs::read(dir.path().join("a")).unwrap();
        bytes[at + 33] ^= 1;
        fs::write(dir.path().join("a"), bytes).unwrap();
        let told = refusal(dir.path(), start);
        assert!(told.contains(&format!("segment a at byte {at}:")), "{told}");
    }

    /// Why the journal cannot be recovered.
    fn refusal(dir: &Path, applied: Lsn) -> String {
        let recovered = Journal::open(dir)
            .and_then(|j| j.recover(applied, &mut |_, _, _| Ok(ControlFlow::Continue(()))));
        let refused = recovered.unwrap_err();
        assert_eq!(refused.kind(), Kind::Corrupt);
        refused.message().to_owned()
    }

    #[test]
    fn a_damaged_first_record_is_not_taken_for_one_of_an_earlier_run() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let start = journal.tail.lock().last;
        append(&journal, b"one");
        sync(&journal);
        drop(journal);
        let mut bytes = fs::read(dir.path().join("a")).unwrap();
        bytes[12] ^= 1; // The lowest bit that counts runs.
        fs::write(dir.path().join("a"), bytes).unwrap();
        assert!(refusal(dir.path(), start).contains("segment a at byte 0:"));
    }

    #[test]
    fn without_a_sound_seal_nothing_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path(), Lsn(0));
        let start = journal.tail.lock().last;
        append(&journal, b"one");
        drop(journal);
        let seal = dir.path().join("seal");
        let whole = fs::read(&seal).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&seal, bad).unwrap();
            assert!(refusal(dir.path(), start).contains("seal is damaged"));
        }
        fs::remove_file(&seal).unwrap();
        assert!(refusal(dir.path(), start).contains("`seal` is gone"));
        fs::write(&seal, whole).unwrap();
        assert_eq!(open(dir.path(), start).1.len(), 1);
    }

    #[test]
    fn a_journal_from_before_there_were_seals_is_read_and_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        let start = Lsn(1 << 32);
        let mut old = vec![];
        frame(seal::PLAIN, start.next(), start, b"one", &mut old);
        fs::write(dir.path().join("a"), old).unwrap();
        let (journal, found) = open(dir.path(), start);
        assert_eq!(found, [(start.next(), b"one".to_vec())]);
        let second = append(&journal, b"two");
        drop(journal);
        let (_, found) = open(dir.path(), start.next().next_run());
        assert_eq!(found, [(second, b"two".to_vec())]);
    }
}
