//! Grants and keys that end by themselves, and clocks that do not go as they should.

use super::{closed, give_until, mkdir};
use crate::core::Time;
use crate::fs::tests::principals::{boss, make, subject};
use crate::fs::tests::*;
use std::time::Duration;

const NOON: Time = Time(1_700_000_000_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

/// Opens the store of a world again, at a time.
pub(in crate::fs::tests) fn reopen(w: &mut World, at: Time) {
    w.engine = None;
    let config = Config::new(w.dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    db.migrate().unwrap();
    w.engine = Some(Arc::new(
        Engine::new(config, db, Clock::manual(at)).unwrap(),
    ));
}

pub(crate) fn world_at(at: Time) -> World {
    let mut w = World {
        dir: tempfile::tempdir().unwrap(),
        engine: None,
    };
    reopen(&mut w, at);
    w
}

fn after(hours: i64) -> Time {
    Time(NOON.0 + hours * 3_600_000_000_000)
}

#[test]
fn a_grant_ends_at_its_instant_and_so_do_the_ways_to_it() {
    let w = world_at(NOON);
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    mkdir(&w, &alice, "/workspace/a");
    mkdir(&w, &alice, "/workspace/a/b");
    w.write(&alice, "/workspace/a/b/f", b"x").unwrap();
    give_until(
        &w,
        &alice,
        "/workspace/a/b",
        ("can_read", "bob"),
        Some(after(1)),
    )
    .unwrap();
    let clock = w.engine().clock();
    clock.set(Time(after(1).0 - 1));
    assert!(w.read(&bob, "/workspace/a/b/f").is_ok());
    clock.advance(Duration::from_nanos(1));
    closed(w.read(&bob, "/workspace/a/b/f"));
    let ended = give_until(
        &w,
        &alice,
        "/workspace/a/b",
        ("can_read", "bob"),
        Some(after(1)),
    );
    refused(ended, Kind::Invalid);
}

/// permissions.md §4: "a clock stepped back revives nothing"
#[test]
fn a_clock_that_is_set_back_revives_neither_grants_nor_keys() {
    let mut w = world_at(NOON);
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    mkdir(&w, &alice, "/workspace/a");
    w.write(&alice, "/workspace/a/f", b"x").unwrap();
    give_until(
        &w,
        &alice,
        "/workspace/a",
        ("can_read", "bob"),
        Some(after(1)),
    )
    .unwrap();
    let key = w
        .engine()
        .create_key(&boss(), &subject("bob"), None, Some(after(1)));
    let (_, text) = key.unwrap();
    assert!(w.read(&bob, "/workspace/a/f").is_ok() && w.engine().holder(&text).is_ok());
    w.engine().clock().advance(2 * HOUR);
    closed(w.read(&bob, "/workspace/a/f"));
    w.engine().clock().set(NOON);
    closed(w.read(&bob, "/workspace/a/f"));
    refused(w.engine().holder(&text), Kind::Denied);
    // What was done later than that says how late it is, when everything else is forgotten.
    w.engine().clock().set(after(2));
    mkdir(&w, &alice, "/workspace/late");
    w.engine().clock().set(NOON);
    mkdir(&w, &alice, "/workspace/early");
    for _ in 0..2 {
        reopen(&mut w, NOON);
        closed(w.read(&bob, "/workspace/a/f"));
        refused(w.engine().holder(&text), Kind::Denied);
    }
}

#[test]
fn a_grant_said_again_has_the_end_that_was_said_last() {
    let w = world_at(NOON);
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    w.write(&alice, "/workspace/f", b"x").unwrap();
    for end in [Some(after(1)), Some(after(3)), None, Some(after(2))] {
        give_until(&w, &alice, "/workspace/f", ("can_read", "bob"), end).unwrap();
    }
    assert_eq!(w.engine().grants(&boss(), |_| true).unwrap().len(), 1);
    w.engine().clock().advance(HOUR);
    assert!(w.read(&bob, "/workspace/f").is_ok());
    w.engine().clock().advance(HOUR);
    closed(w.read(&bob, "/workspace/f"));
}
