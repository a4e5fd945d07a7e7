//! Who has what by grants, why, and who may ask.

use super::principals::{TENANT, boss, make, populate, subject};
use super::*;
use crate::access::acl::{Acl, AclEntry, AclWho, Acls};
use crate::access::{Layer, Right};
use crate::core::{Op, Time};
use crate::fs::{Obstacle, To};
use crate::meta::{OpKind, Xattr, xattr};
use std::time::Duration;

mod ended;

const NEVER: Option<Time> = None;

/// Alice with agent and groups, and bob; a file of hers two directories down.
fn village() -> (World, Caller, Caller) {
    let mut w = World::new();
    // A clock that the tests move.
    let config = Config::new(w.dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    w.engine = None;
    // Later than anything in the store: time does not go back.
    let start = Clock::manual(Time(4_000_000_000_000_000_000));
    w.engine = Some(Arc::new(Engine::new(config, db, start).unwrap()));
    let alice = populate(&w);
    let roster = w.engine().roster(TENANT).unwrap();
    let bob = roster.user("bob").unwrap();
    let bob = Caller {
        user_id: Some(bob.id),
        ..person("bob", bob.uid)
    };
    let workspace = w.workspace();
    let e = w.engine();
    let top = e.mkdir(&alice, workspace, &name("top"), 0o700).unwrap().ino;
    e.mkdir(&alice, top, &name("sub"), 0o700).unwrap();
    w.write(&alice, "/workspace/top/sub/f", b"x").unwrap();
    (w, alice, bob)
}

fn at(w: &World, p: &str) -> Ino {
    w.engine().resolve(&boss(), &path(p)).unwrap().ino
}

fn to(text: &str) -> To {
    text.parse().unwrap()
}

#[track_caller]
fn give(w: &World, who: &Caller, p: &str, role: &str, text: &str) -> u64 {
    let given = w.engine().grant(who, at(w, p), role, &to(text), NEVER);
    given.unwrap().id
}

fn expanded(w: &World, p: &str, role: &str) -> Vec<String> {
    let all = w.engine().expand(&boss(), at(w, p), role).unwrap();
    all.iter().map(To::to_string).collect()
}

const DIRS: [&str; 3] = [
    "/workspace/top",
    "/workspace/top/sub",
    "/workspace/top/sub/f",
];
const ROLES: [&str; 4] = ["owner", "can_write", "can_read", "can_execute"];
const ALL: [&str; 6] = [
    "user:*",
    "user:alice",
    "user:bob",
    "agent:coder",
    "group:developers",
    "group:everybody",
];

/// What is expanded is what is checked, for every subject, role and node.
#[track_caller]
fn agree(w: &World) {
    for p in DIRS {
        for role in ROLES {
            let expanded = expanded(w, p, role);
            let open = expanded.iter().any(|s| s == "user:*");
            for who in ALL {
                let holds = w.engine().holds(&boss(), at(w, p), role, &to(who)).unwrap();
                let listed = open || expanded.iter().any(|s| s == who);
                assert_eq!(holds, listed, "{who} {role} {p}: {expanded:?}");
            }
        }
    }
}

#[test]
fn what_is_expanded_is_what_is_checked() {
    let (w, alice, _) = village();
    agree(&w);
    let [top, sub, f] = DIRS;
    give(&w, &alice, top, "can_read", "group:everybody");
    agree(&w);
    assert_eq!(expanded(&w, f, "viewer-of"), ALL[1..]);
    assert_eq!(expanded(&w, f, "can_write"), [""; 0]);
    give(&w, &alice, sub, "owner-of", "agent:coder");
    give(&w, &alice, top, "owner", "user:bob");
    w.engine().restrict(&alice, at(&w, sub), true).unwrap();
    agree(&w);
    assert_eq!(expanded(&w, f, "can_read"), ["user:bob", "agent:coder"]);
    give(&w, &alice, f, "can_execute", "user:*");
    agree(&w);
    assert_eq!(
        expanded(&w, f, "can_read"),
        ["user:bob", "agent:coder", "user:*"]
    );
    w.engine().restrict(&alice, at(&w, sub), false).unwrap();
    agree(&w);
}

#[test]
fn a_grant_that_has_ended_is_nobodys() {
    let (w, alice, bob) = village();
    let end = Time(w.engine().clock().now().0 + 1_000_000_000);
    let f = at(&w, DIRS[2]);
    let given = w
        .engine()
        .grant(&alice, f, "can_read", &to("bob"), Some(end));
    let id = given.unwrap().id;
    assert_eq!(w.engine().next_end(), Some(end));
    assert_eq!(expanded(&w, DIRS[2], "can_read"), ["user:bob"]);
    assert_eq!(w.read(&bob, DIRS[2]).unwrap(), b"x");
    w.engine().clock().advance(Duration::from_secs(1));
    // What was judged just before is not kept for longer because it is told of just behind.
    assert_eq!(w.engine().next_end(), Some(end));
    assert_eq!(expanded(&w, DIRS[2], "can_read"), [""; 0]);
    let on = w
        .engine()
        .granted_on(&boss(), "can_read", &to("bob"))
        .unwrap();
    assert!(on.is_empty());
    refused(w.read(&bob, DIRS[2]), Kind::Denied);
    assert_eq!(w.engine().revoke(&alice, id).unwrap().id, id);
    let over = w
        .engine()
        .grant(&alice, f, "can_read", &to("bob"), Some(end));
    refused(over, Kind::Invalid);
}

#[test]
fn about_others_it_takes_ownership_and_what_is_hidden_is_not_found() {
    let (w, alice, bob) = village();
    let e = w.engine();
    let f = at(&w, DIRS[2]);
    let id = give(&w, &alice, DIRS[2], "can_write", "group:developers");
    for asked in [
        e.holds(&bob, f, "can_read", &to("bob")).map(drop),
        e.holds(&bob, f, "can_read", &to("alice")).map(drop),
        e.expand(&bob, f, "can_read").map(drop),
        e.explain(&bob, &subject("bob"), f, Right::Read).map(drop),
        e.revoke(&bob, id).map(drop),
        e.revoke(&bob, id + 1000).map(drop),
    ] {
        refused(asked, Kind::NotFound);
    }
    give(&w, &alice, DIRS[2], "can_write", "user:bob");
    assert!(e.holds(&bob, f, "can_read", &to("bob")).unwrap());
    for asked in [
        e.holds(&bob, f, "can_read", &to("alice")).map(drop),
        e.expand(&bob, f, "can_read").map(drop),
        e.explain(&bob, &subject("alice"), f, Right::Read).map(drop),
    ] {
        refused(asked, Kind::NotPermitted);
    }
    refused(e.revoke(&bob, id), Kind::NotFound);
    let other = make(&w, "carol");
    refused(e.holds(&other, f, "can_read", &to("carol")), Kind::NotFound);
    refused(
        e.holds(&alice, f, "can_read", &to("group:none")),
        Kind::NotFound,
    );
}

#[test]
fn a_grant_to_everyone_is_known_to_everyone_it_reaches() {
    let (w, alice, bob) = village();
    let id = give(&w, &alice, DIRS[1], "can_read", "user:*");
    let known = w.engine().grants(&bob, |_| true).unwrap();
    assert_eq!(known.iter().map(|t| t.id).collect::<Vec<_>>(), [id]);
    let on = w.engine().granted_on(&bob, "can_read", &to("bob")).unwrap();
    assert_eq!(on.into_iter().collect::<Vec<_>>(), [at(&w, DIRS[1])]);
}

fn why(w: &World, asker: &Caller, who: &str, p: &str, right: Right) -> (bool, Layer) {
    let found = w.engine().explain(asker, &subject(who), at(w, p), right);
    let found = found.unwrap();
    assert_eq!(found.allowed, found.obstacle.is_none());
    (found.allowed, found.layer)
}

#[test]
fn an_explanation_names_the_layer_and_what_it_stands_on() {
    let (w, alice, bob) = village();
    let [top, sub, f] = DIRS;
    assert_eq!(why(&w, &alice, "alice", f, Right::Own), (true, Layer::Unix));
    assert_eq!(
        why(&w, &boss(), "bob", f, Right::Read),
        (false, Layer::None)
    );
    let stopped = |w: &World| {
        let found = w
            .engine()
            .explain(&alice, &subject("bob"), at(w, f), Right::Read);
        found.unwrap().obstacle
    };
    assert_eq!(stopped(&w), Some(Obstacle::Way(at(&w, top))));
    let id = give(&w, &alice, sub, "can_read", "group:everybody");
    assert_eq!(stopped(&w), None);
    assert_eq!(why(&w, &bob, "bob", f, Right::Read), (true, Layer::Graph));
    assert_eq!(
        why(&w, &bob, "bob", sub, Right::Execute),
        (true, Layer::Graph)
    );
    let found = w
        .engine()
        .explain(&bob, &subject("bob"), at(&w, f), Right::Read);
    assert_eq!(found.unwrap().by.unwrap().id, id);
    let found = w
        .engine()
        .explain(&bob, &subject("bob"), at(&w, f), Right::Write);
    assert_eq!(found.unwrap().obstacle, Some(Obstacle::Nothing));
    // An isolated agent has its own grants: here, those of a group it is in.
    assert_eq!(
        why(&w, &alice, "agent:coder", f, Right::Read),
        (true, Layer::Graph)
    );
    assert_eq!(
        why(&w, &alice, "agent:coder", f, Right::Write),
        (false, Layer::None)
    );
    let group = w
        .engine()
        .explain(&alice, &subject("group:everybody"), at(&w, f), Right::Read);
    refused(group.map(drop), Kind::Invalid);
}

/// The explanation of bob's reading a file, as far as a refusal goes: what is in the way, and through whom a grant would come.
fn in_bobs_way(w: &World, asker: &Caller, p: &str) -> (Option<Obstacle>, Vec<String>) {
    let why = w
        .engine()
        .explain(asker, &subject("bob"), at(w, p), Right::Read);
    let why = why.unwrap();
    let through = why.through.iter().map(ToString::to_string).collect();
    (why.obstacle, through)
}

#[test]
fn an_explanation_tells_the_groups_a_grant_comes_through_and_the_boundary_or_end_that_takes_it_away()
 {
    let (w, alice, bob) = village();
    let e = w.engine();
    let [top, sub, f] = DIRS;
    e.create_group(&boss(), "all", None).unwrap();
    e.add_member(&boss(), "all", &subject("group:everybody"))
        .unwrap();
    let id = give(&w, &alice, top, "can_read", "group:all");
    let way = ["user:bob", "group:everybody", "group:all"];
    assert_eq!(
        in_bobs_way(&w, &bob, f),
        (None, way.map(str::to_owned).into())
    );
    // A shorter one is told instead.
    e.add_member(&boss(), "all", &subject("bob")).unwrap();
    assert_eq!(in_bobs_way(&w, &bob, f).1, [way[0], way[2]]);
    e.remove_member(&boss(), "all", &subject("bob")).unwrap();
    // He does not come on where the boundary is.
    let cut = e.grants(&boss(), |t| t.id == id).unwrap()[0].clone();
    e.restrict(&alice, at(&w, sub), true).unwrap();
    let boundary = Obstacle::Boundary(at(&w, sub), cut);
    let expected = (Some(boundary), way.map(str::to_owned).into());
    assert_eq!(in_bobs_way(&w, &alice, f), expected);
    e.revoke(&alice, id).unwrap();
    let way = (Some(Obstacle::Way(at(&w, top))), vec![]);
    assert_eq!(in_bobs_way(&w, &alice, f), way);
    e.restrict(&alice, at(&w, sub), false).unwrap();
    let end = Time(e.clock().now().0 + 1_000_000_000);
    let given = e.grant(&alice, at(&w, top), "can_read", &to("bob"), Some(end));
    let himself = vec!["user:bob".to_owned()];
    assert_eq!(in_bobs_way(&w, &bob, f), (None, himself.clone()));
    e.clock().advance(Duration::from_secs(1));
    let ended = Some(Obstacle::Ended(given.unwrap()));
    assert_eq!(in_bobs_way(&w, &alice, f), (ended, himself));
}

#[test]
fn what_is_explained_is_what_is_decided() {
    let (w, alice, bob) = village();
    let read = |w: &World| {
        let explained = w
            .engine()
            .explain(&boss(), &subject("bob"), at(w, DIRS[2]), Right::Read);
        let allowed = explained.unwrap().allowed;
        assert_eq!(w.read(&bob, DIRS[2]).is_ok(), allowed);
        allowed
    };
    assert!(!read(&w));
    give(&w, &alice, DIRS[0], "can_read", "bob");
    assert!(read(&w));
    w.engine().restrict(&alice, at(&w, DIRS[1]), true).unwrap();
    assert!(!read(&w));
    give(&w, &alice, DIRS[2], "can_read", "bob");
    assert!(read(&w));
    w.assert_sound();
}

#[test]
fn an_isolated_agent_gives_up_its_own_grants_and_not_its_owners() {
    let (w, alice, bob) = village();
    let e = w.engine();
    let coder = e.create_agent(&bob, "helper", None, true).unwrap();
    let agent = Caller {
        agent: Some("helper".into()),
        agent_id: Some(coder.id),
        isolated: true,
        ..bob.clone()
    };
    let owners = give(&w, &alice, DIRS[1], "can_read", "user:bob");
    let own = give(&w, &alice, DIRS[1], "can_read", "agent:helper");
    refused(e.revoke(&agent, owners), Kind::NotFound);
    e.revoke(&agent, own).unwrap();
    refused(e.revoke(&agent, owners), Kind::NotFound);
    e.revoke(&bob, owners).unwrap();
}

#[test]
fn a_directory_on_the_way_to_a_grant_can_be_entered_and_listed_and_no_more() {
    let (w, alice, bob) = village();
    let (e, top) = (w.engine(), at(&w, DIRS[0]));
    refused(e.access(&bob, top, &[Right::Execute]), Kind::Denied);
    give(&w, &alice, DIRS[1], "can_read", "user:bob");
    e.access(&bob, top, &[Right::Execute, Right::Read]).unwrap();
    refused(e.access(&bob, top, &[Right::Write]), Kind::Denied);
    assert_eq!(
        why(&w, &bob, "bob", DIRS[0], Right::Read),
        (true, Layer::Graph)
    );
    assert_eq!(
        why(&w, &bob, "bob", DIRS[0], Right::Write),
        (false, Layer::None)
    );
    let sub = at(&w, DIRS[1]);
    e.access(&bob, sub, &[Right::Execute, Right::Read]).unwrap();
}

#[test]
fn an_explanation_says_which_list_denies() {
    let (w, alice, bob) = village();
    let (e, [top, sub, f]) = (w.engine(), DIRS);
    give(&w, &alice, top, "can_write", "user:bob");
    let deny = Acl {
        entries: vec![AclEntry {
            who: AclWho::User(bob.uid),
            deny: true,
            rights: 2,
        }],
        ..Acl::default()
    };
    let lists = Acls {
        access: None,
        default: Some(deny),
    };
    let handed = Xattr {
        ino: at(&w, sub),
        name: xattr::ACLS.to_vec(),
        value: lists.encode().unwrap(),
        began: Op(0),
    };
    let set = e.change(&alice, |ch| {
        ch.add_xattr(Xattr {
            began: ch.op(),
            ..handed
        });
        let undo = serde_json::json!({});
        ch.record(OpKind::SetXattr, at(&w, sub), &path(sub), None, &undo);
        Ok(())
    });
    set.unwrap();
    assert_eq!(why(&w, &bob, "bob", f, Right::Read), (true, Layer::Graph));
    // A directory's handed-down list is about what lies below it.
    assert_eq!(
        why(&w, &bob, "bob", sub, Right::Write),
        (true, Layer::Graph)
    );
    let found = e
        .explain(&bob, &subject("bob"), at(&w, f), Right::Write)
        .unwrap();
    assert_eq!((found.allowed, found.layer), (false, Layer::Deny));
    assert_eq!(found.obstacle, Some(Obstacle::Deny(at(&w, sub))));
    assert!(e.holds(&bob, at(&w, f), "can_write", &to("bob")).unwrap());
}

#[test]
fn another_tenant_knows_of_no_grant_and_gives_none() {
    let (w, alice, _) = village();
    let e = w.engine();
    let id = give(&w, &alice, DIRS[0], "can_read", "user:*");
    let acme = e.create_tenant(&boss(), "acme").unwrap().id;
    let theirs = Caller::engine(acme);
    e.create_user(&theirs, "bob", None, (None, None)).unwrap();
    let top = at(&w, DIRS[0]);
    assert_eq!(e.grants(&theirs, |_| true).unwrap(), []);
    refused(e.revoke(&theirs, id), Kind::NotFound);
    refused(e.restrict(&theirs, top, true), Kind::NotFound);
    refused(
        e.grant(&theirs, top, "owner", &to("bob"), NEVER),
        Kind::NotFound,
    );
    refused(
        e.holds(&theirs, top, "can_read", &to("bob")),
        Kind::NotFound,
    );
    refused(e.expand(&theirs, top, "can_read"), Kind::NotFound);
}

#[test]
fn an_agent_gives_up_what_it_was_granted_itself() {
    let (w, alice, bob) = village();
    let e = w.engine();
    e.create_agent(&alice, "free", None, false).unwrap();
    let bobs = "/workspace/bobs";
    w.write(&bob, bobs, b"x").unwrap();
    for agent in ["coder", "free"] {
        let roster = e.roster(TENANT).unwrap();
        let made = roster.agent(agent).unwrap();
        let caller = Caller {
            agent: Some(agent.into()),
            agent_id: Some(made.id),
            isolated: made.isolated,
            ..alice.clone()
        };
        let own = give(&w, &bob, bobs, "can_read", &format!("agent:{agent}"));
        let owners = give(&w, &bob, bobs, "can_read", "user:alice");
        e.revoke(&caller, own).unwrap();
        assert_eq!(e.revoke(&caller, owners).is_err(), made.isolated);
    }
}
