//! The past with a horizon: what is kept is what it was, what is not is not shown.

use super::replay::{Tree, copy, perform, steps};
use super::{At, head, world};
use crate::access::Right;
use crate::core::{Caller, Kind, Op, Time};
use crate::fs::tests::permissions::{ino, mkdir, rename, unlink};
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::{World, alice, bob, path, refused};
use crate::fs::{Forgetting, Keep, SetAttr};
use crate::history::{
    Answer, Choice, OpSet, Restoring, beginning, blame, compare, restore, restore_content,
    snapshot, undo, version, versions,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Forgets what was before the tree that an operation left.
fn forget(w: &World, horizon: Op, snapshots: bool) -> Forgetting {
    let (_, time) = w
        .engine()
        .store()
        .time_of(TENANT, horizon)
        .unwrap()
        .unwrap();
    let keep = Keep {
        since: Time(time.0 + 1),
        snapshots,
    };
    let mut done = w.engine().forget(&boss(), keep, false).unwrap();
    done.tenants.remove(0)
}

fn snap(w: &World, name: &str) -> Op {
    let made = snapshot::create(w.engine(), &alice(), &path("/workspace"), (name, None));
    made.unwrap().op
}

/// Every recorded tree that is kept is what it was, and no other is shown.
#[track_caller]
fn assert_kept(w: &World, recorded: &BTreeMap<Op, Tree>, horizon: Op, named: &BTreeSet<Op>) {
    for (op, tree) in recorded {
        if *op >= horizon || named.contains(op) {
            let then = copy(w, &format!("/.at/op:{op}/workspace"));
            assert_eq!(&then, tree, "as of {op}, with a horizon at {horizon}");
        } else {
            let then = w
                .engine()
                .resolve(&alice(), &path(&format!("/.at/op:{op}")));
            refused(then, Kind::NotFound);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// semantics.md §6: "the trees from the horizon on, and with `--keep-snapshots` those that snapshots name, stay what they were"
    #[test]
    fn what_is_kept_is_what_it_was(
        steps in steps(), cuts in proptest::collection::btree_map(0_usize..80, (0_u8..=255, any::<bool>()), 1..4),
    ) {
        let w = world();
        let (mut recorded, mut named) = (BTreeMap::new(), BTreeSet::new());
        let mut horizon = Op(0);
        for (n, step) in steps.iter().enumerate() {
            drop(perform(&w, step));
            if n % 7 == 0 {
                let op = snap(&w, &format!("s{n}"));
                named.insert(op);
                recorded.insert(op, copy(&w, "/workspace"));
            } else if n % 2 == 0 {
                recorded.insert(head(&w), copy(&w, "/workspace"));
            }
            if let Some((back, snapshots)) = cuts.get(&n) {
                let all: Vec<Op> = recorded.keys().copied().collect();
                let at = all[usize::from(*back) % all.len()];
                let done = forget(&w, at, *snapshots);
                prop_assert!(done.horizon >= at.max(horizon));
                horizon = done.horizon;
                if !snapshots {
                    named.retain(|op| *op > horizon);
                }
                assert_kept(&w, &recorded, horizon, &named);
                w.engine().drop_caches();
                w.assert_sound();
            }
        }
        assert_kept(&w, &recorded, horizon, &named);
        let again = forget(&w, horizon.max(Op(1)), true);
        prop_assert_eq!((again.rows, again.bytes), (0, 0), "nothing is left over");
        w.assert_sound();
    }
}

fn written(w: &World, at: &str, bytes: &[u8]) -> Op {
    w.write(&alice(), at, bytes).unwrap();
    head(w)
}

fn undone(w: &World, ops: &[Op]) -> crate::core::Result<Option<Op>> {
    let choice = Choice {
        ops: ops.iter().copied().collect::<OpSet>(),
        ..Choice::default()
    };
    undo(w.engine(), &alice(), &choice).map(|done| done.op)
}

#[track_caller]
fn told<T>(result: crate::core::Result<T>, oldest: u64) {
    let Err(e) = result else {
        panic!("not refused")
    };
    assert_eq!(e.kind(), Kind::NotFound);
    let wanted = format!("history before operation {oldest} was forgotten on 2");
    assert!(e.message().contains(&wanted), "{e}");
}

/// semantics.md §6: "What is behind the horizon is not shown and not undone" "and whoever asks for it is told."
#[test]
fn what_is_forgotten_is_not_shown_nor_undone_and_that_is_said() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let first = written(&w, "/workspace/f", b"one\n");
    let second = written(&w, "/workspace/f", b"one\ntwo\n");
    let last = written(&w, "/workspace/f", b"one\ntwo\nthree\n");
    let seat = path(&format!("/.at/op:{first}/workspace/f"));
    let seat = e.resolve(&who, &seat).unwrap().ino;
    let done = forget(&w, second, false);
    assert_eq!((done.horizon, done.op), (second, Some(Op(last.0 + 1))));
    let oldest = second.0 + 1;
    told(e.moment_of(&who, first), oldest);
    told(e.getattr(&who, seat), oldest);
    let then = w.read(&who, &format!("/.at/op:{first}/workspace/f"));
    refused(then, Kind::NotFound);
    let then = w.read(&who, &format!("/.at/op:{second}/workspace/f"));
    assert_eq!(then.unwrap(), b"one\ntwo\n");
    let refusal = undone(&w, &[second, last]);
    let message = refusal.as_ref().unwrap_err().message().to_owned();
    assert!(
        message.contains(&format!("the oldest that can be is {oldest}")),
        "{message}"
    );
    told(refusal, oldest);
    let f = path("/workspace/f");
    let all = versions(e, &who, &f).unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|v| (v.number, v.record.op, v.at.op))
        .collect();
    assert_eq!(told, [(1, second, second), (2, last, last)]);
    assert_eq!(beginning(e, &who).unwrap(), Some(Op(oldest)));
    let (of, lines) = blame(e, &who, &f).unwrap();
    let whose: Vec<_> = lines.iter().map(|l| of[&l.version].record.op).collect();
    assert_eq!(whose, [second, second, last]);
    let none = compare(e, &who, &f, (None, "1")).unwrap_err();
    assert!(none.message().contains("is forgotten"), "{none}");
    // What can be undone still is, and the rest is as good as ever.
    undone(&w, &[last]).unwrap().unwrap();
    assert_eq!(w.read(&who, "/workspace/f").unwrap(), b"one\ntwo\n");
    w.assert_sound();
}

#[test]
fn a_version_older_than_the_horizon_that_held_at_it_is_restored() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let first = written(&w, "/workspace/f", b"one");
    let other = written(&w, "/workspace/g", b"other");
    written(&w, "/workspace/f", b"two");
    forget(&w, other, false);
    let f = path("/workspace/f");
    let old = version(e, &who, &f, 1).unwrap();
    assert_eq!((old.record.op, old.at.op), (first, other));
    let what = Restoring {
        path: f.clone(),
        node: old.node.ino,
        at: old.at,
        answer: Answer::Stop,
        dry_run: false,
    };
    restore_content(e, &who, &what, &old.node).unwrap();
    assert_eq!(w.read(&who, "/workspace/f").unwrap(), b"one");
    // What was worked out before more is forgotten is not done after it.
    forget(&w, head(&w), false);
    refused(
        restore_content(e, &who, &what, &old.node).map(drop),
        Kind::NotFound,
    );
    w.assert_sound();
}

#[test]
fn a_snapshot_behind_the_horizon_is_read_and_restored_or_gone() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    mkdir(&w, &who, "/workspace/d");
    written(&w, "/workspace/d/f", b"one");
    let kept = snap(&w, "kept");
    written(&w, "/workspace/d/f", b"two");
    rename(&w, &who, "/workspace/d/f", "/workspace/g").unwrap();
    unlink(&w, &who, "/workspace/g").unwrap();
    written(&w, "/workspace/d/f", b"other");
    let done = forget(&w, head(&w), true);
    assert!(done.snapshots.is_empty(), "{done:?}");
    w.assert_sound();
    assert_eq!(w.read(&who, "/workspace/.at/kept/d/f").unwrap(), b"one");
    refused(e.moment_of(&who, Op(kept.0 + 1)), Kind::NotFound);
    let what = Restoring {
        path: path("/workspace/d"),
        node: ino(&w, "/workspace/d"),
        at: e.moment_of(&who, kept).unwrap(),
        answer: Answer::Stop,
        dry_run: false,
    };
    assert!(restore(e, &who, &what).unwrap().op.is_some());
    assert_eq!(w.read(&who, "/workspace/d/f").unwrap(), b"one");
    w.assert_sound();
    let done = forget(&w, head(&w), false);
    assert_eq!(done.snapshots, ["kept"]);
    refused(w.read(&who, "/workspace/.at/kept/d/f"), Kind::NotFound);
    assert!(e.snapshots(&who).unwrap().is_empty());
    w.assert_sound();
}

/// What was taken from somebody stays taken, though what took it is forgotten.
#[test]
fn what_a_snapshot_holds_of_what_is_gone_is_judged_as_it_was_last() {
    let mut w = world();
    let who = alice();
    let e = w.engine().clone();
    let chmod = |at: &str, mode| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        e.setattr(&who, ino(&w, at), &set, None).unwrap();
    };
    for dir in ["/workspace/a", "/workspace/a/b"] {
        mkdir(&w, &who, dir);
        chmod(dir, 0o755);
    }
    for file in [
        "/workspace/a/shut",
        "/workspace/a/b/moved",
        "/workspace/a/open",
    ] {
        written(&w, file, b"x");
        chmod(file, 0o644);
    }
    snap(&w, "kept");
    chmod("/workspace/a/shut", 0o700);
    unlink(&w, &who, "/workspace/a/shut").unwrap();
    unlink(&w, &who, "/workspace/a/open").unwrap();
    // Into a directory that came later, and was shut when it went.
    mkdir(&w, &who, "/workspace/private");
    chmod("/workspace/private", 0o700);
    rename(&w, &who, "/workspace/a/b/moved", "/workspace/private/moved").unwrap();
    unlink(&w, &who, "/workspace/private/moved").unwrap();
    let workspace = ino(&w, "/workspace");
    e.rmdir(&who, workspace, &crate::fs::tests::name("private"))
        .unwrap();
    drop(e);
    let judged = |w: &World, who: &Caller| {
        ["shut", "b/moved", "open"].map(|at| {
            let at = format!("/workspace/.at/kept/a/{at}");
            let found = w.engine().resolve(who, &path(&at));
            found.is_ok_and(|node| w.engine().access(who, node.ino, &[Right::Read]).is_ok())
        })
    };
    let before = (judged(&w, &bob()), judged(&w, &who));
    assert_eq!(before, ([false, false, true], [true, true, true]));
    forget(&w, head(&w), true);
    w.assert_sound();
    // Nothing is remembered from before.
    w.crash();
    w.engine().set_views(vec![Box::new(At::of(w.engine()))]);
    assert_eq!((judged(&w, &bob()), judged(&w, &who)), before);
}
