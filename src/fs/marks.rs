//! Which nodes something may have been said about: a bit for each, which others share. Most have none, and are known to
//! have none without a lock.

use crate::core::Ino;
use std::sync::atomic::{AtomicU64, Ordering};

/// 2^20 bits: 128 KiB, which stay in a processor's cache, and with tens of thousands of marks few nodes share one.
const BITS: u32 = 20;
const WORDS: usize = 1 << (BITS - 6);

pub(super) struct Marks(Box<[AtomicU64]>);

impl Default for Marks {
    fn default() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Marks {
    /// Marks a node, for good. Before what is said about it can be found.
    pub(super) fn set(&self, ino: Ino) {
        let (word, bit) = place(ino);
        self.0[word].fetch_or(bit, Ordering::Release);
    }

    /// False only for a node that was never marked.
    pub(super) fn may_have(&self, ino: Ino) -> bool {
        let (word, bit) = place(ino);
        self.0[word].load(Ordering::Acquire) & bit != 0
    }
}

/// Numbers that follow each other are spread over all words.
#[allow(
    clippy::cast_possible_truncation,
    reason = "fewer bits than either has"
)]
fn place(ino: Ino) -> (usize, u64) {
    let spread = ino.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS);
    ((spread >> 6) as usize, 1 << (spread & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_marked_is_found_and_most_others_are_not() {
        let marks = Marks::default();
        (0..10_000).for_each(|n| marks.set(Ino(n * 7)));
        assert!((0..10_000).all(|n| marks.may_have(Ino(n * 7))));
        let shared = (100_000..200_000).filter(|n| marks.may_have(Ino(*n)));
        assert!(shared.count() < 3000);
    }
}
