//! Writing: into the working copy while a file is open; a version when it is closed.

use super::commit::Change;
use super::engine::Engine;
use super::events::Event;
use super::handle::Held;
use super::open_file::{OpenFile, Writing};
use crate::blob::{Sealed, Working};
use crate::core::{Caller, HandleId, Ino, Kind, Result, Time, error::fail};
use crate::meta::{Edit, Node, OpKind};
use parking_lot::MutexGuard;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Engine {
    /// Writes at `offset`, or at the end when the handle appends. Returns how many bytes: always all of them.
    /// Fails with `Denied` when who opened the file was deleted since.
    pub fn write(&self, caller: &Caller, id: HandleId, offset: u64, data: &[u8]) -> Result<usize> {
        let handle = self.files.handle(id)?;
        self.holds_open(&handle)?;
        let append = handle.flags.append;
        self.write_to(
            handle.hand(caller),
            handle.writable()?,
            |w| if append { w.working.size() } else { offset },
            data,
        )
    }

    /// Writes a page of a memory map back: at `offset`, whatever handle the kernel picked for it, in the name of who opened that.
    /// Of several who have a file open to write, that need not be who changed the page.
    pub fn write_page(&self, id: HandleId, offset: u64, data: &[u8]) -> Result<usize> {
        let handle = self.files.handle(id)?;
        self.holds_open(&handle)?;
        let file = handle.writable()?;
        match &handle.writer {
            Some(writer) => self.write_to(writer, file, |_| offset, data),
            None => fail(Kind::BadHandle, "nobody has the file open for writing"),
        }
    }

    fn write_to(
        &self,
        caller: &Caller,
        file: &Arc<OpenFile>,
        at: impl FnOnce(&Writing) -> u64,
        data: &[u8],
    ) -> Result<usize> {
        self.modify(caller, file, |w| {
            let at = at(w);
            w.working.write(&self.blobs, at, data)
        })?;
        Ok(data.len())
    }

    /// Puts a content that was staged elsewhere in the place of all that an open file holds, at once.
    pub fn put(&self, caller: &Caller, id: HandleId, mut staged: Working) -> Result<()> {
        staged.replaces();
        self.with_writable(caller, id, |w| {
            w.working = staged;
            Ok(())
        })
    }

    /// Changes the working copy behind a handle that may write.
    pub(super) fn with_writable<T>(
        &self,
        caller: &Caller,
        id: HandleId,
        f: impl FnOnce(&mut Writing) -> Result<T>,
    ) -> Result<T> {
        let handle = self.files.handle(id)?;
        self.holds_open(&handle)?;
        self.modify(handle.hand(caller), handle.writable()?, f)
    }

    /// Changes a working copy in the caller's name. What somebody else has written to it becomes a version of his before.
    pub(super) fn modify<T>(
        &self,
        caller: &Caller,
        file: &Arc<OpenFile>,
        f: impl FnOnce(&mut Writing) -> Result<T>,
    ) -> Result<T> {
        let mut writing = file.state.lock();
        let others = writing
            .writer
            .as_ref()
            .is_some_and(|w| !is_hand_of(w, caller));
        let sealed = if others {
            self.seal_held(caller, file, &mut writing, OpKind::Write)?
        } else {
            None
        };
        let out = self.modify_held(caller, file, writing, f);
        if let Some((author, events)) = sealed {
            self.tell(&author, &events);
        }
        out
    }

    /// The same of one that is held, and has nothing of others.
    fn modify_held<T>(
        &self,
        caller: &Caller,
        file: &Arc<OpenFile>,
        mut writing: MutexGuard<'_, Writing>,
        f: impl FnOnce(&mut Writing) -> Result<T>,
    ) -> Result<T> {
        let begins = !file.is_dirty();
        if begins {
            self.begin(file, &mut writing)?;
        }
        if writing.writer.as_ref().map(who) != Some(who(caller)) {
            writing.writer = Some(caller.clone());
        }
        let out = f(&mut writing).inspect_err(|_| {
            if begins {
                file.is_as_it_was();
            }
        })?;
        file.wrote(&writing.working, self.clock.now());
        drop(writing);
        self.strip_privileges(caller, file.ino)?;
        // Other mounts see a write when it returns, not when the file is closed. Who writes through no mount seals soon.
        if caller.mount.is_some() {
            self.tell(caller, &[Event::Data(file.ino)]);
        }
        Ok(out)
    }

    /// Begins to write to what the file is now. A revision tells open files what it made of them when it is done, and leaves alone
    /// what somebody is writing: in between, one that has looked already would make something else of the file, and what is written to what
    /// it was would bring that back. So no change comes between these two.
    fn begin(&self, file: &OpenFile, writing: &mut Writing) -> Result<()> {
        let _turn = self.turn.lock();
        let now = self.node(file.ino)?;
        if now.is_file() && now.content != *writing.working.base() {
            file.go_on_from(&now, writing);
        }
        file.begins();
        Ok(())
    }

    /// Makes a version of what was written and is about to be cut off by somebody who has not opened the file for that, perhaps
    /// another process of the same user: else it would be in no version.
    pub(super) fn seal_before_cut(
        &self,
        caller: &Caller,
        file: &OpenFile,
        size: u64,
    ) -> Result<()> {
        if file.is_dirty() && file.state.lock().working.size() > size {
            return self.seal(caller, file, OpKind::Write);
        }
        Ok(())
    }

    /// Makes a version of what was written since the last one: bytes first, then one transaction. Nothing is lost when it
    /// fails: the working copy stays as it is, and the next close or fsync tries again.
    pub(super) fn seal(&self, caller: &Caller, file: &OpenFile, kind: OpKind) -> Result<()> {
        // Kernels are told once the file is free: what they wait for may be a request that waits for it.
        if let Some((author, events)) = self.seal_untold(caller, file, kind)? {
            self.tell(&author, &events);
        }
        Ok(())
    }

    /// The same; gives who made the version, and what kernels are to be told of it.
    fn seal_untold(
        &self,
        caller: &Caller,
        file: &OpenFile,
        kind: OpKind,
    ) -> Result<Option<(Caller, Vec<Event>)>> {
        self.seal_held(caller, file, &mut file.state.lock(), kind)
    }

    fn seal_held(
        &self,
        caller: &Caller,
        file: &OpenFile,
        writing: &mut Writing,
        kind: OpKind,
    ) -> Result<Option<(Caller, Vec<Event>)>> {
        let ino = file.ino;
        if self.transient.is_unlinked(ino) {
            return self.forget_drafts(file).map(|()| None);
        }
        if !file.is_dirty() {
            let Some(birth) = self.transient.birth(ino) else {
                return Ok(None);
            };
            let ((), events) = self.change_untold(&birth.caller, |ch| ch.birth(ino, None))?;
            return Ok(Some((birth.caller.clone(), events)));
        }
        let author = writing.writer.clone().unwrap_or_else(|| caller.clone());
        let sealed = writing.working.seal(&self.blobs)?;
        let done = self.change_untold(&author, |ch| {
            if ch.engine.transient.birth(ino).is_some() {
                return ch.birth(ino, Some((&sealed, file.mtime())));
            }
            ch.new_version(ino, &sealed, file.mtime(), kind)?;
            if file.drafted() > 0 {
                ch.edit(Edit::DraftsDone(ino));
            }
            Ok(())
        });
        let events = match done {
            // Its last name went while we were hashing: what is open stays readable, nothing is recorded.
            Err(e) if e.kind() == Kind::NotFound && self.transient.is_unlinked(ino) => {
                return self.forget_drafts(file).map(|()| None);
            }
            other => other?.1,
        };
        writing.working.settle(sealed.content);
        writing.writer = None;
        file.undraft();
        file.dirty.store(false, Ordering::Release);
        Ok(Some((author, events)))
    }
}

impl Change<'_> {
    /// Puts a content in the place of the one that a file has.
    pub(super) fn new_version(
        &mut self,
        ino: Ino,
        sealed: &Sealed,
        mtime: Time,
        kind: OpKind,
    ) -> Result<()> {
        let path = self.engine.path_of(ino)?;
        let old = self.node(ino)?;
        self.store(sealed);
        let undo = json!({ "version": old.version, "size": old.size });
        self.update(Node {
            size: sealed.content.size(),
            content: sealed.content.clone(),
            version: old.version + 1,
            mtime,
            // What stat(2) has shown since the write: closing a file does not change it once more.
            ctime: mtime.max(old.ctime),
            ..(*old).clone()
        })?;
        self.record(kind, ino, &path, None, &undo);
        Ok(())
    }
}

/// Whether what two callers do is one's doing: processes may change.
fn is_hand_of(one: &Caller, other: &Caller) -> bool {
    one.uid == other.uid
        && one.user == other.user
        && one.agent == other.agent
        && one.session == other.session
}

/// Whose name a version has.
fn who(caller: &Caller) -> (u32, Option<&str>, Option<&str>) {
    (caller.pid, caller.user.as_deref(), caller.agent.as_deref())
}

impl std::ops::Deref for Held {
    type Target = Arc<OpenFile>;

    fn deref(&self) -> &Self::Target {
        &self.file
    }
}
