//! Which bytes of a file changed since they were last made durable.

use std::collections::BTreeMap;

/// Ranges written, and whether anything happened that a list of writes cannot tell.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Start and end of ranges that neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
    bytes: u64,
    other: bool,
}

impl Fresh {
    pub(super) fn wrote(&mut self, mut start: u64, mut end: u64) {
        let near =
            |(from, to): (&u64, &u64)| (*to >= start && *from <= end).then_some((*from, *to));
        let touching: Vec<_> = self.ranges.range(..=end).rev().map_while(near).collect();
        for (from, to) in touching {
            self.ranges.remove(&from);
            self.bytes -= to - from;
            (start, end) = (start.min(from), end.max(to));
        }
        if start < end {
            self.ranges.insert(start, end);
            self.bytes += end - start;
        }
    }

    /// Notes a change that is not a write: of the length, or of a hole.
    pub(super) fn changed_otherwise(&mut self) {
        self.other = true;
    }

    /// The ranges, when they tell everything and are `most` bytes at most.
    pub(super) fn ranges(&self, most: u64) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
        let fits = !self.other && self.bytes <= most;
        fits.then(|| self.ranges.iter().map(|(start, end)| (*start, *end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_what_was_written(writes in proptest::collection::vec((0_u64..60, 1_u64..9), 0..12)) {
            let mut fresh = Fresh::default();
            let mut model = [false; 80];
            for (at, len) in writes {
                fresh.wrote(at, at + len);
                model[usize::try_from(at).unwrap()..][..usize::try_from(len).unwrap()].fill(true);
            }
            let mut found = [false; 80];
            let mut before = None;
            for (start, end) in fresh.ranges(80).unwrap() {
                prop_assert!(before.is_none_or(|b| b < start), "ranges touch");
                before = Some(end);
                found[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].fill(true);
            }
            prop_assert_eq!(found, model);
            let sum = model.iter().filter(|b| **b).count() as u64;
            prop_assert_eq!(fresh.bytes, sum);
        }
    }
}
