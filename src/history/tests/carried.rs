//! What is there and comes into a directory that an undo brings back: nobody has more on it there than whoever undoes it.

use super::world::*;
use crate::core::{Caller, Kind};
use crate::fs::{SetAttr, To};
use crate::history::OpSet;

/// A directory that everybody may write.
const ALL: &str = "/workspace/s";
const DIR: &str = "/workspace/s/d";
const INNER: &str = "/workspace/s/d/e";

fn bob() -> Caller {
    person("bob", 1002)
}

fn mode(w: &World, who: &Caller, at: &str, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine.setattr(who, w.ino(at), &set, None).unwrap();
}

/// Somebody's directories in a directory of all, with a file in them that is bob's alone to write.
fn world(owner: &Caller) -> World {
    let w = World::new();
    w.mkdir(&root(), ALL);
    mode(&w, &root(), ALL, 0o777);
    for dir in [DIR, INNER] {
        w.mkdir(owner, dir);
        mode(&w, owner, dir, 0o777);
    }
    let file = format!("{INNER}/f");
    w.write(&bob(), &file, b"his");
    mode(&w, &bob(), &file, 0o644);
    w
}

/// Alice takes the file out and removes the directories; gives what she did.
fn taken_apart(w: &World) -> OpSet {
    let head = w.head();
    w.rename(&alice(), &format!("{INNER}/f"), &format!("{ALL}/f"));
    w.remove_all(&alice(), DIR);
    w.by(&alice(), head)
}

#[track_caller]
fn refused(w: &World, ops: &OpSet) {
    let before = w.tree();
    let refused = w.undo(&alice(), ops.clone()).err().unwrap();
    assert_eq!(refused.kind(), Kind::CrossDevice, "{refused}");
    assert_eq!(w.tree(), before);
    // Who administers the store does.
    let done = w.undo(&root(), ops.clone()).unwrap();
    assert!(done.op.is_some() && w.tree().contains_key(&format!("{INNER}/f")));
    w.assert_sound();
}

/// semantics.md §4: "nobody gives more than he has"
#[test]
fn nobody_brings_a_directory_of_his_own_back_around_what_is_somebody_elses() {
    let w = world(&alice());
    refused(&w, &taken_apart(&w));
}

/// semantics.md §4: "nobody gives more than he has"
#[test]
fn nobody_brings_a_grant_back_above_what_is_somebody_elses() {
    let w = world(&bob());
    w.engine
        .create_user(&root(), "carol", None, (None, None))
        .unwrap();
    let carol = To::One("carol".parse().unwrap());
    let dir = w.ino(DIR);
    w.engine
        .grant(&bob(), dir, "can_write", &carol, None)
        .unwrap();
    refused(&w, &taken_apart(&w));
}

#[test]
fn what_gives_nobody_anything_comes_back_as_it_was() {
    let w = world(&bob());
    let before = w.tree();
    let ops = taken_apart(&w);
    assert!(w.undo(&alice(), ops).unwrap().op.is_some());
    assert_eq!(w.tree(), before);
    w.assert_sound();
}
