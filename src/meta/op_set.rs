//! Sets of operations or nodes, as ranges: sessions and trees are runs of numbers.

use crate::core::{Error, Ino, Kind, Op, Result};
use rangemap::RangeInclusiveSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Operations of one tenant, kept as ranges: what somebody writes costs what he writes, however many numbers it means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpSet(RangeInclusiveSet<u64>);

impl OpSet {
    pub fn has(&self, op: Op) -> bool {
        self.0.contains(&op.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        let long = |range: &RangeInclusive<u64>| range.end() - range.start() + 1;
        usize::try_from(self.0.iter().map(long).sum::<u64>()).unwrap_or(usize::MAX)
    }

    pub fn first(&self) -> Option<Op> {
        self.0.first().map(|range| Op(*range.start()))
    }

    pub fn last(&self) -> Option<Op> {
        self.0.last().map(|range| Op(*range.end()))
    }

    /// Where to go on backwards, where everything from `before` on has been looked at, to meet none of these next.
    pub fn leap(&self, before: Op) -> Op {
        let run = self.0.get(&before.0.saturating_sub(1));
        run.map_or(before, |run| Op(*run.start()))
    }

    pub fn add(&mut self, number: impl Into<u64>) {
        let number = number.into();
        self.0.insert(number..=number);
    }

    pub fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Takes out what is in another one.
    pub fn leave_out(&mut self, other: &Self) {
        for range in other.0.iter() {
            self.0.remove(range.clone());
        }
    }

    /// What is in another one, too.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self(self.shared(other).collect())
    }

    /// Whether something of it is in another one, too.
    pub fn meets(&self, other: &Self) -> bool {
        self.shared(other).next().is_some()
    }

    /// It costs what the smaller of both has.
    fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = RangeInclusive<u64>> + 'a {
        let (few, many) = if self.0.len() <= other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.0.iter().flat_map(|range| {
            let met = many.0.overlapping(range.clone());
            met.map(|other| *range.start().max(other.start())..=*range.end().min(other.end()))
        })
    }

    /// Its ranges, those in one that have no more than `gap` numbers between them: the first and the last of each.
    pub fn runs(&self, gap: u64) -> Vec<(Op, Op)> {
        let mut runs: Vec<(Op, Op)> = Vec::new();
        for range in self.0.iter() {
            match runs.last_mut() {
                Some((_, last)) if range.start() - last.0 <= gap => *last = Op(*range.end()),
                _ => runs.push((Op(*range.start()), Op(*range.end()))),
            }
        }
        runs
    }

    /// The operations, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Op> {
        self.0.iter().cloned().flatten().map(Op)
    }

    /// The numbers as those of nodes.
    pub fn nodes(&self) -> impl Iterator<Item = Ino> {
        self.0.iter().cloned().flatten().map(Ino)
    }
}

impl FromIterator<Op> for OpSet {
    fn from_iter<I: IntoIterator<Item = Op>>(ops: I) -> Self {
        Self(ops.into_iter().map(|op| op.0..=op.0).collect())
    }
}

impl FromIterator<Ino> for OpSet {
    fn from_iter<I: IntoIterator<Item = Ino>>(nodes: I) -> Self {
        Self(nodes.into_iter().map(|ino| ino.0..=ino.0).collect())
    }
}

impl fmt::Display for OpSet {
    /// `3,7-12`: what [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, range) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for OpSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        /// More than one operation or session ever has.
        const RANGE_MAX: u64 = 1 << 28;
        let mut all = RangeInclusiveSet::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |n: &str| {
                n.parse::<u64>().map_err(|e| {
                    let message =
                        format!("{n:?} is no number of an operation: write 7, 3-9 or 3,7-9");
                    Error::new(Kind::Invalid, message).caused_by(e)
                })
            };
            let (first, last) = (number(first)?, number(last)?);
            if last.saturating_sub(first) > RANGE_MAX {
                let message = format!("{part}: more than {RANGE_MAX} operations");
                return Err(Error::new(Kind::TooBig, message));
            }
            if first > last {
                let message = format!("{part} ends before it begins: write {last}-{first}");
                return Err(Error::new(Kind::Invalid, message));
            }
            all.insert(first..=last);
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_ranges_and_read_back() {
        let set: OpSet = [7, 3, 8, 9, 12].map(Op).into_iter().collect();
        assert_eq!(set.to_string(), "3,7-9,12");
        assert_eq!("3,7-9,12".parse::<OpSet>().unwrap(), set);
        assert_eq!("".parse::<OpSet>().unwrap(), OpSet::default());
        assert_eq!(
            [13, 11, 10, 8, 3].map(|n| set.leap(Op(n)).0),
            [12, 11, 7, 7, 3]
        );
        let other: OpSet = "1-3,8,20".parse().unwrap();
        assert_eq!(set.common(&other).to_string(), "3,8");
        assert_eq!(other.common(&set).to_string(), "3,8");
        assert!(set.meets(&other) && !set.meets(&"4-6,20".parse().unwrap()));
        let runs = [(Op(3), Op(3)), (Op(7), Op(12))];
        assert_eq!((set.runs(3), set.runs(4).len()), (runs.to_vec(), 1));
        let many: OpSet = "1-200000000,7".parse().unwrap();
        assert_eq!((many.to_string().len(), many.len()), (11, 200_000_000));
        for wrong in ["x", "3-", "-3", "5-3", "1-99999999999"] {
            wrong.parse::<OpSet>().unwrap_err();
        }
    }
}
