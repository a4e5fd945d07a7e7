//! The power fails with each operation of the disk in turn.
//!
//! `NEXUS_CUTS` says with how many of them, picked at random (60); 0 takes every one.

use super::steps::STEPS;
use super::volume::{Tree, Volume};
use crate::dice::{Dice, setting};
use crate::drive::Drive;
use nexus::core::Hash;
use std::collections::BTreeMap;

/// What an undisturbed run does: the log's hashes, and the tree after each operation.
struct Reference {
    chain: Vec<Hash>,
    trees: BTreeMap<u64, Tree>,
    /// How many operations of the disk it took.
    calls: u64,
}

impl Reference {
    fn make() -> Self {
        let drive = Drive::new();
        let volume = Volume::open(&drive.data()).unwrap();
        let mut trees = BTreeMap::from([(volume.head(), volume.tree(""))]);
        for step in STEPS {
            step.run(&volume, "").unwrap();
            trees.insert(volume.head(), volume.tree(""));
        }
        volume.assert_sound();
        Self {
            chain: volume.chain(),
            trees,
            calls: drive.count(),
        }
    }

    /// The store is what it was after some operation, and not before the one that had to survive.
    fn check(&self, volume: &Volume, synced: u64) {
        volume.assert_sound();
        let chain = volume.chain();
        assert!(
            chain.len() as u64 >= synced,
            "{} of {synced} operations survive",
            chain.len()
        );
        assert!(
            self.chain.starts_with(&chain),
            "operations that nobody did, or others are missing"
        );
        assert_eq!(volume.tree(""), self.trees[&volume.head()]);
        self.check_past(volume);
    }

    /// What of the past is shown is what it was, and the newest always is.
    fn check_past(&self, volume: &Volume) {
        let mut shown = 0;
        for (op, tree) in self.trees.range(..=volume.head()) {
            if let Some(found) = volume.past(*op) {
                assert_eq!(found, *tree, "as of {op}");
                shown = *op;
            }
        }
        assert_eq!(shown, volume.head());
    }
}

/// Works until the power fails; gives the newest operation that has to survive.
fn work(drive: &Drive) -> u64 {
    let Ok(volume) = Volume::open(&drive.data()) else {
        return 0;
    };
    let mut synced = 0;
    for step in STEPS {
        if step.run(&volume, "").is_err() {
            return synced;
        }
        if step.syncs {
            synced = volume.head();
        }
    }
    synced
}

fn cut_at(call: u64, reference: &Reference, dice: &mut Dice) {
    println!("cut at operation {call} of {} of the disk", reference.calls);
    let drive = Drive::new();
    drive.cut_after(call);
    let synced = work(&drive);
    drive.forget_unsynced(dice);
    drive.spin_up();
    // Recovery may lose its power too.
    if dice.one_in(2) {
        drive.cut_after(1 + dice.below(40));
        drop(Volume::open(&drive.data()));
        drive.forget_unsynced(dice);
        drive.spin_up();
    }
    let volume = Volume::open(&drive.data()).unwrap();
    reference.check(&volume, synced);
    let works = volume.put("after", b"the cut", true);
    assert!(works.is_ok(), "{works:?}");
    // What is left to forget is forgotten now.
    volume.housekeep().unwrap();
    volume.assert_sound();
}

#[test]
fn after_a_cut_the_store_is_what_it_was_after_some_operation() {
    // semantics.md §5: "After any crash the tree is exactly the state after some operation N in the log. Recovery is automatic."
    // semantics.md §5: "When `fsync(2)` or an API write has returned, a power cut loses nothing of it."
    let mut dice = Dice::new("cuts");
    let reference = Reference::make();
    match setting("NEXUS_CUTS").unwrap_or(60) {
        0 => (1..=reference.calls).for_each(|call| cut_at(call, &reference, &mut dice)),
        n => (0..n).for_each(|_| cut_at(1 + dice.below(reference.calls), &reference, &mut dice)),
    }
}

#[test]
fn what_a_killed_process_wrote_is_durable_once_the_next_one_has_synced() {
    let mut dice = Dice::new("killed, then cut");
    for _ in 0..8 {
        let drive = Drive::new();
        let (blob, tree) = (dice.bytes(200_000), dice.bytes(2_500_000));
        let killed = Volume::open(&drive.data()).unwrap();
        killed.put("blob", &blob, false).unwrap();
        killed.put("tree", &tree, false).unwrap();
        let before = killed.tree("");
        drop(killed);
        let next = Volume::open(&drive.data()).unwrap();
        next.sync().unwrap();
        drop(next);
        drive.forget_unsynced(&mut dice);
        drive.spin_up();
        let volume = Volume::open(&drive.data()).unwrap();
        volume.assert_sound();
        assert_eq!(volume.tree(""), before);
    }
}

#[test]
fn a_first_start_that_was_cut_is_finished_by_the_next_one() {
    let mut dice = Dice::new("first start");
    let starts = {
        let drive = Drive::new();
        drop(Volume::open(&drive.data()).unwrap());
        drive.count()
    };
    for call in 1..=starts {
        println!("cut at operation {call} of {starts} of the disk");
        let drive = Drive::new();
        drive.cut_after(call);
        drop(Volume::open(&drive.data()));
        // As after SIGKILL: everything that was written is there.
        drive.keep_unsynced();
        drive.spin_up();
        let volume = Volume::open(&drive.data()).unwrap();
        volume.assert_sound();
        volume.put("works", &dice.bytes(100), true).unwrap();
    }
}
