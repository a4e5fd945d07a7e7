//! What a request says is understood or refused: a field that is passed over may be the one that takes rights away.

use super::{Village, boss};
use crate::api::NAMES;
use crate::core::Kind;
use serde_json::{Value, json};

/// What a command needs to be read at all, where that is more than nothing.
fn needed(command: &str) -> Value {
    match command {
        "rebac-grant" | "rebac-check" | "rebac-expand" => {
            json!({"subject": "user:ben", "relation": "owner", "path": "/workspace"})
        }
        "rebac-subjects" => json!({"relation": "owner", "path": "/workspace", "types": []}),
        "who" => json!({"op": "read", "path": "/workspace"}),
        _ => json!({}),
    }
}

#[test]
fn a_field_that_no_command_has_is_refused_by_each() {
    let village = Village::new();
    for command in NAMES {
        let mut body = needed(command);
        if *command == "rebac-expand" {
            body.as_object_mut().unwrap().remove("subject");
        }
        body["qx99xq"] = json!(true);
        let refused = village.ask(&boss(), command, &body).unwrap_err();
        let said = refused.to_string();
        assert_eq!(refused.kind(), Kind::Invalid, "{command}: {said}");
        assert!(said.contains("unknown field `qx99xq`"), "{command}: {said}");
    }
    let question = json!({"subject": "ben", "relation": "owner", "path": "/", "qx99xq": 1});
    let many = json!({ "questions": [question] });
    let refused = village.ask(&boss(), "rebac-check-many", &many).unwrap_err();
    assert!(refused.to_string().contains("qx99xq"), "{refused}");
}

#[test]
fn the_end_of_a_grant_and_of_a_key_has_two_names_and_no_third() {
    let village = Village::new();
    let grant = json!({"subject": "user:ben", "relation": "can_read", "path": "/workspace"});
    for (command, body) in [("rebac-grant", grant), ("key-create", json!({"of": "ben"}))] {
        for field in ["expires", "expires_at"] {
            let mut body = body.clone();
            body[field] = json!("7d");
            let made = village.must(&boss(), command, &body);
            assert!(made["expires"].is_string(), "{command} {field}: {made}");
            village
                .ask(
                    &boss(),
                    "rebac-revoke",
                    &json!({"tuple_id": made["tuple_id"]}),
                )
                .ok();
        }
        let mut body = body.clone();
        body["expire"] = json!("7d");
        assert_eq!(village.kind(&boss(), command, &body), Some(Kind::Invalid));
    }
}

#[test]
fn what_a_relation_is_to_is_said_once_and_asked_for_where_it_is_missing() {
    let village = Village::new();
    let said = |command: &str, body: Value| {
        let refused = village.ask(&boss(), command, &body).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        refused.to_string()
    };
    let mut body = json!({"subject": "user:ben", "relation": "owner"});
    for command in ["rebac-grant", "rebac-check", "rebac-revoke"] {
        let told = said(command, body.clone());
        assert!(
            told.contains("`path`") && told.contains("`object`"),
            "{told}"
        );
    }
    body["path"] = json!("/workspace");
    body["object"] = json!("doc:1");
    for command in ["rebac-grant", "rebac-check", "rebac-revoke"] {
        let told = said(command, body.clone());
        assert!(told.contains("either `path` or `object`"), "{told}");
    }
    let told = said(
        "rebac-revoke",
        json!({"tuple_id": 1, "subject": "user:ben"}),
    );
    assert!(told.contains("`tuple_id`"), "{told}");
    let told = said("list", json!({"path": 5}));
    assert!(told.contains("a text"), "{told}");
}
