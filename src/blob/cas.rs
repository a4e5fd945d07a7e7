//! Blobs as files: `cas/ab/<sha256>`.
//!
//! Promises: a name under `cas/` appears only when its bytes are on disk, and is on disk itself once
//! [`Batch::publish`] has returned. What a crash leaves is under `cas/tmp/`, or complete and unreferenced.

use crate::core::{Error, Hash, Kind, Result};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files that wait in `cas/tmp/` at most before they are synced and renamed.
const BATCH_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Cas {
    dir: PathBuf,
    next: AtomicU64,
}

impl Cas {
    pub(super) fn open(dir: PathBuf) -> Result<Self> {
        clean_dir(&dir.join("tmp"))?;
        Ok(Self {
            dir,
            next: AtomicU64::new(0),
        })
    }

    /// Reads a blob without judging it; `None` when there is no such file.
    pub(super) fn read(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        absent_is_none(std::fs::read(self.path(hash)), "read", hash)
    }

    pub(super) fn size(&self, hash: &Hash) -> Result<Option<u64>> {
        absent_is_none(
            std::fs::metadata(self.path(hash)).map(|m| m.len()),
            "find",
            hash,
        )
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

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            cas: self,
            waiting: Vec::new(),
            dirs: BTreeSet::new(),
        }
    }

    pub(super) fn path(&self, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        self.dir.join(&name[..2]).join(name)
    }
}

/// Blobs on their way into the store.
pub(super) struct Batch<'a> {
    cas: &'a Cas,
    waiting: Vec<Waiting>,
    dirs: BTreeSet<PathBuf>,
}

struct Waiting {
    file: File,
    from: PathBuf,
    to: PathBuf,
}

impl Batch<'_> {
    /// Adds a blob, unless a file of its name and length is there already.
    pub(super) fn add(&mut self, hash: &Hash, bytes: &[u8]) -> Result<()> {
        let to = self.cas.path(hash);
        if self.cas.size(hash)? == Some(bytes.len() as u64) {
            // Its own batch may not have come to syncing the directory, or been cut off before it did.
            self.dirs.extend(to.parent().map(Path::to_path_buf));
            return Ok(());
        }
        let from = self.cas.dir.join(format!(
            "tmp/{}",
            self.cas.next.fetch_add(1, Ordering::Relaxed)
        ));
        let in_hand = || format!("cannot write blob {hash}");
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&from);
        let file = file.map_err(|e| Error::from(e).context(in_hand()))?;
        self.waiting.push(Waiting { file, from, to });
        if let Some(last) = self.waiting.last_mut() {
            last.file
                .write_all(bytes)
                .map_err(|e| Error::from(e).context(in_hand()))?;
        }
        if self.waiting.len() >= BATCH_MAX {
            self.rename()
        } else {
            Ok(())
        }
    }

    /// Makes every blob that was added visible and durable.
    pub(super) fn publish(mut self) -> Result<()> {
        self.rename()?;
        self.dirs.iter().try_for_each(|dir| sync_dir(dir))
    }

    fn rename(&mut self) -> Result<()> {
        for blob in &self.waiting {
            blob.file.sync_data()?;
        }
        while let Some(blob) = self.waiting.pop() {
            let moved = self.place(&blob);
            if moved.is_err() {
                self.waiting.push(blob);
            }
            moved?;
        }
        Ok(())
    }

    fn place(&mut self, blob: &Waiting) -> Result<()> {
        let Some(parent) = blob.to.parent() else {
            return Ok(());
        };
        match std::fs::rename(&blob.from, &blob.to) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_dir(parent)?;
                self.dirs.insert(self.cas.dir.clone());
                std::fs::rename(&blob.from, &blob.to)?;
            }
            other => other?,
        }
        self.dirs.insert(parent.to_path_buf());
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for blob in &self.waiting {
            if let Err(e) = std::fs::remove_file(&blob.from) {
                // The next start clears the directory.
                tracing::warn!(file = %blob.from.display(), "cannot remove an unfinished blob: {e}");
            }
        }
    }
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
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Error::from(e).context(format!("cannot create {}", dir.display())))
}

fn sync_dir(dir: &Path) -> Result<()> {
    Ok(File::open(dir)?.sync_all()?)
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

    fn put(cas: &Cas, bytes: &[u8]) -> Hash {
        let hash = Hash::of(bytes);
        let mut batch = cas.batch();
        batch.add(&hash, bytes).unwrap();
        batch.publish().unwrap();
        hash
    }

    #[test]
    fn what_was_published_is_read_back_and_listed() {
        let dir = tempfile::tempdir().unwrap();
        let cas = Cas::open(dir.path().join("cas")).unwrap();
        let hash = put(&cas, b"bytes");
        assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
        assert_eq!(cas.list().unwrap(), [(hash, 5)]);
        assert_eq!(cas.read(&Hash::of(b"others")).unwrap(), None);
        cas.remove(&hash).unwrap();
        assert_eq!(cas.size(&hash).unwrap(), None);
    }

    #[test]
    fn a_dropped_batch_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cas = Cas::open(dir.path().join("cas")).unwrap();
        let mut batch = cas.batch();
        batch.add(&Hash::of(b"a"), b"a").unwrap();
        drop(batch);
        assert_eq!(
            std::fs::read_dir(dir.path().join("cas/tmp"))
                .unwrap()
                .count(),
            0
        );
        assert_eq!(cas.list().unwrap(), []);
    }

    #[test]
    fn a_start_clears_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("cas/tmp");
        std::fs::create_dir_all(&tmp).unwrap();
        std::fs::write(tmp.join("0"), b"half").unwrap();
        let cas = Cas::open(dir.path().join("cas")).unwrap();
        put(&cas, b"bytes");
        assert_eq!(std::fs::read_dir(tmp).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_the_wrong_length_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cas = Cas::open(dir.path().join("cas")).unwrap();
        let hash = put(&cas, b"bytes");
        std::fs::write(cas.path(&hash), b"byt").unwrap();
        put(&cas, b"bytes");
        assert_eq!(cas.read(&hash).unwrap().unwrap(), b"bytes");
    }
}
