//! Walks through a tree that end with a page: each directory on the way, and where the next page goes on in it.

use super::context::Context;
use crate::core::{FsPath, Ino, Result};
use crate::fs::DirEntry;
use std::collections::VecDeque;
use std::vec::IntoIter;

/// A directory, with what is left of a page of it.
pub(super) struct Level {
    pub dir: FsPath,
    ino: Ino,
    /// The cookie of the entry at which the walk before ended; 0 for none.
    pub begin: u64,
    /// That of the entry that was taken last.
    pub at: u64,
    left: IntoIter<DirEntry>,
}

impl Level {
    /// Enters a directory at the first of the cookies `from` where a walk before ended; `None` where nothing is left in it. Fails
    /// where the caller may not list it, or it is gone.
    pub(super) fn enter(
        cx: &Context<'_>,
        dir: FsPath,
        ino: Ino,
        from: &mut VecDeque<u64>,
    ) -> Result<Option<Self>> {
        let begin = from.pop_front().unwrap_or(0);
        let at = begin.saturating_sub(1);
        let page = cx.engine().list_behind(cx.caller, ino, at)?;
        Ok((!page.is_empty()).then(|| Self {
            dir,
            ino,
            begin,
            at,
            left: page.into_iter(),
        }))
    }

    pub(super) fn next(&mut self, cx: &Context<'_>) -> Result<Option<DirEntry>> {
        if self.left.as_slice().is_empty() {
            let page = cx.engine().list_behind(cx.caller, self.ino, self.at)?;
            self.left = page.into_iter();
        }
        let next = self.left.next();
        self.at = next.as_ref().map_or(self.at, |entry| entry.cookie);
        Ok(next)
    }
}
