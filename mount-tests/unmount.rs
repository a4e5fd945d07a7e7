//! Taking mounts away: dead ones, ones that were moved, ones that keep their daemon waiting.

use crate::shell::{ends, run, sh, wait};
use crate::world::{World, detach, needs_root};
use rustix::process::{Signal, kill_process};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

fn is_mounted(dir: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let dir = dir.to_str();
    mounts.lines().any(|line| line.split(' ').nth(4) == dir)
}

/// One that cannot be unmounted, because its directory was moved, keeps no other from being.
#[test]
fn a_mount_that_cannot_be_taken_away_keeps_no_other_in_place() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    // Before the world's own in the order of names.
    let (first, moved) = (world.host("a/first"), world.host("b"));
    world.nexus(&["mount", first.to_str().unwrap()]).must();
    fs::rename(first.parent().unwrap(), moved.join("a")).unwrap();
    fs::write(world.path("f"), "kept").unwrap();
    let daemon = world.daemon();
    kill_process(daemon, Signal::TERM).unwrap();
    assert!(ends(daemon), "the daemon does not end");
    assert!(!is_mounted(world.root()));
    // And what was done is in the database, without the journal.
    let copy = world.host("copy");
    fs::copy(world.data().join("nexus.db"), copy.join("nexus.db")).unwrap();
    let cat = ["--data-dir", copy.to_str().unwrap(), "cat", "/workspace/f"];
    assert_eq!(world.nexus(&cat).must(), "kept");
    detach(&moved.join("a/first"));
    world.restart();
    assert_eq!(fs::read(world.path("f")).unwrap(), b"kept");
    world.is_sound();
}

/// What somebody mounted over a mount goes first; until the kernel has let go of the mount itself, others are served.
#[test]
fn whoever_waits_for_an_unmount_waits_alone() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let other = world.host("other");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    run(Command::new("mount")
        .args(["-t", "tmpfs", "over"])
        .arg(&other))
    .must();
    // It ends with the answer.
    let mut umount = Command::new("curl");
    umount.arg("-sSf").arg("--unix-socket").arg(world.socket());
    umount
        .arg("-d")
        .arg(format!("{{\"dir\":\"{}\"}}", other.display()));
    let mut umount = umount
        .arg("http://nexus/daemon/umount")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let covered = || {
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(" tmpfs over ")
    };
    while covered() {
        assert_eq!(umount.try_wait().unwrap(), None);
    }
    assert_eq!(world.mounts(), 2);
    world.ctl(&["status"]);
    assert_eq!(
        umount.try_wait().unwrap(),
        None,
        "it kept the others waiting"
    );
    assert!(!wait(&mut umount).unwrap().success());
}

/// The kernel still remembers what the root of a dead mount looked like.
#[test]
fn a_dead_mount_is_seen_and_taken_away() {
    let world = World::new();
    sh(world.root(), "ls; stat . workspace; stat .");
    world.kill();
    let doctor = world.nexus(&["doctor"]);
    assert!(!doctor.ok(), "{doctor:?}");
    let told = format!(
        "FAIL  stale mount: {}: its daemon is gone",
        world.root().display()
    );
    assert!(doctor.out.contains(&told), "{doctor:?}");
    let gone = world
        .nexus(&["umount", world.root().to_str().unwrap()])
        .must();
    assert!(gone.contains("its daemon was gone"), "{gone}");
    assert!(!is_mounted(world.root()));
    let again = world.nexus(&["umount", world.root().to_str().unwrap()]);
    assert!(again.must_fail().contains("is not mounted"));
    world.start();
    assert_eq!(world.mounts(), 1);
}

#[test]
fn a_mount_is_taken_away_by_the_name_that_it_was_made_by() {
    let world = World::new();
    let (other, link) = (world.host("other"), world.host("links").join("link"));
    symlink(&other, &link).unwrap();
    let link = link.to_str().unwrap();
    world.nexus(&["mount", link]).must();
    assert!(is_mounted(&other));
    world.nexus(&["umount", link]).must();
    assert!(!is_mounted(&other));
    // The daemon's death changes nothing of that.
    world.nexus(&["mount", link]).must();
    world.kill();
    world.nexus(&["umount", link]).must();
    assert!(!is_mounted(&other));
}
