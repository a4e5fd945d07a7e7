//! Files and trees compared with what they were.

use super::{head, world};
use crate::core::{Caller, Kind};
use crate::fs::tests::permissions::{ino, mkdir, rename, unlink};
use crate::fs::tests::{World, alice, bob, path, refused};
use crate::fs::{RenameMode, SetAttr};
use crate::history::{Change, Choice, Compared, compare, undo};

const F: &str = "/workspace/f";

fn text(w: &World, words: (Option<&str>, &str)) -> String {
    match compare(w.engine(), &alice(), &path(F), words).unwrap().2 {
        Compared::Text(text) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn trees(w: &World, who: &Caller, at: &str, words: (&str, &str)) -> Vec<(String, Change)> {
    let words = (Some(words.0), words.1);
    match compare(w.engine(), who, &path(at), words).unwrap().2 {
        Compared::Trees(found) => found
            .all
            .into_iter()
            .map(|d| (String::from_utf8(d.path).unwrap(), d.change))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_compared_line_by_line_by_version_and_by_time() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"a\nb\n").unwrap();
    let first = format!("op:{}", head(&w));
    w.write(&who, F, b"a\nB\n").unwrap();
    w.write(&who, F, b"a\nB\nc\n").unwrap();
    let told = text(&w, (None, "now"));
    assert!(told.contains("@@ -1,2 +1,3 @@\n a\n B\n+c\n"), "{told}");
    assert!(told.starts_with("--- workspace/f\top:"), "{told}");
    assert!(told.contains("\n+++ workspace/f\top:"), "{told}");
    let told = text(&w, (Some("1"), "2"));
    assert!(told.contains("-b\n+B\n"), "{told}");
    assert_eq!(text(&w, (Some("2"), "2")), "");
    assert!(text(&w, (Some(&first), "now")).contains("-b\n+B\n+c\n"));
    refused(
        compare(w.engine(), &who, &path(F), (Some("9"), "now")),
        Kind::NotFound,
    );
    refused(
        compare(w.engine(), &who, &path(F), (Some("soon"), "now")),
        Kind::NotFound,
    );
    // Against when it was not there yet, and is not there any more.
    unlink(&w, &who, F).unwrap();
    assert!(text(&w, (Some(&first), "now")).contains("-a\n-b\n"));
    assert!(text(&w, (None, "now")).contains("-a\n-B\n-c\n"));
    let before = "op:1";
    refused(
        compare(w.engine(), &who, &path(F), (Some(before), "now")),
        Kind::NotFound,
    );
}

#[test]
fn bytes_are_told_to_differ_or_not() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"\0one").unwrap();
    w.write(&who, F, b"\0two").unwrap();
    let told = |words| compare(w.engine(), &who, &path(F), words).unwrap().2;
    assert!(matches!(
        told((None, "now")),
        Compared::Bytes { differ: true }
    ));
    assert!(matches!(
        told((Some("2"), "now")),
        Compared::Bytes { differ: false }
    ));
}

#[test]
fn trees_tell_what_came_went_and_changed_and_nothing_else() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    for dir in ["p", "p/same", "p/deep", "p/deep/er", "p/gone"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    for file in [
        "p/same/f",
        "p/deep/er/f",
        "p/gone/f",
        "p/a",
        "p/mode",
        "p/moved",
        "p/x",
    ] {
        w.write(&who, &format!("/workspace/{file}"), file.as_bytes())
            .unwrap();
    }
    mkdir(&w, &who, "/workspace/p/y");
    let op = format!("op:{}", head(&w));
    w.write(&who, "/workspace/p/deep/er/f", b"changed").unwrap();
    w.write(&who, "/workspace/p/new", b"n").unwrap();
    w.write(&who, "/workspace/p/short", b"lived").unwrap();
    unlink(&w, &who, "/workspace/p/short").unwrap();
    unlink(&w, &who, "/workspace/p/gone/f").unwrap();
    let at = path("/workspace/p/gone");
    let (dir, name) = e.resolve_parent(&who, &at).unwrap();
    e.rmdir(&who, dir, name).unwrap();
    let set = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    e.setattr(&who, ino(&w, "/workspace/p/mode"), &set, None)
        .unwrap();
    rename(&w, &who, "/workspace/p/moved", "/workspace/p/deep/moved").unwrap();
    // Two that change places, and one of them moves on.
    let (x, y) = (path("/workspace/p/x"), path("/workspace/p/y"));
    let (x, y) = (
        e.resolve_parent(&who, &x).unwrap(),
        e.resolve_parent(&who, &y).unwrap(),
    );
    e.rename(&who, x, y, RenameMode::Exchange).unwrap();
    let wanted = [
        ("deep/er/f", Change::Content),
        ("deep/moved", Change::Added),
        ("gone", Change::Removed),
        ("gone/f", Change::Removed),
        ("mode", Change::Attributes),
        ("moved", Change::Removed),
        ("new", Change::Added),
        ("x", Change::Added),
        ("x", Change::Removed),
        ("y", Change::Added),
        ("y", Change::Removed),
    ];
    let mut found = trees(&w, &who, "/workspace/p", (&op, "now"));
    found.sort_by(|a, b| (&a.0, format!("{:?}", a.1)).cmp(&(&b.0, format!("{:?}", b.1))));
    let found: Vec<_> = found.iter().map(|(p, c)| (p.as_str(), *c)).collect();
    assert_eq!(found, wanted);
    let found = trees(&w, &who, "/workspace", (&op, "now"));
    assert_eq!(found.len(), wanted.len());
    assert!(trees(&w, &who, "/", (&op, &op)).is_empty());
    // Backwards, what came has gone.
    let back = trees(&w, &who, "/workspace/p", ("now", &op));
    assert!(back.contains(&("new".to_owned(), Change::Removed)));
    refused(
        compare(e, &who, &path("/workspace/p"), (None, "now")),
        Kind::Invalid,
    );
}

#[test]
fn a_move_and_a_link_are_found_wherever_they_are() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    for dir in ["a", "b", "c"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    w.write(&who, "/workspace/a/f", b"1").unwrap();
    let to = path("/workspace/b/g");
    let (dir, name) = e.resolve_parent(&who, &to).unwrap();
    e.link(&who, ino(&w, "/workspace/a/f"), dir, name).unwrap();
    let op = format!("op:{}", head(&w));
    // Written through one name, it differs under both.
    w.write(&who, "/workspace/a/f", b"22").unwrap();
    let found = trees(&w, &who, "/workspace", (&op, "now"));
    let both = [
        ("a/f".to_owned(), Change::Content),
        ("b/g".to_owned(), Change::Content),
    ];
    assert_eq!(found, both);
    let op = format!("op:{}", head(&w));
    rename(&w, &who, "/workspace/b", "/workspace/c/b").unwrap();
    let found = trees(&w, &who, "/workspace", (&op, "now"));
    let paths: Vec<_> = found.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["b", "b/g", "c/b", "c/b/g"]);
}

#[test]
fn a_directory_that_is_not_there_at_one_of_the_times_differs_in_all_it_has() {
    let w = world();
    let who = alice();
    let before = format!("op:{}", head(&w));
    mkdir(&w, &who, "/workspace/d");
    w.write(&who, "/workspace/d/f", b"f").unwrap();
    let then = format!("op:{}", head(&w));
    unlink(&w, &who, "/workspace/d/f").unwrap();
    let (ws, name) = (w.workspace(), crate::fs::tests::name("d"));
    w.engine().rmdir(&who, ws, &name).unwrap();
    let all = |change| vec![(String::new(), change), ("f".to_owned(), change)];
    let told = trees(&w, &who, "/workspace/d", (&then, "now"));
    assert_eq!(told, all(Change::Removed));
    let told = trees(&w, &who, "/workspace/d", (&before, &then));
    assert_eq!(told, all(Change::Added));
}

#[test]
fn a_directory_that_may_not_be_listed_is_not_compared() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    let op = format!("op:{}", head(&w));
    w.write(&who, "/workspace/d/f", b"f").unwrap();
    let told = trees(&w, &who, "/workspace/d", (&op, "now"));
    assert_eq!(told, [("f".to_owned(), Change::Added)]);
    let set = SetAttr {
        mode: Some(0o711),
        ..SetAttr::default()
    };
    let dir = ino(&w, "/workspace/d");
    w.engine().setattr(&who, dir, &set, None).unwrap();
    for words in [(&*op, "now"), ("now", "now")] {
        let words = (Some(words.0), words.1);
        let refusal = compare(w.engine(), &bob(), &path("/workspace/d"), words);
        refused(refusal, Kind::Denied);
    }
}

#[test]
fn a_file_that_was_written_often_costs_a_comparison_no_more() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    mkdir(&w, &who, "/workspace/d/e");
    w.write(&who, "/workspace/d/e/f", b"f").unwrap();
    let cost = |times: u8| {
        let op = format!("op:{}", head(&w));
        for n in 0..times {
            w.write(&who, "/workspace/d/e/f", &[n]).unwrap();
        }
        w.engine().settle().unwrap();
        let asked = || w.engine().store().counters().statements;
        let before = asked();
        let told = trees(&w, &who, "/workspace/d", (&op, "now"));
        assert_eq!(told, [("e/f".to_owned(), Change::Content)]);
        asked() - before
    };
    let (once, often) = (cost(1), cost(200));
    assert!(often < once + 20, "{once} and {often} statements");
}

/// Statements that a comparison of a directory with what it is now makes, with nothing in the caches; and what it tells.
fn compared(w: &World, at: &str, op: &str) -> (u64, Vec<(String, Change)>) {
    w.engine().settle().unwrap();
    w.engine().drop_caches();
    let asked = || w.engine().store().counters().statements;
    let before = asked();
    let told = trees(w, &alice(), at, (op, "now"));
    (asked() - before, told)
}

#[test]
fn a_comparison_does_not_pay_for_what_was_done_elsewhere() {
    let w = world();
    let who = alice();
    for dir in ["d", "d/e", "other"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    w.write(&who, "/workspace/d/e/f", b"f").unwrap();
    let cost = |elsewhere: u32| {
        let op = format!("op:{}", head(&w));
        w.write(&who, "/workspace/d/e/f", &elsewhere.to_be_bytes())
            .unwrap();
        for n in 0..elsewhere {
            w.write(&who, &format!("/workspace/other/{elsewhere}-{n}"), b"x")
                .unwrap();
        }
        let (asked, told) = compared(&w, "/workspace/d", &op);
        assert_eq!(told, [("e/f".to_owned(), Change::Content)]);
        asked
    };
    let (little, much) = (cost(1), cost(300));
    println!("{little} and {much} statements");
    assert!(much < little + 20);
}

/// The log does not say what an undo has changed: the rows do.
#[test]
fn of_a_large_tree_only_what_may_differ_is_listed() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let dir = |n: u32| format!("/workspace/big/d{n}");
    mkdir(&w, &who, "/workspace/big");
    for n in 0..60 {
        mkdir(&w, &who, &dir(n));
        mkdir(&w, &who, &format!("{}/sub", dir(n)));
        w.write(&who, &format!("{}/sub/f", dir(n)), b"f").unwrap();
    }
    w.write(&who, "/workspace/x", b"x").unwrap();
    let op = format!("op:{}", head(&w));
    let gone = ["/workspace/x", "/workspace/big/d3/sub/f"].map(|at| {
        unlink(&w, &who, at).unwrap();
        head(&w)
    });
    let choice = Choice {
        ops: gone.into_iter().collect(),
        ..Choice::default()
    };
    undo(e, &who, &choice).unwrap().op.unwrap();
    w.write(&who, "/workspace/big/d7/sub/f", b"other").unwrap();
    // Changed where it was not to be found by the path that it has at both times.
    rename(&w, &who, &dir(9), "/workspace/away").unwrap();
    w.write(&who, "/workspace/away/sub/f", b"other").unwrap();
    rename(&w, &who, "/workspace/away", &dir(9)).unwrap();
    let (asked, told) = compared(&w, "/workspace/big", &op);
    let wanted = ["d7/sub/f", "d9/sub/f"].map(|at| (at.to_owned(), Change::Content));
    assert_eq!(told, wanted);
    println!("{asked} statements");
    assert!(asked < 150, "{asked}");
}
