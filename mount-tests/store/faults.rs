//! Each operation of the disk fails in turn, once, while the store goes on.

use super::steps::{STEPS, Step};
use super::volume::{Tree, Volume};
use crate::dice::Dice;
use crate::drive::Drive;
use nexus::core::{Hash, Kind};

/// A step that failed has done nothing, or everything, or got as far as making its file.
fn assert_unharmed(step: &Step, before: &Tree, after: &Tree, found: &Tree) {
    let empty = format!("File 644 {}", Hash::of(b""));
    for path in before.keys().chain(after.keys()).chain(found.keys()) {
        let (old, new, now) = (before.get(path), after.get(path), found.get(path));
        let begun = old.is_none() && new.is_some() && now == Some(&empty);
        assert!(
            now == old || now == new || begun,
            "{}: {path} is {now:?}",
            step.name
        );
    }
}

/// The trees that the steps make when nothing fails, from the empty one on.
fn undisturbed(volume: &Volume) -> Vec<Tree> {
    volume.mkdir("calm").unwrap();
    let mut trees = vec![Tree::new()];
    for step in STEPS {
        step.run(volume, "calm/").unwrap();
        trees.push(volume.tree("calm"));
    }
    trees
}

/// Runs the steps in a directory of their own; one may fail, and works when it is tried again.
fn disturbed(volume: &Volume, drive: &Drive, dir: &str, trees: &[Tree], expected: Kind) -> bool {
    let mut fired = false;
    for (n, step) in STEPS.iter().enumerate() {
        let outcome = step.run(volume, &format!("{dir}/"));
        let now = drive.has_fired();
        if let Err(e) = outcome {
            println!("{dir}: {} fails with {e:?}", step.name);
            assert!(now && !fired, "{} fails without a cause: {e:?}", step.name);
            assert!(
                [expected, Kind::Io].contains(&e.kind()),
                "{}: {e:?}",
                step.name
            );
            let found = volume.tree(dir);
            assert_unharmed(step, &trees[n], &trees[n + 1], &found);
            if found != trees[n + 1] || step.syncs {
                let again = step.run(volume, &format!("{dir}/"));
                assert!(again.is_ok(), "{} again: {again:?}", step.name);
            }
        }
        assert_eq!(volume.tree(dir), trees[n + 1], "after {}", step.name);
        fired |= now;
    }
    fired
}

/// Lets every operation fail in turn; at the end, all of it survives a power cut.
fn fail_everywhere(errno: i32, expected: Kind) {
    let mut dice = Dice::new("faults");
    let drive = Drive::new();
    let volume = Volume::open(&drive.data()).unwrap();
    let trees = undisturbed(&volume);
    let mut runs = 0;
    loop {
        runs += 1;
        let dir = format!("run-{runs}");
        volume.mkdir(&dir).unwrap();
        drive.fail_once(runs, errno);
        let fired = disturbed(&volume, &drive, &dir, &trees, expected);
        drive.calm();
        if !fired {
            break;
        }
    }
    println!("{runs} operations of the disk failed");
    assert!(runs > 40, "only {runs} operations were met");
    volume.assert_sound();
    volume.sync().unwrap();
    drop(volume);
    drive.forget_unsynced(&mut dice);
    drive.spin_up();
    let volume = Volume::open(&drive.data()).unwrap();
    volume.assert_sound();
    for run in 1..=runs {
        assert_eq!(volume.tree(&format!("run-{run}")), trees[STEPS.len()]);
    }
}

#[test]
fn a_call_that_meets_an_io_error_says_so_and_can_be_tried_again() {
    // semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
    fail_everywhere(libc::EIO, Kind::Io);
}

#[test]
fn a_call_that_meets_a_full_disk_says_so_and_can_be_tried_again() {
    fail_everywhere(libc::ENOSPC, Kind::NoSpace);
}
