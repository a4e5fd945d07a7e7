//! Who is in charge of a group.

use super::super::principals::populate;
use super::*;
use crate::fs::To;
use std::time::Duration;

const NEVER: Option<Time> = None;

fn to(text: &str) -> To {
    text.parse().unwrap()
}

fn group_id(w: &World, name: &str) -> crate::core::PrincipalId {
    let roster = w.engine().roster(TENANT).unwrap();
    roster.group(name).unwrap().id
}

fn owners(w: &World, group: &str) -> Vec<String> {
    let all = w.engine().all_owners_of(&boss(), group).unwrap();
    all.iter().map(To::to_string).collect()
}

/// Whether somebody may put carol into a group; she is out again afterwards.
fn adds(w: &World, who: &Caller, group: &str) -> bool {
    let e = w.engine();
    match e.add_member(who, group, &subject("carol")) {
        Ok(()) => {
            e.remove_member(who, group, &subject("carol")).unwrap();
            true
        }
        Err(refusal) => {
            assert_eq!(refusal.kind(), Kind::NotPermitted);
            false
        }
    }
}

/// permissions.md §4: "group membership needs group admin"
#[test]
fn an_owner_changes_who_is_in_his_group_and_in_no_other() {
    let mut w = World::new();
    let alice = populate(&w);
    let carol = make(&w, "carol");
    let e = w.engine();
    assert!(!adds(&w, &alice, "developers"), "a member is no owner");
    refused(
        e.entrust(&alice, "developers", &to("alice"), NEVER),
        Kind::NotPermitted,
    );
    let given = e
        .entrust(&boss(), "developers", &to("alice"), NEVER)
        .unwrap();
    let again = e
        .entrust(&boss(), "developers", &to("alice"), NEVER)
        .unwrap();
    assert_eq!(given, again);
    assert!(adds(&w, &alice, "developers"));
    assert!(!adds(&w, &alice, "everybody"));
    refused(
        e.entrust(&alice, "everybody", &to("alice"), NEVER),
        Kind::NotPermitted,
    );
    refused(e.create_group(&alice, "other", None), Kind::NotPermitted);
    refused(e.delete_group(&alice, "developers"), Kind::NotPermitted);
    // Groups he may put in as well, and make others owners.
    e.create_group(&boss(), "interns", None).unwrap();
    e.add_member(&alice, "developers", &subject("group:interns"))
        .unwrap();
    e.entrust(&alice, "developers", &to("carol"), NEVER)
        .unwrap();
    assert!(adds(&w, &carol, "developers"));
    assert_eq!(owners(&w, "developers"), ["user:alice", "user:carol"]);
    w.crash();
    assert_eq!(owners(&w, "developers"), ["user:alice", "user:carol"]);
    w.assert_sound();
    w.engine().revoke(&carol, given.id).unwrap();
    assert!(!adds(&w, &alice, "developers"));
    assert!(adds(&w, &carol, "developers"));
    w.assert_sound();
}

#[test]
fn owners_may_be_groups_and_agents_and_act_through_agents_that_are_not_isolated() {
    let w = World::new();
    let alice = populate(&w);
    make(&w, "carol");
    let e = w.engine();
    let acting = |name: &str, isolated| {
        let roster = e.roster(TENANT).unwrap();
        Caller {
            agent: Some(name.into()),
            agent_id: Some(roster.agent(name).unwrap().id),
            isolated,
            ..alice.clone()
        }
    };
    e.create_agent(&alice, "helper", None, false).unwrap();
    e.create_group(&boss(), "leads", None).unwrap();
    e.add_member(&boss(), "leads", &subject("alice")).unwrap();
    let by_group = e
        .entrust(&boss(), "developers", &to("group:leads"), NEVER)
        .unwrap();
    assert_eq!(
        owners(&w, "developers"),
        ["user:alice", "agent:helper", "group:leads"]
    );
    assert!(adds(&w, &alice, "developers") && adds(&w, &acting("helper", false), "developers"));
    // It has its own grants only, and may have this one.
    assert!(!adds(&w, &acting("coder", true), "developers"));
    e.remove_member(&boss(), "leads", &subject("alice"))
        .unwrap();
    assert!(!adds(&w, &alice, "developers"));
    e.revoke(&boss(), by_group.id).unwrap();
    e.entrust(&boss(), "developers", &to("agent:coder"), NEVER)
        .unwrap();
    assert!(adds(&w, &acting("coder", true), "developers"));
    assert!(!adds(&w, &alice, "developers"));
    refused(
        e.entrust(&boss(), "developers", &to("user:*"), NEVER),
        Kind::Invalid,
    );
    refused(
        e.entrust(&boss(), "none", &to("alice"), NEVER),
        Kind::NotFound,
    );
    refused(
        e.entrust(&boss(), "developers", &to("nobody"), NEVER),
        Kind::NotFound,
    );
    w.assert_sound();
}

#[test]
fn an_owner_of_a_group_goes_with_his_end_himself_and_the_group() {
    let mut w = World::new();
    let config = Config::new(w.dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    w.engine = None;
    let clock = Clock::manual(Time(4_000_000_000_000_000_000));
    w.engine = Some(Arc::new(Engine::new(config, db, clock).unwrap()));
    let alice = populate(&w);
    let (carol, e) = (make(&w, "carol"), w.engine());
    let end = Time(e.clock().now().0 + 1_000_000_000);
    e.entrust(&boss(), "developers", &to("alice"), Some(end))
        .unwrap();
    assert!(adds(&w, &alice, "developers"));
    e.clock().advance(Duration::from_secs(1));
    assert!(!adds(&w, &alice, "developers"));
    e.entrust(&boss(), "developers", &to("alice"), NEVER)
        .unwrap();
    e.entrust(&boss(), "everybody", &to("alice"), NEVER)
        .unwrap();
    e.entrust(&boss(), "developers", &to("carol"), NEVER)
        .unwrap();
    e.delete_user(&boss(), "alice").unwrap();
    assert_eq!(all(&w).len(), 1);
    let was = group_id(&w, "developers");
    e.delete_group(&boss(), "developers").unwrap();
    assert_eq!(all(&w), []);
    w.assert_sound();
    // Who has the name next is another, with no owner.
    e.create_group(&boss(), "developers", None).unwrap();
    assert_ne!(group_id(&w, "developers"), was);
    assert!(!adds(&w, &carol, "developers"));
}

#[test]
fn who_owns_a_group_is_known_to_whom_it_concerns_with_types_or_without() {
    let w = World::new();
    let alice = populate(&w);
    let (bob, e) = (make(&w, "dora"), w.engine());
    let given = e
        .entrust(&boss(), "developers", &to("alice"), NEVER)
        .unwrap();
    let knows = |who: &Caller| !e.grants(who, |_| true).unwrap().is_empty();
    assert!(knows(&alice) && !knows(&bob));
    assert_eq!(e.object_of(&given).unwrap(), "group:developers");
    define(&w, &boss(), DOCS);
    relate(&w, &boss(), "user:alice owner doc:1").unwrap();
    assert_eq!(all(&w).len(), 2);
    let doc = "doc".parse().unwrap();
    e.delete_type(&boss(), &doc).unwrap();
    e.delete_type(&boss(), &"folder".parse().unwrap()).unwrap();
    assert_eq!(all(&w), [given]);
    assert!(adds_dora(&w, &alice));
    w.assert_sound();
}

fn adds_dora(w: &World, who: &Caller) -> bool {
    let added = w.engine().add_member(who, "developers", &subject("dora"));
    added.is_ok()
}
