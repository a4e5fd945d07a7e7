//! Undo while others go on.

use super::reverse::project;
use super::world::*;
use crate::core::{Name, Result};
use crate::db::sqlite::READERS_MAX;
use crate::fs::{SetAttr, SetMode, Title};
use crate::history::pairs::Pairs;
use crate::history::plan::{Given, Plan};
use crate::history::undo::{TRIES, TRIES_BESIDE, applied};
use crate::history::{Answer, Choice, OpSet, Restoring, Undone, record, restore, undo};
use crate::meta::OpKind;
use serde_json::json;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long somebody may take to make a change before he counts as one who waits.
const PATIENCE: Duration = Duration::from_secs(2);

const FILE: &str = "/workspace/p/src/b";

/// What undoing some operations comes to now.
fn planned(w: &World, ops: &OpSet) -> Result<(Undone, Title)> {
    let given = Given {
        pairs: &Pairs::default(),
        homes: &[],
        beside: &HashMap::new(),
    };
    let plan = Plan::of(w.engine.store(), (w.engine.blobs(), TENANT), ops, &given)?;
    let title = Title {
        kind: OpKind::Undo,
        path: path("/workspace"),
        undo: record::of(&plan.revision, json!({ "ops": ops.to_string() })),
    };
    let conflicts = plan.conflicts.clone();
    let undone = Undone {
        plan,
        conflicts,
        ..Undone::default()
    };
    Ok((undone, title))
}

/// Undoes what bob did to a file while alice changes the same file each time it was planned; how often that was, and how often
/// she had to wait.
fn undone_against(w: &World, dry_run: bool) -> (Undone, usize, usize) {
    let head = w.head();
    w.write(&bob(), FILE, b"bob's");
    let (ops, file) = (w.by(&bob(), head), w.ino(FILE));
    let (next, asked) = channel();
    let (tell, done) = channel();
    thread::scope(|s| {
        s.spawn(|| {
            let tell = tell;
            for n in asked {
                let value = usize::to_string(&n);
                let name = b"user.count";
                w.engine
                    .setxattr(&alice(), file, name, value.as_bytes(), SetMode::Any)
                    .unwrap();
                // Nobody waits for the last one.
                tell.send(()).ok();
            }
        });
        let (tries, waits) = (Cell::new(0), Cell::new(0));
        let how = (Answer::Stop, dry_run);
        let undone = applied(&w.engine, &alice(), how, || {
            let planned = planned(w, &ops)?;
            next.send(tries.replace(tries.get() + 1)).unwrap();
            let changed = done.recv_timeout(PATIENCE);
            assert_ne!(changed, Err(RecvTimeoutError::Disconnected));
            waits.set(waits.get() + usize::from(changed.is_err()));
            Ok(planned)
        });
        drop(next);
        (undone.unwrap(), tries.get(), waits.get())
    })
}

#[test]
fn an_undo_comes_to_an_end_though_others_are_always_faster() {
    let w = project();
    let (undone, tries, waits) = undone_against(&w, false);
    assert!(undone.op.is_some());
    assert_eq!(w.read(FILE), b"p/src/b");
    // All beside her but the last, which she waited for.
    assert_eq!((tries, waits), (TRIES_BESIDE + 1, 1));
    let count = w.engine.getxattr(&alice(), w.ino(FILE), b"user.count");
    assert_eq!(count.unwrap(), TRIES_BESIDE.to_string().as_bytes());
    w.assert_sound();
}

#[test]
fn nobody_ever_waits_for_a_rehearsal() {
    let w = project();
    let (undone, tries, waits) = undone_against(&w, true);
    assert_eq!((undone.op, undone.plan.revision.changed.len()), (None, 1));
    assert_eq!((tries, waits), (TRIES, 0));
    assert_eq!(w.read(FILE), b"bob's");
}

/// Undoes what bob did to a file, and has something done behind the first plan; how often it was planned.
fn undone_beside(w: &World, meanwhile: impl Fn()) -> (Result<Undone>, usize) {
    let head = w.head();
    w.write(&bob(), FILE, b"bob's");
    let ops = w.by(&bob(), head);
    undone_of(w, &ops, meanwhile)
}

fn undone_of(w: &World, ops: &OpSet, meanwhile: impl Fn()) -> (Result<Undone>, usize) {
    let tries = Cell::new(0);
    let undone = applied(&w.engine, &alice(), (Answer::Stop, false), || {
        let planned = planned(w, ops)?;
        if tries.replace(tries.get() + 1) == 0 {
            meanwhile();
        }
        Ok(planned)
    });
    (undone, tries.get())
}

#[test]
fn who_is_busy_elsewhere_does_not_make_an_undo_begin_again() {
    let w = project();
    let carol = w.unrelated_grant();
    let unrelated = w.ino("/workspace/unrelated");
    let (undone, tries) = undone_beside(&w, || {
        w.mkdir(&alice(), "/workspace/p/docs/new");
        w.write(&bob(), "/workspace/p/src/other", b"beside it");
        w.save(&alice(), "/workspace/p/src/a", b"saved over");
        w.rename(&alice(), "/workspace/p/docs/new", "/workspace/p/src/new");
        w.unlink(&alice(), "/workspace/p/src/deep/c");
        let last = w.head();
        w.engine
            .grant(&root(), unrelated, "can_write", &carol, None)
            .unwrap();
        w.undo(&alice(), [last].into_iter().collect()).unwrap();
    });
    assert!(undone.unwrap().op.is_some());
    assert_eq!(tries, 1);
    assert_eq!(w.read(FILE), b"p/src/b");
    assert_eq!(w.read("/workspace/p/src/other"), b"beside it");
    w.assert_sound();
}

#[test]
fn what_is_done_to_that_of_which_something_is_undone_makes_it_begin_again() {
    type Work = fn(&World);
    let works: [(&str, Work, bool); 8] = [
        ("chmod", |w| chmod(w, 0o640), true),
        (
            "xattr",
            |w| {
                let (file, name) = (w.ino(FILE), b"user.n");
                w.engine
                    .setxattr(&alice(), file, name, b"1", SetMode::Any)
                    .unwrap();
            },
            true,
        ),
        (
            "rename",
            |w| w.rename(&alice(), FILE, "/workspace/p/b"),
            true,
        ),
        (
            "link",
            |w| {
                let docs = w.ino("/workspace/p/docs");
                let twin = Name::new(b"twin").unwrap();
                w.engine.link(&alice(), w.ino(FILE), docs, &twin).unwrap();
            },
            true,
        ),
        ("write", |w| w.write(&alice(), FILE, b"alice's"), false),
        ("unlink", |w| w.unlink(&alice(), FILE), true),
        ("save", |w| w.save(&alice(), FILE, b"alice's"), false),
        (
            "undo",
            |w| {
                let last = w.head();
                w.undo(&alice(), [last].into_iter().collect()).unwrap();
            },
            true,
        ),
    ];
    for (what, work, fits) in works {
        let w = project();
        let (undone, tries) = undone_beside(&w, || work(&w));
        assert_eq!(tries, 2, "{what}");
        assert_eq!(undone.unwrap().conflicts.is_empty(), fits, "{what}");
        w.assert_sound();
    }
}

fn chmod(w: &World, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine.setattr(&alice(), w.ino(FILE), &set, None).unwrap();
}

#[test]
fn what_comes_into_a_directory_that_would_go_meanwhile_stays() {
    let w = project();
    let head = w.head();
    w.mkdir(&bob(), "/workspace/p/docs/bob");
    let ops = w.by(&bob(), head);
    let (undone, tries) = undone_of(&w, &ops, || {
        w.write(&alice(), "/workspace/p/docs/bob/new", b"alice's");
        w.head();
    });
    let undone = undone.unwrap();
    assert!(undone.stopped && undone.op.is_none());
    assert_eq!(undone.conflicts.len(), 1);
    assert_eq!(tries, 2);
    assert_eq!(w.read("/workspace/p/docs/bob/new"), b"alice's");
}

#[test]
fn a_directory_that_somebody_touched_meanwhile_does_not_look_untouched() {
    let w = project();
    let docs = "/workspace/p/docs";
    let (before, head) = (w.tree()[docs].mtime, w.head());
    w.write(&bob(), "/workspace/p/docs/bob", b"bob's");
    let ops = w.by(&bob(), head);
    let later = Cell::new(0);
    let (undone, tries) = undone_of(&w, &ops, || {
        w.write(&alice(), "/workspace/p/docs/alice", b"alice's");
        later.set(w.tree()[docs].mtime);
    });
    assert!(undone.unwrap().op.is_some());
    assert_eq!(tries, 1);
    assert!(before < later.get());
    assert!(w.tree()[docs].mtime >= later.get());
    w.assert_sound();
}

/// A file that comes into a directory that is restored goes again: it was not there then.
#[test]
fn a_restore_begins_again_for_what_comes_into_the_directory_and_for_nothing_else() {
    let w = project();
    let at = w.engine.last_moment(&alice()).unwrap();
    w.write(&bob(), "/workspace/p/docs/bob", b"bob's");
    let what = Restoring {
        path: path("/workspace/p/docs"),
        node: w.ino("/workspace/p/docs"),
        at,
        answer: Answer::Stop,
        dry_run: false,
    };
    for (new, tries) in [("/workspace/p/src/new", 1), ("/workspace/p/docs/new", 2)] {
        let count = Cell::new(0);
        let then = [w.ino("/workspace"), w.ino("/workspace/p"), what.node];
        let undone = applied(&w.engine, &alice(), (Answer::Stop, false), || {
            let undone = restore::work_out(&w.engine, &alice(), &what, &then)?;
            if count.replace(count.get() + 1) == 0 {
                w.write(&bob(), new, b"meanwhile");
                w.head();
            }
            let title = Title {
                kind: OpKind::Restore,
                path: what.path.clone(),
                undo: record::of(&undone.plan.revision, json!({ "at": at.op.0 })),
            };
            Ok((undone, title))
        });
        assert!(undone.unwrap().op.is_some());
        assert_eq!(count.get(), tries, "{new}");
        assert!(!w.tree().contains_key("/workspace/p/docs/new"));
        w.write(&bob(), "/workspace/p/docs/bob", b"bob's again");
    }
    w.assert_sound();
}

/// Else those that undo at the same time would wait for each other.
#[test]
fn what_is_merged_is_read_while_the_undo_holds_no_reader_of_the_database() {
    let w = project();
    let at = "/workspace/p/src/b";
    w.write(&alice(), at, b"1\n2\n3\n4\n5\n");
    let head = w.head();
    w.write(&bob(), at, b"one\n2\n3\n4\n5\n");
    let ops = w.by(&bob(), head);
    w.write(&alice(), at, b"one\n2\n3\n4\nfive\n");
    let (e, store) = (&w.engine, w.engine.store());
    w.head();
    store.settle().unwrap();
    e.drop_caches();
    let readers: Vec<_> = (1..READERS_MAX).map(|_| store.read().unwrap()).collect();
    let writer = store.begin().unwrap();
    let choice = Choice {
        ops,
        dry_run: true,
        ..Choice::default()
    };
    let undone = undo(e, &alice(), &choice).unwrap();
    drop((readers, writer));
    assert_eq!(undone.conflicts, []);
    assert_eq!(undone.plan.revision.made.len(), 1);
}
