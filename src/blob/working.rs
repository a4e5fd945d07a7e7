//! A file while it is open for writing.

use super::content::Content;
use super::extents::{Extents, Source, index};
use super::fresh::Fresh;
use super::seal::{Sealed, Sealer};
use super::spill::WorkFile;
use super::store::Blobs;
use super::stream::{self, Stream};
use crate::core::error::fail;
use crate::core::{Error, Kind, Result};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Written bytes that a file keeps in memory before they move to a work file.
const MEMORY_MAX: usize = 1 << 20;
/// What those of all files take together: room for every stream, and 64 MiB. Beyond it, files that are not streamed write straight
/// to their work files.
pub(super) const SUM_MAX: usize = stream::STREAMS_MAX * stream::MEMORY + (64 << 20);
const SIZE_MAX: u64 = i64::MAX as u64;

/// An immutable base and what was written over it. Costs follow what was touched.
///
/// Beside the extents, bytes below `visible` are the base's and those from there to `size` are zeros.
#[derive(Debug, Default)]
pub struct Working {
    pub(super) base: Content,
    pub(super) visible: u64,
    pub(super) size: u64,
    pub(super) extents: Extents,
    file: Option<WorkFile>,
    stream: Option<Stream>,
    dirty: bool,
    fresh: Fresh,
}

impl Working {
    pub fn new(base: Content) -> Self {
        let size = base.size();
        Self {
            base,
            visible: size,
            size,
            ..Self::default()
        }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Counts the bytes that are not in holes: never fewer than there are, and more only where bytes were written, or holes
    /// punched, over a base that has holes. A seal counts them exactly.
    pub fn held(&self) -> u64 {
        let (data, zeros) = (self.extents.data(), self.extents.zeros());
        let below = self.base.held().min(self.visible.saturating_sub(zeros));
        self.size.min(below + data)
    }

    /// Says whether anything was changed since the base, or since it was last settled.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Gives the content that lies below: a sweep must count it as live while the file is open.
    pub fn base(&self) -> &Content {
        &self.base
    }

    /// Reads up to `len` bytes at `offset`, fewer at the end.
    pub fn read(&self, blobs: &Blobs, offset: u64, len: usize) -> Result<Bytes> {
        let end = self.size.min(offset.saturating_add(len as u64));
        if offset >= end {
            return Ok(Bytes::new());
        }
        if let (stop, Source::Below) = self.piece(offset, end)
            && stop == end
        {
            return blobs.read(&self.base, offset, index(end - offset));
        }
        let mut out = BytesMut::with_capacity(index(end - offset));
        let mut at = offset;
        while at < end {
            let (stop, source) = self.piece(at, end);
            let start = out.len();
            let n = index(stop - at);
            match source {
                Source::Memory(bytes) => out.extend_from_slice(bytes),
                Source::Below => out.extend_from_slice(&blobs.read(&self.base, at, n)?),
                Source::Zero => out.resize(start + n, 0),
                Source::Chunk(chunk, from) => {
                    out.extend_from_slice(&chunk.read(blobs, from, stop - at)?);
                }
                Source::Spilled => {
                    out.resize(start + n, 0);
                    self.read_spilled(at, &mut out[start..])?;
                }
            }
            at = stop;
        }
        Ok(out.freeze())
    }

    /// Writes all of `data`, or fails; a failed write of more than 1 MiB may have written the front of it.
    pub fn write(&mut self, blobs: &Blobs, offset: u64, data: &[u8]) -> Result<()> {
        checked_end(offset, data.len() as u64)?;
        self.extents.count_in(&blobs.dirty);
        self.fresh.wrote(offset, offset + data.len() as u64);
        let mut at = offset;
        for piece in data.chunks(MEMORY_MAX) {
            if self.stream.is_none() && blobs.dirty.bytes() + piece.len() > SUM_MAX {
                self.write_through(blobs, at, piece)?;
            } else {
                self.make_room(blobs, piece.len())?;
                self.extents.write(at, piece);
            }
            at += piece.len() as u64;
            self.size = self.size.max(at);
            self.dirty = true;
        }
        Ok(())
    }

    /// Sets the size; what is added is a hole.
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        checked_end(size, 0)?;
        if size != self.size {
            self.fresh.changed_otherwise();
            self.extents.clear(size, u64::MAX);
            self.visible = self.visible.min(size);
            self.size = size;
            self.dirty = true;
            self.release_file();
        }
        Ok(())
    }

    /// Turns a range into zeros and leaves the size: fallocate(2) with `PUNCH_HOLE | KEEP_SIZE`.
    pub fn punch(&mut self, offset: u64, len: u64) -> Result<()> {
        let end = self.size.min(offset.saturating_add(len));
        if offset < end {
            self.fresh.changed_otherwise();
            self.extents.clear(offset, end);
            self.extents.zero(offset, end.min(self.visible));
            self.dirty = true;
            self.release_file();
        }
        Ok(())
    }

    /// Grows the file to hold a range, as plain fallocate(2) does. Nothing is reserved.
    pub fn allocate(&mut self, offset: u64, len: u64) -> Result<()> {
        let end = checked_end(offset, len)?;
        if end > self.size {
            self.truncate(end)
        } else {
            Ok(())
        }
    }

    /// Takes over a range of another content without copying, where that can be: from its start into an empty
    /// file, or further where an earlier call ended. Gives how many bytes it took; `None` if it took none.
    pub fn adopt(&mut self, source: &Content, from: u64, at: u64, len: u64) -> Option<u64> {
        let len = len.min(source.size().checked_sub(from)?);
        if from != at || at != self.size || len == 0 {
            return None;
        }
        if at == 0 {
            self.base = source.clone();
        } else if self.base != *source || self.visible != at {
            return None;
        }
        self.fresh.changed_otherwise();
        self.visible = at + len;
        self.size = at + len;
        self.dirty = true;
        Some(len)
    }

    /// Gives what was written since [`Working::hardened`], `most` bytes of it at most; `None` when it is more, or when
    /// something else than writing happened: then only a seal has it all.
    pub fn fresh(&self, blobs: &Blobs, most: u64) -> Result<Option<Vec<(u64, Bytes)>>> {
        let Some(ranges) = self.fresh.ranges(most) else {
            return Ok(None);
        };
        let read =
            |(start, end): (u64, u64)| Ok((start, self.read(blobs, start, index(end - start))?));
        ranges.map(read).collect::<Result<_>>().map(Some)
    }

    /// Says that this is to take the place of another content, whatever that was.
    pub fn replaces(&mut self) {
        self.fresh.changed_otherwise();
    }

    /// Says that what [`Working::fresh`] gave is durable now.
    pub fn hardened(&mut self) {
        self.fresh = Fresh::default();
    }

    /// Finds the first byte at or after `offset` that is not in a hole; `None` if there is none (ENXIO).
    pub fn seek_data(&self, blobs: &Blobs, offset: u64) -> Result<Option<u64>> {
        let mut at = offset;
        while at < self.size {
            let (stop, source) = self.piece(at, self.size);
            match source {
                Source::Memory(_) | Source::Spilled | Source::Chunk(..) => return Ok(Some(at)),
                Source::Zero => at = stop,
                Source::Below => {
                    let leaf = blobs.leaf_at(&self.base, at)?;
                    if leaf.slice.is_some() {
                        return Ok(Some(at));
                    }
                    at = stop.min(leaf.end());
                }
            }
        }
        Ok(None)
    }

    /// Finds the first hole at or after `offset`; the end of the file counts as one.
    pub fn seek_hole(&self, blobs: &Blobs, offset: u64) -> Result<u64> {
        if offset >= self.size {
            return fail(
                Kind::Range,
                format!("offset {offset} is past the end of the file"),
            );
        }
        let mut at = offset;
        while at < self.size {
            let (stop, source) = self.piece(at, self.size);
            match source {
                Source::Memory(_) | Source::Spilled | Source::Chunk(..) => at = stop,
                Source::Zero => return Ok(at),
                Source::Below => {
                    let leaf = blobs.leaf_at(&self.base, at)?;
                    if leaf.slice.is_none() {
                        return Ok(at);
                    }
                    at = stop.min(leaf.end());
                }
            }
        }
        Ok(self.size)
    }

    /// Hashes and stores what was touched. The file stays as it is until [`Working::settle`].
    pub fn seal(&mut self, blobs: &Blobs) -> Result<Sealed> {
        self.end_stream();
        let mut sealer = Sealer::new(blobs);
        let content = self.content(&mut sealer)?;
        Ok(sealer.finish(content))
    }

    /// Makes the sealed content, whose transaction has committed, the new base.
    pub fn settle(&mut self, content: Content) {
        *self = Self::new(content);
    }

    /// Gives the piece that begins at `at`, which ends at `limit` at the latest.
    pub(super) fn piece(&self, at: u64, limit: u64) -> (u64, Source<'_>) {
        match self.extents.piece(at, limit) {
            (stop, Source::Below) if at >= self.visible => (stop, Source::Zero),
            (stop, Source::Below) => (stop.min(self.visible), Source::Below),
            written => written,
        }
    }

    pub(super) fn read_spilled(&self, at: u64, out: &mut [u8]) -> Result<()> {
        match &self.file {
            Some(work) => Ok(work.file()?.read_exact_at(out, at)?),
            None => fail(Kind::Io, "the work file is gone"),
        }
    }

    /// Brings what is in memory elsewhere when `more` bytes would be too many: as chunks to the store when the file is written
    /// from front to back, else to a work file.
    fn make_room(&mut self, blobs: &Blobs, more: usize) -> Result<()> {
        let memory = self.extents.memory() + more;
        if memory <= MEMORY_MAX {
            return Ok(());
        }
        if !self.streams(blobs) {
            self.end_stream();
            return self.spill(blobs);
        }
        if memory <= stream::MEMORY {
            return Ok(());
        }
        self.send(blobs)
    }

    /// Whether all that is in memory goes on where the stream is, or begins one where the base ends.
    fn streams(&mut self, blobs: &Blobs) -> bool {
        let Some((start, len)) = self.extents.only_memory() else {
            return false;
        };
        if start + len as u64 != self.size {
            return false;
        }
        if let Some(stream) = &self.stream {
            return stream.end == start;
        }
        if start == self.visible {
            self.stream = Stream::begin(blobs, start);
        }
        self.stream.is_some()
    }

    fn send(&mut self, blobs: &Blobs) -> Result<()> {
        let (Some(stream), Some((start, _))) = (&mut self.stream, self.extents.only_memory())
        else {
            return Ok(());
        };
        let bytes = Bytes::from(self.extents.take_memory(start));
        let mut sent = Vec::new();
        let outcome = stream.send(blobs, bytes.clone(), &mut sent);
        self.extents.put_chunks(start, sent);
        let rest = &bytes[index(stream.end - start)..];
        if !rest.is_empty() {
            self.extents.write(stream.end, rest);
        }
        outcome
    }

    /// Waits for the chunks on their way; the next ones go to a work file, or begin a stream.
    pub(super) fn end_stream(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.finish();
        }
    }

    fn spill(&mut self, blobs: &Blobs) -> Result<()> {
        self.with_file(blobs, Extents::spill)
    }

    fn write_through(&mut self, blobs: &Blobs, at: u64, data: &[u8]) -> Result<()> {
        self.with_file(blobs, |extents, file| {
            extents.spill(file)?;
            extents.write_spilled(file, at, data)
        })
    }

    fn with_file(
        &mut self,
        blobs: &Blobs,
        write: impl FnOnce(&mut Extents, &File) -> Result<()>,
    ) -> Result<()> {
        let work = match self.file.take() {
            Some(work) => work,
            None => blobs.pool.lend()?,
        };
        let written = work.file().and_then(|file| write(&mut self.extents, &file));
        self.file = Some(work);
        written.map_err(|e| e.context("cannot write to the work file"))
    }

    fn release_file(&mut self) {
        if self.extents.is_empty() {
            self.file = None;
        }
    }
}

/// Gives the end of a range, refusing what no file can hold.
fn checked_end(offset: u64, len: u64) -> Result<u64> {
    let end = offset.checked_add(len).filter(|end| *end <= SIZE_MAX);
    end.ok_or_else(|| {
        Error::new(
            Kind::TooLarge,
            format!("{len} bytes at {offset} are past {SIZE_MAX}"),
        )
    })
}
