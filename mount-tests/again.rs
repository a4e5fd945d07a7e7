//! Undo of what undid something, and undo again where something was undone before.

use crate::shell::{run, sh};
use crate::world::{NEXUS, World};
use std::process::Command;

/// A command of the owner's under the name of a session.
fn in_session(world: &World, session: &str, args: &[&str]) -> String {
    let mut command = Command::new(NEXUS);
    let command = command.args(args).current_dir(world.workspace());
    let named = command.env("NEXUS_DATA_DIR", world.data());
    run(named.env("NEXUS_SESSION", session)).must()
}

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn a_session_that_destroyed_something_by_an_undo_is_undone_like_any() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir w; echo 1 > w/f; echo 2 > other");
    in_session(&world, "q", &["undo", "w", "--yes"]);
    in_session(&world, "q", &["rm", "other"]);
    assert_eq!(sh(&dir, "ls"), "");
    world.nexus(&["undo", "--session", "q", "--yes"]).must();
    assert_eq!(sh(&dir, "cat w/f other"), "1\n2\n");
    // What it did and undid itself is as if it had not been.
    in_session(&world, "r", &["rm", "other"]);
    in_session(&world, "r", &["undo", "--last"]);
    let told = world.nexus(&["undo", "--session", "r", "--yes"]).must();
    assert_eq!(sh(&dir, "cat other"), "2\n", "{told}");
    world.ctl(&["verify"]);
}

#[test]
fn an_undo_that_put_copies_beside_is_in_nobodys_way() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir z; echo o > z/b; echo t > z/t");
    let bad = "echo bad > z/b; sed -i s/t/T/ z/t";
    world
        .nexus(&[
            "run",
            "--session",
            "s",
            "--",
            "sh",
            "-c",
            &format!("cd {}; {bad}", dir.display()),
        ])
        .must();
    sh(&dir, "echo own > z/b");
    world
        .nexus(&["undo", "--session", "s", "--force-copy", "--yes"])
        .must();
    let there = sh(&dir, "cd z; cat t b; cat b.undo-*");
    assert_eq!(there, "t\nown\no\n");
    // The same again stops at what is the owner's, and not at what was undone.
    let again = world.nexus(&["undo", "--session", "s", "--yes"]);
    assert!(
        again.out.contains("/z/b") && !again.out.contains("/z/t"),
        "{again:?}"
    );
    world.nexus(&["undo", "/workspace/z", "--yes"]).must();
    assert_eq!(sh(&dir, "ls"), "");
    world.ctl(&["verify"]);
}
