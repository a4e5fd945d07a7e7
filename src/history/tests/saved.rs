//! Files that are saved as editors do it: a new one renamed over the old one, or emptied and written.

use super::reverse::project;
use super::world::*;
use crate::core::Caller;
use crate::history::Answer;

const FILE: &str = "/workspace/p/docs/read.me";

/// How somebody saves.
type Save = fn(&World, &Caller, &str, &[u8]);
const WAYS: [(&str, Save); 3] = [
    ("in place", World::write),
    ("renamed over", World::save),
    ("emptied first", World::overwrite),
];

fn lines(first: &str, last: &str) -> Vec<u8> {
    format!("{first}\n2\n3\n4\n5\n6\n{last}\n").into_bytes()
}

#[test]
fn texts_that_both_saved_are_merged_however_they_save() {
    for (bobs, bob_saves) in WAYS {
        for (alices, alice_saves) in WAYS {
            let w = project();
            w.write(&alice(), FILE, &lines("1", "7"));
            let head = w.head();
            bob_saves(&w, &bob(), FILE, &lines("ONE", "7"));
            alice_saves(&w, &alice(), FILE, &lines("ONE", "SEVEN"));
            let (before, ops) = (w.tree(), w.by(&bob(), head));
            let undone = w.undo(&alice(), ops).unwrap();
            assert_eq!(undone.conflicts, [], "{bobs}, {alices}");
            assert_eq!(w.read(FILE), lines("1", "SEVEN"), "{bobs}, {alices}");
            assert_eq!(w.tree().len(), before.len());
            w.assert_sound();
            let redone = w.undo(&alice(), [w.head()].into_iter().collect()).unwrap();
            assert_eq!(redone.conflicts, []);
            assert_eq!(w.tree(), before, "{bobs}, {alices}");
            w.assert_sound();
        }
    }
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
    for (bobs, bob_saves) in WAYS {
        for (alices, alice_saves) in WAYS {
            let w = project();
            w.write(&alice(), FILE, &lines("1", "7"));
            let head = w.head();
            bob_saves(&w, &bob(), FILE, &lines("ONE", "7"));
            alice_saves(&w, &alice(), FILE, &lines("ONE!", "7"));
            let (before, ops) = (w.tree(), w.by(&bob(), head));
            let told = w.undo(&alice(), ops.clone()).unwrap();
            assert!(!told.conflicts.is_empty(), "{bobs}, {alices}");
            assert_eq!((told.op, w.tree() == before), (None, true));
            let skipped = w.undo_or(&alice(), &ops, Answer::Skip);
            assert_eq!(skipped.skipped, ops, "{bobs}, {alices}");
            assert_eq!(w.tree(), before, "{bobs}, {alices}");
            w.undo_or(&alice(), &ops, Answer::Aside).op.unwrap();
            let aside = format!("{FILE}.undo-{}", ops.first().unwrap());
            assert_eq!(w.read(&aside), lines("1", "7"), "{bobs}, {alices}");
            assert_eq!(w.read(FILE), lines("ONE!", "7"), "{bobs}, {alices}");
            assert_eq!(w.tree().len(), before.len() + 1, "{bobs}, {alices}");
            w.assert_sound();
        }
    }
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
