//! What tells a record from bytes that only look like one.
//!
//! A payload holds what users wrote, and a recovery looks for records wherever a damaged one ended. Whoever knew what a record begins
//! with could have one found in his file. So each store has eight random bytes that every header has, in a file beside the
//! segments: the bytes, and their CRC-32.

use crate::core::{Error, Kind, Result, error::fail};
use crate::db::owner;
use std::fs::{File, remove_file, rename};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Eight bytes that only the store's owner can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal(pub [u8; 8]);

/// What records had before there was a file.
pub(super) const PLAIN: Seal = Seal(*b"NXJ1\0\0\0\0");

impl Seal {
    pub(super) fn new() -> Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Error::new(Kind::Io, "the system gives no random bytes").caused_by(e))?;
        // Never what an empty file begins with.
        random[0] |= 1;
        Ok(Self(random))
    }

    /// Reads the file in the journal's directory; `None` when there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(file(dir)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::from(e).context(file(dir).display())),
        };
        let whole = bytes.split_first_chunk::<8>();
        match whole.filter(|(seal, sum)| *sum == crc32fast::hash(*seal).to_le_bytes()) {
            Some((seal, _)) => Ok(Some(Self(*seal))),
            None => fail(
                Kind::Corrupt,
                format!("{} is damaged. {}", file(dir).display(), super::CURE),
            ),
        }
    }

    /// Makes the file, for good when this returns.
    pub(super) fn write(self, dir: &Path) -> Result<()> {
        let new = dir.join("seal.new");
        // What a crash has left.
        match remove_file(&new) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        let mut out = owner::make_file(&new)?;
        out.write_all(&self.0)?;
        out.write_all(&crc32fast::hash(&self.0).to_le_bytes())?;
        out.sync_all()?;
        rename(&new, file(dir))?;
        File::open(dir)?.sync_all()?;
        Ok(())
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("seal")
}
