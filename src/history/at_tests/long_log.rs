//! One long log of all that people do, and the tree as of a thousand of its operations: what the past answers is what a model of a
//! few lines has, which was told each call.
//!
//! `NEXUS_SEED` repeats a run, `NEXUS_LONG_LOG` says how many calls are made.

mod model;
mod work;
mod reverse;

use self::model::{Model, Thing, told};
use self::work::Work;
use super::replay::{Seen, Tree, expected, told_of};
use super::then;
use crate::core::{Ino, Op};
use crate::fs::tests::principals::boss;
use crate::fs::tests::{World, path};
use crate::fs::{Access, Found, OpenFlags};
use crate::history::{Compared, compare};
use crate::meta::FileKind;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// Calls that are made, some of which are refused.
const CALLS: u64 = 6000;
/// Operations whose tree is looked at.
const LOOKED_AT: usize = 1000;
/// Pairs of them that are compared.
const COMPARED: usize = 40;
/// After how many calls the present is compared with the model.
const PRESENT: u64 = 250;

/// Where everything is done.
pub(super) const TOP: &str = "/workspace/t";

#[allow(clippy::disallowed_methods, reason = "a test asks how long it may run")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A number that another run does not have, or the one that is to be repeated.
fn seed() -> u64 {
    let seed = setting("NEXUS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 16);
    println!("NEXUS_SEED={seed}");
    seed
}

/// Reads trees of the past, each content once.
struct Reader<'a> {
    w: &'a World,
    read: HashSet<Vec<u8>>,
}

impl<'a> Reader<'a> {
    fn new(w: &'a World) -> Self {
        Self {
            w,
            read: HashSet::new(),
        }
    }

    /// Everything below a directory.
    fn below(&mut self, top: &str) -> BTreeMap<String, (Ino, Seen)> {
        let (e, who) = (self.w.engine(), boss());
        let (mut all, mut todo) = (BTreeMap::new(), Vec::new());
        let top = e.resolve(&who, &path(top)).unwrap();
        todo.push((String::new(), top.ino));
        while let Some((prefix, dir)) = todo.pop() {
            for entry in e.list(&who, dir).unwrap() {
                let at = format!("{prefix}{}", entry.name);
                if entry.node.is_dir() {
                    todo.push((format!("{at}/"), entry.node.ino));
                }
                let seen = self.seen(&entry.node);
                all.insert(at, (entry.node.ino, seen));
            }
        }
        all
    }

    fn seen(&mut self, node: &Found) -> Seen {
        let (e, who) = (self.w.engine(), boss());
        let bytes = match node.kind {
            FileKind::File => {
                let hash = e.blobs().whole_hash(&node.content).unwrap().0.to_vec();
                if self.read.insert(hash.clone()) {
                    assert_eq!(told(FileKind::File, &self.bytes(node)), hash);
                }
                hash
            }
            FileKind::Symlink => e.readlink(&who, node.ino).unwrap().to_vec(),
            _ => Vec::new(),
        };
        let names = e.listxattr(&who, node.ino).unwrap();
        let value = |n: Vec<u8>| (n.clone(), e.getxattr(&who, node.ino, &n).unwrap());
        let mut xattrs: Vec<_> = names.into_iter().map(value).collect();
        xattrs.sort();
        Seen {
            kind: node.kind,
            owner: (node.mode, node.uid, node.gid),
            size: if node.is_dir() { 0 } else { node.size },
            mtime: (!node.is_dir()).then_some(node.mtime),
            bytes,
            xattrs,
        }
    }

    fn bytes(&self, node: &Found) -> Vec<u8> {
        let (e, who) = (self.w.engine(), boss());
        if node.kind == FileKind::Symlink {
            return e.readlink(&who, node.ino).unwrap().to_vec();
        }
        let h = e
            .open(&who, node.ino, OpenFlags::new(Access::Read))
            .unwrap();
        let bytes = e.read(h, 0, 1 << 20).unwrap().to_vec();
        e.release(&who, h).unwrap();
        bytes
    }

    fn tree(&mut self, top: &str) -> Tree {
        let all = self.below(top).into_iter();
        all.map(|(at, (_, seen))| (at, seen)).collect()
    }

    /// The tree as it is, as a model goes on with it.
    fn model(&mut self) -> Model {
        let found = self.below(TOP).into_iter();
        let thing = |(at, (ino, seen)): (String, (Ino, Seen))| {
            let node = self.w.engine().getattr(&boss(), ino).unwrap();
            let bytes = if node.is_dir() {
                Vec::new()
            } else {
                self.bytes(&node)
            };
            (at, ino.0, Thing { seen, bytes })
        };
        Model::of(found.map(thing))
    }
}

/// Looks at a tree of the past by listing it, and at one of its names by its path.
fn assert_replayed(reader: &mut Reader<'_>, op: Op, tree: &Tree, n: usize) {
    let found = reader.tree(&then(op, TOP));
    assert_eq!(&found, tree, "as of {op}");
    let Some((at, seen)) = tree.iter().nth(n % tree.len().max(1)) else {
        return;
    };
    for at in [
        then(op, &format!("{TOP}/{at}")),
        format!("{TOP}/.at/op:{op}/{at}"),
    ] {
        let node = reader.w.engine().resolve_link(&boss(), &path(&at)).unwrap();
        assert_eq!(&reader.seen(&node), seen, "{at}");
    }
}

/// semantics.md §6: "in every directory, exactly as it was"
#[test]
fn the_tree_as_of_any_of_a_thousand_operations_is_what_replaying_the_log_gives() {
    let mut work = Work::new(seed());
    for n in 0..setting("NEXUS_LONG_LOG").unwrap_or(CALLS) {
        work.call();
        if n % PRESENT == 0 {
            let now = Reader::new(&work.w).tree(TOP);
            assert_eq!(now, work.model.tree(), "after call {n}");
        }
    }
    println!("{} operations: {:?}", work.states.len(), work.counts);
    let mut ops: Vec<Op> = work.states.keys().copied().collect();
    for n in 0..ops.len() {
        let left = u32::try_from(ops.len() - n).unwrap();
        ops.swap(n, n + work.dice.index(left));
    }
    ops.truncate(LOOKED_AT);
    let mut reader = Reader::new(&work.w);
    for (n, op) in ops.iter().enumerate() {
        if n == ops.len() / 2 {
            work.w.engine().drop_caches();
        }
        assert_replayed(&mut reader, *op, &work.states[op].tree(), n);
    }
    for pair in ops.windows(2).take(COMPARED) {
        assert_compared(&work, pair[0].min(pair[1]), pair[0].max(pair[1]));
    }
    work.w.assert_sound();
}

/// Compares two of the trees.
fn assert_compared(work: &Work, old: Op, new: Op) {
    let words = (format!("op:{old}"), format!("op:{new}"));
    let words = (Some(words.0.as_str()), words.1.as_str());
    let found = compare(work.w.engine(), &boss(), &path(TOP), words).unwrap();
    let Compared::Trees(found) = found.2 else {
        panic!("no trees")
    };
    // `expected` has paths that begin with a slash.
    let tree = |op: &Op| {
        let all = work.states[op].tree().into_iter();
        all.map(|(at, seen)| (format!("/{at}"), seen)).collect()
    };
    let wanted = expected(&tree(&old), &tree(&new));
    assert_eq!(told_of(found), wanted, "{old} to {new}");
}
