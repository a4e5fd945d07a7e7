//! Requests about locks. Those of flock(2) do not come: the kernel keeps them, because fuser 0.18 does not say which are which.

use super::answer::{Answer, Sender, answer};
use super::door::Door;
use crate::core::{Error, HandleId, Kind, Result, error::fail};
use crate::fs::{LockAsk, LockKind, Reply};
use std::ops::Range;

/// A range and how it is locked, as the kernel lays it down (`fuse_file_lock`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lock {
    pub start: u64,
    /// The last byte.
    pub end: u64,
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub kind: i32,
    pub pid: u32,
}

impl Lock {
    fn range(self) -> Result<Range<u64>> {
        // The last byte there can be is OFFSET_MAX, the end behind it the largest that is meant.
        match i64::try_from(self.end) {
            Ok(_) if self.start <= self.end => Ok(self.start..self.end + 1),
            Ok(_) => fail(Kind::Invalid, "a lock that ends before it begins"),
            Err(e) => Err(Error::new(Kind::Invalid, "a lock behind the largest file").caused_by(e)),
        }
    }

    /// What is asked for; nothing where a range is to be given back.
    fn ask(self, owner: u64) -> Result<Option<LockAsk>> {
        let kind = match self.kind {
            libc::F_RDLCK => LockKind::Shared,
            libc::F_WRLCK => LockKind::Exclusive,
            libc::F_UNLCK => return Ok(None),
            other => return fail(Kind::Invalid, format!("lock type {other}")),
        };
        Ok(Some(LockAsk {
            owner,
            range: self.range()?,
            kind,
            pid: self.pid,
        }))
    }
}

impl Door {
    /// A lock that would be in the way, or the one that was asked for as `F_UNLCK`.
    pub(super) fn getlk(
        &self,
        who: Sender,
        (handle, owner): (HandleId, u64),
        lock: Lock,
    ) -> Answer<Lock> {
        let found = lock.ask(owner).and_then(|ask| match ask {
            Some(ask) => self
                .engine
                .lock_in_the_way(&self.callers.of(who), handle, &ask),
            None => fail(Kind::Invalid, "a lock to look for"),
        });
        Ok(match answer("getlk", found)? {
            Some(found) => Lock {
                start: found.range.start,
                end: found.range.end - 1,
                kind: match found.kind {
                    LockKind::Shared => libc::F_RDLCK,
                    LockKind::Exclusive => libc::F_WRLCK,
                },
                pid: found.pid,
            },
            None => Lock {
                kind: libc::F_UNLCK,
                ..lock
            },
        })
    }

    /// Locks a range, or gives it back.
    pub(super) fn setlk(
        &self,
        who: Sender,
        (handle, owner): (HandleId, u64),
        lock: Lock,
    ) -> Answer<()> {
        let done = lock.ask(owner).and_then(|ask| match ask {
            Some(ask) => self.engine.lock(&self.callers.of(who), handle, &ask),
            None => self.engine.unlock(handle, owner, &lock.range()?),
        });
        answer("setlk", done)
    }

    /// The same; where that has to wait, the answer goes through `later`.
    pub(super) fn setlkw(
        &self,
        who: Sender,
        (handle, owner): (HandleId, u64),
        lock: Lock,
        later: impl FnOnce() -> Reply,
    ) -> Option<Answer<()>> {
        match lock.ask(owner) {
            Ok(Some(ask)) => {
                let caller = self.callers.of(who);
                let done = self.engine.lock_or_wait(&caller, handle, &ask, later)?;
                Some(answer("setlkw", done))
            }
            Ok(None) | Err(_) => Some(self.setlk(who, (handle, owner), lock)),
        }
    }

    /// What a wait came to.
    pub(super) fn waited(said: Result<()>) -> Answer<()> {
        answer("setlkw", said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(start: u64, end: u64, kind: i32) -> Lock {
        Lock {
            start,
            end,
            kind,
            pid: 1,
        }
    }

    #[test]
    fn a_lock_to_the_end_of_everything_is_a_range_and_one_behind_it_is_none() {
        let most = i64::MAX.cast_unsigned();
        assert_eq!(lock(0, most, 0).range().unwrap(), 0..most + 1);
        for wrong in [lock(0, most + 1, 0), lock(2, 1, 0)] {
            assert_eq!(wrong.range().unwrap_err().kind(), Kind::Invalid);
        }
        assert_eq!(lock(5, 5, 0).range().unwrap(), 5..6);
        assert!(lock(0, 0, libc::F_UNLCK).ask(1).unwrap().is_none());
        assert_eq!(lock(0, 0, 9).ask(1).unwrap_err().kind(), Kind::Invalid);
    }
}
