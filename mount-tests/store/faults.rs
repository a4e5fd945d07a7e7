//! Operations of the disk fail, one a run, while the store goes on.
//!
//! `NEXUS_FAULTS` says how many, picked at random (40); 0 takes every one.

use super::steps::{STEPS, Step};
use super::volume::{Tree, Volume};
use crate::dice::{Dice, setting};
use crate::drive::Drive;
use nexus::core::Kind;

/// A step that failed has done nothing, or everything, or got part of the way with a file that was not there before.
fn assert_unharmed(step: &Step, before: &Tree, after: &Tree, found: &Tree) {
    for path in before.keys().chain(after.keys()).chain(found.keys()) {
        let (old, new, now) = (before.get(path), after.get(path), found.get(path));
        let part = now.is_some_and(|now| now.starts_with("File"));
        let begun = old.is_none() && new.is_some() && part;
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
fn disturbed(volume: &Volume, drive: &Drive, dir: &str, trees: &[Tree], expected: Kind) -> u64 {
    let (mut fired, mut refused) = (false, 0_u64);
    for (n, step) in STEPS.iter().enumerate() {
        let outcome = step.run(volume, &format!("{dir}/"));
        let now = drive.has_fired();
        if let Err(e) = outcome {
            println!("{dir}: {} fails with {e:?}", step.name);
            refused += 1;
            // A failed sync is reported to each descriptor, and the log has two: SQLite's, which a later checkpoint uses, and
            // the store's own, which hears of a sync that SQLite began (it does when it starts the log anew) once more.
            let again = step.name == "a checkpoint" || (step.syncs && refused == 2);
            let cause = now && (!fired || again);
            assert!(cause, "{} fails without a cause: {e:?}", step.name);
            assert!(
                [expected, Kind::Io].contains(&e.kind()),
                "{}: {e:?}",
                step.name
            );
            let found = volume.tree(dir);
            assert_unharmed(step, &trees[n], &trees[n + 1], &found);
            // What a step does beside the tree is not seen in it.
            let is_beside = trees[n] == trees[n + 1];
            if found != trees[n + 1] || is_beside || step.syncs {
                let again = step.run(volume, &format!("{dir}/"));
                assert!(again.is_ok(), "{} again: {again:?}", step.name);
            }
        }
        fired |= now;
    }
    assert_eq!(volume.tree(dir), trees[STEPS.len()]);
    refused
}

/// Lets every operation fail in turn; at the end, all of it survives a power cut.
fn fail_everywhere(errno: i32, expected: Kind) {
    let mut dice = Dice::new("faults");
    let drive = Drive::new();
    let volume = Volume::open(&drive.data()).unwrap();
    let before = drive.count();
    let trees = undisturbed(&volume);
    let calls = drive.count() - before;
    let rounds = setting("NEXUS_FAULTS").unwrap_or(40);
    let picked: Vec<u64> = match rounds {
        0 => (1..=calls).collect(),
        n => (0..n).map(|_| 1 + dice.below(calls)).collect(),
    };
    let (mut refused, mut runs) = (0, Vec::new());
    for (run, at) in picked.into_iter().enumerate() {
        let dir = format!("run-{run}");
        volume.mkdir(&dir).unwrap();
        drive.fail_once(at, errno);
        refused += disturbed(&volume, &drive, &dir, &trees, expected);
        drive.calm();
        // A failed sync is reported to each descriptor once: SQLite's own hears of it here at the latest.
        if volume.checkpoint().is_err() {
            volume.checkpoint().unwrap();
        }
        runs.push(dir);
    }
    assert!(refused > 0, "no call ever met the trouble");
    volume.assert_sound();
    volume.sync().unwrap();
    drop(volume);
    drive.forget_unsynced(&mut dice);
    drive.spin_up();
    let volume = Volume::open(&drive.data()).unwrap();
    volume.assert_sound();
    for run in runs {
        assert_eq!(volume.tree(&run), trees[STEPS.len()]);
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

#[test]
fn a_tenant_that_could_not_be_deleted_is_there_and_works() {
    // semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
    let mut dice = Dice::new("faults");
    let drive = Drive::new();
    let mut volume = Volume::open(&drive.data()).unwrap();
    let mut refused = 0;
    for n in 1.. {
        if volume.tenant("acme").is_ok() {
            volume.user("ann").unwrap();
        }
        volume
            .put("kept", &n.to_string().into_bytes(), true)
            .unwrap();
        volume.checkpoint().unwrap();
        let before = volume.tree("");
        drive.fail_once(n, libc::EIO);
        let done = volume.delete_tenant("acme");
        let fired = drive.has_fired();
        drive.calm();
        match done {
            Err(e) => {
                assert!(fired && e.kind() == Kind::Io, "{e:?}");
                refused += 1;
                assert_eq!(volume.tree(""), before);
                let taken = volume.user("ann").unwrap_err();
                assert_eq!(taken.kind(), Kind::Exists);
                volume.user(&format!("user-{n}")).unwrap();
                volume.assert_sound();
            }
            // What failed was of no consequence, as making room ahead is.
            Ok(()) if fired => {}
            Ok(()) => break,
        }
    }
    assert!(refused > 0, "no deletion ever met the trouble");
    assert!(volume.put("kept", b"gone", false).is_err());
    volume.sync().unwrap();
    volume.tenant("acme").unwrap();
    assert!(volume.tree("").is_empty());
    volume.sync().unwrap();
    volume.assert_sound();
    drop(volume);
    drive.forget_unsynced(&mut dice);
    drive.spin_up();
    Volume::open(&drive.data()).unwrap().assert_sound();
}
