//! What doors ask about locks. An open file is all that a lock takes: the kernel asks whether it may be read or written.

use super::held::{LockKind, Owner, Payer, Want};
use super::pending::{Pending, look};
use super::wait::{Due, Reply, Wait};
use crate::core::{Caller, Error, HandleId, Ino, Kind, MountId, Result, error::fail};
use crate::fs::Engine;
use crate::fs::handle::{Handle, Source};
use crate::fs::open_file::OpenFile;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A lock that somebody asks for.
#[derive(Debug, Clone)]
pub struct LockAsk {
    /// Whose it will be: a number that the kernel of the mount gives to each process, or to an open file.
    pub owner: u64,
    pub range: Range<u64>,
    pub kind: LockKind,
    /// The process, for whoever asks who is in the way.
    pub pid: u32,
}

/// A lock that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFound {
    pub range: Range<u64>,
    pub kind: LockKind,
    pub pid: u32,
}

impl Engine {
    /// Locks a range (F_SETLK). Fails with `Unavailable` where somebody else's lock excludes it.
    pub fn lock(&self, caller: &Caller, id: HandleId, ask: &LockAsk) -> Result<()> {
        let Some((ino, owner, want)) = self.wanted(caller, id, ask)? else {
            return Ok(());
        };
        let mut due = Due::default();
        let taken = self.locks.0.lock().take(ino, owner, &want, &mut due);
        due.send();
        taken
    }

    /// The same, waiting until nobody's lock excludes it (F_SETLKW). Where that is not now, there is no answer yet: it goes through
    /// `later`, with `Interrupted` when a signal comes for the thread that asks, the caller's `pid`. `Deadlock` where waiting
    /// would go in a circle.
    pub fn lock_or_wait(
        &self,
        caller: &Caller,
        id: HandleId,
        ask: &LockAsk,
        later: impl FnOnce() -> Reply,
    ) -> Option<Result<()>> {
        let (ino, owner, want) = match self.wanted(caller, id, ask) {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return Some(Ok(())),
            Err(e) => return Some(Err(e)),
        };
        let mut due = Due::default();
        let mut table = self.locks.0.lock();
        let Some(blocker) = table.blocker(ino, owner, &want) else {
            let taken = table.take(ino, owner, &want, &mut due);
            drop(table);
            due.send();
            return Some(taken);
        };
        let asked = Wait {
            ino,
            owner,
            want,
            blocker,
            thread: caller.pid,
            is_suspect: false,
            reply: later(),
        };
        let Some(number) = table.wait(asked, &mut due) else {
            drop(table);
            due.send();
            return None;
        };
        let is_watched = std::mem::replace(&mut table.is_watched, true);
        drop(table);
        self.look_after(number, caller.pid, is_watched);
        None
    }

    /// Sees to it that a signal ends a wait; ends one at once that none would.
    fn look_after(&self, number: u64, thread: u32, is_watched: bool) {
        let watched = if is_watched {
            Ok(())
        } else {
            self.locks.watch().map_err(|e| {
                self.locks.0.lock().is_watched = false;
                Error::new(Kind::NoLocks, "no thread to look after who waits").caused_by(e)
            })
        };
        let seen = watched.and_then(|()| match look(thread) {
            Pending::Gone => fail(
                Kind::Unavailable,
                "who is out of sight here could not be interrupted: he may try again",
            ),
            Pending::Nothing | Pending::Perhaps | Pending::Signal => Ok(()),
        });
        if let Err(e) = seen
            && let Some(ended) = self.locks.0.lock().remove(number)
        {
            (ended.reply)(Err(e));
        }
    }

    /// Gives a range back (F_UNLCK). `NoLocks` where the rest would be more pieces than there may be.
    pub fn unlock(&self, id: HandleId, owner: u64, range: &Range<u64>) -> Result<()> {
        let handle = self.files.handle(id)?;
        let Some((ino, owner)) = locked(&handle, owner) else {
            return Ok(());
        };
        let mut due = Due::default();
        let given = self.locks.0.lock().give_back(ino, owner, range, &mut due);
        due.send();
        given
    }

    /// A lock that would be in the way (F_GETLK).
    pub fn lock_in_the_way(
        &self,
        caller: &Caller,
        id: HandleId,
        ask: &LockAsk,
    ) -> Result<Option<LockFound>> {
        let Some((ino, owner, want)) = self.wanted(caller, id, ask)? else {
            return Ok(None);
        };
        let table = self.locks.0.lock();
        let found = table.in_the_way(ino, owner, &want);
        Ok(found.map(|(kind, range, pid)| LockFound { range, kind, pid }))
    }

    /// Called at every close(2) of a descriptor: what was written becomes a version now, and the process that closed it, the `owner`,
    /// has no lock on the file any more.
    pub fn close(&self, caller: &Caller, id: HandleId, owner: u64) -> Result<()> {
        // The bytes first: whoever waits for the lock reads them.
        let flushed = self.flush(caller, id);
        let handle = self.files.handle(id)?;
        if let Some((ino, owner)) = locked(&handle, owner) {
            let mut due = Due::default();
            self.locks.0.lock().give_all_back(ino, owner, &mut due);
            due.send();
        }
        flushed
    }

    /// Whether anybody has asked for a lock on what is open here, so that whoever closes it is to say so.
    pub fn is_locked(&self, id: HandleId) -> bool {
        let handle = self.files.handle(id);
        handle.is_ok_and(|handle| locked(&handle, 0).is_some())
    }

    /// How many ranges are locked, and how many requests wait for one.
    pub fn lock_counts(&self) -> (usize, usize) {
        let table = self.locks.0.lock();
        (table.ranges(), table.waiting())
    }

    /// Ends the locks that were taken through a handle.
    pub(in crate::fs) fn unlock_handle(&self, handle: &Handle, id: HandleId) {
        if let Some((ino, _)) = locked(handle, 0) {
            let mut due = Due::default();
            self.locks.0.lock().close(ino, id, &mut due);
            due.send();
        }
    }

    /// Ends the locks of a mount that is gone.
    pub(in crate::fs) fn forget_locks(&self, mount: MountId) {
        let mut due = Due::default();
        self.locks.0.lock().forget(mount, &mut due);
        due.send();
    }

    /// Whether a file is one of those: whoever locks it has a map of it, of which another mount's kernel has a copy of its own.
    fn is_mapped(&self, file: &OpenFile) -> bool {
        *file.is_mapped.get_or_init(|| {
            let place = self.place(file.ino).ok().flatten();
            place.is_some_and(|at| MAPPED.iter().any(|end| at.name.as_bytes().ends_with(end)))
        })
    }

    /// What is asked for, in the table's words; nothing where no lock excludes another: on what nobody can write.
    fn wanted(
        &self,
        caller: &Caller,
        id: HandleId,
        ask: &LockAsk,
    ) -> Result<Option<(Ino, Owner, Want)>> {
        if ask.range.is_empty() {
            return fail(Kind::Invalid, "a lock on no bytes");
        }
        let handle: Arc<Handle> = self.files.handle(id)?;
        let Source::Stored(held) = &handle.source else {
            return Ok(None);
        };
        held.file.locked.store(true, Ordering::Release);
        let owner = Owner {
            mount: handle.mount,
            key: ask.owner,
        };
        let want = Want {
            range: ask.range.clone(),
            kind: ask.kind,
            is_mapped: self.is_mapped(&held.file),
            handle: id,
            pid: ask.pid,
            payer: Payer {
                mount: handle.mount,
                uid: caller.uid,
            },
        };
        Ok(Some((held.file.ino, owner, want)))
    }
}

/// What files are called through whose maps databases share memory: SQLite's log (WAL) and LMDB.
const MAPPED: [&[u8]; 2] = [b"-shm", b"lock.mdb"];

/// The file behind a handle and an owner on its mount, if the file may be locked.
fn locked(handle: &Handle, owner: u64) -> Option<(Ino, Owner)> {
    let Source::Stored(held) = &handle.source else {
        return None;
    };
    let owner = Owner {
        mount: handle.mount,
        key: owner,
    };
    let is_locked = held.file.locked.load(Ordering::Acquire);
    is_locked.then_some((held.file.ino, owner))
}
