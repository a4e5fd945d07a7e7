//! Files that tools save by another file that they put in its place: each save is one change and one version.

use crate::guests::{ALICE, BOB, said, town};
use crate::shell::sh;
use crate::world::World;

/// How tools save a file `f`, and what they leave beside it.
const WAYS: [(&str, &str, &str); 5] = [
    ("sed", "sed -i 's/^2$/two/' f", ""),
    ("sed", "sed -i.bak 's/^2$/two/' f", "f.bak"),
    ("perl", "perl -i -pe 's/^2$/two/' f", ""),
    (
        "vim",
        "vim -u NONE -es -c 'set backupskip= backupcopy=auto' -c '%s/^2$/two/' -c wq f",
        "",
    ),
    (
        "vim",
        "vim -u NONE -n -es -c 'set backup backupskip= backupcopy=auto' -c '%s/^2$/two/' -c wq f",
        "f~",
    ),
];

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_tool_saved_is_taken_back_by_its_path_and_what_others_wrote_since_stays() {
    let world = World::new();
    let dir = world.workspace();
    for (n, (command, save, beside)) in WAYS.iter().enumerate() {
        let at = dir.join(n.to_string());
        sh(&dir, &format!("mkdir {n}; seq 9 > {n}/f"));
        sh(&at, save);
        let left = format!("f {beside}");
        assert_eq!(words(&sh(&at, "ls -A")), left.trim(), "{save}");
        sh(&at, "t=$(sed 's/^8$/eight/' f); echo \"$t\" > f");
        let holds = |second: &str| format!("1 {second} 3 4 5 6 7 eight 9");
        let file = format!("/workspace/{n}/f");
        let args = ["undo", &file, "--command", command, "--yes"];
        let plan = world.nexus(&[&args[..4], &["--dry-run"]].concat()).must();
        assert!(plan.contains("did to it since stays (operation "), "{plan}");
        let undone = world.nexus(&args).must();
        assert_eq!(words(&sh(&at, "cat f")), holds("2"), "{save}: {undone}");
        assert_eq!(words(&sh(&at, "ls -A")), "f", "{save}: {undone}");
        let back = undone.split("nexus undo ").nth(1).unwrap();
        let back = back.split('`').next().unwrap();
        world.nexus(&["undo", back]).must();
        assert_eq!(words(&sh(&at, "cat f")), holds("two"), "{save}");
        assert_eq!(words(&sh(&at, "ls -A")), left.trim(), "{save}");
    }
    world.ctl(&["verify"]);
}

/// semantics.md §6: "Undoing keeps later work of others. Where that depends on what would be undone, nothing is changed"
#[test]
fn what_was_done_to_a_file_before_a_tool_saved_it_is_undone_in_what_that_saved() {
    let world = World::new();
    let dir = world.workspace();
    for (n, (_, save, beside)) in WAYS.iter().enumerate() {
        for (m, change) in [
            WAYS[0].1,
            WAYS[1].1,
            WAYS[3].1,
            "t=$(sed s/2/two/ f); echo \"$t\" > f",
        ]
        .iter()
        .enumerate()
        {
            if [change, save].iter().all(|how| how.contains(".bak")) {
                // One backup took the place of the other.
                continue;
            }
            let session = format!("s{n}-{m}");
            let at = dir.join(&session);
            sh(&dir, &format!("mkdir {session}; seq 9 > {session}/f"));
            let script = format!("cd {}; {change}", at.display());
            world
                .nexus(&["run", "--session", &session, "--", "sh", "-c", &script])
                .must();
            sh(&at, &save.replace("2$/two", "8$/eight"));
            world
                .nexus(&["undo", "--session", &session, "--yes"])
                .must();
            assert_eq!(
                words(&sh(&at, "cat f")),
                "1 2 3 4 5 6 7 eight 9",
                "{change}; {save}"
            );
            let left = format!("f {beside}");
            assert_eq!(words(&sh(&at, "ls -A")), left.trim(), "{change}; {save}");
            if !beside.is_empty() {
                assert_eq!(
                    words(&sh(&at, &format!("cat {beside}"))),
                    "1 2 3 4 5 6 7 8 9"
                );
            }
        }
    }
    world.ctl(&["verify"]);
}

#[test]
fn a_save_is_the_newest_change_and_goes_whole() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "mkdir d; echo hello > d/note; sed -i s/hello/bye/ d/note",
    );
    let said = world.nexus(&["undo", "--last"]).must();
    assert!(said.contains("one save with a rename"), "{said}");
    assert_eq!(sh(&dir, "cat d/note; ls d"), "hello\nnote\n");
    // By the path alone all that was done to the file is taken back.
    sh(&dir, "sed -i s/hello/bye/ d/note");
    world.nexus(&["undo", "/workspace/d/note"]).must();
    assert_eq!(sh(&dir, "ls d"), "");
}

#[test]
fn each_save_is_one_version() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "seq 3 > f; for n in 1 2 3; do sed -i \"s/$/$n/\" f; done",
    );
    let list = world.nexus(&["versions", "/workspace/f"]).must();
    // Its head, made and written by the shell, and three.
    assert_eq!(list.lines().count(), 1 + 2 + 3, "{list}");
    let shown = |n: &str| {
        let args = ["cat", "/workspace/f", "--version", n];
        words(&world.nexus(&args).must())
    };
    assert_eq!(
        ["2", "3", "4", "5"].map(shown),
        ["1 2 3", "11 21 31", "112 212 312", "1123 2123 3123"]
    );
    let told = world
        .nexus(&["diff", "/workspace/f", "--from", "3", "--to", "4"])
        .must();
    assert!(told.contains("-11\n") && told.contains("+112\n"), "{told}");
    let newest = list.lines().last().unwrap();
    let op = newest.split_whitespace().nth(1).unwrap();
    let whose = world.nexus(&["blame", "/workspace/f"]).must();
    let own = format!("op:{op} ");
    assert!(whose.lines().all(|line| line.starts_with(&own)), "{whose}");
    // The operation that a version is told with is the save.
    world.nexus(&["undo", op]).must();
    assert_eq!(words(&sh(&dir, "cat f; ls")), "112 212 312 f");
    world
        .nexus(&["restore", "/workspace/f", "--version", "3"])
        .must();
    assert_eq!(words(&sh(&dir, "cat f")), "11 21 31");
}

/// One file that is another's by now kept a whole session from being undone, and `--skip` did not help.
#[test]
fn what_is_anothers_by_now_is_left_out_and_the_rest_is_undone() {
    let Some(world) = town() else { return };
    let alice = |text: &str| said(&world, ALICE, text);
    alice("mkdir d; nexus rebac grant user bob file d --relation can_write").must();
    alice("seq 1 5 > d/a; echo x > d/b; nexus run --session s -- sh -c 'sed -i s/3/THREE/ d/a; rm d/b'").must();
    said(&world, BOB, "umask 077; sed -i s/5/FIVE/ d/a").must();
    let refused = alice("nexus undo --session s --yes").must_fail();
    assert!(
        refused.contains("no write permission") && refused.contains("--skip"),
        "{refused}"
    );
    alice("test ! -e d/b; nexus undo --session s --skip --yes").must();
    assert_eq!(alice("cat d/b").must(), "x\n");
    assert_eq!(
        said(&world, BOB, "cat d/a").must(),
        "1\n2\nTHREE\n4\nFIVE\n"
    );
    world.is_sound();
}
