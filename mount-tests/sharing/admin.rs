//! What root does as the owner of the data directory, what is refused to others as his, and what groups of the operating system
//! are worth at the socket.

use super::*;

/// What was noted about a path: by whose command, and which right it was.
fn noted(world: &World, path: &str) -> Vec<String> {
    let all = world.log(&["--kind", "bypass"]);
    let about = all.iter().filter(|r| r["path"] == path);
    about
        .map(|r| format!("{}: {}", r["command"], r["note"]).replace('"', ""))
        .collect()
}

#[test]
fn what_root_does_by_his_word_is_in_the_log_at_once() {
    let Some(world) = village() else { return };
    said(&world, ALICE, "umask 077; echo dear > diary").must();
    for _ in 0..2 {
        assert_eq!(world.nexus(&["cat", "/workspace/diary"]).must(), "dear\n");
        assert_eq!(noted(&world, "/workspace/diary"), ["nexus: read"]);
    }
    ask(
        &world,
        "rebac grant user carol file /workspace/diary --relation can_read",
    );
    let both = ["nexus: read", "nexus: owner's"];
    assert_eq!(noted(&world, "/workspace/diary"), both);
    // His own store is his.
    let before = world.log(&["--kind", "bypass"]).len();
    fs::write(world.path("own"), "x").unwrap();
    fs::set_permissions(world.path("own"), Permissions::from_mode(0o200)).unwrap();
    assert_eq!(world.nexus(&["cat", "/workspace/own"]).must(), "x");
    world.nexus(&["rm", "/workspace/own"]).must();
    assert_eq!(world.log(&["--kind", "bypass"]).len(), before);
    world.is_sound();
}

#[test]
fn who_asks_again_and_again_for_what_is_an_administrators_is_counted() {
    let Some(world) = village() else { return };
    for _ in 0..5 {
        said(&world, BOB, "nexus admin create-user mallory").must_fail();
        world.nexus(&["cat", "/workspace/project/plan"]).must();
    }
    let refused = || world.log(&["--kind", "refused"]);
    let [first] = &*refused() else {
        panic!("{:?}", refused())
    };
    world.shutdown();
    world.restart();
    let all = refused();
    let [_, again] = &*all else { panic!("{all:?}") };
    assert_eq!(
        (&again["times"], &again["first"]),
        (&4.into(), &first["op"])
    );
    for same in ["user", "uid", "pid", "command", "subject", "asked", "note"] {
        assert_eq!(again[same], first[same], "{same}");
    }
    // In words, to himself and to whose plan was read; and added up.
    let told = |who: u32| {
        let log = said(&world, who, "nexus log --kind refused,bypass").must();
        let counts = log
            .lines()
            .filter(|line| line.contains(" more times until "));
        counts.map(str::to_owned).collect::<Vec<_>>()
    };
    let (bobs, alices) = (told(BOB), told(ALICE));
    let is_told = |told: &[String], words: &str| told.iter().any(|line| line.contains(words));
    let refusal = "  refused      user-create user=mallory (only an administrator may do this: the owner of \
                   the data directory, or root), 4 more times until ";
    assert!(is_told(&bobs, refusal), "{bobs:?}");
    assert!(!is_told(&bobs, "plan"), "{bobs:?}");
    let read = "  bypass       /workspace/project/plan (read), 4 more times until ";
    assert!(is_told(&alices, read), "{alices:?}");
    assert!(!is_told(&alices, "mallory"), "{alices:?}");
    let sum = world.nexus(&["log", "--summary"]).must();
    assert!(sum.contains("        2  refused, 4 more times\n"), "{sum}");
    world.is_sound();
}

#[test]
fn groups_of_the_operating_system_count_on_the_mount_and_at_the_socket() {
    let Some(world) = village() else { return };
    fs::write(world.path("f"), "x").unwrap();
    std::os::unix::fs::chown(world.path("f"), None, Some(4711)).unwrap();
    fs::set_permissions(world.path("f"), Permissions::from_mode(0o640)).unwrap();
    let nexus = world.host("bin").join("nexus");
    let in_group = |group: &str, program: &str, file: &str| {
        let (mut command, id) = (Command::new("setpriv"), BOB.to_string());
        command.args(["--reuid", &id, "--regid", &id, "--groups", group]);
        command.args(program.split(' ')).arg(file);
        command.env("NEXUS_DATA_DIR", world.data());
        run(command.current_dir(world.workspace()))
    };
    let at_the_socket = format!("{} cat", nexus.display());
    for (program, file) in [("cat", "f"), (&*at_the_socket, "/workspace/f")] {
        assert_eq!(in_group("4712,4711", program, file).must(), "x");
        in_group("4712", program, file).must_fail();
    }
}
