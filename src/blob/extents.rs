//! What was written over a base, by offset: bytes in memory, bytes in the work file, chunks stored already, zeros.

use super::dirty::{Share, Sum};
use super::stream::Chunk;
use crate::core::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// What an extent in memory takes beside its bytes, about: whoever writes here and there takes more of that than of bytes.
const EXTENT_COST: usize = 128;

#[derive(Debug)]
enum Extent {
    Memory(Vec<u8>),
    /// In the work file, at the same offset.
    Spilled(u64),
    Zero(u64),
    /// A part of a chunk: where in it, and how long.
    Chunk(Arc<Chunk>, u64, u64),
}

/// Where the bytes of a piece are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    Memory(&'a [u8]),
    Spilled,
    Zero,
    /// In a chunk, from here on.
    Chunk(&'a Arc<Chunk>, u64),
    /// Not written: whatever lies below.
    Below,
}

/// Extents that never overlap.
#[derive(Debug, Default)]
pub(super) struct Extents {
    map: BTreeMap<u64, Extent>,
    in_memory: BTreeSet<u64>,
    memory: usize,
    /// What that takes of what all files may.
    share: Share,
    data: u64,
    zeros: u64,
}

impl Extent {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spilled(len) | Self::Zero(len) | Self::Chunk(_, _, len) => *len,
        }
    }

    /// Cuts off what lies `at` bytes and more behind the start.
    fn split_off(&mut self, at: u64) -> Self {
        match self {
            Self::Memory(bytes) => {
                let right = bytes.split_off(index(at));
                // Room that nothing counts any more.
                if bytes.len() < bytes.capacity() / 2 {
                    bytes.shrink_to_fit();
                }
                Self::Memory(right)
            }
            Self::Spilled(len) => Self::Spilled(std::mem::replace(len, at) - at),
            Self::Zero(len) => Self::Zero(std::mem::replace(len, at) - at),
            Self::Chunk(chunk, from, len) => {
                let right = std::mem::replace(len, at) - at;
                Self::Chunk(Arc::clone(chunk), *from + at, right)
            }
        }
    }
}

impl Extents {
    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Counts the bytes held in memory.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Counts what they take in a sum from now on.
    pub(super) fn count_in(&mut self, sum: &Sum) {
        self.share.join(sum);
    }

    /// Counts the bytes that were written and not turned into zeros since.
    pub(super) fn data(&self) -> u64 {
        self.data
    }

    /// Counts the bytes that were turned into zeros.
    pub(super) fn zeros(&self) -> u64 {
        self.zeros
    }

    pub(super) fn write(&mut self, at: u64, data: &[u8]) {
        let end = at + data.len() as u64;
        if let Some((&start, Extent::Memory(bytes))) = self.map.range_mut(..=at).next_back() {
            let from = index(at - start);
            if let Some(target) = bytes.get_mut(from..from + data.len()) {
                return target.copy_from_slice(data);
            }
        }
        self.clear(at, end);
        if let Some((&start, Extent::Memory(bytes))) = self.map.range_mut(..at).next_back()
            && start + bytes.len() as u64 == at
        {
            bytes.extend_from_slice(data);
            self.memory += data.len();
            self.share.add(data.len());
            self.data += data.len() as u64;
            return;
        }
        self.put(at, Extent::Memory(data.to_vec()));
    }

    pub(super) fn zero(&mut self, start: u64, end: u64) {
        self.clear(start, end);
        if start < end {
            self.put(start, Extent::Zero(end - start));
        }
    }

    /// Forgets what was written in a range.
    pub(super) fn clear(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        self.split(start);
        self.split(end);
        let inside: Vec<u64> = self.map.range(start..end).map(|(at, _)| *at).collect();
        for at in inside {
            self.take(at);
        }
    }

    /// Gives the piece that begins at `at`: where it ends, at `limit` at the latest, and what is there.
    pub(super) fn piece(&self, at: u64, limit: u64) -> (u64, Source<'_>) {
        if let Some((start, extent)) = self.map.range(..=at).next_back()
            && at < start + extent.len()
        {
            let end = limit.min(start + extent.len());
            let source = match extent {
                Extent::Memory(bytes) => {
                    Source::Memory(&bytes[index(at - start)..index(end - start)])
                }
                Extent::Spilled(_) => Source::Spilled,
                Extent::Zero(_) => Source::Zero,
                Extent::Chunk(chunk, from, _) => Source::Chunk(chunk, from + (at - start)),
            };
            return (end, source);
        }
        let next = self
            .map
            .range(at..limit)
            .next()
            .map_or(limit, |(start, _)| *start);
        (next, Source::Below)
    }

    /// Lists start and end of every extent, in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.map
            .iter()
            .map(|(start, extent)| (*start, start + extent.len()))
    }

    /// Moves what is in memory to the file. After an error, what was not moved is still in memory.
    pub(super) fn spill(&mut self, file: &File) -> Result<()> {
        while let Some(&at) = self.in_memory.first() {
            if let Some(Extent::Memory(bytes)) = self.map.get(&at) {
                file.write_all_at(bytes, at)?;
            }
            let Some(extent) = self.take(at) else { break };
            self.put_spilled(at, extent.len());
        }
        Ok(())
    }

    /// Writes past the memory.
    pub(super) fn write_spilled(&mut self, file: &File, at: u64, data: &[u8]) -> Result<()> {
        file.write_all_at(data, at)?;
        let len = data.len() as u64;
        self.clear(at, at + len);
        self.put_spilled(at, len);
        Ok(())
    }

    /// Where the bytes in memory begin and how many they are, when they are in one piece.
    pub(super) fn only_memory(&self) -> Option<(u64, usize)> {
        let start = self.in_memory.first()?;
        match self.map.get(start) {
            Some(Extent::Memory(bytes)) if bytes.len() == self.memory => {
                Some((*start, bytes.len()))
            }
            _ => None,
        }
    }

    /// Takes the bytes in memory that begin at `at`.
    pub(super) fn take_memory(&mut self, at: u64) -> Vec<u8> {
        match self.take(at) {
            Some(Extent::Memory(bytes)) => bytes,
            Some(other) => {
                self.put(at, other);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Puts chunks where nothing is, from `at` on.
    pub(super) fn put_chunks(&mut self, mut at: u64, chunks: Vec<Arc<Chunk>>) {
        for chunk in chunks {
            let len = chunk.len;
            self.put(at, Extent::Chunk(chunk, 0, len));
            at += len;
        }
    }

    fn put_spilled(&mut self, at: u64, len: u64) {
        match self.map.range_mut(..at).next_back() {
            Some((start, Extent::Spilled(before))) if start + *before == at => {
                *before += len;
                self.data += len;
            }
            _ => self.put(at, Extent::Spilled(len)),
        }
    }

    /// Makes `at` a boundary.
    fn split(&mut self, at: u64) {
        let Some((&start, extent)) = self.map.range(..at).next_back() else {
            return;
        };
        if at >= start + extent.len() {
            return;
        }
        if let Some(mut left) = self.take(start) {
            let right = left.split_off(at - start);
            self.put(start, left);
            self.put(at, right);
        }
    }

    fn put(&mut self, at: u64, extent: Extent) {
        match &extent {
            Extent::Zero(len) => self.zeros += len,
            Extent::Memory(bytes) => {
                self.memory += bytes.len();
                self.share.add(bytes.len() + EXTENT_COST);
                self.data += bytes.len() as u64;
                self.in_memory.insert(at);
            }
            Extent::Spilled(len) | Extent::Chunk(_, _, len) => self.data += len,
        }
        self.map.insert(at, extent);
    }

    fn uncount(&mut self, extent: &Extent) {
        match extent {
            Extent::Zero(len) => self.zeros -= len,
            Extent::Memory(bytes) => {
                self.memory -= bytes.len();
                self.share.sub(bytes.len() + EXTENT_COST);
                self.data -= bytes.len() as u64;
            }
            Extent::Spilled(len) | Extent::Chunk(_, _, len) => self.data -= len,
        }
    }

    fn take(&mut self, at: u64) -> Option<Extent> {
        let extent = self.map.remove(&at)?;
        self.uncount(&extent);
        self.in_memory.remove(&at);
        Some(extent)
    }
}

/// Converts a length or position that is known to be within something in memory.
pub(super) fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_that_follow_each_other_are_one_extent() {
        let mut extents = Extents::default();
        for n in 0..10_u8 {
            extents.write(100 + u64::from(n), &[n]);
        }
        assert_eq!(extents.runs().collect::<Vec<_>>(), [(100, 110)]);
        assert_eq!(extents.memory(), 10);
    }

    #[test]
    fn a_hole_in_the_middle_splits_an_extent() {
        let mut extents = Extents::default();
        extents.write(0, b"abcdef");
        extents.zero(2, 4);
        assert_eq!(extents.piece(0, 9), (2, Source::Memory(b"ab")));
        assert_eq!(extents.piece(3, 9), (4, Source::Zero));
        assert_eq!(extents.piece(5, 9), (6, Source::Memory(b"f")));
        assert_eq!(extents.piece(6, 9), (9, Source::Below));
        assert_eq!(extents.memory(), 4);
    }

    #[test]
    fn spilling_empties_memory_and_keeps_the_places() {
        let file = tempfile::tempfile().unwrap();
        let mut extents = Extents::default();
        extents.write(10, b"ab");
        extents.zero(5, 10);
        extents.spill(&file).unwrap();
        extents.write(12, b"cd");
        extents.spill(&file).unwrap();
        assert_eq!(extents.memory(), 0);
        assert_eq!(extents.runs().collect::<Vec<_>>(), [(5, 10), (10, 14)]);
        let mut read = [0; 4];
        file.read_exact_at(&mut read, 10).unwrap();
        assert_eq!(&read, b"abcd");
    }
}
