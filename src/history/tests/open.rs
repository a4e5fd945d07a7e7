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

