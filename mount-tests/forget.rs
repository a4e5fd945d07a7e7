//! `nexusctl gc --keep-within`: history that an administrator has forgotten.

use crate::shell::{run, script, sh};
use crate::world::World;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read as _;
use std::process::Stdio;

/// What `gc` says of the one tenant, and of blobs.
fn gc(world: &World, arguments: &[&str]) -> (Value, Value) {
    let all = [&["gc", "--keep-within", "0s"][..], arguments].concat();
    let said = world.ctl(&all);
    (said["forgotten"][0].clone(), said)
}

#[test]
fn history_is_forgotten_by_an_administrators_word_alone() {
    // semantics.md §6: "`nexusctl gc --keep-within` forgets what is older, at an administrator's word and by one operation a tenant"
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "mkdir d; head -c 300000 /dev/urandom > d/f; echo 1 > g; cp d/f kept",
    );
    let run_as = |arguments: &[&str]| world.nexus(arguments).must();
    run_as(&["snapshot", "create", "before", "/workspace"]);
    sh(
        &dir,
        "sum=$(sha256sum < kept); head -c 300000 /dev/urandom > d/f; echo 2 > g; rm kept; echo \"$sum\" > sum",
    );
    let ops = world.log(&[]).len();
    let (planned, space) = gc(&world, &["--keep-snapshots", "--dry-run"]);
    assert!(
        planned["op"].is_null() && planned["rows"].as_u64().unwrap() > 0,
        "{planned}"
    );
    assert!(
        space["bytes"].as_u64().unwrap() < 10_000,
        "the snapshot keeps the bytes: {space}"
    );
    let (planned, space) = gc(&world, &["--dry-run"]);
    assert_eq!(planned["snapshots"][0], "before");
    assert!(space["bytes"].as_u64().unwrap() > 300_000, "{space}");
    assert_eq!(world.log(&[]).len(), ops, "a rehearsal leaves nothing");
    gc(&world, &["--keep-snapshots"]);
    let record = world.log(&["--kind", "forget"]).remove(0);
    assert!(
        record["note"]
            .as_str()
            .unwrap()
            .starts_with("what was before")
    );
    assert_eq!(record["op"].as_u64().unwrap(), ops as u64 + 1);
    sh(
        &dir,
        "[ \"$(sha256sum < .at/before/kept)\" = \"$(cat sum)\" ]",
    );
    run(&mut script(&dir, "ls .at/op:3")).must_fail();
    let why = world
        .nexus(&["ls", "/workspace", "--at", "op:3"])
        .must_fail();
    assert!(why.contains("was forgotten on 2"), "{why}");
    let why = world.nexus(&["undo", "3"]).must_fail();
    assert!(why.contains("the oldest that can be is"), "{why}");
    let why = world.nexus(&["undo", "--since", "op:3"]).must_fail();
    assert!(why.contains("`--since op:"), "{why}");
    let never = ["trash", "restore", "/workspace/never"];
    let why = world.nexus(&never).must_fail();
    assert!(why.contains("was forgotten on 2"), "{why}");
    let (gone, space) = gc(&world, &[]);
    assert_eq!(gone["snapshots"][0], "before");
    assert!(space["bytes"].as_u64().unwrap() > 300_000, "{space}");
    run(&mut script(&dir, "ls .at/before")).must_fail();
    assert_eq!(fs::read_to_string(world.path("g")).unwrap(), "2\n");
    let (nothing, space) = gc(&world, &[]);
    assert_eq!((&nothing["rows"], &space["bytes"]), (&0.into(), &0.into()));
    world.ctl_said(&["gc", "--keep-within", "soon"]).must_fail();
    world.ctl_said(&["gc", "--keep-snapshots"]).must_fail();
    world.is_sound();
}

#[test]
fn an_open_file_is_read_though_its_past_is_forgotten() {
    // semantics.md §7: "An unlinked file lives until its last handle is closed."
    let world = World::new();
    fs::write(world.path("f"), vec![b'x'; 300_000]).unwrap();
    let op = &world.ctl(&["log", "head"])["op"];
    fs::write(world.path("f"), "other").unwrap();
    let mut past = File::open(world.path(format!(".at/op:{op}/f"))).unwrap();
    let mut gone = File::open(world.path("f")).unwrap();
    fs::remove_file(world.path("f")).unwrap();
    gc(&world, &[]);
    world.ctl(&["cache", "drop"]);
    let read = |file: &mut File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert!(read(&mut past) == vec![b'x'; 300_000] && read(&mut gone) == b"other");
    drop((past, gone));
    world.is_sound();
}

#[test]
fn who_stands_in_the_past_stands_nowhere_when_it_is_forgotten() {
    // semantics.md §6: "What is behind the horizon is not shown and not undone"
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir d; echo 1 > d/f");
    world.nexus(&["snapshot", "create", "before"]).must();
    sh(&dir, "echo 2 > d/f");
    let looking = script(
        &dir,
        "cd .at/before/d; stat f > /dev/null; echo in; read _ || true; cat f > /dev/null",
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn();
    let mut looking = looking.unwrap();
    let mut line = [0; 3];
    looking
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut line)
        .unwrap();
    gc(&world, &[]);
    drop(looking.stdin.take());
    assert!(!looking.wait().unwrap().success());
}
