//! Undo from a shell: an agent goes wild, and its owner takes it back.

use crate::shell::{run, sh};
use crate::world::{NEXUS, World};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// Runs a script on the mount, as a session of an agent.
fn as_agent(world: &World, session: &str, script: &str) {
    let mut command = Command::new(NEXUS);
    command
        .args([
            "run",
            "--agent",
            "fixer",
            "--session",
            session,
            "--",
            "sh",
            "-ec",
            script,
        ])
        .env("NEXUS_DATA_DIR", world.data())
        .current_dir(world.workspace());
    run(&mut command).must();
}

/// What `find` says of a tree: types, modes, owners, times, sizes and targets; and what the files hold.
fn look(world: &World, dir: &str) -> String {
    sh(
        &world.workspace(),
        &format!(
            "cd {dir} && find . -printf '%p %y %m %U %G %T@ %s %n %l\\n' | grep -v ' d.*' | sort; find . -type d -printf '%p %m %T@\\n' | sort; \
         find . -type f -exec sha256sum {{}} + | sort"
        ),
    )
}

#[test]
fn what_an_agent_destroyed_comes_back_exactly() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -p p/src/deep p/docs; echo one > p/src/1; echo two > p/src/deep/2; ln -s ../1 p/src/deep/l; ln p/src/1 p/src/twin; \
              echo aaa > p/docs/a.md; echo config > p/config; chmod 600 p/src/1; touch -d 2001-01-01 p/src/deep p/src/1 p/docs; \
              setfattr -n user.k -v v p/src/1",
    );
    let before = look(&world, "p");
    as_agent(
        &world,
        "s1",
        "cd p; rm -rf src; sed -i s/a/b/ docs/*.md; mv config old",
    );
    sh(&world.workspace(), "echo mine > mine");
    assert!(!world.path("p/src").exists() && world.path("p/old").exists());
    let planned = world
        .nexus(&["undo", "--session", "s1", "--dry-run"])
        .must();
    assert!(
        planned.contains("restore  /workspace/p/src/deep/2"),
        "{planned}"
    );
    assert!(world.path("p/old").exists());
    let undone = world.nexus(&["undo", "--session", "s1", "--yes"]).must();
    assert_eq!(fs::read_to_string(world.path("mine")).unwrap(), "mine\n");
    fs::remove_file(world.path("mine")).unwrap();
    assert_eq!(look(&world, "p"), before);
    assert_eq!(
        sh(
            &world.workspace(),
            "getfattr --only-values -n user.k p/src/1"
        ),
        "v"
    );
    let again = world.nexus(&["undo", "--session", "s1"]).must();
    assert_eq!(again, "nothing to do\n");
    // Redo is undo of the undo.
    let op = undone
        .split("nexus undo ")
        .nth(1)
        .unwrap()
        .split('`')
        .next()
        .unwrap();
    world.nexus(&["undo", op]).must();
    assert!(!world.path("p/src").exists());
    world.ctl(&["verify"]);
}

#[test]
fn what_later_work_depends_on_is_listed_and_stays() {
    let world = World::new();
    sh(&world.workspace(), "echo first > f");
    as_agent(&world, "s1", "echo agent > f");
    sh(&world.workspace(), "echo mine > f");
    let refused = world.nexus(&["undo", "--session", "s1"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused
            .out
            .contains("conflict /workspace/f: was changed since by operation"),
        "{refused:?}"
    );
    world
        .nexus(&["undo", "--session", "s1", "--force-copy"])
        .must();
    let aside: Vec<_> = sh(&world.workspace(), "cat f.undo-*")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        (fs::read_to_string(world.path("f")).unwrap().as_str(), aside),
        ("mine\n", vec!["first".to_owned()])
    );
    world.nexus(&["undo", "--last"]).must();
    let links = fs::metadata(world.path("f")).unwrap().nlink();
    assert_eq!(links, 1);
}

#[test]
fn what_was_deleted_is_listed_and_comes_back() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -p d/e; echo 1 > d/e/1; echo 2 > d/2; echo x > x; rm -r d; rm x; echo new > x",
    );
    let listed = world.nexus(&["trash", "list"]).must();
    let paths: Vec<_> = listed
        .lines()
        .map(|l| l.split_whitespace().last().unwrap())
        .collect();
    assert_eq!(paths, ["PATH", "/workspace/x", "/workspace/d/"]);
    assert!(
        world
            .nexus(&["trash", "list", "--all"])
            .must()
            .contains("/workspace/d/e/1")
    );
    world.nexus(&["trash", "restore", "/workspace/d"]).must();
    assert_eq!(sh(&world.workspace(), "cat d/e/1 d/2"), "1\n2\n");
    let taken = world
        .nexus(&["trash", "restore", "/workspace/x"])
        .must_fail();
    assert!(taken.contains("--force-copy"), "{taken}");
    world
        .nexus(&["trash", "restore", "--force-copy", "/workspace/x"])
        .must();
    assert_eq!(sh(&world.workspace(), "cat x x.undo-*"), "new\nx\n");
    assert_eq!(world.nexus(&["trash", "list"]).must(), "");
    world
        .nexus(&["trash", "restore", "/workspace/none"])
        .must_fail();
    sh(&world.workspace(), "rm -r d x");
    let told = world
        .nexus(&["trash", "empty", "--under", "/workspace/d", "--dry-run"])
        .must();
    assert!(told.starts_with("4 deletions would be"), "{told}");
    world
        .nexus(&["trash", "empty", "--under", "/workspace/d", "--yes"])
        .must();
    let listed = world.nexus(&["trash", "list", "--all"]).must();
    assert!(listed.contains("/workspace/x") && !listed.contains("/workspace/d"));
    world
        .nexus(&["trash", "restore", "/workspace/d"])
        .must_fail();
    // History has it still.
    world
        .nexus(&["undo", "--kind", "unlink,rmdir", "/workspace/d"])
        .must();
    assert_eq!(sh(&world.workspace(), "cat d/e/1 d/2"), "1\n2\n");
}

#[test]
fn a_directory_a_file_and_a_version_are_made_what_they_were() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir d; echo 1 > g; cp g d/f; chmod 640 d/f",
    );
    let then = world.log(&[]).len();
    sh(
        &world.workspace(),
        "echo 2 > d/f; echo 3 > d/f; mv g d/; rm d/f",
    );
    let at = format!("op:{then}");
    world
        .nexus(&["restore", "/workspace/d", "--at", &at])
        .must();
    assert_eq!(sh(&world.workspace(), "cat d/f g"), "1\n1\n");
    sh(&world.workspace(), "echo again > d/f");
    world
        .nexus(&["restore", "/workspace/d/f", "--version", "1"])
        .must();
    assert_eq!(fs::read_to_string(world.path("d/f")).unwrap(), "1\n");
    world
        .nexus(&["restore", "/workspace/d", "--at", "tomorrow"])
        .must_fail();
    world.ctl(&["verify"]);
}

#[test]
fn a_snapshot_is_restored_wholly_or_in_part() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -p app/src; echo 1 > app/src/a; echo 1 > app/b",
    );
    world
        .nexus(&["snapshot", "create", "before-migration", "/workspace/app"])
        .must();
    sh(
        &world.workspace(),
        "echo 2 > app/b; rm -r app/src; echo new > app/new; mv app program",
    );
    world
        .nexus(&[
            "snapshot",
            "restore",
            "before-migration",
            "/workspace/app/b",
        ])
        .must();
    assert_eq!(
        sh(&world.workspace(), "cat program/b; ls program"),
        "1\nb\nnew\n"
    );
    world
        .nexus(&["snapshot", "restore", "before-migration"])
        .must();
    assert_eq!(
        sh(&world.workspace(), "cat app/src/a; ls . app"),
        "1\n.:\napp\n\napp:\nb\nsrc\n"
    );
    world.nexus(&["undo", "--last"]).must();
    assert_eq!(sh(&world.workspace(), "ls program"), "b\nnew\n");
    world.ctl(&["verify"]);
}

#[test]
fn what_somebody_edited_since_keeps_its_name() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir docs; seq 9 > docs/d1.md; seq 9 > docs/d2.md; seq 9 > docs/d3.md",
    );
    as_agent(&world, "s1", "sed -i s/5/five/ docs/*.md; echo x > docs/x");
    // Over the agent's line, and beside it as the agent did.
    sh(
        &world.workspace(),
        "t=$(sed s/five/FIVE/ docs/d2.md); echo \"$t\" > docs/d2.md; sed -i s/9/nine/ docs/d3.md",
    );
    let refused = world.nexus(&["undo", "--session", "s1"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.out.contains("conflict /workspace/docs/d2.md: "),
        "{refused:?}"
    );
    world.nexus(&["undo", "--session", "s1", "--skip"]).must();
    assert_eq!(
        sh(
            &world.workspace(),
            "cd docs; ls; tr '\\n' ' ' < d1.md; tr '\\n' ' ' < d2.md; tr '\\n' ' ' < d3.md"
        ),
        "d1.md\nd2.md\nd3.md\n1 2 3 4 5 6 7 8 9 1 2 3 4 FIVE 6 7 8 9 1 2 3 4 5 6 7 8 nine "
    );
    world.ctl(&["verify"]);
}
