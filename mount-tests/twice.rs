//! One store mounted twice: what was done through one mount is seen through the other by whoever asks afterwards.

use crate::world::World;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

const ROUNDS: u32 = 60;
const WRITERS: usize = 4;
const READERS: usize = 3;

/// Two mounts of one store.
fn two() -> (World, PathBuf) {
    let world = World::new();
    let other = world.host("other");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    (world, other)
}

/// What one round leaves: a content, a name that moves, a mode, and how many names there are.
fn change(dir: &Path, round: u32) {
    fs::write(dir.join("f"), format!("{round:08}")).unwrap();
    let mode = if round.is_multiple_of(2) {
        0o640
    } else {
        0o600
    };
    fs::set_permissions(dir.join("m"), Permissions::from_mode(mode)).unwrap();
    let name = |n: u32| dir.join(format!("n{n}"));
    fs::rename(name(round), name(round + 1)).unwrap();
    if round.is_multiple_of(3) {
        fs::write(dir.join("x"), "").unwrap();
    } else if round % 3 == 2 {
        fs::remove_file(dir.join("x")).unwrap();
    }
}

/// Looks at all of that, so that a kernel has what it would go by the next time.
#[track_caller]
fn look(dir: &Path, round: u32) {
    assert_eq!(
        fs::read_to_string(dir.join("f")).unwrap(),
        format!("{round:08}")
    );
    let mode = fs::metadata(dir.join("m")).unwrap().permissions().mode();
    assert_eq!(
        mode & 0o777,
        if round.is_multiple_of(2) {
            0o640
        } else {
            0o600
        }
    );
    let is_there = |n: u32| dir.join(format!("n{n}")).exists();
    assert_eq!((is_there(round), is_there(round + 1)), (false, true));
    let has_x = round % 3 != 2;
    assert_eq!(dir.join("x").exists(), has_x);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 3 + usize::from(has_x));
}

/// semantics.md §5: "When a system call or API call has returned, everybody sees its effect"
#[test]
fn what_one_mount_was_told_that_it_is_done_the_other_shows_to_every_thread() {
    let (world, other) = two();
    thread::scope(|s| {
        for writer in 0..WRITERS {
            let here = world.path(format!("d{writer}"));
            let there = other.join(format!("workspace/d{writer}"));
            fs::create_dir(&here).unwrap();
            fs::write(here.join("m"), "").unwrap();
            fs::write(here.join("n0"), "").unwrap();
            let readers: Vec<_> = (0..READERS)
                .map(|_| {
                    let (tell, told) = sync_channel::<u32>(0);
                    let (answer, looked) = sync_channel::<()>(0);
                    let there = there.clone();
                    s.spawn(move || {
                        for round in told {
                            look(&there, round);
                            answer.send(()).unwrap();
                        }
                    });
                    (tell, looked)
                })
                .collect();
            s.spawn(move || {
                for round in 0..ROUNDS {
                    change(&here, round);
                    for (tell, _) in &readers {
                        tell.send(round).unwrap();
                    }
                    for (_, looked) in &readers {
                        looked.recv().unwrap();
                    }
                }
            });
        }
    });
    world.is_sound();
}

/// Each kernel holds its own lock on the directory while it asks, and waits for the other one's to forget a name in it.
#[test]
fn two_mounts_that_change_one_directory_at_once_do_not_wait_for_each_other_for_ever() {
    let (world, other) = two();
    let roots = [world.root().to_owned(), other];
    fs::create_dir(roots[0].join("workspace/d")).unwrap();
    thread::scope(|s| {
        for (n, root) in roots.iter().enumerate() {
            s.spawn(move || {
                for round in 0..20_u32 {
                    let name = root.join(format!("workspace/d/{n}.{round}"));
                    fs::write(&name, format!("{n} {round}")).unwrap();
                    if round.is_multiple_of(2) {
                        fs::remove_file(&name).unwrap();
                    }
                }
            });
        }
    });
    for root in &roots {
        let all = fs::read_dir(root.join("workspace/d")).unwrap();
        assert_eq!(all.count(), 20);
    }
    world.is_sound();
}
