//! Blobs as files: `cas/ab/<sha256>`.
//!
//! Promises: a name under `cas/` appears only when its file is complete, so that the death of the daemon leaves none that
//! is not; and it is on disk with its bytes once [`Cas::sync`] has returned.

use super::unsynced::Unsynced;
use crate::core::{Error, Hash, Kind, Result};
use crate::db::owner;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Cas {
    pub(super) dir: PathBuf,
    /// The directory, open from the start: errors of the disk since then are told through it.
    pub(super) root: File,
    next: AtomicU64,
    pub(super) unsynced: Unsynced,
}

impl Cas {
    /// Keeps about so many files open that are to be synced.
    pub(super) fn open(dir: PathBuf, open_max: NonZeroUsize) -> Result<Self> {
        clean_dir(&dir.join("tmp"))?;
        Ok(Self {
            root: File::open(&dir)?,
            dir,
            next: AtomicU64::new(0),
            unsynced: Unsynced::new(open_max),
        })
    }

    /// Reads a blob without judging it; `None` when there is no such file.
    pub(super) fn read(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        absent_is_none(std::fs::read(self.path(hash)), "read", hash)
    }

    /// Says whether there is a file with the bytes that its name promises, and counts it among those to be synced.
    pub(super) fn holds(&self, hash: &Hash) -> Result<bool> {
        if self.read(hash)?.is_none_or(|b| Hash::of(&b) != *hash) {
            return Ok(false);
        }
        if self.unsynced.is_full() {
            self.sync()?;
        }
        self.unsynced.add(*hash, File::open(self.path(hash))?);
        Ok(true)
    }

    /// Removes a blob's file; one that is gone already is fine.
    pub(super) fn remove(&self, hash: &Hash) -> Result<()> {
        absent_is_none(std::fs::remove_file(self.path(hash)), "remove", hash).map(|_| ())
    }

    /// Lists every blob with its size. Files that are not named like a blob are not ours.
    pub(super) fn list(&self) -> Result<Vec<(Hash, u64)>> {
        let mut found = Vec::new();
        for dir in std::fs::read_dir(&self.dir)? {
            let dir = dir?;
            if dir.file_name().len() != 2 {
                continue;
            }
            for file in std::fs::read_dir(dir.path())? {
                let file = file?;
                if let Ok(hash) = Hash::from_str(&file.file_name().to_string_lossy()) {
                    found.push((hash, file.metadata()?.len()));
                }
            }
        }
        Ok(found)
    }

    /// Adds a blob, unless a file with its bytes is there already: complete when this returns, durable after a
    /// [`Cas::sync`].
    pub(super) fn add(&self, hash: &Hash, bytes: &[u8]) -> Result<()> {
        let in_hand = |e: Error| e.context(format!("cannot write blob {hash}"));
        if self.unsynced.is_full() {
            self.sync()?;
        }
        let to = self.path(hash);
        let file = match find(&to, bytes).map_err(in_hand)? {
            Some(file) => file,
            None => self.place(&to, bytes).map_err(in_hand)?,
        };
        self.unsynced.add(*hash, file);
        Ok(())
    }

    fn place(&self, to: &Path, bytes: &[u8]) -> Result<File> {
        let from = self.temporary();
        let moved = write_file(&from, bytes).and_then(|file| {
            self.rename(&from, to)?;
            Ok(file)
        });
        if moved.is_err()
            && let Err(e) = std::fs::remove_file(&from)
        {
            // The next start clears the directory.
            tracing::debug!(file = %from.display(), "cannot remove an unfinished blob: {e}");
        }
        moved
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        match (std::fs::rename(from, to), to.parent()) {
            (Err(e), Some(parent)) if e.kind() == ErrorKind::NotFound => {
                make_dir(parent)?;
                self.unsynced.made_dir();
                Ok(std::fs::rename(from, to)?)
            }
            (moved, _) => Ok(moved?),
        }
    }

    /// Names a file that nobody has.
    pub(super) fn temporary(&self) -> PathBuf {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("tmp/{next}"))
    }

    /// Where people find a blob's file, below the data directory.
    pub(super) fn name(hash: &Hash) -> String {
        let name = hash.to_string();
        format!("cas/{}/{name}", &name[..2])
    }

    pub(super) fn path(&self, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        self.dir.join(&name[..2]).join(name)
    }
}

/// Finds a file that holds the bytes. Its length is not enough: a power cut may have left it without them.
fn find(path: &Path, bytes: &[u8]) -> Result<Option<File>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(bytes.len());
    let read = file.read_to_end(&mut found).is_ok();
    Ok((read && found == bytes).then_some(file))
}

/// Writes a new file, and lets the kernel begin to bring it to the disk.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut file = owner::make_file(path)?;
    file.write_all(bytes)?;
    // Of pages that are dirty, this advice makes the kernel write them; that it does not is no error.
    if let Err(e) = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED) {
        tracing::trace!("no write-out ahead: {e}");
    }
    Ok(file)
}

/// Makes a directory that holds nothing: what an earlier run left in it is removed.
pub(super) fn clean_dir(dir: &Path) -> Result<()> {
    make_dir(dir)?;
    for entry in std::fs::read_dir(dir)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

fn make_dir(dir: &Path) -> Result<()> {
    let made = owner::make_dir(dir);
    made.map_err(|e| Error::from(e).context(format!("cannot create {}", dir.display())))
}

fn absent_is_none<T>(result: std::io::Result<T>, verb: &str, hash: &Hash) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::new(Kind::Io, format!("cannot {verb} blob {hash}: {e}")).caused_by(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    fn cas(dir: &tempfile::TempDir) -> Cas {
        Cas::open(dir.path().join("cas"), NonZeroUsize::MAX).unwrap()
    }

    fn put(cas: &Cas, bytes: &[u8]) -> Hash {
        let hash = Hash::of(bytes);
        cas.add(&hash, bytes).unwrap();
        cas.sync().unwrap();
        hash
    }

    #[test]
    fn what_was_added_is_read_back_and_listed() {
        let dir = tempfile::tempdir().unwrap();
        let cas = cas(&dir);
        let hash = put(&cas, b"bytes");
        assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
        assert_eq!(cas.list().unwrap(), [(hash, 5)]);
        assert_eq!(cas.read(&Hash::of(b"others")).unwrap(), None);
        cas.remove(&hash).unwrap();
        assert_eq!(cas.read(&hash).unwrap(), None);
    }

    #[test]
    fn a_start_clears_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("cas/tmp");
        std::fs::create_dir_all(&tmp).unwrap();
        std::fs::write(tmp.join("0"), b"half").unwrap();
        put(&cas(&dir), b"bytes");
        assert_eq!(std::fs::read_dir(tmp).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_lost_its_bytes_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cas = cas(&dir);
        let hash = put(&cas, b"bytes");
        for damaged in [&b"byt"[..], b"\0\0\0\0\0"] {
            std::fs::write(cas.path(&hash), damaged).unwrap();
            put(&cas, b"bytes");
            assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
        }
    }

    #[test]
    fn what_could_not_be_synced_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let cas = cas(&dir);
        let hash = Hash::of(b"bytes");
        cas.add(&hash, b"bytes").unwrap();
        let place = cas.path(&hash).with_file_name("");
        let aside = dir.path().join("aside");
        std::fs::rename(&place, &aside).unwrap();
        assert!(cas.sync().is_err());
        std::fs::rename(aside, place).unwrap();
        let number = |cas: &Cas| std::fs::metadata(cas.path(&hash)).unwrap().ino();
        let before = number(&cas);
        cas.sync().unwrap();
        assert_ne!(number(&cas), before);
        assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
        cas.sync().unwrap();
    }

    #[test]
    fn what_the_disk_lost_is_told_once_and_can_be_stored_again() {
        let dir = tempfile::tempdir().unwrap();
        let cas = cas(&dir);
        let hash = Hash::of(b"bytes");
        cas.add(&hash, b"bytes").unwrap();
        let place = cas.path(&hash).with_file_name("");
        let aside = dir.path().join("aside");
        std::fs::rename(&place, &aside).unwrap();
        assert!(cas.sync().is_err());
        std::fs::rename(aside, place).unwrap();
        std::fs::write(cas.path(&hash), b"lost!").unwrap();
        assert_eq!(cas.sync().unwrap_err().kind(), Kind::Corrupt);
        cas.sync().unwrap();
        put(&cas, b"bytes");
        assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
    }

    #[test]
    fn more_files_than_may_wait_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let cas = cas(&dir);
        for n in 0..600_u32 {
            let bytes = n.to_le_bytes();
            cas.add(&Hash::of(&bytes), &bytes).unwrap();
        }
        cas.sync().unwrap();
        assert_eq!(cas.list().unwrap().len(), 600);
    }
}
