//! Versions of a file, and whose its lines are.

use super::{head, world};
use crate::core::{Caller, Kind, Op};
use crate::fs::tests::permissions::{ino, mkdir, rename, unlink};
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::{World, alice, bob, name, path, person, refused};
use crate::fs::{Access, OpenFlags, SetAttr};
use crate::history::{Choice, Compared, Line, Version, blame, compare, undo, version, versions};
use crate::meta::OpKind;

const F: &str = "/workspace/f";

fn told(w: &World, who: &Caller, at: &str) -> Vec<Version> {
    versions(w.engine(), who, &path(at)).unwrap()
}

fn sizes(versions: &[Version]) -> Vec<u64> {
    versions.iter().map(|v| v.node.size).collect()
}

fn chmod(w: &World, at: &str, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine()
        .setattr(&alice(), ino(w, at), &set, None)
        .unwrap();
}

/// What a version's bytes are.
fn bytes(w: &World, who: &Caller, number: u64) -> Vec<u8> {
    let e = w.engine();
    let found = version(e, who, &path(F), number).unwrap();
    let handle = e.open_at(who, found.at, found.node.ino).unwrap();
    let bytes = e.read(handle, 0, 1 << 20).unwrap().to_vec();
    e.release(who, handle).unwrap();
    bytes
}

#[test]
fn each_completed_change_of_the_content_is_a_version_with_a_name_on_it() {
    let w = world();
    let agent = Caller {
        agent: Some("fixer".into()),
        session: Some("s1".into()),
        ..alice()
    };
    w.write(&alice(), F, b"1").unwrap();
    chmod(&w, F, 0o666);
    w.write(&agent, F, b"22").unwrap();
    chmod(&w, F, 0o644);
    w.write(&alice(), F, b"333").unwrap();
    let all = told(&w, &alice(), F);
    assert_eq!(sizes(&all), [1, 2, 3]);
    assert_eq!(all.iter().map(|v| v.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(all[0].record.kind, OpKind::Create);
    assert_eq!(all[1].record.author.session.as_deref(), Some("s1"));
    assert_eq!(all[1].record.author.agent.as_deref(), Some("fixer"));
    assert_eq!(bytes(&w, &alice(), 2), b"22");
    refused(version(w.engine(), &alice(), &path(F), 4), Kind::NotFound);
    mkdir(&w, &alice(), "/workspace/d");
    refused(
        versions(w.engine(), &alice(), &path("/workspace/d")),
        Kind::Invalid,
    );
    refused(
        versions(w.engine(), &alice(), &path("/workspace/none")),
        Kind::NotFound,
    );
}

#[test]
fn what_was_renamed_over_a_file_goes_on_where_it_was() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"1").unwrap();
    w.write(&who, F, b"22").unwrap();
    // As sed -i and most editors save.
    w.write(&who, "/workspace/tmp", b"333").unwrap();
    rename(&w, &who, "/workspace/tmp", F).unwrap();
    w.write(&who, F, b"4444").unwrap();
    assert_eq!(sizes(&told(&w, &who, F)), [1, 2, 3, 4]);
    assert_eq!(bytes(&w, &who, 1), b"1");
    // Moved away, and another one made: what the first becomes elsewhere is no version of this.
    rename(&w, &who, F, "/workspace/f~").unwrap();
    w.write(&who, F, b"55555").unwrap();
    w.write(&who, "/workspace/f~", b"elsewhere").unwrap();
    assert_eq!(sizes(&told(&w, &who, F)), [1, 2, 3, 4, 5]);
    assert_eq!(sizes(&told(&w, &who, "/workspace/f~")), [3, 4, 9]);
    unlink(&w, &who, F).unwrap();
    assert_eq!(sizes(&told(&w, &who, F)), [1, 2, 3, 4, 5]);
    assert_eq!(bytes(&w, &who, 5), b"55555");
}

/// What a file was under another name before it took this one from another file is no version of that.
#[test]
fn a_state_that_ended_before_a_file_took_the_name_is_no_version() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"1").unwrap();
    for save in [b"22", b"33"] {
        // As sed -i does it: made, written, renamed over.
        w.write(&who, "/workspace/sed", b"").unwrap();
        w.write(&who, "/workspace/sed", save).unwrap();
        rename(&w, &who, "/workspace/sed", F).unwrap();
    }
    w.write(&who, F, b"4444").unwrap();
    let all = told(&w, &who, F);
    assert_eq!(sizes(&all), [1, 2, 2, 4]);
    let made: Vec<_> = all.iter().map(|v| v.record.kind).collect();
    let renamed = OpKind::Rename;
    assert_eq!(made, [OpKind::Create, renamed, renamed, OpKind::Write]);
    // The moment of each shows it at the path.
    for version in all {
        let at = path(&super::then(version.at.op, F));
        let shown = w.engine().resolve(&who, &at).unwrap();
        assert_eq!(shown.content, version.node.content);
    }
    // Moved to a name that nobody has, it is the file that it was.
    rename(&w, &who, F, "/workspace/g").unwrap();
    assert_eq!(sizes(&told(&w, &who, "/workspace/g")), [0, 2, 4]);
}

#[test]
fn what_came_back_over_something_hidden_is_the_newest_version_and_what_was_before_stays() {
    let w = world();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    mkdir(&w, &alice, "/workspace/d");
    let shared = SetAttr {
        mode: Some(0o777),
        ..SetAttr::default()
    };
    let dir = ino(&w, "/workspace/d");
    w.engine().setattr(&alice, dir, &shared, None).unwrap();
    let at = "/workspace/d/f";
    w.write(&alice, at, b"1").unwrap();
    w.write(&alice, at, b"22").unwrap();
    let before = head(&w);
    // bob saves by another file, which is his alone.
    let hidden = w.write(&bob, "/workspace/d/new", b"333").unwrap();
    let closed = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    w.engine().setattr(&bob, hidden, &closed, None).unwrap();
    rename(&w, &bob, "/workspace/d/new", at).unwrap();
    refused(versions(w.engine(), &alice, &path(at)), Kind::Denied);
    undo_behind(&w, &boss(), before);
    let all = told(&w, &alice, at);
    assert_eq!(sizes(&all), [1, 2, 2]);
    assert_eq!(all[2].record.kind, OpKind::Undo);
    assert_eq!(sizes(&told(&w, &boss(), at)), [1, 2, 3, 2]);
}

#[test]
fn versions_that_somebody_may_not_read_are_left_out() {
    let w = world();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    w.write(&alice, F, b"1").unwrap();
    let set = |mode| SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine()
        .setattr(&alice, ino(&w, F), &set(0o600), None)
        .unwrap();
    refused(versions(w.engine(), &bob, &path(F)), Kind::Denied);
    unlink(&w, &alice, F).unwrap();
    refused(versions(w.engine(), &bob, &path(F)), Kind::NotFound);
    w.write(&alice, F, b"22").unwrap();
    w.engine()
        .setattr(&alice, ino(&w, F), &set(0o644), None)
        .unwrap();
    assert_eq!(sizes(&told(&w, &alice, F)), [1, 2]);
    assert_eq!(sizes(&told(&w, &bob, F)), [2]);
}

#[test]
fn a_link_has_the_versions_of_what_it_leads_to() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"1").unwrap();
    w.write(&who, F, b"22").unwrap();
    let ws = w.workspace();
    w.engine().symlink(&who, ws, &name("link"), b"f").unwrap();
    assert_eq!(sizes(&told(&w, &who, "/workspace/link")), [1, 2]);
}

#[test]
fn a_line_is_whose_version_brought_it() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"a\nb\nc\n").unwrap();
    chmod(&w, F, 0o666);
    w.write(&bob(), F, b"a\nB\nc\n").unwrap();
    w.write(&who, F, b"new\na\nB\nc\nlast").unwrap();
    let (all, lines) = blame(w.engine(), &who, &path(F)).unwrap();
    let whose: Vec<_> = lines.iter().map(|l| (&*l.text, l.version)).collect();
    let wanted: [(&[u8], u64); 5] = [
        (b"new\n", 3),
        (b"a\n", 1),
        (b"B\n", 2),
        (b"c\n", 1),
        (b"last", 3),
    ];
    assert_eq!(whose, wanted);
    assert_eq!(all[&2].record.author.user.as_deref(), Some("bob"));
    // Bytes in between have no lines to hand on.
    w.write(&who, F, b"\0\0").unwrap();
    refused(blame(w.engine(), &who, &path(F)), Kind::Unsupported);
    w.write(&who, F, b"a\n").unwrap();
    let (_, lines) = blame(w.engine(), &who, &path(F)).unwrap();
    assert_eq!(lines[0].version, 5);
}

/// A shell's `> F` empties the file and closes it before anything is written.
#[test]
fn an_empty_version_that_its_author_fills_takes_no_line_from_anybody() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"").unwrap();
    w.write(&who, F, b"a\nb\n").unwrap();
    chmod(&w, F, 0o666);
    w.write(&bob(), F, b"").unwrap();
    w.write(&bob(), F, b"a\nB\n").unwrap();
    let whose = |wanted: [(&str, u64); 2]| {
        let (of, lines) = blame(w.engine(), &who, &path(F)).unwrap();
        let user = |l: &Line| of[&l.version].record.author.user.clone().unwrap();
        let told: Vec<_> = lines.iter().map(|l| (user(l), l.version)).collect();
        assert_eq!(told, wanted.map(|(user, n)| (user.to_owned(), n)));
    };
    whose([("alice", 2), ("bob", 4)]);
    let words = (None, "now");
    let (old, _, compared) = compare(w.engine(), &who, &path(F), words).unwrap();
    assert_eq!(old.node.unwrap().size, 4);
    let Compared::Text(text) = compared else {
        panic!("{compared:?}")
    };
    assert!(text.ends_with(b" a\n-b\n+B\n"), "{}", text.escape_ascii());
    // One empties it, and another one fills it: these are two works.
    w.write(&bob(), F, b"").unwrap();
    w.write(&who, F, b"a\nB\n").unwrap();
    whose([("alice", 6), ("alice", 6)]);
}

#[test]
fn a_version_of_a_large_file_is_read_by_ranges() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let long = vec![7; 3 << 20];
    w.write(&who, F, &long).unwrap();
    let h = e
        .open(&who, ino(&w, F), OpenFlags::new(Access::Write))
        .unwrap();
    e.write(&who, h, 1 << 20, b"changed").unwrap();
    e.flush(&who, h).unwrap();
    e.release(&who, h).unwrap();
    let old = version(e, &who, &path(F), 1).unwrap();
    let handle = e.open_at(&who, old.at, old.node.ino).unwrap();
    assert_eq!(e.read(handle, 1 << 20, 7).unwrap(), &long[..7]);
    assert!(e.write(&who, handle, 0, b"x").is_err());
    e.release(&who, handle).unwrap();
}

fn versions_of(w: &World) -> Vec<(u64, OpKind, Vec<u8>)> {
    let told = told(w, &alice(), F);
    told.iter()
        .map(|v| (v.number, v.record.kind, bytes(w, &alice(), v.number)))
        .collect()
}

fn undo_behind(w: &World, who: &Caller, op: Op) {
    let ops = (op.0 + 1..=head(w).0).map(Op).collect();
    let choice = Choice {
        ops,
        ..Choice::default()
    };
    undo(w.engine(), who, &choice).unwrap().op.unwrap();
}

fn diff(w: &World, words: (Option<&str>, &str)) -> String {
    let Compared::Text(text) = compare(w.engine(), &alice(), &path(F), words).unwrap().2 else {
        panic!("no text")
    };
    let text = String::from_utf8(text).unwrap();
    let changed = text.lines().skip(2).filter(|l| l.starts_with(['+', '-']));
    changed.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_undone_save_by_rename_is_between_what_was_and_what_came_back() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"one\ntwo\n").unwrap();
    let before = head(&w);
    // As sed -i saves.
    w.write(&who, "/workspace/sed", b"ONE\ntwo\n").unwrap();
    rename(&w, &who, "/workspace/sed", F).unwrap();
    let saved = versions_of(&w);
    let (last, undone) = (saved.len().to_string(), head(&w));
    undo_behind(&w, &bob_in_alices_place(), before);
    let all = versions_of(&w);
    assert_eq!(all[..saved.len()], saved, "numbers mean what they meant");
    let [came_back] = &all[saved.len()..] else {
        panic!("{all:?}")
    };
    assert_eq!(came_back.1, OpKind::Undo);
    assert_eq!(came_back.2, b"one\ntwo\n");
    assert_eq!(diff(&w, (None, "now")), "-ONE +one");
    assert_eq!(diff(&w, (None, &came_back.0.to_string())), "-ONE +one");
    assert_eq!(diff(&w, (None, &last)), "-one +ONE");
    assert_eq!(diff(&w, (None, &format!("op:{undone}"))), "-one +ONE");
    let (of, lines) = blame(w.engine(), &who, &path(F)).unwrap();
    let kinds: Vec<_> = lines.iter().map(|l| of[&l.version].record.kind).collect();
    assert_eq!(kinds, [OpKind::Undo, OpKind::Create]);
    // Once more, and it is there once more.
    undo_behind(&w, &who, undone);
    let again = versions_of(&w);
    assert_eq!(again[..all.len()], all);
    assert_eq!(again.len(), all.len() + 1);
    assert_eq!(again[all.len()].2, b"ONE\ntwo\n");
    w.assert_sound();
}

/// Who may what alice may, and is somebody else.
fn bob_in_alices_place() -> Caller {
    person("bob", 1001)
}

#[test]
fn what_a_file_was_elsewhere_before_it_was_renamed_back_is_no_version() {
    let w = world();
    let who = alice();
    w.write(&who, F, b"1").unwrap();
    w.write(&who, F, b"22").unwrap();
    rename(&w, &who, F, "/workspace/f.bak").unwrap();
    w.write(&who, F, b"333").unwrap();
    w.write(&who, "/workspace/f.bak", b"elsewhere").unwrap();
    w.write(&who, "/workspace/f.bak", b"4444").unwrap();
    rename(&w, &who, "/workspace/f.bak", F).unwrap();
    w.write(&who, F, b"55555").unwrap();
    assert_eq!(sizes(&told(&w, &who, F)), [1, 2, 3, 4, 5]);
    assert_eq!(told(&w, &who, F)[3].record.kind, OpKind::Rename);
    assert_eq!(bytes(&w, &who, 4), b"4444");
    // Away and back as it was is the same version.
    rename(&w, &who, F, "/workspace/f.bak").unwrap();
    rename(&w, &who, "/workspace/f.bak", F).unwrap();
    assert_eq!(sizes(&told(&w, &who, F)), [1, 2, 3, 4, 5]);
}
