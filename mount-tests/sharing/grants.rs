//! What grants hold and what they do not, on the mount.

use super::*;
use crate::shell::sh;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout};

/// A process of a user that opens `project/plan` whenever it is told to.
struct Reader {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Reader {
    fn new(world: &World, uid: u32) -> Self {
        let text =
            "while read -r _; do if cat project/plan >&2; then echo yes; else echo no; fi; done";
        let mut command = as_user(world, uid, text);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn reads(&mut self) -> bool {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line == "yes\n"
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// semantics.md §4: "A grant on a directory holds for everything below it, for files that exist and files that come"
#[test]
fn a_grant_holds_below_a_directory_and_for_files_to_come() {
    let Some(world) = village() else { return };
    said(&world, BOB, "cat project/plan").must_fail();
    let made = said(
        &world,
        ALICE,
        "nexus rebac grant user bob file /workspace/project --relation can_write",
    )
    .must();
    assert!(
        made.starts_with("✓ Created relationship tuple\n  Tuple ID: "),
        "{made}"
    );
    said(
        &world,
        BOB,
        "cat project/plan project/deep/f; echo more >> project/plan",
    )
    .must();
    said(
        &world,
        ALICE,
        "umask 077; mkdir project/later; echo new > project/later/g",
    )
    .must();
    said(
        &world,
        BOB,
        "cat project/later/g; rm project/later/g; echo his > project/h",
    )
    .must();
    // His own file in her directory is hers to read as far as its mode says so, and his to do anything with.
    said(
        &world,
        BOB,
        "chmod 600 project/h; mv project/h project/i; rm project/i",
    )
    .must();
    said(&world, BOB, "chmod 777 project/plan").must_fail();
    said(&world, CAROL, "cat project/plan").must_fail();
    assert_eq!(sees(&world, CAROL, "."), "");
    assert_eq!(sees(&world, BOB, "."), "project");
    world.is_sound();
}

/// semantics.md §4: "A revoke holds for the next system call on every door and mount."
#[test]
fn a_revoke_holds_for_the_next_system_call() {
    let Some(world) = village() else { return };
    world.ctl(&["group", "create", "staff"]);
    ask(&world, "rebac create user bob member-of group staff");
    let mut bob = Reader::new(&world, BOB);
    let mut carol = Reader::new(&world, CAROL);
    for _ in 0..3 {
        assert!(!bob.reads());
        let given = ask(
            &world,
            "rebac grant user bob file /workspace/project --relation can_read",
        );
        assert!(bob.reads() && !carol.reads());
        said(
            &world,
            ALICE,
            "nexus rebac revoke user bob viewer-of file /workspace/project",
        )
        .must();
        assert!(!bob.reads());
        exits(&world, &format!("rebac delete {}", given["tuple_id"]), 2);
        let given = ask(
            &world,
            "rebac create group staff can_read file /workspace/project/plan --expires 7d",
        );
        assert!(bob.reads() && !carol.reads());
        world.ctl(&["group", "remove", "staff", "bob"]);
        assert!(!bob.reads());
        world.ctl(&["group", "add", "staff", "bob"]);
        assert!(bob.reads());
        ask(&world, &format!("rebac delete {}", given["tuple_id"]));
        assert!(!bob.reads());
    }
}

/// semantics.md §4: "Whoever was granted something deep in a tree sees the way to it and nothing beside it."
#[test]
fn ls_shows_only_the_way_to_a_deep_grant() {
    let Some(world) = village() else { return };
    said(
        &world,
        ALICE,
        "umask 077; mkdir -p a/b/c a/b/no a/none; echo y > a/b/c/f; touch a/x",
    )
    .must();
    said(&world, BOB, "ls a").must_fail();
    ask(
        &world,
        "rebac grant user bob file /workspace/a/b/c --relation can_read",
    );
    for (dir, shown) in [("a", "b"), ("a/b", "c"), ("a/b/c", "f")] {
        assert_eq!(sees(&world, BOB, dir), shown);
    }
    said(
        &world,
        BOB,
        "cd a; ls; cd ..; cat a/b/c/f; no cat a/x; no ls a/none; no touch a/b/c/g",
    )
    .must();
    let hidden = said(&world, BOB, "stat a/none").must_fail();
    assert!(hidden.contains("No such file"), "{hidden}");
    // By every door: what is hidden on the mount is not found at the command line.
    let hidden = said(&world, BOB, "nexus info /workspace/a/none");
    assert_eq!(hidden.status.code(), Some(2), "{hidden:?}");
    let listed = said(&world, BOB, "nexus ls /workspace/a").must();
    assert_eq!(listed, "b\n");
    said(&world, CAROL, "ls a").must_fail();
}

/// semantics.md §4: "to a boundary, which only ownership passes."
#[test]
fn a_boundary_ends_what_comes_from_above_but_not_the_owners() {
    let Some(world) = village() else { return };
    ask(
        &world,
        "rebac grant user bob file /workspace/project --relation can_write",
    );
    ask(
        &world,
        "rebac grant user carol file /workspace/project --relation owner",
    );
    said(&world, BOB, "cat project/deep/f").must();
    said(&world, BOB, "nexus rebac restrict /workspace/project/deep").must_fail();
    said(
        &world,
        ALICE,
        "nexus rebac restrict /workspace/project/deep",
    )
    .must();
    said(&world, BOB, "no cat project/deep/f; cat project/plan").must();
    said(&world, CAROL, "cat project/deep/f").must();
    said(&world, ALICE, "cat project/deep/f").must();
    let deep = "/workspace/project/deep";
    for (line, above) in [
        (
            format!("rebac list --object-path {deep}"),
            "rebac list --object-path /workspace/project",
        ),
        (format!("getfacl {deep}"), "getfacl /workspace/project"),
        (format!("info {deep}"), "info /workspace/project"),
    ] {
        assert_eq!(ask(&world, &line)["restricted"], true, "{line}");
        assert_ne!(ask(&world, above)["restricted"], true, "{above}");
    }
    let told = said(&world, ALICE, &format!("nexus getfacl {deep}")).must();
    assert!(told.contains("# restricted"), "{told}");
    assert_eq!(sees(&world, BOB, "project"), "plan");
    ask(
        &world,
        "rebac grant user bob file /workspace/project/deep --relation can_read",
    );
    said(&world, BOB, "cat project/deep/f; no touch project/deep/g").must();
    said(
        &world,
        CAROL,
        "nexus rebac unrestrict /workspace/project/deep",
    )
    .must();
    said(&world, BOB, "touch project/deep/g").must();
    let again = said(
        &world,
        CAROL,
        "nexus rebac unrestrict /workspace/project/deep",
    );
    assert!(again.must().contains("there was no boundary"));
    world.is_sound();
}

/// semantics.md §4: "and end with the node, and with their subject. What is made later at the same path starts with none."
#[test]
fn grants_end_with_their_subject_and_with_their_file() {
    let Some(world) = village() else { return };
    let count = || {
        ask(&world, "rebac list")["tuples"]
            .as_array()
            .unwrap()
            .len()
    };
    ask(
        &world,
        "rebac grant user bob file /workspace/project --relation can_write",
    );
    ask(
        &world,
        "rebac grant user bob file /workspace/project/plan --relation owner",
    );
    ask(
        &world,
        "rebac grant user carol file /workspace/project/plan --relation can_read",
    );
    said(&world, CAROL, "cat project/plan").must();
    // What is made under the same name is another file.
    said(
        &world,
        ALICE,
        "umask 077; rm project/plan; echo secret > project/plan",
    )
    .must();
    said(&world, CAROL, "cat project/plan").must_fail();
    assert_eq!(count(), 1);
    said(&world, BOB, "cat project/plan").must();
    // Who is made under the same name is another user.
    world.ctl(&["user", "delete", "bob"]);
    assert_eq!(count(), 0);
    world.ctl(&["user", "create", "bob", "--uid", &BOB.to_string()]);
    said(&world, BOB, "cat project/plan").must_fail();
    exits(
        &world,
        "rebac check user bob can_read file /workspace/project",
        3,
    );
    world.is_sound();
}

/// semantics.md §4: "Grants belong to nodes: they follow a rename"
#[test]
fn a_grant_follows_a_rename() {
    let Some(world) = village() else { return };
    ask(
        &world,
        "rebac grant user bob file /workspace/project/deep --relation can_read",
    );
    said(
        &world,
        ALICE,
        "umask 077; mv project/deep moved; mkdir project/deep",
    )
    .must();
    said(&world, BOB, "cat moved/f; no ls project/deep").must();
    let listed = ask(&world, "rebac list");
    assert_eq!(listed["tuples"][0]["object_id"], "/workspace/moved");
    world.kill();
    world.restart();
    said(&world, BOB, "cat moved/f").must();
}

#[test]
fn an_isolated_agent_is_confined_to_what_it_was_granted() {
    let world = World::new();
    world.ctl(&["user", "create", "alice"]);
    let mount = |dir: &str, agent: &[&str]| {
        let dir = world.host(dir);
        let words = [&["mount", dir.to_str().unwrap(), "--user", "alice"], agent].concat();
        world.nexus(&words).must();
        dir.join("workspace")
    };
    world.ctl(&["agent", "create", "coder", "--owner", "alice", "--isolated"]);
    world.ctl(&["agent", "create", "helper", "--owner", "alice"]);
    let hers = mount("hers", &[]);
    sh(
        &hers,
        "mkdir -p p/src p/keys; echo k > p/keys/k; echo s > p/src/s; echo o > other",
    );
    let coder = mount("coder", &["--agent", "coder"]);
    let helper = mount("helper", &["--agent", "helper"]);
    assert!(fs::read_dir(&coder).is_err(), "nothing was granted yet");
    ask(
        &world,
        "rebac grant agent coder file /workspace/p/src --relation can_write",
    );
    assert_eq!(sh(&coder, "ls . p | xargs"), ".: p p: src\n");
    let own = "cat p/src/s; echo new > p/src/t";
    let others = "no cat p/keys/k; no cat other; no touch p/u; no chmod 777 p/src";
    sh(&coder, &format!("{NO}; {own}; {others}"));
    // Made by the agent, it is its owner's, who reads it; another agent acts with the owner's rights.
    sh(&hers, "cat p/src/t");
    sh(&helper, "cat p/keys/k other");
    let why = ask(&world, "why agent:coder read /workspace/p/keys/k");
    assert_eq!(why["allowed"], false);
    let why = ask(&world, "why agent:helper read /workspace/p/keys/k");
    assert_eq!(
        (&why["allowed"], &why["layer"]),
        (&true.into(), &"unix".into())
    );
    world.is_sound();
}

/// semantics.md §4: "A revoke holds for the next system call on every door and mount."
#[test]
fn a_kernel_that_keeps_names_forgets_them_when_grants_change() {
    let world = World::new();
    let dir = world.host("agent");
    world.ctl(&["user", "create", "alice"]);
    world.ctl(&["agent", "create", "coder", "--owner", "alice", "--isolated"]);
    let mount = [
        "mount",
        dir.to_str().unwrap(),
        "--user",
        "alice",
        "--agent",
        "coder",
    ];
    world.nexus(&mount).must();
    world
        .nexus(&["write", "-p", "/workspace/p/q/f", "x"])
        .must();
    let file = dir.join("workspace/p/q/f");
    let sees = || fs::metadata(&file).is_ok();
    for granted in [
        "/workspace/p/q/f",
        "/workspace/p/q",
        "/workspace/p",
        "/workspace",
    ] {
        assert!(!sees());
        let given = ask(
            &world,
            &format!("rebac grant agent coder can_read file {granted}"),
        );
        assert!(sees() && sees(), "{granted}");
        ask(&world, &format!("rebac delete {}", given["tuple_id"]));
        assert!(!sees(), "{granted}");
        ask(
            &world,
            &format!("rebac grant agent coder can_read file {granted}"),
        );
        assert!(sees());
        // Through a boundary nothing passes, and by it nothing is kept.
        if granted != "/workspace/p/q/f" {
            ask(&world, "rebac restrict /workspace/p/q/f");
            assert!(!sees(), "{granted}");
            ask(&world, "rebac unrestrict /workspace/p/q/f");
            assert!(sees());
        }
        ask(
            &world,
            &format!("rebac revoke agent coder can_read file {granted}"),
        );
    }
    for group in ["staff", "all"] {
        world.ctl(&["group", "create", group]);
    }
    world.ctl(&["group", "add", "all", "group:staff"]);
    ask(&world, "rebac grant group all can_read file /workspace/p/q");
    for _ in 0..2 {
        assert!(!sees());
        world.ctl(&["group", "add", "staff", "agent:coder"]);
        assert!(sees());
        world.ctl(&["group", "remove", "staff", "agent:coder"]);
    }
    assert!(!sees());
    world.ctl(&["group", "add", "staff", "agent:coder"]);
    assert!(sees());
    world.ctl(&["group", "delete", "staff"]);
    assert!(!sees());
}
