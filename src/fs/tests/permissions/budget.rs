//! What a decision may take from the allocator: nothing.

use super::{give, mkdir};
use crate::access::Right;
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::*;
use crate::meta::FileKind;

/// A decision that finds what it stands on in memory, whichever layer decides, yes and no.
#[test]
fn a_decision_asks_the_allocator_for_nothing() {
    let w = World::new();
    let e = w.engine();
    let (bob, eve) = (make(&w, "bob"), make(&w, "eve"));
    let shared = mkdir(&w, &boss(), "/workspace/shared");
    let files: Vec<_> = (0..50)
        .map(|f| {
            let made = e.mknod(
                &boss(),
                shared,
                &name(&format!("f{f}")),
                FileKind::File,
                0o600,
                0,
            );
            made.unwrap().ino
        })
        .collect();
    give(&w, &boss(), "/workspace/shared", "can_write", "bob");
    give(&w, &boss(), "/workspace/shared/f7", "can_read", "eve");
    let all = || {
        let may = |who: &Caller, right| {
            let allowed = files.iter().filter(|file| {
                let node = e.node(**file).unwrap();
                e.may(who, &node, right).is_ok()
            });
            allowed.count()
        };
        (
            may(&bob, Right::Write),
            may(&eve, Right::Read),
            may(&eve, Right::Own),
        )
    };
    let counted = |expected| {
        let mut found = (0, 0, 0);
        let counted = allocation_counter::measure(|| found = all());
        assert_eq!(found, expected);
        counted.count_total
    };
    // What decisions stand on is gathered once.
    assert_ne!(counted((50, 1, 0)), 0);
    assert_eq!(counted((50, 1, 0)), 0);
}
