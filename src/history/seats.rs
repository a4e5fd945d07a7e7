//! Numbers for moments that are being looked at, so that a node of one has a number of its own.
//!
//! The same tree entered through two directories is two trees to a kernel, in which a directory has one parent: a seat is a
//! moment and the directory it was entered by. The seats used last are remembered; whoever comes back to another finds that
//! it is gone and asks for its name again. When all numbers were given, those of forgotten seats are given again, as another
//! generation: what a kernel still has under such a number is stale to it, and never taken for what has the number now.

use crate::core::{Error, Ino, Kind, Result};
use crate::fs::Moment;
use lru::LruCache;
use std::num::NonZeroUsize;

/// How many seats are remembered.
const REMEMBERED: usize = 65_536;
/// The highest number: 22 bits, of which 0 is nobody's. Many more than are remembered, so that there is always a free one.
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
    /// With the generation of each number.
    taken: LruCache<u32, (Seat, u64)>,
    next: u32,
    generation: u64,
}

impl Default for Seats {
    fn default() -> Self {
        Self::remembering(NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN))
    }
}

impl Seats {
    fn remembering(seats: NonZeroUsize) -> Self {
        Self {
            numbers: LruCache::new(seats),
            taken: LruCache::new(seats),
            next: 1,
            generation: 0,
        }
    }

    /// The number of a seat, a new one if it is not known.
    pub(super) fn number(&mut self, of: Seat) -> u32 {
        if let Some(number) = self.numbers.get(&of).copied() {
            self.taken.promote(&number);
            return number;
        }
        let number = self.free();
        self.numbers.push(of, number);
        self.taken.push(number, (of, self.generation));
        number
    }

    fn free(&mut self) -> u32 {
        loop {
            let number = self.next;
            if number == LAST {
                (self.next, self.generation) = (1, self.generation + 1);
            } else {
                self.next += 1;
            }
            if !self.taken.contains(&number) {
                return number;
            }
        }
    }

    /// The seat with a number; fails with `NotFound` when it is forgotten.
    pub(super) fn seat(&mut self, number: u32) -> Result<Seat> {
        let gone = || Error::new(Kind::NotFound, "nobody has looked at this moment for long");
        let (seat, _) = self.taken.get(&number).copied().ok_or_else(gone)?;
        self.numbers.promote(&seat);
        Ok(seat)
    }

    /// How often the number was given before.
    pub(super) fn generation(&self, number: u32) -> u64 {
        self.taken.peek(&number).map_or(0, |(_, given)| *given)
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
        let (kept, lost) = (seats.number(seat(1)), seats.number(seat(2)));
        for n in 3..70_000 {
            seats.number(seat(n));
            assert_eq!(seats.seat(kept).unwrap(), seat(1));
        }
        assert_eq!(seats.number(seat(1)), kept);
        assert_eq!(seats.seat(lost).unwrap_err().kind(), Kind::NotFound);
        assert!(seats.number(seat(2)) > lost);
        assert_eq!(seats.seat(lost).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn a_number_that_is_given_again_is_of_another_generation_and_one_in_use_is_not_given() {
        let mut seats = Seats::remembering(NonZeroUsize::new(2).unwrap());
        assert_eq!((seats.number(seat(1)), seats.generation(1)), (1, 0));
        seats.next = LAST;
        assert_eq!((seats.number(seat(2)), seats.generation(LAST)), (LAST, 1));
        // Number 1 is remembered still.
        assert_eq!((seats.number(seat(3)), seats.generation(2)), (2, 1));
        seats.next = 1;
        assert_eq!(seats.number(seat(1)), 1);
        assert_eq!(seats.generation(1), 1);
    }
}
