//! Which operations are one save, and what undoing it leaves.

use super::reverse::project;
use super::world::*;
use crate::core::{Caller, Name, Op, Time};
use crate::fs::Keep;
use crate::history::{OpSet, saves};

const DIR: &str = "/workspace/p/docs";
const FILE: &str = "/workspace/p/docs/read.me";

fn text(second: &str, eighth: &str) -> Vec<u8> {
    format!("1\n{second}\n3\n4\n5\n6\n7\n{eighth}\n9\n").into_bytes()
}

fn only(op: Op) -> OpSet {
    [op].into_iter().collect()
}

fn all_after(w: &World, before: Op) -> OpSet {
    (before.0 + 1..=w.head().0).map(Op).collect()
}

#[track_caller]
fn belong(w: &World, who: &Caller, chosen: &OpSet, wanted: &OpSet) {
    let found = saves(&w.engine, who, chosen).unwrap();
    assert_eq!(found.to_string(), wanted.to_string());
}

/// What it renames first.
fn save_as_vim(w: &World, who: &Caller, bytes: &[u8]) -> Op {
    let away = Op(w.head().0 + 1);
    w.save_as_vim(who, FILE, bytes);
    away
}

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn a_save_is_undone_whole_and_what_others_wrote_since_stays() {
    let (renamed, backed_up, vim) = ("renamed over", "with a backup", "as vim");
    for how in [renamed, backed_up, vim] {
        let w = project();
        w.write(&alice(), FILE, &text("2", "8"));
        let (before, names) = (w.head(), w.tree().len());
        let chosen = match how {
            "renamed over" => {
                let new = format!("{DIR}/sedAbCdE");
                w.write(&alice(), &new, b"");
                w.write(&alice(), &new, &text("two", "8"));
                w.rename(&alice(), &new, FILE);
                w.head()
            }
            "with a backup" => {
                w.save_with_backup(&alice(), FILE, &text("two", "8"));
                w.head()
            }
            _ => save_as_vim(&w, &alice(), &text("two", "8")),
        };
        let mut rest = all_after(&w, before);
        rest.leave_out(&only(chosen));
        belong(&w, &alice(), &only(chosen), &rest);
        rest.join(&only(chosen));
        w.write(&bob(), FILE, &text("two", "eight"));
        let after = w.tree();
        let undone = w.undo(&alice(), rest).unwrap();
        assert_eq!(undone.conflicts, [], "{how}");
        assert_eq!(w.read(FILE), text("2", "eight"), "{how}");
        assert_eq!(w.tree().len(), names, "{how}");
        w.assert_sound();
        w.undo(&alice(), only(w.head())).unwrap().op.unwrap();
        assert_eq!(w.tree(), after, "{how}");
    }
}

#[test]
fn what_is_chosen_already_and_what_is_no_save_brings_nothing_along() {
    let w = project();
    let before = w.head();
    w.save(&alice(), FILE, b"one\n");
    belong(&w, &alice(), &all_after(&w, before), &OpSet::default());
    w.write(&alice(), "/workspace/p/new", b"new\n");
    w.rename(&alice(), "/workspace/p/new", "/workspace/p/free");
    belong(&w, &alice(), &only(w.head()), &OpSet::default());
    // Moved away, and another one made: its name is that of the other now.
    w.rename(&alice(), FILE, &format!("{FILE}.old"));
    let away = w.head();
    w.write(&alice(), FILE, b"two\n");
    belong(&w, &alice(), &only(away), &OpSet::default());
}

/// What happens to a new file before somebody renames it over another one.
type Before = fn(&World, &Caller, &str);

#[test]
fn what_somebody_else_or_another_process_had_a_part_in_is_no_save() {
    let other = |who: &Caller| Caller {
        pid: who.pid + 1,
        ..who.clone()
    };
    let agent = |who: &Caller| Caller {
        agent: Some("fixer".into()),
        ..who.clone()
    };
    let parts: [(&str, Before); 6] = [
        ("nothing", |w, who, at| w.write(who, at, b"new\n")),
        ("made by another process", |w, who, at| {
            let pid = who.pid + 1;
            w.write(&Caller { pid, ..who.clone() }, at, b"new\n");
        }),
        ("written by somebody else", |w, who, at| {
            w.write(who, at, b"new\n");
            w.write(&bob(), at, b"bob's\n");
            w.write(who, at, b"newer\n");
        }),
        ("has another name", |w, who, at| {
            w.write(who, at, b"new\n");
            let (dir, name) = (w.ino(DIR), Name::new(b"twin").unwrap());
            w.engine.link(who, w.ino(at), dir, &name).unwrap();
        }),
        ("had another name", |w, who, at| {
            w.write(who, "/workspace/p/docs/first", b"new\n");
            w.rename(who, "/workspace/p/docs/first", at);
        }),
        ("made by his agent", |w, who, at| {
            let agent = Some("fixer".into());
            w.write(
                &Caller {
                    agent,
                    ..who.clone()
                },
                at,
                b"new\n",
            );
        }),
    ];
    for (what, before) in parts {
        let (w, new) = (project(), format!("{DIR}/new"));
        before(&w, &alice(), &new);
        w.rename(&alice(), &new, FILE);
        let found = saves(&w.engine, &alice(), &only(w.head())).unwrap();
        assert_eq!(found.is_empty(), what != "nothing", "{what}: {found}");
    }
    // Who took the old file away is he who put the new one there.
    for by in [other(&alice()), agent(&alice())] {
        let w = project();
        w.rename(&by, FILE, &format!("{FILE}~"));
        let away = w.head();
        w.write(&alice(), FILE, b"new\n");
        w.unlink(&by, &format!("{FILE}~"));
        belong(&w, &alice(), &only(away), &OpSet::default());
    }
}

#[test]
fn a_file_from_another_directory_is_no_save() {
    let w = project();
    w.write(&alice(), "/workspace/p/new", b"new\n");
    w.rename(&alice(), "/workspace/p/new", FILE);
    belong(&w, &alice(), &only(w.head()), &OpSet::default());
}

#[test]
fn what_was_finished_long_before_it_was_renamed_is_no_save() {
    const SECOND: i64 = 1_000_000_000;
    let noon = Time(1_700_000_000 * SECOND);
    for (seconds, is_save) in [(59, true), (61, false)] {
        let w = World::at(noon);
        w.write(&alice(), "/workspace/f", b"old\n");
        w.write(&alice(), "/workspace/f.new", b"");
        // Written for long.
        w.engine.clock().set(Time(noon.0 + 3600 * SECOND));
        w.write(&alice(), "/workspace/f.new", b"new\n");
        let finished = Time(noon.0 + (3600 + seconds) * SECOND);
        w.engine.clock().set(finished);
        w.rename(&alice(), "/workspace/f.new", "/workspace/f");
        let found = saves(&w.engine, &alice(), &only(w.head())).unwrap();
        assert_eq!(found.len(), if is_save { 2 } else { 0 }, "{seconds}");
    }
}

#[test]
fn a_save_that_began_behind_the_horizon_is_none_and_its_rename_can_be_undone() {
    let w = project();
    w.write(&alice(), &format!("{FILE}.new"), b"new\n");
    w.head();
    let keep = Keep {
        since: Time(i64::MAX),
        snapshots: false,
    };
    w.engine.forget(&root(), keep, false).unwrap();
    w.rename(&alice(), &format!("{FILE}.new"), FILE);
    let rename = only(w.head());
    belong(&w, &alice(), &rename, &OpSet::default());
    w.undo(&alice(), rename).unwrap().op.unwrap();
}
