//! Directory streams: `.` and `..` first, then the engine's entries, with their cookies as offsets.

use super::answer::{Answer, Entry, Opened, Sender, answer};
use super::door::Door;
use super::numbers;
use crate::core::{Caller, HandleId, Ino, Name, Result};
use crate::meta::Node;
use fuser::{FileType, FopenFlags, INodeNo};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

/// Offsets of the names that every directory has; the engine's cookies lie above.
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;
const DOT_AT: u64 = 3;

impl Door {
    pub(super) fn opendir(&self, who: Sender, ino: INodeNo) -> Answer<Opened> {
        let (caller, ino) = self.node(who, ino);
        self.looks_into(ino);
        let handle = answer("opendir", self.engine.opendir(&caller, ino))?;
        Ok(Opened {
            handle,
            flags: self.keeps_list(handle, ino),
        })
    }

    /// Whether the kernel may keep the names that a directory lists, and still use those that it has: where all see the same
    /// ones, and it is told of changes. What the list stands on is asked before it is read.
    fn keeps_list(&self, handle: HandleId, ino: Ino) -> FopenFlags {
        let stands_on = if self.engine.is_in_view(ino) {
            self.past_list(handle, ino)
        } else {
            self.engine.list_stands_on(ino)
        };
        let Some(now) = stands_on.filter(|_| self.callers.is_single()) else {
            return FopenFlags::empty();
        };
        let before = self.lists.lock().put(ino, now);
        if before == Some(now) {
            FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
        } else {
            FopenFlags::FOPEN_CACHE_DIR
        }
    }

    /// Gives names with number and kind to `add`, until it says that the reply is full.
    pub(super) fn readdir(
        &self,
        who: Sender,
        ino: INodeNo,
        at: (HandleId, u64),
        mut add: impl FnMut(&OsStr, u64, INodeNo, FileType) -> bool,
    ) -> Answer<()> {
        let (caller, dir) = self.node(who, ino);
        let filled = self.fill(&caller, dir, at, |name, offset, node| {
            let (number, kind) = (self.numbers.number(node.ino), numbers::kind(node.kind));
            add(OsStr::from_bytes(name), offset, number, kind)
        });
        answer("readdir", filled)
    }

    /// Gives names with all that a LOOKUP would say to `add`, until it says that the reply is full.
    pub(super) fn readdirplus(
        &self,
        who: Sender,
        ino: INodeNo,
        at: (HandleId, u64),
        mut add: impl FnMut(&OsStr, u64, &Entry) -> bool,
    ) -> Answer<()> {
        let (caller, dir) = self.node(who, ino);
        let end = self.engine.next_end();
        // Who may read a directory and not search it is told its names, and finds nothing by them.
        let finds = self.engine.may_search(&caller, dir);
        let finds = answer("readdirplus", finds)?;
        let filled = self.fill(&caller, dir, at, |name, offset, node| {
            let mut entry = self.entry(dir, name, node, end);
            if !finds {
                entry.name_ttl = Duration::ZERO;
            }
            add(OsStr::from_bytes(name), offset, &entry)
        });
        answer("readdirplus", filled)
    }

    pub(super) fn releasedir(&self, handle: HandleId) {
        self.past_closed(handle);
        self.engine.releasedir(handle);
    }

    pub(super) fn fsyncdir(&self, handle: HandleId) -> Answer<()> {
        answer("fsyncdir", self.engine.fsyncdir(handle))
    }

    /// Gives what stands behind `offset` to `add`, as name, offset and node, until it says that the buffer is full.
    fn fill(
        &self,
        caller: &Caller,
        dir: Ino,
        (handle, offset): (HandleId, u64),
        mut add: impl FnMut(&[u8], u64, &Node) -> bool,
    ) -> Result<()> {
        self.looks_into(dir);
        if offset < DOT_DOT {
            let node = self.engine.getattr(caller, dir)?;
            if offset < DOT && add(b".", DOT, &node) {
                return Ok(());
            }
            if add(b"..", DOT_DOT, &*self.above(caller, &node)?) {
                return Ok(());
            }
        }
        if offset < DOT_AT
            && let Some((name, view)) = self.listed_view(caller, dir)
            && add(name.as_bytes(), DOT_AT, &view)
        {
            return Ok(());
        }
        let after = if offset <= DOT_AT { 0 } else { offset };
        self.engine.readdir(caller, handle, after, |e| {
            !add(e.name.as_bytes(), e.cookie, &e.node)
        })
    }

    /// The view that hangs in every directory, where this mount lists it: in the root and in each namespace, which nobody removes.
    /// What removes a directory name by name would meet it elsewhere, and cannot remove it; what walks one would walk the past, too.
    fn listed_view(&self, caller: &Caller, dir: Ino) -> Option<(Name, Arc<Node>)> {
        if !self.lists_past || self.engine.is_in_view(dir) {
            return None;
        }
        let root = self.numbers.root();
        if dir != root && self.engine.getattr(caller, dir).ok()?.parent != root {
            return None;
        }
        let name = self.engine.everywhere()?;
        let view = self.engine.lookup(caller, dir, &name).ok()?;
        Some((name, view))
    }

    /// The directory above; the root is its own. What a computed directory hangs below is the root too.
    fn above(&self, caller: &Caller, node: &Node) -> Result<Arc<Node>> {
        let up = if node.parent == Ino(0) {
            self.numbers.root()
        } else {
            node.parent
        };
        self.engine.getattr(caller, up)
    }
}
