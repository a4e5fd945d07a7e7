//! Ranges of open files: copy_file_range, fallocate, lseek.

use super::engine::Engine;
use super::handle::{Handle, Source};
use super::open_file::OpenFile;
use crate::blob::{Content, Working};
use crate::core::{Caller, Error, HandleId, Kind, Result, error::fail};
use std::sync::Arc;

/// How much is copied at a time where bytes have to be copied.
const COPY_STEP: u64 = 1 << 20;

/// What fallocate(2) is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// Make sure there is room; grow the file when the range ends behind it.
    Reserve,
    /// The same without growing.
    ReserveKeepSize,
    /// Give the range back; it reads as zeros (FALLOC_FL_PUNCH_HOLE).
    Punch,
    /// Make the range zeros, growing the file (FALLOC_FL_ZERO_RANGE).
    Zero,
    ZeroKeepSize,
}

impl Engine {
    /// Copies a range between open files: shares the bytes where it can, which costs the same for any length.
    pub fn copy_range(
        &self,
        caller: &Caller,
        from: (HandleId, u64),
        to: (HandleId, u64),
        len: u64,
    ) -> Result<u64> {
        let source = self.files.handle(from.0)?;
        let target = self.files.handle(to.0)?;
        self.holds_open(&source)?;
        self.holds_open(&target)?;
        let caller = target.hand(caller);
        let target = target.writable()?;
        if let Some(content) = self.content_of(&source, target)? {
            let end = content.size().min(from.1.saturating_add(len));
            let wanted = end.saturating_sub(from.1);
            if wanted == 0 {
                return Ok(0);
            }
            let shared = self.modify(caller, target, |w| {
                let _borrowing = self.borrowing.read();
                // Looked at again, through a handle that is open still: the one from before may have been swept meanwhile.
                let source = self.files.handle(from.0)?;
                let content = self.content_of(&source, target)?;
                Ok(content.and_then(|c| w.working.adopt(&c, from.1, to.1, wanted)))
            })?;
            if let Some(taken) = shared {
                return Ok(taken);
            }
        }
        self.copy_bytes(caller, from, (target, to.1), len)
    }

    /// The content that a handle shows, where it is not the target's own nor being written.
    fn content_of(&self, source: &Handle, target: &Arc<OpenFile>) -> Result<Option<Content>> {
        Ok(match source.readable()? {
            Source::Computed(_) | Source::Feed(_) => {
                return fail(Kind::Unsupported, "a computed file is copied by reading it");
            }
            Source::Stored(held) if Arc::ptr_eq(&held.file, target) || held.file.is_dirty() => None,
            Source::Stored(held) => Some(self.node(held.file.ino)?.content.clone()),
            Source::Kept(node) => Some(node.content.clone()),
        })
    }

    fn copy_bytes(
        &self,
        caller: &Caller,
        from: (HandleId, u64),
        to: (&Arc<OpenFile>, u64),
        len: u64,
    ) -> Result<u64> {
        let mut done = 0;
        while done < len {
            let hole = self.hole_at(from.0, from.1 + done)?.min(len - done);
            if hole > 0 {
                self.modify(caller, to.0, |w| zero(&mut w.working, to.1 + done, hole))?;
                done += hole;
                continue;
            }
            let step = usize::try_from((len - done).min(COPY_STEP)).unwrap_or(0);
            let bytes = self.read(from.0, from.1 + done, step)?;
            if bytes.is_empty() {
                break;
            }
            self.modify(caller, to.0, |w| {
                w.working.write(&self.blobs, to.1 + done, &bytes)
            })?;
            done += bytes.len() as u64;
        }
        Ok(done)
    }

    /// How many bytes of a hole follow at an offset.
    fn hole_at(&self, id: HandleId, offset: u64) -> Result<u64> {
        self.with_bytes(id, |bytes| {
            let data = bytes.seek_data(&self.blobs, offset)?;
            Ok(data.unwrap_or(bytes.size()).saturating_sub(offset))
        })
    }

    /// fallocate(2) on an open file.
    pub fn allocate(
        &self,
        caller: &Caller,
        id: HandleId,
        offset: u64,
        len: u64,
        what: Allocate,
    ) -> Result<()> {
        let end = offset
            .checked_add(len)
            .filter(|e| i64::try_from(*e).is_ok());
        if end.is_none() {
            return fail(Kind::TooLarge, "range ends beyond the largest file");
        }
        if matches!(what, Allocate::Reserve | Allocate::ReserveKeepSize)
            && len > self.statfs()?.available
        {
            return fail(Kind::NoSpace, "the store has less room than was asked for");
        }
        self.with_writable(caller, id, |w| {
            match what {
                Allocate::ReserveKeepSize => {}
                Allocate::Reserve => w.working.allocate(offset, len)?,
                Allocate::Punch | Allocate::ZeroKeepSize => w.working.punch(offset, len)?,
                Allocate::Zero => zero(&mut w.working, offset, len)?,
            }
            Ok(())
        })
    }

    /// The next byte at or after `offset` that is data (lseek(2), SEEK_DATA); `Range` when there is none.
    pub fn seek_data(&self, id: HandleId, offset: u64) -> Result<u64> {
        let found = self.with_bytes(id, |bytes| bytes.seek_data(&self.blobs, offset))?;
        found.ok_or_else(|| Error::new(Kind::Range, "no data behind this offset"))
    }

    /// The next hole at or after `offset` (SEEK_HOLE); the end of a file counts as one.
    pub fn seek_hole(&self, id: HandleId, offset: u64) -> Result<u64> {
        self.with_bytes(id, |bytes| bytes.seek_hole(&self.blobs, offset))
    }

    fn with_bytes<T>(&self, id: HandleId, f: impl FnOnce(&Working) -> Result<T>) -> Result<T> {
        let handle: Arc<Handle> = self.files.handle(id)?;
        match &handle.source {
            Source::Stored(held) => f(&held.file.state.lock().working),
            Source::Kept(node) => f(&Working::new(node.content.clone())),
            Source::Computed(_) | Source::Feed(_) => {
                fail(Kind::Unsupported, "a computed file has no holes")
            }
        }
    }
}

/// Makes a range a hole, growing the file.
fn zero(working: &mut Working, offset: u64, len: u64) -> Result<()> {
    working.punch(offset, len)?;
    let end = offset.saturating_add(len);
    if end > working.size() {
        working.truncate(end)?;
    }
    Ok(())
}
