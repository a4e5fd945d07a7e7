//! The requests of the kernel, each translated into one call of the engine.

use super::door::{Door, GENERATION, bytes, done, name, sized, written};
use super::errno::report;
use super::session::configure;
use super::{numbers, open};
use crate::access::Right;
use crate::core::{HandleId, Kind, error::fail};
use crate::fs::{SetAttr, SetMode};
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
/// The longest name (NAME_MAX).
const NAME_LEN: u32 = 255;

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
        let caller = if is_root {
            self.callers.of_member(req)
        } else {
            self.callers.of(req)
        };
        self.shown(
            "getattr",
            self.engine.getattr(&caller, self.numbers.ino(ino)),
            reply,
        );
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
        let handle = fh.map(|fh| HandleId(fh.0));
        let ino = self.numbers.ino(ino);
        let node = self
            .engine
            .setattr(&self.callers.of(req), ino, &set, handle);
        self.shown("setattr", node, reply);
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self
            .engine
            .readlink(&self.callers.of(req), self.numbers.ino(ino));
        bytes("readlink", target, reply);
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
        let new = self.place(req, parent, child).and_then(|(caller, dir, n)| {
            let kind = open::node_kind(mode)?;
            self.engine
                .mknod(&caller, dir, &n, kind, mode & 0o7777, rdev)
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
        done(
            "unlink",
            place.and_then(|(c, dir, n)| self.engine.unlink(&c, dir, &n)),
            reply,
        );
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        let place = self.place(req, parent, child);
        done(
            "rmdir",
            place.and_then(|(c, dir, n)| self.engine.rmdir(&c, dir, &n)),
            reply,
        );
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        child: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (place, target) = (
            self.place(req, parent, child),
            target.as_os_str().as_bytes(),
        );
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
        let caller = self.callers.of(req);
        let renamed = (|| {
            let (from, to) = (name(from)?, name(to)?);
            let from = (self.numbers.ino(parent), &from);
            let to = (self.numbers.ino(new_parent), &to);
            self.engine.rename(&caller, from, to, open::rename(flags)?)
        })();
        done("rename", renamed, reply);
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
        let caller = self.callers.of(req);
        let parent = self.numbers.ino(parent);
        let new = name(child).and_then(|n| {
            self.engine
                .create(&caller, parent, &n, mode & 0o7777, open::flags(bits))
        });
        match new {
            Ok((node, handle)) => {
                let (ttl, attr) = (self.ttl(node.ino), self.numbers.attr(&node));
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
            self.engine.read(HandleId(fh.0), offset, size as usize),
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
            self.engine
                .write_page(&caller, HandleId(fh.0), offset, data)
        } else {
            self.engine.write(&caller, HandleId(fh.0), offset, data)
        };
        written("write", wrote.map(|n| n as u64), reply);
    }

    fn flush(&self, req: &Request, _: INodeNo, fh: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        done(
            "flush",
            self.engine.flush(&self.callers.of(req), HandleId(fh.0)),
            reply,
        );
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
        done(
            "release",
            self.engine.release(&self.callers.of(req), HandleId(fh.0)),
            reply,
        );
    }

    fn fsync(&self, req: &Request, _: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        done(
            "fsync",
            self.engine.fsync(&self.callers.of(req), HandleId(fh.0)),
            reply,
        );
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self
            .engine
            .opendir(&self.callers.of(req), self.numbers.ino(ino))
        {
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
        let (caller, dir) = (self.callers.of(req), self.numbers.ino(ino));
        let filled = self.fill(
            &caller,
            dir,
            HandleId(fh.0),
            offset,
            |name, offset, node| {
                let number = self.numbers.number(node.ino);
                reply.add(
                    number,
                    offset,
                    numbers::kind(node.kind),
                    OsStr::from_bytes(name),
                )
            },
        );
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
        let (caller, dir) = (self.callers.of(req), self.numbers.ino(ino));
        let filled = self.fill(
            &caller,
            dir,
            HandleId(fh.0),
            offset,
            |name, offset, node| {
                let attr = self.numbers.attr(node);
                let ttl = self.entry_ttl(dir, name, node);
                reply.add(
                    attr.ino,
                    offset,
                    OsStr::from_bytes(name),
                    &ttl,
                    &attr,
                    GENERATION,
                )
            },
        );
        match filled {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(report("readdirplus", &e)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.engine.releasedir(HandleId(fh.0));
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
        done("fsyncdir", self.engine.fsyncdir(HandleId(fh.0)), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.engine.statfs() {
            Ok(s) => {
                let unit = u64::from(numbers::BLOCK_SIZE);
                let (total, free, available) = (s.total / unit, s.free / unit, s.available / unit);
                let size = numbers::BLOCK_SIZE;
                reply.statfs(
                    total,
                    free,
                    available,
                    s.files,
                    s.files_free,
                    size,
                    NAME_LEN,
                    size,
                );
            }
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
        let (caller, ino) = (self.callers.of(req), self.numbers.ino(ino));
        let mode = match flags {
            0 => Ok(SetMode::Any),
            libc::XATTR_CREATE => Ok(SetMode::Create),
            libc::XATTR_REPLACE => Ok(SetMode::Replace),
            other => fail(Kind::Invalid, format!("setxattr flags {other:#x}")),
        };
        let set = mode.and_then(|m| self.engine.setxattr(&caller, ino, key.as_bytes(), value, m));
        done("setxattr", set, reply);
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, key: &OsStr, size: u32, reply: ReplyXattr) {
        let (caller, ino) = (self.callers.of(req), self.numbers.ino(ino));
        sized(
            "getxattr",
            self.engine.getxattr(&caller, ino, key.as_bytes()),
            size,
            reply,
        );
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self
            .engine
            .listxattr(&self.callers.of(req), self.numbers.ino(ino));
        let list = names.map(|names| names.into_iter().flat_map(|n| [n, vec![0]].concat()));
        sized("listxattr", list.map(Iterator::collect), size, reply);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, key: &OsStr, reply: ReplyEmpty) {
        let (caller, ino) = (self.callers.of(req), self.numbers.ino(ino));
        done(
            "removexattr",
            self.engine.removexattr(&caller, ino, key.as_bytes()),
            reply,
        );
    }

    fn access(&self, req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let asked = [
            (AccessFlags::R_OK, Right::Read),
            (AccessFlags::W_OK, Right::Write),
            (AccessFlags::X_OK, Right::Execute),
        ];
        let rights: Vec<Right> = asked
            .into_iter()
            .filter(|(bit, _)| mask.contains(*bit))
            .map(|(_, r)| r)
            .collect();
        let ino = self.numbers.ino(ino);
        done(
            "access",
            self.engine.access(&self.callers.of(req), ino, &rights),
            reply,
        );
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
        let new = open::allocate(mode).and_then(|what| {
            self.engine
                .allocate(&caller, HandleId(fh.0), offset, length, what)
        });
        done("fallocate", new, reply);
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
        let handle = HandleId(fh.0);
        let found = open::offset(offset).and_then(|offset| match whence {
            libc::SEEK_DATA => self.engine.seek_data(handle, offset),
            libc::SEEK_HOLE => self.engine.seek_hole(handle, offset),
            other => fail(Kind::Invalid, format!("lseek whence {other}")),
        });
        match found.map(i64::try_from) {
            Ok(Ok(offset)) => reply.offset(offset),
            Ok(Err(_)) => reply.error(Errno::EOVERFLOW),
            // lseek(2): behind the end of the file is ENXIO, not ERANGE.
            Err(e) if e.kind() == Kind::Range => reply.error(Errno::ENXIO),
            Err(e) => reply.error(report("lseek", &e)),
        }
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
        let from = (HandleId(fh_in.0), offset_in);
        let to = (HandleId(fh_out.0), offset_out);
        let caller = self.callers.of(req);
        written(
            "copy_file_range",
            self.engine.copy_range(&caller, from, to, len.min(COPY_MAX)),
            reply,
        );
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
