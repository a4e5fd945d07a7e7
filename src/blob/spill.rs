//! Files under `work/` for what is written and does not fit into memory.
//!
//! They have no names, so that a crash leaves none, and are used again: the host may wait for a discard
//! whenever a file goes away.

use super::cas::clean_dir;
use crate::core::{Error, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Empty files kept for the next who needs one.
const SPARE_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Pool {
    dir: PathBuf,
    next: AtomicU64,
    spare: Mutex<Vec<File>>,
}

impl Pool {
    pub(super) fn open(dir: PathBuf) -> Result<Self> {
        clean_dir(&dir)?;
        Ok(Self {
            dir,
            next: AtomicU64::new(0),
            spare: Mutex::default(),
        })
    }

    /// Gives an empty file; dropping it gives it back.
    pub(super) fn lend(self: &Arc<Self>) -> Result<WorkFile> {
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let file = match spare {
            Some(file) => file,
            None => self.create()?,
        };
        Ok(WorkFile {
            file,
            pool: Arc::clone(self),
        })
    }

    fn create(&self) -> Result<File> {
        let path = self
            .dir
            .join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|e| Error::from(e).context("cannot create a work file"))?;
        std::fs::remove_file(path)?;
        Ok(file)
    }
}

/// A work file on loan.
#[derive(Debug)]
pub(super) struct WorkFile {
    pub(super) file: File,
    pool: Arc<Pool>,
}

impl Drop for WorkFile {
    fn drop(&mut self) {
        // One that cannot be emptied is closed, and so gone.
        let Ok(file) = self.file.set_len(0).and_then(|()| self.file.try_clone()) else {
            return;
        };
        let mut spare = self
            .pool
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    #[test]
    fn a_file_that_was_given_back_is_lent_again_and_empty() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Arc::new(Pool::open(dir.path().join("work")).unwrap());
        let first = pool.lend().unwrap();
        first.file.write_all_at(b"x", 5).unwrap();
        let number = first.file.metadata().unwrap().ino();
        drop(first);
        let again = pool.lend().unwrap().file.metadata().unwrap();
        assert_eq!((again.ino(), again.len()), (number, 0));
        assert_eq!(
            std::fs::read_dir(dir.path().join("work")).unwrap().count(),
            0
        );
    }
}
