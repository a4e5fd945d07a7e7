//! The requests that come through fuser, each handed to the door and answered the same way.

use super::answer::Sender;
use super::door::Door;
use super::locks::Lock;
use super::names::Mode;
use super::session::configure;
use super::{numbers, reply};
use crate::core::HandleId;
use crate::fs::SetAttr;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, INodeNo,
    IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A door as fuser calls it.
pub(super) struct ByFuser {
    pub door: Arc<Door>,
    /// Whether rings stand ready to take over what the kernel gives them.
    pub rings: bool,
}

fn sender(req: &Request) -> Sender {
    Sender {
        uid: req.uid(),
        gid: req.gid(),
        pid: req.pid(),
    }
}

fn handle(fh: FileHandle) -> HandleId {
    HandleId(fh.0)
}

impl ByFuser {
    /// The answer leaves when there is one.
    fn lock_or_wait(&self, who: Sender, at: (HandleId, u64), lock: Lock, reply: ReplyEmpty) {
        let mut reply = Some(reply);
        let said = self.door.setlkw(who, at, lock, || {
            let reply = reply.take();
            Box::new(move |said| {
                if let Some(reply) = reply {
                    reply::done(Door::waited(said), reply);
                }
            })
        });
        if let (Some(said), Some(reply)) = (said, reply) {
            reply::done(said, reply);
        }
    }
}

impl Filesystem for ByFuser {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        configure(config, self.rings)
    }

    fn lookup(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEntry) {
        reply::entry(self.door.lookup(sender(req), parent, child), reply);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply::attr(self.door.getattr(sender(req), ino), reply);
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        fh: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = SetAttr {
            mode: mode.map(|m| m & 0o7777),
            uid: uid.map(|u| self.door.numbers.uid(u)),
            gid: gid.map(|g| self.door.numbers.gid(g)),
            size,
            atime: atime.map(numbers::set_time),
            mtime: mtime.map(numbers::set_time),
            alone: None,
        };
        let shown = self.door.setattr(sender(req), ino, &set, fh.map(handle));
        reply::attr(shown, reply);
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        reply::bytes(self.door.readlink(sender(req), ino), reply);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let mode = Mode { mode, umask };
        let new = self.door.mknod(sender(req), parent, child, mode, rdev);
        reply::entry(new, reply);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let mode = Mode { mode, umask };
        reply::entry(self.door.mkdir(sender(req), parent, child, mode), reply);
    }

    fn unlink(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        reply::done(self.door.unlink(sender(req), parent, child), reply);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        reply::done(self.door.rmdir(sender(req), parent, child), reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let target = target.as_os_str();
        reply::entry(self.door.symlink(sender(req), parent, child, target), reply);
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        from: &OsStr,
        new_parent: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent, from), (new_parent, to));
        reply::done(self.door.rename(sender(req), from, to, flags), reply);
    }

    fn link(
        &self,
        req: &Request,
        ino: INodeNo,
        new_parent: INodeNo,
        child: &OsStr,
        reply: ReplyEntry,
    ) {
        reply::entry(self.door.link(sender(req), ino, new_parent, child), reply);
    }

    fn open(&self, req: &Request, ino: INodeNo, bits: OpenFlags, reply: ReplyOpen) {
        reply::opened(self.door.open(sender(req), ino, bits.0), reply);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        umask: u32,
        bits: i32,
        reply: ReplyCreate,
    ) {
        let mode = Mode { mode, umask };
        let new = self.door.create(sender(req), parent, child, mode, bits);
        reply::created(new, reply);
    }

    fn read(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = self.door.read(sender(req), handle(fh), offset, size);
        reply::bytes(bytes, reply);
    }

    fn write(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let wrote = self
            .door
            .write(sender(req), handle(fh), (offset, data), flags);
        reply::written(wrote, reply);
    }

    fn flush(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply::done(self.door.flush(sender(req), handle(fh), owner.0), reply);
    }

    fn getlk(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        reply: ReplyLock,
    ) {
        let lock = Lock {
            start,
            end,
            kind,
            pid,
        };
        let at = (handle(fh), owner.0);
        reply::lock(self.door.getlk(sender(req), at, lock), reply);
    }

    fn setlk(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        sleep: bool,
        reply: ReplyEmpty,
    ) {
        let lock = Lock {
            start,
            end,
            kind,
            pid,
        };
        let (who, at) = (sender(req), (handle(fh), owner.0));
        if sleep {
            self.lock_or_wait(who, at, lock, reply);
        } else {
            reply::done(self.door.setlk(who, at, lock), reply);
        }
    }

    fn release(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        reply::done(self.door.release(sender(req), handle(fh)), reply);
    }

    fn fsync(&self, req: &Request, _: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        reply::done(self.door.fsync(sender(req), handle(fh)), reply);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply::opened(self.door.opendir(sender(req), ino), reply);
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let add = |name: &OsStr, offset, number, kind| reply.add(number, offset, kind, name);
        let at = (handle(fh), offset);
        match self.door.readdir(sender(req), ino, at, add) {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(e),
        }
    }

    fn readdirplus(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let at = (handle(fh), offset);
        let filled = self
            .door
            .readdirplus(sender(req), ino, at, |name, offset, e| {
                // One time for both is all that this reply takes.
                let ttl = e.name_ttl.min(e.attr_ttl);
                reply.add(e.attr.ino, offset, name, &ttl, &e.attr, e.generation)
            });
        match filled {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(e),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.door.releasedir(handle(fh));
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply::done(self.door.fsyncdir(handle(fh)), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply::statfs(self.door.statfs(), reply);
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        key: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let set = self.door.setxattr(sender(req), ino, (key, value), flags);
        reply::done(set, reply);
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, key: &OsStr, size: u32, reply: ReplyXattr) {
        reply::sized(self.door.getxattr(sender(req), ino, key, size), reply);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        reply::sized(self.door.listxattr(sender(req), ino, size), reply);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, key: &OsStr, reply: ReplyEmpty) {
        reply::done(self.door.removexattr(sender(req), ino, key), reply);
    }

    fn access(&self, req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        reply::done(self.door.access(sender(req), ino, mask), reply);
    }

    fn fallocate(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let range = (offset, length);
        let room = self.door.fallocate(sender(req), handle(fh), range, mode);
        reply::done(room, reply);
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        reply::sought(self.door.lseek(handle(fh), offset, whence), reply);
    }

    fn copy_file_range(
        &self,
        req: &Request,
        _: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        _: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let (from, to) = ((handle(fh_in), offset_in), (handle(fh_out), offset_out));
        let copied = self.door.copy_file_range(sender(req), from, to, len);
        reply::written(copied, reply);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn poll(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        notifier: PollNotifier,
        _: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let schedule = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY);
        let kernel = notifier.handle();
        let ready = self.door.poll(sender(req), handle(fh), kernel, schedule);
        reply::polled(ready, reply);
    }
}
