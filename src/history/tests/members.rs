//! Undo of who came into a group and who left one.

use super::world::*;
use crate::core::Caller;
use crate::history::{Choice, OpSet, Undone, undo};
use crate::meta::{OpKind, Subject};

/// A world with a group that carol owns, and bob, who is in nothing; gives carol.
fn world() -> (World, Caller) {
    let w = World::new();
    let e = &w.engine;
    let [carol, _] =
        ["carol", "bob"].map(|name| e.create_user(&root(), name, None, (None, None)).unwrap());
    let carol = Caller {
        user_id: Some(carol.id),
        ..person("carol", carol.uid)
    };
    e.create_group(&root(), "g", None).unwrap();
    let to = crate::fs::To::One("carol".parse().unwrap());
    e.entrust(&root(), "g", &to, None).unwrap();
    (w, carol)
}

fn bob() -> Subject {
    "bob".parse().unwrap()
}

fn add(w: &World, who: &Caller) -> OpSet {
    w.engine.add_member(who, "g", &bob()).unwrap();
    last(w)
}

fn remove(w: &World, who: &Caller) -> OpSet {
    w.engine.remove_member(who, "g", &bob()).unwrap();
    last(w)
}

fn last(w: &World) -> OpSet {
    [w.head()].into_iter().collect()
}

fn is_in(w: &World) -> bool {
    let all = w.engine.memberships(&root()).unwrap();
    all.contains(&("g".to_owned(), bob()))
}

fn did(undone: &Undone) -> (bool, usize, usize) {
    let revision = &undone.plan.revision;
    assert_eq!(undone.conflicts, []);
    let moved = (revision.members_back.len(), revision.members_gone.len());
    (undone.op.is_some(), moved.0, moved.1)
}

/// semantics.md §6: "attributes, grants and memberships come back as they were"
#[test]
fn who_came_leaves_and_who_left_comes_again_and_that_is_undone_as_well() {
    let (w, carol) = world();
    let added = add(&w, &carol);
    let rehearsed = Choice {
        ops: added.clone(),
        dry_run: true,
        ..Choice::default()
    };
    let would = undo(&w.engine, &carol, &rehearsed).unwrap();
    assert_eq!((did(&would), is_in(&w)), ((false, 0, 1), true));
    assert_eq!(did(&w.undo(&carol, added.clone()).unwrap()), (true, 0, 1));
    assert!(!is_in(&w));
    let undone = last(&w);
    // What is so already is nothing to do.
    assert_eq!(did(&w.undo(&carol, added).unwrap()), (false, 0, 0));
    assert_eq!(did(&w.undo(&carol, undone).unwrap()), (true, 1, 0));
    assert!(is_in(&w));
    let removed = remove(&w, &root());
    assert_eq!(did(&w.undo(&carol, removed).unwrap()), (true, 1, 0));
    assert!(is_in(&w));
    w.assert_sound();
}

#[test]
fn only_who_is_in_charge_of_a_group_undoes_who_is_in_it() {
    let (w, carol) = world();
    let added = add(&w, &carol);
    let bob = w.engine.user(TENANT, "bob").unwrap();
    let bob = Caller {
        user_id: Some(bob.id),
        ..person("bob", bob.uid)
    };
    let refused = w.undo(&bob, added.clone()).err().unwrap();
    assert_eq!(refused.kind(), crate::core::Kind::NotPermitted);
    assert!(is_in(&w));
    w.undo(&root(), added).unwrap();
    assert!(!is_in(&w));
}

/// semantics.md §6: "Undoing keeps later work of others"
#[test]
fn what_others_said_last_stays() {
    let (w, carol) = world();
    let added = add(&w, &carol);
    remove(&w, &root());
    assert_eq!(did(&w.undo(&carol, added.clone()).unwrap()), (false, 0, 0));
    let again = add(&w, &root());
    assert_eq!(did(&w.undo(&carol, added.clone()).unwrap()), (false, 0, 0));
    assert!(is_in(&w));
    // Nobody said so any more.
    w.undo(&root(), again).unwrap();
    assert!(!is_in(&w));
    w.assert_sound();
}

#[test]
fn what_was_undone_and_its_undo_are_as_if_neither_had_been() {
    let (w, carol) = world();
    let added = add(&w, &carol);
    let removed = remove(&w, &root());
    w.undo(&root(), removed).unwrap();
    assert!(is_in(&w));
    assert_eq!(did(&w.undo(&carol, added).unwrap()), (true, 0, 1));
    assert!(!is_in(&w));
    w.assert_sound();
}

#[test]
fn nobody_comes_back_who_is_gone_whoever_has_the_name() {
    let (w, carol) = world();
    add(&w, &carol);
    let removed = remove(&w, &carol);
    w.engine.delete_user(&root(), "bob").unwrap();
    w.engine
        .create_user(&root(), "bob", None, (None, None))
        .unwrap();
    let undone = w.undo(&carol, removed.clone()).unwrap();
    assert_eq!((did(&undone), is_in(&w)), ((false, 0, 0), false));
    // It is told as staying.
    let stay: Vec<_> = undone.plan.others.iter().map(|r| (r.op, r.kind)).collect();
    assert_eq!(stay, [(removed.first().unwrap(), OpKind::GroupRemove)]);
    w.assert_sound();
}
