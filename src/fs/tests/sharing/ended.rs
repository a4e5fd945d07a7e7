//! Grants that have ended by the clock: they count for nothing, and are there.

use super::*;

#[test]
fn a_grant_that_has_ended_is_named_also_when_decisions_do_not_look_at_it_and_it_was_the_only_way() {
    let (w, alice, _) = village();
    let (e, [top, sub, f]) = (w.engine(), DIRS);
    let end = Time(e.clock().now().0 + 1_000_000_000);
    let given = e
        .grant(&alice, at(&w, f), "can_read", &to("bob"), Some(end))
        .unwrap();
    e.clock().advance(Duration::from_secs(1));
    let ended = Some(Obstacle::Ended(given));
    let himself = vec!["user:bob".to_owned()];
    for _ in 0..2 {
        assert_eq!(in_bobs_way(&w, &alice, f), (ended.clone(), himself.clone()));
        // Nothing else is explained by that.
        let why = e.explain(&alice, &subject("bob"), at(&w, f), Right::Write);
        assert_eq!(why.unwrap().obstacle, Some(Obstacle::Way(at(&w, top))));
        let above = Some(Obstacle::Way(at(&w, top)));
        assert_eq!(in_bobs_way(&w, &alice, sub), (above, vec![]));
        e.housekeep().unwrap();
        assert!(!e.policy.any_ends());
    }
}

/// semantics.md §4: "An expired grant is no grant."
#[test]
fn what_has_ended_is_not_looked_at_and_can_still_be_taken_away() {
    let (mut w, alice, bob) = village();
    let dir = at(&w, DIRS[0]);
    let until = |secs: i64| Some(Time(w.engine().latest().0 + secs * 1_000_000_000));
    let give = |role, end| {
        let given = w.engine().grant(&alice, dir, role, &to("user:bob"), end);
        given.unwrap().id
    };
    let (short, long) = (give("can_write", until(10)), give("can_read", until(20)));
    let counts = |w: &World| {
        let domain = w.engine().policy.domain(dir).unwrap();
        domain.grants.iter().map(|g| g.id).collect::<Vec<_>>()
    };
    let may = |w: &World, right| w.engine().access(&bob, dir, &[right]);
    may(&w, Right::Write).unwrap();
    w.engine().housekeep().unwrap();
    assert_eq!(counts(&w), [short, long]);
    w.engine().clock().advance(Duration::from_secs(10));
    w.engine().housekeep().unwrap();
    assert_eq!(counts(&w), [long]);
    refused(may(&w, Right::Write), Kind::Denied);
    may(&w, Right::Read).unwrap();
    w.engine().clock().advance(Duration::from_secs(10));
    w.engine().housekeep().unwrap();
    assert!(counts(&w).is_empty());
    assert!(!w.engine().policy.any_ends());
    refused(may(&w, Right::Read), Kind::Denied);
    w.engine().revoke(&alice, short).unwrap();
    let held = w.engine().grants(&boss(), |_| true).unwrap();
    assert_eq!(held.iter().map(|t| t.id).collect::<Vec<_>>(), [long]);
    w.assert_sound();
    // It goes with its node, too.
    for p in [DIRS[2], DIRS[1], DIRS[0]] {
        let p = path(p);
        let e = w.engine();
        let (dir, name) = e.resolve_parent(&alice, &p).unwrap();
        e.unlink(&alice, dir, name)
            .or_else(|_| e.rmdir(&alice, dir, name))
            .unwrap();
    }
    assert_eq!(w.engine().grants(&boss(), |_| true).unwrap(), []);
    w.crash();
    assert!(w.engine().policy.is_empty());
    w.assert_sound();
}
