//! What administrators did by their word alone, and who was refused what is theirs.

mod counted;

use super::principals::{TENANT, make};
use super::*;
use crate::core::{Error, Op, Time};
use crate::fs::SetAttr;
use crate::meta::{OpKind, Record, Request, log};

fn records(w: &World, kind: OpKind) -> Vec<Record> {
    w.engine().write_bypasses().unwrap();
    let mut tx = w.engine().store().read().unwrap();
    let all = log::after(&mut *tx, TENANT, Op(0), 1000).unwrap();
    let all = all.into_iter().map(|(record, _)| record);
    all.filter(|r| r.kind == kind).collect()
}

#[test]
fn what_only_an_administrators_word_allows_is_in_the_log_once() {
    let w = World::new();
    let alice = make(&w, "alice");
    let admin = Caller {
        admin: true,
        ..make(&w, "rita")
    };
    w.write(&alice, "/workspace/diary", b"dear").unwrap();
    w.read(&alice, "/workspace/diary").unwrap();
    assert_eq!(records(&w, OpKind::Bypass), []);
    for _ in 0..2 {
        assert_eq!(w.read(&admin, "/workspace/diary").unwrap(), b"dear");
        let found = records(&w, OpKind::Bypass);
        let [read] = &*found else { panic!("{found:?}") };
        assert_eq!(read.path, b"/workspace/diary");
        assert_eq!(read.author.user.as_deref(), Some("rita"));
        assert_eq!(read.note().as_deref(), Some("read"));
    }
    w.write(&admin, "/workspace/own", b"").unwrap();
    w.read(&admin, "/workspace/own").unwrap();
    let (dir, name) = (w.workspace(), name("diary"));
    w.engine().unlink(&admin, dir, &name).unwrap();
    let notes: Vec<_> = records(&w, OpKind::Bypass)
        .iter()
        .map(|r| (r.path_text(), r.note().unwrap()))
        .collect();
    // Anybody may write into the workspace, but what is in it is its owners'.
    let diary = |note: &str| ("/workspace/diary".to_owned(), note.to_owned());
    assert_eq!(notes, [diary("read"), diary("owner's")]);
    w.assert_sound();
}

/// What is open to all in a directory that is closed is reached by his word as well; and each hour is told of.
#[test]
fn a_search_is_told_and_told_again_in_the_next_hour() {
    let hour = |n: i64| Time(n * 3_600_000_000_000);
    let w = permissions::time::world_at(hour(100));
    let alice = make(&w, "alice");
    let admin = Caller {
        admin: true,
        ..make(&w, "rita")
    };
    permissions::mkdir(&w, &alice, "/workspace/a");
    let at = w.write(&alice, "/workspace/a/f", b"dear").unwrap();
    let set = |ino, mode| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        w.engine().setattr(&alice, ino, &set, None).unwrap();
    };
    set(permissions::ino(&w, "/workspace/a"), 0o700);
    set(at, 0o644);
    let told = || {
        w.read(&admin, "/workspace/a/f").unwrap();
        let mut found = records(&w, OpKind::Bypass);
        found.retain(|r| r.author.user.as_deref() == Some("rita"));
        let told = found.iter();
        told.map(|r| format!("{} {}", r.note().unwrap(), r.path_text()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (told(), told()),
        (
            vec!["read /workspace/a".to_owned()],
            vec!["read /workspace/a".to_owned()]
        )
    );
    w.engine().clock().set(hour(101));
    assert_eq!(told(), ["read /workspace/a"; 2]);
}

#[test]
fn a_walk_over_what_is_others_is_a_record_or_two_a_directory() {
    let w = World::new();
    let alice = make(&w, "alice");
    let admin = Caller {
        admin: true,
        ..make(&w, "rita")
    };
    for dir in ["/workspace/a", "/workspace/a/b"] {
        permissions::mkdir(&w, &alice, dir);
        for n in 0..50 {
            w.write(&alice, &format!("{dir}/f{n}"), b"dear").unwrap();
        }
    }
    let walk = |who: &Caller| {
        for dir in ["/workspace/a", "/workspace/a/b"] {
            let ino = permissions::ino(&w, dir);
            w.engine().list(who, ino).unwrap();
            for n in 0..50 {
                w.read(who, &format!("{dir}/f{n}")).unwrap();
            }
        }
    };
    walk(&admin);
    walk(&admin);
    let told = |of: &[Record]| -> Vec<_> {
        let one = |r: &Record| format!("{} {}", r.note().unwrap(), r.path_text());
        of.iter().map(one).collect()
    };
    let first = [
        "read /workspace/a",
        "read /workspace/a/f0",
        "read what is in it /workspace/a",
        "read /workspace/a/b/f0",
        "read what is in it /workspace/a/b",
    ];
    // And not of whom the test asks for numbers.
    let ritas = || {
        let mut found = records(&w, OpKind::Bypass);
        found.retain(|r| r.author.user.as_deref() == Some("rita"));
        found
    };
    let mut found = ritas();
    found.sort_by_key(|r| r.op);
    let mut all = told(&found);
    all.sort();
    let mut expected = first.map(str::to_owned);
    expected.sort();
    assert_eq!(all, expected);
    // Another session is told of as well, and what is changed is told one by one.
    let later = Caller {
        session: Some("later".into()),
        ..admin.clone()
    };
    walk(&later);
    for n in 0..3 {
        let at = permissions::ino(&w, &format!("/workspace/a/f{n}"));
        let open = SetAttr {
            mode: Some(0o640),
            ..SetAttr::default()
        };
        w.engine().setattr(&admin, at, &open, None).unwrap();
    }
    let all = told(&ritas());
    assert_eq!(all.len(), 2 * first.len() + 3);
    let changed = all
        .iter()
        .filter(|told| told.starts_with("owner's /workspace/a/f"));
    assert_eq!(changed.count(), 3);
    w.assert_sound();
}

#[test]
fn what_the_superuser_may_as_an_administrator_is_in_the_log_and_what_is_his_own_is_not() {
    let w = World::new();
    let alice = make(&w, "alice");
    let root = Caller {
        admin: true,
        comm: None,
        ..person("root", 0)
    };
    w.write(&alice, "/workspace/diary", b"dear").unwrap();
    w.write(&root, "/workspace/own", b"").unwrap();
    let own = permissions::ino(&w, "/workspace/own");
    let shut = SetAttr {
        mode: Some(0),
        ..SetAttr::default()
    };
    w.engine().setattr(&root, own, &shut, None).unwrap();
    w.read(&root, "/workspace/own").unwrap();
    permissions::unlink(&w, &root, "/workspace/own").unwrap();
    assert_eq!(records(&w, OpKind::Bypass), []);
    w.read(&root, "/workspace/diary").unwrap();
    permissions::give(&w, &root, "/workspace/diary", "owner", "alice");
    let found = records(&w, OpKind::Bypass);
    let mut notes: Vec<_> = found.iter().map(|r| r.note().unwrap()).collect();
    notes.sort();
    assert_eq!(notes, ["owner's", "read"]);
    // As it was called when it did so.
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert!(found.iter().all(|r| r.author.comm == own.trim_end()));
    assert!(found.iter().all(|r| r.path == b"/workspace/diary"));
    w.assert_sound();
}

#[test]
fn a_refusal_is_in_the_log_once_a_session() {
    let w = World::new();
    let bob = make(&w, "bob");
    let refused = w.engine().create_group(&bob, "gang", None).unwrap_err();
    let mut later = bob.clone();
    later.session = Some("later".into());
    for who in [&bob, &bob, &later] {
        for command in ["group-create", "rebac-check"] {
            for name in ["gang", "band"] {
                let asked = Request::from([("group".to_owned(), name.to_owned())]);
                let request = (command, &asked);
                w.engine().write_refusal(who, request, &refused).unwrap();
            }
        }
    }
    assert_eq!(records(&w, OpKind::Refused).len(), 8);
}

#[test]
fn a_refusal_of_what_is_an_administrators_is_in_the_log_and_others_are_not() {
    let w = World::new();
    let bob = make(&w, "bob");
    let refused = w.engine().create_group(&bob, "gang", None).unwrap_err();
    let missing = Error::new(Kind::NotFound, "no such thing");
    let asked = Request::from([("group".to_owned(), "gang".to_owned())]);
    for why in [&refused, &missing] {
        let request = ("group-create", &asked);
        w.engine().write_refusal(&bob, request, why).unwrap();
    }
    let found = records(&w, OpKind::Refused);
    let [record] = &*found else {
        panic!("{found:?}")
    };
    assert_eq!(record.author.user.as_deref(), Some("bob"));
    assert_eq!(record.subject().as_deref(), Some("group-create"));
    assert_eq!(record.note().as_deref(), Some(refused.message()));
    assert_eq!(record.particulars().asked, asked);
}
