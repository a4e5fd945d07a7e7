//! The trash is emptied of what is one's own, and history has it still.

use super::{Village, boss};
use crate::core::TenantId;
use serde_json::{Value, json};

/// The paths that somebody's trash shows, the newest first.
fn shown(v: &Village, who: &str) -> Vec<String> {
    let list = v.must(&v.person(who), "trash-list", &json!({"all": true}));
    let paths = list["deleted"].as_array().unwrap().iter();
    paths
        .map(|d| d["path"].as_str().unwrap().to_owned())
        .collect()
}

fn numbers(emptied: &Value) -> (&Value, &Value, &Value) {
    (&emptied["deletions"], &emptied["bytes"], &emptied["others"])
}

#[test]
fn one_empties_it_of_what_was_ones_own() {
    let v = Village::new();
    let (ann, ben) = (v.person("ann"), v.person("ben"));
    v.must(&boss(), "mkdir", &json!({"path": "/workspace/d"}));
    v.must(
        &boss(),
        "chmod",
        &json!({"path": "/workspace/d", "mode": "0777"}),
    );
    for (who, name, size) in [(&ann, "a", 3), (&ben, "b", 5), (&ann, "z", 7)] {
        let at = format!("/workspace/d/{name}");
        v.write(who, &at, &vec![b'x'; size]).unwrap();
        v.must(who, "chmod", &json!({"path": at, "mode": "0644"}));
        // Whoever deletes it, it was its owner's.
        v.must(&ben, "remove", &json!({"path": at}));
    }
    let all = ["/workspace/d/z", "/workspace/d/b", "/workspace/d/a"];
    assert_eq!(shown(&v, "ann"), all);

    let under = |path: &str, dry_run: bool| json!({"path": path, "dry_run": dry_run});
    let told = v.must(&ann, "trash-empty", &under("/workspace/d", true));
    assert_eq!(numbers(&told), (&json!(2), &json!(10), &json!(1)));
    assert_eq!(shown(&v, "ann"), all, "it was a rehearsal");
    let done = v.must(&ann, "trash-empty", &under("/workspace/d/a", false));
    assert_eq!(numbers(&done), (&json!(1), &json!(3), &json!(0)));
    for who in ["ann", "ben"] {
        assert_eq!(shown(&v, who), all[..2], "{who}");
    }
    // In vain: it is somebody else's.
    let done = v.must(&ann, "trash-empty", &under("/workspace/d/b", false));
    assert_eq!(numbers(&done), (&json!(0), &json!(0), &json!(1)));
    assert_eq!(done["by"], json!([]));
    assert_eq!(shown(&v, "ben"), all[..2]);

    // By its path it is not found any more; by its number it is.
    let by_path = json!({"path": "/workspace/d/a"});
    assert!(v.ask(&ben, "trash-restore", &by_path).is_err());
    let ops = told["ops"].as_str().unwrap();
    let op: u64 = ops.split(',').next().unwrap().parse().unwrap();
    v.must(&ann, "trash-restore", &json!({ "op": op }));
    v.must(&ann, "info", &json!({"path": "/workspace/d/a"}));
    // Deleted anew it is in the trash again.
    v.must(&ben, "remove", &json!({"path": "/workspace/d/a"}));
    assert_eq!(shown(&v, "ann").len(), 3);
}

#[test]
fn a_list_is_gone_on_with_where_it_ended_and_a_tree_that_went_costs_few_questions() {
    let v = Village::new();
    let ann = v.person("ann");
    let went = |dir: &str, files: usize| {
        v.must(&ann, "mkdir", &json!({ "path": dir }));
        for n in 0..files {
            v.write(&ann, &format!("{dir}/f{n}"), b"x").unwrap();
        }
        v.must(&ann, "remove", &json!({"path": dir, "recursive": true}));
    };
    let list = |body: &Value| v.must(&ann, "trash-list", body);
    let paths = |list: &Value| -> Vec<String> {
        let all = list["deleted"].as_array().unwrap().iter();
        all.map(|d| d["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let engine = &v.nexus.engine;
    let mut costs = Vec::new();
    for (dir, files) in [("/workspace/a", 5), ("/workspace/b", 150)] {
        went(dir, files);
        engine.settle().unwrap();
        let before = engine.store().counters().statements;
        let shown = list(&json!({"limit": 10, "path": dir}));
        assert_eq!(
            (paths(&shown), &shown["more"]),
            (vec![dir.to_owned()], &Value::Null)
        );
        costs.push(engine.store().counters().statements - before);
    }
    assert!(costs[1] < costs[0] + 10, "{costs:?} statements");

    let whole = paths(&list(&json!({"all": true, "limit": 1000})));
    assert_eq!(whole.len(), 157);
    let (mut all, mut upto) = (Vec::new(), Value::Null);
    loop {
        let some = list(&json!({"all": true, "limit": 50, "last": upto}));
        all.extend(paths(&some));
        upto = some["more"].clone();
        if upto.is_null() {
            break;
        }
    }
    assert_eq!(all, whole);
}

/// What somebody is told of who emptied the trash of what, by path.
fn emptied(v: &Village, who: &str, at: &str) -> Vec<String> {
    let body = json!({"path": at, "kinds": ["trash-empty"]});
    let log = v.must(&v.person(who), "log", &body);
    let records = log["records"].as_array().unwrap().iter();
    records
        .map(|r| {
            format!(
                "{} {}",
                r["path"].as_str().unwrap(),
                r["note"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn who_emptied_it_is_told_of_the_directory_that_it_was_about() {
    let v = Village::new();
    let ann = v.person("ann");
    let mkdir = |path: &str, mode: &str| {
        v.must(&ann, "mkdir", &json!({ "path": path }));
        v.must(&ann, "chmod", &json!({"path": path, "mode": mode}));
    };
    mkdir("/workspace/open", "0755");
    mkdir("/workspace/open/closed", "0700");
    let gone = |path: &str| {
        v.write(&ann, path, b"x").unwrap();
        v.must(&ann, "remove", &json!({ "path": path }));
    };
    for name in ["open/a", "open/b", "open/closed/c", "open/closed/d"] {
        gone(&format!("/workspace/{name}"));
    }
    let empty = |path: &str| v.must(&ann, "trash-empty", &json!({ "path": path }));
    empty("/workspace/open/closed");
    empty("/workspace");
    let closed = "/workspace/open/closed 2 deletions".to_owned();
    let open = "/workspace/open 2 deletions".to_owned();
    assert_eq!(
        emptied(&v, "ann", "/workspace/open"),
        [closed.clone(), open.clone()]
    );
    assert_eq!(emptied(&v, "ann", "/workspace/open/closed"), [closed]);
    assert_eq!(emptied(&v, "ben", "/"), [open]);
}

/// Something that is gone, and behind it many deletions that were undone; what a list costs, and to find the newest change, in statements.
fn undone_again(many: usize) -> [u64; 2] {
    let v = Village::new();
    let (ann, engine) = (v.person("ann"), &v.nexus.engine);
    v.write(&ann, "/workspace/old", b"x").unwrap();
    v.must(&ann, "remove", &json!({"path": "/workspace/old"}));
    let root = engine.root(&ann).unwrap();
    let named = |name: String| crate::core::Name::new(name.as_bytes()).unwrap();
    let dir = engine.lookup(&ann, root, &named("workspace".to_owned()));
    let dir = dir.unwrap().ino;
    let all = || (0..many).map(|n| named(format!("d{n}")));
    for name in all() {
        engine.mkdir(&ann, dir, &name, 0o755).unwrap();
    }
    let first = head(&v) + 1;
    for name in all() {
        engine.rmdir(&ann, dir, &name).unwrap();
    }
    let ops = format!("{first}-{}", head(&v));
    v.must(&ann, "undo", &json!({ "ops": ops }));
    engine.settle().unwrap();
    let statements = || engine.store().counters().statements;
    let before = statements();
    let told = v.must(&ann, "trash-list", &json!({"limit": 3}));
    let list = statements() - before;
    assert_eq!(told["deleted"].as_array().unwrap().len(), 1);
    assert_eq!(told["deleted"][0]["path"], "/workspace/old");
    let before = statements();
    let told = v.must(&ann, "undo", &json!({"newest": true, "dry_run": true}));
    assert_eq!(told["newest"]["op"], first - 1);
    [list, statements() - before]
}

fn head(v: &Village) -> u64 {
    v.nexus.engine.head(TenantId(1)).unwrap().0
}

#[test]
fn what_was_undone_is_leapt_over() {
    let costs = [1100, 2100].map(undone_again);
    // Which operations an undo was of is read, some dozens at a time.
    for (n, more) in [10, 50].into_iter().enumerate() {
        assert!(costs[1][n] <= costs[0][n] + more, "{costs:?} statements");
    }
}

#[test]
fn what_was_made_and_deleted_and_both_undone_is_as_if_it_had_not_been() {
    let v = Village::new();
    let ann = v.person("ann");
    let first = head(&v) + 1;
    v.write(&ann, "/workspace/brief", b"x").unwrap();
    v.must(&ann, "remove", &json!({"path": "/workspace/brief"}));
    assert_eq!(shown(&v, "ann"), ["/workspace/brief"]);
    v.must(&ann, "mkdir", &json!({"path": "/workspace/stays"}));
    let ops = format!("{first}-{}", head(&v));
    let done = v.must(&ann, "undo", &json!({ "ops": ops }));
    assert_eq!(shown(&v, "ann"), Vec::<String>::new());
    let ops = done["op"].to_string();
    v.must(&ann, "undo", &json!({ "ops": ops }));
    assert_eq!(shown(&v, "ann"), ["/workspace/brief"]);
}
