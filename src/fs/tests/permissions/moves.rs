//! Moves beside somebody who asks all the time: what was granted where it was, and where it goes, holds at no moment together.

use super::{give, ino, rename, rights, with};
use crate::access::Rights;
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

/// How often the directory goes there or back.
const MOVES: u64 = 200;

/// What the one who moves and the one who asks know of each other.
#[derive(Default)]
struct Between {
    /// Odd while a move is under way.
    moves: AtomicU64,
    asked: AtomicU64,
    ended: AtomicBool,
}

impl Between {
    /// Waits until a question has been asked from its beginning to its end; `false` when nobody asks any more.
    fn is_asked<T>(&self, by: &ScopedJoinHandle<'_, T>) -> bool {
        let asked = self.asked.load(Ordering::SeqCst);
        while self.asked.load(Ordering::SeqCst) < asked + 2 {
            if by.is_finished() {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }
}

#[test]
fn a_move_is_of_one_moment_for_whoever_asks_meanwhile() {
    let (w, alice, bob) = with(&["a", "b", "a/x", "a/x/deep"]);
    let (carol, dave) = (make(&w, "carol"), make(&w, "dave"));
    for (at, to) in [("a", "bob"), ("a/x", "carol"), ("b", "dave")] {
        give(&w, &alice, &format!("/workspace/{at}"), "can_read", to);
    }
    let file = ino(&w, "/workspace/a/x/deep/f");
    let reads = |who: &Caller| rights(&w, who, file).covers(Rights::READ);
    let between = Between::default();
    let check = || {
        let having = w.engine().expand(&boss(), file, "can_read").unwrap();
        let having: Vec<_> = having.iter().map(ToString::to_string).collect();
        let before = between.moves.load(Ordering::SeqCst);
        let (bob, carol, dave) = (reads(&bob), reads(&carol), reads(&dave));
        let after = between.moves.load(Ordering::SeqCst);
        assert!(carol, "she has it wherever it is");
        let (here, there) = (["user:bob", "user:carol"], ["user:carol", "user:dave"]);
        assert!(having == here || having == there, "{having:?}");
        if before == after && before.is_multiple_of(2) {
            let is_there = before % 4 == 2;
            assert_eq!(
                (bob, dave),
                (!is_there, is_there),
                "after move {}",
                before / 2
            );
        }
        between.asked.fetch_add(1, Ordering::SeqCst);
    };
    std::thread::scope(|s| {
        let asking = s.spawn(|| {
            while !between.ended.load(Ordering::SeqCst) {
                check();
            }
        });
        for n in 0..MOVES {
            let (a, b) = ("/workspace/a/x", "/workspace/b/x");
            let (from, to) = if n % 2 == 0 { (a, b) } else { (b, a) };
            between.moves.fetch_add(1, Ordering::SeqCst);
            rename(&w, &alice, from, to).unwrap();
            between.moves.fetch_add(1, Ordering::SeqCst);
            if !between.is_asked(&asking) {
                break;
            }
        }
        between.ended.store(true, Ordering::SeqCst);
    });
    w.assert_sound();
}
