//! What was undone is done again, step by step.

use super::{Village, boss};
use crate::core::Kind;
use serde_json::{Value, json};

/// Which of ann's two directories are there.
fn there(v: &Village) -> [bool; 2] {
    ["/workspace/a", "/workspace/b"]
        .map(|path| v.kind(&boss(), "info", &json!({ "path": path })).is_none())
}

fn head(v: &Village) -> u64 {
    let now = v.must(&boss(), "moment", &json!({"when": "now"}));
    now["op"].as_u64().unwrap()
}

#[test]
fn redo_goes_back_through_what_one_has_undone_oneself() {
    let v = Village::new();
    let (ann, ben) = (v.person("ann"), v.person("ben"));
    for path in ["/workspace/a", "/workspace/b"] {
        v.must(&ann, "mkdir", &json!({ "path": path }));
    }
    let redo = || v.ask(&ann, "redo", &json!({}));
    let nothing = || {
        let refused = redo().unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound, "{refused}");
    };
    nothing();
    v.must(&ann, "undo", &json!({"newest": true}));
    let second = v.must(&ann, "undo", &json!({"newest": true}));
    assert_eq!(there(&v), [false, false]);
    // Somebody else's are his.
    v.must(&ben, "mkdir", &json!({"path": "/workspace/c"}));
    v.must(&ben, "undo", &json!({"newest": true}));

    let before = head(&v);
    let told = v.must(&ann, "redo", &json!({"dry_run": true}));
    assert_eq!(told["newest"]["op"], second["op"]);
    assert_eq!((there(&v), head(&v)), ([false, false], before));
    let first = redo().unwrap();
    assert_eq!(there(&v), [true, false]);
    redo().unwrap();
    assert_eq!(there(&v), [true, true]);
    nothing();
    // A redo that is undone is an undo that stands again.
    v.must(&ann, "undo", &json!({"ops": first["op"].to_string()}));
    assert_eq!(there(&v), [false, true]);
    redo().unwrap();
    assert_eq!(there(&v), [true, true]);
    nothing();
}

#[test]
fn an_undo_that_is_named_is_done_again_and_nothing_else_is() {
    let v = Village::new();
    let (ann, ben) = (v.person("ann"), v.person("ben"));
    for path in ["/workspace/a", "/workspace/a/x"] {
        v.must(&ann, "mkdir", &json!({ "path": path }));
    }
    v.must(
        &ann,
        "chmod",
        &json!({"path": "/workspace/a", "mode": "0700"}),
    );
    let made = head(&v);
    v.must(
        &ann,
        "remove",
        &json!({"path": "/workspace/a/x", "recursive": true}),
    );
    let undo = v.must(&ann, "undo", &json!({"newest": true}))["op"].clone();
    let redo = |who, op: &Value| v.ask(who, "redo", &json!({ "op": op }));
    let kind = |who, op: &Value| redo(who, op).err().map(|e| e.kind());
    let is_there = || {
        v.kind(&boss(), "info", &json!({"path": "/workspace/a/x"}))
            .is_none()
    };
    assert_eq!(kind(&ann, &json!(made)), Some(Kind::Invalid));
    assert_eq!(kind(&ann, &json!(10_000)), Some(Kind::NotFound));
    // What one may not read is not there.
    assert_eq!(kind(&ben, &undo), Some(Kind::NotFound));
    assert!(is_there());
    redo(&ann, &undo).unwrap();
    assert!(!is_there());
}
