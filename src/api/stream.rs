//! File bytes, in pieces: beside the table of commands, through the same engine calls.

use super::context::Context;
use super::files::make_all;
use crate::blob::Working;
use crate::core::{Caller, FsPath, HandleId, Ino, Kind, Result};
use crate::fs::{Access, Engine, OpenFlags};
use crate::history;
use crate::meta::Node;
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
        Self::of_node(engine, caller, &node).map_err(|e| e.context(path))
    }

    /// The same of a file that was found.
    pub fn of_node(engine: &Arc<Engine>, caller: &Caller, node: &Node) -> Result<Self> {
        let id = engine.open(caller, node.ino, OpenFlags::new(Access::Read))?;
        Ok(Self::of(engine, caller, id, node.size))
    }

    /// Opens one version of a file (see [`history::versions`]) for reading from its start.
    pub fn open_version(
        engine: &Arc<Engine>,
        caller: &Caller,
        path: &FsPath,
        number: u64,
    ) -> Result<Self> {
        let version = history::version(engine, caller, path, number)?;
        let id = engine.open_at(caller, version.at, version.node.ino);
        let id = id.map_err(|e| e.context(path))?;
        Ok(Self::of(engine, caller, id, version.node.size))
    }

    fn of(engine: &Arc<Engine>, caller: &Caller, id: HandleId, size: u64) -> Self {
        Self {
            engine: engine.clone(),
            caller: caller.clone(),
            id,
            size,
            at: 0,
            end: size,
        }
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
        let closed = self.engine.release(&self.caller, self.id);
        if let Err(e) = closed.and_then(|()| self.engine.write_bypasses()) {
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

/// An upload. The file and the directories above it are touched by [`Writing::finish`] alone, so one that breaks off leaves no
/// trace.
pub struct Writing {
    engine: Arc<Engine>,
    caller: Caller,
    path: FsPath,
    onto: Onto,
    /// Whether missing directories above it are made.
    parents: bool,
    staged: Working,
}

impl Writing {
    /// Begins an upload, and refuses at once what would be refused at its end.
    pub fn open(cx: &Context<'_>, path: &FsPath, onto: Onto, parents: bool) -> Result<Self> {
        let (engine, caller) = (cx.engine().clone(), cx.caller.clone());
        may_write(&engine, &caller, path, parents).map_err(|e| e.context(path))?;
        Ok(Self {
            engine,
            caller,
            path: path.clone(),
            onto,
            parents,
            staged: Working::default(),
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.staged.size();
        self.staged.write(self.engine.blobs(), end, bytes)
    }

    /// Puts the bytes in place, as one version, and waits until it would survive a power cut.
    pub fn finish(self) -> Result<Written> {
        let (engine, caller) = (&self.engine, &self.caller);
        if let (true, Some((dir, _))) = (self.parents, self.path.split()) {
            make_all(engine, caller, &dir)?;
        }
        let flags = OpenFlags {
            append: self.onto == Onto::Append,
            ..OpenFlags::new(Access::Write)
        };
        let (ino, id) =
            open_or_create(engine, caller, &self.path, flags).map_err(|e| e.context(&self.path))?;
        let done = match self.onto {
            Onto::Replace => engine.put(caller, id, self.staged),
            Onto::Append => append(engine, caller, id, &self.staged),
        };
        let done = done
            .and_then(|()| engine.flush(caller, id))
            .and_then(|()| engine.fsync(caller, id));
        let node = engine.getattr(caller, ino);
        engine.release(caller, id)?;
        done?;
        let node = node?;
        Ok(Written {
            size: node.size,
            version: node.version,
        })
    }
}

fn may_write(engine: &Engine, caller: &Caller, path: &FsPath, parents: bool) -> Result<()> {
    match engine.resolve(caller, path) {
        Ok(node) => {
            let id = engine.open(caller, node.ino, OpenFlags::new(Access::Write))?;
            engine.release(caller, id)
        }
        Err(e) if e.kind() == Kind::NotFound => {
            let dir = match engine.resolve_parent(caller, path) {
                Err(e) if e.kind() == Kind::NotFound && parents => nearest(engine, caller, path)?,
                found => found?.0,
            };
            engine.access_new(caller, dir)
        }
        Err(e) => Err(e),
    }
}

/// The directory that is there in which the first of those that are missing above a path would be made.
fn nearest(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<Ino> {
    let mut above = path.split().map(|(dir, _)| dir);
    while let Some(dir) = above {
        match engine.resolve(caller, &dir) {
            Err(e) if e.kind() == Kind::NotFound => above = dir.split().map(|(dir, _)| dir),
            found => return Ok(found?.ino),
        }
    }
    engine.root(caller)
}

fn open_or_create(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
    flags: OpenFlags,
) -> Result<(Ino, HandleId)> {
    match engine.resolve(caller, path) {
        Ok(node) => Ok((node.ino, engine.open(caller, node.ino, flags)?)),
        Err(e) if e.kind() == Kind::NotFound => {
            let (dir, name) = engine.resolve_parent(caller, path)?;
            let (node, id) = engine.create(caller, dir, name, 0o666, flags)?;
            Ok((node.ino, id))
        }
        Err(e) => Err(e),
    }
}

fn append(engine: &Engine, caller: &Caller, id: HandleId, staged: &Working) -> Result<()> {
    let mut at = 0;
    while at < staged.size() {
        let piece = staged.read(engine.blobs(), at, PIECE)?;
        at += piece.len() as u64;
        engine.write(caller, id, 0, &piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Config, TenantId};
    use crate::nexus::Nexus;

    fn upload(nexus: &Nexus, onto: Onto, bytes: &[u8]) -> Writing {
        let writing = begin(nexus, ("/workspace/f", onto), false);
        let mut writing = writing.unwrap();
        writing.write(bytes).unwrap();
        writing
    }

    fn begin(nexus: &Nexus, (path, onto): (&str, Onto), parents: bool) -> Result<Writing> {
        let caller = Caller::engine(TenantId(1));
        let cx = Context {
            nexus,
            caller: &caller,
            tell: &mut |_| true,
        };
        Writing::open(&cx, &FsPath::parse(path.as_bytes()).unwrap(), onto, parents)
    }

    fn held(nexus: &Nexus) -> Option<Vec<u8>> {
        let path = FsPath::parse(b"/workspace/f").unwrap();
        let mut reading = Reading::open(&nexus.engine, &Caller::engine(TenantId(1)), &path).ok()?;
        let mut all = Vec::new();
        while let Some(piece) = reading.piece().unwrap() {
            all.extend_from_slice(&piece);
        }
        Some(all)
    }

    #[test]
    fn an_upload_that_breaks_off_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path())).unwrap();
        let long = vec![7; 3 << 20];
        drop(upload(&nexus, Onto::Replace, &long));
        assert_eq!(held(&nexus), None);
        assert_eq!(
            upload(&nexus, Onto::Replace, b"whole")
                .finish()
                .unwrap()
                .version,
            1
        );
        drop(upload(&nexus, Onto::Replace, &long));
        drop(upload(&nexus, Onto::Append, &long));
        assert_eq!(held(&nexus).unwrap(), b"whole");
        assert_eq!(
            upload(&nexus, Onto::Append, b" and more")
                .finish()
                .unwrap()
                .version,
            2
        );
        assert_eq!(held(&nexus).unwrap(), b"whole and more");
        upload(&nexus, Onto::Replace, &long).finish().unwrap();
        assert_eq!(held(&nexus).unwrap(), long);
        upload(&nexus, Onto::Replace, b"").finish().unwrap();
        assert_eq!(held(&nexus).unwrap(), b"");
    }

    #[test]
    fn directories_above_an_upload_are_made_with_it_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path())).unwrap();
        let (engine, who) = (&nexus.engine, Caller::engine(TenantId(1)));
        let is_there = |at: &[u8]| engine.resolve(&who, &FsPath::parse(at).unwrap()).is_ok();
        let long = ("/workspace/a/b/f", Onto::Replace);
        let kind = |refused: Result<Writing>| refused.err().unwrap().kind();
        assert_eq!(kind(begin(&nexus, long, false)), Kind::NotFound);
        let mut broken = begin(&nexus, long, true).unwrap();
        broken.write(b"half").unwrap();
        drop(broken);
        assert!(!is_there(b"/workspace/a"));
        let mut whole = begin(&nexus, long, true).unwrap();
        whole.write(b"whole").unwrap();
        whole.finish().unwrap();
        assert!(is_there(b"/workspace/a/b/f"));
        // What would be refused at its end is refused at once.
        let below = ("/workspace/a/b/f/g/h", Onto::Replace);
        assert_eq!(kind(begin(&nexus, below, true)), Kind::NotDirectory);
        let closed = ("/archives/a/f", Onto::Replace);
        assert_eq!(kind(begin(&nexus, closed, true)), Kind::ReadOnly);
    }
}
