//! A daemon that is killed while one of its threads waits in the kernel for a page that nobody will fill any more.

use crate::shell::{ends, run, script, wait};
use crate::world::{World, needs_root};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// What a file needs more of so that it lies on the disk as a blob of its own.
const SIZE: usize = 300_000;

/// A daemon that is dead, and those who wait for it.
struct Corpse {
    pid: Pid,
    waiting: [Child; 2],
}

/// Looks until something is so, as long as any machine may take.
#[track_caller]
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..2400 {
        if let Some(found) = look() {
            return found;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("never: {what}");
}

/// Kills the daemon of a world while the kernel, which it tells of a change, waits for a page. `reads` runs a command that reads
/// the file `f` on the mount that it is about.
fn corpse(world: &World, reads: impl Fn(&Path) -> Command) -> Corpse {
    fs::write(world.path("kept"), "kept").unwrap();
    let large = world.host("aside").join("large");
    fs::write(&large, "x".repeat(SIZE)).unwrap();
    let mut stores = world.command(&["write", "/workspace/f"]);
    run(stores.stdin(File::open(large).unwrap())).must();
    let blob = only_blob(world);
    let aside = world.host("aside").join("blob");
    fs::rename(&blob, &aside).unwrap();
    run(Command::new("mkfifo").arg(&blob)).must();
    let reader = silent(reads(&world.path("f")));
    // Who reads a pipe waits as long as somebody might write.
    let _pipe = until("the blob is read", || writing(&blob));
    let pid = world.daemon();
    let writer = silent(world.command(&["write", "/workspace/f", "other"]));
    until("the kernel waits", || {
        tasks(pid)
            .iter()
            .any(|(state, name)| (*state, &**name) == ('D', "nexus-notify"))
            .then_some(())
    });
    kill_process(pid, Signal::KILL).unwrap();
    until("all else of it is dead", || {
        let left: Vec<_> = tasks(pid).into_iter().map(|(state, _)| state).collect();
        (left == ['Z', 'D']).then_some(())
    });
    fs::remove_file(&blob).unwrap();
    fs::rename(&aside, &blob).unwrap();
    Corpse {
        pid,
        waiting: [reader, writer],
    }
}

impl Corpse {
    /// Fails unless it ended, and nobody waits for it.
    fn must_be_buried(self) {
        assert!(ends(self.pid), "it has not ended");
        for mut child in self.waiting {
            assert!(wait(&mut child).is_some(), "somebody waits for it");
        }
    }
}

fn silent(mut command: Command) -> Child {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn only_blob(world: &World) -> PathBuf {
    let dirs = fs::read_dir(world.data().join("cas")).unwrap();
    let names = dirs.flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap());
    let blobs: Vec<_> = names.map(|name| name.unwrap().path()).collect();
    assert_eq!(blobs.len(), 1, "{blobs:?}");
    blobs[0].clone()
}

/// The pipe, once somebody reads it.
fn writing(pipe: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    options.open(pipe).ok()
}

/// State and name of each thread of a process, the first one first.
fn tasks(pid: Pid) -> Vec<(char, String)> {
    let pid = pid.as_raw_nonzero();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let mut all: Vec<_> = tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            let stat = fs::read_to_string(task.join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
            let number: i32 = task.file_name()?.to_str()?.parse().ok()?;
            Some((number, rest.chars().next()?, name.to_owned()))
        })
        .collect();
    all.sort();
    all.into_iter()
        .map(|(_, state, name)| (state, name))
        .collect()
}

fn head(file: &Path) -> Command {
    let mut head = Command::new("head");
    head.args(["-c", "1"]).arg(file);
    head
}

/// What was acknowledged is there, and the store is whole.
fn is_as_before(world: &World) {
    assert_eq!(fs::read_to_string(world.path("kept")).unwrap(), "kept");
    let found = fs::read_to_string(world.path("f")).unwrap();
    assert!(
        found == "x".repeat(SIZE) || found == "other",
        "{} bytes",
        found.len()
    );
    fs::write(world.path("f"), "after").unwrap();
    world.is_sound();
}

#[test]
fn a_daemon_that_is_dead_and_cannot_end_is_buried_by_the_next() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    // Another that does not answer either, but lives.
    let stopped = World::new();
    fs::write(stopped.path("f"), "his").unwrap();
    let corpse = corpse(&world, head);
    let other = stopped.daemon();
    kill_process(other, Signal::STOP).unwrap();
    let said = world.nexus(&["doctor"]);
    assert!(said.out.contains("silent mount"), "{}", said.out);
    world.start();
    kill_process(other, Signal::CONT).unwrap();
    corpse.must_be_buried();
    is_as_before(&world);
    assert_eq!(fs::read_to_string(stopped.path("f")).unwrap(), "his");
    stopped.is_sound();
}

#[test]
fn what_such_a_daemon_lent_is_aborted_too_and_an_unmount_buries_it() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let corpse = corpse(&world, |file| {
        let mut command = world.command(&["run", "--agent", "reader", "--", "head", "-c", "1"]);
        command.arg(file).current_dir(world.root());
        command
    });
    let lent = fs::read_link(world.data().join("runtime")).unwrap();
    assert!(lent.join("run-1").exists());
    // An unmount does it, too.
    world
        .nexus(&["umount", world.root().to_str().unwrap()])
        .must();
    corpse.must_be_buried();
    world.start();
    assert!(!lent.exists(), "{}", lent.display());
    is_as_before(&world);
}

#[test]
fn a_supervised_daemon_that_cannot_end_is_followed_by_the_next() {
    if !needs_root() {
        return;
    }
    let world = World::with(&["--supervise"]);
    let corpse = corpse(&world, head);
    let first = corpse.pid;
    let bound = "for i in $(seq 600); do cat mount/workspace/kept 2>/dev/null && exit 0; sleep 0.1; done; exit 1";
    let place = world.root().parent().unwrap();
    assert_eq!(run(&mut script(place, bound)).must(), "kept");
    corpse.must_be_buried();
    assert_ne!(world.daemon(), first);
    is_as_before(&world);
    world.shutdown();
}
