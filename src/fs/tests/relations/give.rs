//! Tuples on objects of own types: who may write them, what ends them.

use super::super::permissions::time::{reopen, world_at};
use super::*;
use std::time::Duration;

#[test]
fn owners_of_an_object_give_and_take_and_nobody_else_does() {
    let (w, alice, bob) = docs();
    let mine = give(&w, "user:alice owner doc:1");
    refused(
        relate(&w, &bob, "user:bob reader doc:1"),
        Kind::NotPermitted,
    );
    let given = relate(&w, &alice, "user:bob reader doc:1").unwrap().id;
    refused(relate(&w, &bob, "user:bob owner doc:1"), Kind::NotPermitted);
    refused(
        relate(&w, &alice, "user:bob reader doc:2"),
        Kind::NotPermitted,
    );
    // Folders inherit ownership down, and it ends where it does not reach.
    refused(
        relate(&w, &alice, "user:alice owner folder:f"),
        Kind::NotPermitted,
    );
    give(&w, "user:bob owner folder:f");
    give(&w, "folder:f parent doc:3");
    relate(&w, &bob, "user:alice reader doc:3").unwrap();
    // What one may not know of is not there; what names one is one's own to give up.
    refused(w.engine().revoke(&bob, mine), Kind::NotFound);
    w.engine().revoke(&bob, given).unwrap();
    assert_eq!(asks(&w, "user:bob reader doc:1"), Verdict::No);
    w.engine().revoke(&alice, mine).unwrap();
    refused(
        relate(&w, &alice, "user:bob reader doc:1"),
        Kind::NotPermitted,
    );
    w.assert_sound();
}

#[test]
fn a_type_without_owners_is_its_administrators() {
    let (w, alice, _) = docs();
    define(
        &w,
        &boss(),
        "note: {relations: {viewer: {rewrite: {this: true}, types: [{type: user}]}}}",
    );
    give(&w, "user:alice viewer note:1");
    refused(
        relate(&w, &alice, "user:bob viewer note:1"),
        Kind::NotPermitted,
    );
}

#[test]
fn an_agent_acts_with_its_owners_ownership_unless_it_is_isolated() {
    let (w, alice, _) = docs();
    give(&w, "user:alice owner doc:1");
    for (name, isolated) in [("helper", false), ("robot", true)] {
        w.engine()
            .create_agent(&alice, name, None, isolated)
            .unwrap();
        let agent = w.engine().confirm(&Caller {
            agent: Some(name.into()),
            ..alice.clone()
        });
        let may = relate(&w, &agent, "user:bob reader doc:1").is_ok();
        assert_eq!(may, !isolated);
        give(&w, &format!("agent:{name} owner doc:2"));
        relate(&w, &agent, "user:bob reader doc:2").unwrap();
    }
}

#[test]
fn what_cannot_be_said_is_refused() {
    let (w, _, _) = docs();
    for (text, kind) in [
        ("user:none reader doc:1", Kind::NotFound),
        ("group:none#member reader doc:1", Kind::NotFound),
        ("user:bob viewer doc:1", Kind::Invalid),
        ("user:bob parent doc:1", Kind::Invalid),
        ("user:bob flies doc:1", Kind::Invalid),
        ("file:1 reader doc:1", Kind::Invalid),
        ("file:* reader doc:1", Kind::Invalid),
        ("doc:1 reader doc:1", Kind::Invalid),
        ("group:* reader doc:1", Kind::Invalid),
        ("user:bob reader memory:1", Kind::Invalid),
        ("user:bob owner file:1", Kind::Invalid),
        ("user:bob member group:g", Kind::Invalid),
    ] {
        let refused = relate(&w, &boss(), text).unwrap_err();
        assert_eq!(refused.kind(), kind, "{text}: {refused}");
    }
    let ended = rebac::Tuple {
        expires: Some(Time(1)),
        ..said("user:bob reader doc:1")
    };
    refused(w.engine().relate(&boss(), &ended), Kind::Invalid);
    assert_eq!(all(&w), []);
    for id in ["", "default", "*", "a:b", "a#member"] {
        assert!(rebac::ObjectRef::new("doc", id).is_err());
    }
}

#[test]
fn said_again_a_tuple_has_another_end_and_is_still_one() {
    let (w, _, _) = docs();
    let first = give(&w, "user:bob viewer-of folder:f");
    assert_eq!(give(&w, "user:bob viewer folder:f"), first);
    let far = Time(i64::MAX);
    let until = said("user:bob viewer folder:f").until(far);
    let second = w.engine().relate(&boss(), &until).unwrap();
    assert_ne!(second.id, first);
    assert_eq!(all(&w), [second]);
    w.assert_sound();
}

#[test]
fn a_tuple_ends_at_its_instant_and_a_clock_set_back_revives_nothing() {
    let noon = Time(1_700_000_000_000_000_000);
    let mut w = world_at(noon);
    make(&w, "bob");
    define(&w, &boss(), DOCS);
    let end = Time(noon.0 + 1_000_000_000);
    w.engine()
        .relate(&boss(), &said("user:bob reader doc:1").until(end))
        .unwrap();
    w.engine().clock().set(Time(end.0 - 1));
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
    w.engine().clock().advance(Duration::from_nanos(1));
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    // Something is done after the end, so the log knows how late it was.
    give(&w, "user:bob reader doc:2");
    w.engine().clock().set(noon);
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    reopen(&mut w, noon);
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    assert_eq!(asks(&w, "user:bob viewer doc:2"), Verdict::Yes);
}

#[test]
fn who_has_the_name_of_one_who_went_starts_with_nothing() {
    let (mut w, alice, _) = docs();
    let e = w.engine();
    e.create_group(&boss(), "g", None).unwrap();
    e.create_agent(&alice, "coder", None, true).unwrap();
    e.add_member(&boss(), "g", &subject("bob")).unwrap();
    for text in [
        "user:bob owner doc:1",
        "group:g reader doc:2",
        "agent:coder reader doc:3",
        "user:bob banned doc:4",
        "folder:f parent doc:1",
    ] {
        give(&w, text);
    }
    let before = w.engine().head(TENANT).unwrap();
    w.engine().delete_user(&boss(), "bob").unwrap();
    assert_eq!(w.engine().head(TENANT).unwrap().0, before.0 + 1);
    w.engine().delete_group(&boss(), "g").unwrap();
    w.engine().delete_user(&boss(), "alice").unwrap();
    assert_eq!(all(&w).len(), 1);
    make(&w, "bob");
    let alice = make(&w, "alice");
    w.engine().create_group(&boss(), "g", None).unwrap();
    w.engine()
        .create_agent(&alice, "coder", None, true)
        .unwrap();
    w.engine()
        .add_member(&boss(), "g", &subject("bob"))
        .unwrap();
    for _ in 0..2 {
        for text in [
            "user:bob owner doc:1",
            "user:bob viewer doc:2",
            "group:g#member viewer doc:2",
            "agent:coder viewer doc:3",
            "user:bob banned doc:4",
        ] {
            assert_eq!(asks(&w, text), Verdict::No, "{text}");
        }
        w.crash();
    }
    w.assert_sound();
}
