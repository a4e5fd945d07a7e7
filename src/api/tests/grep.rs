//! What a search finds is what its asker may read, page by page.

use super::{Village, boss};
use crate::core::{Caller, FsPath, TenantId};
use crate::fs::{Access, OpenFlags};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every match, as PATH:LINE:TEXT, however many pages it takes, and what could not be read.
fn all(v: &Village, who: &Caller, body: &Value) -> (Vec<String>, Vec<String>) {
    let (mut found, mut unread, mut asked) = (Vec::new(), Vec::new(), body.clone());
    loop {
        let page = v.must(who, "grep", &asked);
        let text = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
        for m in page["found"].as_array().unwrap() {
            found.push(format!(
                "{}:{}:{}",
                text(m, "path"),
                m["line"],
                text(m, "text")
            ));
        }
        unread.extend(
            page["unread"]
                .as_array()
                .unwrap()
                .iter()
                .map(|u| text(u, "path")),
        );
        if page["next"].is_null() {
            return (found, unread);
        }
        asked["from"] = page["next"].clone();
    }
}

fn found(v: &Village, who: &Caller, body: &Value) -> Vec<String> {
    all(v, who, body).0
}

fn write(v: &Village, at: &str, bytes: &[u8]) {
    v.write(&boss(), at, bytes).unwrap();
}

fn write_as(v: &Village, at: &str, bytes: &[u8], mode: &str) {
    write(v, at, bytes);
    v.must(&boss(), "chmod", &json!({"path": at, "mode": mode}));
}

#[test]
fn a_search_finds_what_its_asker_may_read() {
    let v = Village::new();
    let ann = v.person("ann");
    for (dir, mode) in [("d", "0755"), ("d/open", "0755"), ("d/closed", "0700")] {
        let at = format!("/workspace/{dir}");
        v.must(&boss(), "mkdir", &json!({ "path": at }));
        v.must(&boss(), "chmod", &json!({"path": at, "mode": mode}));
    }
    write_as(&v, "/workspace/d/open/a", b"one\nneedle a\n", "0644");
    write_as(&v, "/workspace/d/open/b", b"needle b", "0600");
    write_as(&v, "/workspace/d/closed/c", b"needle c\n", "0644");
    write_as(&v, "/workspace/d/z", b"Needle z\nneedle z\n", "0644");
    let ask = json!({"pattern": "need.e", "path": "/workspace/d"});
    let (matches, unread) = all(&v, &ann, &ask);
    let own = [
        "/workspace/d/open/a:2:needle a",
        "/workspace/d/z:2:needle z",
    ];
    assert_eq!(matches, own);
    assert_eq!(unread, ["/workspace/d/open/b", "/workspace/d/closed"]);
    assert_eq!(found(&v, &boss(), &ask).len(), 4);
    let other = Caller {
        tenant: Some(TenantId(2)),
        ..ann.clone()
    };
    assert!(v.ask(&other, "grep", &ask).is_err());

    // A share opens it; the past is judged by today.
    let before = v.nexus.engine.head(TenantId(1)).unwrap().0;
    v.must(
        &boss(),
        "rebac-grant",
        &json!({"path": "/workspace/d/closed", "subject": "user:ann", "relation": "can_read"}),
    );
    assert_eq!(found(&v, &ann, &ask).len(), 3);
    let then = json!({"pattern": "needle", "path": format!("/.at/op:{before}/workspace/d")});
    assert_eq!(found(&v, &ann, &then).len(), 3);
    v.must(&boss(), "remove", &json!({"path": "/workspace/d/z"}));
    assert_eq!(found(&v, &ann, &ask).len(), 2);
    assert_eq!(found(&v, &ann, &then).len(), 3);
    v.must(
        &boss(),
        "acl-set",
        &json!({"path": "/workspace/d/open/a", "entry": "deny:user:ann:r--"}),
    );
    assert_eq!(found(&v, &ann, &then).len(), 2);
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let v = Village::new();
    let line = |n: usize| format!("line {n} of a file with a word in it");
    let text = |upto: usize| (1..=upto).map(|n| line(n) + "\n").collect::<String>();
    // More matches than a page has, and after them more bytes than one looks at, with one at the end.
    write_as(&v, "/workspace/a", text(2500).as_bytes(), "0644");
    let mut long = vec![b'.'; 70 << 20];
    long.iter_mut().step_by(100).for_each(|b| *b = b'\n');
    long.extend_from_slice(b"\nthe last word");
    let last = memchr::memchr_iter(b'\n', &long).count() + 1;
    write_as(&v, "/workspace/b", &long, "0644");
    write_as(&v, "/workspace/c", b"a word", "0644");
    let ask = json!({"pattern": "WORD", "path": "/workspace", "ignore_case": true});
    let mut expected: Vec<_> = (1..=2500)
        .map(|n| format!("/workspace/a:{n}:{}", line(n)))
        .collect();
    expected.push(format!("/workspace/b:{last}:the last word"));
    expected.push("/workspace/c:1:a word".to_owned());
    let matches = found(&v, &boss(), &ask);
    let wrong = matches
        .iter()
        .zip(&expected)
        .find(|(is, should)| is != should);
    assert_eq!((matches.len(), wrong), (expected.len(), None));
    let few = json!({"pattern": "word", "path": "/workspace", "limit": 1});
    let firsts = [&expected[0], &expected[2500], &expected[2501]];
    assert!(found(&v, &boss(), &few).iter().eq(firsts));
}

/// How many statements the page takes that comes after a thousand matches, in a directory where `many` files were before; it has
/// one file to look at.
fn statements(v: &Village, many: usize) -> u64 {
    let dir = format!("/workspace/d{many}");
    v.must(&boss(), "mkdir", &json!({ "path": dir }));
    for n in 0..many {
        write(v, &format!("{dir}/f{n}"), b"");
    }
    write(v, &format!("{dir}/a"), &b"word\n".repeat(1000));
    write(v, &format!("{dir}/b"), b"the last word");
    let mut ask = json!({"pattern": "word", "path": dir});
    let first = v.must(&boss(), "grep", &ask);
    assert_eq!(first["next"]["path"], format!("{dir}/a"));
    ask["from"] = first["next"].clone();
    let store = v.nexus.engine.store();
    store.settle().unwrap();
    v.nexus.engine.drop_caches();
    let before = store.counters().statements;
    let page = v.must(&boss(), "grep", &ask);
    let asked = store.counters().statements - before;
    assert_eq!(page["found"].as_array().unwrap().len(), 1);
    assert!(page["next"].is_null());
    asked
}

#[test]
fn a_page_lists_nothing_that_an_earlier_one_has_passed() {
    let v = Village::new();
    let (few, many) = (statements(&v, 2), statements(&v, 2500));
    println!("{few} and {many} statements");
    assert_eq!(few, many);
}

/// How many matches each file below a directory has, from a place on.
fn count(v: &Village, dir: &str, mut from: Value) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    loop {
        let ask = json!({"pattern": "word", "path": dir, "from": from});
        let page = v.must(&boss(), "grep", &ask);
        for m in page["found"].as_array().unwrap() {
            let below = &m["path"].as_str().unwrap()[dir.len() + 1..];
            *counts.entry(below.to_owned()).or_default() += 1;
        }
        from = page["next"].clone();
        if from.is_null() {
            return counts;
        }
    }
}

#[track_caller]
fn is(found: &BTreeMap<String, u32>, expected: &[(&str, u32)]) {
    let found = found.iter().map(|(name, n)| (name.as_str(), *n));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn a_search_goes_on_while_names_come_and_go() {
    let v = Village::new();
    for dir in ["d", "d/sub", "d/sub/deep"] {
        let at = format!("/workspace/{dir}");
        v.must(&boss(), "mkdir", &json!({ "path": at }));
    }
    let text = b"word\n".repeat(1500);
    for name in ["sub/deep/long", "sub/deep/next", "sub/z", "behind"] {
        write(&v, &format!("/workspace/d/{name}"), &text);
    }
    let op = v.nexus.engine.head(TenantId(1)).unwrap().0;
    let ask = json!({"pattern": "word", "path": "/workspace/d"});
    let begin = v.must(&boss(), "grep", &ask)["next"].clone();
    let rest = || count(&v, "/workspace/d", begin.clone());
    let remove = |name: &str| {
        let path = format!("/workspace/d/{name}");
        v.must(&boss(), "remove", &json!({"path": path, "recursive": true}));
    };
    let (next, z, behind) = (("sub/deep/next", 1500), ("sub/z", 1500), ("behind", 1500));
    is(&rest(), &[behind, ("sub/deep/long", 500), next, z]);
    // Made meanwhile, before and behind.
    write(&v, "/workspace/d/a", b"word");
    let a = ("a", 1);
    is(&rest(), &[a, behind, ("sub/deep/long", 500), next, z]);
    // Another file is in the place of the one that it was in.
    remove("sub/deep/long");
    write(&v, "/workspace/d/sub/deep/long", b"a word");
    is(&rest(), &[a, behind, ("sub/deep/long", 1), next, z]);
    // The directory that it was in is gone, or elsewhere.
    remove("sub/deep");
    is(&rest(), &[a, behind, z]);
    let to = json!({"from": "/workspace/d/sub", "to": "/workspace/d/moved"});
    v.must(&boss(), "move", &to);
    is(&rest(), &[a, behind, ("moved/z", 1500)]);
    remove("moved");
    is(&rest(), &[a, behind]);
    // What was is whole.
    let then = count(&v, &format!("/.at/op:{op}/workspace/d"), Value::Null);
    is(&then, &[behind, ("sub/deep/long", 1500), next, z]);
}

#[test]
fn patterns_and_files_are_what_they_are() {
    let v = Village::new();
    write_as(&v, "/workspace/binary", b"a\0b needle\n", "0644");
    write_as(&v, "/workspace/text", b"a.c\nabc\n\xff needle\n", "0644");
    let ask = |pattern: &str, fixed: bool| {
        let body = json!({"pattern": pattern, "fixed": fixed, "path": "/workspace"});
        v.must(&boss(), "grep", &body)["found"].clone()
    };
    let lines = |found: &Value| {
        let lines = found.as_array().unwrap().iter();
        lines
            .map(|m| m["line"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&ask("a.c", false)), [1, 2]);
    assert_eq!(lines(&ask("a.c", true)), [1]);
    assert_eq!(lines(&ask("^abc$", false)), [2]);
    // Of a binary file only that it has it.
    assert_eq!(lines(&ask("needle", false)), [0, 3]);
    assert_eq!(ask("needle", false)[0]["text"], "");
    let body = json!({"pattern": "needle", "path": "/workspace/many", "binary_lines": true});
    write(&v, "/workspace/many", &b"needle \0\n needle\0".repeat(1234));
    assert_eq!(found(&v, &boss(), &body), vec!["/workspace/many:0:"; 2468]);
    let few =
        json!({"pattern": "needle", "path": "/workspace/many", "binary_lines": true, "limit": 3});
    assert_eq!(found(&v, &boss(), &few).len(), 3);
    v.must(&boss(), "remove", &json!({"path": "/workspace/many"}));
    for bad in ["(", "a\nb", &"(a{100}){100}{100}".repeat(9)] {
        let refused = v
            .ask(
                &boss(),
                "grep",
                &json!({"pattern": bad, "path": "/workspace"}),
            )
            .unwrap_err();
        assert_eq!(refused.kind(), crate::core::Kind::Invalid, "{refused:?}");
    }
}

#[test]
fn holes_are_passed_by() {
    const HOLE: u64 = 1 << 40;
    let v = Village::new();
    write(&v, "/workspace/f", b"needle\n");
    let (e, path) = (&v.nexus.engine, FsPath::parse(b"/workspace/f").unwrap());
    let file = e.resolve(&boss(), &path).unwrap();
    let file = e.open(&boss(), file.ino, OpenFlags::new(Access::Write));
    let file = file.unwrap();
    for (at, bytes) in [(HOLE, "\nneedle two\nneedle three\n"), (2 * HOLE, "end")] {
        e.write(&boss(), file, at, bytes.as_bytes()).unwrap();
    }
    e.flush(&boss(), file).unwrap();
    e.release(&boss(), file).unwrap();
    let ask = |pattern: &str, lines: bool| {
        let body = json!({"pattern": pattern, "path": "/workspace/f", "binary_lines": lines});
        all(&v, &boss(), &body)
    };
    let binary = "/workspace/f:0:".to_owned();
    assert_eq!(ask("two", false).0, std::slice::from_ref(&binary));
    assert_eq!(ask("end|two|three", true).0.len(), 3);
    assert_eq!(ask("nothing", false).0.len(), 0);
    assert_eq!(ask("^$", false).0, [binary]);
    // Each byte of a hole is a line that has nothing in it.
    let (_, unread) = ask("^$", true);
    assert_eq!(unread, ["/workspace/f"]);
}
