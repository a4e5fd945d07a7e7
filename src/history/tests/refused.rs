//! What is not somebody's to change any more keeps him from undoing that, and from nothing else where he says so.

use super::reverse::project;
use super::world::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{Caller, Kind};
use crate::fs::{AclOf, SetAttr};
use crate::history::{Answer, OpSet};

const FIRST: &str = "/workspace/p/src/a";
const OTHER: &str = "/workspace/p/src/b";
const GONE: &str = "/workspace/p/docs/read.me";

fn superuser() -> Caller {
    person("root", 0)
}

/// Makes a file bob's, and nothing of it alice's.
fn give_away(w: &World, at: &str) {
    let set = SetAttr {
        mode: Some(0o600),
        uid: Some(bob().uid),
        gid: Some(bob().gid),
        ..SetAttr::default()
    };
    let (e, ino) = (&w.engine, w.ino(at));
    e.setattr(&superuser(), ino, &set, None).unwrap();
    let entry = AclEntry {
        who: AclWho::User(alice().uid),
        deny: true,
        rights: 0,
    };
    e.set_acl_entry(&superuser(), ino, AclOf::Itself, entry)
        .unwrap();
}

fn changed(w: &World) -> (OpSet, [Vec<u8>; 3]) {
    let old = [FIRST, OTHER, GONE].map(|at| w.read(at));
    let head = w.head();
    w.write(&alice(), FIRST, b"one");
    w.write(&alice(), OTHER, b"two");
    w.unlink(&alice(), GONE);
    (w.by(&alice(), head), old)
}

#[test]
fn the_rest_is_undone_where_that_is_said() {
    for answer in [Answer::Skip, Answer::Aside] {
        let w = project();
        let (ops, old) = changed(&w);
        give_away(&w, FIRST);
        let refused = w.undo(&alice(), ops.clone());
        assert_eq!(refused.err().unwrap().kind(), Kind::Denied);
        assert_eq!(w.read(OTHER), b"two");
        let undone = w.undo_or(&alice(), &ops, answer);
        assert!(undone.op.is_some());
        let why: Vec<_> = undone.conflicts.iter().map(|c| (c.node, c.why)).collect();
        assert_eq!(why, [(Some(w.ino(FIRST)), "is not yours to change")]);
        assert_eq!(undone.skipped.len(), 1);
        // Nor is anything of it put beside: he may not read it.
        assert_eq!(w.read(FIRST), b"one");
        assert_eq!([w.read(OTHER), w.read(GONE)], [&*old[1], &*old[2]]);
        w.assert_sound();
    }
}

#[test]
fn where_nothing_is_left_nothing_is_done() {
    let w = project();
    let head = w.head();
    w.write(&alice(), FIRST, b"one");
    let ops = w.by(&alice(), head);
    give_away(&w, FIRST);
    let undone = w.undo_or(&alice(), &ops, Answer::Skip);
    assert_eq!((undone.op, undone.skipped), (None, ops));
    assert_eq!(w.read(FIRST), b"one");
}

/// As `sed -i` of somebody else does it: the name stands for a file of his by then.
#[test]
fn what_somebody_has_saved_since_stays_as_well() {
    let w = project();
    let (old, head) = (w.read(OTHER), w.head());
    w.save(&alice(), FIRST, b"one");
    w.write(&alice(), OTHER, b"two");
    let ops = w.by(&alice(), head);
    w.save(&bob(), FIRST, b"bob's");
    give_away(&w, FIRST);
    let undone = w.undo_or(&alice(), &ops, Answer::Skip);
    assert!(undone.op.is_some());
    assert_eq!((w.read(FIRST), w.read(OTHER)), (b"bob's".to_vec(), old));
    w.assert_sound();
}
