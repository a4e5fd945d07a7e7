//! Whether all users of a tenant find the same under a name of the past, so that a kernel may keep it for all of them.
//!
//! What was is judged by what is there today of it (see `gone`), wherever that is. So it is the same for all where everybody may
//! walk today to whatever a name is judged by, and modes alone say so. Each change that may end this is one that
//! [`Event::Past`](super::Event) tells of.

use super::engine::Engine;
use super::ground::only_parent;
use super::namespace::{ABOVE_MAX, circle};
use super::past::Moment;
use super::view;
use crate::access::namespace;
use crate::core::{Ino, Name, Result};
use crate::meta::{Entry, Node};
use quick_cache::sync::Cache;
use std::sync::Arc;

const ALL_SEARCH: u32 = 0o111;
const ALL_READ: u32 = 0o444;

/// Of how many directories it is remembered whether they are open to all.
const REMEMBERED: usize = 16_384;

/// Directories, and whether everybody may walk there, with the revision of judgements that this was found at.
pub(super) struct Open(Cache<Ino, (u64, bool)>);

impl Default for Open {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Engine {
    /// Whether all users find the same under a name in a directory of a view, or under the name of the view that hangs in every
    /// directory, until they are told that they may not.
    pub fn finds_alike(&self, dir: Ino, name: &Name) -> Result<bool> {
        if view::is_view(dir) {
            return self.views.is_for_all(dir, name);
        }
        self.is_open(dir)
    }

    /// Whether all users of a tenant are answered alike about a name in a directory as it was.
    pub fn looked_alike(&self, at: Moment, dir: Ino, name: &Name) -> Result<bool> {
        if !self.is_open(dir)? {
            return Ok(false);
        }
        match self.entry_at(at, dir, name)? {
            Some(entry) => self.is_judged_alike(&entry),
            None => Ok(true),
        }
    }

    /// Whether all users are answered alike about a word for a moment in a directory that is open to all: a snapshot is seen by who
    /// may list its directory.
    pub fn word_is_for_all(&self, dir: Ino, word: &Name) -> Result<bool> {
        let word = std::str::from_utf8(word.as_bytes()).unwrap_or_default();
        let home = self.home(self.last_of(dir)?.tenant)?;
        let Some(snapshot) = home.snapshots.get(word) else {
            return Ok(true);
        };
        let of = self.last_of(snapshot.ino)?;
        Ok(of.mode & ALL_READ == ALL_READ && self.is_open(of.ino)?)
    }

    /// A node as it is today, or was when it went.
    fn last_of(&self, ino: Ino) -> Result<Arc<Node>> {
        match self.stored_node(ino)? {
            Some(now) => Ok(now),
            None => Ok(Arc::new(self.gone(ino)?.node.clone())),
        }
    }

    /// Whether everybody may walk to a directory today and search it, or might if it were still there.
    pub fn is_open(&self, dir: Ino) -> Result<bool> {
        // Asked before anything is looked at: what was found before a change is never taken for what holds after it.
        let revision = self.rejudged.get();
        let known = |at: &Ino| self.open.0.get(at).filter(|(then, _)| *then == revision);
        let (mut at, mut way) = (dir, Vec::new());
        let is_open = loop {
            if let Some((_, known)) = known(&at) {
                break known;
            }
            way.push(at);
            match self.above_open(at)? {
                None => break false,
                Some(Ino(0)) => break true,
                Some(up) => at = up,
            }
            if way.len() > ABOVE_MAX {
                return circle(dir);
            }
        };
        for passed in way {
            self.open.0.insert(passed, (revision, is_open));
        }
        Ok(is_open)
    }

    /// The directory above one that everybody may search who is there, 0 above a root; `None` where not everybody may.
    fn above_open(&self, dir: Ino) -> Result<Option<Ino>> {
        let (mode, is_said, up) = if let Some(now) = self.stored_node(dir)? {
            (now.mode, self.policy.domain(dir).is_some(), now.parent)
        } else {
            let gone = self.gone(dir)?;
            (gone.node.mode, gone.said.is_some(), gone.parent)
        };
        let is_open = mode & ALL_SEARCH == ALL_SEARCH && !is_said && !self.is_admins(dir, up)?;
        Ok(is_open.then_some(up))
    }

    /// Whether a directory is a namespace of administrators.
    fn is_admins(&self, dir: Ino, up: Ino) -> Result<bool> {
        if self.stored_node(up)?.is_none_or(|up| up.parent != Ino(0)) {
            return Ok(false);
        }
        let place = self.place(dir)?;
        Ok(place.is_none_or(|place| is_for_admins(&place.name)))
    }

    /// Whether everybody sees today what had a name in a directory that is open to all, or nobody does.
    fn is_judged_alike(&self, entry: &Entry) -> Result<bool> {
        let is_open = |dir| Ok(dir == entry.parent || self.is_open(dir)?);
        let Some(now) = self.stored_node(entry.ino)? else {
            let gone = self.gone(entry.ino)?;
            return Ok(gone.said.is_none() && is_open(gone.parent)?);
        };
        if self.policy.domain(now.ino).is_some() || is_for_admins(&entry.name) {
            return Ok(false);
        }
        match only_parent(&now) {
            Some(dir) => is_open(dir),
            // What is said of another name decides, too.
            None => Ok(!now.is_dir() && self.policy.is_empty() && self.means(entry)?),
        }
    }
}

/// Whether a name may be one of a namespace that is for administrators alone: where it is, is not looked at.
fn is_for_admins(name: &Name) -> bool {
    namespace::named(name.as_bytes()).is_some_and(|policy| policy.admin_only)
}
