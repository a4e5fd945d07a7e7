//! The requests of the kernel, each translated into one call of the engine.

use super::door::{Door, GENERATION, handle, name};
use super::errno::report;
use super::reply::{bytes, done, sized, sought, statfs, written};
use super::session::configure;
use super::{numbers, open};
use crate::core::{Kind, error::fail};
use crate::fs::SetAttr;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags,
    INodeNo, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::SystemTime;

/// The most that one copy may report back: its reply has 32 bits; whole pages.
const COPY_MAX: u64 = 0xffff_f000;

impl Filesystem for Door {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        configure(config)
    }

    fn destroy(&mut self) {
        self.end.reached();
    }

    fn lookup(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEntry) {
        let caller = self.callers.of(req);
        let parent = self.numbers.ino(parent);
        let found = name(child).and_then(|n| self.engine.lookup(&caller, parent, &n));
        self.found(parent, child, found, caller.tenant.is_some(), reply);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let is_root = ino == INodeNo::ROOT;
        let who = &self.callers;
        let caller = if is_root {
            who.of_member(req)
        } else {
            who.of(req)
        };
        let node = self.engine.getattr(&caller, self.numbers.ino(ino));
        self.shown("getattr", node, reply);
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
            uid: uid.map(|u| self.numbers.uid(u)),
            gid: gid.map(|g| self.numbers.gid(g)),
            size,
            atime: atime.map(numbers::set_time),
            mtime: mtime.map(numbers::set_time),
        };
        let (caller, ino) = self.node(req, ino);
        let node = self.engine.setattr(&caller, ino, &set, fh.map(handle));
        self.shown("setattr", node, reply);
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let (caller, ino) = self.node(req, ino);
        bytes("readlink", self.engine.readlink(&caller, ino), reply);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        _: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let new = self.place(req, parent, child).and_then(|(c, dir, n)| {
            let (kind, mode) = (open::node_kind(mode)?, mode & 0o7777);
            self.engine.mknod(&c, dir, &n, kind, mode, rdev)
        });
        self.made("mknod", new, reply);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let place = self.place(req, parent, child);
        let new = place.and_then(|(c, dir, n)| self.engine.mkdir(&c, dir, &n, mode & 0o7777));
        self.made("mkdir", new, reply);
    }

    fn unlink(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        let place = self.place(req, parent, child);
        let gone = place.and_then(|(c, dir, n)| self.engine.unlink(&c, dir, &n));
        done("unlink", gone, reply);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        let place = self.place(req, parent, child);
        let gone = place.and_then(|(c, dir, n)| self.engine.rmdir(&c, dir, &n));
        done("rmdir", gone, reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let target = target.as_os_str().as_bytes();
        let place = self.place(req, parent, child);
        let new = place.and_then(|(c, dir, n)| self.engine.symlink(&c, dir, &n, target));
        self.made("symlink", new, reply);
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
        let from = self.place(req, parent, from);
        let moved = from.and_then(|(caller, dir, name)| {
            let (_, to_dir, to_name) = self.place(req, new_parent, to)?;
            let mode = open::rename(flags)?;
            self.engine
                .rename(&caller, (dir, &name), (to_dir, &to_name), mode)
        });
        done("rename", moved, reply);
    }

    fn link(
        &self,
        req: &Request,
        ino: INodeNo,
        new_parent: INodeNo,
        child: &OsStr,
        reply: ReplyEntry,
    ) {
        let (place, ino) = (self.place(req, new_parent, child), self.numbers.ino(ino));
        let new = place.and_then(|(c, dir, n)| self.engine.link(&c, ino, dir, &n));
        self.made("link", new, reply);
    }

    fn open(&self, req: &Request, ino: INodeNo, bits: OpenFlags, reply: ReplyOpen) {
        let (ino, flags) = (self.numbers.ino(ino), open::flags(bits.0));
        match self.engine.open(&self.callers.of(req), ino, flags) {
            Ok(handle) => {
                let kept = open::reply(flags, self.engine.is_computed(ino));
                reply.opened(FileHandle(handle.0), kept);
            }
            Err(e) => reply.error(report("open", &e)),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        _: u32,
        bits: i32,
        reply: ReplyCreate,
    ) {
        let (flags, mode) = (open::flags(bits), mode & 0o7777);
        let place = self.place(req, parent, child);
        let new = place.and_then(|(c, dir, n)| self.engine.create(&c, dir, &n, mode, flags));
        match new {
            Ok((node, handle)) => {
                let (ttl, attr) = (self.attr_ttl(&node), self.numbers.attr(&node));
                // Even a handle that only reads is flushed: the new file enters the tables at its close(2).
                let kept = FopenFlags::FOPEN_KEEP_CACHE;
                reply.created(&ttl, &attr, GENERATION, FileHandle(handle.0), kept);
            }
            Err(e) => reply.error(report("create", &e)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        bytes(
            "read",
            self.engine.read(handle(fh), offset, size as usize),
            reply,
        );
    }

    fn write(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let caller = self.callers.of(req);
        // A page of a memory map goes where it belongs, even through a handle that appends.
        let wrote = if write_flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            self.engine.write_page(&caller, handle(fh), offset, data)
        } else {
            self.engine.write(&caller, handle(fh), offset, data)
        };
        written("write", wrote.map(|n| n as u64), reply);
    }

    fn flush(&self, req: &Request, _: INodeNo, fh: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let caller = self.callers.of(req);
        done("flush", self.engine.flush(&caller, handle(fh)), reply);
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
        let caller = self.callers.of(req);
        done("release", self.engine.release(&caller, handle(fh)), reply);
    }

    fn fsync(&self, req: &Request, _: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let caller = self.callers.of(req);
        done("fsync", self.engine.fsync(&caller, handle(fh)), reply);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let (caller, ino) = self.node(req, ino);
        match self.engine.opendir(&caller, ino) {
            Ok(handle) => reply.opened(FileHandle(handle.0), FopenFlags::empty()),
            Err(e) => reply.error(report("opendir", &e)),
        }
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let (caller, dir) = self.node(req, ino);
        let filled = self.fill(&caller, dir, (handle(fh), offset), |name, offset, node| {
            let (number, kind) = (self.numbers.number(node.ino), numbers::kind(node.kind));
            reply.add(number, offset, kind, OsStr::from_bytes(name))
        });
        match filled {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(report("readdir", &e)),
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
        let (caller, dir) = self.node(req, ino);
        let filled = self.fill(&caller, dir, (handle(fh), offset), |name, offset, node| {
            let attr = self.numbers.attr(node);
            let ttl = self.entry_ttl(dir, name, node).min(self.attr_ttl(node));
            let name = OsStr::from_bytes(name);
            reply.add(attr.ino, offset, name, &ttl, &attr, GENERATION)
        });
        match filled {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(report("readdirplus", &e)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.engine.releasedir(handle(fh));
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
        done("fsyncdir", self.engine.fsyncdir(handle(fh)), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.engine.statfs() {
            Ok(space) => statfs(&space, reply),
            Err(e) => reply.error(report("statfs", &e)),
        }
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
        let ((caller, ino), key) = (self.node(req, ino), key.as_bytes());
        let mode = open::set_mode(flags);
        let set = mode.and_then(|m| self.engine.setxattr(&caller, ino, key, value, m));
        done("setxattr", set, reply);
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, key: &OsStr, size: u32, reply: ReplyXattr) {
        let (caller, ino) = self.node(req, ino);
        let value = self.engine.getxattr(&caller, ino, key.as_bytes());
        sized("getxattr", value, size, reply);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let (caller, ino) = self.node(req, ino);
        let names = self.engine.listxattr(&caller, ino);
        let ended = |n: Vec<u8>| n.into_iter().chain([0]);
        let list = names.map(|names| names.into_iter().flat_map(ended).collect());
        sized("listxattr", list, size, reply);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, key: &OsStr, reply: ReplyEmpty) {
        let (caller, ino) = self.node(req, ino);
        let gone = self.engine.removexattr(&caller, ino, key.as_bytes());
        done("removexattr", gone, reply);
    }

    fn access(&self, req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let (caller, ino) = self.node(req, ino);
        let allowed = self.engine.access(&caller, ino, &open::rights(mask));
        done("access", allowed, reply);
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
        let caller = self.callers.of(req);
        let what = open::allocate(mode);
        let room = what.and_then(|w| self.engine.allocate(&caller, handle(fh), offset, length, w));
        done("fallocate", room, reply);
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
        let handle = handle(fh);
        let found = open::offset(offset).and_then(|offset| match whence {
            libc::SEEK_DATA => self.engine.seek_data(handle, offset),
            libc::SEEK_HOLE => self.engine.seek_hole(handle, offset),
            other => fail(Kind::Invalid, format!("lseek whence {other}")),
        });
        sought(found, reply);
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
        let caller = self.callers.of(req);
        let copied = self.engine.copy_range(&caller, from, to, len.min(COPY_MAX));
        written("copy_file_range", copied, reply);
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
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        // The kernel then answers by itself: a regular file is always ready.
        reply.error(Errno::ENOSYS);
    }
}
