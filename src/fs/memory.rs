//! Rows of the past in memory. What was true after an operation stays true: nothing here is ever old.

use crate::core::{Ino, Op};
use crate::meta::cache::Place;
use crate::meta::{Entry, Node, Xattr};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// How many nodes, how many names, and of how many nodes attributes are remembered.
const REMEMBERED: usize = 32_768;
/// Attributes of more bytes than this are not remembered.
const XATTRS_MAX: usize = 4096;

/// All attributes of a node.
pub(super) type Xattrs = Arc<[Arc<Xattr>]>;

/// Former states of nodes, former meanings of names and former attributes, by the operation they were asked for.
pub(super) struct Memory {
    nodes: Cache<(Ino, Op), Arc<Node>>,
    entries: Cache<(Place, Op), Arc<Entry>>,
    xattrs: Cache<(Ino, Op), Xattrs>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            nodes: Cache::new(REMEMBERED),
            entries: Cache::new(REMEMBERED),
            xattrs: Cache::new(REMEMBERED),
        }
    }
}

impl Memory {
    pub(super) fn node(&self, ino: Ino, at: Op) -> Option<Arc<Node>> {
        self.nodes.get(&(ino, at))
    }

    pub(super) fn entry(&self, place: &Place, at: Op) -> Option<Arc<Entry>> {
        self.entries.get(&(place.clone(), at))
    }

    pub(super) fn xattrs(&self, ino: Ino, at: Op) -> Option<Xattrs> {
        self.xattrs.get(&(ino, at))
    }

    pub(super) fn keep_xattrs(&self, ino: Ino, at: Op, all: &[Arc<Xattr>]) {
        let size: usize = all.iter().map(|x| x.name.len() + x.value.len()).sum();
        if size <= XATTRS_MAX {
            self.xattrs.insert((ino, at), all.into());
        }
    }

    pub(super) fn keep_node(&self, at: Op, node: &Arc<Node>) {
        self.nodes.insert((node.ino, at), node.clone());
    }

    pub(super) fn keep_entry(&self, at: Op, entry: &Arc<Entry>) {
        let place = Place {
            parent: entry.parent,
            name: entry.name.clone(),
        };
        self.entries.insert((place, at), entry.clone());
    }

    /// Forgets all of it, to read cold.
    pub(super) fn clear(&self) {
        self.nodes.clear();
        self.entries.clear();
        self.xattrs.clear();
    }
}
