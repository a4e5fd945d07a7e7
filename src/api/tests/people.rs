//! What is told of people, and who stays.

use super::{Village, boss};
use crate::api::{Asked, Peer, local};
use crate::core::{Caller, Kind};
use serde_json::{Value, json};

#[test]
fn an_address_is_for_administrators_and_for_whose_it_is() {
    let v = Village::new();
    v.must(
        &boss(),
        "user-create",
        &json!({"user": "dan", "name": "Dan D.", "email": "dan@example.com"}),
    );
    let aid = Caller {
        agent: Some("aid".into()),
        ..v.person("dan")
    };
    let shown = |who: &Caller| {
        let one = v.must(who, "user-show", &json!({"user": "dan"}));
        let all = v.must(who, "user-list", &json!({}));
        let mut all = all["users"].as_array().unwrap().iter();
        let listed = all.find(|u| u["user"] == "dan").unwrap();
        assert_eq!(
            (&one["name"], &listed["name"]),
            (&json!("Dan D."), &json!("Dan D."))
        );
        assert_eq!(one["email"], listed["email"]);
        one["email"].clone()
    };
    let address = json!("dan@example.com");
    assert_eq!(shown(&boss()), address);
    assert_eq!(shown(&v.person("dan")), address);
    assert_eq!(shown(&aid), address);
    assert_eq!(shown(&v.person("ann")), Value::Null);
    let confined = Caller {
        isolated: true,
        ..aid
    };
    assert_eq!(shown(&confined), Value::Null);
}

#[test]
fn whom_the_store_would_make_anew_is_not_deleted() {
    let v = Village::new();
    let me = local(&v.nexus, &Peer::myself(), &Asked::default()).unwrap();
    let own = json!({ "user": me.user.as_deref() });
    let refused = v.ask(&boss(), "user-delete", &own).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid, "{refused}");
    assert!(refused.message().contains("made anew"), "{refused}");
    assert_eq!(
        v.kind(&v.person("ann"), "user-delete", &own),
        Some(Kind::NotPermitted)
    );
    v.must(&boss(), "user-delete", &json!({"user": "ben"}));
    assert_eq!(
        v.kind(&boss(), "user-delete", &json!({"user": "ben"})),
        Some(Kind::NotFound)
    );
}

#[test]
fn a_list_of_grants_of_nobody_says_so() {
    let v = Village::new();
    let list = |who: &str, body: Value| v.kind(&v.person(who), "rebac-list", &body);
    for body in [
        json!({"subject_id": "nosuch"}),
        json!({"subject_type": "user", "subject_id": "team"}),
        json!({"subject_type": "group", "subject_id": "ben"}),
        // Of somebody else's agent one knows no more than of none.
        json!({"subject_id": "rob"}),
    ] {
        assert_eq!(list("ben", body.clone()), Some(Kind::NotFound), "{body}");
    }
    for body in [
        json!({"subject_id": "cas"}),
        json!({"subject_id": "*"}),
        json!({"subject_type": "group", "subject_id": "team"}),
    ] {
        assert_eq!(list("ben", body.clone()), None, "{body}");
    }
    assert_eq!(list("ann", json!({"subject_id": "rob"})), None);
}

#[test]
fn what_an_administrator_only_tries_is_not_in_the_log() {
    let v = Village::new();
    let ann = v.person("ann");
    let root = Caller { uid: 0, ..boss() };
    v.must(&ann, "mkdir", &json!({"path": "/workspace/d"}));
    // To look into it would be told.
    v.must(
        &ann,
        "chmod",
        &json!({"path": "/workspace/d", "mode": "0755"}),
    );
    v.write(&ann, "/workspace/d/f", b"one").unwrap();
    v.write(&ann, "/workspace/d/f", b"two").unwrap();
    let head = || {
        v.must(&boss(), "moment", &json!({"when": "now"}))["op"]
            .as_u64()
            .unwrap()
    };
    let before = head();
    let undo = |dry_run: bool| json!({"user": "ann", "newest": true, "dry_run": dry_run});
    v.must(&root, "undo", &undo(true));
    assert_eq!(head(), before);
    v.must(&root, "undo", &undo(false));
    let log = v.must(&boss(), "log", &json!({"after": before, "limit": 10}));
    let kinds = log["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["kind"]);
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["bypass", "undo"]);
}

#[test]
fn who_has_done_nothing_in_a_session_is_told_that_others_have() {
    let v = Village::new();
    let ann = Caller {
        session: Some("s".into()),
        ..v.person("ann")
    };
    v.must(&ann, "mkdir", &json!({"path": "/workspace/d"}));
    v.must(
        &ann,
        "chmod",
        &json!({"path": "/workspace/d", "mode": "0755"}),
    );
    let undo = |session: &str| {
        let body = json!({"session": session, "dry_run": true});
        let refused = v.ask(&v.person("ben"), "undo", &body).unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
        refused.message().to_owned()
    };
    assert!(
        undo("s").contains("2 operations of others"),
        "{}",
        undo("s")
    );
    assert!(undo("t").starts_with("no operation fits"), "{}", undo("t"));
}
