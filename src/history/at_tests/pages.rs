//! What listing the past costs, counted.

use super::{head, names, then, world};
use crate::core::{Caller, Kind, Op};
use crate::fs::SetAttr;
use crate::fs::tests::permissions::{give, mkdir, rename, unlink};
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::{World, path, refused};

/// Asks the database cold, and counts statements.
fn statements(w: &World, ask: impl FnOnce()) -> u64 {
    let store = w.engine().store();
    store.settle().unwrap();
    w.engine().drop_caches();
    let before = store.counters().statements;
    ask();
    store.counters().statements - before
}

/// A directory of which `many` files were then written, as many removed, moved away, replaced and given another mode.
fn changed(w: &World, many: usize) -> (Op, String) {
    let alice = make(w, &format!("alice{many}"));
    let dir = format!("/workspace/d{many}");
    mkdir(w, &alice, &dir);
    let file = |kind: &str, n: usize| format!("{dir}/{kind}{n}");
    for n in 0..many {
        for kind in ["written", "gone", "replaced", "mode", "same"] {
            w.write(&alice, &file(kind, n), b"old").unwrap();
        }
    }
    let op = head(w);
    for n in 0..many {
        w.write(&alice, &file("written", n), b"new").unwrap();
        unlink(w, &alice, &file("gone", n)).unwrap();
        w.write(&alice, &file("new", n), b"new").unwrap();
        rename(w, &alice, &file("new", n), &file("replaced", n)).unwrap();
        let set = SetAttr {
            mode: Some(0o640),
            ..SetAttr::default()
        };
        let ino = w.engine().resolve(&alice, &path(&file("mode", n))).unwrap();
        w.engine().setattr(&alice, ino.ino, &set, None).unwrap();
    }
    (op, dir)
}

#[test]
fn listing_what_has_changed_takes_as_many_statements_however_much_has() {
    let w = world();
    let count = |many: usize| {
        let (op, dir) = changed(&w, many);
        let at = then(op, &dir);
        let mut listed = Vec::new();
        let asked = statements(&w, || listed = names(&w, &boss(), &at).unwrap());
        assert_eq!(listed.len(), 5 * many);
        asked
    };
    let (few, many) = (count(2), count(40));
    println!("{few} and {many} statements");
    assert_eq!(few, many);
}

/// A directory of which `many` files then got other names in it, others in directories of their own, more of them there, or went
/// with directories that they were moved to.
fn scattered(w: &World, alice: &Caller, many: usize) -> (Op, String) {
    let (dir, away) = (format!("/workspace/d{many}"), format!("/workspace/a{many}"));
    mkdir(w, alice, &dir);
    mkdir(w, alice, &away);
    let kinds = ["renamed", "moved", "linked", "relinked", "fell", "same"];
    let file = |kind: &str, n: usize| format!("{dir}/{kind}{n}");
    for n in 0..many {
        for kind in kinds {
            w.write(alice, &file(kind, n), b"old").unwrap();
        }
    }
    let op = head(w);
    for n in 0..many {
        let own = |kind: &str| format!("{away}/{kind}{n}");
        for kind in &kinds[1..5] {
            mkdir(w, alice, &own(kind));
        }
        let move_to = |kind: &str, to: &str| rename(w, alice, &file(kind, n), to).unwrap();
        move_to("renamed", &format!("{dir}/other{n}"));
        move_to("moved", &format!("{}/f", own("moved")));
        for kind in ["linked", "relinked"] {
            let to = path(&format!("{}/f", own(kind)));
            let (to, name) = w.engine().resolve_parent(alice, &to).unwrap();
            let from = w.engine().resolve(alice, &path(&file(kind, n))).unwrap();
            w.engine().link(alice, from.ino, to, name).unwrap();
        }
        unlink(w, alice, &file("relinked", n)).unwrap();
        move_to("fell", &format!("{}/f", own("fell")));
        unlink(w, alice, &format!("{}/f", own("fell"))).unwrap();
        let fallen = path(&own("fell"));
        let (dir, name) = w.engine().resolve_parent(alice, &fallen).unwrap();
        w.engine().rmdir(alice, dir, name).unwrap();
    }
    (op, dir)
}

#[test]
fn listing_what_is_elsewhere_by_now_takes_as_many_statements_wherever_it_is() {
    let w = world();
    // Where something was said, each name is judged.
    let (owner, bob) = (make(&w, "owner"), make(&w, "bob"));
    mkdir(&w, &owner, "/workspace/said");
    give(&w, &owner, "/workspace/said", "can_read", "bob");
    let count = |many: usize| {
        let alice = make(&w, &format!("alice{many}"));
        let (op, dir) = scattered(&w, &alice, many);
        let at = then(op, &dir);
        let mut listed = Vec::new();
        let asked = statements(&w, || listed = names(&w, &alice, &at).unwrap());
        assert_eq!(listed.len(), 6 * many);
        refused(names(&w, &bob, &at), Kind::Denied);
        asked
    };
    let (few, many) = (count(2), count(40));
    println!("{few} and {many} statements");
    assert_eq!(few, many);
}

#[test]
fn attributes_of_what_was_listed_are_asked_for_once() {
    let w = world();
    let (op, dir) = changed(&w, 20);
    let (at, e) = (then(op, &dir), w.engine());
    // What is known of those that are gone is remembered from the first time on.
    drop(names(&w, &boss(), &at).unwrap());
    let asked = statements(&w, || drop(names(&w, &boss(), &at).unwrap()));
    let with = statements(&w, || {
        let dir = e.resolve(&boss(), &path(&at)).unwrap();
        for entry in e.list(&boss(), dir.ino).unwrap() {
            assert!(e.listxattr(&boss(), entry.node.ino).unwrap().is_empty());
        }
    });
    println!("{asked} and {with} statements");
    assert_eq!(with, asked + 1);
}
