//! Requests about open files.

use super::answer::{Answer, Opened, Sender, answer, sought, written};
use super::door::Door;
use super::open;
use crate::core::{HandleId, Kind, error::fail};
use crate::fs::Wake;
use bytes::Bytes;
use fuser::{FopenFlags, INodeNo, PollEvents, PollHandle, WriteFlags};

/// What poll(2) says of a regular file (DEFAULT_POLLMASK of linux/poll.h).
const READY: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLWRNORM);
/// The most that one copy may report back: its reply has 32 bits; whole pages.
const COPY_MAX: u64 = 0xffff_f000;

impl Door {
    pub(super) fn open(&self, who: Sender, ino: INodeNo, bits: i32) -> Answer<Opened> {
        let (caller, ino) = self.node(who, ino);
        let flags = open::flags(bits);
        let handle = answer("open", self.engine.open(&caller, ino, flags))?;
        let is_computed = self.engine.is_computed(ino);
        let mut flags = open::reply(flags, is_computed);
        if self.engine.is_locked(handle) {
            // Whoever closes a file has no lock on it any more, and nothing else tells us of that.
            flags.remove(FopenFlags::FOPEN_NOFLUSH);
        }
        if is_computed && self.engine.is_feed(handle) {
            flags |= FopenFlags::FOPEN_NONSEEKABLE;
        }
        Ok(Opened { handle, flags })
    }

    pub(super) fn read(
        &self,
        who: Sender,
        handle: HandleId,
        offset: u64,
        size: u32,
    ) -> Answer<Bytes> {
        let caller = || self.callers.of(who);
        let bytes = self.engine.read_as(caller, handle, offset, size as usize);
        answer("read", bytes)
    }

    /// What poll(2) says of an open file. With `schedule`, the kernel is told by its own number of the file, `kernel`, when that
    /// may have changed.
    pub(super) fn poll(
        &self,
        who: Sender,
        handle: HandleId,
        kernel: PollHandle,
        schedule: bool,
    ) -> Answer<PollEvents> {
        let notices = self.notices.get().filter(|_| schedule).cloned();
        let wake = notices.map(|notices| -> Wake {
            // A file that was closed meanwhile is nobody's loss.
            Box::new(move || drop(notices.poll(kernel)))
        });
        let ready = self.engine.poll(|| self.callers.of(who), handle, wake);
        Ok(if answer("poll", ready)? {
            READY
        } else {
            PollEvents::empty()
        })
    }

    pub(super) fn write(
        &self,
        who: Sender,
        handle: HandleId,
        (offset, data): (u64, &[u8]),
        flags: WriteFlags,
    ) -> Answer<u32> {
        // A page of a memory map goes where it belongs, even through a handle that appends; who changed it is not told.
        let wrote = if flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            self.engine.write_page(handle, offset, data)
        } else {
            self.engine
                .write(&self.callers.of(who), handle, offset, data)
        };
        written("write", wrote.map(|n| n as u64))
    }

    /// `owner` is the process that closes a descriptor, as its locks name it.
    pub(super) fn flush(&self, who: Sender, handle: HandleId, owner: u64) -> Answer<()> {
        let caller = self.callers.of(who);
        answer("flush", self.engine.close(&caller, handle, owner))
    }

    pub(super) fn release(&self, who: Sender, handle: HandleId) -> Answer<()> {
        let caller = self.callers.of(who);
        answer("release", self.engine.release(&caller, handle))
    }

    pub(super) fn fsync(&self, who: Sender, handle: HandleId) -> Answer<()> {
        let caller = self.callers.of(who);
        answer("fsync", self.engine.fsync(&caller, handle))
    }

    pub(super) fn fallocate(
        &self,
        who: Sender,
        handle: HandleId,
        (offset, length): (u64, u64),
        mode: i32,
    ) -> Answer<()> {
        let caller = self.callers.of(who);
        let what = open::allocate(mode);
        let room = what.and_then(|w| self.engine.allocate(&caller, handle, offset, length, w));
        answer("fallocate", room)
    }

    pub(super) fn lseek(&self, handle: HandleId, offset: i64, whence: i32) -> Answer<i64> {
        sought(open::offset(offset).and_then(|offset| match whence {
            libc::SEEK_DATA => self.engine.seek_data(handle, offset),
            libc::SEEK_HOLE => self.engine.seek_hole(handle, offset),
            other => fail(Kind::Invalid, format!("lseek whence {other}")),
        }))
    }

    pub(super) fn copy_file_range(
        &self,
        who: Sender,
        from: (HandleId, u64),
        to: (HandleId, u64),
        len: u64,
    ) -> Answer<u32> {
        let caller = self.callers.of(who);
        let copied = self.engine.copy_range(&caller, from, to, len.min(COPY_MAX));
        written("copy_file_range", copied)
    }
}
