//! What administrators did by their word alone, and who was refused what is theirs.

use super::principals::{TENANT, make};
use super::*;
use crate::core::{Error, Op};
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
    // Anybody may write into the workspace: taking a name out of it is no bypass.
    assert_eq!(notes, [("/workspace/diary".to_owned(), "read".to_owned())]);
    w.assert_sound();
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
