//! Directories: opendir, readdir, fsyncdir.

use super::engine::Engine;
use super::handle::Held;
use super::lookup::Found;
use super::namespace::is_for;
use super::view::{self, Listed};
use crate::access::Right;
use crate::core::{Caller, Error, HandleId, Ino, Kind, MountId, Name, Result, error::fail};
use crate::meta::{Entry, Node};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many entries one query fetches.
pub(super) const PAGE: u32 = 1024;

/// One name in a directory. `.` and `..` are the door's business.
#[derive(Debug, Clone)]
pub struct DirEntry {
    /// Pass it as `after` to go on behind this entry, now or later, whatever changes meanwhile.
    pub cookie: u64,
    pub name: Name,
    pub node: Found,
}

/// An open directory with the part of a page that was not asked for yet.
pub(super) struct DirHandle {
    ino: Ino,
    /// The mount that it was opened through.
    pub(super) mount: Option<MountId>,
    buffer: Mutex<VecDeque<DirEntry>>,
    /// What the buffer was judged by.
    judged: Mutex<(u64, u64)>,
    position: Mutex<u64>,
    /// Keeps a removed directory readable until it is closed.
    _held: Option<Held>,
}

impl Engine {
    pub fn opendir(&self, caller: &Caller, ino: Ino) -> Result<HandleId> {
        let mut held = None;
        let node = self.getattr(caller, ino)?;
        if !node.is_dir() {
            return fail(Kind::NotDirectory, "not a directory");
        }
        if view::is_view(ino) {
            self.views.allows(caller, ino, Right::Read)?;
        } else {
            self.may_reach(caller, &node)?;
            self.sight(caller, &node, Right::Read)?;
            held = Some(self.files.hold(self, ino)?);
        }
        let handle = DirHandle {
            ino,
            mount: caller.mount,
            buffer: Mutex::default(),
            judged: Mutex::default(),
            position: Mutex::new(0),
            _held: held,
        };
        let id = self.files.next();
        self.files.dirs.write().insert(id, Arc::new(handle));
        Ok(id)
    }

    pub fn releasedir(&self, id: HandleId) {
        self.files.dirs.write().remove(&id);
    }

    /// Gives entries with a cookie greater than `after` to `take`, in order, until it returns false. One query a page.
    pub fn readdir(
        &self,
        caller: &Caller,
        id: HandleId,
        after: u64,
        mut take: impl FnMut(&DirEntry) -> bool,
    ) -> Result<()> {
        let dir = self.dir_handle(id)?;
        let mut buffer = dir.buffer.lock();
        let mut position = dir.position.lock();
        let mut judged = dir.judged.lock();
        let stands_on = self.page_stands_on(dir.ino);
        // What was allowed when it was read may not be any more.
        if *position != after || after == 0 || *judged != stands_on {
            buffer.clear();
            *position = after;
        }
        loop {
            if buffer.is_empty() {
                *judged = self.page_stands_on(dir.ino);
                *buffer = self.page(caller, dir.ino, *position)?;
            }
            let Some(next) = buffer.front() else {
                return Ok(());
            };
            if !take(next) {
                return Ok(());
            }
            *position = next.cookie;
            buffer.pop_front();
        }
    }

    /// Every entry of a directory, for doors that speak paths.
    pub fn list(&self, caller: &Caller, ino: Ino) -> Result<Vec<DirEntry>> {
        let id = self.opendir(caller, ino)?;
        let mut all = Vec::new();
        let listed = self.readdir(caller, id, 0, |e| {
            all.push(e.clone());
            true
        });
        self.releasedir(id);
        listed.map(|()| all)
    }

    /// Entries of a directory behind the cookie `after`, as many as are read at once; none at the end. For doors that speak paths.
    pub fn list_behind(&self, caller: &Caller, ino: Ino, after: u64) -> Result<Vec<DirEntry>> {
        let id = self.opendir(caller, ino)?;
        let page = self.page(caller, ino, after);
        self.releasedir(id);
        page.map(Vec::from)
    }

    /// Makes the names in a directory durable (fsync(2) on a directory).
    pub fn fsyncdir(&self, id: HandleId) -> Result<()> {
        let dir = self.dir_handle(id)?;
        for (_, _, node) in self.transient.children(dir.ino, 0) {
            if let Some(birth) = self.transient.birth(node.ino) {
                self.change(&birth.caller, |ch| ch.birth(node.ino, None))?;
            }
        }
        self.store.sync()
    }

    /// What it stands on whether a caller sees names, beside modes: while this is the same, he sees those that he saw.
    fn page_stands_on(&self, dir: Ino) -> (u64, u64) {
        // What has ended is not listed any more, whoever has noticed.
        self.retire_grants();
        if view::is_view(dir) {
            return (self.rejudged.get(), self.policy.revision());
        }
        (self.policy.revision(), self.principals_revision())
    }

    fn dir_handle(&self, id: HandleId) -> Result<Arc<DirHandle>> {
        let found = self.files.dirs.read().get(&id).cloned();
        found.ok_or_else(|| Error::new(Kind::BadHandle, format!("no open directory {}", id.0)))
    }

    /// Entries behind `after` that the caller may see; none at the end. A page of which all is hidden is passed over.
    fn page(&self, caller: &Caller, dir: Ino, after: u64) -> Result<VecDeque<DirEntry>> {
        if view::is_view(dir) {
            return self.view_page(caller, dir, after);
        }
        let mut at = after;
        loop {
            let mut page = self.whole_page(dir, at)?;
            let Some(last) = page.last() else {
                return Ok(VecDeque::new());
            };
            at = last.cookie;
            self.hide(caller, dir, &mut page)?;
            if !page.is_empty() {
                return Ok(page.into());
            }
        }
    }

    /// What is in memory is looked at first: it goes to the tables while we look, and would be in neither.
    fn whole_page(&self, dir: Ino, after: u64) -> Result<Vec<DirEntry>> {
        let unborn = self.transient.children(dir, after);
        let mut page = self.stored_page(dir, after)?;
        let end = page.last().map_or(u64::MAX, |e| e.cookie);
        let full = page.len() == PAGE as usize;
        for (cookie, name, node) in unborn {
            if !full || cookie < end {
                let node = self.shown(node.ino).unwrap_or(node);
                page.push(DirEntry { cookie, name, node });
            }
        }
        page.sort_by_key(|e| e.cookie);
        page.dedup_by_key(|e| e.cookie);
        Ok(page)
    }

    /// Leaves out what the caller may not see. A removed directory that is still open has nothing left to hide.
    fn hide(&self, caller: &Caller, dir: Ino, page: &mut Vec<DirEntry>) -> Result<()> {
        let node = self.node(dir)?;
        if node.parent == Ino(0) && node.nlink > 0 {
            page.retain(|e| is_for(caller, &e.name));
        }
        if self.policy.is_empty() || node.nlink == 0 {
            return Ok(());
        }
        let mut look = self.look(caller, &node, Right::Read)?;
        let mut went_wrong = Ok(());
        page.retain(|entry| match look.sees(&entry.node) {
            Ok(seen) => seen,
            Err(e) => {
                went_wrong = Err(e);
                false
            }
        });
        went_wrong
    }

    /// What the tables have of a directory behind `after`, which is in the caches then.
    pub(super) fn stored_rows(&self, dir: Ino, after: u64) -> Result<Vec<(Arc<Entry>, Arc<Node>)>> {
        let began = self.cache.reading();
        let rows = self.store.list(dir, after, PAGE)?;
        self.cache.fill_page(began, &rows);
        if after == 0 && rows.len() < PAGE as usize {
            let names = rows.iter().map(|(e, _)| e.name.clone()).collect();
            self.cache.fill_dir(began, dir, names);
        }
        Ok(rows)
    }

    /// The same as a door shows it.
    fn stored_page(&self, dir: Ino, after: u64) -> Result<Vec<DirEntry>> {
        let shown = |(e, n): (Arc<Entry>, Found)| DirEntry {
            cookie: e.cookie,
            name: e.name.clone(),
            node: self.shown(n.ino).unwrap_or(n),
        };
        let rows = self.stored_rows(dir, after)?;
        Ok(rows.into_iter().map(shown).collect())
    }

    fn view_page(&self, caller: &Caller, dir: Ino, after: u64) -> Result<VecDeque<DirEntry>> {
        let page = self.views.page(caller, dir, after)?;
        let shown = |listed: Listed| DirEntry {
            cookie: listed.cookie,
            name: listed.name,
            node: self.node_of(caller, view::sibling(dir, listed.id), &listed.item),
        };
        Ok(page.into_iter().map(shown).collect())
    }
}
