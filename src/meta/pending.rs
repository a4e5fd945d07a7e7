//! What was committed and is not in the database yet, found by key.
//!
//! A value here is newer than the database's. It goes when its change has been applied; until then a reader that looks here first
//! and then in the database misses nothing.

use super::apply::weight;
use super::cache::Place;
use super::edit::{Edit, Edits};
use super::tenant::Head;
use super::{Entry, Node, xattr::Xattr};
use crate::core::{Ino, Name, Op, Result, TenantId};
use crate::journal::Lsn;
use foldhash::fast::RandomState;
use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// The newest state of something, and the change that made it; `None` when it is gone.
type Newest<T> = (Lsn, Option<Arc<T>>);

/// Numbers are ours: nobody can choose them so that they collide.
type ByIno<T> = HashMap<Ino, T, RandomState>;

/// What is known of a key before the database is asked.
pub(super) enum Known<T> {
    Is(Arc<T>),
    Gone,
    /// Nothing waits: the database knows.
    Stored,
}

impl<T> Known<T> {
    fn of(newest: Option<&Newest<T>>) -> Self {
        match newest {
            Some((_, Some(now))) => Self::Is(now.clone()),
            Some((_, None)) => Self::Gone,
            None => Self::Stored,
        }
    }

    /// The newest state, from the database where nothing waits.
    pub(super) fn or_stored(
        self,
        ask: impl FnOnce() -> Result<Option<T>>,
    ) -> Result<Option<Arc<T>>> {
        match self {
            Self::Is(now) => Ok(Some(now)),
            Self::Gone => Ok(None),
            Self::Stored => Ok(ask()?.map(Arc::new)),
        }
    }
}

/// Everything that waits.
#[derive(Default)]
pub(super) struct Pending {
    nodes: ByIno<Newest<Node>>,
    dirs: ByIno<HashMap<Name, Newest<Entry>>>,
    names: ByIno<HashMap<Place, Newest<Entry>>>,
    xattrs: ByIno<HashMap<Vec<u8>, Newest<Xattr>>>,
    heads: HashMap<TenantId, (Lsn, Head)>,
    /// Changes with their weights, oldest first.
    queue: VecDeque<(Lsn, usize, Arc<Edits>)>,
    weight: usize,
    newest: Lsn,
    /// The newest change that the database has.
    applied: Lsn,
}

impl Pending {
    /// Nothing, behind the change `newest`.
    pub(super) fn after(newest: Lsn) -> Self {
        Self {
            newest,
            applied: newest,
            ..Self::default()
        }
    }

    pub(super) fn node(&self, ino: Ino) -> Known<Node> {
        Known::of(self.nodes.get(&ino))
    }

    pub(super) fn entry(&self, place: &Place) -> Known<Entry> {
        let dir = self.dirs.get(&place.parent);
        Known::of(dir.and_then(|dir| dir.get(&place.name)))
    }

    /// What changed in a directory.
    pub(super) fn dir(&self, parent: Ino) -> HashMap<Name, Option<Arc<Entry>>> {
        let changed = self.dirs.get(&parent).into_iter().flatten();
        changed
            .map(|(name, (_, e))| (name.clone(), e.clone()))
            .collect()
    }

    /// What changed among the names of a node.
    pub(super) fn names(&self, ino: Ino) -> HashMap<Place, Option<Arc<Entry>>> {
        let changed = self.names.get(&ino).into_iter().flatten();
        changed
            .map(|(place, (_, e))| (place.clone(), e.clone()))
            .collect()
    }

    pub(super) fn xattrs(&self, ino: Ino) -> HashMap<Vec<u8>, Option<Arc<Xattr>>> {
        let changed = self.xattrs.get(&ino).into_iter().flatten();
        changed
            .map(|(name, (_, x))| (name.clone(), x.clone()))
            .collect()
    }

    pub(super) fn head(&self, tenant: TenantId) -> Option<Head> {
        self.heads.get(&tenant).map(|(_, head)| *head)
    }

    /// The changes with what was logged of a tenant behind an operation, oldest first; `None` when not all of them wait
    /// still.
    pub(super) fn log_behind(&self, tenant: TenantId, after: Op) -> Option<Vec<Arc<Edits>>> {
        let mut found = Vec::new();
        for (.., edits) in self.queue.iter().rev() {
            let mut ops = edits.log_of(tenant).map(|record| record.op);
            let Some(first) = ops.next() else { continue };
            if first > after || ops.any(|op| op > after) {
                found.push(edits.clone());
            }
            if first.0 <= after.0 + 1 {
                found.reverse();
                return Some(found);
            }
        }
        None
    }

    /// How many changes wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How much memory what waits takes, about, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn add(&mut self, lsn: Lsn, edits: Arc<Edits>) {
        let mut sum = 0;
        for edit in &edits.list {
            sum += weight(edit);
            self.note(lsn, edit);
        }
        self.weight += sum;
        self.queue.push_back((lsn, sum, edits));
        self.newest = lsn;
    }

    fn note(&mut self, lsn: Lsn, edit: &Edit) {
        match edit {
            Edit::Node(new) => {
                self.nodes.insert(new.ino, (lsn, Some(new.clone())));
            }
            Edit::NodeGone(ino) => {
                self.nodes.insert(*ino, (lsn, None));
            }
            Edit::Entry(new) => self.note_entry(lsn, new, Some(new.clone())),
            Edit::EntryEnded(old, _) => self.note_entry(lsn, old, None),
            Edit::Xattr(new) => {
                let of = self.xattrs.entry(new.ino).or_default();
                of.insert(new.name.clone(), (lsn, Some(new.clone())));
            }
            Edit::XattrEnded(old, _) => {
                let of = self.xattrs.entry(old.ino).or_default();
                of.insert(old.name.clone(), (lsn, None));
            }
            Edit::Head(of, head) => {
                self.heads.insert(*of, (lsn, *head));
            }
            _ => {}
        }
    }

    fn note_entry(&mut self, lsn: Lsn, of: &Entry, now: Option<Arc<Entry>>) {
        let place = Place {
            parent: of.parent,
            name: of.name.clone(),
        };
        let dir = self.dirs.entry(of.parent).or_default();
        dir.insert(of.name.clone(), (lsn, now.clone()));
        self.names
            .entry(of.ino)
            .or_default()
            .insert(place, (lsn, now));
    }

    /// The newest change that ever waited.
    pub(super) fn newest(&self) -> Lsn {
        self.newest
    }

    /// The newest change that the database has.
    pub(super) fn last_applied(&self) -> Lsn {
        self.applied
    }

    /// Whether anything waits that is no newer than `lsn`.
    pub(super) fn oldest_is_upto(&self, lsn: Lsn) -> bool {
        self.queue
            .front()
            .is_some_and(|(oldest, ..)| *oldest <= lsn)
    }

    /// The oldest changes, up to `most` bytes of them, at least one.
    pub(super) fn oldest(&self, most: usize) -> Vec<(Lsn, Arc<Edits>)> {
        let mut sum = 0;
        let fits = |(_, weight, _): &&(Lsn, usize, Arc<Edits>)| {
            let before = sum;
            sum += weight;
            before < most
        };
        let fitting = self.queue.iter().take_while(fits);
        fitting
            .map(|(lsn, _, edits)| (*lsn, edits.clone()))
            .collect()
    }

    /// Forgets what the database has now.
    pub(super) fn applied(&mut self, upto: Lsn) {
        self.applied = self.applied.max(upto);
        while let Some((_, weight, edits)) = self.queue.pop_front_if(|(lsn, ..)| *lsn <= upto) {
            self.weight -= weight;
            for edit in &edits.list {
                self.forget(upto, edit);
            }
        }
    }

    fn forget(&mut self, upto: Lsn, edit: &Edit) {
        match edit {
            Edit::Node(n) => drop_old(&mut self.nodes, n.ino, upto),
            Edit::NodeGone(ino) => drop_old(&mut self.nodes, *ino, upto),
            Edit::Entry(e) | Edit::EntryEnded(e, _) => {
                let place = Place {
                    parent: e.parent,
                    name: e.name.clone(),
                };
                drop_inner(&mut self.dirs, e.parent, &e.name, upto);
                drop_inner(&mut self.names, e.ino, &place, upto);
            }
            Edit::Xattr(x) | Edit::XattrEnded(x, _) => {
                drop_inner(&mut self.xattrs, x.ino, &x.name, upto);
            }
            Edit::Head(of, _) if self.heads.get(of).is_some_and(|(lsn, _)| *lsn <= upto) => {
                self.heads.remove(of);
            }
            _ => {}
        }
    }
}

fn drop_old<V>(map: &mut ByIno<(Lsn, V)>, key: Ino, upto: Lsn) {
    if map.get(&key).is_some_and(|(lsn, _)| *lsn <= upto) {
        map.remove(&key);
    }
}

fn drop_inner<K, V, Q>(maps: &mut ByIno<HashMap<K, (Lsn, V)>>, of: Ino, key: &Q, upto: Lsn)
where
    K: Eq + Hash + Borrow<Q>,
    Q: Eq + Hash,
{
    let Some(map) = maps.get_mut(&of) else { return };
    if map.get(key).is_some_and(|(lsn, _)| *lsn <= upto) {
        map.remove(key);
    }
    if map.is_empty() {
        maps.remove(&of);
    }
}
