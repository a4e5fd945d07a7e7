//! What the programs take and print.

use crate::shell::{Said, run, script, sh};
use crate::world::{NEXUS, NEXUSCTL, World, json_lines};
use std::fs;

#[test]
fn a_unit_is_a_text_of_lines() {
    let world = World::unmounted(&[]);
    let unit = world.nexus(&["service", "/mnt/a b"]).must();
    let starts = |line: &&str| line.starts_with("ExecStart=");
    let start = unit.lines().find(starts).expect(&unit);
    assert!(start.contains(" mount \"/mnt/a b\" --data-dir "), "{start}");
    assert!(unit.lines().any(|line| line == "[Install]"), "{unit}");
}

#[test]
fn a_list_is_set_and_shown_by_whichever_path_leads_there() {
    let world = World::new();
    world.ctl(&["user", "create", "bob"]);
    fs::write(world.path("f"), "x").unwrap();
    let full = world.path("f");
    let set = ["setfacl", "user:bob:r--", full.to_str().unwrap()];
    world.nexus(&set).must();
    let mut relative = world.command(&["getfacl", "f"]);
    let shown = run(relative.current_dir(world.workspace())).must();
    assert!(shown.contains("user:bob:r--"), "{shown}");
    assert!(shown.contains("# file: f\n"), "{shown}");
}

/// Runs a `nexus` command of these words.
fn nexus(world: &World, line: &str) -> Said {
    world.nexus(&line.split(' ').collect::<Vec<_>>())
}

/// Runs a line on a terminal on which somebody has typed an answer.
fn on_terminal(world: &World, line: &str, answer: &str) -> Said {
    let text = format!("printf '{answer}\\n' | script -qec '{line}' /dev/null");
    let mut command = script(world.data(), &text);
    world.furnish(&mut command);
    run(command.stdin(std::process::Stdio::null()))
}

#[test]
fn what_takes_something_away_is_asked_for_on_a_terminal() {
    let world = World::new();
    let file = world.path("f");
    let write = |text: &str| drop(world.nexus(&["write", "/workspace/f", text]).must());
    write("one");
    nexus(&world, "snapshot create before /workspace").must();
    for (program, line, now) in [
        (NEXUS, "restore /workspace/f --version 1", Some("one")),
        (NEXUS, "snapshot restore before /workspace", Some("one")),
        (NEXUS, "trash restore /workspace/f", Some("two")),
        (NEXUSCTL, "gc --keep-within 0s", None),
    ] {
        let line = format!("{program} {line}");
        write("two");
        if line.contains("trash") {
            fs::remove_file(&file).unwrap();
        }
        let was = fs::read_to_string(&file).ok();
        let reads = || fs::read_to_string(&file).ok();
        let told = on_terminal(&world, &line, "n");
        assert!(!told.ok() && told.out.contains("[y/N]"), "{line}: {told:?}");
        assert_eq!(reads(), was, "{line}");
        let past = nexus(&world, "cat /workspace/f --version 1");
        assert!(past.ok(), "{line}: {past:?}");
        let told = on_terminal(&world, &line, "y");
        assert!(told.ok() && told.out.contains("[y/N]"), "{line}: {told:?}");
        assert_eq!(reads().as_deref(), now.or(was.as_deref()), "{line}");
        let told = on_terminal(&world, &format!("{line} --yes"), "n");
        assert!(!told.out.contains("[y/N]"), "{line}: {told:?}");
    }
}

#[test]
fn every_command_answers_in_json_when_it_is_asked_to() {
    let world = World::new();
    fs::create_dir_all(world.path("a/b")).unwrap();
    fs::write(world.path("a/b/f"), "x").unwrap();
    world.ctl(&["group", "create", "staff"]);
    for line in [
        "mkdir /workspace/new",
        "chmod 700 /workspace/new",
        "chown 0 /workspace/new",
        "chgrp staff /workspace/new",
        "tree /workspace/a",
    ] {
        let told = nexus(&world, &format!("--json {line}")).must();
        assert!(!json_lines(&told).is_empty(), "{line}");
    }
    let told = json_lines(&nexus(&world, "--json tree /workspace/a").must());
    let paths: Vec<_> = told
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/workspace/a/b", "/workspace/a/b/f"]);
    assert_eq!(told[1]["size"], 1);
}

#[test]
fn a_file_that_matches_is_named_once() {
    let world = World::new();
    fs::write(world.path("f"), "x\n".repeat(9)).unwrap();
    let told = nexus(&world, "grep -l -m 5 x /workspace").must();
    assert_eq!(told, "/workspace/f\n");
}

#[test]
fn a_word_that_means_nothing_is_told_and_not_passed_over() {
    let world = World::new();
    world.ctl(&["user", "create", "alice"]);
    fs::write(world.path("f"), "x").unwrap();
    for (line, says) in [
        ("log --kind rm", "unlink"),
        ("log -n -1", "-1"),
        ("cat /workspace/f --at -5m", "10m-ago"),
        ("log --since -5m", "10m-ago"),
        (
            "rebac grant user alice file /workspace/f --relation owner --expires -1d",
            "in the past",
        ),
        ("log --op 5..3", "smaller number first"),
        ("watch --op 5..3", "smaller number first"),
        ("watch --from 99999999", "still to come"),
        ("watch --until 1m-ago", "--until"),
        ("log --follow --until 1m-ago", "--until"),
        ("rebac list --subject-type foo", "user, agent, group"),
        ("rebac list --object-type foo", "type list"),
        ("rebac list --relation foo", "can_read"),
        ("why agent:alice read /workspace/f", "alice is a user"),
        ("why nope read /workspace/f", "nexusctl user list"),
    ] {
        let told = nexus(&world, line).must_fail();
        assert!(
            told.contains(says) && !told.contains("unexpected argument"),
            "{line}: {told}"
        );
    }
    let told = world.ctl_said(&["key", "list", "nope"]).must_fail();
    assert!(told.contains("no user"), "{told}");
    assert_eq!(nexus(&world, "log --user nobody").err, "no operations\n");
    // It ends where nothing more can come.
    nexus(&world, "log --follow --op ..2").must();
    nexus(&world, "rebac list --subject-type agent --relation viewer").must();
}

#[test]
fn a_time_that_was_printed_means_the_same_to_everybody() {
    let world = World::unmounted(&[]);
    world.nexus(&["init"]).must();
    let say = |zone: &str, line: &str| {
        let mut command = world.command(&line.split(' ').collect::<Vec<_>>());
        run(command.env("TZ", zone)).must()
    };
    for zone in ["JST-9", "EST5"] {
        say(zone, &format!("write /workspace/{zone} x"));
        let told = say(zone, &format!("log /workspace/{zone}"));
        let mut columns = told.trim().split("  ");
        let op: u64 = columns.next().unwrap().parse().unwrap();
        let time = columns.next().unwrap();
        for there in ["JST-9", "UTC0", "EST5"] {
            let found = |word: &str| {
                let mut command = world.command(&["--json", "log", word, time]);
                let all = json_lines(&run(command.env("TZ", there)).must());
                all.iter().any(|record| record["op"] == op)
            };
            // It is cut to its second, and so before the operation.
            assert!(found("--since"), "{zone} {there}: {told}");
            assert!(!found("--until"), "{zone} {there}: {told}");
        }
    }
}

#[test]
fn patch_takes_what_diff_prints() {
    let world = World::new();
    let at = "/workspace/of two words";
    for text in ["a\nb\nc\n", "a\nB\nc\n"] {
        world.nexus(&["write", at, text]).must();
    }
    let told = world.nexus(&["diff", at]).must();
    let host = world.host("copy");
    fs::create_dir(host.join("workspace")).unwrap();
    let copy = host.join(&at[1..]);
    fs::write(&copy, "a\nb\nc\n").unwrap();
    fs::write(host.join("change"), &told).unwrap();
    sh(&host, "patch -p0 < change");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "a\nB\nc\n", "{told}");
}

#[test]
fn a_shells_redirection_and_sed_take_no_lines_from_others() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "printf 'a\\nb\\nc\\n' > f");
    let by = |session: &str, line: &str| {
        let args = ["run", "--session", session, "--", "bash", "-c", line];
        run(world.command(&args).current_dir(&dir)).must();
    };
    by("s1", "printf 'a\\nB\\nc\\n' > f");
    by("s2", "sed -i s/c/C/ f");
    let told = nexus(&world, "--json blame /workspace/f").must();
    let told = &json_lines(&told)[0];
    let lines = told["lines"].as_array().unwrap().iter();
    let whose = |line: &serde_json::Value| {
        let version = &told["versions"][line["version"].to_string()];
        version["session"].as_str().unwrap_or("-").to_owned()
    };
    assert_eq!(
        lines.map(whose).collect::<Vec<_>>(),
        ["-", "s1", "s2"],
        "{told:#}"
    );
    let told = nexus(&world, "diff /workspace/f").must();
    assert!(told.ends_with(" a\n B\n-c\n+C\n"), "{told}");
    // What no text has commands no terminal.
    fs::write(world.path("raw"), b"\x1b[2J\xff\tend\n").unwrap();
    let told = nexus(&world, "blame /workspace/raw").must();
    assert!(told.ends_with("\\u{1b}[2J\\xff\tend\n"), "{told}");
}

#[test]
fn what_was_not_there_is_told_by_the_path_that_was_said() {
    let world = World::new();
    world.nexus(&["write", "/workspace/f", "one"]).must();
    let (op, gone) = (
        format!("op:{}", crate::past::head(&world)),
        "/workspace/gone",
    );
    world.nexus(&["mkdir", gone]).must();
    for arguments in [
        &["cat", gone][..],
        &["ls", gone],
        &["tree", gone],
        &["info", gone],
        &["cp", gone, "/workspace/copy"],
        &["grep", "x", gone],
        &["restore", gone],
        &["cat", "/workspace"],
        &["cat", "/workspace/f/x"],
    ] {
        let said = world.nexus(&[arguments, &["--at", &op]].concat());
        assert!(!said.status.success(), "{arguments:?}");
        let names = arguments.iter().any(|path| said.err.contains(path));
        assert!(
            names && !said.err.contains(".at/"),
            "{arguments:?} {said:?}"
        );
    }
    let said = world.nexus(&["cat", gone, "--at", &op]).err;
    assert!(said.contains(&format!("as of {op}")), "{said}");
    let said = world
        .nexus(&["diff", "/workspace/never", "--from", &op])
        .err;
    assert!(
        said.contains("/workspace/never") && !said.contains(".at/"),
        "{said}"
    );
}
