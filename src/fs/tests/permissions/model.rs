//! Random policies and operations against a model of paths and sets, for everybody and every node.
//!
//! `NEXUS_MODEL_STEPS` says how many steps, `NEXUS_SEED` the first seed.

use super::game::{Game, Play};
use super::proof::State;

/// How many steps a run has, and how many of them each game: then another begins with the next seed.
const STEPS: u64 = 3000;
const GAME: u64 = 1000;
/// After how many steps everybody is compared, instead of one of them.
const ALL: u64 = 20;

#[allow(clippy::disallowed_methods, reason = "a test asks how long it may run")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One game of so many steps; ends with the first difference.
fn play(game: &mut Game, steps: u64) -> Play {
    for step in 0..steps {
        let said = |e| format!("step {step}: {e}");
        game.step().map_err(said)?;
        let everybody = game.everybody();
        let one = game.n.index(u32::try_from(everybody.len()).unwrap());
        for (n, who) in everybody.iter().enumerate() {
            if n == one || step % ALL == 0 {
                game.compare(who).map_err(said)?;
            }
        }
        game.compare_grants().map_err(said)?;
    }
    Ok(())
}

#[test]
fn the_engine_allows_and_shows_what_the_model_does() {
    let first = setting("NEXUS_SEED").unwrap_or(1);
    let steps = setting("NEXUS_MODEL_STEPS").unwrap_or(STEPS);
    for seed in first..first + steps.div_ceil(GAME) {
        let mut game = Game::new(seed);
        println!("NEXUS_SEED={seed}");
        play(&mut game, GAME.min(steps)).unwrap();
        game.w.assert_sound();
    }
}

/// What breaks the invalidation on purpose, and how the model finds it.
#[test]
fn a_policy_that_misses_changes_is_found_by_the_model() {
    for break_it in [
        |game: &Game| game.w.engine().policy.revision.stick(),
        |game: &Game| game.w.engine().tenants.revision.stick(),
    ] {
        let found = (1..=10).find_map(|seed| {
            let mut game = Game::new(seed);
            break_it(&game);
            play(&mut game, 300).err()
        });
        println!("{}", found.expect("nothing was found"));
    }
}

/// semantics.md §4: "Everybody is told why he may do something or may not"
#[test]
fn an_explanation_alone_proves_its_answer() {
    let first = setting("NEXUS_SEED").unwrap_or(1);
    for seed in first..first + 3 {
        let mut game = Game::new(seed);
        println!("NEXUS_SEED={seed}");
        for step in 0..300 {
            game.step().unwrap();
            if step % 10 == 9 {
                State::read(game.w.engine()).proves_all().unwrap();
            }
        }
    }
}
