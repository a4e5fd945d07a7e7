//! A session is whoever says its name: undo takes what is one's own in it, and nobody is refused with what is not so.

use super::{Village, boss};
use crate::core::{Caller, Kind};
use serde_json::{Value, json};

fn in_session(v: &Village, who: &str) -> Caller {
    Caller {
        session: Some("s".into()),
        ..v.person(who)
    }
}

/// ann, her agent and ben make a file each in a session of one name.
fn work() -> Village {
    let v = Village::new();
    v.must(&boss(), "mkdir", &json!({"path": "/workspace/d"}));
    v.must(
        &boss(),
        "chmod",
        &json!({"path": "/workspace/d", "mode": "0777"}),
    );
    v.must(
        &boss(),
        "agent-create",
        &json!({"agent": "aid", "owner": "ann"}),
    );
    let aid = Caller {
        agent: Some("aid".into()),
        ..in_session(&v, "ann")
    };
    for (who, name) in [
        (&in_session(&v, "ann"), "a"),
        (&aid, "aid"),
        (&in_session(&v, "ben"), "b"),
    ] {
        v.must(
            who,
            "mkdir",
            &json!({"path": format!("/workspace/d/{name}")}),
        );
    }
    v
}

/// What would go, and how many others' operations stay.
fn plan(v: &Village, who: &Caller, wanted: &Value) -> (Vec<String>, Value) {
    let mut body = wanted.clone();
    body["dry_run"] = json!(true);
    let plan = v.must(who, "undo", &body);
    let steps = plan["steps"].as_array().unwrap().iter();
    let mut paths: Vec<_> = steps
        .map(|s| s["path"].as_str().unwrap().replace("/workspace/d/", ""))
        .collect();
    paths.sort();
    (paths, plan["others"].clone())
}

#[test]
fn an_undo_of_a_session_takes_ones_own_and_says_what_others_did_in_it() {
    let v = work();
    let (ann, ben) = (v.person("ann"), v.person("ben"));
    let session = json!({"session": "s"});
    let told =
        |paths: &[&str], others: Value| (paths.iter().map(|p| (*p).to_owned()).collect(), others);
    assert_eq!(plan(&v, &ann, &session), told(&["a", "aid"], json!(1)));
    assert_eq!(plan(&v, &ben, &session), told(&["b"], json!(2)));
    assert_eq!(
        plan(&v, &boss(), &session),
        told(&["a", "aid", "b"], Value::Null)
    );
    // Who is named is meant.
    let bens = json!({"session": "s", "user": "ben"});
    assert_eq!(plan(&v, &ann, &bens), told(&["b"], Value::Null));
}

#[test]
fn the_newest_operation_of_somebody_else_is_his() {
    let v = work();
    let ann = v.person("ann");
    let newest = |wanted: Value| {
        let plan = v.must(&ann, "undo", &wanted);
        plan["newest"]["path"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        newest(json!({"newest": true, "dry_run": true, "user": "ben"})),
        "/workspace/d/b"
    );
    assert_eq!(
        newest(json!({"newest": true, "dry_run": true})),
        "/workspace/d/aid"
    );
}

#[test]
fn after_an_undo_of_others_work_the_newest_change_is_that() {
    let v = work();
    let ann = v.person("ann");
    let newest = || v.ask(&ann, "undo", &json!({"newest": true, "dry_run": true}));
    let done = v.must(&ann, "undo", &json!({"session": "s", "user": "ben"}));
    let op = &done["op"];
    let refused = newest().unwrap_err();
    assert!(
        refused.message().contains(&format!("`nexus undo {op}`")),
        "{refused}"
    );
    v.must(&ann, "undo", &json!({"ops": op.to_string()}));
    assert_eq!(newest().unwrap()["newest"]["path"], "/workspace/d/aid");
    // What was one's own is passed over as before.
    v.must(&ann, "undo", &json!({"newest": true}));
    assert_eq!(newest().unwrap()["newest"]["path"], "/workspace/d/a");
}

#[test]
fn who_is_not_in_charge_of_a_group_is_refused_and_not_told_that_nobody_is() {
    let v = Village::new();
    let owner =
        |subject: &str| json!({"subject": subject, "relation": "owner", "object": "group:team"});
    v.must(&boss(), "rebac-grant", &owner("user:cas"));
    let kind = |who: &str, subject: &str| v.kind(&v.person(who), "rebac-revoke", &owner(subject));
    assert_eq!(kind("ben", "user:cas"), Some(Kind::NotPermitted));
    assert_eq!(kind("ben", "user:ann"), Some(Kind::NotFound));
    assert_eq!(kind("cas", "user:cas"), None);
}
