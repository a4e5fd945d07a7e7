//! A save by rename is one change, by whatever words it is chosen.

use super::Village;
use crate::core::Caller;
use crate::fs::RenameMode;
use serde_json::{Value, json};

const FILE: &str = "/workspace/d/f";

fn rename(village: &Village, who: &Caller, from: &str, to: &str) {
    let engine = &village.nexus.engine;
    let at = |path: &str| crate::core::FsPath::parse(path.as_bytes()).unwrap();
    let (from, to) = (at(from), at(to));
    let (old, new) = (
        engine.resolve_parent(who, &from).unwrap(),
        engine.resolve_parent(who, &to).unwrap(),
    );
    engine.rename(who, old, new, RenameMode::Replace).unwrap();
}

fn end(village: &Village, who: &Caller) -> u64 {
    village.must(who, "moment", &json!({"when": "now"}))["op"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_save_is_undone_whole_by_number_path_command_session_and_as_the_newest() {
    let village = Village::new();
    let ann = Caller {
        session: Some("s".into()),
        comm: Some("sed".into()),
        ..village.person("ann")
    };
    village.must(&ann, "mkdir", &json!({"path": "/workspace/d"}));
    village.write(&ann, FILE, b"old\n").unwrap();
    let before = end(&village, &ann);
    village
        .write(&ann, "/workspace/d/sedAbCdE", b"new\n")
        .unwrap();
    rename(&village, &ann, "/workspace/d/sedAbCdE", FILE);
    let (made, renamed) = (before + 1, end(&village, &ann));
    assert_eq!(renamed, made + 1);
    let since = format!("op:{made}");
    let whole = format!("{made}-{renamed}");
    let ways = [
        (json!({ "newest": true }), made.to_string()),
        (json!({ "ops": renamed.to_string() }), made.to_string()),
        (json!({ "path": FILE, "since": since }), made.to_string()),
        (
            json!({ "path": FILE, "command": "sed", "kinds": ["rename"] }),
            made.to_string(),
        ),
        // Nothing has to come along.
        (json!({ "session": "s", "since": since }), String::new()),
        (
            json!({ "path": "/workspace/d", "since": since }),
            String::new(),
        ),
    ];
    for (mut way, saves) in ways {
        way["dry_run"] = json!(true);
        let told = village.must(&ann, "undo", &way);
        let said = told["saves"].as_str().unwrap_or_default();
        assert_eq!(
            (told["ops"].as_str(), said),
            (Some(&*whole), &*saves),
            "{way}"
        );
    }
    let listed = |village: &Village| {
        let told = village.must(&ann, "list", &json!({"path": "/workspace/d"}));
        let names = told["entries"].as_array().unwrap().iter();
        names.map(|entry| entry["name"].clone()).collect::<Vec<_>>()
    };
    let content = || village.must(&ann, "info", &json!({ "path": FILE }))["size"].clone();
    let first = village.must(&ann, "undo", &json!({"newest": true}));
    assert_eq!(first["newest"]["op"], renamed);
    assert_eq!((listed(&village), content()), (vec![json!("f")], json!(4)));
    // Step by step: the next is what was before all of it; and back.
    let next = village.must(&ann, "undo", &json!({"newest": true, "dry_run": true}));
    assert_eq!(next["newest"]["op"], before);
    let back = json!({ "ops": first["op"].to_string() });
    assert_eq!(village.must(&ann, "undo", &back)["conflicts"], json!([]));
    let last = village.must(&ann, "undo", &json!({"newest": true, "dry_run": true}));
    assert_eq!(last["ops"], Value::from(whole));
    assert_eq!(listed(&village), [json!("f")]);
}
