//! Numbers for moments that are being looked at, so that a node of one has a number of its own.
//!
//! The same tree entered through two directories is two trees to a kernel, in which a directory has one parent: a seat is a
//! moment and the directory it was entered by. Numbers are given once. The seats used last are remembered; whoever comes
//! back to another finds that it is gone and asks for its name again.

use crate::core::{Error, Ino, Kind, Result, error::fail};
use crate::fs::Moment;
use lru::LruCache;
use std::num::NonZeroUsize;

/// How many seats are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).expect("more than none");
/// The highest number: 22 bits, of which 0 is nobody's.
const LAST: u32 = (1 << 22) - 1;

/// A moment and the directory whose `.at` it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    pub at: Moment,
    pub base: Ino,
}

/// The seats of an engine.
pub(super) struct Seats {
    numbers: LruCache<Seat, u32>,
    taken: LruCache<u32, Seat>,
    given: u32,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            numbers: LruCache::new(REMEMBERED),
            taken: LruCache::new(REMEMBERED),
            given: 0,
        }
    }
}

impl Seats {
    /// The number of a seat, a new one if it is not known. Fails with `Unavailable` when all are given.
    pub(super) fn number(&mut self, of: Seat) -> Result<u32> {
        if let Some(number) = self.numbers.get(&of).copied() {
            self.taken.promote(&number);
            return Ok(number);
        }
        if self.given == LAST {
            return fail(
                Kind::Unavailable,
                "too many moments were looked at since the daemon was started: start it again",
            );
        }
        self.given += 1;
        self.numbers.push(of, self.given);
        self.taken.push(self.given, of);
        Ok(self.given)
    }

    /// The seat with a number; fails with `NotFound` when it is forgotten.
    pub(super) fn seat(&mut self, number: u32) -> Result<Seat> {
        let gone = || Error::new(Kind::NotFound, "nobody has looked at this moment for long");
        let seat = self.taken.get(&number).copied().ok_or_else(gone)?;
        self.numbers.promote(&seat);
        Ok(seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Op, TenantId, Time};

    fn seat(n: u64) -> Seat {
        let (tenant, op, time) = (TenantId(1), Op(n), Time(0));
        Seat {
            at: Moment { tenant, op, time },
            base: Ino(16),
        }
    }

    #[test]
    fn a_seat_in_use_keeps_its_number_and_one_forgotten_gets_another() {
        let mut seats = Seats::default();
        let (kept, lost) = (
            seats.number(seat(1)).unwrap(),
            seats.number(seat(2)).unwrap(),
        );
        for n in 3..70_000 {
            seats.number(seat(n)).unwrap();
            assert_eq!(seats.seat(kept).unwrap(), seat(1));
        }
        assert_eq!(seats.number(seat(1)).unwrap(), kept);
        assert_eq!(seats.seat(lost).unwrap_err().kind(), Kind::NotFound);
        assert!(seats.number(seat(2)).unwrap() > lost);
        assert_eq!(seats.seat(lost).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn numbers_are_given_once_and_end() {
        let mut seats = Seats {
            given: LAST - 1,
            ..Seats::default()
        };
        assert_eq!(seats.number(seat(1)).unwrap(), LAST);
        assert_eq!(seats.number(seat(2)).unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(seats.number(seat(1)).unwrap(), LAST);
    }
}
