//! Nodes that are not in the tables: created but not yet closed, or unlinked but still open.
//!
//! A created file enters the tables when it is first closed or synced, together with its bytes, so that creating, writing
//! and closing a small file is one transaction. Any operation that needs its row (rename, link, chmod by somebody else…)
//! commits it first, and so does a timer after a second.

use crate::blob::Content;
use crate::core::{Caller, Ino, Name, Time};
use crate::meta::Node;
use crate::meta::cache::Place;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a file that is not yet in the tables will enter them.
#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub place: Arc<Place>,
    pub cookie: u64,
    /// Who created it.
    pub caller: Caller,
}

#[derive(Default)]
struct Inner {
    nodes: HashMap<Ino, Arc<Node>>,
    names: HashMap<Place, Ino>,
    births: HashMap<Ino, Birth>,
    dirs: HashMap<Ino, BTreeMap<u64, (Name, Ino)>>,
}

/// All such nodes of an engine.
#[derive(Default)]
pub(super) struct Transient {
    /// Spares the lock where there is nothing, the usual case.
    count: AtomicUsize,
    inner: Mutex<Inner>,
}

impl Transient {
    fn ask<T>(&self, f: impl FnOnce(&Inner) -> Option<T>) -> Option<T> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        f(&self.inner.lock())
    }

    fn change(&self, f: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock();
        f(&mut inner);
        self.count.store(inner.nodes.len(), Ordering::Release);
    }

    pub(super) fn node(&self, ino: Ino) -> Option<Arc<Node>> {
        self.ask(|i| i.nodes.get(&ino).cloned())
    }

    pub(super) fn child(&self, place: &Place) -> Option<Ino> {
        self.ask(|i| i.names.get(place).copied())
    }

    /// The contents of the nodes.
    pub(super) fn contents(&self) -> Vec<Content> {
        let all = |i: &Inner| i.nodes.values().map(|n| n.content.clone()).collect();
        self.ask(|i| Some(all(i))).unwrap_or_default()
    }

    pub(super) fn birth(&self, ino: Ino) -> Option<Birth> {
        self.ask(|i| i.births.get(&ino).cloned())
    }

    pub(super) fn place(&self, ino: Ino) -> Option<Arc<Place>> {
        self.ask(|i| i.births.get(&ino).map(|b| b.place.clone()))
    }

    /// Unborn children of a directory whose cookie is greater than `after`.
    pub(super) fn children(&self, dir: Ino, after: u64) -> Vec<(u64, Name, Arc<Node>)> {
        self.ask(|i| {
            let born = i.dirs.get(&dir)?.range(after + 1..);
            Some(
                born.filter_map(|(c, (n, ino))| Some((*c, n.clone(), i.nodes.get(ino)?.clone())))
                    .collect(),
            )
        })
        .unwrap_or_default()
    }

    /// When the newest unborn child of a directory was created.
    pub(super) fn touched(&self, dir: Ino) -> Option<Time> {
        self.ask(|i| {
            let (_, (_, ino)) = i.dirs.get(&dir)?.last_key_value()?;
            Some(i.nodes.get(ino)?.btime)
        })
    }

    pub(super) fn is_unlinked(&self, ino: Ino) -> bool {
        self.ask(|i| i.nodes.get(&ino).map(|n| n.nlink == 0))
            .unwrap_or(false)
    }

    pub(super) fn unborn(&self, created_before: Option<Time>) -> Vec<(Ino, Caller)> {
        let old = |i: &Inner, ino: &Ino| {
            let born = i.nodes.get(ino).map(|n| n.btime);
            created_before.is_none_or(|t| born.is_some_and(|b| b < t))
        };
        self.ask(|i| {
            Some(
                i.births
                    .iter()
                    .filter(|(n, _)| old(i, n))
                    .map(|(n, b)| (*n, b.caller.clone()))
                    .collect(),
            )
        })
        .unwrap_or_default()
    }

    pub(super) fn insert_unborn(&self, node: Arc<Node>, birth: Birth) {
        self.change(|i| {
            let ino = node.ino;
            let place = (*birth.place).clone();
            i.dirs
                .entry(place.parent)
                .or_default()
                .insert(birth.cookie, (place.name.clone(), ino));
            i.names.insert(place, ino);
            i.births.insert(ino, birth);
            i.nodes.insert(ino, node);
        });
    }

    /// Changes a node that is held here, from what it is at this moment; tells whether it is.
    pub(super) fn update(&self, ino: Ino, f: impl FnOnce(&Node) -> Node) -> bool {
        let mut held = false;
        self.change(|i| {
            if let Some(node) = i.nodes.get_mut(&ino) {
                *node = Arc::new(f(node));
                held = true;
            }
        });
        held
    }

    /// A node entered the tables.
    pub(super) fn born(&self, ino: Ino) {
        self.change(|i| {
            let Some(birth) = i.births.remove(&ino) else {
                return;
            };
            // One that was unlinked in the same change stays: it is open.
            if i.nodes.get(&ino).is_some_and(|n| n.nlink > 0) {
                i.nodes.remove(&ino);
            }
            i.names.remove(&*birth.place);
            if let Some(dir) = i.dirs.get_mut(&birth.place.parent) {
                dir.remove(&birth.cookie);
                if dir.is_empty() {
                    i.dirs.remove(&birth.place.parent);
                }
            }
        });
    }

    /// A node left the tables while somebody has it open.
    pub(super) fn insert_unlinked(&self, node: Arc<Node>) {
        self.change(|i| {
            i.nodes.insert(node.ino, node);
        });
    }

    /// The last handle of a node was closed: an unlinked one is gone for good.
    pub(super) fn closed(&self, ino: Ino) {
        if self.is_unlinked(ino) {
            self.change(|i| {
                i.nodes.remove(&ino);
            });
        }
    }
}
