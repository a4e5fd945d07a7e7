//! Where large contents are cut.
//!
//! The sizes and the algorithm (FastCDC 2020, normalisation level 1, seed 0) are part of the stored format:
//! with others the same bytes would be cut elsewhere and no longer share chunks with what is stored.

use super::extents::index;
use super::seal::Sealer;
use super::stream::Chunk;
use super::tree::{Part, Slice};
use crate::core::Result;
use fastcdc::v2020::FastCDC;

/// Contents up to this size are one blob.
pub const CHUNK_MIN: usize = 256 << 10;
/// No cut makes a smaller chunk than this, unless something ends there. Looking for a cut costs as much as hashing, and
/// begins only here: the nearer to the average, the less is looked at.
const CUT_MIN: usize = 768 << 10;
pub(super) const CHUNK_AVG: usize = 1 << 20;
pub(super) const CHUNK_MAX: usize = 4 << 20;
/// Runs of zeros that were never written, or punched, stay holes from this size on.
pub(super) const HOLE_MIN: u64 = 4 << 10;

/// Finds the end of the first chunk. Needs [`CHUNK_MAX`] bytes, or all that are left.
pub(super) fn cut(bytes: &[u8]) -> usize {
    FastCDC::new(bytes, CUT_MIN, CHUNK_AVG, CHUNK_MAX)
        .cut(0, bytes.len())
        .1
}

/// Turns a stream of bytes and holes into stored leaves. Holds at most two chunks of the largest size.
pub(super) struct Cutter<'s, 'b> {
    sealer: &'s mut Sealer<'b>,
    buffer: Vec<u8>,
    start: usize,
    hole: u64,
    leaves: Vec<Part>,
}

impl<'s, 'b> Cutter<'s, 'b> {
    pub(super) fn new(sealer: &'s mut Sealer<'b>) -> Self {
        Self {
            sealer,
            buffer: Vec::new(),
            start: 0,
            hole: 0,
            leaves: Vec::new(),
        }
    }

    pub(super) fn data(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.settle_hole()?;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_MAX - self.pending()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.pending() == CHUNK_MAX {
                self.cut_one()?;
            }
        }
        Ok(())
    }

    /// Takes a chunk that was cut before as it is; what comes before it ends here.
    pub(super) fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        self.settle_hole()?;
        self.flush()?;
        let hash = self.sealer.take(chunk)?;
        self.leaves.push(Part::Slice(Slice::whole(hash, chunk.len)));
        Ok(())
    }

    pub(super) fn hole(&mut self, len: u64) {
        self.hole += len;
    }

    /// Ends the stream here and gives its leaves.
    pub(super) fn take(&mut self) -> Result<Vec<Part>> {
        self.settle_hole()?;
        self.flush()?;
        Ok(std::mem::take(&mut self.leaves))
    }

    fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn settle_hole(&mut self) -> Result<()> {
        let len = std::mem::take(&mut self.hole);
        if len >= HOLE_MIN {
            self.flush()?;
            self.leaves.push(Part::Hole { len });
        } else if len > 0 {
            self.data(&vec![0; index(len)])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        while self.pending() > 0 {
            self.cut_one()?;
        }
        Ok(())
    }

    fn cut_one(&mut self) -> Result<()> {
        let pending = &self.buffer[self.start..];
        let end = cut(pending);
        let hash = self.sealer.put(&pending[..end])?;
        self.leaves
            .push(Part::Slice(Slice::whole(hash, end as u64)));
        self.start += end;
        // Moved to the front now and then, not after every chunk.
        if self.start >= CHUNK_MAX || self.start == self.buffer.len() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits as a seal would, without a store.
    fn cuts(bytes: &[u8]) -> Vec<usize> {
        let mut ends = vec![];
        let mut at = 0;
        while at < bytes.len() {
            at += cut(&bytes[at..bytes.len().min(at + CHUNK_MAX)]);
            ends.push(at);
        }
        ends
    }

    #[test]
    fn the_cuts_of_known_bytes_never_change() {
        let bytes = super::super::model::noise(8 << 20, 7);
        let known = [
            1_560_000, 2_351_747, 3_795_989, 4_973_611, 5_779_647, 8_045_789, 8_388_608,
        ];
        assert_eq!(cuts(&bytes), known);
    }

    #[test]
    fn an_insertion_moves_the_cuts_after_it_and_keeps_their_chunks() {
        let before = super::super::model::noise(16 << 20, 8);
        let after = [&before[..100], b"inserted", &before[100..]].concat();
        let moved: Vec<usize> = cuts(&before).iter().map(|end| end + 8).collect();
        let kept = cuts(&after)
            .iter()
            .filter(|end| moved.contains(end))
            .count();
        assert!(
            kept + 2 >= moved.len(),
            "{kept} of {} cuts kept",
            moved.len()
        );
    }
}
