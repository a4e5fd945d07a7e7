//! Old states of files put beside what is there now: `NAME.undo-OP`, or with a number where that is taken.

use super::effects::{Key, Rows, key_of};
use super::plan::{Conflict, Plan};
use crate::core::path::NAME_MAX;
use crate::core::{Ino, Kind, Name, Op, Result, error::fail};
use crate::fs::{Engine, Naming};
use crate::meta::Node;
use crate::meta::cache::Place;
use std::collections::{HashMap, HashSet};

/// How many names are tried for one file.
const NAMES_MAX: u32 = 10_000;

/// An old state of a file, and the name that it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aside {
    place: Place,
    node: Node,
    /// Whether the node itself can come back; else its bytes go into a new one.
    itself: bool,
    /// What it had last, list and boundary among it: nothing is more open for having been put beside.
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Aside {
    /// A node that is gone, under the name that it had.
    pub(super) fn of_gone(rows: &Rows, place: &Place, node: Node) -> Self {
        Self {
            place: place.clone(),
            xattrs: rows.last_xattrs(node.ino),
            node,
            itself: true,
        }
    }

    /// The name that it had, where it comes back itself.
    pub(super) fn named(&self) -> Option<&Place> {
        self.itself.then_some(&self.place)
    }

    /// What a file held; who may use it is what it is today.
    pub(super) fn of_content(rows: &Rows, place: &Place, old: &Node, now: &Node) -> Self {
        Self {
            place: place.clone(),
            xattrs: rows.last_xattrs(now.ino),
            node: Node {
                content: old.content.clone(),
                size: old.size,
                mtime: old.mtime,
                ..now.clone()
            },
            itself: false,
        }
    }
}

/// Finds names beside those that others took of directories that would come back; whether there are more now. What was in such
/// a directory comes back in it, so it is planned for, and not put there in the end.
pub(super) fn of_directories(
    engine: &Engine,
    plan: &Plan,
    conflicts: &[Conflict],
    (first, beside): (Op, &mut HashMap<Key, Place>),
) -> Result<bool> {
    let mut free = Names::new(engine, plan, first);
    free.taken.extend(beside.values().cloned());
    let known = beside.len();
    for aside in conflicts.iter().filter_map(|c| c.aside.as_ref()) {
        let key = key_of(&aside.place);
        if aside.node.is_dir() && !beside.contains_key(&key) {
            beside.insert(key, free.beside(&aside.place)?);
        }
    }
    Ok(beside.len() > known)
}

/// Adds to a plan what its conflicts leave to be put beside; `first` is what their names are made of.
pub(super) fn put(
    engine: &Engine,
    plan: &mut Plan,
    conflicts: &[Conflict],
    first: Op,
) -> Result<()> {
    let mut free = Names::new(engine, plan, first);
    let revision = &mut plan.revision;
    let mut back: HashSet<Ino> = revision.back.iter().map(|n| n.ino).collect();
    let mut done = HashSet::new();
    for aside in conflicts.iter().filter_map(|c| c.aside.as_ref()) {
        // One content needs one copy, whatever it is that stands in the way of it.
        if !done.insert((aside.node.ino, aside.named())) {
            continue;
        }
        let mut node = aside.node.clone();
        if !aside.itself {
            node.ino = engine.fresh_ino();
            node.version = 1;
        }
        revision.names.push(Naming {
            place: free.beside(&aside.place)?,
            was: None,
            to: Some(node.ino),
        });
        if back.insert(node.ino) {
            let xattrs = aside.xattrs.iter().cloned();
            let xattrs = xattrs.map(|(name, value)| (node.ino, name, Some(value)));
            revision.xattrs.extend(xattrs);
            revision.back.push(node);
        }
    }
    Ok(())
}

/// Names that nothing has.
struct Names<'a> {
    engine: &'a Engine,
    first: Op,
    taken: HashSet<Place>,
    /// How many were tried of each.
    tried: HashMap<Place, u32>,
}

impl<'a> Names<'a> {
    fn new(engine: &'a Engine, plan: &Plan, first: Op) -> Self {
        let names = plan.revision.names.iter();
        Self {
            engine,
            first,
            taken: names.map(|n| n.place.clone()).collect(),
            tried: HashMap::new(),
        }
    }

    fn beside(&mut self, old: &Place) -> Result<Place> {
        let base = self.numbered(old, 1)?;
        for _ in 0..NAMES_MAX {
            let tried = self.tried.entry(base.clone()).or_default();
            *tried += 1;
            let place = match *tried {
                1 => base.clone(),
                n => self.numbered(old, n)?,
            };
            if !self.taken.contains(&place) && self.engine.store().entry(&place)?.is_none() {
                self.taken.insert(place.clone());
                return Ok(place);
            }
        }
        let message = format!("{} and {NAMES_MAX} more names like it are taken", base.name);
        fail(Kind::Exists, message)
    }

    fn numbered(&self, place: &Place, n: u32) -> Result<Place> {
        let suffix = match n {
            1 => format!(".undo-{}", self.first),
            n => format!(".undo-{}.{n}", self.first),
        };
        let own = place.name.as_bytes();
        let room = NAME_MAX.saturating_sub(suffix.len());
        let name = [&own[..own.len().min(room)], suffix.as_bytes()].concat();
        Ok(Place {
            parent: place.parent,
            name: Name::new(&name)?,
        })
    }
}
