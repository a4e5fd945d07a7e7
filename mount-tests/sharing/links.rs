//! Links that somebody turns from what others may read to what they may not, while they read through them.
//!
//! `NEXUS_SWAPS=n` makes n tries instead of a few thousand.

use super::{ALICE, BOB, ask, said, village};
use crate::dice::setting;
use crate::person::Person;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const TRIES: u64 = 2000;

/// permissions.md §4: "swap the link in a loop 10⁵ times: the secret never shows"
#[test]
fn a_link_that_is_turned_while_it_is_followed_never_shows_the_secret() {
    let Some(world) = village() else { return };
    said(
        &world,
        ALICE,
        "umask 077; mkdir -p s/open s/secret; echo open > s/open/f; echo secret > s/secret/f; ln -s open s/dir; ln -s open/f s/file",
    )
    .must();
    ask(
        &world,
        "rebac grant user bob file /workspace/s --relation can_read",
    );
    ask(&world, "rebac restrict /workspace/s/secret");
    let (mut alice, mut bob) = (Person::new(&world, ALICE), Person::new(&world, BOB));
    let at = |name: &str| world.path("s").join(name).to_str().unwrap().to_owned();
    let turn = |alice: &mut Person, to: &str| {
        alice.does("swap", &[&at("dir"), to]).unwrap();
        alice
            .does("swap", &[&at("file"), &format!("{to}/f")])
            .unwrap();
    };
    let ways = [
        ("read", at("dir/f")),
        ("read", at("file")),
        ("get", "/workspace/s/dir/f".to_owned()),
        ("get", "/workspace/s/file".to_owned()),
    ];
    let look = |bob: &mut Person, n: u64| {
        let (call, path) = &ways[usize::try_from(n).unwrap() % ways.len()];
        let shown = bob.does(call, &[path]);
        assert!(
            shown.as_ref().map_or(true, |text| text == "open\n"),
            "{shown:?}"
        );
        assert!(
            bob.does("list", &[&at("dir")])
                .map_or(true, |names| names[0] == "f")
        );
        shown.is_ok()
    };
    let (ended, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut shown = 0;
    std::thread::scope(|s| {
        let turning = s.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                for to in ["secret", "open"] {
                    turn(&mut alice, to);
                    turns.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        for n in 0..setting("NEXUS_SWAPS").unwrap_or(TRIES) {
            shown += u64::from(look(&mut bob, n));
        }
        ended.store(true, Ordering::Release);
        turning.join().unwrap();
    });
    println!("shown {shown} times, turned {turns:?} times");
    assert!(shown > 0 && turns.load(Ordering::Acquire) > 2);
    // And while nobody turns it, it shows what it points to.
    for (to, shows) in [("secret", false), ("open", true)] {
        turn(&mut alice, to);
        assert!((0..4).all(|n| look(&mut bob, n) == shows), "{to}");
    }
    world.is_sound();
}
