//! Random calls through the kernel, and a plain directory in which the same are made: what that was after some of them, `.at`
//! has, name by name and byte by byte.

use super::call::{Call, call};
use super::place::Place;
use crate::dice::{Dice, setting};
use crate::past::head;
use crate::shell::sh;
use crate::world::World;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Calls that are made; `NEXUS_MODEL_OPS` says otherwise.
const CALLS: u64 = 500;
/// After how many of them, in the middle, the plain directory is looked at.
const EVERY: u64 = 2;
/// Larger contents are for other tests.
const SIZE: u64 = 300_000;

/// What a tree was after an operation.
struct Then {
    op: u64,
    portrait: BTreeMap<String, String>,
    times: BTreeMap<PathBuf, (i64, i64)>,
}

/// Whether a call is made by paths alone: then it is done when it has returned.
fn is_whole(call: &Call) -> bool {
    match call {
        Call::Write { size, .. } | Call::Append { size, .. } => *size as u64 <= SIZE,
        Call::Truncate { size, .. } => *size <= SIZE,
        Call::Mkdir { .. }
        | Call::Rmdir(_)
        | Call::Unlink(_)
        | Call::Rename { .. }
        | Call::Link { .. }
        | Call::Symlink { .. }
        | Call::Chmod { .. }
        | Call::Times { .. }
        | Call::SetAttribute { .. }
        | Call::RemoveAttribute { .. } => true,
        _ => false,
    }
}

/// A place as it is drawn, but how many links each thing has, which rows of the past do not keep, and set-id bits of files, which
/// the past does not show.
fn drawn(root: PathBuf) -> BTreeMap<String, String> {
    let open = Default::default();
    let mut all = Place { root, open }.portrait();
    for line in all.values_mut() {
        let (mode, rest) = line.split_once(" links ").unwrap();
        let (_, rest) = rest.split_once(' ').unwrap();
        *line = format!("{} {rest}", without_setid(mode));
    }
    all
}

/// `mode` and its octal digits.
fn without_setid(said: &str) -> String {
    const DIRECTORY: u32 = 0o040_000;
    let digits = said.strip_prefix("mode ").unwrap();
    let mode = u32::from_str_radix(digits, 8).unwrap();
    let kept = if mode & 0o170_000 == DIRECTORY {
        mode
    } else {
        mode & !0o6000
    };
    format!("mode {kept:o}")
}

/// When each file was changed last. Those of directories are kept as of now.
fn times(root: &Path) -> BTreeMap<PathBuf, (i64, i64)> {
    let (mut all, mut todo) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                todo.push(path);
            } else {
                let below = path.strip_prefix(root).unwrap().to_owned();
                all.insert(below, (meta.mtime(), meta.mtime_nsec()));
            }
        }
    }
    all
}

/// semantics.md §6: "The past can be read with plain tools at `.at/<when>/…`"
#[test]
fn what_a_plain_directory_was_the_past_still_is() {
    let world = World::new();
    world.follow_posix();
    let mut dice = Dice::new("the past of a model");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &dice.bytes(32));
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut real = Place::new(world.path("then"));
    let mut plain = Place::new(world.host("plain").join("then"));
    let (calls, mut recorded) = (call().prop_filter("by paths", is_whole), Vec::new());
    for n in 0..setting("NEXUS_MODEL_OPS").unwrap_or(CALLS) {
        let call = calls.new_tree(&mut runner).unwrap().current();
        let (ours, theirs) = (real.make(&call), plain.make(&call));
        assert_eq!(ours, theirs, "call {n}: {call:?}");
        if ours.is_ok() && dice.one_in(EVERY) {
            let portrait = drawn(plain.root.clone());
            let (op, times) = (head(&world), times(&real.root));
            recorded.push(Then {
                op,
                portrait,
                times,
            });
        }
    }
    sh(
        &world.workspace(),
        "rm -rf then/*; mkdir then/a; echo new > then/b",
    );
    println!("{} moments", recorded.len());
    while !recorded.is_empty() {
        let then = recorded.swap_remove(dice.index(recorded.len()));
        let op = then.op;
        let whole = format!(".at/op:{op}/workspace/then");
        for at in [
            world.root().join(whole),
            world.path(format!("then/.at/op:{op}")),
        ] {
            assert_eq!(drawn(at.clone()), then.portrait, "as of {op}");
            assert_eq!(times(&at), then.times, "as of {op}");
        }
    }
    world.is_sound();
}
