//! Nodes, entries and places kept in memory: exact, because this process makes every change.
//!
//! A value that was read from the database may only enter while nothing has been published since the read
//! began; otherwise it could be older than what a change has just put here.

use super::whole::Whole;
use super::{Entry, Node, Xattr};
use crate::core::{Ino, Name};
use parking_lot::Mutex;
use quick_cache::sync::Cache as Map;
use std::collections::HashSet;
use std::sync::Arc;

/// Attributes of a node that are kept, in bytes together.
const XATTRS_MAX: usize = 1024;

/// A directory and a name in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub parent: Ino,
    pub name: Name,
}

/// What a change did to the present; published when its transaction has committed.
#[derive(Debug, Default)]
pub struct Delta {
    /// The newest state of each node touched; `None` when it is gone.
    pub nodes: Vec<(Ino, Option<Arc<Node>>)>,
    /// The newest meaning of each name touched; `None` when it stands for nothing.
    pub entries: Vec<(Place, Option<Arc<Entry>>)>,
    /// Names that nodes lost.
    pub lost: Vec<(Place, Ino)>,
    /// Nodes that are new, and whether they are directories: without attributes and entries.
    pub born: Vec<(Ino, bool)>,
    /// Nodes whose extended attributes changed.
    pub attributes: Vec<Ino>,
}

/// The cache of one database.
pub struct Cache {
    nodes: Map<Ino, Option<Arc<Node>>>,
    entries: Map<Place, Option<Arc<Entry>>>,
    places: Map<Ino, Arc<Place>>,
    /// All extended attributes of a node, where they are few.
    xattrs: Map<Ino, Arc<[Arc<Xattr>]>>,
    whole: Whole,
    published: Mutex<u64>,
}

impl Cache {
    /// Makes a cache for about `capacity` nodes and as many entries.
    pub fn new(capacity: usize) -> Self {
        Self {
            nodes: Map::new(capacity),
            entries: Map::new(capacity),
            places: Map::new(capacity),
            xattrs: Map::new(capacity),
            whole: Whole::new(capacity),
            published: Mutex::new(0),
        }
    }

    /// Marks the beginning of a read; hand it to the `fill` that follows.
    pub fn reading(&self) -> u64 {
        *self.published.lock()
    }

    pub fn node(&self, ino: Ino) -> Option<Option<Arc<Node>>> {
        self.nodes.get(&ino)
    }

    pub fn entry(&self, place: &Place) -> Option<Option<Arc<Entry>>> {
        self.entries.get(place)
    }

    /// Whether it is known without asking that a name stands for nothing.
    pub fn is_absent(&self, place: &Place) -> bool {
        self.whole
            .ask(place.parent, |names| !names.contains(&place.name))
            .unwrap_or(false)
    }

    /// Whether a directory has no entries, where that is known without asking.
    pub fn is_empty(&self, dir: Ino) -> Option<bool> {
        self.whole.ask(dir, HashSet::is_empty)
    }

    /// All extended attributes of a node, by name.
    pub fn xattrs(&self, ino: Ino) -> Option<Arc<[Arc<Xattr>]>> {
        self.xattrs.get(&ino)
    }

    /// Where a node was last seen. May be one of several names.
    pub fn place(&self, ino: Ino) -> Option<Arc<Place>> {
        self.places.get(&ino)
    }

    pub fn fill_node(&self, began: u64, ino: Ino, node: Option<Arc<Node>>) {
        let gate = self.published.lock();
        if *gate == began {
            self.nodes.insert(ino, node);
        }
    }

    pub fn fill_entry(&self, began: u64, place: Place, entry: Option<Arc<Entry>>) {
        let gate = self.published.lock();
        if *gate == began {
            self.know(place, entry);
        }
    }

    /// Fills a page of a directory at once. What is known stays: it is no older.
    pub fn fill_page(&self, began: u64, page: &[(Arc<Entry>, Arc<Node>)]) {
        let gate = self.published.lock();
        if *gate == began {
            for (entry, node) in page {
                if !matches!(self.nodes.get(&node.ino), Some(Some(_))) {
                    self.nodes.insert(node.ino, Some(node.clone()));
                }
                let place = Place {
                    parent: entry.parent,
                    name: entry.name.clone(),
                };
                if !matches!(self.entries.get(&place), Some(Some(_))) {
                    self.know(place, Some(entry.clone()));
                }
            }
        }
    }

    /// Takes over all names of a directory.
    pub fn fill_dir(&self, began: u64, dir: Ino, names: HashSet<Name>) {
        let gate = self.published.lock();
        if *gate == began {
            self.whole.insert(dir, names);
        }
    }

    pub fn fill_xattrs(&self, began: u64, ino: Ino, all: Arc<[Arc<Xattr>]>) {
        let size: usize = all.iter().map(|x| x.name.len() + x.value.len()).sum();
        let gate = self.published.lock();
        if *gate == began && size <= XATTRS_MAX {
            self.xattrs.insert(ino, all);
        }
    }

    fn know(&self, place: Place, entry: Option<Arc<Entry>>) {
        if let Some(entry) = &entry {
            self.places.insert(entry.ino, Arc::new(place.clone()));
        }
        self.entries.insert(place, entry);
    }

    /// Takes over what a committed change did.
    pub fn publish(&self, delta: Delta) {
        let mut gate = self.published.lock();
        *gate += 1;
        for (ino, is_dir) in delta.born {
            self.xattrs.insert(ino, Arc::new([]));
            if is_dir {
                self.whole.insert(ino, HashSet::new());
            }
        }
        for (ino, node) in delta.nodes {
            if node.is_none() {
                self.xattrs.remove(&ino);
                self.whole.forget(ino);
                // Not kept as gone: its number is never given again, and what lives would have to make room.
                self.nodes.remove(&ino);
            } else {
                self.nodes.insert(ino, node);
            }
        }
        for ino in delta.attributes {
            self.xattrs.remove(&ino);
        }
        for (place, entry) in delta.entries {
            self.whole.note(&place, entry.is_some());
            self.know(place, entry);
        }
        // Last: one change may give a name and take it away.
        for (place, ino) in delta.lost {
            self.places.remove_if(&ino, |known| **known == place);
        }
    }

    /// Replaces `old` by `new` unless something newer is known; tells whether it did.
    pub fn refresh(&self, old: &Arc<Node>, new: Arc<Node>) -> bool {
        let _gate = self.published.lock();
        let same = matches!(self.nodes.get(&old.ino), Some(Some(held)) if Arc::ptr_eq(&held, old));
        if same {
            self.nodes.insert(old.ino, Some(new));
        }
        same
    }

    /// Forgets everything; the next reads come from the database.
    pub fn clear(&self) {
        let mut gate = self.published.lock();
        *gate += 1;
        self.nodes.clear();
        self.entries.clear();
        self.places.clear();
        self.xattrs.clear();
        self.whole.clear();
    }
}
