//! Files that are saved as editors do it: a new one renamed over the old one, or emptied and written.

use super::reverse::project;
use super::world::*;
use crate::core::{Caller, Op};
use crate::fs::{SetMode, To};
use crate::history::{Answer, OpSet};

const FILE: &str = "/workspace/p/docs/read.me";

/// How somebody saves.
type Save = fn(&World, &Caller, &str, &[u8]);
const WAYS: [(&str, Save); 4] = [
    ("in place", World::write),
    ("renamed over", World::save),
    ("emptied first", World::overwrite),
    ("as vim", World::save_as_vim),
];

const WITH_BACKUP: (&str, Save) = ("with a backup", World::save_with_backup);

/// Each way of bob's with each of alice's, in a world of its own in which both have saved, bob first; with what bob did. One of
/// them may leave a backup as well.
fn saved_by_both(
    (bobs, alices): (&[u8], &[u8]),
    backups: (bool, bool),
    see: impl Fn(&World, &OpSet, &str),
) {
    let ways = |has_backup: bool| WAYS.into_iter().chain(has_backup.then_some(WITH_BACKUP));
    for (one, bob_saves) in ways(backups.0) {
        for (other, alice_saves) in ways(backups.1) {
            let w = project();
            w.write(&alice(), FILE, &lines("1", "7"));
            let head = w.head();
            bob_saves(&w, &bob(), FILE, bobs);
            alice_saves(&w, &alice(), FILE, alices);
            see(&w, &w.by(&bob(), head), &format!("{one}, {other}"));
            w.assert_sound();
        }
    }
}

fn lines(first: &str, last: &str) -> Vec<u8> {
    format!("{first}\n2\n3\n4\n5\n6\n{last}\n").into_bytes()
}

#[test]
fn texts_that_both_saved_are_merged_however_they_save() {
    let both = (&lines("ONE", "7")[..], &lines("ONE", "SEVEN")[..]);
    let see = |w: &World, ops: &OpSet, how: &str| {
        let before = w.tree();
        let undone = w.undo(&alice(), ops.clone()).unwrap();
        assert_eq!(undone.conflicts, [], "{how}");
        assert_eq!(w.read(FILE), lines("1", "SEVEN"), "{how}");
        w.assert_sound();
        // A backup of bob's goes, one of alice's has not got what bob did.
        if how.ends_with(WITH_BACKUP.0) {
            assert_eq!(w.read(&format!("{FILE}.bak")), lines("1", "7"), "{how}");
        }
        if how.starts_with(WITH_BACKUP.0) {
            assert_eq!(w.tree().len(), before.len() - 1, "{how}");
        } else {
            assert_eq!(w.tree().len(), before.len(), "{how}");
        }
        let redone = w.undo(&alice(), [w.head()].into_iter().collect()).unwrap();
        assert_eq!(redone.conflicts, []);
        assert_eq!(w.tree(), before, "{how}");
    };
    saved_by_both(both, (true, false), see);
    saved_by_both(both, (false, true), see);
}

#[test]
fn several_saves_of_both_are_merged() {
    let w = project();
    w.write(&alice(), FILE, &lines("1", "7"));
    let head = w.head();
    w.save(&bob(), FILE, &lines("ONE", "7"));
    w.save(&alice(), FILE, &lines("ONE", "seven"));
    w.write(&bob(), FILE, &lines("one", "seven"));
    w.save(&alice(), FILE, &lines("one", "SEVEN"));
    w.save(&bob(), FILE, &lines("eins", "SEVEN"));
    let undone = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    assert_eq!(undone.conflicts, []);
    assert_eq!(w.read(FILE), lines("1", "SEVEN"));
    w.assert_sound();
}

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn what_cannot_be_merged_is_told_and_stays_under_its_name() {
    let both = (&lines("ONE", "7")[..], &lines("ONE!", "7")[..]);
    let see = |w: &World, ops: &OpSet, how: &str| {
        let before = w.tree();
        let told = w.undo(&alice(), ops.clone()).unwrap();
        assert!(!told.conflicts.is_empty(), "{how}");
        assert_eq!((told.op, w.tree() == before), (None, true));
        let skipped = w.undo_or(&alice(), ops, Answer::Skip);
        assert_eq!(&skipped.skipped, ops, "{how}");
        assert_eq!(w.tree(), before, "{how}");
        w.undo_or(&alice(), ops, Answer::Aside).op.unwrap();
        let aside = format!("{FILE}.undo-{}", ops.first().unwrap());
        assert_eq!(w.read(&aside), lines("1", "7"), "{how}");
        assert_eq!(w.read(FILE), lines("ONE!", "7"), "{how}");
        assert_eq!(w.tree().len(), before.len() + 1, "{how}");
    };
    saved_by_both(both, (true, false), see);
    saved_by_both(both, (false, true), see);
}

/// As a program does that rotates its log: it writes another file, and the one that bob changed has another name.
#[test]
fn what_was_put_away_for_something_else_is_undone_where_it_is() {
    let w = project();
    w.write(&alice(), FILE, &lines("1", "7"));
    let head = w.head();
    w.write(&bob(), FILE, &lines("ONE", "7"));
    w.rename(&alice(), FILE, &format!("{FILE}.1"));
    w.write(&alice(), FILE, b"something else\n");
    let undone = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    assert_eq!(undone.conflicts, []);
    assert_eq!(w.read(FILE), b"something else\n");
    assert_eq!(w.read(&format!("{FILE}.1")), lines("1", "7"));
    w.assert_sound();
}

/// What was undone is not in it, and what is there instead was made of the emptied one.
#[test]
fn what_was_emptied_before_somebody_saved_it_with_a_backup_is_told() {
    let w = project();
    w.write(&alice(), FILE, &lines("first", "7"));
    let head = w.head();
    w.write(&bob(), FILE, b"");
    w.save_with_backup(&alice(), FILE, &lines("1", "SEVEN"));
    let told = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    assert_eq!((told.op, told.conflicts.is_empty()), (None, false));
    assert_eq!(w.read(FILE), lines("1", "SEVEN"));
}

#[test]
fn what_somebody_else_put_at_the_name_is_not_mixed_with_what_was_there() {
    let w = project();
    let other = "/workspace/p/src/b";
    w.write(&alice(), other, b"something else\n");
    let head = w.head();
    w.write(&bob(), FILE, &lines("ONE", "7"));
    w.rename(&alice(), other, FILE);
    let undone = w.undo(&alice(), w.by(&bob(), head)).unwrap();
    assert_eq!((undone.op, &undone.conflicts[..]), (None, &[][..]));
    assert_eq!(w.read(FILE), b"something else\n");
}

#[test]
fn a_directory_that_others_filled_keeps_the_name_that_it_was_given_last() {
    let w = project();
    let head = w.head();
    w.mkdir(&bob(), "/workspace/p/new");
    w.rename(&bob(), "/workspace/p/new", "/workspace/p/given");
    let ops = w.by(&bob(), head);
    w.write(&alice(), "/workspace/p/given/f", b"f");
    let before = w.tree();
    let skipped = w.undo_or(&alice(), &ops, Answer::Skip);
    assert_eq!((skipped.op, skipped.skipped), (None, ops));
    assert_eq!(w.tree(), before);
}

/// What somebody gives to a file; the operation.
type Give = fn(&World) -> Op;

fn attribute(w: &World) -> Op {
    let (e, at) = (&w.engine, w.ino(FILE));
    e.setxattr(&alice(), at, b"user.alice", b"hi", SetMode::Any)
        .unwrap();
    w.head()
}

fn grant(w: &World) -> Op {
    let carol = To::One("user:carol".parse().unwrap());
    w.engine
        .grant(&alice(), w.ino(FILE), "can_write", &carol, None)
        .unwrap();
    w.head()
}

const GIVES: [(&str, Give); 2] = [("attribute", attribute), ("grant", grant)];

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn what_somebody_gave_to_a_file_between_two_saves_is_not_lost() {
    for (what, give) in GIVES {
        for redone in [false, true] {
            let w = project();
            w.unrelated_grant();
            let head = w.head();
            w.save(&bob(), FILE, b"one\n");
            let given = give(&w);
            let between = w.tree();
            w.save(&bob(), FILE, b"two\n");
            let ops = w.by(&bob(), head);
            if redone {
                let newest = ops.last().into_iter().collect();
                for undone in [newest, [Op(w.head().0 + 1)].into_iter().collect()] {
                    w.undo(&alice(), undone).unwrap().op.unwrap();
                }
            }
            let before = w.tree();
            let told = w.undo(&alice(), ops.clone()).unwrap();
            let by: Vec<_> = told.conflicts.iter().map(|c| c.by).collect();
            assert_eq!(by, [Some(given)], "{what}, {redone}");
            assert_eq!(
                (told.op, w.tree() == before),
                (None, true),
                "{what}, {redone}"
            );
            w.undo_or(&alice(), &ops, Answer::Skip);
            assert_eq!(w.tree(), before, "{what}, {redone}");
            // The later save alone goes, and what was given is there again.
            if !redone {
                let second = ops.iter().filter(|op| *op > given).collect();
                assert_eq!(w.undo(&alice(), second).unwrap().conflicts, []);
                assert_eq!(w.tree(), between, "{what}");
            }
            w.assert_sound();
        }
    }
}

#[test]
fn what_was_given_to_a_file_that_is_gone_either_way_is_in_nobodys_way() {
    for (what, give) in GIVES {
        for ends in ["saved over", "taken back"] {
            let w = project();
            w.unrelated_grant();
            w.write(&alice(), FILE, &lines("1", "7"));
            let head = w.head();
            w.save(&bob(), FILE, &lines("ONE", "7"));
            give(&w);
            if ends == "saved over" {
                w.save(&alice(), FILE, &lines("ONE", "SEVEN"));
            } else {
                let (e, at) = (&w.engine, w.ino(FILE));
                e.removexattr(&alice(), at, b"user.alice").ok();
                for tuple in w.granted(at) {
                    e.revoke(&alice(), tuple.id).unwrap();
                }
                w.save(&bob(), FILE, &lines("two", "7"));
            }
            let undone = w.undo(&alice(), w.by(&bob(), head)).unwrap();
            assert_eq!(undone.conflicts, [], "{what}, {ends}");
            w.assert_sound();
        }
    }
}
