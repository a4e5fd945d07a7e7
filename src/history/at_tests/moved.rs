//! Directories that were elsewhere: the way up in the past is that of then.

use super::{head, names, then, world};
use crate::fs::tests::permissions::{mkdir, rename};
use crate::fs::tests::{alice, path};

#[test]
fn a_directory_that_was_moved_is_where_it_was_with_what_it_held() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    for dir in ["a", "b", "a/sub"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    w.write(&who, "/workspace/a/sub/f", b"1").unwrap();
    let op = head(&w);
    rename(&w, &who, "/workspace/a/sub", "/workspace/b/sub").unwrap();
    w.write(&who, "/workspace/b/sub/f", b"2").unwrap();
    assert_eq!(w.read(&who, &then(op, "/workspace/a/sub/f")).unwrap(), b"1");
    assert_eq!(
        names(&w, &who, &then(op, "/workspace/b")).unwrap(),
        Vec::<String>::new()
    );
    let at = |p: &str| e.resolve(&who, &path(&then(op, p))).unwrap();
    assert_eq!(at("/workspace/a/sub").parent, at("/workspace/a").ino);
    // Entered where it is today, it is itself then.
    let inside = format!("/workspace/b/sub/.at/op:{op}/f");
    assert_eq!(w.read(&who, &inside).unwrap(), b"1");
}

#[test]
fn a_directory_shows_no_time_after_the_moment() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    mkdir(&w, &who, "/workspace/d");
    w.write(&who, "/workspace/d/f", b"1").unwrap();
    let then_live = e.resolve(&who, &path("/workspace/d")).unwrap();
    let op = head(&w);
    w.write(&who, "/workspace/d/g", b"2").unwrap();
    let old = e.resolve(&who, &path(&then(op, "/workspace/d"))).unwrap();
    let now = e.resolve(&who, &path("/workspace/d")).unwrap();
    assert!(old.mtime >= then_live.mtime && old.mtime < now.mtime);
    assert_eq!(old.nlink, 1);
}
