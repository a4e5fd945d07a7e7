//! Makes edits of steps: leaves over what was touched, and over the rest of the leaves that it lies in.
//!
//! The patches of one seal share packs, blobs of up to [`PACK_MAX`], in the order in which they lie in the file.

use super::chunk::{Cutter, HOLE_MIN};
use super::extents::{Source, index};
use super::seal::Sealer;
use super::splice::Edit;
use super::store::Blobs;
use super::touched::{How, Step};
use super::tree::{Part, Slice};
use super::working::Working;
use crate::core::{Error, Hash, Kind, Result};

const PACK_MAX: usize = 1 << 20;
/// Bytes read at a time while cutting.
const STEP: u64 = 1 << 20;

pub(super) struct Composer<'a, 'b> {
    working: &'a Working,
    blobs: &'b Blobs,
    sealer: &'a mut Sealer<'b>,
    /// Patches that are not placed yet, in the order of the file.
    patches: std::vec::IntoIter<Slice>,
}

impl<'a, 'b> Composer<'a, 'b> {
    /// Stores the patches of all steps first.
    pub(super) fn new(
        working: &'a Working,
        sealer: &'a mut Sealer<'b>,
        steps: &[Step],
    ) -> Result<Self> {
        let blobs = sealer.blobs;
        let mut packer = Packer::default();
        for step in steps.iter().filter(|step| step.how == How::Patch) {
            let mut at = step.start;
            while at < step.end {
                let (until, source) = working.piece(at, step.end);
                if is_packed(&source, until - at) {
                    packer.add(sealer, &working.read(blobs, at, index(until - at))?)?;
                }
                at = until;
            }
        }
        let patches = packer.finish(sealer)?;
        Ok(Self {
            working,
            blobs,
            sealer,
            patches: patches.into_iter(),
        })
    }

    /// Gives an edit for each run of leaves that the steps lie in.
    pub(super) fn edits(&mut self, steps: &[Step]) -> Result<Vec<Edit>> {
        let mut edits: Vec<Edit> = Vec::new();
        // Where the leaves of the last edit have come to, in bytes of the base.
        let mut done = 0;
        for step in steps {
            match edits.last_mut() {
                Some(edit) if step.start < edit.end => self.keep(edit, done, step.start)?,
                last => {
                    if let Some(edit) = last {
                        self.keep(edit, done, edit.end)?;
                    }
                    let start = self.border(step.start)?.0;
                    let mut edit = Edit {
                        start,
                        end: start,
                        leaves: Vec::new(),
                    };
                    self.keep(&mut edit, start, step.start)?;
                    edits.push(edit);
                }
            }
            if let Some(edit) = edits.last_mut() {
                match step.how {
                    How::Patch => self.patch(step, edit)?,
                    How::Cut => self.cut(step, edit)?,
                }
                done = step.old_end;
                edit.end = self.border(done)?.1;
            }
        }
        if let Some(edit) = edits.last_mut() {
            self.keep(edit, done, edit.end)?;
        }
        Ok(edits)
    }

    /// Gives the borders of leaves at or before `at` and at or behind it.
    fn border(&self, at: u64) -> Result<(u64, u64)> {
        if at >= self.working.base.size() {
            return Ok((at, at));
        }
        let leaf = self.blobs.leaf_at(&self.working.base, at)?;
        Ok(if leaf.start == at {
            (at, at)
        } else {
            (leaf.start, leaf.end())
        })
    }

    /// Refers to a range of the base.
    fn keep(&self, edit: &mut Edit, start: u64, end: u64) -> Result<()> {
        let mut at = start;
        while at < end {
            let leaf = self.blobs.leaf_at(&self.working.base, at)?;
            let len = end.min(leaf.end()) - at;
            edit.push(match leaf.slice {
                Some(slice) => Part::Slice(slice.part(at - leaf.start, len)),
                None => Part::Hole { len },
            });
            at += len;
        }
        Ok(())
    }

    fn patch(&mut self, step: &Step, edit: &mut Edit) -> Result<()> {
        let mut at = step.start;
        while at < step.end {
            let (until, source) = self.working.piece(at, step.end);
            let len = until - at;
            if is_packed(&source, len) {
                edit.push(Part::Slice(self.packed(len)?));
            } else if source == Source::Below {
                self.keep(edit, at, until)?;
            } else {
                edit.push(Part::Hole { len });
            }
            at = until;
        }
        Ok(())
    }

    fn packed(&mut self, len: u64) -> Result<Slice> {
        let next = self.patches.next().filter(|patch| patch.len == len);
        next.ok_or_else(|| Error::new(Kind::Io, "a patch is not in its pack"))
    }

    fn cut(&mut self, step: &Step, edit: &mut Edit) -> Result<()> {
        let (working, blobs) = (self.working, self.blobs);
        let mut cutter = Cutter::new(self.sealer);
        let mut at = step.start;
        while at < step.end {
            let (until, source) = working.piece(at, step.end);
            match source {
                Source::Memory(bytes) => cutter.data(bytes)?,
                Source::Zero => cutter.hole(until - at),
                Source::Chunk(chunk, 0) if until - at == chunk.len => cutter.chunk(chunk)?,
                Source::Chunk(chunk, from) => {
                    cutter.data(&chunk.read(blobs, from, until - at)?)?;
                }
                Source::Spilled => feed_spilled(working, at, until, &mut cutter)?,
                Source::Below => feed_base(working, blobs, at, until, &mut cutter)?,
            }
            at = until;
        }
        cutter.take()?.into_iter().for_each(|part| edit.push(part));
        Ok(())
    }
}

/// Gathers patches into blobs.
#[derive(Default)]
struct Packer {
    buffer: Vec<u8>,
    slices: Vec<Slice>,
    /// How many of the slices are in blobs that are stored.
    stored: usize,
}

impl Packer {
    fn add(&mut self, sealer: &mut Sealer<'_>, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > PACK_MAX {
            self.store(sealer)?;
        }
        self.slices.push(Slice {
            hash: Hash([0; 32]),
            from: self.buffer.len() as u64,
            len: bytes.len() as u64,
            of: 0,
        });
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self, sealer: &mut Sealer<'_>) -> Result<Vec<Slice>> {
        self.store(sealer)?;
        Ok(self.slices)
    }

    fn store(&mut self, sealer: &mut Sealer<'_>) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let hash = sealer.put(&self.buffer)?;
        for slice in &mut self.slices[self.stored..] {
            slice.hash = hash;
            slice.of = self.buffer.len() as u64;
        }
        self.stored = self.slices.len();
        self.buffer.clear();
        Ok(())
    }
}

/// Whether a patch needs the bytes: not what the base has, and not a hole.
fn is_packed(source: &Source<'_>, len: u64) -> bool {
    match source {
        Source::Memory(_) | Source::Spilled | Source::Chunk(..) => true,
        Source::Zero => len < HOLE_MIN,
        Source::Below => false,
    }
}

fn feed_spilled(
    working: &Working,
    start: u64,
    end: u64,
    cutter: &mut Cutter<'_, '_>,
) -> Result<()> {
    let mut buffer = vec![0; index(STEP.min(end - start))];
    let mut at = start;
    while at < end {
        let part = &mut buffer[..index(STEP.min(end - at))];
        working.read_spilled(at, part)?;
        cutter.data(part)?;
        at += part.len() as u64;
    }
    Ok(())
}

fn feed_base(
    working: &Working,
    blobs: &Blobs,
    start: u64,
    end: u64,
    cutter: &mut Cutter<'_, '_>,
) -> Result<()> {
    let mut at = start;
    while at < end {
        let leaf = blobs.leaf_at(&working.base, at)?;
        let len = end.min(leaf.end()) - at;
        match leaf.slice {
            None => cutter.hole(len),
            Some(slice) => cutter.data(&blobs.slice(slice.part(at - leaf.start, len))?)?,
        }
        at += len;
    }
    Ok(())
}
