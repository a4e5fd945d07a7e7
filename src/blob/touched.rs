//! From a working copy to a content: which leaves must be cut anew, and the cutting.
//!
//! A region of touched leaves is cut from its first leaf's start, with a forced cut at its last leaf's end, so
//! that the leaves behind it stay as they are. It takes in a neighbour that is a hole or smaller than
//! [`CHUNK_MIN`]: small pieces grow together again, and appending a little to a large file rewrites no more
//! than the small chunk at its end.

use super::chunk::{CHUNK_MIN, Cutter, HOLE_MIN};
use super::content::Content;
use super::extents::{Source, index};
use super::seal::Sealer;
use super::splice::{Edit, splice};
use super::store::Blobs;
use super::tree::Leaf;
use super::working::Working;
use crate::core::Result;

/// Bytes read at a time while cutting.
const STEP: u64 = 1 << 20;

/// Bytes to be cut anew: `start..old_end` of the base become `start..new_end` of the new content.
#[derive(Debug)]
struct Region {
    start: u64,
    old_end: u64,
    new_end: u64,
}

impl Working {
    /// Stores what was touched and gives the content that the file has now.
    pub(super) fn content(&self, sealer: &mut Sealer<'_>) -> Result<Content> {
        if self.extents.is_empty() && !self.tail_changed() {
            return Ok(self.base.clone());
        }
        let blobs = sealer.blobs;
        if self.size <= CHUNK_MIN as u64 && !self.is_hollow() {
            return sealer.put_whole(&self.read(blobs, 0, CHUNK_MIN)?);
        }
        let regions = self.regions(blobs)?;
        let mut cutter = Cutter::new(sealer);
        let mut edits = Vec::with_capacity(regions.len());
        for region in regions {
            self.feed(blobs, &region, &mut cutter)?;
            edits.push(Edit {
                start: region.start,
                end: region.old_end,
                leaves: cutter.take()?,
            });
        }
        splice(sealer, &self.base, &edits, self.size)
    }

    /// Whether all of it is one hole, which needs no bytes however small it is.
    fn is_hollow(&self) -> bool {
        self.held() == 0 && self.size >= HOLE_MIN
    }

    fn tail_changed(&self) -> bool {
        self.visible != self.base.size() || self.visible != self.size
    }

    /// Lists the regions in order; those that meet are one.
    fn regions(&self, blobs: &Blobs) -> Result<Vec<Region>> {
        let mut out: Vec<Region> = Vec::new();
        for (start, end) in self
            .extents
            .runs()
            .take_while(|(start, _)| *start < self.visible)
        {
            let end = end.min(self.visible);
            if out.last().is_none_or(|last| end > last.old_end) {
                join(&mut out, self.region(blobs, start, end)?);
            }
        }
        if self.tail_changed() {
            let start = self.region_start(blobs, self.visible)?;
            join(
                &mut out,
                Region {
                    start,
                    old_end: self.base.size(),
                    new_end: self.size,
                },
            );
        }
        Ok(out)
    }

    fn region(&self, blobs: &Blobs, start: u64, end: u64) -> Result<Region> {
        let start = self.region_start(blobs, start)?;
        let mut end = blobs.leaf_at(&self.base, end - 1)?.end();
        if end < self.visible {
            end = Some(blobs.leaf_at(&self.base, end)?)
                .filter(joins)
                .map_or(end, |leaf| leaf.end());
        }
        Ok(Region {
            start,
            old_end: end,
            new_end: end,
        })
    }

    /// Goes back from `at` to where its leaf begins, and over a leaf before that which should join.
    fn region_start(&self, blobs: &Blobs, at: u64) -> Result<u64> {
        let start = if at < self.base.size() {
            blobs.leaf_at(&self.base, at)?.start
        } else {
            at
        };
        if start == 0 {
            return Ok(0);
        }
        let before = blobs.leaf_at(&self.base, start - 1)?;
        Ok(if joins(&before) { before.start } else { start })
    }

    fn feed(&self, blobs: &Blobs, region: &Region, cutter: &mut Cutter<'_, '_>) -> Result<()> {
        let mut at = region.start;
        while at < region.new_end {
            let (stop, source) = self.piece(at, region.new_end);
            match source {
                Source::Memory(bytes) => cutter.data(bytes)?,
                Source::Zero => cutter.hole(stop - at),
                Source::Chunk(chunk, 0) if stop - at == chunk.len => cutter.chunk(chunk)?,
                Source::Chunk(chunk, from) => {
                    cutter.data(&chunk.read(blobs, from, stop - at)?)?;
                }
                Source::Spilled => self.feed_spilled(at, stop, cutter)?,
                Source::Below => self.feed_base(blobs, at, stop, cutter)?,
            }
            at = stop;
        }
        Ok(())
    }

    fn feed_spilled(&self, start: u64, end: u64, cutter: &mut Cutter<'_, '_>) -> Result<()> {
        let mut buffer = vec![0; index(STEP.min(end - start))];
        let mut at = start;
        while at < end {
            let part = &mut buffer[..index(STEP.min(end - at))];
            self.read_spilled(at, part)?;
            cutter.data(part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn feed_base(
        &self,
        blobs: &Blobs,
        start: u64,
        end: u64,
        cutter: &mut Cutter<'_, '_>,
    ) -> Result<()> {
        let mut at = start;
        while at < end {
            let leaf = blobs.leaf_at(&self.base, at)?;
            let stop = end.min(leaf.end());
            match leaf.hash {
                None => cutter.hole(stop - at),
                Some(hash) => {
                    let bytes = blobs.blob(&hash, leaf.len)?;
                    cutter.data(&bytes[index(at - leaf.start)..index(stop - leaf.start)])?;
                }
            }
            at = stop;
        }
        Ok(())
    }
}

fn joins(leaf: &Leaf) -> bool {
    leaf.hash.is_none() || leaf.len < CHUNK_MIN as u64
}

fn join(regions: &mut Vec<Region>, next: Region) {
    match regions.last_mut() {
        Some(last) if next.start <= last.old_end => {
            last.old_end = next.old_end;
            last.new_end = next.new_end;
        }
        _ => regions.push(next),
    }
}
