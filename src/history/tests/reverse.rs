//! Undoing what one did while others went on.

use super::world::*;
use crate::core::{Caller, Name, Op};
use crate::core::{Kind, Time};
use crate::fs::{Access, OpenFlags};
use crate::fs::{SetAttr, SetMode, SetTime, To};
use crate::history::{Answer, Choice, OpSet, undo};

/// A project of alice's that bob may change, too.
pub(in crate::history::tests) fn project() -> World {
    let w = World::new();
    let me = alice();
    for dir in ["p", "p/src", "p/src/deep", "p/docs"] {
        w.mkdir(&me, &format!("/workspace/{dir}"));
    }
    for file in ["p/src/a", "p/src/b", "p/src/deep/c", "p/docs/read.me"] {
        w.write(&me, &format!("/workspace/{file}"), file.as_bytes());
    }
    let deep = w.ino("/workspace/p/src/deep");
    let e = &w.engine;
    e.symlink(&me, deep, &Name::new(b"link").unwrap(), b"../a")
        .unwrap();
    e.link(
        &me,
        w.ino("/workspace/p/src/a"),
        deep,
        &Name::new(b"twin").unwrap(),
    )
    .unwrap();
    let c = w.ino("/workspace/p/src/deep/c");
    e.setxattr(&me, c, b"user.color", b"red", SetMode::Any)
        .unwrap();
    for dir in ["p", "p/src", "p/src/deep", "p/docs"] {
        set(
            &w,
            &me,
            &format!("/workspace/{dir}"),
            &SetAttr {
                mode: Some(0o2775),
                mtime: Some(SetTime::At(Time(1_000_000_000))),
                ..SetAttr::default()
            },
        );
    }
    w
}

#[test]
fn attributes_that_come_back_are_no_more_than_a_listing_tells_with_those_given_since() {
    let w = project();
    let (e, at) = (&w.engine, w.ino("/workspace/p/src/b"));
    let name = |n: usize| format!("user.{n:0240}");
    let give = |n: usize| e.setxattr(&alice(), at, name(n).as_bytes(), b"", SetMode::Any);
    let take = |n: usize| e.removexattr(&alice(), at, name(n).as_bytes());
    let full = (0..1000).find(|n| give(*n).is_err()).unwrap();
    let before = w.head();
    take(0).unwrap();
    let taken = w.by(&alice(), before);
    give(full).unwrap();
    let refused = w.undo(&alice(), taken.clone()).map(|u| u.op);
    assert_eq!(refused.unwrap_err().kind(), Kind::NoSpace);
    take(1).unwrap();
    assert!(w.undo(&alice(), taken).unwrap().op.is_some());
    assert_eq!(e.listxattr(&alice(), at).unwrap().len(), full);
    w.assert_sound();
}

fn set(w: &World, who: &Caller, at: &str, what: &SetAttr) {
    w.engine.setattr(who, w.ino(at), what, None).unwrap();
}

fn chmod(w: &World, who: &Caller, at: &str, mode: u32) {
    set(
        w,
        who,
        at,
        &SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        },
    );
}

#[track_caller]
fn done(w: &World, who: &Caller, ops: OpSet) -> Op {
    let undone = w.undo(who, ops).unwrap();
    assert_eq!(undone.conflicts, []);
    undone.op.unwrap()
}

/// semantics.md §6: "bytes, modes, owners, times, names, attributes, grants and memberships come back as they were"
#[test]
fn a_tree_that_was_removed_comes_back_as_it_was() {
    let w = project();
    let grant = To::One("user:alice".parse().unwrap());
    w.engine
        .create_user(&root(), "alice", Some(1001), (None, None))
        .unwrap();
    w.engine
        .grant(&root(), w.ino("/workspace/p/src"), "can_read", &grant, None)
        .unwrap();
    let (before, head) = (w.tree(), w.head());
    let grants = w.engine.grants(&root(), |_| true).unwrap();
    w.remove_all(&bob(), "/workspace/p/src");
    assert!(w.tree().len() < before.len());
    let op = done(&w, &alice(), w.by(&bob(), head));
    assert_eq!(w.tree(), before);
    assert_eq!(w.engine.grants(&root(), |_| true).unwrap(), grants);
    w.assert_sound();
    // Undoing that is doing it again, and once more.
    let again = done(&w, &alice(), [op].into_iter().collect());
    assert!(!w.tree().contains_key("/workspace/p/src/a"));
    done(&w, &alice(), [again].into_iter().collect());
    assert_eq!(w.tree(), before);
    w.assert_sound();
}

/// One change of alice's to the project.
fn change(w: &World, what: &str) {
    let (me, e) = (alice(), &w.engine);
    let (src, docs) = ("/workspace/p/src", "/workspace/p/docs");
    let dir = w.ino(docs);
    let named = |n: &str| Name::new(n.as_bytes()).unwrap();
    let (b, deep) = (format!("{src}/b"), format!("{src}/deep"));
    match what {
        "write" => w.write(&me, &format!("{src}/a"), b"other"),
        "create" => w.write(&me, "/workspace/p/new", b"new"),
        "mkdir" => w.mkdir(&me, "/workspace/p/newdir"),
        "unlink" => w.unlink(&me, &b),
        "one name of two" => w.unlink(&me, &format!("{deep}/twin")),
        "rename" => w.rename(&me, &b, &format!("{docs}/b")),
        "rename over" => w.rename(&me, &b, &format!("{docs}/read.me")),
        "move a directory" => w.rename(&me, &deep, &format!("{docs}/deep")),
        "chmod" => chmod(w, &me, &b, 0o600),
        "symlink" => drop(e.symlink(&me, dir, &named("l"), b"x").unwrap()),
        "link" => drop(e.link(&me, w.ino(&b), dir, &named("h")).unwrap()),
        "setxattr" => {
            let at = w.ino(&format!("{deep}/c"));
            e.setxattr(&me, at, b"user.color", b"blue", SetMode::Any)
                .unwrap();
        }
        "removexattr" => {
            let at = w.ino(&format!("{deep}/c"));
            e.removexattr(&me, at, b"user.color").unwrap();
        }
        _ => {
            let mtime = Some(SetTime::At(Time(5)));
            let set_time = SetAttr {
                mtime,
                ..SetAttr::default()
            };
            set(w, &me, docs, &set_time);
        }
    }
}

#[test]
fn each_kind_of_change_is_reversed() {
    let w = project();
    let alone = "write,create,mkdir,unlink,one name of two,rename,rename over,move a directory,chmod,symlink,link,setxattr,\
                 removexattr,times";
    let together = "write,create,one name of two,move a directory,chmod,symlink";
    let all = alone.split(',').map(|what| vec![what]);
    for several in all.chain([together.split(',').collect()]) {
        let (before, head) = (w.tree(), w.head());
        for what in &several {
            change(&w, what);
        }
        assert_ne!(w.tree(), before, "{several:?}");
        done(&w, &alice(), w.by(&alice(), head));
        assert_eq!(w.tree(), before, "{several:?}");
        w.assert_sound();
    }
}

#[test]
fn what_others_did_meanwhile_stays() {
    let w = project();
    let head = w.head();
    w.remove_all(&bob(), "/workspace/p/src/deep");
    w.write(&alice(), "/workspace/p/src/mine", b"mine");
    w.write(&alice(), "/workspace/p/src/b", b"better");
    chmod(&w, &bob(), "/workspace/p/docs/read.me", 0o444);
    w.rename(&alice(), "/workspace/p/docs", "/workspace/p/papers");
    done(&w, &alice(), w.by(&bob(), head));
    assert_eq!(w.read("/workspace/p/src/mine"), b"mine");
    assert_eq!(w.read("/workspace/p/src/b"), b"better");
    assert_eq!(w.read("/workspace/p/src/deep/c"), b"p/src/deep/c");
    let tree = w.tree();
    assert_eq!(tree["/workspace/p/papers/read.me"].owner.0, 0o640);
    w.assert_sound();
}

#[test]
fn texts_that_both_changed_are_merged_where_they_can_be() {
    let w = project();
    let at = "/workspace/p/docs/read.me";
    let lines = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n{last}\n").into_bytes();
    w.write(&alice(), at, &lines("1", "7"));
    let head = w.head();
    w.write(&bob(), at, &lines("ONE", "7"));
    w.write(&alice(), at, &lines("ONE", "SEVEN"));
    done(&w, &alice(), w.by(&bob(), head));
    assert_eq!(w.read(at), lines("1", "SEVEN"));
    w.assert_sound();
}

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn what_something_depends_on_is_told_and_nothing_is_done() {
    let w = project();
    let at = "/workspace/p/docs/read.me";
    let head = w.head();
    w.write(&bob(), at, b"bob's");
    w.write(&bob(), "/workspace/p/bobs", b"x");
    w.unlink(&bob(), "/workspace/p/src/b");
    w.write(&alice(), at, b"alice's");
    let by = w.head();
    w.write(&alice(), "/workspace/p/src/b", b"another");
    let (before, ops) = (w.tree(), w.by(&bob(), head));
    let refused = w.undo(&alice(), ops.clone()).unwrap();
    assert_eq!(refused.op, None);
    let mut found: Vec<_> = refused.conflicts.iter().filter_map(|c| c.by).collect();
    found.sort_unstable();
    assert_eq!(found, [by, Op(by.0 + 1)]);
    assert_eq!(w.tree(), before);
    let with = |answer| Choice {
        ops: ops.clone(),
        answer,
        dry_run: true,
        ..Choice::default()
    };
    let rehearsed = undo(&w.engine, &alice(), &with(Answer::Skip)).unwrap();
    assert_eq!((rehearsed.op, w.tree() == before), (None, true));
    let choice = Choice {
        dry_run: false,
        ..with(Answer::Aside)
    };
    let undone = undo(&w.engine, &alice(), &choice).unwrap();
    assert_eq!(undone.skipped.len(), 2);
    let first = ops.first().unwrap();
    assert_eq!(w.read(at), b"alice's");
    assert_eq!(w.read(&format!("{at}.undo-{first}")), b"p/docs/read.me");
    assert_eq!(w.read("/workspace/p/src/b"), b"another");
    assert_eq!(
        w.read(&format!("/workspace/p/src/b.undo-{first}")),
        b"p/src/b"
    );
    assert!(!w.tree().contains_key("/workspace/p/bobs"));
    w.assert_sound();
}

#[test]
fn a_file_whose_other_name_somebody_took_away_goes_with_the_name_that_is_undone() {
    let w = project();
    let (b, dir) = (w.ino("/workspace/p/src/b"), w.ino("/workspace/p/docs"));
    let head = w.head();
    let name = Name::new(b"twin").unwrap();
    w.engine.link(&bob(), b, dir, &name).unwrap();
    w.engine
        .setxattr(&bob(), b, b"user.color", b"blue", SetMode::Any)
        .unwrap();
    w.write(&bob(), "/workspace/p/docs/twin", b"other");
    w.unlink(&alice(), "/workspace/p/src/b");
    done(&w, &alice(), w.by(&bob(), head));
    assert!(!w.tree().contains_key("/workspace/p/docs/twin"));
    w.assert_sound();
}

#[test]
fn a_directory_that_others_filled_since_stays() {
    let w = project();
    let head = w.head();
    w.mkdir(&bob(), "/workspace/p/made");
    chmod(&w, &bob(), "/workspace/p/made", 0o777);
    w.write(&alice(), "/workspace/p/made/f", b"f");
    let refused = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    assert_eq!(refused.op, None);
    assert_eq!(refused.conflicts[0].by, Some(w.head()));
}

/// semantics.md §6: "Undoing is one operation, takes the permissions that its changes take"
#[test]
fn an_undo_brings_nothing_to_where_others_have_more_on_it() {
    let (w, carol) = (World::new(), person("carol", 1003));
    for (who, dir) in [(&alice(), "/workspace/team"), (&carol, "/workspace/carols")] {
        w.mkdir(who, dir);
        chmod(&w, who, dir, 0o777);
    }
    w.write(&alice(), "/workspace/carols/f", b"dear");
    chmod(&w, &alice(), "/workspace/carols/f", 0o600);
    let head = w.head();
    w.rename(&alice(), "/workspace/carols/f", "/workspace/team/f");
    let undo = |who: &Caller| w.undo(who, [Op(head.0 + 1)].into_iter().collect());
    assert_eq!(undo(&carol).err().unwrap().kind(), Kind::CrossDevice);
    undo(&alice()).unwrap();
    assert_eq!(w.read("/workspace/carols/f"), b"dear");
    w.assert_sound();
}

/// semantics.md §6: "Undoing is one operation, takes the permissions that its changes take, and can be undone."
#[test]
fn what_is_undone_must_be_allowed() {
    let w = project();
    let head = w.head();
    w.unlink(&alice(), "/workspace/p/src/b");
    let carol = person("carol", 1003);
    chmod(&w, &alice(), "/workspace/p/src", 0o755);
    let before = w.tree();
    let refused = w
        .undo(&carol, [Op(head.0 + 1)].into_iter().collect())
        .err()
        .unwrap();
    assert_eq!(refused.kind(), Kind::Denied);
    assert_eq!(w.tree(), before);
    done(&w, &alice(), [Op(head.0 + 1)].into_iter().collect());
}

#[test]
fn an_open_file_goes_on_from_what_undo_made_of_it() {
    let w = project();
    let at = "/workspace/p/src/b";
    let head = w.head();
    w.write(&bob(), at, b"spoilt by bob");
    let e = &w.engine;
    let handle = e
        .open(&alice(), w.ino(at), OpenFlags::new(Access::ReadWrite))
        .unwrap();
    done(&w, &alice(), w.by(&bob(), head));
    assert_eq!(e.read(handle, 0, 100).unwrap(), &b"p/src/b"[..]);
    e.write(&alice(), handle, 0, b"P").unwrap();
    e.flush(&alice(), handle).unwrap();
    e.release(&alice(), handle).unwrap();
    assert_eq!(w.read(at), b"P/src/b");
    w.assert_sound();
}

#[test]
fn what_was_synced_is_undone_to_though_it_was_deleted_before_it_was_closed() {
    let w = project();
    let (e, at) = (&w.engine, "/workspace/p/docs/read.me");
    for replaced in [false, true] {
        w.write(&alice(), at, b"closed");
        let handle = e
            .open(&alice(), w.ino(at), OpenFlags::new(Access::Write))
            .unwrap();
        e.write(&alice(), handle, 0, b"synced").unwrap();
        e.fsync(&alice(), handle).unwrap();
        if replaced {
            w.rename(&alice(), "/workspace/p/src/b", at);
        } else {
            w.unlink(&alice(), at);
        }
        e.write(&alice(), handle, 0, b"neither").unwrap();
        e.release(&alice(), handle).unwrap();
        // The version that came of what was synced stays.
        done(&w, &alice(), OpSet::from_iter([w.head()]));
        assert_eq!(w.read(at), b"synced", "replaced: {replaced}");
    }
    w.assert_sound();
}

fn one(op: Op) -> OpSet {
    [op].into_iter().collect()
}

#[test]
fn what_was_undone_and_its_undo_are_as_if_neither_had_been() {
    let w = project();
    let at = "/workspace/p/src/b";
    let mut writes = Vec::new();
    for text in ["one", "two", "three"] {
        w.write(&alice(), at, text.as_bytes());
        writes.push(w.head());
    }
    let mut undos = Vec::new();
    for (write, left) in writes.iter().rev().zip(["two", "one", "p/src/b"]) {
        undos.push(done(&w, &alice(), one(*write)));
        assert_eq!(w.read(at), left.as_bytes());
        // It is undone already.
        assert_eq!(w.undo(&alice(), one(*write)).unwrap().op, None);
    }
    for (undo, left) in undos.iter().rev().zip(["one", "two", "three"]) {
        done(&w, &alice(), one(*undo));
        assert_eq!(w.read(at), left.as_bytes());
    }
    // Undone and done again: in the way as before.
    let refused = w.undo(&alice(), one(writes[0])).unwrap();
    assert_eq!(refused.conflicts[0].by, Some(writes[1]));
    // Some of it first, then all of it.
    done(&w, &alice(), one(writes[2]));
    done(&w, &alice(), writes.into_iter().collect());
    assert_eq!(w.read(at), b"p/src/b");
    w.assert_sound();
}

#[test]
fn a_file_that_was_moved_and_removed_comes_back_step_by_step() {
    let w = project();
    let (src, docs) = ("/workspace/p/src/b", "/workspace/p/docs/b");
    let before = w.tree();
    w.rename(&alice(), src, docs);
    let moved = w.head();
    w.unlink(&alice(), docs);
    done(&w, &alice(), one(w.head()));
    assert!(w.tree().contains_key(docs));
    done(&w, &alice(), one(moved));
    assert_eq!(w.tree(), before);
    w.assert_sound();
}

#[test]
fn a_name_that_was_taken_and_left_again_is_free() {
    let w = project();
    let at = "/workspace/p/src/b";
    let before = w.tree();
    w.unlink(&alice(), at);
    let removed = w.head();
    w.write(&bob(), at, b"bob's");
    done(&w, &alice(), w.by(&bob(), removed));
    done(&w, &alice(), one(removed));
    assert_eq!(w.tree(), before);
}

#[test]
fn an_undo_that_put_copies_beside_something_is_no_pair() {
    let w = project();
    let (a, b) = ("/workspace/p/src/a", "/workspace/p/src/b");
    let head = w.head();
    w.write(&bob(), a, b"bob's");
    w.write(&bob(), b, b"bob's");
    w.write(&alice(), a, b"alice's");
    let ops = w.by(&bob(), head);
    let choice = Choice {
        ops: ops.clone(),
        answer: Answer::Aside,
        ..Choice::default()
    };
    let undone = undo(&w.engine, &alice(), &choice).unwrap();
    let mut rest = ops;
    rest.leave_out(&undone.skipped);
    let copy = format!("{a}.undo-{}", Op(head.0 + 1));
    assert_eq!(w.read(&copy), b"p/src/a");
    assert_eq!(w.undo(&alice(), rest).unwrap().op, None);
    assert_eq!(w.read(&copy), b"p/src/a");
}

#[test]
fn a_directory_whose_old_name_was_taken_is_told_once() {
    let w = project();
    let head = w.head();
    w.rename(&bob(), "/workspace/p/src", "/workspace/p/other");
    w.mkdir(&alice(), "/workspace/p/src");
    let by = w.head();
    let told = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    let found: Vec<_> = told.conflicts.iter().map(|c| (c.why, c.by)).collect();
    assert_eq!(found, [("its name was used since", Some(by))]);
    let me = alice();
    let steps = told.steps(&w.engine, &me).unwrap();
    assert_eq!(steps.count(), 0);
}
