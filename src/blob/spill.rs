//! Files under `work/` for what is written and does not fit into memory.
//!
//! There may be as many as people have files open, and far fewer descriptors: so they have names, only those used last are
//! kept open, and another is opened again when it is needed. What a crash leaves, the next start removes. They are used
//! again: the host may wait for a discard whenever a file goes away.

use super::cas::clean_dir;
use crate::core::{Error, Kind, Result};
use lru::LruCache;
use nix::errno::Errno;
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Empty files kept for the next who needs one.
const SPARE_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Pool {
    dir: PathBuf,
    next: AtomicU64,
    /// By number, which is the name.
    open: Mutex<LruCache<u64, Arc<File>>>,
    spare: Mutex<Vec<u64>>,
}

impl Pool {
    /// Clears the directory. At most `open_max` files are kept open, and beyond them one a thread that is using it.
    pub(super) fn open(dir: PathBuf, open_max: NonZeroUsize) -> Result<Self> {
        clean_dir(&dir)?;
        Ok(Self {
            dir,
            next: AtomicU64::new(0),
            open: Mutex::new(LruCache::new(open_max)),
            spare: Mutex::default(),
        })
    }

    /// Gives an empty file; dropping it gives it back.
    pub(super) fn lend(self: &Arc<Self>) -> Result<WorkFile> {
        let spare = self.spare.lock().pop();
        Ok(WorkFile {
            number: spare.map_or_else(|| self.create(), Ok)?,
            pool: Arc::clone(self),
        })
    }

    fn create(&self) -> Result<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let created = self.keep_open(number, &options);
        created.map_err(|e| Error::from(e).context("cannot create a work file"))?;
        Ok(number)
    }

    fn file(&self, number: u64) -> Result<Arc<File>> {
        if let Some(file) = self.open.lock().get(&number) {
            return Ok(Arc::clone(file));
        }
        let opened = self.keep_open(number, OpenOptions::new().read(true).write(true));
        opened.map_err(|e| {
            Error::new(Kind::Io, format!("cannot open work file {number}: {e}")).caused_by(e)
        })
    }

    fn keep_open(&self, number: u64, options: &OpenOptions) -> io::Result<Arc<File>> {
        let path = self.path(number);
        let opened = match options.open(&path) {
            Err(e) if is_want_of_descriptors(&e) => {
                self.close_all();
                options.open(&path)
            }
            other => other,
        };
        let file = Arc::new(opened?);
        // Closed, like all others, without holding anybody up: a host may take its time.
        let _least = self.open.lock().push(number, Arc::clone(&file));
        Ok(file)
    }

    fn close_all(&self) {
        let mut open = self.open.lock();
        let none = LruCache::new(open.cap());
        let closed = std::mem::replace(&mut *open, none);
        drop(open);
        drop(closed);
    }

    /// Keeps a file for the next one or removes it. What is not open is not opened for that.
    fn take_back(&self, number: u64) {
        let open = self.open.lock().peek(&number).map(Arc::clone);
        let is_empty = open.is_some_and(|file| file.set_len(0).is_ok());
        if is_empty && self.keep_spare(number) {
            return;
        }
        let closed = self.open.lock().pop(&number);
        drop(closed);
        self.remove(number);
    }

    fn keep_spare(&self, number: u64) -> bool {
        let mut spare = self.spare.lock();
        let fits = spare.len() < SPARE_MAX;
        if fits {
            spare.push(number);
        }
        fits
    }

    fn remove(&self, number: u64) {
        if let Err(e) = std::fs::remove_file(self.path(number)) {
            tracing::warn!("work file {number} stays until the next start: {e}");
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(number.to_string())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let spare = std::mem::take(self.spare.get_mut());
        for number in spare {
            self.remove(number);
        }
    }
}

/// A work file on loan.
#[derive(Debug)]
pub(super) struct WorkFile {
    number: u64,
    pool: Arc<Pool>,
}

impl WorkFile {
    /// Gives the file, open. Fails when it cannot be opened; what is in it stays there.
    pub(super) fn file(&self) -> Result<Arc<File>> {
        self.pool.file(self.number)
    }
}

impl Drop for WorkFile {
    fn drop(&mut self) {
        self.pool.take_back(self.number);
    }
}

fn is_want_of_descriptors(e: &io::Error) -> bool {
    let errno = e.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    fn pool(open_max: usize) -> (tempfile::TempDir, Arc<Pool>) {
        let dir = tempfile::tempdir().unwrap();
        let open_max = NonZeroUsize::new(open_max).unwrap();
        let pool = Pool::open(dir.path().join("work"), open_max).unwrap();
        (dir, Arc::new(pool))
    }

    fn names(dir: &tempfile::TempDir) -> usize {
        std::fs::read_dir(dir.path().join("work")).unwrap().count()
    }

    #[test]
    fn a_file_that_was_given_back_is_lent_again_and_empty() {
        let (dir, pool) = pool(4);
        let first = pool.lend().unwrap();
        let file = first.file().unwrap();
        file.write_all_at(b"x", 5).unwrap();
        let number = file.metadata().unwrap().ino();
        drop(first);
        let again = pool.lend().unwrap();
        let found = again.file().unwrap().metadata().unwrap();
        assert_eq!((found.ino(), found.len()), (number, 0));
        assert_eq!(names(&dir), 1);
        drop((again, pool));
        assert_eq!(names(&dir), 0);
    }

    #[test]
    fn more_files_than_may_be_open_keep_what_is_in_them() {
        let (dir, pool) = pool(2);
        let lent: Vec<_> = (0..20).map(|_| pool.lend().unwrap()).collect();
        for (n, work) in (0..).zip(&lent) {
            work.file().unwrap().write_all_at(&[n; 3], 7).unwrap();
            assert!(pool.open.lock().len() <= 2);
        }
        for (n, work) in (0..).zip(&lent) {
            let mut found = [0; 3];
            work.file().unwrap().read_exact_at(&mut found, 7).unwrap();
            assert_eq!(found, [n; 3]);
            assert!(pool.open.lock().len() <= 2);
        }
        assert_eq!(names(&dir), 20);
        drop(lent);
        assert!(pool.open.lock().len() <= 2, "spares count, too");
        assert_eq!(names(&dir), pool.spare.lock().len());
        let again: Vec<_> = (0..4).map(|_| pool.lend().unwrap()).collect();
        for work in &again {
            assert_eq!(work.file().unwrap().metadata().unwrap().len(), 0);
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_keeps_what_is_in_it() {
        let (dir, pool) = pool(1);
        let (first, second) = (pool.lend().unwrap(), pool.lend().unwrap());
        first.file().unwrap().write_all_at(b"kept", 0).unwrap();
        second.file().unwrap();
        let (place, aside) = (dir.path().join("work"), dir.path().join("aside"));
        std::fs::rename(&place, &aside).unwrap();
        let error = first.file().unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains("work file 0"), "{error}");
        std::fs::rename(&aside, &place).unwrap();
        let mut found = [0; 4];
        first.file().unwrap().read_exact_at(&mut found, 0).unwrap();
        assert_eq!(&found, b"kept");
    }
}
