//! Random sequences of calls through the kernel, compared call by call and tree by tree with a plain directory.
//!
//! `NEXUS_MODEL_CASES` says how many sequences (60) of `NEXUS_MODEL_OPS` calls at most (60). A failing sequence is shrunk.

mod call;
mod place;
mod past;

use self::call::{Call, call};
use self::place::Place;
use crate::dice::{Dice, setting};
use crate::world::World;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::path::PathBuf;

/// Makes the calls in both places; gives the first difference.
fn compare(world: &World, name: &str, calls: &[Call]) -> Result<(), TestCaseError> {
    let mut real = Place::new(world.path(name));
    let mut plain = Place::new(world.host("plain").join(name));
    for (n, call) in calls.iter().enumerate() {
        if matches!(call, Call::Crash) {
            (real.open, plain.open) = Default::default();
            world.kill();
            world.restart();
        }
        let (ours, theirs) = (real.make(call), plain.make(call));
        prop_assert_eq!(ours, theirs, "call {}: {:?}", n, call);
        if n % 10 == 9 || n + 1 == calls.len() || matches!(call, Call::Crash) {
            prop_assert_eq!(
                real.portrait(),
                plain.portrait(),
                "the trees after call {}",
                n
            );
        }
    }
    (real.open, plain.open) = Default::default();
    prop_assert_eq!(
        real.portrait(),
        plain.portrait(),
        "the trees when all is closed"
    );
    Ok(())
}

#[test]
fn random_calls_do_what_a_plain_directory_does() {
    let world = World::new();
    world.follow_posix();
    let mut dice = Dice::new("model");
    let cases = u32::try_from(setting("NEXUS_MODEL_CASES").unwrap_or(60)).unwrap();
    let calls = usize::try_from(setting("NEXUS_MODEL_OPS").unwrap_or(60)).unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &dice.bytes(32));
    let config = Config {
        cases,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let place = Cell::new(0);
    TestRunner::new_with_rng(config, rng)
        .run(&prop::collection::vec(call(), 1..calls), |calls| {
            place.set(place.get() + 1);
            compare(&world, &format!("case-{}", place.get()), &calls)
        })
        .unwrap_or_else(|e| panic!("{e}"));
    world.is_sound();
    world.kill();
    world.restart();
    for n in 1..=place.get() {
        let name = format!("case-{n}");
        let place = |root: PathBuf| Place {
            root,
            open: Default::default(),
        };
        let (real, plain) = (
            place(world.path(&name)),
            place(world.host("plain").join(&name)),
        );
        assert_eq!(real.portrait(), plain.portrait(), "{name} after a crash");
    }
}
