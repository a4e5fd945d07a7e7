//! One request to the door, one answer back.

use super::encode::{Encoded, Stretch};
use super::fields::{Fields, Request};
use crate::core::{HandleId, Time};
use crate::doors::fuse::answer::{Answer, Sized};
use crate::doors::fuse::door::Door;
use crate::doors::fuse::locks::Lock;
use crate::doors::fuse::names::Mode;
use crate::fs::{Reply, SetAttr, SetTime};
use bytes::Bytes;
use fuser::{AccessFlags, Errno, PollFlags, PollHandle, RenameFlags, WriteFlags};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// Operations (`fuse_opcode`). FORGET, INTERRUPT, INIT and DESTROY come through `/dev/fuse`.
mod op {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const READLINK: u32 = 5;
    pub(super) const SYMLINK: u32 = 6;
    pub(super) const MKNOD: u32 = 8;
    pub(super) const MKDIR: u32 = 9;
    pub(super) const UNLINK: u32 = 10;
    pub(super) const RMDIR: u32 = 11;
    pub(super) const RENAME: u32 = 12;
    pub(super) const LINK: u32 = 13;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const STATFS: u32 = 17;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const SETXATTR: u32 = 21;
    pub(super) const GETXATTR: u32 = 22;
    pub(super) const LISTXATTR: u32 = 23;
    pub(super) const REMOVEXATTR: u32 = 24;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const OPENDIR: u32 = 27;
    pub(super) const READDIR: u32 = 28;
    pub(super) const RELEASEDIR: u32 = 29;
    pub(super) const FSYNCDIR: u32 = 30;
    pub(super) const GETLK: u32 = 31;
    pub(super) const SETLK: u32 = 32;
    pub(super) const SETLKW: u32 = 33;
    pub(super) const ACCESS: u32 = 34;
    pub(super) const CREATE: u32 = 35;
    pub(super) const IOCTL: u32 = 39;
    pub(super) const POLL: u32 = 40;
    pub(super) const FALLOCATE: u32 = 43;
    pub(super) const READDIRPLUS: u32 = 44;
    pub(super) const RENAME2: u32 = 45;
    pub(super) const LSEEK: u32 = 46;
    pub(super) const COPY_FILE_RANGE: u32 = 47;
}

/// What to set (`FATTR_*`).
mod fattr {
    pub(super) const MODE: u32 = 1 << 0;
    pub(super) const UID: u32 = 1 << 1;
    pub(super) const GID: u32 = 1 << 2;
    pub(super) const SIZE: u32 = 1 << 3;
    pub(super) const ATIME: u32 = 1 << 4;
    pub(super) const MTIME: u32 = 1 << 5;
    pub(super) const FH: u32 = 1 << 6;
    pub(super) const ATIME_NOW: u32 = 1 << 7;
    pub(super) const MTIME_NOW: u32 = 1 << 8;
}

/// Gives a request to the door; without an answer, it comes through `later`.
pub(super) fn begin(
    door: &Door,
    req: Request<'_>,
    later: impl FnOnce() -> io::Result<Reply>,
) -> Option<Answer<Bytes>> {
    if req.opcode != op::SETLKW {
        return Some(dispatch(door, req));
    }
    match (lock(req.head), later()) {
        (Ok((at, lock)), Ok(reply)) => {
            let done = door.setlkw(req.who, at, lock, || reply)?;
            Some(done.map(nothing))
        }
        (Err(e), _) => Some(Err(e)),
        (_, Err(e)) => {
            tracing::error!("nobody can wait for a lock: {e}");
            Some(Err(Errno::ENOLCK))
        }
    }
}

/// Gives a request to the door. What this door does not know is ENOSYS, after which the kernel does without.
fn dispatch(door: &Door, req: Request<'_>) -> Answer<Bytes> {
    match req.opcode {
        op::GETATTR => {
            let shown = door.getattr(req.who, req.node)?;
            Ok(Encoded::new().shown(&shown).into_bytes().into())
        }
        op::SETATTR => setattr(door, req),
        op::READLINK => door.readlink(req.who, req.node),
        op::STATFS => Ok(Encoded::new().blocks(&door.statfs()?).into_bytes().into()),
        op::ACCESS => access(door, req).map(nothing),
        op::SETXATTR | op::GETXATTR | op::LISTXATTR | op::REMOVEXATTR => xattr(door, req),
        op::LOOKUP | op::SYMLINK | op::MKNOD | op::MKDIR | op::LINK | op::CREATE => made(door, req),
        op::UNLINK => {
            let mut req = req;
            door.unlink(req.who, req.node, req.body.name()?)
                .map(nothing)
        }
        op::RMDIR => {
            let mut req = req;
            door.rmdir(req.who, req.node, req.body.name()?).map(nothing)
        }
        op::RENAME | op::RENAME2 => rename(door, req).map(nothing),
        op::OPEN | op::OPENDIR => open(door, req),
        op::READ => read(door, req),
        op::WRITE => write(door, req),
        op::READDIR | op::READDIRPLUS => readdir(door, req),
        op::RELEASE | op::FSYNC | op::FLUSH | op::RELEASEDIR | op::FSYNCDIR => {
            settle(door, req).map(nothing)
        }
        op::GETLK => {
            let (at, lock) = lock(req.head)?;
            let found = door.getlk(req.who, at, lock)?;
            Ok(Encoded::new().lock(found).into_bytes().into())
        }
        op::SETLK => {
            let (at, lock) = lock(req.head)?;
            door.setlk(req.who, at, lock).map(nothing)
        }
        op::FALLOCATE => fallocate(door, req).map(nothing),
        op::LSEEK => lseek(door, req),
        op::COPY_FILE_RANGE => copy_file_range(door, req),
        op::IOCTL => Err(Errno::ENOTTY),
        op::POLL => poll(door, req),
        _ => Err(Errno::ENOSYS),
    }
}

fn nothing((): ()) -> Bytes {
    Bytes::new()
}

/// `fuse_setattr_in`.
fn setattr(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let (valid, _padding) = (f.u32()?, f.u32()?);
    let (handle, size, _lock_owner) = (f.handle()?, f.u64()?, f.u64()?);
    let (atime, mtime, _ctime) = (f.i64()?, f.i64()?, f.i64()?);
    let (atime_nanos, mtime_nanos, _ctime_nanos) = (f.u32()?, f.u32()?, f.u32()?);
    let (mode, _unused, uid, gid) = (f.u32()?, f.u32()?, f.u32()?, f.u32()?);
    let has = |bit| valid & bit != 0;
    let time = |bit, now, secs, nanos| {
        let at = SetTime::At(Time::from_parts(secs, nanos));
        has(bit).then_some(if has(now) { SetTime::Now } else { at })
    };
    let set = SetAttr {
        mode: has(fattr::MODE).then_some(mode & 0o7777),
        uid: has(fattr::UID).then(|| door.numbers.uid(uid)),
        gid: has(fattr::GID).then(|| door.numbers.gid(gid)),
        size: has(fattr::SIZE).then_some(size),
        atime: time(fattr::ATIME, fattr::ATIME_NOW, atime, atime_nanos),
        mtime: time(fattr::MTIME, fattr::MTIME_NOW, mtime, mtime_nanos),
        alone: None,
    };
    let handle = has(fattr::FH).then_some(handle);
    let shown = door.setattr(req.who, req.node, &set, handle)?;
    Ok(Encoded::new().shown(&shown).into_bytes().into())
}

fn access(door: &Door, mut req: Request<'_>) -> Answer<()> {
    let mask = AccessFlags::from_bits_retain(req.head.i32()?);
    door.access(req.who, req.node, mask)
}

fn xattr(door: &Door, req: Request<'_>) -> Answer<Bytes> {
    let (mut head, mut body) = (req.head, req.body);
    let sized = match req.opcode {
        op::SETXATTR => {
            let (size, flags) = (head.size()?, head.i32()?);
            let pair = (body.name()?, body.bytes(size)?);
            return door.setxattr(req.who, req.node, pair, flags).map(nothing);
        }
        op::REMOVEXATTR => {
            return door
                .removexattr(req.who, req.node, body.name()?)
                .map(nothing);
        }
        op::GETXATTR => door.getxattr(req.who, req.node, body.name()?, head.u32()?)?,
        _ => door.listxattr(req.who, req.node, head.u32()?)?,
    };
    Ok(match sized {
        Sized::Length(len) => Encoded::new().u32(len).u32(0).into_bytes().into(),
        Sized::Bytes(bytes) => bytes.into(),
    })
}

/// What ends in a name with its node.
fn made(door: &Door, req: Request<'_>) -> Answer<Bytes> {
    let (who, dir) = (req.who, req.node);
    let (mut head, mut body) = (req.head, req.body);
    let entry = match req.opcode {
        op::LOOKUP => door.lookup(who, dir, body.name()?),
        op::SYMLINK => door.symlink(who, dir, body.name()?, body.name()?),
        op::MKNOD => {
            let (mode, rdev, umask) = (head.u32()?, head.u32()?, head.u32()?);
            door.mknod(who, dir, body.name()?, Mode { mode, umask }, rdev)
        }
        op::MKDIR => {
            let (mode, umask) = (head.u32()?, head.u32()?);
            door.mkdir(who, dir, body.name()?, Mode { mode, umask })
        }
        op::LINK => door.link(who, head.node()?, dir, body.name()?),
        _ => {
            let (flags, mode, umask) = (head.i32()?, head.u32()?, head.u32()?);
            let mode = Mode { mode, umask };
            let (entry, opened) = door.create(who, dir, body.name()?, mode, flags)?;
            let encoded = Encoded::new().entry(&entry).opened(opened);
            return Ok(encoded.into_bytes().into());
        }
    };
    Ok(Encoded::new().entry(&entry?).into_bytes().into())
}

fn rename(door: &Door, mut req: Request<'_>) -> Answer<()> {
    let new_dir = req.head.node()?;
    let flags = match req.opcode {
        op::RENAME2 => RenameFlags::from_bits_retain(req.head.u32()?),
        _ => RenameFlags::empty(),
    };
    let (from, to) = (req.body.name()?, req.body.name()?);
    door.rename(req.who, (req.node, from), (new_dir, to), flags)
}

fn open(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let opened = match req.opcode {
        op::OPEN => door.open(req.who, req.node, req.head.i32()?)?,
        _ => door.opendir(req.who, req.node)?,
    };
    Ok(Encoded::new().opened(opened).into_bytes().into())
}

/// `fuse_read_in`.
fn read(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let (handle, offset, size) = (f.handle()?, f.offset()?, f.u32()?);
    door.read(req.who, handle, offset, size)
}

/// `fuse_poll_in`.
fn poll(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let (handle, kernel) = (f.handle()?, PollHandle(f.u64()?));
    let flags = PollFlags::from_bits_retain(f.u32()?);
    let schedule = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY);
    let ready = door.poll(req.who, handle, kernel, schedule)?;
    Ok(Encoded::new().u32(ready.bits()).u32(0).into_bytes().into())
}

/// `fuse_write_in`.
fn write(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let (handle, offset, size) = (f.handle()?, f.offset()?, f.size()?);
    let flags = WriteFlags::from_bits_retain(f.u32()?);
    let data = req.body.bytes(size)?;
    let wrote = door.write(req.who, handle, (offset, data), flags)?;
    Ok(Encoded::new().u32(wrote).u32(0).into_bytes().into())
}

/// `fuse_read_in` on a directory.
fn readdir(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let (at, size) = ((f.handle()?, f.u64()?), f.size()?);
    let mut stretch = Stretch::new(size);
    if req.opcode == op::READDIR {
        door.readdir(req.who, req.node, at, |name, offset, number, kind| {
            stretch.add(name.as_bytes(), offset, number, kind)
        })?;
    } else {
        door.readdirplus(req.who, req.node, at, |name, offset, entry| {
            stretch.add_entry(name.as_bytes(), offset, entry)
        })?;
    }
    Ok(stretch.into_bytes().into())
}

/// What begins with a handle, and has no answer but that it is done.
fn settle(door: &Door, mut req: Request<'_>) -> Answer<()> {
    let handle = req.head.handle()?;
    match req.opcode {
        op::RELEASE => door.release(req.who, handle),
        op::FSYNC => door.fsync(req.who, handle),
        op::FLUSH => {
            let (_unused, _padding) = (req.head.u32()?, req.head.u32()?);
            door.flush(req.who, handle, req.head.u64()?)
        }
        op::FSYNCDIR => door.fsyncdir(handle),
        _ => {
            door.releasedir(handle);
            Ok(())
        }
    }
}

/// `fuse_lk_in`: the open file and whose the lock is, then the lock.
fn lock(mut head: Fields<'_>) -> Answer<((HandleId, u64), Lock)> {
    let at = (head.handle()?, head.u64()?);
    let lock = Lock {
        start: head.u64()?,
        end: head.u64()?,
        kind: head.i32()?,
        pid: head.u32()?,
    };
    Ok((at, lock))
}

/// `fuse_fallocate_in`.
fn fallocate(door: &Door, mut req: Request<'_>) -> Answer<()> {
    let f = &mut req.head;
    let (handle, range, mode) = (f.handle()?, (f.offset()?, f.offset()?), f.i32()?);
    door.fallocate(req.who, handle, range, mode)
}

/// `fuse_lseek_in`.
fn lseek(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let found = door.lseek(f.handle()?, f.i64()?, f.i32()?)?;
    Ok(Encoded::new().i64(found).into_bytes().into())
}

/// `fuse_copy_file_range_in`.
fn copy_file_range(door: &Door, mut req: Request<'_>) -> Answer<Bytes> {
    let f = &mut req.head;
    let from = (f.handle()?, f.offset()?);
    let _node = f.node()?;
    let (to, len) = ((f.handle()?, f.offset()?), f.u64()?);
    let copied = door.copy_file_range(req.who, from, to, len)?;
    Ok(Encoded::new().u32(copied).u32(0).into_bytes().into())
}
