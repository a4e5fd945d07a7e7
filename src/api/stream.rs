//! File bytes, in pieces: beside the table of commands, through the same engine calls.

use super::context::Context;
use super::files::make_all;
use crate::core::{Caller, FsPath, HandleId, Ino, Kind, Result};
use crate::fs::{Access, Engine, OpenFlags};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many bytes are moved at a time.
pub const PIECE: usize = 1 << 20;

/// A file that is being read.
pub struct Reading {
    engine: Arc<Engine>,
    caller: Caller,
    id: HandleId,
    /// The size of the whole file when it was opened.
    pub size: u64,
    at: u64,
    end: u64,
}

impl Reading {
    /// Opens a file for reading from its start.
    pub fn open(engine: &Arc<Engine>, caller: &Caller, path: &FsPath) -> Result<Self> {
        let node = engine.resolve(caller, path)?;
        let id = engine.open(caller, node.ino, OpenFlags::new(Access::Read));
        let id = id.map_err(|e| e.context(path))?;
        let (engine, caller) = (engine.clone(), caller.clone());
        Ok(Self {
            engine,
            caller,
            id,
            size: node.size,
            at: 0,
            end: node.size,
        })
    }

    /// Narrows what is read; a range that reaches behind the end is cut there.
    #[must_use]
    pub fn range(mut self, offset: u64, length: Option<u64>) -> Self {
        self.at = offset.min(self.size);
        self.end = length.map_or(self.size, |l| self.at.saturating_add(l).min(self.size));
        self
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Reads on; `None` at the end. A file that was cut meanwhile ends early.
    pub fn piece(&mut self) -> Result<Option<Bytes>> {
        let len = usize::try_from(self.left()).map_or(PIECE, |l| l.min(PIECE));
        if len == 0 {
            return Ok(None);
        }
        let bytes = self.engine.read(self.id, self.at, len)?;
        self.at += bytes.len() as u64;
        Ok(Some(bytes).filter(|b| !b.is_empty()))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Err(e) = self.engine.release(&self.caller, self.id) {
            tracing::warn!("a file that was read did not close: {}", e.chain());
        }
    }
}

/// What happens to what a file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    Replace,
    Append,
}

/// The reply to a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub size: u64,
    pub version: u64,
}

/// A file that is being written.
pub struct Writing {
    engine: Arc<Engine>,
    caller: Caller,
    id: HandleId,
    ino: Ino,
    at: u64,
    open: bool,
}

impl Writing {
    /// Opens a file for writing, making it when there is none.
    pub fn open(cx: &Context<'_>, path: &FsPath, onto: Onto, parents: bool) -> Result<Self> {
        let flags = OpenFlags {
            append: onto == Onto::Append,
            truncate: onto == Onto::Replace,
            ..OpenFlags::new(Access::Write)
        };
        if let (true, Some((dir, _))) = (parents, path.split()) {
            make_all(cx, &dir)?;
        }
        let (ino, id) = open_or_create(cx, path, flags).map_err(|e| e.context(path))?;
        let (engine, caller) = (cx.engine().clone(), cx.caller.clone());
        Ok(Self {
            engine,
            caller,
            id,
            ino,
            at: 0,
            open: true,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += self.engine.write(&self.caller, self.id, self.at, bytes)? as u64;
        Ok(())
    }

    /// Makes a version of what was written and waits until it would survive a power cut.
    pub fn finish(mut self) -> Result<Written> {
        self.engine.fsync(&self.caller, self.id)?;
        let node = self.engine.getattr(&self.caller, self.ino)?;
        self.open = false;
        self.engine.release(&self.caller, self.id)?;
        Ok(Written {
            size: node.size,
            version: node.version,
        })
    }
}

fn open_or_create(cx: &Context<'_>, path: &FsPath, flags: OpenFlags) -> Result<(Ino, HandleId)> {
    let engine = cx.engine();
    match engine.resolve(cx.caller, path) {
        Ok(node) => Ok((node.ino, engine.open(cx.caller, node.ino, flags)?)),
        Err(e) if e.kind() == Kind::NotFound => {
            let (dir, name) = engine.resolve_parent(cx.caller, path)?;
            let (node, id) = engine.create(cx.caller, dir, name, 0o666, flags)?;
            Ok((node.ino, id))
        }
        Err(e) => Err(e),
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if let Err(e) = self.engine.release(&self.caller, self.id) {
            tracing::warn!(
                "a file that was written in part did not close: {}",
                e.chain()
            );
        }
    }
}
