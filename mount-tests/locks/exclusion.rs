//! Who excludes whom, on which bytes.

use super::{Actor, two, two_mounts};
use crate::shell::sh;
use crate::world::World;
use std::fs;

/// semantics.md §7: "Record locks (fcntl(2)) hold between all processes that use a store through mounts of one daemon, whichever mount
/// each has, that of a `nexus run` included."
#[test]
fn a_lock_excludes_processes_on_other_mounts_and_in_runs() {
    let (world, mut one, mut other) = two();
    let mut agent = Actor::in_run(&world);
    agent.ask("opens('f', 'f')");
    assert_eq!(one.ask("sets('f', W)"), "ok");
    for actor in [&mut other, &mut agent] {
        assert_eq!(actor.ask("sets('f', W)"), "EAGAIN");
        assert_eq!(actor.ask("sets('f', R, 50, 1)"), "EAGAIN");
    }
    assert_eq!(one.ask("sets('f', U)"), "ok");
    assert_eq!(agent.ask("sets('f', W)"), "ok");
    for actor in [&mut one, &mut other] {
        assert_eq!(actor.ask("sets('f', R)"), "EAGAIN");
    }
    agent.ends();
    assert_eq!(one.ask("sets('f', W)"), "ok");
}

#[test]
fn locks_are_split_joined_changed_and_found_as_posix_says() {
    let (_world, mut one, mut other) = two();
    let pid = one.pid;
    assert_eq!(one.ask("sets('f', W, 10, 30)"), "ok");
    assert_eq!(other.ask("gets('f', R)"), format!("W 10 30 {pid}"));
    // A piece in the midst is given back, and one is shared.
    assert_eq!(one.ask("sets('f', U, 20, 5)"), "ok");
    assert_eq!(one.ask("sets('f', R, 30, 10)"), "ok");
    assert_eq!(other.ask("gets('f', R, 15, 0)"), format!("W 10 10 {pid}"));
    assert_eq!(other.ask("gets('f', R, 20, 0)"), format!("W 25 5 {pid}"));
    assert_eq!(other.ask("gets('f', W, 30, 0)"), format!("R 30 10 {pid}"));
    assert_eq!(other.ask("gets('f', R, 30, 0)"), "U 30 0 0");
    assert_eq!(other.ask("sets('f', W, 20, 5)"), "ok");
    assert_eq!(other.ask("sets('f', R, 30, 5)"), "ok");
    // What both share neither has alone; and one's own is never in one's way.
    assert_eq!(one.ask("sets('f', W, 30, 10)"), "EAGAIN");
    assert_eq!(one.ask("sets('f', W, 35, 5)"), "ok");
    assert_eq!(other.ask("sets('f', U)"), "ok");
    assert_eq!(one.ask("sets('f', W, 10, 30)"), "ok");
    assert_eq!(other.ask("gets('f', R)"), format!("W 10 30 {pid}"));
    // To the end of everything.
    assert_eq!(one.ask("sets('f', W, 1000)"), "ok");
    assert_eq!(other.ask("gets('f', R, 2**62)"), format!("W 1000 0 {pid}"));
    assert_eq!(other.ask("sets('f', W, 0, 10)"), "ok");
}

#[test]
fn an_open_file_has_locks_of_its_own() {
    let (_world, mut one, mut other) = two();
    one.ask("opens('g', 'f')");
    assert_eq!(one.ask("ofd_sets('f', W, 0, 10)"), "ok");
    // Others of the same process are others.
    assert_eq!(one.ask("ofd_sets('g', W, 0, 10)"), "EAGAIN");
    assert_eq!(one.ask("sets('g', R, 0, 10)"), "EAGAIN");
    assert_eq!(other.ask("ofd_sets('f', R, 5, 1)"), "EAGAIN");
    // A descriptor of another open file takes nothing along.
    assert_eq!(one.ask("closes('g')"), "ok");
    assert_eq!(other.ask("sets('f', R, 5, 1)"), "EAGAIN");
    // Nor does one of the same, while there are others.
    let child = one.ask("forks()");
    assert_eq!(one.ask("closes('f')"), "ok");
    assert_eq!(other.ask("sets('f', R, 5, 1)"), "EAGAIN");
    other.tell("ofd_waits('f', W)");
    assert_eq!(one.ask(&format!("kills({child})")), "ok");
    assert_eq!(other.answer(), "ok");
}

#[test]
fn a_descriptor_for_reading_shares_and_one_for_writing_excludes() {
    let (_world, mut one, mut other) = two();
    one.ask("opens('r', 'f', os.O_RDONLY)");
    one.ask("opens('w', 'f', os.O_WRONLY)");
    assert_eq!(one.ask("sets('r', W)"), "EBADF");
    assert_eq!(one.ask("sets('w', R)"), "EBADF");
    assert_eq!(one.ask("sets('r', R)"), "ok");
    assert_eq!(other.ask("sets('f', R)"), "ok");
    assert_eq!(other.ask("sets('f', W)"), "EAGAIN");
    assert_eq!(one.ask("sets('w', W, 100, 1)"), "EAGAIN");
    assert_eq!(other.ask("sets('f', U)"), "ok");
    assert_eq!(one.ask("sets('w', W)"), "ok");
    assert_eq!(other.ask("sets('f', R)"), "EAGAIN");
}

#[test]
fn a_file_without_a_name_has_locks_and_a_new_one_of_its_name_has_others() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    fs::remove_file(world.path("f")).unwrap();
    assert_eq!(other.ask("sets('f', R)"), "EAGAIN");
    fs::write(world.path("f"), "another").unwrap();
    assert_eq!(other.ask("opens('new', 'f')"), "ok");
    assert_eq!(other.ask("sets('new', W)"), "ok");
    // By whichever name.
    fs::hard_link(world.path("f"), world.path("g")).unwrap();
    assert_eq!(one.ask("opens('g', 'g')"), "ok");
    assert_eq!(one.ask("sets('g', R)"), "EAGAIN");
}

#[test]
fn who_reads_the_past_may_lock_it_and_is_in_nobodys_way() {
    let (world, here, _) = two_mounts();
    sh(&here, "echo before > p");
    world
        .nexus(&["snapshot", "create", "then", "/workspace"])
        .must();
    let mut one = Actor::at(&here);
    for file in [".at/then/p", "../.nexus/help"] {
        if !here.join(file).exists() {
            continue;
        }
        assert_eq!(
            one.ask(&format!("opens('old', '{file}', os.O_RDONLY)")),
            "ok"
        );
        assert_eq!(one.ask("sets('old', R)"), "ok");
        assert_eq!(one.ask("waits('old', R, 5, 5)"), "ok");
        assert_eq!(one.ask("gets('old', W)"), "U 0 0 0");
        assert_eq!(one.ask("sets('old', U)"), "ok");
    }
    let mut other = Actor::at(&here);
    other.ask("opens('p', 'p')");
    assert_eq!(other.ask("sets('p', W)"), "ok");
    assert_eq!(one.ask("sets('old', R)"), "ok");
}

/// flock(2) is the kernel's, for each mount; and no lock of the one kind is in the way of the other.
#[test]
fn whole_files_are_locked_on_one_mount_only() {
    let (_world, mut one, mut other) = two();
    let lock = "fcntl.flock(fds['f'], fcntl.LOCK_EX | fcntl.LOCK_NB)";
    assert_eq!(one.ask(lock), "None");
    assert_eq!(other.ask(lock), "None");
    assert_eq!(one.ask("sets('f', W)"), "ok");
}

#[test]
fn tenants_do_not_meet() {
    let world = World::new();
    world.ctl(&["tenant", "create", "acme"]);
    fs::write(world.path("f"), "x").unwrap();
    let dir = world.host("acme");
    let mounted = world.nexus(&["--tenant", "acme", "mount", dir.to_str().unwrap()]);
    mounted.must();
    let theirs = dir.join("workspace");
    fs::write(theirs.join("f"), "y").unwrap();
    let (mut one, mut other) = (Actor::at(&world.workspace()), Actor::at(&theirs));
    for actor in [&mut one, &mut other] {
        actor.ask("opens('f', 'f')");
        assert_eq!(actor.ask("sets('f', W)"), "ok");
    }
}
