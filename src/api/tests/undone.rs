//! What undo and restore name: what a listing shows, or would if it were still there.

use super::town::Town;
use super::{Village, boss};
use crate::core::Kind;
use serde_json::{Value, json};

const SEEDS: u64 = 6;

/// What an administrator did to a town: the moment before it, a snapshot of then, and his operations.
struct Works {
    before: [Value; 2],
    ops: std::ops::RangeInclusive<u64>,
}

/// Puts files into every directory, writes the others twice, takes some away and makes one directory what it was.
fn works(town: &mut Town) -> Works {
    let must = |command: &str, body: &Value| town.village.must(&boss(), command, body);
    let end = || {
        must("moment", &json!({"when": "now"}))["op"]
            .as_u64()
            .unwrap()
    };
    must(
        "snapshot_create",
        &json!({"name": "before", "path": "/workspace"}),
    );
    let first = end();
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for (n, at) in town.all.iter().enumerate() {
        let is_dir = must("info", &json!({ "path": at }))["kind"] == "directory";
        if is_dir {
            let inside = format!("{at}/qy{n}yq");
            town.village.write(&boss(), &inside, b"new").unwrap();
            new.push(inside);
        } else if n % 2 == 0 {
            must("remove", &json!({ "path": at }));
            gone.push(at.clone());
        } else {
            town.village.write(&boss(), at, b"other").unwrap();
            town.village.write(&boss(), at, b"third").unwrap();
        }
    }
    let last = end();
    if let Some(dir) = town.all.iter().find(|at| !gone.contains(*at)) {
        let at = format!("op:{first}");
        must("restore", &json!({"path": dir, "at": at}));
        must("undo", &json!({"ops": end().to_string()}));
    }
    town.all.extend(new);
    Works {
        before: [json!(format!("op:{first}")), json!("before")],
        ops: first + 1..=last.max(end()),
    }
}

/// permissions.md §4: "every API that emits a path filters with the same function"
#[test]
fn undo_and_restore_name_what_is_listed_or_was_and_nothing_else() {
    for seed in 1..=SEEDS {
        println!("seed {seed}");
        let mut town = Town::new(seed);
        let people = ["ann", "ben", "cas", "agent:rob"].map(|name| town.village.person(name));
        let former = people.each_ref().map(|who| town.listed(who));
        let works = works(&mut town);
        for (who, former) in people.iter().zip(former) {
            let mut shown = former;
            shown.extend(town.listed(who));
            let name = who.user.as_deref().unwrap_or_default();
            let check = |command: &str, body: &Value, said: &str| {
                let told = match town.village.ask(who, command, body) {
                    Ok(reply) => reply,
                    Err(e) => return town.names_only_found(who, &e.chain(), said),
                };
                let both = ["steps", "conflicts"].map(|list| told[list].as_array().unwrap());
                for path in both
                    .into_iter()
                    .flatten()
                    .filter_map(|one| one["path"].as_str())
                {
                    // What is put beside something is called after it.
                    let of = path.split(".undo-").next().unwrap_or_default();
                    let may = shown.contains(of) || path == said;
                    assert!(may, "{name} is told of {path}: {command} {body}");
                }
            };
            let tops = town.all.iter().map(String::as_str).chain(["/workspace"]);
            for (top, at) in tops.flat_map(|top| works.before.iter().map(move |at| (top, at))) {
                for answer in ["stop", "skip"] {
                    let body = json!({"path": top, "at": at, "answer": answer, "dry_run": true});
                    check("restore", &body, top);
                }
            }
            let log = town.village.must(&boss(), "log", &json!({"limit": 10_000}));
            for op in works.ops.clone() {
                let records = log["records"].as_array().unwrap();
                let about = records.iter().find(|r| r["op"] == op);
                let said = about.and_then(|r| r["path"].as_str()).unwrap_or_default();
                for answer in ["stop", "skip", "aside"] {
                    let body = json!({"ops": op.to_string(), "answer": answer, "dry_run": true});
                    check("undo", &body, said);
                }
            }
        }
    }
}

/// alice's directory in a directory of all: bob sees that it is there and no name in it, whatever he asks to be undone.
#[test]
fn a_restore_and_an_undo_name_nothing_in_a_directory_that_may_not_be_listed() {
    let village = Village::new();
    let (ann, ben) = (village.person("ann"), village.person("ben"));
    let end = || {
        village.must(&boss(), "moment", &json!({"when": "now"}))["op"]
            .as_u64()
            .unwrap()
    };
    village.must(&ann, "mkdir", &json!({"path": "/shared/open"}));
    let first = end();
    village.must(&ann, "mkdir", &json!({"path": "/shared/open/priv"}));
    village.must(
        &ann,
        "chmod",
        &json!({"path": "/shared/open/priv", "mode": "0700"}),
    );
    let secret = "/shared/open/priv/topsecretname";
    village.write(&ann, secret, b"one").unwrap();
    let second = end();
    village.must(
        &ann,
        "restore",
        &json!({"path": "/shared/open", "at": format!("op:{second}")}),
    );
    village.write(&ann, secret, b"two").unwrap();
    village.must(
        &ann,
        "restore",
        &json!({"path": "/shared/open", "at": format!("op:{second}")}),
    );
    let restored = end();
    village.write(&ann, secret, b"three").unwrap();
    for answer in ["stop", "skip", "aside"] {
        for dry_run in [true, false] {
            for (command, body) in [
                ("restore", json!({"path": "/", "at": format!("op:{first}")})),
                (
                    "restore",
                    json!({"path": "/shared/open", "at": format!("op:{second}")}),
                ),
                ("undo", json!({"ops": restored.to_string()})),
            ] {
                let mut body = body;
                body["dry_run"] = json!(dry_run);
                if command == "undo" || answer != "aside" {
                    body["answer"] = json!(answer);
                }
                let said = match village.ask(&ben, command, &body) {
                    Ok(reply) => reply.to_string(),
                    Err(e) => e.chain(),
                };
                assert!(!said.contains("topsecret"), "{command} {body}: {said}");
            }
        }
    }
    let seen = village.must(
        &ann,
        "undo",
        &json!({"ops": restored.to_string(), "dry_run": true}),
    );
    assert!(seen.to_string().contains("topsecret"), "{seen}");
}

#[test]
fn a_restore_that_takes_a_change_where_one_may_not_look_says_so() {
    let village = Village::new();
    let (ann, ben) = (village.person("ann"), village.person("ben"));
    for (path, mode) in [("/shared/open", "0777"), ("/shared/priv", "0700")] {
        village.must(&ann, "mkdir", &json!({ "path": path }));
        village.must(&ann, "chmod", &json!({"path": path, "mode": mode}));
    }
    village.write(&ann, "/shared/open/f", b"one").unwrap();
    let now = village.must(&boss(), "moment", &json!({"when": "now"}));
    let away = json!({"from": "/shared/open/f", "to": "/shared/priv/f"});
    village.must(&ann, "move", &away);
    let back = json!({"path": "/shared/open", "at": format!("op:{}", now["op"])});
    let refused = village.ask(&ben, "restore", &back).unwrap_err();
    assert_eq!(refused.kind(), Kind::Denied);
    let told = "/shared/open: it takes a change in another directory, which you may not search";
    assert_eq!(refused.message(), told);
}

#[test]
fn what_was_done_last_and_cannot_be_undone_is_told_and_nothing_older_is_undone() {
    let village = Village::new();
    let ann = village.person("ann");
    let dir = json!({"path": "/workspace/d"});
    let newest = json!({"newest": true});
    village.must(&ann, "mkdir", &dir);
    let gone = json!({"path": "/workspace/d", "recursive": true});
    village.must(&ann, "remove", &gone);
    let removed = end(&village);
    let told = village.must(&ann, "undo", &json!({"newest": true, "dry_run": true}));
    assert_eq!(told["newest"]["op"], removed);
    let snapshot = json!({"name": "s", "path": "/workspace"});
    village.must(&ann, "snapshot_create", &snapshot);
    let taken = end(&village);
    let refused = village.ask(&ann, "undo", &newest).unwrap_err().chain();
    for said in [
        format!("operation {taken} (snapshot-create), cannot be undone"),
        format!("`nexus undo {removed}`"),
    ] {
        assert!(refused.contains(&said), "{refused}");
    }
    assert!(village.ask(&ann, "info", &dir).is_err());
    // Who did nothing else is told that, too; by its number, or with conditions, it is what was asked for.
    let by_kind = json!({"newest": true, "kinds": ["rmdir"]});
    assert_eq!(
        village.must(&ann, "undo", &by_kind)["newest"]["op"],
        removed
    );
    village.must(&ann, "info", &dir);
    let none = village.ask(&ann, "undo", &json!({"ops": "0"}));
    assert!(none.unwrap_err().chain().contains("no operation 0"));
}

#[test]
fn attributes_of_what_comes_back_are_no_changes() {
    let village = Village::new();
    let ann = village.person("ann");
    let file = json!({"path": "/workspace/f"});
    village.write(&ann, "/workspace/f", b"f").unwrap();
    let engine = &village.nexus.engine;
    let path = crate::core::FsPath::parse(b"/workspace/f").unwrap();
    let ino = engine.resolve(&ann, &path).unwrap().ino;
    let any = crate::fs::SetMode::Any;
    engine.setxattr(&ann, ino, b"user.a", b"1", any).unwrap();
    let attributed = end(&village);
    village.must(&ann, "remove", &file);
    let undone = json!({"ops": end(&village).to_string()});
    let told = village.must(&ann, "undo", &undone);
    assert_eq!(
        (&told["restored"], &told["changed"]),
        (&json!(1), &json!(0))
    );
    let undone = json!({"ops": attributed.to_string()});
    let told = village.must(&ann, "undo", &undone);
    assert_eq!(
        (&told["restored"], &told["changed"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn a_file_that_is_younger_than_what_was_forgotten_has_all_its_versions() {
    let village = Village::new();
    let ann = village.person("ann");
    let (old, new) = ("/workspace/old", "/workspace/new");
    for text in [b"1\n", b"2\n"] {
        village.write(&ann, old, text).unwrap();
    }
    let keep = crate::fs::Keep {
        since: crate::core::Time(i64::MAX),
        snapshots: false,
    };
    village.nexus.engine.forget(&boss(), keep, false).unwrap();
    village.write(&ann, new, b"3\n").unwrap();
    for command in ["versions", "blame"] {
        let begins = |at: &str| {
            let told = village.must(&ann, command, &json!({"path": at}));
            told.get("begins").is_some()
        };
        assert!(begins(old) && !begins(new), "{command}");
    }
}

/// The operation that the log ends with.
fn end(village: &Village) -> u64 {
    let now = village.must(&boss(), "moment", &json!({"when": "now"}));
    now["op"].as_u64().unwrap()
}

#[test]
fn what_a_path_does_not_choose_though_it_changed_something_there_is_told() {
    let village = Village::new();
    let ann = village.person("ann");
    let must = |command: &str, body: &Value| village.must(&ann, command, body);
    for dir in ["/workspace/a", "/workspace/b", "/workspace/c"] {
        must("mkdir", &json!({ "path": dir }));
        for text in [b"1", b"2"] {
            village.write(&ann, &format!("{dir}/f"), text).unwrap();
        }
    }
    let before = end(&village);
    for dir in ["/workspace/a", "/workspace/b"] {
        village.write(&ann, &format!("{dir}/f"), b"3").unwrap();
    }
    let at = format!("op:{before}");
    must("restore", &json!({"path": "/workspace", "at": at}));
    let restored = end(&village);
    let since = format!("op:{}", before + 1);
    let asked =
        |path: &str| json!({"path": path, "since": since, "dry_run": true, "answer": "skip"});
    let told = |path: &str| {
        let told = must("undo", &asked(path));
        (told["ops"].clone(), told["reaching"].clone())
    };
    let restore = json!([{"op": restored, "kind": "restore", "path": "/workspace"}]);
    assert_eq!(
        told("/workspace/a"),
        (json!((before + 1).to_string()), restore)
    );
    // It is chosen with all that it changed.
    assert_eq!(told("/workspace").1, Value::Null);
    // What did not reach there is not told.
    let none = village.ask(&ann, "undo", &asked("/workspace/c"));
    assert!(none.unwrap_err().chain().contains("no operation fits"));
    // Alone it is refused, with the words that undo it; so where it came after the newest of its own.
    let alone = json!({"path": "/workspace/a", "first": restored});
    let alone = village.ask(&ann, "undo", &alone).unwrap_err().chain();
    assert!(
        alone.contains(&format!("`nexus undo {restored}`")),
        "{alone}"
    );
    let newest = json!({"path": "/workspace/b", "newest": true, "dry_run": true, "answer": "skip"});
    let told = must("undo", &newest);
    assert_eq!(told["newest"]["op"], before + 2);
    assert_eq!(told["reaching"][0]["op"], restored);
    // What was undone is told no more, and an undo of what is chosen is as if it had not been.
    must("undo", &json!({"ops": restored.to_string()}));
    let told = must("undo", &asked("/workspace/a"));
    assert_eq!(told["reaching"], Value::Null, "{told}");
    let undo = |ops: [u64; 2]| {
        let ops = ops.map(|op| op.to_string()).join(",");
        let done = must("undo", &json!({"ops": ops}));
        done["op"].as_u64().unwrap_or_else(|| panic!("{done}"))
    };
    undo([before + 1, before + 2]);
    let told = must("undo", &asked("/workspace/a"));
    assert_eq!(told["reaching"], Value::Null, "{told}");
    let older = undo([before, before - 6]);
    let told = must("undo", &asked("/workspace/a"));
    assert_eq!(
        told["reaching"],
        json!([{"op": older, "kind": "undo", "path": "/workspace"}])
    );
}
