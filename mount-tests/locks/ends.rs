//! How locks end that nobody gives back.

use super::{Actor, two, two_mounts};
use crate::world::{detach, end};
use rustix::process::{Pid, Signal};
use std::fs;
use std::path::Path;

#[test]
fn a_process_that_ends_or_is_killed_has_no_locks() {
    let (world, mut one, mut other) = two();
    assert_eq!(other.ask("sets('f', W)"), "ok");
    one.begins(&world, "waits('f', W)");
    other.dies_of(Signal::KILL);
    assert_eq!(one.answer(), "ok");
    assert_eq!(one.ask("sets('f', U)"), "ok");
    let mut agent = Actor::in_run(&world);
    agent.ask("opens('f', 'f')");
    assert_eq!(agent.ask("sets('f', W)"), "ok");
    one.begins(&world, "waits('f', W)");
    agent.ends();
    assert_eq!(one.answer(), "ok");
}

/// Killed, `nexus run` leaves its command behind, which goes on for itself; killed in turn, that one has no locks.
#[test]
fn what_a_run_had_locked_is_free_when_it_is_gone() {
    let (world, mut one, _other) = two();
    let mut agent = Actor::in_run(&world);
    agent.ask("opens('f', 'f')");
    assert_eq!(agent.ask("sets('f', W)"), "ok");
    one.begins(&world, "waits('f', W)");
    agent.child.kill().unwrap();
    end(Pid::from_raw(agent.pid).unwrap());
    assert_eq!(one.answer(), "ok");
}

#[test]
fn whoever_closes_any_descriptor_of_a_file_has_no_lock_on_it() {
    let (_world, mut one, mut other) = two();
    for flags in ["os.O_RDWR", "os.O_RDONLY", "os.O_WRONLY"] {
        assert_eq!(one.ask("sets('f', W)"), "ok");
        assert_eq!(one.ask(&format!("opens('g', 'f', {flags})")), "ok");
        assert_eq!(other.ask("sets('f', R)"), "EAGAIN");
        assert_eq!(one.ask("closes('g')"), "ok");
        assert_eq!(other.ask("sets('f', W)"), "ok", "{flags}");
        assert_eq!(other.ask("sets('f', U)"), "ok");
    }
    // Duplicates are descriptors too.
    assert_eq!(one.ask("sets('f', W)"), "ok");
    assert_eq!(one.ask("os.close(os.dup(fds['f']))"), "None");
    assert_eq!(other.ask("sets('f', W)"), "ok");
}

#[test]
fn a_child_has_no_part_in_its_parents_locks_and_takes_none_away() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    let child = one.ask("forks()");
    // Its end closes its descriptors, and not one lock.
    assert_eq!(one.ask(&format!("kills({child})")), "ok");
    assert_eq!(other.ask("sets('f', R)"), "EAGAIN");
    let child = one.ask("forks()");
    other.begins(&world, "waits('f', W)");
    // The parent's ends them, whoever still has the file open.
    one.signal(Signal::KILL);
    assert_eq!(other.answer(), "ok");
    end(Pid::from_raw(child.parse().unwrap()).unwrap());
}

#[test]
fn a_program_that_takes_the_place_of_another_keeps_its_locks() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    assert_eq!(one.ask("os.set_inheritable(fds['f'], True)"), "None");
    one.tell("print('now', flush=True) or os.execlp('cat', 'cat')");
    assert_eq!(one.answer(), "now");
    assert_eq!(one.ask("it is cat"), "it is cat");
    assert_eq!(other.ask("sets('f', R)"), "EAGAIN");
    other.begins(&world, "waits('f', W)");
    one.ends();
    assert_eq!(other.answer(), "ok");
}

/// Where the file was opened for reading only before anybody locked it, the kernel tells of the last close alone.
#[test]
fn a_lock_of_who_only_reads_ends_with_its_open_file() {
    let (world, here, there) = two_mounts();
    let (mut one, mut other) = (Actor::at(&here), Actor::at(&there));
    one.ask("opens('r', 'f', os.O_RDONLY)");
    other.ask("opens('f', 'f')");
    assert_eq!(one.ask("sets('r', R)"), "ok");
    other.begins(&world, "waits('f', W)");
    assert_eq!(one.ask("closes('r')"), "ok");
    assert_eq!(other.answer(), "ok");
    assert_eq!(other.ask("closes('f')"), "ok");
    one.ask("opens('r', 'f', os.O_RDONLY)");
    assert_eq!(one.ask("sets('r', R)"), "ok");
    other.ask("opens('f', 'f')");
    other.begins(&world, "waits('f', W)");
    one.dies_of(Signal::KILL);
    assert_eq!(other.answer(), "ok");
}

/// Taken away lazily, a mount serves whoever has something open on it; his locks hold as long.
#[test]
fn a_mount_that_is_taken_away_takes_its_locks_along() {
    let (world, here, there) = two_mounts();
    let (mut one, mut other) = (Actor::at(&here), Actor::at(&there));
    for actor in [&mut one, &mut other] {
        actor.ask("opens('f', 'f')");
    }
    assert_eq!(other.ask("sets('f', W)"), "ok");
    detach(there.parent().unwrap());
    assert_eq!(one.ask("sets('f', W)"), "EAGAIN");
    one.begins(&world, "waits('f', W)");
    other.dies_of(Signal::KILL);
    assert_eq!(one.answer(), "ok");
    assert_eq!(one.ask("sets('f', U)"), "ok");
    // Cut off from its kernel, it serves nobody.
    let third = world.host("third");
    world.nexus(&["mount", third.to_str().unwrap()]).must();
    let mut other = Actor::at(&third.join("workspace"));
    other.ask("opens('f', 'f')");
    assert_eq!(other.ask("sets('f', W)"), "ok");
    one.begins(&world, "waits('f', W)");
    if abort(&third) {
        assert_eq!(one.answer(), "ok");
    }
}

/// Ends the connection of a mount (`fs.fuse` control file system), where that can be done.
fn abort(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let connection = rustix::fs::minor(fs::metadata(dir).unwrap().dev());
    let file = format!("/sys/fs/fuse/connections/{connection}/abort");
    let aborted = fs::write(file, "1");
    if let Err(e) = &aborted {
        println!("skipped: cannot abort: {e}");
    }
    aborted.is_ok()
}
