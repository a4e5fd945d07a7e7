//! What one owner has locked of one file.

use crate::core::{HandleId, MountId};
use rangemap::RangeMap;
use std::ops::Range;

/// How a range is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Together with others (F_RDLCK).
    Shared,
    /// Alone (F_WRLCK).
    Exclusive,
}

/// Whose a lock is: a process as the kernel of one mount names it, or an open file of its own (F_OFD_SETLK).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Owner {
    pub mount: Option<MountId>,
    pub key: u64,
}

/// Whose bound a lock counts against: a user's on one mount, so that no agent uses up his owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Payer {
    pub mount: Option<MountId>,
    pub uid: u32,
}

/// What somebody wants to lock.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// Never empty.
    pub range: Range<u64>,
    pub kind: LockKind,
    /// Whether those who lock the file share memory through it, which they do on one mount only: to those of another mount, all
    /// locks are exclusive.
    pub is_mapped: bool,
    /// The open file that it is asked through: the lock ends with it.
    pub handle: HandleId,
    /// The process that is told to whoever asks who is in the way.
    pub pid: u32,
    pub payer: Payer,
}

/// An owner's ranges: each byte is locked once, as it was asked for last.
#[derive(Debug, Clone)]
pub(super) struct Held {
    ranges: RangeMap<u64, (LockKind, HandleId)>,
    pub pid: u32,
    pub payer: Payer,
}

impl LockKind {
    fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

impl Held {
    pub(super) fn new(want: &Want) -> Self {
        Self {
            ranges: RangeMap::new(),
            pid: want.pid,
            payer: want.payer,
        }
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn take(&mut self, want: &Want) {
        self.pid = want.pid;
        self.ranges
            .insert(want.range.clone(), (want.kind, want.handle));
    }

    pub(super) fn give_back(&mut self, range: &Range<u64>) {
        self.ranges.remove(range.clone());
    }

    /// Gives back what was taken through a handle; says whether there was anything.
    pub(super) fn close(&mut self, handle: HandleId) -> bool {
        let taken = self.ranges.iter().filter(|(_, (_, by))| *by == handle);
        let taken: Vec<_> = taken.map(|(range, _)| range.clone()).collect();
        for range in &taken {
            self.ranges.remove(range.clone());
        }
        !taken.is_empty()
    }

    pub(super) fn excludes(&self, range: &Range<u64>, kind: LockKind) -> bool {
        let mut met = self.ranges.overlapping(range.clone());
        met.any(|(_, (held, _))| held.excludes(kind))
    }

    /// The first lock that excludes another, as one range where several of its kind touch.
    pub(super) fn in_the_way(
        &self,
        range: &Range<u64>,
        kind: LockKind,
    ) -> Option<(LockKind, Range<u64>)> {
        let mut run: Option<(LockKind, Range<u64>)> = None;
        let mut is_met = false;
        for (next, (held, _)) in self.ranges.iter() {
            match &mut run {
                Some((of, whole)) if of == held && whole.end == next.start => whole.end = next.end,
                _ if is_met => break,
                _ => run = Some((*held, next.clone())),
            }
            is_met |= next.start < range.end && range.start < next.end && held.excludes(kind);
        }
        run.filter(|_| is_met)
    }
}
