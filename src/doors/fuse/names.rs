//! Requests about names in directories, each one call of the engine.

use super::answer::{Answer, Entry, Opened, Sender, answer};
use super::door::{Door, missing, name};
use super::errno::report;
use super::open;
use crate::core::{Caller, Kind, Result};
use crate::meta::Node;
use fuser::{FopenFlags, INodeNo, RenameFlags};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// The mode that a new node is asked for, and the bits of it that the process does not want (umask(2)), unless the
/// directory hands a list on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub mode: u32,
    pub umask: u32,
}

impl Mode {
    fn of(self, caller: Caller) -> (Caller, u32) {
        let umask = self.umask & 0o777;
        (Caller { umask, ..caller }, self.mode & 0o7777)
    }
}

impl Door {
    /// A name that does not exist is an answer too, which spares the next question.
    pub(super) fn lookup(&self, who: Sender, parent: INodeNo, child: &OsStr) -> Answer<Entry> {
        let caller = self.callers.of(who);
        let parent = self.numbers.ino(parent);
        self.looks_up(parent, child.as_bytes());
        let end = self.engine.next_end();
        match name(child).and_then(|n| self.engine.lookup(&caller, parent, &n)) {
            Ok(node) => Ok(self.entry(parent, child.as_bytes(), &node, end)),
            Err(e)
                if e.kind() == Kind::NotFound
                    && caller.tenant.is_some()
                    && self.keeps_absence(parent, child.as_bytes()) =>
            {
                Ok(missing())
            }
            Err(e) => Err(report("lookup", &e)),
        }
    }

    pub(super) fn mknod(
        &self,
        who: Sender,
        parent: INodeNo,
        child: &OsStr,
        mode: Mode,
        rdev: u32,
    ) -> Answer<Entry> {
        self.made("mknod", (parent, child), || {
            let (c, dir, n) = self.place(who, parent, child)?;
            let kind = open::node_kind(mode.mode)?;
            let (c, mode) = mode.of(c);
            let new = self.engine.mknod(&c, dir, &n, kind, mode, rdev)?;
            self.note_made(new.ino);
            Ok(new)
        })
    }

    pub(super) fn mkdir(
        &self,
        who: Sender,
        parent: INodeNo,
        child: &OsStr,
        mode: Mode,
    ) -> Answer<Entry> {
        self.made("mkdir", (parent, child), || {
            let (c, dir, n) = self.place(who, parent, child)?;
            let (c, mode) = mode.of(c);
            let new = self.engine.mkdir(&c, dir, &n, mode)?;
            self.note_made(new.ino);
            Ok(new)
        })
    }

    pub(super) fn symlink(
        &self,
        who: Sender,
        parent: INodeNo,
        child: &OsStr,
        target: &OsStr,
    ) -> Answer<Entry> {
        self.made("symlink", (parent, child), || {
            let (c, dir, n) = self.place(who, parent, child)?;
            self.engine.symlink(&c, dir, &n, target.as_bytes())
        })
    }

    pub(super) fn link(
        &self,
        who: Sender,
        ino: INodeNo,
        new_parent: INodeNo,
        child: &OsStr,
    ) -> Answer<Entry> {
        self.made("link", (new_parent, child), || {
            let (c, dir, n) = self.place(who, new_parent, child)?;
            self.engine.link(&c, self.numbers.ino(ino), dir, &n)
        })
    }

    pub(super) fn create(
        &self,
        who: Sender,
        parent: INodeNo,
        child: &OsStr,
        mode: Mode,
        bits: i32,
    ) -> Answer<(Entry, Opened)> {
        let (place, end) = (self.place(who, parent, child), self.engine.next_end());
        let new = place.and_then(|(c, dir, n)| {
            let (c, mode) = mode.of(c);
            self.engine.create(&c, dir, &n, mode, open::flags(bits))
        });
        let (node, handle) = answer("create", new)?;
        self.note_made(node.ino);
        // Even a handle that only reads is flushed: the new file enters the tables at its close(2).
        let flags = FopenFlags::FOPEN_KEEP_CACHE;
        let dir = self.numbers.ino(parent);
        let entry = self.entry(dir, child.as_bytes(), &node, end);
        Ok((entry, Opened { handle, flags }))
    }

    pub(super) fn unlink(&self, who: Sender, parent: INodeNo, child: &OsStr) -> Answer<()> {
        let place = self.place(who, parent, child);
        let gone = place.and_then(|(c, dir, n)| self.engine.unlink(&c, dir, &n));
        answer("unlink", gone)
    }

    pub(super) fn rmdir(&self, who: Sender, parent: INodeNo, child: &OsStr) -> Answer<()> {
        let place = self.place(who, parent, child);
        let gone = place.and_then(|(c, dir, n)| self.engine.rmdir(&c, dir, &n));
        answer("rmdir", gone)
    }

    pub(super) fn rename(
        &self,
        who: Sender,
        (parent, from): (INodeNo, &OsStr),
        (new_parent, to): (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Answer<()> {
        let from = self.place(who, parent, from);
        let moved = from.and_then(|(caller, dir, name)| {
            let (_, to_dir, to_name) = self.place(who, new_parent, to)?;
            let mode = self.meant_rename(&caller, (dir, &name), open::rename(flags)?);
            self.engine
                .rename(&caller, (dir, &name), (to_dir, &to_name), mode)?;
            self.succeeded(mode);
            Ok(())
        });
        answer("rename", moved)
    }

    /// Answers a call that made a name.
    fn made(
        &self,
        call: &'static str,
        place: (INodeNo, &OsStr),
        make: impl FnOnce() -> Result<Arc<Node>>,
    ) -> Answer<Entry> {
        let (parent, child) = place;
        let end = self.engine.next_end();
        let node = answer(call, make())?;
        Ok(self.entry(self.numbers.ino(parent), child.as_bytes(), &node, end))
    }
}
