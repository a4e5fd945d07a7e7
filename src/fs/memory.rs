//! Rows of the past in memory. What was true after an operation stays true: nothing here is ever old.

use crate::core::{Ino, Op, TenantId, Time};
use crate::meta::cache::Place;
use crate::meta::{Entry, Node, Xattr};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many nodes, how many names, and of how many nodes attributes are remembered.
const REMEMBERED: usize = 32_768;
/// Of how many operations it is remembered when they were done.
const MOMENTS: usize = 1024;
/// Attributes of more bytes than this are not remembered.
const XATTRS_MAX: usize = 4096;

/// How many pages of directories are remembered of which nobody has asked for attributes yet.
const PAGES: usize = 16;

/// All attributes of a node.
pub(super) type Xattrs = Arc<[Arc<Xattr>]>;

/// What is known of a name.
pub(super) enum Known {
    Name(Arc<Entry>),
    /// That it stood for nothing.
    NoName,
    Nothing,
}

/// Former states of nodes, former meanings of names and former attributes, by the operation they were asked for.
pub(super) struct Memory {
    nodes: Cache<(Ino, Op), Arc<Node>>,
    entries: Cache<(Place, Op), Option<Arc<Entry>>>,
    times: Cache<(TenantId, Op), Time>,
    xattrs: Cache<(Ino, Op), Xattrs>,
    /// What was listed last, the oldest first; the nodes of a page in order.
    pages: Mutex<VecDeque<(Op, Vec<Ino>)>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            nodes: Cache::new(REMEMBERED),
            entries: Cache::new(REMEMBERED),
            times: Cache::new(MOMENTS),
            xattrs: Cache::new(REMEMBERED),
            pages: Mutex::default(),
        }
    }
}

impl Memory {
    pub(super) fn node(&self, ino: Ino, at: Op) -> Option<Arc<Node>> {
        self.nodes.get(&(ino, at))
    }

    /// What a name stood for.
    pub(super) fn entry(&self, place: &Place, at: Op) -> Known {
        match self.entries.get(&(place.clone(), at)) {
            Some(Some(then)) => Known::Name(then),
            Some(None) => Known::NoName,
            None => Known::Nothing,
        }
    }

    pub(super) fn time(&self, of: TenantId, at: Op) -> Option<Time> {
        self.times.get(&(of, at))
    }

    pub(super) fn keep_time(&self, of: TenantId, at: Op, time: Time) {
        self.times.insert((of, at), time);
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

    /// Notes what a page of a directory listed.
    pub(super) fn note_page(&self, at: Op, nodes: impl Iterator<Item = Ino>) {
        let mut page: Vec<_> = nodes.collect();
        page.sort_unstable();
        let mut pages = self.pages.lock();
        if pages.len() == PAGES {
            pages.pop_front();
        }
        pages.push_back((at, page));
    }

    /// What was listed beside a node lately, itself included; none twice.
    pub(super) fn take_page(&self, ino: Ino, at: Op) -> Vec<Ino> {
        let mut pages = self.pages.lock();
        let found = pages
            .iter()
            .rposition(|(op, page)| *op == at && page.binary_search(&ino).is_ok());
        let page = found.and_then(|found| pages.remove(found));
        page.map(|(_, nodes)| nodes).unwrap_or_default()
    }

    pub(super) fn keep_node(&self, at: Op, node: &Arc<Node>) {
        self.nodes.insert((node.ino, at), node.clone());
    }

    pub(super) fn keep_entry(&self, at: Op, entry: &Arc<Entry>) {
        let place = Place {
            parent: entry.parent,
            name: entry.name.clone(),
        };
        self.entries.insert((place, at), Some(entry.clone()));
    }

    /// Remembers that a name stood for nothing.
    pub(super) fn keep_absence(&self, at: Op, place: &Place) {
        self.entries.insert((place.clone(), at), None);
    }

    /// Forgets all of it, to read cold.
    pub(super) fn clear(&self) {
        self.nodes.clear();
        self.entries.clear();
        self.times.clear();
        self.xattrs.clear();
        self.pages.lock().clear();
    }
}
