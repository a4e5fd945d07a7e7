//! Owners and modes, on a mount where the calling process decides who one is.

use crate::shell::{Said, run, script, sh};
use crate::world::{World, needs_root};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

pub(super) const ANNA: u32 = 21_001;
pub(super) const BERT: u32 = 21_002;

/// Two users of the tenant on a multi-user mount.
pub(super) fn village() -> Option<World> {
    if !needs_root() {
        return None;
    }
    let world = World::many_users();
    for (name, uid) in [("anna", ANNA), ("bert", BERT)] {
        world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
    }
    Some(world)
}

/// Runs a script as another user.
pub(super) fn as_user(uid: u32, dir: &Path, text: &str) -> Said {
    let mut command = Command::new("setpriv");
    let id = uid.to_string();
    command.args([
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "bash",
        "-ec",
        text,
    ]);
    run(command.current_dir(dir))
}

#[test]
fn in_a_sticky_directory_only_owners_remove() {
    let Some(world) = village() else { return };
    sh(&world.workspace(), "mkdir tmp; chmod 1777 tmp");
    let tmp = world.path("tmp");
    as_user(ANNA, &tmp, "echo hers > a; chmod 666 a").must();
    let refused = as_user(BERT, &tmp, "rm -f a").must_fail();
    assert!(refused.contains("not permitted"), "{refused}");
    as_user(BERT, &tmp, "mv a b").must_fail();
    as_user(BERT, &tmp, "echo his > a").must();
    as_user(ANNA, &tmp, "rm a").must();
    assert!(!tmp.join("a").exists());
}

#[test]
fn modes_decide_between_users() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    as_user(
        ANNA,
        &dir,
        "umask 077; mkdir own; echo secret > own/s; echo open > o; chmod 644 o",
    )
    .must();
    as_user(BERT, &dir, "cat o").must();
    as_user(BERT, &dir, "cat own/s").must_fail();
    as_user(BERT, &dir, "ls own").must_fail();
    let refused = as_user(BERT, &dir, "echo mine >> o").must_fail();
    assert!(refused.contains("Permission denied"), "{refused}");
    as_user(BERT, &dir, "chmod 777 o").must_fail();
    as_user(ANNA, &dir, "chmod 666 o").must();
    as_user(BERT, &dir, "echo mine >> o").must();
    assert_eq!(fs::metadata(dir.join("o")).unwrap().uid(), ANNA);
}

#[test]
fn a_setgid_directory_hands_its_group_on() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    sh(
        &dir,
        "mkdir team; chgrp 4711 team; chmod 2777 team; mkdir team/sub; touch team/file",
    );
    let meta = |name| fs::metadata(dir.join(name)).unwrap();
    assert_eq!(
        (meta("team/file").gid(), meta("team/sub").gid()),
        (4711, 4711)
    );
    assert_eq!(meta("team/sub").permissions().mode() & 0o2000, 0o2000);
    assert_eq!(meta("team/file").permissions().mode() & 0o2000, 0);
}

#[test]
fn a_write_takes_the_setuid_bit_away() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    as_user(ANNA, &dir, "echo x > prog; chmod 4777 prog").must();
    as_user(BERT, &dir, "echo y >> prog").must();
    assert_eq!(
        fs::metadata(dir.join("prog")).unwrap().mode() & 0o7777,
        0o777
    );
}

/// A kernel takes capabilities away in the name of who writes, before it lets him.
#[test]
fn a_write_takes_capabilities_away() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    as_user(ANNA, &dir, "echo good > prog; chmod 777 prog").must();
    let give = "setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 prog";
    let has = || script(&dir, "getfattr -n security.capability prog");
    for change in [
        "echo evil >> prog",
        "echo evil > prog",
        "truncate -s 1 prog",
    ] {
        sh(&dir, give);
        run(&mut has()).must();
        as_user(BERT, &dir, change).must();
        run(&mut has()).must_fail();
    }
    let last = world.log(&["--kind", "removexattr"]).pop().unwrap();
    assert_eq!(last["user"], "bert");
    sh(&dir, give);
    as_user(ANNA, &dir, "chgrp 21001 prog").must();
    run(&mut has()).must_fail();
}

/// semantics.md §3: "No tenant: nothing but that there is a mount."
#[test]
fn a_stranger_sees_no_tenant() {
    let Some(world) = village() else { return };
    // semantics.md §2: "On a mount made with `--identity os` the calling uid decides; a uid without a user has no tenant."
    let seen = as_user(
        29_999,
        Path::new("/"),
        &format!("ls {}", world.root().display()),
    );
    assert_eq!(seen.out, "", "{seen:?}");
    let root = world.root().display().to_string();
    // Nor by what a kernel has kept of what others looked at.
    let looks = "stat workspace/t workspace/.at .at; ls -l workspace/t; ls -l workspace; ls -l";
    as_user(ANNA, world.root(), looks).must();
    as_user(29_999, Path::new("/"), &format!("stat {root}")).must();
    for name in [
        "archives",
        "external",
        "shared",
        "system",
        "workspace",
        ".at",
        "no",
        "workspace/t",
        "workspace/.at",
    ] {
        let met = as_user(29_999, Path::new("/"), &format!("stat {root}/{name}"));
        assert!(met.must_fail().contains("No such file"), "{name}");
    }
    let inside = as_user(
        29_999,
        Path::new("/"),
        &format!("ls {}", world.workspace().display()),
    );
    assert!(inside.must_fail().contains("No such file"));
}

#[test]
fn a_file_made_on_a_single_identity_mount_is_the_users_own() {
    // semantics.md §2: "A mount shows one tenant. By default every process on it acts as the user the mount was made for."
    let world = World::new();
    fs::write(world.path("f"), "").unwrap();
    let meta = fs::metadata(world.path("f")).unwrap();
    assert_eq!(meta.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(
        meta.mode() & 0o007,
        0,
        "private to the user (semantics.md §3)"
    );
    let said = run(&mut script(world.root(), "ls"));
    let listed = said.must();
    assert!(
        listed.starts_with("archives\nexternal\nshared\n"),
        "{listed}"
    );
    assert!(listed.ends_with("workspace\n"), "{listed}");
}
