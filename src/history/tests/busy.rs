//! Undo while others go on.

use super::reverse::project;
use super::world::*;
use crate::db::sqlite::READERS_MAX;
use crate::fs::Title;
use crate::history::pairs::Pairs;
use crate::history::plan::{Given, Plan};
use crate::history::undo::applied;
use crate::history::{Answer, Choice, Undone, record, undo};
use crate::meta::OpKind;
use serde_json::json;
use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long somebody may take to make a directory before he counts as one who waits.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn an_undo_comes_to_an_end_though_others_are_always_faster() {
    let w = project();
    let at = "/workspace/p/src/b";
    let head = w.head();
    w.write(&bob(), at, b"bob's");
    let ops = w.by(&bob(), head);
    let (next, asked) = channel();
    let (tell, done) = channel();
    thread::scope(|s| {
        s.spawn(|| {
            let (w, tell) = (&w, tell);
            for n in asked {
                w.mkdir(&alice(), &format!("/workspace/p/docs/{n}"));
                // Nobody waits for the last one.
                tell.send(n).ok();
            }
        });
        let tries = std::cell::Cell::new(0);
        let undone = applied(&w.engine, &alice(), Answer::Stop, false, || {
            let given = Given {
                pairs: &Pairs::default(),
                homes: &[],
                beside: &HashMap::new(),
            };
            let of = (w.engine.blobs(), TENANT);
            let plan = Plan::of(w.engine.store(), of, &ops, &given)?;
            next.send(tries.replace(tries.get() + 1)).unwrap();
            let changed = done.recv_timeout(PATIENCE);
            assert_ne!(changed, Err(RecvTimeoutError::Disconnected));
            let title = Title {
                kind: OpKind::Undo,
                path: path("/workspace"),
                undo: record::of(&plan.revision, json!({ "ops": ops.to_string() })),
            };
            let undone = Undone {
                plan,
                ..Undone::default()
            };
            Ok((undone, title))
        });
        drop(next);
        assert!(undone.unwrap().op.is_some());
    });
    assert_eq!(w.read(at), b"p/src/b");
    assert!(w.tree().contains_key("/workspace/p/docs/0"));
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
