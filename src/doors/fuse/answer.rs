//! What the door answers, whichever way a request came: results in the kernel's words, not yet on their way.

use super::errno::{self, report};
use super::numbers::BLOCK_SIZE;
use crate::core::{Error, HandleId, Kind, Result};
use crate::fs::StatFs;
use fuser::{Errno, FileAttr, FopenFlags, Generation};
use std::time::Duration;

/// The longest name (NAME_MAX).
pub(super) const NAME_LEN: u32 = 255;

/// What goes back: the answer, or why there is none.
pub(super) type Answer<T> = std::result::Result<T, Errno>;

/// Who sent a request, as the kernel numbers him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    pub uid: u32,
    pub gid: u32,
    pub pid: u32,
}

/// A name, and how long the kernel may keep it and its attributes. Number 0 says that there is no such name.
#[derive(Debug)]
pub(super) struct Entry {
    pub attr: FileAttr,
    /// Which of those that had the number it is.
    pub generation: Generation,
    pub attr_ttl: Duration,
    pub name_ttl: Duration,
}

/// Attributes, and how long the kernel may keep them.
#[derive(Debug)]
pub(super) struct Shown {
    pub attr: FileAttr,
    pub ttl: Duration,
}

/// An open file or directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub handle: HandleId,
    pub flags: FopenFlags,
}

/// An extended attribute, or how long it is.
#[derive(Debug)]
pub(super) enum Sized {
    Length(u32),
    Bytes(Vec<u8>),
}

/// Space in blocks of [`BLOCK_SIZE`].
#[derive(Debug)]
pub(super) struct Blocks {
    pub total: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub files_free: u64,
}

/// Turns what the engine said into an answer.
pub(super) fn answer<T>(call: &'static str, said: Result<T>) -> Answer<T> {
    said.map_err(|e| report(call, &e))
}

/// Answers getxattr(2) and listxattr(2): with room for nothing, the length is the answer.
pub(super) fn sized(call: &'static str, bytes: Result<Vec<u8>>, room: u32) -> Answer<Sized> {
    let bytes = answer(call, bytes)?;
    match u32::try_from(bytes.len()) {
        Ok(len) if room == 0 => Ok(Sized::Length(len)),
        Ok(len) if len <= room => Ok(Sized::Bytes(bytes)),
        _ => Err(errno::of(Kind::Range)),
    }
}

/// Answers how many bytes went.
pub(super) fn written(call: &'static str, count: Result<u64>) -> Answer<u32> {
    let too_many = |e| Error::new(Kind::TooLarge, "more bytes than a reply can say").caused_by(e);
    answer(call, count.and_then(|n| u32::try_from(n).map_err(too_many)))
}

/// Answers lseek(2), for which "behind the end" is ENXIO and not ERANGE.
pub(super) fn sought(found: Result<u64>) -> Answer<i64> {
    match found.map(i64::try_from) {
        Ok(Ok(offset)) => Ok(offset),
        Ok(Err(_)) => Err(Errno::EOVERFLOW),
        Err(e) if e.kind() == Kind::Range => Err(Errno::ENXIO),
        Err(e) => Err(report("lseek", &e)),
    }
}

/// Answers statfs(2).
pub(super) fn blocks(space: Result<StatFs>) -> Answer<Blocks> {
    let space = answer("statfs", space)?;
    let blocks = |bytes: u64| bytes / u64::from(BLOCK_SIZE);
    Ok(Blocks {
        total: blocks(space.total),
        free: blocks(space.free),
        available: blocks(space.available),
        files: space.files,
        files_free: space.files_free,
    })
}
