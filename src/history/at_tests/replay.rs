//! Random work, and the tree as of an operation compared with the copy that was made of it then.

use super::{head, world};
use crate::core::Time;
use crate::core::{Ino, Op, Result};
use crate::fs::tests::{World, alice, path, writing};
use crate::fs::{Access, OpenFlags, RenameMode, SetAttr, SetMode, SetTime};
use crate::history::{Change, Compared, Difference, Differences, compare};
use crate::meta::FileKind;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(u8, Vec<u8>),
    Append(u8, u8),
    Mkdir(u8),
    Symlink(u8, u8),
    Remove(u8),
    Rename(u8, u8),
    Exchange(u8, u8),
    Link(u8, u8),
    Chmod(u8, u8),
    Touch(u8, i32),
    SetXattr(u8, u8, u8),
    RemoveXattr(u8, u8),
}

/// What `stat`, `cat`, `readlink` and `getfattr` tell of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: FileKind,
    pub(super) owner: (u32, u32, u32),
    pub(super) size: u64,
    /// Of what is no directory: those of directories are changed in place.
    pub(super) mtime: Option<Time>,
    pub(super) bytes: Vec<u8>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) type Tree = BTreeMap<String, Seen>;

/// Names at the top and in the first directories, three deep.
fn spot(i: u8) -> String {
    let spots = [
        "a", "b", "c", "d", "a/x", "a/y", "b/x", "b/y", "a/x/k", "a/x/l", "b/x/k",
    ];
    format!("/workspace/{}", spots[usize::from(i) % spots.len()])
}

pub(super) fn perform(w: &World, step: &Step) -> Result<()> {
    let (e, who) = (w.engine(), alice());
    let ino = |i: &u8| e.resolve_link(&who, &path(&spot(*i))).map(|n| n.ino);
    match step {
        Step::Write(i, bytes) => w.write(&who, &spot(*i), bytes).map(drop),
        Step::Append(i, byte) => {
            let flags = OpenFlags {
                append: true,
                ..OpenFlags::new(Access::Write)
            };
            let h = e.open(&who, ino(i)?, flags)?;
            e.write(&who, h, 0, &[*byte])?;
            e.release(&who, h)
        }
        Step::Mkdir(i) => {
            let at = path(&spot(*i));
            let (dir, name) = e.resolve_parent(&who, &at)?;
            e.mkdir(&who, dir, name, 0o755).map(drop)
        }
        Step::Symlink(i, to) => {
            let at = path(&spot(*i));
            let (dir, name) = e.resolve_parent(&who, &at)?;
            e.symlink(&who, dir, name, spot(*to).as_bytes()).map(drop)
        }
        Step::Remove(i) => {
            let at = path(&spot(*i));
            let (dir, name) = e.resolve_parent(&who, &at)?;
            if e.lookup(&who, dir, name)?.is_dir() {
                e.rmdir(&who, dir, name)
            } else {
                e.unlink(&who, dir, name)
            }
        }
        Step::Rename(i, j) => rename(w, *i, *j, RenameMode::Replace),
        Step::Exchange(i, j) => rename(w, *i, *j, RenameMode::Exchange),
        Step::Link(i, j) => {
            let (node, to) = (ino(i)?, path(&spot(*j)));
            let (dir, name) = e.resolve_parent(&who, &to)?;
            e.link(&who, node, dir, name).map(drop)
        }
        Step::Chmod(..) | Step::Touch(..) | Step::SetXattr(..) | Step::RemoveXattr(..) => {
            alter(w, step)
        }
    }
}

/// Changes what something is, and not where.
fn alter(w: &World, step: &Step) -> Result<()> {
    let (e, who) = (w.engine(), alice());
    let ino = |i: &u8| e.resolve_link(&who, &path(&spot(*i))).map(|n| n.ino);
    let attr = |n: &u8| format!("user.{}", n % 3).into_bytes();
    match step {
        Step::Chmod(i, mode) => {
            let mode = Some(0o700 | (u32::from(*mode) % 0o100));
            set(
                w,
                ino(i)?,
                &SetAttr {
                    mode,
                    ..SetAttr::default()
                },
            )
        }
        Step::Touch(i, at) => {
            let mtime = Some(SetTime::At(Time(i64::from(*at) * 1_000_000_000)));
            set(
                w,
                ino(i)?,
                &SetAttr {
                    mtime,
                    ..SetAttr::default()
                },
            )
        }
        Step::SetXattr(i, n, value) => e.setxattr(&who, ino(i)?, &attr(n), &[*value], SetMode::Any),
        Step::RemoveXattr(i, n) => e.removexattr(&who, ino(i)?, &attr(n)),
        _ => Ok(()),
    }
}

fn set(w: &World, ino: Ino, to: &SetAttr) -> Result<()> {
    w.engine().setattr(&alice(), ino, to, None).map(drop)
}

fn rename(w: &World, i: u8, j: u8, mode: RenameMode) -> Result<()> {
    let (e, who) = (w.engine(), alice());
    let (from, to) = (path(&spot(i)), path(&spot(j)));
    let from = e.resolve_parent(&who, &from)?;
    e.rename(&who, from, e.resolve_parent(&who, &to)?, mode)
}

/// Everything below a directory.
pub(super) fn copy(w: &World, top: &str) -> Tree {
    let (e, who) = (w.engine(), alice());
    let mut tree = Tree::new();
    let top = e.resolve(&who, &path(top)).unwrap().ino;
    let mut todo = vec![(String::new(), top)];
    while let Some((prefix, dir)) = todo.pop() {
        for entry in e.list(&who, dir).unwrap() {
            let found = e.lookup(&who, dir, &entry.name).unwrap();
            let listed = &entry.node;
            let same = (listed.ino, listed.mode, listed.size, listed.mtime);
            assert_eq!(same, (found.ino, found.mode, found.size, found.mtime));
            let at = format!("{prefix}/{}", entry.name);
            if found.is_dir() {
                todo.push((at.clone(), found.ino));
            }
            tree.insert(at, seen(w, found.ino));
        }
    }
    tree
}

fn seen(w: &World, ino: Ino) -> Seen {
    let (e, who) = (w.engine(), alice());
    let node = e.getattr(&who, ino).unwrap();
    let bytes = match node.kind {
        FileKind::File => {
            let h = e.open(&who, ino, OpenFlags::new(Access::Read)).unwrap();
            let bytes = e.read(h, 0, 1 << 20).unwrap().to_vec();
            e.release(&who, h).unwrap();
            bytes
        }
        FileKind::Symlink => e.readlink(&who, ino).unwrap().to_vec(),
        _ => Vec::new(),
    };
    let value = |n: Vec<u8>| {
        let value = e.getxattr(&who, ino, &n).unwrap();
        (n, value)
    };
    let xattrs = e.listxattr(&who, ino).unwrap();
    Seen {
        kind: node.kind,
        owner: (node.mode, node.uid, node.gid),
        size: node.size,
        mtime: (!node.is_dir()).then_some(node.mtime),
        bytes,
        xattrs: xattrs.into_iter().map(value).collect(),
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..50),
        1 => (60_000..400_000usize).prop_map(|n| vec![b'z'; n]),
    ];
    let two = || (any::<u8>(), any::<u8>());
    let step = prop_oneof![
        4 => (any::<u8>(), bytes).prop_map(|(i, b)| Step::Write(i, b)),
        2 => two().prop_map(|(i, b)| Step::Append(i, b)),
        3 => prop_oneof![Just(0), Just(1), Just(4), Just(6)].prop_map(Step::Mkdir),
        1 => two().prop_map(|(i, j)| Step::Symlink(i, j)),
        3 => any::<u8>().prop_map(Step::Remove),
        3 => two().prop_map(|(i, j)| Step::Rename(i, j)),
        1 => two().prop_map(|(i, j)| Step::Exchange(i, j)),
        2 => two().prop_map(|(i, j)| Step::Link(i, j)),
        1 => two().prop_map(|(i, m)| Step::Chmod(i, m)),
        1 => (any::<u8>(), any::<i32>()).prop_map(|(i, t)| Step::Touch(i, t)),
        2 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(i, n, v)| Step::SetXattr(i, n, v)),
        1 => two().prop_map(|(i, n)| Step::RemoveXattr(i, n)),
    ];
    proptest::collection::vec(step, 1..80)
}

#[track_caller]
fn assert_recorded(w: &World, recorded: &BTreeMap<Op, Tree>) {
    for (op, tree) in recorded {
        let then = copy(w, &format!("/.at/op:{op}/workspace"));
        assert_eq!(&then, tree, "as of {op}");
        let then = copy(w, &format!("/workspace/.at/op:{op}"));
        assert_eq!(&then, tree, "as of {op}");
    }
}

/// What differs between two trees, path by path.
pub(super) fn expected(old: &Tree, new: &Tree) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut tell = |at: &str, what: Change| {
        all.insert((at[1..].to_owned(), format!("{what:?}")));
    };
    for (at, is) in new {
        match old.get(at) {
            None => tell(at, Change::Added),
            Some(was) if was.kind != is.kind => {
                tell(at, Change::Added);
                tell(at, Change::Removed);
            }
            Some(was) if was.bytes != is.bytes => tell(at, Change::Content),
            Some(was) if was.owner != is.owner => tell(at, Change::Attributes),
            Some(_) => {}
        }
    }
    for at in old.keys().filter(|at| !new.contains_key(*at)) {
        tell(at, Change::Removed);
    }
    all
}

/// The same of what was found.
pub(super) fn told_of(found: Differences) -> BTreeSet<(String, String)> {
    let told = |d: Difference| {
        (
            String::from_utf8(d.path).unwrap(),
            format!("{:?}", d.change),
        )
    };
    found.all.into_iter().map(told).collect()
}

#[track_caller]
fn assert_compared(w: &World, recorded: &BTreeMap<Op, Tree>) {
    let all: Vec<_> = recorded.iter().collect();
    for pair in all.windows(2).chain(all.windows(4)) {
        let ((old, was), (new, is)) = (pair[0], pair[pair.len() - 1]);
        let words = (format!("op:{old}"), format!("op:{new}"));
        let words = (Some(words.0.as_str()), words.1.as_str());
        let found = compare(w.engine(), &alice(), &path("/workspace"), words).unwrap();
        let Compared::Trees(found) = found.2 else {
            panic!("no trees")
        };
        assert_eq!(told_of(found), expected(was, is), "{old} to {new}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// semantics.md §6: "in every directory, exactly as it was"
    #[test]
    fn the_tree_as_of_an_operation_is_the_tree_that_was(steps in steps()) {
        let w = world();
        let mut recorded = BTreeMap::new();
        for (n, step) in steps.iter().enumerate() {
            // What is not possible changes nothing.
            drop(perform(&w, step));
            if n % 3 == 0 {
                recorded.insert(head(&w), copy(&w, "/workspace"));
            }
            if n % 16 == 0 {
                assert_recorded(&w, &recorded);
            }
        }
        assert_recorded(&w, &recorded);
        assert_compared(&w, &recorded);
        w.engine().drop_caches();
        assert_recorded(&w, &recorded);
        w.assert_sound();
    }
}

#[test]
fn a_file_that_is_being_written_shows_what_was_closed() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let ino = w.write(&who, "/workspace/f", b"closed").unwrap();
    let op = head(&w);
    let h = e.open(&who, ino, writing()).unwrap();
    e.write(&who, h, 0, b"open").unwrap();
    let old = w.read(&who, &format!("/.at/op:{op}/workspace/f"));
    assert_eq!(old.unwrap(), b"closed");
    assert_eq!(w.read(&who, "/.at/now/workspace/f").unwrap(), b"closed");
    e.flush(&who, h).unwrap();
    assert_eq!(w.read(&who, "/.at/now/workspace/f").unwrap(), b"open");
    e.release(&who, h).unwrap();
}
