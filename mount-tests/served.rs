//! The test disk's own process: a platter served at a directory.

use crate::dice::Dice;
use crate::disk::{Platter, ROOT, State};
use crate::drive::ANSWER;
use crate::world::detach;
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TTL: Duration = Duration::from_hours(1);
const BLOCK: u64 = 4096;
const BLOCKS: u64 = 1 << 20;

/// Serves a disk at a directory, under orders from standard input, until that ends. Every order is answered with a line.
pub(crate) fn serve(dir: &Path) {
    let platter = Platter::new();
    let mut session = None;
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let answer = match words[0] {
            "spin-up" => {
                eject(dir, session.take());
                session = Some(mount(dir, &platter));
                String::new()
            }
            "cut" => platter.cut_after(number(1)),
            "fail" => platter.fail_once(number(1), i32::try_from(number(2)).unwrap()),
            "calm" => platter.calm().to_string(),
            "fired" => platter.has_fired().to_string(),
            "count" => platter.count().to_string(),
            "forget" => platter.forget_unsynced(&mut Dice::from_seed(number(1))),
            other => panic!("what is {other}?"),
        };
        println!("\n{ANSWER}{answer}");
    }
    eject(dir, session);
}

fn mount(dir: &Path, platter: &Platter) -> BackgroundSession {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("testdisk".to_owned())];
    config.n_threads = Some(2);
    fuser::spawn_mount(Served(platter.clone()), dir, &config).unwrap()
}

/// Unmounts first: then there is nothing left for the session's drop to fail at.
fn eject(dir: &Path, session: Option<BackgroundSession>) {
    if let Some(session) = session {
        detach(dir);
        drop(session);
    }
}

struct Served(Platter);

fn attr(state: &State, ino: u64) -> FileAttr {
    let inode = &state.inodes[&ino];
    let size = inode.data.len() as u64;
    let links = state.names.values().filter(|named| **named == ino).count();
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: inode.kind,
        perm: inode.mode,
        nlink: u32::try_from(links.max(1)).unwrap(),
        uid: inode.owner.0,
        gid: inode.owner.1,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Served {
    /// Makes a node with a name.
    fn make(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        kind: FileType,
        mode: u32,
    ) -> Result<FileAttr, Errno> {
        let mut state = self.0.lock();
        state.strike()?;
        if state.find(parent.0, name).is_some() {
            return Err(Errno::EEXIST);
        }
        let ino = state.add(kind, mode, (req.uid(), req.gid()));
        state.rename_all(vec![((parent.0, name.to_owned()), Some(ino))]);
        Ok(attr(&state, ino))
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let mut state = self.0.lock();
        state.strike()?;
        let ino = state.find(parent.0, name).ok_or(Errno::ENOENT)?;
        if !state.is_empty(ino) {
            return Err(Errno::ENOTEMPTY);
        }
        state.rename_all(vec![((parent.0, name.to_owned()), None)]);
        Ok(())
    }

    /// Changes a file.
    fn change(&self, ino: INodeNo, change: impl FnOnce(&mut State)) -> Result<(), Errno> {
        let mut state = self.0.lock();
        state.strike_file(ino.0)?;
        change(&mut state);
        Ok(())
    }
}

fn end(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(e),
    }
}

fn enter(reply: ReplyEntry, made: Result<FileAttr, Errno>) {
    match made {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(e) => reply.error(e),
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.0.lock();
        let found = state
            .powered()
            .and_then(|()| state.find(parent.0, name).ok_or(Errno::ENOENT));
        enter(reply, found.map(|ino| attr(&state, ino)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attr(&self.0.lock(), ino.0));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.change(ino, |state| {
            if let Some(mode) = mode {
                let mode = u16::try_from(mode & 0o7777).unwrap();
                state.inodes.get_mut(&ino.0).unwrap().mode = mode;
            }
            if let Some(size) = size {
                state.resize(ino.0, usize::try_from(size).unwrap());
            }
        });
        match done {
            Ok(()) => reply.attr(&TTL, &attr(&self.0.lock(), ino.0)),
            Err(e) => reply.error(e),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let socket = mode & libc::S_IFMT == libc::S_IFSOCK;
        let kind = if socket {
            FileType::Socket
        } else {
            FileType::RegularFile
        };
        enter(reply, self.make(req, parent, name, kind, mode));
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        enter(
            reply,
            self.make(req, parent, name, FileType::Directory, mode),
        );
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(req, parent, name, FileType::RegularFile, mode) {
            Ok(attr) => {
                let handle = FileHandle(self.0.lock().open(attr.ino.0));
                reply.created(&TTL, &attr, Generation(0), handle, FopenFlags::empty());
            }
            Err(e) => reply.error(e),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(reply, self.remove(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        from: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.0.lock();
        let found = state.find(from.0, name).ok_or(Errno::ENOENT);
        let taken = !flags.is_empty() && state.find(to.0, new).is_some();
        let done = state
            .strike()
            .and(if taken { Err(Errno::EEXIST) } else { found });
        let done = done.map(|ino| {
            let gone = ((from.0, name.to_owned()), None);
            state.rename_all(vec![gone, ((to.0, new.to_owned()), Some(ino))]);
        });
        end(reply, done);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let key = (parent.0, name.to_owned());
        let done = self.change(ino, |state| state.rename_all(vec![(key, Some(ino.0))]));
        enter(reply, done.map(|()| attr(&self.0.lock(), ino.0)));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.0.lock();
        let data = &state.inodes[&ino.0].data;
        let from = data.len().min(usize::try_from(offset).unwrap());
        let to = data.len().min(from + size as usize);
        match state.powered() {
            Ok(()) => reply.data(&data[from..to]),
            Err(e) => reply.error(e),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let at = usize::try_from(offset).unwrap();
        match self.change(ino, |state| state.write(ino.0, at, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap()),
            Err(e) => reply.error(e),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let handle = self.0.lock().open(ino.0);
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.lock().close(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        end(reply, self.0.lock().sync_file(ino.0, fh.0));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        end(reply, self.change(ino, |state| state.sync_names(ino.0)));
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.0.lock();
        let below = state
            .names
            .range((ino.0, "".into())..(ino.0 + 1, "".into()));
        let named = below.map(|((_, name), ino)| (name.clone(), *ino, state.inodes[ino].kind));
        let dots = [".", ".."].map(|name| (name.into(), ROOT, FileType::Directory));
        let skip = usize::try_from(offset).unwrap();
        for (n, (name, ino, kind)) in dots.into_iter().chain(named).enumerate().skip(skip) {
            if reply.add(INodeNo(ino), n as u64 + 1, kind, &name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let block = u32::try_from(BLOCK).unwrap();
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, block, 255, block);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let end_of = usize::try_from(offset + length).unwrap();
        end(
            reply,
            self.change(ino, |state| {
                let size = state.inodes[&ino.0].data.len();
                state.resize(ino.0, size.max(end_of));
            }),
        );
    }
}
