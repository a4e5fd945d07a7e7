//! Undoing what somebody has open.

use super::reverse::project;
use super::world::*;
use crate::core::{Caller, HandleId, Op, Result};
use crate::fs::{Access, OpenFlags};
use crate::history::{Answer, Choice, OpSet, Undone, undo};

const AT: &str = "/workspace/p/src/b";

fn opened(w: &World, who: &Caller, at: &str) -> HandleId {
    let flags = OpenFlags::new(Access::ReadWrite);
    w.engine.open(who, w.ino(at), flags).unwrap()
}

fn written(w: &World, who: &Caller, at: &str, bytes: &[u8]) -> HandleId {
    let handle = opened(w, who, at);
    w.engine.write(who, handle, 0, bytes).unwrap();
    handle
}

fn close(w: &World, who: &Caller, handle: HandleId) {
    w.engine.flush(who, handle).unwrap();
    w.engine.release(who, handle).unwrap();
}

fn only(op: Op) -> OpSet {
    OpSet::from_iter([op])
}

fn chosen(ops: OpSet, answer: Answer, dry_run: bool) -> Choice {
    Choice {
        homes: Vec::new(),
        ops,
        answer,
        dry_run,
    }
}

#[test]
fn what_is_open_without_a_name_lives_on_whether_its_name_comes_back_or_not() {
    let w = project();
    let e = &w.engine;
    let (ino, handle) = (w.ino(AT), opened(&w, &alice(), AT));
    w.unlink(&alice(), AT);
    let unlinked = only(w.head());
    let shows = |bytes: &[u8], links: u32| {
        assert_eq!(e.read(handle, 0, 100).unwrap(), bytes);
        assert_eq!(e.getattr(&alice(), ino).unwrap().nlink, links);
    };
    undo(e, &alice(), &chosen(unlinked.clone(), Answer::Stop, true)).unwrap();
    shows(b"p/src/b", 0);
    // Who may not do it changes nothing either.
    let stranger = person("carol", 1003);
    assert!(undo(e, &stranger, &chosen(unlinked.clone(), Answer::Stop, false)).is_err());
    shows(b"p/src/b", 0);
    e.write(&alice(), handle, 0, b"P").unwrap();
    undo(e, &alice(), &chosen(unlinked, Answer::Stop, false)).unwrap();
    shows(b"P/src/b", 1);
    close(&w, &alice(), handle);
    assert_eq!(w.read(AT), b"P/src/b");
    w.assert_sound();
}

/// What bob made, and somebody else writes to without having closed it.
fn shared(synced: bool) -> (World, OpSet, HandleId) {
    let w = project();
    let head = w.head();
    w.write(&bob(), "/workspace/p/src/made", b"by bob");
    w.write(&bob(), AT, b"by bob");
    let made = w.by(&bob(), head);
    let handle = written(&w, &root(), "/workspace/p/src/made", b"not his");
    if synced {
        w.engine.fsync(&root(), handle).unwrap();
    }
    (w, made, handle)
}

#[test]
fn what_somebody_else_is_writing_is_not_undone() {
    for synced in [false, true] {
        let (w, made, handle) = shared(synced);
        let told = |undone: &Undone| undone.conflicts.iter().any(|c| c.by == Some(w.head()));
        let undone = w.undo(&bob(), made.clone()).unwrap();
        assert!(undone.op.is_none() && told(&undone), "synced: {synced}");
        w.engine.write(&root(), handle, 0, b"NOT").unwrap();
        let skip = chosen(made, Answer::Skip, false);
        assert!(undo(&w.engine, &bob(), &skip).unwrap().op.is_some());
        close(&w, &root(), handle);
        assert_eq!(w.read("/workspace/p/src/made"), b"NOT his");
        assert_eq!(w.read(AT), b"p/src/b", "the rest is undone");
        w.assert_sound();
    }
}

#[test]
fn a_rehearsal_makes_no_version_of_what_is_being_written() {
    let (w, made, handle) = shared(true);
    let before = w.head();
    undo(&w.engine, &bob(), &chosen(made, Answer::Skip, true)).unwrap();
    assert_eq!(w.head(), before);
    close(&w, &root(), handle);
}

#[test]
fn a_file_that_is_kept_open_does_not_keep_a_session_from_being_undone() -> Result<()> {
    let w = project();
    let head = w.head();
    w.write(&bob(), "/workspace/p/src/made", b"by bob");
    w.write(&bob(), AT, b"by bob");
    let done = w.by(&bob(), head);
    let handle = written(&w, &bob(), AT, b"BY");
    // What he writes now is later work, which may be undone with the rest.
    let first = w.undo(&alice(), done)?;
    assert_eq!(first.conflicts[0].by, Some(w.head()));
    assert!(w.undo(&alice(), w.by(&bob(), head))?.op.is_some());
    assert_eq!(w.read(AT), b"p/src/b");
    close(&w, &bob(), handle);
    assert_eq!(w.read(AT), b"p/src/b");
    w.assert_sound();
    Ok(())
}
