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
    let empty = world.nexus(&["trash", "list"]);
    assert_eq!((&*empty.out, &*empty.err), ("", "nothing in the trash\n"));
    world
        .nexus(&["trash", "restore", "/workspace/none"])
        .must_fail();
    sh(&world.workspace(), "rm -r d x");
    let told = world
        .nexus(&["trash", "empty", "--under", "/workspace/d", "--dry-run"])
        .must();
    assert!(
        told.starts_with("1 deletions and 3 of what went with a directory would be"),
        "{told}"
    );
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

/// The number of the newest operation.
fn newest(world: &World) -> u64 {
    let last = world.ctl(&["log", "head"]);
    last["op"].as_u64().unwrap()
}

#[test]
fn the_newest_change_is_named_and_goes_step_by_step() {
    let world = World::new();
    sh(&world.workspace(), "echo hello > note");
    let said = world.nexus(&["undo", "--last"]).must();
    assert!(said.starts_with("undoing "), "{said}");
    assert!(said.contains(" write /workspace/note"), "{said}");
    assert_eq!(fs::read_to_string(world.path("note")).unwrap(), "");
    world.nexus(&["undo", "--last"]).must();
    assert!(!world.path("note").exists());
    let done_again = newest(&world).to_string();
    world.nexus(&["undo", &done_again]).must();
    // What was done again is the newest once more.
    let said = world.nexus(&["undo", "--last"]).must();
    assert!(said.contains(" create /workspace/note"), "{said}");
    for script in ["echo 1 > a; mv a b", "ln a c"] {
        sh(&world.workspace(), script);
        let said = world.nexus(&["undo", "--last"]).must();
        assert!(said.contains(" names; `nexus undo "), "{said}");
    }
    sh(&world.workspace(), "echo 1 > f; echo 2 > f");
    // Emptied, and written.
    let (emptied, written) = (newest(&world) - 1, newest(&world));
    let first = format!("{emptied}-{written}");
    sh(&world.workspace(), "echo 3 > f");
    for json in [&[][..], &["--json"]] {
        let what = [&["undo", &first, "--dry-run"], json].concat();
        let refused = world.nexus(&what);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(!refused.out.contains("would be undone"), "{refused:?}");
    }
    let refused = world.nexus(&["undo", &first]).out;
    assert!(refused.contains("conflict /workspace/f: was changed since"));
    assert!(!refused.contains("undone:"), "{refused}");
}

#[test]
fn numbers_are_written_as_the_log_writes_them_and_conditions_hold_for_them_too() {
    let world = World::new();
    sh(&world.workspace(), "echo mine > f");
    as_agent(&world, "s1", "mkdir g");
    let last = newest(&world);
    let (all, dotted) = (format!("1-{last}"), format!("{last}..{last}"));
    let planned = |what: &[&str]| {
        let what = [&["undo", "--dry-run", "--json"], what].concat();
        let said = world.nexus(&what).must();
        let planned: serde_json::Value = serde_json::from_str(&said).unwrap();
        planned["ops"].as_str().unwrap().to_owned()
    };
    let one = last.to_string();
    assert_eq!(planned(&[&all, "--session", "s1"]), one);
    assert_eq!(planned(&[&dotted]), one);
    assert_eq!(planned(&[&format!("op:{last}")]), one);
    let before = (last - 1).to_string();
    assert_eq!(planned(&[&one, &before]), format!("{before}-{last}"));
    for (wrong, told) in [
        (&[&one, "--last"][..], "numbers say which"),
        (&["5-3"], "write 3-5"),
        (&[&one, "f"], "no number"),
        (&["f", "g"], "a path stands alone"),
        (&[], "a path, --last"),
        (&[&one, "--session", "none"], "no operation fits"),
    ] {
        let said = world.nexus(&[&["undo"], wrong].concat()).must_fail();
        assert!(said.contains(told), "{wrong:?}: {said}");
    }
    let said = world.nexus(&["restore", "/workspace/f"]).must_fail();
    assert!(said.contains("--version"), "{said}");
    let young = ["ls", "/workspace", "--at", "2001-01-01T00:00Z"];
    let said = world.nexus(&young).must_fail();
    // In whatever zone the test runs.
    assert!(said.contains("nothing had been done by 200"), "{said}");
    assert!(
        said.contains(": the first operation is op:1, at 2"),
        "{said}"
    );
}

#[test]
fn a_deletion_comes_back_without_its_directory_and_apart_from_another_one() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "mkdir -p docs/d; echo 1 > docs/d1.md; echo 2 > docs/d/2; rm -r docs",
    );
    // The directories above it come back, and nothing else.
    world
        .nexus(&["trash", "restore", "/workspace/docs/d/2"])
        .must();
    assert_eq!(sh(&dir, "cd docs; find | sort"), ".\n./d\n./d/2\n");
    // Another one is there.
    sh(&dir, "rm -r docs; mkdir docs");
    world
        .nexus(&["trash", "restore", "/workspace/docs/d1.md"])
        .must();
    assert_eq!(sh(&dir, "cat docs/d1.md; ls docs"), "1\nd1.md\n");
    let taken = "rm -r docs; mkdir docs; echo new > docs/d1.md";
    sh(&dir, taken);
    let said = world.nexus(&["trash", "restore", "/workspace/docs/d1.md"]);
    assert!(said.must_fail().contains("--force-copy"));
    world
        .nexus(&["trash", "restore", "--force-copy", "/workspace/docs/d1.md"])
        .must();
    assert_eq!(sh(&dir, "cat docs/d1.md docs/d1.md.undo-*"), "new\n1\n");
    // One process, two directories of one name.
    let twice = "import os; \
                 [(os.mkdir('e'), open('e/' + f, 'w').close(), os.remove('e/' + f), os.rmdir('e')) for f in 'ab']";
    sh(&dir, &format!("python3 -c \"{twice}\""));
    world.nexus(&["trash", "restore", "/workspace/e"]).must();
    assert_eq!(sh(&dir, "ls e"), "b\n");
    world.ctl(&["verify"]);
}

#[test]
fn a_path_is_restored_without_its_directory_or_where_that_is_now() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir docs; echo 1 > docs/d1.md; echo 2 > docs/2");
    world.nexus(&["snapshot", "create", "snap"]).must();
    let restore = ["snapshot", "restore", "snap", "/workspace/docs/d1.md"];
    sh(&dir, "rm -r docs");
    world.nexus(&restore).must();
    assert_eq!(sh(&dir, "cat docs/d1.md; ls docs"), "1\nd1.md\n");
    sh(&dir, "echo spoilt > docs/d1.md; mv docs papers");
    let said = world.nexus(&restore).must();
    assert!(said.contains("it is /workspace/papers/d1.md now"), "{said}");
    assert_eq!(
        fs::read_to_string(world.path("papers/d1.md")).unwrap(),
        "1\n"
    );
    sh(&dir, "mkdir docs");
    let said = world.nexus(&restore).must_fail();
    assert!(said.contains("/workspace/papers/d1.md"), "{said}");
    // Somebody's file has the name that something came from.
    sh(&dir, "rm -r docs; mv papers docs; echo 3 > x");
    let then = format!("op:{}", newest(&world));
    sh(&dir, "mv x docs/x; echo theirs > x; echo new > docs/y");
    let refused = world.nexus(&["restore", "/workspace/docs", "--at", &then]);
    assert!(
        refused.out.contains("conflict /workspace/docs/x: "),
        "{refused:?}"
    );
    let told = refused.must_fail();
    assert!(
        told.contains("nexus cp --at") && told.contains("--skip"),
        "{told}"
    );
    assert!(dir.join("docs/y").exists());
    // What is in the way of nothing is done, as it says.
    let skipped = ["restore", "/workspace/docs", "--at", &then, "--skip"];
    world.nexus(&skipped).must();
    assert_eq!(
        sh(&dir, "cat docs/x x; ls docs | grep y || :"),
        "3\ntheirs\n"
    );
    world.ctl(&["verify"]);
}

#[test]
fn what_was_undone_is_done_again_and_a_list_says_whose_agent_it_was() {
    let world = World::new();
    sh(&world.workspace(), "echo one > f; echo x > x");
    as_agent(&world, "s1", "rm x");
    let listed = world.nexus(&["trash", "list"]).must();
    assert!(listed.contains("+fixer"), "{listed}");
    sh(&world.workspace(), "echo two >> f");
    let read = || fs::read_to_string(world.path("f")).unwrap();
    world.nexus(&["ops", "undo", "--last"]).must();
    assert_eq!(read(), "one\n");
    let planned = world.nexus(&["redo", "--dry-run"]).must();
    assert!(
        planned.contains("undoing") && read() == "one\n",
        "{planned}"
    );
    world.nexus(&["redo"]).must();
    assert_eq!(read(), "one\ntwo\n");
    let why = world.nexus(&["redo"]).must_fail();
    assert!(why.contains("nothing that you have undone"), "{why}");
    for since in ["2h", "2 hours ago", "monday"] {
        let log = world.nexus(&["log", "--since", since]).must();
        assert!(log.contains("/workspace/f"), "{since}: {log}");
    }
}
