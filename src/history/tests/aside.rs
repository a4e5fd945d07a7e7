//! Old contents put beside what is there: under free names, each node once, and no more open than it was.

use super::reverse::project;
use super::world::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{Kind, Name};
use crate::fs::{AclOf, Naming, Revision, Title};
use crate::history::{Answer, OpSet};
use crate::meta::OpKind;
use crate::meta::cache::Place;
use serde_json::json;

const FILE: &str = "/workspace/p/docs/read.me";

/// Rows of a node that list and boundary are, by name.
fn own_rows(w: &World, at: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = w.engine.store().xattrs(w.ino(at)).unwrap();
    let rows = all.iter().map(|x| (x.name.clone(), x.value.clone()));
    rows.collect()
}

#[test]
fn a_copy_is_put_beside_under_a_name_that_is_free() {
    let w = project();
    let head = w.head();
    w.write(&bob(), FILE, b"bob's");
    let ops = w.by(&bob(), head);
    w.write(&alice(), FILE, b"alice's");
    let copy = format!("{FILE}.undo-{}", ops.first().unwrap());
    w.write(&alice(), &copy, b"own");
    let own = w.ino(&copy);
    for _ in 0..2 {
        w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
        w.assert_sound();
    }
    assert_eq!((w.ino(&copy), w.read(&copy)), (own, b"own".to_vec()));
    for n in 2..4 {
        assert_eq!(w.read(&format!("{copy}.{n}")), b"p/docs/read.me");
    }
}

#[test]
fn a_file_of_two_names_comes_back_once_with_both() {
    let w = project();
    let (a, twin) = ("/workspace/p/src/a", "/workspace/p/src/deep/twin");
    let (ino, head) = (w.ino(a), w.head());
    w.unlink(&bob(), a);
    w.unlink(&bob(), twin);
    let ops = w.by(&bob(), head);
    w.write(&alice(), a, b"another");
    w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
    let aside = format!("{a}.undo-{}", ops.first().unwrap());
    let tree = w.tree();
    for at in [twin, &aside] {
        assert_eq!((tree[at].ino, tree[at].links), (ino, 2), "{at}");
    }
    assert_eq!(w.read(a), b"another");
    w.assert_sound();
}

#[test]
fn names_that_are_cut_to_the_same_do_not_meet() {
    let w = project();
    let long = |end: &str| format!("/workspace/p/{}{end}", "x".repeat(250));
    let names = ["a", "b"].map(long);
    let write = |who, bytes| {
        for at in &names {
            w.write(&who, at, bytes);
        }
    };
    write(alice(), b"old");
    let head = w.head();
    write(bob(), b"bob");
    write(alice(), b"new");
    let ops = w.by(&bob(), head);
    w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
    let tree = w.tree();
    let copies = tree.iter().filter(|(at, _)| at.contains(".undo-"));
    let copies: Vec<_> = copies.map(|(_, seen)| seen.bytes.as_slice()).collect();
    assert_eq!(copies, [b"old", b"old"]);
    w.assert_sound();
}

/// semantics.md §6: "bytes, modes, owners, times, names, attributes, grants and memberships come back as they were"
#[test]
fn what_is_put_beside_is_no_more_open_than_it_was() {
    let w = project();
    let at = "/workspace/p/src/b";
    let secret = w.ino(at);
    w.engine.restrict(&alice(), secret, true).unwrap();
    let denies = AclEntry {
        who: AclWho::User(1099),
        deny: true,
        rights: 0,
    };
    w.engine
        .set_acl_entry(&alice(), secret, AclOf::Itself, denies)
        .unwrap();
    let (rows, head) = (own_rows(&w, at), w.head());
    assert_eq!(rows.len(), 2);
    let aside = |ops: &OpSet| format!("{at}.undo-{}", ops.first().unwrap());
    // The old content of what is there, under a new number.
    w.write(&bob(), at, b"bob's");
    let ops = w.by(&bob(), head);
    w.write(&alice(), at, b"alice's");
    w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
    assert_eq!(own_rows(&w, &aside(&ops)), rows);
    // What is gone, itself.
    let head = w.head();
    w.unlink(&bob(), at);
    let ops = w.by(&bob(), head);
    w.write(&alice(), at, b"another");
    w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
    assert_eq!(w.ino(&aside(&ops)), secret);
    assert_eq!(own_rows(&w, &aside(&ops)), rows);
    w.assert_sound();
}

#[test]
fn a_directory_comes_back_beside_what_took_its_name_with_all_that_was_in_it() {
    let w = project();
    let (src, head) = ("/workspace/p/src", w.head());
    let below = |tree: &Tree, top: &str| -> Vec<(String, Seen)> {
        let inside = tree
            .iter()
            .filter(|(at, _)| at.starts_with(&format!("{top}/")));
        let cut = |(at, seen): (&String, &Seen)| (at[top.len()..].to_owned(), seen.clone());
        inside.map(cut).collect()
    };
    let before = w.tree();
    w.remove_all(&bob(), src);
    let ops = w.by(&bob(), head);
    w.mkdir(&alice(), src);
    w.mkdir(&alice(), &format!("{src}/deep"));
    let undone = w.undo_or(&alice(), &ops, Answer::Aside);
    assert_eq!((&undone.conflicts[..], undone.skipped.len()), (&[][..], 0));
    let (after, aside) = (w.tree(), format!("{src}.undo-{}", ops.first().unwrap()));
    assert_eq!(below(&after, &aside), below(&before, src));
    assert_eq!(below(&after, src).len(), 1);
    w.assert_sound();
    w.undo(&alice(), [w.head()].into_iter().collect()).unwrap();
    assert!(!w.tree().contains_key(&aside));
    w.assert_sound();
}

fn title() -> Title {
    Title {
        kind: OpKind::Undo,
        path: path("/workspace"),
        undo: json!({ "ops": "1" }),
    }
}

fn place(w: &World, dir: &str, name: &str) -> Place {
    Place {
        parent: w.ino(dir),
        name: Name::new(name.as_bytes()).unwrap(),
    }
}

/// Makes a revision that was worked out wrongly.
#[track_caller]
fn refused(w: &World, what: &mut Revision) {
    let before = w.engine.head(TENANT).unwrap();
    let made = w.engine.revise(&alice(), what, |_| Ok(title()));
    assert_eq!(made.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(w.engine.head(TENANT).unwrap(), before);
}

#[test]
fn a_name_that_stands_for_something_else_than_was_thought_is_not_taken() {
    let w = project();
    let (docs, mut revision) = ("/workspace/p/docs", Revision::default());
    revision.names.push(Naming {
        place: place(&w, docs, "read.me"),
        was: None,
        to: Some(w.ino("/workspace/p/src/b")),
    });
    refused(&w, &mut revision);
    w.assert_sound();
}

#[test]
fn a_directory_with_something_in_it_does_not_go() {
    let w = project();
    w.mkdir(&alice(), "/workspace/p/empty");
    w.head();
    let going = |name: &str| {
        let place = place(&w, "/workspace/p", name);
        Revision {
            gone: vec![w.ino(&format!("/workspace/p/{name}"))],
            names: vec![Naming {
                was: w.engine.store().entry(&place).unwrap(),
                place,
                to: None,
            }],
            ..Revision::default()
        }
    };
    refused(&w, &mut going("docs"));
    let made = place(&w, "/workspace/p/empty", "f");
    let open = crate::fs::tests::writing();
    let e = &w.engine;
    let (_, handle) = e
        .create(&alice(), made.parent, &made.name, 0o644, open)
        .unwrap();
    e.write(&alice(), handle, 0, b"just made").unwrap();
    refused(&w, &mut going("empty"));
    e.flush(&alice(), handle).unwrap();
    e.release(&alice(), handle).unwrap();
    assert_eq!(w.read("/workspace/p/empty/f"), b"just made");
    w.assert_sound();
}
