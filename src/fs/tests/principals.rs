//! Users, agents and groups: made, nested, taken away, and made again.

use super::*;
use crate::core::{MountId, Op};
use crate::fs::Event;
use crate::meta::{OpKind, Record, Roster, Subject, log};

pub(crate) const TENANT: TenantId = TenantId(1);

pub(crate) fn boss() -> Caller {
    Caller::engine(TENANT)
}

pub(crate) fn make(w: &World, user: &str) -> Caller {
    let made = w.engine().create_user(&boss(), user, None, (None, None));
    let made = made.unwrap();
    Caller {
        user_id: Some(made.id),
        ..person(user, made.uid)
    }
}

pub(crate) fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn roster(w: &World) -> Arc<Roster> {
    w.engine().roster(TENANT).unwrap()
}

/// The names of all groups that somebody is in.
fn groups(w: &World, of: &str) -> Vec<String> {
    let roster = roster(w);
    let of = roster.named(&subject(of)).unwrap().id();
    let found = roster.groups_of(of);
    let names = found.iter().map(|g| roster.by_id(*g).unwrap());
    names.map(|g| g.subject().name).collect()
}

/// The records after `since`.
fn records(w: &World, since: Op) -> Vec<Record> {
    let mut tx = w.engine().store().read().unwrap();
    let found = log::after(&mut *tx, TENANT, since, 1000).unwrap();
    found.into_iter().map(|(record, _)| record).collect()
}

/// A small organisation: alice with an agent and keys, in groups.
pub(super) fn populate(w: &World) -> Caller {
    let (e, alice) = (w.engine(), make(w, "alice"));
    make(w, "bob");
    e.create_agent(&alice, "coder", None, true).unwrap();
    for group in ["developers", "everybody"] {
        e.create_group(&boss(), group, Some("people")).unwrap();
    }
    for (group, member) in [
        ("developers", "alice"),
        ("developers", "agent:coder"),
        ("everybody", "group:developers"),
        ("everybody", "bob"),
    ] {
        e.add_member(&boss(), group, &subject(member)).unwrap();
    }
    e.create_key(&alice, &subject("alice"), Some("laptop"), None)
        .unwrap();
    e.create_key(&alice, &subject("agent:coder"), None, None)
        .unwrap();
    alice
}

#[test]
fn principals_and_memberships_outlive_a_crash_and_a_restart() {
    let mut w = World::new();
    populate(&w);
    let shown = |w: &World| format!("{:?}", roster(w).all().collect::<Vec<_>>());
    let before = shown(&w);
    w.crash();
    assert_eq!(shown(&w), before);
    assert_eq!(groups(&w, "alice"), ["developers", "everybody"]);
    assert_eq!(groups(&w, "agent:coder"), ["developers", "everybody"]);
    w.engine().settle().unwrap();
    w.crash();
    assert_eq!(shown(&w), before);
    assert_eq!(groups(&w, "bob"), ["everybody"]);
    assert_eq!(roster(&w).keys().count(), 2);
    w.assert_sound();
}

/// semantics.md §2: "A user, agent or group that is deleted takes its keys and memberships along"
#[test]
fn a_deleted_user_takes_everything_along_in_one_operation() {
    let mut w = World::new();
    populate(&w);
    let before = w.engine().head(TENANT).unwrap();
    w.engine().delete_user(&boss(), "alice").unwrap();
    let made = records(&w, before);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].kind, OpKind::UserDelete);
    assert_eq!(made[0].subject().as_deref(), Some("user:alice"));
    let undo: serde_json::Value = serde_json::from_str(&made[0].undo).unwrap();
    let count = |key: &str| undo[key].as_array().unwrap().len();
    assert_eq!(
        [count("principals"), count("keys"), count("members")],
        [2, 2, 2]
    );
    for _ in 0..2 {
        let roster = roster(&w);
        assert!(roster.user("alice").is_none() && roster.agent("coder").is_none());
        assert_eq!(roster.keys().count(), 0);
        let developers = roster.group("developers").unwrap().id;
        assert_eq!(roster.members_of(developers).count(), 0);
        assert_eq!(groups(&w, "bob"), ["everybody"]);
        w.assert_sound();
        w.crash();
    }
}

#[test]
fn what_a_deleted_user_had_synced_becomes_a_version_when_his_file_is_closed() {
    let w = World::new();
    let (e, alice) = (w.engine(), make(&w, "alice"));
    w.write(&alice, "/workspace/f", b"").unwrap();
    let ino = e.resolve(&alice, &path("/workspace/f")).unwrap().ino;
    let handle = e.open(&alice, ino, writing()).unwrap();
    e.write(&alice, handle, 0, b"synced").unwrap();
    e.fsync(&alice, handle).unwrap();
    e.delete_user(&boss(), "alice").unwrap();
    // What he is for a process that has the file open still.
    let nobody = e.confirm(&alice);
    e.fsync(&nobody, handle).unwrap();
    // Whatever keeps it from becoming one at once.
    let file = e.files.find(ino).unwrap();
    file.state.lock().writer.as_mut().unwrap().tenant = None;
    drop(file);
    refused(e.release(&nobody, handle), Kind::Denied);
    assert_eq!(e.files.unsealed.lock().handles.len(), 1);
    let before = e.head(TENANT).unwrap();
    e.housekeep().unwrap();
    assert_eq!(e.files.unsealed.lock().handles.len(), 0);
    let made = records(&w, before);
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].kind, made[0].author.uid),
        (OpKind::Write, alice.uid)
    );
    assert_eq!(w.read(&boss(), "/workspace/f").unwrap(), b"synced");
    w.assert_sound();
}

#[test]
fn who_says_the_wrong_kind_is_told_the_right_one() {
    let w = World::new();
    let (alice, carol) = (populate(&w), make(&w, "carol"));
    let to = crate::fs::To::One(subject("carol"));
    w.engine()
        .entrust(&boss(), "developers", &to, None)
        .unwrap();
    let told = |who: &Caller, member: &str| {
        let refused = w.engine().add_member(who, "developers", &subject(member));
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
        refused.message().to_owned()
    };
    assert_eq!(
        told(&boss(), "coder"),
        "no user \"coder\": coder is an agent, say agent:coder"
    );
    assert!(told(&boss(), "everybody").ends_with("everybody is a group, say group:everybody"));
    assert!(told(&boss(), "group:bob").ends_with("bob is a user, say user:bob"));
    // Whose agents there are is their users' to know.
    assert!(told(&carol, "agent:bob").ends_with("bob is a user, say user:bob"));
    assert!(!told(&carol, "coder").contains("agent"));
    let key = w.engine().create_key(&alice, &subject("coder"), None, None);
    let refused = key.unwrap_err();
    assert!(refused.message().ends_with("say agent:coder"), "{refused}");
}

/// semantics.md §2: "who is made under its name later is another subject."
#[test]
fn who_comes_later_under_the_same_name_is_another_subject() {
    let mut w = World::new();
    let was = populate(&w);
    w.engine().delete_user(&boss(), "alice").unwrap();
    w.crash();
    let now = make(&w, "alice");
    assert!(now.user_id > was.user_id);
    assert_ne!(now.uid, was.uid, "files keep the number of who is gone");
    assert_eq!(groups(&w, "alice"), [] as [&str; 0]);
    w.engine().delete_group(&boss(), "developers").unwrap();
    w.engine()
        .create_group(&boss(), "developers", None)
        .unwrap();
    assert_eq!(groups(&w, "group:developers"), [] as [&str; 0]);
    w.assert_sound();
}

#[test]
fn every_change_of_principals_is_one_record_that_says_whom() {
    let w = World::new();
    let before = w.engine().head(TENANT).unwrap();
    populate(&w);
    let e = w.engine();
    e.remove_member(&boss(), "everybody", &subject("bob"))
        .unwrap();
    e.delete_agent(&boss(), "coder").unwrap();
    e.delete_group(&boss(), "everybody").unwrap();
    let said: Vec<_> = records(&w, before)
        .iter()
        .map(|r| format!("{} {}", r.kind.name(), r.subject().unwrap()))
        .collect();
    let wanted = [
        "user-create user:alice",
        "user-create user:bob",
        "agent-create agent:coder",
        "group-create group:developers",
        "group-create group:everybody",
        "group-add group:developers",
        "group-add group:developers",
        "group-add group:everybody",
        "group-add group:everybody",
        "key-create user:alice",
        "key-create agent:coder",
        "group-remove group:everybody",
        "agent-delete agent:coder",
        "group-delete group:everybody",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_ring_of_groups_is_harmless() {
    let w = World::new();
    let e = w.engine();
    make(&w, "alice");
    for group in ["a", "b", "c"] {
        e.create_group(&boss(), group, None).unwrap();
    }
    for (group, member) in [
        ("a", "alice"),
        ("b", "group:a"),
        ("c", "group:b"),
        ("a", "group:c"),
    ] {
        e.add_member(&boss(), group, &subject(member)).unwrap();
    }
    assert_eq!(groups(&w, "alice"), ["a", "b", "c"]);
    e.delete_group(&boss(), "b").unwrap();
    assert_eq!(groups(&w, "alice"), ["a"]);
    w.assert_sound();
}

#[test]
fn only_an_administrator_changes_users_and_groups() {
    let w = World::new();
    let alice = populate(&w);
    let (e, kind) = (w.engine(), Kind::NotPermitted);
    refused(e.create_user(&alice, "eve", None, (None, None)), kind);
    refused(e.delete_user(&alice, "bob"), kind);
    refused(e.create_group(&alice, "mine", None), kind);
    refused(e.delete_group(&alice, "developers"), kind);
    refused(e.remove_member(&alice, "everybody", &subject("bob")), kind);
    // permissions: "a member adds himself"
    refused(e.add_member(&alice, "everybody", &subject("alice")), kind);
}

#[test]
fn a_user_has_own_agents_and_knows_of_no_others() {
    let w = World::new();
    let alice = populate(&w);
    let e = w.engine();
    let bob = Caller {
        user_id: roster(&w).user("bob").map(|u| u.id),
        ..bob()
    };
    refused(
        e.create_agent(&bob, "spy", Some("alice"), false),
        Kind::NotPermitted,
    );
    refused(e.create_agent(&bob, "coder", None, false), Kind::Exists);
    refused(e.delete_agent(&bob, "coder"), Kind::NotFound);
    assert_eq!(e.agents(&bob).unwrap().len(), 0);
    assert_eq!(e.agents(&alice).unwrap().len(), 1);
    let as_agent = Caller {
        agent: Some("coder".into()),
        ..alice.clone()
    };
    refused(
        e.create_agent(&as_agent, "helper", None, false),
        Kind::NotPermitted,
    );
    refused(e.delete_agent(&as_agent, "coder"), Kind::NotPermitted);
    e.delete_agent(&alice, "coder").unwrap();
    e.create_agent(&boss(), "coder", Some("bob"), false)
        .unwrap();
    refused(e.acting(TENANT, alice.user_id, "coder"), Kind::NotPermitted);
    assert!(e.acting(TENANT, bob.user_id, "coder").unwrap().is_some());
    assert!(e.acting(TENANT, bob.user_id, "a label").unwrap().is_none());
}

#[test]
fn names_are_refused_taken_or_told_apart_by_every_letter() {
    let w = World::new();
    let e = w.engine();
    make(&w, "alice");
    make(&w, "Alice");
    refused(
        e.create_user(&boss(), "alice", None, (None, None)),
        Kind::Exists,
    );
    for name in [
        "",
        "*",
        "default",
        "user:alice",
        "g#member",
        "a/b",
        "a@b",
        "a b",
    ] {
        refused(
            e.create_user(&boss(), name, None, (None, None)),
            Kind::Invalid,
        );
        refused(e.create_group(&boss(), name, None), Kind::Invalid);
        refused(
            e.create_agent(&boss(), name, Some("alice"), false),
            Kind::Invalid,
        );
    }
    // The same name for a user, a group and an agent: three subjects.
    e.create_group(&boss(), "alice", None).unwrap();
    e.create_agent(&boss(), "alice", Some("alice"), false)
        .unwrap();
    e.add_member(&boss(), "alice", &subject("agent:alice"))
        .unwrap();
    assert_eq!(groups(&w, "agent:alice"), ["alice"]);
    assert_eq!(groups(&w, "user:alice"), [] as [&str; 0]);
    refused(
        e.add_member(&boss(), "alice", &subject("agent:alice")),
        Kind::Exists,
    );
    refused(
        e.remove_member(&boss(), "alice", &subject("alice")),
        Kind::NotFound,
    );
    refused(
        e.add_member(&boss(), "alice", &subject("group:none")),
        Kind::NotFound,
    );
}

#[test]
fn of_two_who_make_the_same_at_once_one_wins() {
    let mut w = World::new();
    for n in 0..20 {
        let name = format!("u{n}");
        let made = std::thread::scope(|s| {
            let threads: Vec<_> = (0..3)
                .map(|_| s.spawn(|| w.engine().create_user(&boss(), &name, None, (None, None))))
                .collect();
            let ended = threads.into_iter().map(|t| t.join().unwrap());
            ended.flatten().count()
        });
        assert_eq!(made, 1, "{name}");
    }
    w.engine().settle().unwrap();
    w.crash();
    assert_eq!(w.engine().users(TENANT).unwrap().len(), 20);
    w.assert_sound();
}

#[test]
fn users_of_one_name_in_two_tenants_are_two_subjects() {
    let w = World::new();
    let e = w.engine();
    let other = e.create_tenant(&boss(), "acme").unwrap();
    let there = Caller::engine(other.id);
    let ours = e.create_user(&boss(), "alice", None, (None, None)).unwrap();
    let theirs = e.create_user(&there, "alice", None, (None, None)).unwrap();
    assert_ne!(ours.id, theirs.id);
    e.create_group(&there, "staff", None).unwrap();
    refused(
        e.add_member(&boss(), "staff", &subject("alice")),
        Kind::NotFound,
    );
    e.delete_user(&there, "alice").unwrap();
    assert!(e.user(TENANT, "alice").is_ok());
    refused(e.user(other.id, "alice"), Kind::NotFound);
}

#[test]
fn a_remembered_caller_is_nobody_once_its_user_or_agent_is_gone() {
    let w = World::new();
    let alice = populate(&w);
    let e = w.engine();
    let label = Caller {
        agent: Some("helper".into()),
        ..alice.clone()
    };
    assert_eq!(e.confirm(&label).agent_id, None);
    e.create_agent(&alice, "helper", None, true).unwrap();
    let agent = e.confirm(&label);
    assert!(agent.agent_id.is_some() && agent.isolated);
    let before = e.principals_revision();
    e.delete_agent(&alice, "helper").unwrap();
    assert_ne!(e.principals_revision(), before);
    e.create_agent(&alice, "helper", None, false).unwrap();
    assert_eq!(e.confirm(&agent).tenant, None, "another one under its name");
    assert_eq!(e.confirm(&alice).tenant, Some(TENANT));
    e.delete_user(&boss(), "alice").unwrap();
    make(&w, "alice");
    let gone = e.confirm(&alice);
    assert_eq!((gone.tenant, gone.user_id), (None, None));
}

#[test]
fn kernels_forget_all_names_when_groups_change_or_principals_go() {
    let w = World::new();
    populate(&w);
    let e = w.engine();
    let notices = e.events().subscribe(TENANT, MountId(1), Arc::default());
    let (tell, told) = std::sync::mpsc::channel();
    // A notice is confirmed when it is dropped, and a change waits for that.
    std::thread::spawn(move || notices.iter().try_for_each(|n| tell.send(n.events.clone())));
    let workspace = Event::Closed {
        parent: e.root(&boss()).unwrap(),
        name: name("workspace"),
    };
    let forgotten = || told.try_iter().flatten().any(|event| event == workspace);
    e.add_member(&boss(), "developers", &subject("bob"))
        .unwrap();
    assert!(forgotten());
    e.remove_member(&boss(), "developers", &subject("bob"))
        .unwrap();
    assert!(forgotten());
    e.create_agent(&boss(), "label", Some("bob"), true).unwrap();
    assert!(forgotten());
    e.create_user(&boss(), "dave", None, (None, None)).unwrap();
    assert!(!forgotten(), "nobody's rights are others");
    e.delete_agent(&boss(), "label").unwrap();
    assert!(forgotten());
    e.delete_group(&boss(), "developers").unwrap();
    assert!(forgotten());
    e.delete_user(&boss(), "bob").unwrap();
    assert!(forgotten());
}
