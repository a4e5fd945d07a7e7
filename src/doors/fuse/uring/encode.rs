//! Writing an answer as it lies in linux/fuse.h.

use crate::core::Time;
use crate::doors::fuse::answer::{Blocks, Entry, NAME_LEN, Opened, Shown};
use crate::doors::fuse::locks::Lock;
use crate::doors::fuse::numbers::BLOCK_SIZE;
use fuser::{FileAttr, FileType, INodeNo};
use std::time::Duration;

/// The longest of the fixed answers: `fuse_entry_out` and `fuse_open_out`.
const FIXED_MAX: usize = 144;
/// Entries of a directory begin at multiples of this.
const ALIGNED: usize = 8;

/// An answer that grows.
#[derive(Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(FIXED_MAX))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    pub(super) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// `fuse_entry_out`.
    pub(super) fn entry(self, entry: &Entry) -> Self {
        self.u64(entry.attr.ino.0)
            .u64(entry.generation.0)
            .two_ttls(entry.name_ttl, entry.attr_ttl)
            .attr(&entry.attr)
    }

    /// `fuse_attr_out`.
    pub(super) fn shown(self, shown: &Shown) -> Self {
        self.u64(shown.ttl.as_secs())
            .u32(shown.ttl.subsec_nanos())
            .u32(0)
            .attr(&shown.attr)
    }

    /// `fuse_open_out`.
    pub(super) fn opened(self, opened: Opened) -> Self {
        self.u64(opened.handle.0).u32(opened.flags.bits()).u32(0)
    }

    /// `fuse_lk_out`.
    pub(super) fn lock(self, lock: Lock) -> Self {
        let kind = lock.kind.cast_unsigned();
        self.u64(lock.start).u64(lock.end).u32(kind).u32(lock.pid)
    }

    /// `fuse_kstatfs`.
    pub(super) fn blocks(self, b: &Blocks) -> Self {
        let out = self.u64(b.total).u64(b.free).u64(b.available);
        let out = out.u64(b.files).u64(b.files_free);
        let out = out.u32(BLOCK_SIZE).u32(NAME_LEN).u32(BLOCK_SIZE).u32(0);
        out.u64(0).u64(0).u64(0)
    }

    fn two_ttls(self, first: Duration, second: Duration) -> Self {
        self.u64(first.as_secs())
            .u64(second.as_secs())
            .u32(first.subsec_nanos())
            .u32(second.subsec_nanos())
    }

    /// `fuse_attr`.
    fn attr(self, a: &FileAttr) -> Self {
        let times = [a.atime, a.mtime, a.ctime].map(Time::from_system);
        let out = self.u64(a.ino.0).u64(a.size).u64(a.blocks);
        let out = times.iter().fold(out, |out, t| out.i64(t.secs()));
        let out = times.iter().fold(out, |out, t| out.u32(t.nanos()));
        let mode = format(a.kind) | u32::from(a.perm);
        let out = out.u32(mode).u32(a.nlink).u32(a.uid).u32(a.gid);
        out.u32(a.rdev).u32(a.blksize).u32(a.flags)
    }

    /// `fuse_dirent`.
    fn dirent(self, number: INodeNo, offset: u64, kind: FileType, name: &[u8]) -> Self {
        let name_len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        let out = self.u64(number.0).u64(offset);
        let mut out = out.u32(name_len).u32(format(kind) >> 12);
        out.0.extend_from_slice(name);
        out.0.resize(out.0.len().next_multiple_of(ALIGNED), 0);
        out
    }
}

/// A stretch of a directory, no longer than the kernel asked for.
#[derive(Debug)]
pub(super) struct Stretch {
    bytes: Vec<u8>,
    max: usize,
}

impl Stretch {
    pub(super) fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    /// Adds a name with its number; says whether there was no room for it.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        offset: u64,
        number: INodeNo,
        kind: FileType,
    ) -> bool {
        self.push(&Encoded::new().dirent(number, offset, kind, name))
    }

    /// Adds a name with all that a LOOKUP would say.
    pub(super) fn add_entry(&mut self, name: &[u8], offset: u64, entry: &Entry) -> bool {
        let (number, kind) = (entry.attr.ino, entry.attr.kind);
        let encoded = Encoded::new().entry(entry);
        self.push(&encoded.dirent(number, offset, kind, name))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn push(&mut self, encoded: &Encoded) -> bool {
        let is_full = self.bytes.len() + encoded.0.len() > self.max;
        if !is_full {
            self.bytes.extend_from_slice(&encoded.0);
        }
        is_full
    }
}

/// The type bits of `st_mode`.
fn format(kind: FileType) -> u32 {
    match kind {
        FileType::NamedPipe => libc::S_IFIFO,
        FileType::CharDevice => libc::S_IFCHR,
        FileType::BlockDevice => libc::S_IFBLK,
        FileType::Directory => libc::S_IFDIR,
        FileType::RegularFile => libc::S_IFREG,
        FileType::Symlink => libc::S_IFLNK,
        FileType::Socket => libc::S_IFSOCK,
    }
}
