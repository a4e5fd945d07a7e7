//! Tenants deleted and made again, on real mounts with real users.

use crate::shell::{Said, run, script};
use crate::world::{World, detach, needs_root};
use serde_json::Value;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Runs `nexusctl` with the words of a line.
fn ctl(world: &World, line: &str) -> Value {
    world.ctl(&line.split(' ').collect::<Vec<_>>())
}

fn mount(world: &World, dir: &Path) -> Said {
    let dir = dir.to_str().unwrap();
    let who = ["--tenant", "acme", "--identity", "os", "--allow-other"];
    world.nexus(&[&["mount", dir], &who[..]].concat())
}

/// Runs something in a directory as somebody.
fn as_uid(dir: &Path, uid: u32, does: &str) -> Said {
    let text = format!("exec setpriv --reuid {uid} --regid {uid} --clear-groups bash -c '{does}'");
    run(&mut script(dir, &text))
}

/// A tenant `acme` with ann (21001) and bob (21002, who reads ann's plan by a group), an agent, a key and a type.
fn acme(world: &World, dir: &Path) {
    ctl(world, "tenant create acme");
    for line in [
        "user create ann --uid 21001",
        "user create bob --uid 21002",
        "agent create coder --owner ann",
        "group create staff",
        "group add staff bob",
        "key create ann",
    ] {
        ctl(world, &format!("--tenant acme {line}"));
    }
    mount(world, dir).must();
    as_uid(&dir.join("workspace"), 21001, "echo secret-of-old > plan").must();
    let grant = "--tenant acme rebac grant group staff file /workspace/plan --relation can_read";
    ctl(world, grant);
    as_uid(dir, 21002, "cat workspace/plan").must();
}

/// Deletes it, which is refused while a mount shows it; gives what went.
fn delete(world: &World, dir: &Path) -> Value {
    let delete = ["tenant", "delete", "acme", "--yes"];
    let busy = world.ctl_said(&delete).must_fail();
    assert!(busy.contains("nexus umount"), "{busy}");
    as_uid(dir, 21001, "cat workspace/plan").must();
    world.nexus(&["umount", dir.to_str().unwrap()]).must();
    let unsure = world.ctl_said(&["tenant", "delete", "acme"]).must_fail();
    assert!(unsure.contains("--yes"), "{unsure}");
    let planned = ctl(world, "tenant delete acme --dry-run");
    assert_eq!(ctl(world, "tenant delete acme --yes"), planned);
    assert_eq!(world.ctl_said(&delete).status.code(), Some(2));
    planned
}

/// What somebody of the new tenant finds on its mount, and an administrator by asking.
fn shows_nothing_of_the_old(world: &World, dir: &Path) {
    let looks = "ls -A workspace shared; find .; grep -rs secret-of . ; cat .nexus/log; ls .at; cat workspace/plan; true";
    let found = as_uid(dir, 21001, looks).must();
    as_uid(dir, 21002, "ls workspace").must_fail();
    let mut all = vec![found];
    for list in ["key list", "rebac list", "user list", "agent list"] {
        all.push(ctl(world, &format!("--tenant acme {list}")).to_string());
    }
    for list in ["trash list --all", "log", "snapshot list", "rebac changes"] {
        let words: Vec<_> = ["--tenant", "acme"]
            .into_iter()
            .chain(list.split(' '))
            .collect();
        all.push(world.nexus(&words).must());
    }
    let grep = world.nexus(&["--tenant", "acme", "grep", "secret-of"]);
    assert_eq!(grep.status.code(), Some(1), "{grep:?}");
    for said in all {
        for old in ["plan", "secret-of-old", "bob", "coder"] {
            assert!(!said.contains(old), "{old}: {said}");
        }
    }
}

#[test]
fn a_tenant_that_was_deleted_shows_nothing_to_the_next_of_its_name() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let dir = world.host("acme");
    acme(&world, &dir);
    let old = ctl(&world, "--tenant acme user show ann");
    let gone = delete(&world, &dir);
    assert_eq!((&gone["keys"], &gone["files"]), (&1.into(), &1.into()));
    world.kill();
    world.restart();
    let told = world.log(&["--kind", "tenant-delete"]);
    assert_eq!(
        (told.len(), &told[0]["subject"]),
        (1, &"tenant:acme".into())
    );
    assert_eq!(told[0]["uid"], 0);
    let made = world.log(&["--kind", "tenant-create"]);
    assert_eq!(
        (made.len(), &made[0]["uid"], &made[0]["command"]),
        (1, &0.into(), &"nexusctl".into())
    );
    mount(&world, &dir).must_fail();
    ctl(&world, "tenant create acme");
    for line in [
        "user create ann --uid 21001",
        "group create staff",
        "group add staff ann",
    ] {
        ctl(&world, &format!("--tenant acme {line}"));
    }
    let new = ctl(&world, "--tenant acme user show ann");
    assert!(new["id"].as_u64() > old["id"].as_u64());
    mount(&world, &dir).must();
    shows_nothing_of_the_old(&world, &dir);
    world.kill();
    world.restart();
    shows_nothing_of_the_old(&world, &dir);
    world.nexus(&["umount", dir.to_str().unwrap()]).must();
    world.is_sound();
}

#[test]
fn a_mount_of_a_deleted_tenant_is_not_made_again_for_the_next_of_its_name() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let dir = world.host("acme");
    acme(&world, &dir);
    world.kill();
    detach(&dir);
    ctl(&world, "tenant delete acme --yes");
    ctl(&world, "tenant create acme");
    ctl(&world, "--tenant acme user create ann --uid 21001");
    for _ in 0..2 {
        world.restart();
        let mounts = ctl(&world, "mounts");
        let of = |m: &Value| m["tenant"] == "acme";
        assert!(
            !mounts["mounts"].as_array().unwrap().iter().any(of),
            "{mounts}"
        );
        assert!(!dir.join("workspace").exists());
        world.kill();
    }
    // Who asks for it anew gets the new one, and that is kept in mind.
    world.restart();
    mount(&world, &dir).must();
    as_uid(
        &dir,
        21001,
        "test ! -e workspace/plan && mkdir workspace/new",
    )
    .must();
    world.kill();
    detach(&dir);
    world.restart();
    as_uid(&dir, 21001, "rmdir workspace/new").must();
    world.nexus(&["umount", dir.to_str().unwrap()]).must();
    world.is_sound();
}

/// The daemon takes the mount of a `nexus run` away like that, too, and what the command left running goes on.
#[test]
fn a_directory_open_on_a_mount_that_was_taken_away_keeps_the_tenant_until_it_is_closed() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let dir = world.host("acme");
    acme(&world, &dir);
    let held = std::fs::File::open(dir.join("workspace")).unwrap();
    world
        .nexus(&["umount", "--lazy", dir.to_str().unwrap()])
        .must();
    let delete = ["tenant", "delete", "acme", "--yes"];
    world.ctl_said(&delete).must_fail();
    let through = format!("/proc/self/fd/{}/plan", held.as_raw_fd());
    assert_eq!(std::fs::read(through).unwrap(), b"secret-of-old\n");
    drop(held);
    // The kernel tells of the last close when it likes.
    let mut tries = std::iter::repeat_with(|| world.ctl_said(&delete)).take(1000);
    assert!(tries.any(|said| said.status.success()));
    world.is_sound();
}

#[test]
fn the_default_tenant_stays_and_only_administrators_delete() {
    let world = World::new();
    ctl(&world, "tenant create acme");
    let said = |words: &[&str]| world.ctl_said(words);
    let stays = said(&["tenant", "delete", "default", "--yes"]).must_fail();
    assert!(stays.contains("default"), "{stays}");
    let refused = said(&["--agent", "any", "tenant", "delete", "acme", "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert_eq!(ctl(&world, "tenant list")["tenants"][1]["name"], "acme");
    ctl(&world, "--tenant acme tenant delete acme --yes");
    assert!(ctl(&world, "tenant list")["tenants"][1].is_null());
    world.is_sound();
}

#[test]
fn a_path_below_the_mount_of_another_tenant_is_never_a_path_of_ones_own() {
    let world = World::new();
    let other = world.host("other");
    ctl(&world, "tenant create acme");
    let mounted = ["mount", other.to_str().unwrap(), "--tenant", "acme"];
    world.nexus(&mounted).must();
    let both = [world.workspace(), other.join("workspace")].map(|top| top.join("old"));
    for old in &both {
        std::fs::create_dir(old).unwrap();
        std::fs::write(old.join("f"), "x").unwrap();
    }
    let [ours, theirs] = [0, 1].map(|n| both[n].to_str().unwrap());
    for line in [
        format!("rm -r {theirs}"),
        format!("write {theirs}/f y"),
        format!("cat {theirs}/f"),
        format!("mv {theirs} {ours}"),
        format!("mv {ours} {theirs}"),
        format!("chmod 700 {theirs}"),
        format!("rebac grant user * file {theirs} --relation owner"),
        format!("undo --yes {theirs}"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let told = world.nexus(&words).must_fail();
        assert!(told.contains("--tenant acme"), "{line}: {told}");
    }
    for old in &both {
        assert_eq!(std::fs::read(old.join("f")).unwrap(), b"x");
    }
    let told = world.nexus(&["rm", "-r", ours, "--tenant", "acme"]);
    assert!(told.must_fail().contains("--tenant default"));
    world
        .nexus(&["rm", "-r", theirs, "--tenant", "acme"])
        .must();
    assert!(both[0].exists() && !both[1].exists());
    detach(&other);
}
