//! Undo of grants, on files and on objects of a tenant's own types.

use super::world::*;
use crate::access::rebac::{self, Format};
use crate::core::Time;
use crate::core::{Caller, Op};
use crate::fs::{SetAttr, SetMode, To};
use crate::history::OpSet;

const DOCS: &str =
    "types: {doc: {relations: {owner: {rewrite: {this: true}, types: [{type: user}]}}}}";

/// A world in which alice owns a directory and an object; gives her, and bob's name.
fn world() -> (World, Caller, To) {
    peopled(World::new())
}

fn peopled(w: World) -> (World, Caller, To) {
    let e = &w.engine;
    let made =
        ["alice", "bob"].map(|name| e.create_user(&root(), name, None, (None, None)).unwrap());
    let alice = Caller {
        user_id: Some(made[0].id),
        ..person("alice", made[0].uid)
    };
    e.set_types(&root(), Format::Yaml.read(DOCS).unwrap())
        .unwrap();
    w.mkdir(&alice, "/workspace/a");
    (w, alice, To::One("bob".parse().unwrap()))
}

fn on_doc(subject: &str) -> rebac::Tuple {
    rebac::Tuple::new(
        "doc:1".parse().unwrap(),
        "owner".parse().unwrap(),
        subject.parse().unwrap(),
    )
}

/// The numbers of all tuples there are.
fn numbers(w: &World) -> Vec<u64> {
    let all = w.engine.grants(&root(), |_| true).unwrap();
    all.iter().map(|t| t.id).collect()
}

fn last(w: &World) -> OpSet {
    [w.head()].into_iter().collect()
}

#[test]
fn a_grant_on_an_object_is_undone_and_comes_back_when_that_is_undone() {
    let (w, alice, _) = world();
    w.engine.relate(&root(), &on_doc("user:alice")).unwrap();
    let before = numbers(&w);
    w.engine.relate(&alice, &on_doc("user:bob")).unwrap();
    let (granted, both) = (last(&w), numbers(&w));
    w.undo(&alice, granted).unwrap();
    assert_eq!(numbers(&w), before);
    w.undo(&alice, last(&w)).unwrap();
    assert_eq!(numbers(&w), both);
    // Who owns it no more has no grants on it to bring back.
    w.engine.revoke(&root(), before[0]).unwrap();
    w.engine.revoke(&root(), both[1]).unwrap();
    assert!(w.undo(&alice, last(&w)).is_err());
    // With its type an object went for good.
    w.engine
        .delete_type(&root(), &"doc".parse().unwrap())
        .unwrap();
    let revoked = Op(w.head().0 - 1);
    w.undo(&root(), [revoked].into_iter().collect()).unwrap();
    assert_eq!(numbers(&w), [] as [u64; 0]);
    w.assert_sound();
}

#[test]
fn what_somebody_took_back_since_does_not_come_back_by_an_undo_of_an_undo() {
    let (w, alice, bob) = world();
    let dir = w.ino("/workspace/a");
    let (mut granted, mut ids) = (OpSet::default(), Vec::new());
    for role in ["can_read", "can_write"] {
        let made = w.engine.grant(&alice, dir, role, &bob, None).unwrap();
        ids.push(made.id);
        granted.join(&last(&w));
    }
    w.engine.revoke(&root(), ids[0]).unwrap();
    w.undo(&alice, granted).unwrap();
    assert_eq!(numbers(&w), [] as [u64; 0]);
    w.undo(&alice, last(&w)).unwrap();
    assert_eq!(numbers(&w), ids[1..]);
    w.assert_sound();
}

#[test]
fn a_grant_with_another_end_is_again_what_it_was() {
    let (w, alice, bob) = world();
    let dir = w.ino("/workspace/a");
    let end = Some(Time(i64::MAX));
    let first = w
        .engine
        .grant(&alice, dir, "can_read", &bob, end)
        .unwrap()
        .id;
    w.engine.grant(&alice, dir, "can_read", &bob, None).unwrap();
    w.undo(&alice, last(&w)).unwrap();
    assert_eq!(numbers(&w), [first]);
    w.assert_sound();
}

/// semantics.md §6: "Undoing keeps later work of others"
#[test]
fn what_somebody_granted_on_it_since_keeps_a_directory() {
    let (w, alice, bob) = world();
    let made = last(&w);
    let dir = w.ino("/workspace/a");
    w.engine
        .grant(&root(), dir, "can_read", &bob, None)
        .unwrap();
    let granted = last(&w);
    let stopped = w.undo(&alice, made.clone()).unwrap();
    assert_eq!(stopped.op, None);
    let [conflict] = &stopped.conflicts[..] else {
        panic!("{:?}", stopped.conflicts);
    };
    assert_eq!((conflict.node, conflict.by), (Some(dir), granted.first()));
    // Both together go.
    let both = made.iter().chain(granted.iter()).collect();
    assert_eq!(w.undo(&root(), both).unwrap().conflicts, []);
    assert!(numbers(&w).is_empty() && !w.tree().contains_key("/workspace/a"));
    w.assert_sound();
}

#[test]
fn what_was_granted_since_is_found_though_the_clock_was_set_back() {
    let start = 4_000_000_000_000_000_000;
    let (w, alice, bob) = peopled(World::at(Time(start)));
    for n in 0..64_u8 {
        w.engine.clock().set(Time(start + 1_000_000 + i64::from(n)));
        w.write(&alice, "/workspace/a/f", &[n]);
    }
    let made = w.by(&alice, Op(0));
    w.engine.clock().set(Time(start + 1));
    let dir = w.ino("/workspace/a");
    w.engine
        .grant(&root(), dir, "can_read", &bob, None)
        .unwrap();
    let granted = last(&w);
    let stopped = w.undo(&alice, made).unwrap();
    let found: Vec<_> = stopped.conflicts.iter().map(|c| (c.node, c.by)).collect();
    assert!(found.contains(&(Some(dir), granted.first())), "{found:?}");
    w.assert_sound();
}

#[test]
fn an_owner_of_a_group_is_undone_by_who_is_in_charge() {
    let (w, alice, bob) = world();
    w.engine.create_group(&root(), "g", None).unwrap();
    let to = To::One("alice".parse().unwrap());
    w.engine.entrust(&root(), "g", &to, None).unwrap();
    let before = numbers(&w);
    w.engine.entrust(&alice, "g", &bob, None).unwrap();
    let (given, both) = (last(&w), numbers(&w));
    w.undo(&alice, given).unwrap();
    assert_eq!(numbers(&w), before);
    w.undo(&alice, last(&w)).unwrap();
    assert_eq!(numbers(&w), both);
    let again = last(&w);
    w.engine.revoke(&root(), before[0]).unwrap();
    assert!(w.undo(&alice, again.clone()).is_err());
    assert_eq!(numbers(&w), both[1..]);
    w.undo(&root(), again).unwrap();
    w.engine.delete_group(&root(), "g").unwrap();
    assert_eq!(numbers(&w), [0_u64; 0]);
    w.assert_sound();
}

#[test]
fn what_was_granted_and_taken_back_twice_comes_back_once() {
    let (w, alice, bob) = world();
    let dir = w.ino("/workspace/a");
    let (mut revoked, mut last_of) = (OpSet::default(), [0; 2]);
    for _ in 0..2 {
        let on_dir = w.engine.grant(&alice, dir, "can_read", &bob, None);
        let on_doc = w.engine.relate(&root(), &on_doc("user:bob"));
        last_of = [on_dir.unwrap().id, on_doc.unwrap().id];
        for id in last_of {
            w.engine.revoke(&root(), id).unwrap();
            revoked.join(&last(&w));
        }
    }
    let undone = w.undo(&root(), revoked.clone()).unwrap();
    assert_eq!(undone.plan.revision.grants_back.len(), 2);
    assert_eq!(numbers(&w), last_of);
    // Fails where the database cannot take over what was promised.
    w.engine.store().settle().unwrap();
    // What is so already is nothing to do.
    let again = w.undo(&root(), revoked).unwrap();
    assert!(again.op.is_none() && again.plan.revision.is_empty());
    w.assert_sound();
}

#[test]
fn a_grant_that_cannot_come_back_makes_no_operation() {
    let (w, alice, bob) = world();
    let dir = w.ino("/workspace/a");
    let made = w.engine.grant(&alice, dir, "can_read", &bob, None);
    w.engine.revoke(&alice, made.unwrap().id).unwrap();
    let revoked = last(&w);
    w.remove_all(&alice, "/workspace/a");
    let head = w.head();
    let undone = w.undo(&root(), revoked).unwrap();
    assert!(undone.op.is_none() && undone.plan.revision.is_empty());
    assert_eq!(w.head(), head);
}

#[test]
fn what_returns_into_a_directory_that_returns_is_judged_where_it_is_now() {
    let (w, alice, bob) = world();
    let e = &w.engine;
    // Where nothing was said, nobody asks what lies above.
    e.grant(&alice, w.ino("/workspace/a"), "can_read", &bob, None)
        .unwrap();
    w.mkdir(&alice, "/workspace/d");
    w.write(&alice, "/workspace/d/f", b"f");
    let f = w.ino("/workspace/d/f");
    let set = |value: &[u8]| {
        e.setxattr(&alice, f, b"user.note", value, SetMode::Any)
            .unwrap();
    };
    set(b"then");
    let given = e.grant(&alice, f, "can_read", &bob, None).unwrap().id;
    let (then, op) = (numbers(&w), w.head());
    set(b"now");
    e.revoke(&alice, given).unwrap();
    w.rename(&alice, "/workspace/d/f", "/workspace/f");
    w.remove_all(&alice, "/workspace/d");
    // Nor is it known from before.
    let a = w.ino("/workspace/a");
    let other = e.grant(&root(), a, "can_write", &bob, None).unwrap().id;
    e.revoke(&root(), other).unwrap();
    let undone = w.undo(&alice, w.by(&alice, op)).unwrap();
    assert_eq!(undone.conflicts, []);
    assert_eq!(w.ino("/workspace/d/f"), f);
    assert_eq!(e.getxattr(&alice, f, b"user.note").unwrap(), b"then");
    assert_eq!(numbers(&w), then);
    w.assert_sound();
}

/// Something that is done to a directory after it was moved out of the one that it was in.
type Work = fn(&World, &Caller);

/// semantics.md §6: "Undoing is one operation, takes the permissions that its changes take, and can be undone."
#[test]
fn what_was_moved_out_of_a_directory_that_comes_back_is_judged_though_something_was_granted() {
    let all: [(&str, Work); 5] = [
        ("remove", |w, me| w.unlink(me, "/workspace/b/x")),
        ("make", |w, me| w.write(me, "/workspace/b/new", b"new")),
        ("rename", |w, me| {
            w.rename(me, "/workspace/b/x", "/workspace/b/y");
        }),
        ("attribute", |w, me| {
            let (e, b) = (&w.engine, w.ino("/workspace/b"));
            e.setxattr(me, b, b"user.q", b"1", SetMode::Any).unwrap();
        }),
        ("grant", |w, me| {
            let (e, b) = (&w.engine, w.ino("/workspace/b"));
            let carol = To::One("user:carol".parse().unwrap());
            e.grant(me, b, "can_read", &carol, None).unwrap();
        }),
    ];
    for (what, work) in all {
        let (w, me) = (World::new(), alice());
        w.unrelated_grant();
        w.mkdir(&me, "/workspace/a");
        w.mkdir(&me, "/workspace/a/b");
        w.write(&me, "/workspace/a/b/x", b"x");
        let (before, head) = (w.tree(), w.head());
        w.rename(&me, "/workspace/a/b", "/workspace/b");
        work(&w, &me);
        w.remove_all(&me, "/workspace/a");
        let after = w.tree();
        let undone = w.undo(&me, w.by(&me, head));
        let undone = undone.unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert_eq!(undone.conflicts, [], "{what}");
        assert_eq!(w.tree(), before, "{what}");
        w.assert_sound();
        w.undo(&me, last(&w)).unwrap();
        assert_eq!(w.tree(), after, "{what}");
        w.assert_sound();
        // Who may not is refused.
        let stranger = person("dave", 1009);
        assert!(w.undo(&stranger, last(&w)).is_err(), "{what}");
    }
}

#[test]
fn what_was_revoked_undone_and_revoked_again_comes_back() {
    let (w, alice, bob) = world();
    let dir = w.ino("/workspace/a");
    let id = w
        .engine
        .grant(&root(), dir, "can_read", &bob, None)
        .unwrap()
        .id;
    let head = w.head();
    w.engine.revoke(&alice, id).unwrap();
    w.undo(&alice, last(&w)).unwrap();
    w.undo(&alice, last(&w)).unwrap();
    assert_eq!(numbers(&w), [0_u64; 0]);
    let all = w.by(&alice, head);
    assert_eq!(all.iter().count(), 3);
    w.undo(&alice, all).unwrap();
    assert_eq!(numbers(&w), [id]);
    w.assert_sound();
}

/// semantics.md §6: "Undoing keeps later work of others"
#[test]
fn what_somebody_granted_and_got_back_by_an_undo_keeps_a_directory_as_well() {
    for undone_twice in [false, true] {
        let (w, alice, bob) = world();
        let (made, dir) = (last(&w), w.ino("/workspace/a"));
        let given = w.engine.grant(&root(), dir, "can_read", &bob, None);
        let granted = last(&w);
        let set = SetAttr {
            mode: Some(0o711),
            ..SetAttr::default()
        };
        w.engine.setattr(&root(), dir, &set, None).unwrap();
        let mut others = last(&w);
        w.engine.revoke(&root(), given.unwrap().id).unwrap();
        others.join(&last(&w));
        // With what it undid it is as if it had not been, and what was granted before that stands.
        w.undo(&root(), others).unwrap();
        for _ in 0..2 * u8::from(undone_twice) {
            w.undo(&root(), last(&w)).unwrap();
        }
        let stopped = w.undo(&alice, made).unwrap();
        let found: Vec<_> = stopped.conflicts.iter().map(|c| (c.node, c.by)).collect();
        assert_eq!(
            (stopped.op, found),
            (None, vec![(Some(dir), granted.first())])
        );
        w.assert_sound();
    }
}

#[test]
fn what_somebody_granted_anew_behind_an_undo_keeps_a_directory() {
    let (w, alice, bob) = world();
    let (made, dir) = (last(&w), w.ino("/workspace/a"));
    let grant = || {
        w.engine
            .grant(&root(), dir, "can_read", &bob, None)
            .unwrap()
    };
    grant();
    w.undo(&root(), last(&w)).unwrap();
    grant();
    let again = last(&w);
    let stopped = w.undo(&alice, made.clone()).unwrap();
    let found: Vec<_> = stopped.conflicts.iter().map(|c| c.by).collect();
    assert_eq!((stopped.op, found), (None, vec![again.first()]));
    // With that undone nothing of others is left on it.
    w.undo(&root(), again).unwrap();
    assert!(w.undo(&alice, made).unwrap().op.is_some());
    w.assert_sound();
}
