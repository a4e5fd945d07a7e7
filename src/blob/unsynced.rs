//! Blobs whose files are complete, but maybe not on the disk yet.
//!
//! A file under `cas/` is written and named at once, so that it survives the daemon, and synced with others, so that a
//! power cut finds it too: all of them before anything durable names one of them. What could not be synced is written
//! again by the next sync: the kernel says only once that it lost bytes.

use super::cas::{Cas, write_file};
use crate::core::error::fail;
use crate::core::{Hash, Kind, Result};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, fstatfs};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Files that wait at most, each of them open; who brings one more syncs.
const WAITING_MAX: usize = 256;
/// From so many files on the whole filesystem is synced: one flush instead of one each.
const FILESYSTEM_FROM: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Unsynced {
    waiting: Mutex<Waiting>,
    /// Held while syncing: who finds nothing waiting has to wait for those who took it.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<Placed>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Placed {
    hash: Hash,
    /// As it was written, so that no error of its pages is missed; `None` when there was one.
    file: Option<File>,
}

impl Unsynced {
    pub(super) fn add(&self, hash: Hash, file: File, dir: Option<&Path>) {
        let mut waiting = self.waiting.lock();
        waiting.files.push(Placed {
            hash,
            file: Some(file),
        });
        waiting.dirs.extend(dir.map(Path::to_path_buf));
    }

    pub(super) fn add_dir(&self, dir: &Path) {
        self.waiting.lock().dirs.insert(dir.to_path_buf());
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.lock().files.len() >= WAITING_MAX
    }
}

impl Cas {
    /// Returns when every blob that was published before the call is on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        let _turn = self.unsynced.turn.lock();
        let mut taken = std::mem::take(&mut *self.unsynced.waiting.lock());
        let synced = self.sync_all(&mut taken);
        if synced.is_err() {
            let mut waiting = self.unsynced.waiting.lock();
            let lost = taken.files.into_iter().map(|placed| Placed {
                file: None,
                ..placed
            });
            waiting.files.extend(lost);
            waiting.dirs.append(&mut taken.dirs);
        }
        synced
    }

    fn sync_all(&self, taken: &mut Waiting) -> Result<()> {
        for placed in taken.files.iter_mut().filter(|p| p.file.is_none()) {
            placed.file = self.write_again(&placed.hash)?;
        }
        if taken.files.len() >= FILESYSTEM_FROM && self.syncs_as_one() {
            return Ok(nix::unistd::syncfs(&self.root).map_err(std::io::Error::from)?);
        }
        for file in taken.files.iter().filter_map(|p| p.file.as_ref()) {
            file.sync_data()?;
        }
        taken
            .dirs
            .iter()
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
