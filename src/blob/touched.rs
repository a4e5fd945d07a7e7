//! From a working copy to a content: what was touched, and whether it is patched or cut anew.
//!
//! The bytes of the base are looked at in windows of [`WINDOW`]. A window of which little was written is patched: what was
//! written goes into a pack with the patches of other windows, and what lies between stays where it is stored. A window of
//! which half was written, or that would come to too many pieces, is read and cut into chunks anew. What lies behind the
//! base is cut as well and takes small leaves before it along, so that they grow together again.

use super::chunk::{CHUNK_MIN, HOLE_MIN};
use super::compose::Composer;
use super::content::Content;
use super::seal::Sealer;
use super::splice::splice;
use super::store::Blobs;
use super::tree::Leaf;
use super::working::Working;
use crate::core::Result;

const WINDOW: u64 = 1 << 20;
/// A window with more leaves after it was patched is cut anew,
pub(super) const PIECES_MANY: u64 = 128;
/// but of these no more in one seal than so many: they often become too many in all windows at once.
const TIDIED_MAX: u32 = 32;
/// A window with more leaves than this is cut anew whatever it takes.
const PIECES_MAX: u64 = 256;
/// A leaf at the end is cut anew with what is appended unless it is so many times as long: a leaf is then rewritten once
/// each time that the end has grown by a part of it, and the end has few leaves.
const GROWTH: u64 = 4;

/// What is done with a range of the new content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Patch,
    Cut,
}

/// The range `start..end` of the new content, in the place of `start..old_end` of the base.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) how: How,
    pub(super) start: u64,
    pub(super) old_end: u64,
    pub(super) end: u64,
}

/// Whole windows, and how much was written in them.
struct Stretch {
    start: u64,
    end: u64,
    written: u64,
    runs: u64,
}

impl Working {
    /// Stores what was touched and gives the content that the file has now.
    pub(super) fn content(&self, sealer: &mut Sealer<'_>) -> Result<Content> {
        if self.extents.is_empty() && !self.tail_changed() {
            return Ok(self.base.clone());
        }
        if self.size <= CHUNK_MIN as u64 && !self.is_hollow() {
            return sealer.put_whole(&self.read(sealer.blobs, 0, CHUNK_MIN)?);
        }
        let steps = self.steps(sealer.blobs)?;
        let edits = Composer::new(self, sealer, &steps)?.edits(&steps)?;
        splice(sealer, &self.base, &edits, self.size)
    }

    /// Whether all of it is one hole, which needs no bytes however small it is.
    fn is_hollow(&self) -> bool {
        self.held() == 0 && self.size >= HOLE_MIN
    }

    fn tail_changed(&self) -> bool {
        self.visible != self.base.size() || self.visible != self.size
    }

    /// Lists what is to be done, in order; cuts that meet are one.
    fn steps(&self, blobs: &Blobs) -> Result<Vec<Step>> {
        let mut out: Vec<Step> = Vec::new();
        let mut tidied = 0;
        for stretch in self.stretches() {
            let (start, end) = (stretch.start, stretch.end);
            let how = self.how(blobs, &stretch, &mut tidied)?;
            push(&mut out, how, start, (end, end));
        }
        if self.tail_changed() {
            let behind = out.last().map_or(0, |step| step.end);
            let start = self.tail_start(blobs, behind)?;
            push(&mut out, How::Cut, start, (self.base.size(), self.size));
        }
        Ok(out)
    }

    /// Gathers what was written below `visible` by windows. A run over many of them is one stretch: a hole may be huge.
    fn stretches(&self) -> Vec<Stretch> {
        let mut out: Vec<Stretch> = Vec::new();
        for (mut start, end) in self.extents.runs() {
            let end = end.min(self.visible);
            while start < end {
                let window = start / WINDOW * WINDOW;
                let stop = if start == window && end - start > WINDOW {
                    end / WINDOW * WINDOW
                } else {
                    end.min(window + WINDOW)
                };
                match out.last_mut() {
                    Some(last) if start < last.end => {
                        last.written += stop - start;
                        last.runs += 1;
                    }
                    _ => out.push(Stretch {
                        start: window,
                        end: stop.max(window + WINDOW).min(self.visible),
                        written: stop - start,
                        runs: 1,
                    }),
                }
                start = stop;
            }
        }
        out
    }

    fn how(&self, blobs: &Blobs, stretch: &Stretch, tidied: &mut u32) -> Result<How> {
        if stretch.written * 2 >= stretch.end - stretch.start {
            return Ok(How::Cut);
        }
        let mut pieces = 2 * stretch.runs;
        let mut at = stretch.start;
        while at < stretch.end && pieces <= PIECES_MAX {
            at = blobs.leaf_at(&self.base, at)?.end();
            pieces += 1;
        }
        if pieces > PIECES_MANY && *tidied < TIDIED_MAX {
            *tidied += 1;
            return Ok(How::Cut);
        }
        Ok(if pieces > PIECES_MAX {
            How::Cut
        } else {
            How::Patch
        })
    }

    /// Goes back from the end of what is left of the base, to `behind` at most, over leaves that should grow.
    fn tail_start(&self, blobs: &Blobs, behind: u64) -> Result<u64> {
        let mut start = self.visible;
        while start > behind {
            let leaf = blobs.leaf_at(&self.base, start - 1)?;
            if !self.grows(&leaf, start) {
                break;
            }
            start = leaf.start.max(behind);
            if leaf.slice.is_none() {
                break;
            }
        }
        Ok(start)
    }

    fn grows(&self, leaf: &Leaf, start: u64) -> bool {
        let (left, added) = (start - leaf.start, self.size - start);
        match leaf.slice {
            // A hole behind a hole is one, and one too small to be a hole becomes bytes.
            None => added > 0 || left < HOLE_MIN,
            Some(_) => left < CHUNK_MIN as u64 && left <= GROWTH.saturating_mul(added),
        }
    }
}

fn push(steps: &mut Vec<Step>, how: How, start: u64, (old_end, end): (u64, u64)) {
    match steps.last_mut() {
        Some(last) if how == How::Cut && last.how == How::Cut && last.end == start => {
            last.old_end = old_end;
            last.end = end;
        }
        _ => steps.push(Step {
            how,
            start,
            old_end,
            end,
        }),
    }
}
