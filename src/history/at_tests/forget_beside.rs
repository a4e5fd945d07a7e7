//! Forgetting beside everybody's work: what is open, written, copied or undone meanwhile loses nothing.

use super::{head, world};
use crate::core::{Caller, HandleId, Result};
use crate::fs::tests::principals::boss;
use crate::fs::tests::{World, alice, path, person, writing};
use crate::fs::{Access, Keep, OpenFlags};
use crate::history::{Choice, undo};
use crate::meta::log_query::{Cursor, Query, page};
use std::sync::atomic::{AtomicBool, Ordering};

/// Files of their own on the disk, a few of them alike.
fn bytes(n: usize) -> Vec<u8> {
    let seed = u8::try_from(n % 7).unwrap();
    (0..100_000_u32)
        .map(|i| seed ^ u8::try_from(i % 251).unwrap())
        .collect()
}

/// Forgets everything but the present.
fn forget_all(w: &World) -> u64 {
    let keep = Keep {
        since: w.engine().clock().now(),
        snapshots: false,
    };
    let done = w.engine().forget(&boss(), keep, false).unwrap();
    done.freed.blobs
}

fn open(w: &World, who: &Caller, at: &str) -> Result<HandleId> {
    let node = w.engine().resolve(who, &path(at))?;
    w.engine().open(who, node.ino, OpenFlags::new(Access::Read))
}

/// Reads past the caches.
fn read(w: &World, h: HandleId) -> Vec<u8> {
    w.engine().drop_caches();
    w.engine().read(h, 0, 1 << 20).unwrap().to_vec()
}

/// semantics.md §7: "An unlinked file lives until its last handle is closed."
#[test]
fn what_is_open_outlives_its_forgetting() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    for n in 1..4 {
        w.write(&who, "/workspace/f", &bytes(n)).unwrap();
    }
    w.write(&who, "/workspace/gone", &bytes(4)).unwrap();
    let then = format!("/.at/op:{}/workspace/f", head(&w).0 - 3);
    let past = open(&w, &who, &then).unwrap();
    let gone = open(&w, &who, "/workspace/gone").unwrap();
    crate::fs::tests::permissions::unlink(&w, &who, "/workspace/gone").unwrap();
    assert_eq!(forget_all(&w), 1, "what nobody has open");
    assert!(read(&w, past) == bytes(1) && read(&w, gone) == bytes(4));
    // A copy shares bytes that nothing else refers to any more.
    let (dir, name) = (w.workspace(), crate::fs::tests::name("copy"));
    let (_, copy) = e.create(&who, dir, &name, 0o644, writing()).unwrap();
    let len = e.copy_range(&who, (past, 0), (copy, 0), 1 << 20).unwrap();
    assert_eq!(len, 100_000);
    e.release(&who, past).unwrap();
    assert_eq!(forget_all(&w), 0);
    e.flush(&who, copy).unwrap();
    e.release(&who, copy).unwrap();
    e.release(&who, gone).unwrap();
    assert_eq!(forget_all(&w), 1);
    e.drop_caches();
    assert!(w.read(&who, "/workspace/copy").unwrap() == bytes(1));
    w.assert_sound();
}

/// Does something with files of one's own, and of the past.
fn work(w: &World, who: &Caller, n: usize) -> Result<()> {
    let e = w.engine();
    let own = |n: usize| format!("/workspace/{}-{}", who.user.as_deref().unwrap(), n % 3);
    match n % 5 {
        0 | 1 => w.write(who, &own(n), &bytes(n)).map(drop),
        2 => {
            let source = open(w, who, &format!("/.at/now{}", own(n - 2)))?;
            let at = path(&own(n));
            let (dir, name) = e.resolve_parent(who, &at)?;
            let (_, copy) = e.create(who, dir, name, 0o644, writing())?;
            e.copy_range(who, (source, 0), (copy, 0), 1 << 20)?;
            e.release(who, source)?;
            e.flush(who, copy)?;
            e.release(who, copy)
        }
        3 => crate::fs::tests::permissions::unlink(w, who, &own(n)),
        _ => {
            let query = Query {
                user: who.user.as_deref().map(str::to_owned),
                ..Query::default()
            };
            let mut tx = e.store().read()?;
            let newest = page(&mut *tx, who.tenant.unwrap(), &query, Cursor::NEWEST, 1)?;
            drop(tx);
            let ops = newest.into_iter().map(|(record, _)| record.op).collect();
            let choice = Choice {
                ops,
                ..Choice::default()
            };
            undo(e, who, &choice).map(drop)
        }
    }
}

#[test]
fn writers_copies_and_undos_beside_it_lose_nothing() {
    let w = world();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (w, ended) = (&w, &ended);
        let workers: Vec<_> = ["ann", "bea", "cem"]
            .into_iter()
            .map(|name| {
                scope.spawn(move || {
                    let who = person(name, 1001);
                    let done = (0..150).filter(|n| work(w, &who, *n).is_ok()).count();
                    assert!(done > 75, "{name} could do {done} things");
                })
            })
            .collect();
        scope.spawn(move || {
            while !ended.load(Ordering::Acquire) {
                forget_all(w);
            }
        });
        let done: Vec<_> = workers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        ended.store(true, Ordering::Release);
        assert!(done.iter().all(std::thread::Result::is_ok));
    });
    forget_all(&w);
    w.engine().drop_caches();
    w.assert_sound();
}
