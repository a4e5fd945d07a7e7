//! Blobs whose files are complete, but maybe not on the disk yet.
//!
//! A file under `cas/` is written and named at once, so that it survives the daemon, and synced with others, so that a
//! power cut finds it too: before anything durable names it. Most of what waits is named by nothing yet, the chunks of files
//! that are still being written: whoever syncs a record waits for what records name, not for those. What could not be
//! synced is written again by the next sync: the kernel says only once that it lost bytes.

use super::cas::{Cas, write_file};
use crate::core::error::fail;
use crate::core::{Hash, Kind, Result};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, fstatfs};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::num::NonZeroUsize;

/// From so many files on the whole filesystem is synced: one flush instead of one each.
const FILESYSTEM_FROM: usize = 8;

#[derive(Debug)]
pub(super) struct Unsynced {
    /// Files that wait at most, each of them open; who brings one more syncs.
    waiting_max: NonZeroUsize,
    waiting: Mutex<Waiting>,
    /// Told when files have come back from the disk, with or without luck.
    returned: Condvar,
    /// One sync of all at a time.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    files: Vec<Placed>,
    /// What somebody is syncing: who needs one of these waits for him.
    under_way: HashSet<Hash>,
    /// What records name and no sync has brought to the disk yet.
    named: HashSet<Hash>,
    /// Directories made below `cas/`, and how many of them are known to be on the disk: not those of an earlier run.
    dirs: u64,
    dirs_synced: u64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            under_way: HashSet::new(),
            named: HashSet::new(),
            dirs: 1,
            dirs_synced: 0,
        }
    }
}

#[derive(Debug)]
struct Placed {
    hash: Hash,
    /// As it was written, so that no error of its pages is missed; `None` when there was one.
    file: Option<File>,
}

/// Files on their way to the disk.
struct Batch {
    files: Vec<Placed>,
    dirs: u64,
    /// Whether these are all that wait.
    all: bool,
}

impl Unsynced {
    pub(super) fn new(waiting_max: NonZeroUsize) -> Self {
        Self {
            waiting_max,
            waiting: Mutex::default(),
            returned: Condvar::default(),
            turn: Mutex::default(),
        }
    }

    pub(super) fn add(&self, hash: Hash, file: File) {
        self.waiting.lock().files.push(Placed {
            hash,
            file: Some(file),
        });
    }

    /// Notes that a directory was made: its name in `cas/` has to reach the disk too.
    pub(super) fn made_dir(&self) {
        self.waiting.lock().dirs += 1;
    }

    /// Notes that a record is about to name these blobs.
    pub(super) fn name(&self, hashes: &[Hash]) {
        if !hashes.is_empty() {
            self.waiting.lock().named.extend(hashes);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().files.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.lock().files.len() >= self.waiting_max.get()
    }
}

impl Waiting {
    /// Takes those of the files that are wanted out, as being synced.
    fn take(&mut self, wanted: impl Fn(&Self, &Hash) -> bool, all: bool) -> Batch {
        let waiting = std::mem::take(&mut self.files);
        let (files, rest) = waiting.into_iter().partition(|p| wanted(self, &p.hash));
        self.files = rest;
        let batch = Batch {
            files,
            dirs: self.dirs,
            all,
        };
        self.under_way.extend(batch.files.iter().map(|p| p.hash));
        batch
    }

    /// Whether those that records name are most of what waits, so that all may as well be synced.
    fn named_are_most(&self) -> bool {
        let named = self.files.iter().filter(|p| self.named.contains(&p.hash));
        let named = named.count();
        named >= FILESYSTEM_FROM && named * 2 >= self.files.len()
    }

    /// What neither waits nor is under way is on the disk.
    fn forget_synced(&mut self) {
        let waiting: HashSet<Hash> = self.files.iter().map(|p| p.hash).collect();
        let under_way = &self.under_way;
        self.named
            .retain(|h| waiting.contains(h) || under_way.contains(h));
    }

    /// Takes over how a sync of some files ended.
    fn settle(&mut self, batch: Batch, synced: &Result<()>) {
        for placed in &batch.files {
            self.under_way.remove(&placed.hash);
        }
        if synced.is_ok() {
            self.dirs_synced = self.dirs_synced.max(batch.dirs);
            self.forget_synced();
            return;
        }
        if batch.all {
            // An error told to a sync of the whole filesystem may be about any of its files, and is not told again.
            self.files.iter_mut().for_each(|p| p.file = None);
        }
        let lost = batch.files.into_iter().map(|p| Placed { file: None, ..p });
        self.files.extend(lost);
    }
}

impl Cas {
    /// Returns when every blob that was published before the call is on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        let _turn = self.unsynced.turn.lock();
        let mut waiting = self.unsynced.waiting.lock();
        while !waiting.under_way.is_empty() {
            self.unsynced.returned.wait(&mut waiting);
        }
        let batch = waiting.take(|_, _| true, true);
        drop(waiting);
        self.bring(batch)
    }

    /// Returns when every blob that records name is on the disk.
    pub(super) fn sync_named(&self) -> Result<()> {
        let mut waiting = self.unsynced.waiting.lock();
        while !waiting.named.is_disjoint(&waiting.under_way) {
            self.unsynced.returned.wait(&mut waiting);
        }
        waiting.forget_synced();
        if waiting.named.is_empty() {
            return Ok(());
        }
        if waiting.named_are_most() {
            drop(waiting);
            return self.sync();
        }
        let batch = waiting.take(|w, hash| w.named.contains(hash), false);
        drop(waiting);
        self.bring(batch)
    }

    fn bring(&self, mut batch: Batch) -> Result<()> {
        let synced = self.sync_batch(&mut batch);
        self.unsynced.waiting.lock().settle(batch, &synced);
        self.unsynced.returned.notify_all();
        synced
    }

    fn sync_batch(&self, batch: &mut Batch) -> Result<()> {
        for placed in batch.files.iter_mut().filter(|p| p.file.is_none()) {
            placed.file = self.write_again(&placed.hash)?;
        }
        if batch.all && batch.files.len() >= FILESYSTEM_FROM && self.syncs_as_one() {
            return Ok(nix::unistd::syncfs(&self.root).map_err(std::io::Error::from)?);
        }
        for file in batch.files.iter().filter_map(|p| p.file.as_ref()) {
            file.sync_data()?;
        }
        let paths = batch.files.iter().map(|placed| self.path(&placed.hash));
        let mut dirs: BTreeSet<_> = paths
            .filter_map(|path| path.parent().map(std::path::Path::to_path_buf))
            .collect();
        if self.unsynced.waiting.lock().dirs_synced < batch.dirs {
            dirs.insert(self.dir.clone());
        }
        dirs.iter()
            .try_for_each(|dir| Ok(File::open(dir)?.sync_all()?))
    }

    /// Whether syncfs(2) brings everything to the disk and tells of what it could not bring, as it does on these; not
    /// on FUSE, where the server hears nothing of it.
    fn syncs_as_one(&self) -> bool {
        fstatfs(&self.root).is_ok_and(|stat| {
            [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC].contains(&stat.filesystem_type())
        })
    }

    /// Writes a file anew from what the kernel still has of it; one that was swept meanwhile is not needed.
    fn write_again(&self, hash: &Hash) -> Result<Option<File>> {
        let found = self.read(hash).and_then(|found| match found {
            Some(bytes) if Hash::of(&bytes) != *hash => {
                fail(Kind::Corrupt, format!("the disk lost blob {hash}"))
            }
            other => Ok(other),
        });
        let bytes = match found {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(e) => {
                // Told once; whoever still has the bytes can store them again.
                self.remove(hash)?;
                return Err(e);
            }
        };
        let from = self.temporary();
        let file = write_file(&from, &bytes)?;
        std::fs::rename(from, self.path(hash))?;
        Ok(Some(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Disk {
        dir: tempfile::TempDir,
        cas: Cas,
    }

    impl Disk {
        fn new() -> Self {
            Self::of(NonZeroUsize::MAX)
        }

        fn of(open_max: NonZeroUsize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let cas = Cas::open(dir.path().join("cas"), open_max).unwrap();
            Self { dir, cas }
        }

        fn add(&self, n: u64) -> Hash {
            let bytes = n.to_le_bytes();
            let hash = Hash::of(&bytes);
            self.cas.add(&hash, &bytes).unwrap();
            hash
        }

        /// Makes every sync of a blob fail until the answer is renamed back to where it was.
        fn break_off(&self, hash: &Hash) -> (PathBuf, PathBuf) {
            let place = self.cas.path(hash).with_file_name("");
            let aside = self.dir.path().join(hash.to_string());
            std::fs::rename(&place, &aside).unwrap();
            (aside, place)
        }

        fn waiting(&self) -> usize {
            self.cas.unsynced.waiting.lock().files.len()
        }
    }

    #[test]
    fn no_more_wait_than_may_be_open() {
        let disk = Disk::of(NonZeroUsize::new(3).unwrap());
        for n in 0..20 {
            disk.add(n);
            assert!((1..=3).contains(&disk.waiting()));
        }
    }

    #[test]
    fn what_no_record_names_is_not_waited_for() {
        let disk = Disk::new();
        let (small, large) = (disk.add(1), disk.add(2));
        let (aside, place) = disk.break_off(&large);
        disk.cas.sync_named().unwrap();
        assert_eq!(disk.waiting(), 2, "nothing is named, nothing is synced");
        disk.cas.unsynced.name(&[small]);
        disk.cas.sync_named().unwrap();
        assert_eq!(disk.waiting(), 1, "only the named one");
        disk.cas.unsynced.name(&[large]);
        assert!(disk.cas.sync_named().is_err());
        assert!(disk.cas.sync_named().is_err(), "until it succeeds");
        std::fs::rename(aside, place).unwrap();
        disk.cas.sync_named().unwrap();
        assert_eq!(disk.waiting(), 0);
        assert!(disk.cas.unsynced.waiting.lock().named.is_empty());
    }

    #[test]
    fn a_blob_that_was_on_the_disk_before_a_record_named_it_is_not_looked_for() {
        let disk = Disk::new();
        let hash = disk.add(1);
        disk.cas.sync().unwrap();
        disk.cas.unsynced.name(&[hash]);
        disk.break_off(&hash);
        disk.cas.sync_named().unwrap();
        assert!(disk.cas.unsynced.waiting.lock().named.is_empty());
    }

    #[test]
    fn who_needs_what_somebody_else_is_syncing_waits_for_him() {
        let disk = Disk::new();
        let (hash, other) = (disk.add(1), disk.add(2));
        disk.cas.unsynced.name(&[hash]);
        let under_way = disk
            .cas
            .unsynced
            .waiting
            .lock()
            .take(|_, h| *h == hash, false);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| disk.cas.sync_named().unwrap());
            disk.cas.unsynced.name(&[]);
            assert!(!waits.is_finished());
            assert_eq!(disk.waiting(), 1, "{other} is named by nothing");
            // It fails: the one who waits has to write the blob again.
            let failed = fail(Kind::Io, "no");
            disk.cas.unsynced.waiting.lock().settle(under_way, &failed);
            disk.cas.unsynced.returned.notify_all();
        });
        assert_eq!(disk.waiting(), 1);
        assert_eq!(disk.cas.read(&hash).unwrap().unwrap(), 1_u64.to_le_bytes());
    }

    #[test]
    fn an_error_of_the_whole_filesystem_is_about_everything_that_waits() {
        let disk = Disk::new();
        let hash = disk.add(1);
        let batch = disk.cas.unsynced.waiting.lock().take(|_, _| true, true);
        let later = disk.add(2);
        let failed = fail(Kind::Io, "no");
        disk.cas.unsynced.waiting.lock().settle(batch, &failed);
        let waiting = disk.cas.unsynced.waiting.lock();
        assert!(waiting.files.iter().all(|p| p.file.is_none()));
        assert!(
            [hash, later]
                .iter()
                .all(|h| waiting.files.iter().any(|p| p.hash == *h))
        );
    }

    #[test]
    fn many_named_files_are_synced_with_all() {
        let disk = Disk::new();
        let hashes: Vec<_> = (0..20).map(|n| disk.add(n)).collect();
        disk.cas.unsynced.name(&hashes[..15]);
        disk.cas.sync_named().unwrap();
        assert_eq!(disk.waiting(), 0, "most of them were named");
        disk.cas.unsynced.name(&hashes);
        disk.cas.sync_named().unwrap();
        assert!(disk.cas.unsynced.waiting.lock().named.is_empty());
    }
}
