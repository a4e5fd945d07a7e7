//! Grants and those they are for: groups, agents, administrators, and who comes after somebody of the same name.

use super::{closed, give, give_until, ino, list, mkdir, rights, with};
use crate::access::{Right, Rights};
use crate::fs::SetAttr;
use crate::fs::grant::To;
use crate::fs::tests::principals::{TENANT, boss, make, subject};
use crate::fs::tests::*;
use crate::meta::FileKind;

#[test]
fn nobody_gives_what_is_not_his_to_give() {
    let (w, alice, bob) = with(&["a"]);
    w.engine().create_group(&boss(), "g", None).unwrap();
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    let file = ino(&w, "/workspace/a");
    for (role, to) in [("owner", "bob"), ("can_read", "group:g")] {
        let to = To::One(subject(to));
        refused(
            w.engine().grant(&bob, file, role, &to, None),
            Kind::NotPermitted,
        );
    }
    refused(w.engine().restrict(&bob, file, true), Kind::NotPermitted);
    refused(
        w.engine().add_member(&bob, "g", &subject("bob")),
        Kind::NotPermitted,
    );
    // What he may not know of is not there; what names a group of his is, and not his to take.
    let of_alice = give(&w, &alice, "/workspace/a", "owner", "alice");
    refused(w.engine().revoke(&bob, of_alice), Kind::NotFound);
    w.engine()
        .add_member(&boss(), "g", &subject("bob"))
        .unwrap();
    let of_group = give(&w, &alice, "/workspace/a", "can_read", "group:g");
    refused(w.engine().revoke(&bob, of_group), Kind::NotPermitted);
    // An owner by a grant gives on, below as well.
    give(&w, &alice, "/workspace/a", "owner", "bob");
    give(&w, &bob, "/workspace/a/f", "can_read", "group:g");
}

#[test]
fn a_writer_reads_and_lists_what_he_has_just_made() {
    let (w, alice, bob) = with(&["a"]);
    w.engine().create_agent(&bob, "robot", None, true).unwrap();
    let robot = w.engine().confirm(&Caller {
        agent: Some("robot".into()),
        ..bob.clone()
    });
    assert!(robot.isolated);
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    give(&w, &alice, "/workspace/a", "can_write", "agent:robot");
    for (who, name) in [(&bob, "b"), (&robot, "r")] {
        let at = format!("/workspace/a/{name}");
        w.write(who, &at, b"own").unwrap();
        assert_eq!(w.read(who, &at).unwrap(), b"own");
        assert!(
            list(&w, who, "/workspace/a")
                .unwrap()
                .contains(&name.to_owned())
        );
    }
}

#[test]
fn a_ring_of_groups_ends_and_who_leaves_at_any_level_loses() {
    let (w, alice, bob) = with(&["a"]);
    let e = w.engine();
    for n in 0..12 {
        e.create_group(&boss(), &format!("g{n}"), None).unwrap();
    }
    for n in 0..12 {
        let inner = subject(&format!("group:g{n}"));
        e.add_member(&boss(), &format!("g{}", (n + 1) % 12), &inner)
            .unwrap();
    }
    e.add_member(&boss(), "g0", &subject("bob")).unwrap();
    give(&w, &alice, "/workspace/a", "can_read", "group:g5");
    assert!(w.read(&bob, "/workspace/a/f").is_ok());
    e.remove_member(&boss(), "g3", &subject("group:g2"))
        .unwrap();
    closed(w.read(&bob, "/workspace/a/f"));
    e.add_member(&boss(), "g3", &subject("group:g2")).unwrap();
    assert!(w.read(&bob, "/workspace/a/f").is_ok());
    e.delete_group(&boss(), "g4").unwrap();
    closed(w.read(&bob, "/workspace/a/f"));
}

#[test]
fn who_has_the_name_of_one_who_went_has_none_of_his_grants() {
    let (mut w, alice, bob) = with(&["a"]);
    w.engine().create_group(&boss(), "g", None).unwrap();
    give(&w, &alice, "/workspace/a", "owner", "bob");
    give(&w, &alice, "/workspace/a", "can_read", "group:g");
    w.engine().delete_user(&boss(), "bob").unwrap();
    w.engine().delete_group(&boss(), "g").unwrap();
    assert_eq!(w.engine().grants(&boss(), |_| true).unwrap(), []);
    let new = make(&w, "bob");
    w.engine().create_group(&boss(), "g", None).unwrap();
    w.engine()
        .add_member(&boss(), "g", &subject("bob"))
        .unwrap();
    for _ in 0..2 {
        assert_ne!(new.user_id, bob.user_id);
        closed(w.read(&new, "/workspace/a/f"));
        w.crash();
    }
}

#[test]
fn an_isolated_agent_has_no_hand_in_its_owners_grants() {
    let (w, alice, bob) = with(&["a"]);
    w.engine().create_agent(&bob, "robot", None, true).unwrap();
    let robot = w.engine().confirm(&Caller {
        agent: Some("robot".into()),
        ..bob.clone()
    });
    let his = give(&w, &alice, "/workspace/a", "can_read", "bob");
    assert!(w.read(&bob, "/workspace/a/f").is_ok());
    closed(w.read(&robot, "/workspace/a/f"));
    refused(w.engine().revoke(&robot, his), Kind::NotFound);
    let own = give(&w, &alice, "/workspace/a", "can_read", "agent:robot");
    assert!(w.read(&robot, "/workspace/a/f").is_ok());
    w.engine().revoke(&robot, own).unwrap();
    closed(w.read(&robot, "/workspace/a/f"));
    w.engine().revoke(&bob, his).unwrap();
}

fn agent(w: &World, of: &Caller, name: &str, isolated: bool) -> Caller {
    w.engine().create_agent(of, name, None, isolated).unwrap();
    w.engine().confirm(&Caller {
        agent: Some(name.into()),
        ..of.clone()
    })
}

#[test]
fn an_agent_holds_what_its_owner_does_unless_it_is_isolated() {
    let (w, alice, bob) = with(&["a"]);
    let (helper, robot) = (
        agent(&w, &bob, "helper", false),
        agent(&w, &bob, "robot", true),
    );
    w.engine().create_group(&boss(), "g", None).unwrap();
    w.engine()
        .add_member(&boss(), "g", &subject("bob"))
        .unwrap();
    let dir = ino(&w, "/workspace/a");
    let agrees = || {
        let expanded = w.engine().expand(&alice, dir, "can_read").unwrap();
        [("agent:helper", &helper), ("agent:robot", &robot)].map(|(name, who)| {
            let to = To::One(subject(name));
            let held = w.engine().holds(&alice, dir, "can_read", &to).unwrap();
            assert_eq!(held, w.read(who, "/workspace/a/f").is_ok(), "{name}");
            let on = w.engine().granted_on(&alice, "can_read", &to).unwrap();
            assert_eq!(held, on.contains(&dir), "{name}");
            let listed = expanded.contains(&to) || expanded.contains(&To::Everyone);
            assert!(listed || !held, "{name}: {expanded:?}");
            held
        })
    };
    assert_eq!(agrees(), [false, false]);
    for (to, holds) in [
        ("bob", [true, false]),
        ("group:g", [true, false]),
        ("*", [true, false]),
        ("agent:robot", [false, true]),
    ] {
        let id = give(&w, &alice, "/workspace/a", "can_read", to);
        assert_eq!(agrees(), holds, "granted to {to}");
        w.engine().revoke(&alice, id).unwrap();
    }
}

#[test]
fn an_administrator_may_all_in_his_tenant_and_nothing_in_another() {
    let (w, _, bob) = with(&["a"]);
    let other = w.engine().create_tenant(&boss(), "other").unwrap();
    let theirs = Caller::engine(other.id);
    let file = ino(&w, "/workspace/a/f");
    assert_eq!(rights(&w, &boss(), file), Rights::ALL);
    refused(w.engine().getattr(&theirs, file), Kind::NotFound);
    let to = To::One(subject("bob"));
    refused(
        w.engine().grant(&theirs, file, "owner", &to, None),
        Kind::NotFound,
    );
    refused(
        w.engine().open(&theirs, file, OpenFlags::new(Access::Read)),
        Kind::NotFound,
    );
    assert!(!rights(&w, &bob, file).has(Right::Read));
}

#[test]
fn users_of_one_name_in_two_tenants_are_two() {
    let (w, alice, _) = with(&["a"]);
    let other = w.engine().create_tenant(&boss(), "other").unwrap();
    let theirs = Caller::engine(other.id);
    let made = w
        .engine()
        .create_user(&theirs, "bob", None, (None, None))
        .unwrap();
    let their_bob = Caller {
        user_id: Some(made.id),
        ..person("bob", made.uid)
    };
    w.engine()
        .create_user(&theirs, "only", None, (None, None))
        .unwrap();
    let id = give(&w, &alice, "/workspace/a", "can_read", "bob");
    // Even one whom a broken door takes for a caller of this tenant has his own number.
    assert_eq!(their_bob.tenant, Some(TENANT));
    closed(w.read(&their_bob, "/workspace/a/f"));
    refused(
        give_until(&w, &alice, "/workspace/a", ("can_read", "only"), None),
        Kind::NotFound,
    );
    refused(w.engine().revoke(&theirs, id), Kind::NotFound);
    assert_eq!(w.engine().grants(&theirs, |_| true).unwrap(), []);
}

/// chmod(2): who rules a file by a grant on its directory is not who it would run as.
#[test]
fn a_program_acts_for_its_owner_only_if_he_says_so() {
    let w = World::new();
    let e = w.engine();
    let (bob, ann) = (make(&w, "bob"), make(&w, "ann"));
    let iso = agent(&w, &ann, "iso", true);
    let modes = |who: &Caller, at: &str| {
        let ino = e.resolve(&boss(), &path(at)).unwrap().ino;
        let set = SetAttr {
            mode: Some(0o6755),
            ..SetAttr::default()
        };
        e.setattr(who, ino, &set, None).unwrap().mode
    };
    mkdir(&w, &ann, "/workspace/d");
    w.write(&ann, "/workspace/d/tool", b"x").unwrap();
    give(&w, &ann, "/workspace/d", "owner", "bob");
    give(&w, &ann, "/workspace/d", "owner", "agent:iso");
    assert_eq!(modes(&ann, "/workspace/d/tool"), 0o6755);
    assert_eq!(modes(&bob, "/workspace/d/tool"), 0o755);
    assert_eq!(modes(&ann, "/workspace/d/tool"), 0o6755);
    assert_eq!(modes(&iso, "/workspace/d/tool"), 0o755);
    // What an isolated agent makes belongs to its owner.
    let dir = e.resolve(&boss(), &path("/workspace/d")).unwrap().ino;
    let made = e.mknod(&iso, dir, &name("own"), FileKind::File, 0o6755, 0);
    assert_eq!(made.unwrap().mode & 0o7000, 0);
}
