//! Reading: bytes of files, targets of links.

use super::engine::Engine;
use super::handle::Source;
use super::open_file::OpenFile;
use super::view::{self, Item};
use crate::core::{Caller, HandleId, Ino, Kind, Result, error::fail};
use crate::meta::{FileKind, Node};
use bytes::Bytes;

impl Engine {
    /// Reads up to `len` bytes; fewer only at the end of the file. The handle carries the permission; fails with `Denied` when
    /// who opened it was deleted since.
    pub fn read(&self, id: HandleId, offset: u64, len: usize) -> Result<Bytes> {
        let handle = self.files.handle(id)?;
        self.holds_open(&handle)?;
        self.read_source(handle.readable()?, offset, len)
    }

    pub(super) fn read_source(&self, source: &Source, offset: u64, len: usize) -> Result<Bytes> {
        match source {
            Source::Computed(bytes) => {
                let from = usize::try_from(offset).map_or(bytes.len(), |o| o.min(bytes.len()));
                Ok(bytes.slice(from..bytes.len().min(from.saturating_add(len))))
            }
            Source::Stored(held) => self.read_file(&held.file, offset, len),
            Source::Kept(node) => self.read_kept(node, offset, len),
            Source::Feed(_) => fail(
                Kind::Unsupported,
                "what grows by itself is read by somebody",
            ),
        }
    }

    /// A clean file is read without its lock; the working copy of a dirty one is what everybody sees.
    pub(super) fn read_file(&self, file: &OpenFile, offset: u64, len: usize) -> Result<Bytes> {
        if file.is_dirty() {
            return file.state.lock().working.read(&self.blobs, offset, len);
        }
        let mut node = self.node(file.ino)?;
        loop {
            match self.blobs.read(&node.content, offset, len) {
                Ok(bytes) => {
                    self.accessed(&node);
                    return Ok(bytes);
                }
                Err(e) => {
                    let now = self.node(file.ino)?;
                    if now.content == node.content {
                        return Err(self.locate_damage(e, file.ino));
                    }
                    // What it was has been replaced meanwhile, forgotten and swept.
                    node = now;
                }
            }
        }
    }

    /// Bytes of a node that cannot change any more.
    fn read_kept(&self, node: &Node, offset: u64, len: usize) -> Result<Bytes> {
        let bytes = self.blobs.read(&node.content, offset, len);
        bytes.map_err(|e| self.locate_damage(e, node.ino))
    }

    /// Names the file whose bytes are damaged, in the log and in the message.
    fn locate_damage(&self, e: crate::core::Error, ino: Ino) -> crate::core::Error {
        let path = self
            .path_of(ino)
            .map_or_else(|_| format!("node {ino}"), |p| p.to_string());
        let e = e.context(path);
        tracing::error!("{}", e.chain());
        e
    }

    /// Where a symbolic link points.
    pub fn readlink(&self, caller: &Caller, ino: Ino) -> Result<Bytes> {
        if view::is_view(ino) {
            return match self.views.item(caller, ino)? {
                Item::Link(target) => Ok(target.into()),
                Item::Stored(node) => self.target(&node),
                Item::Directory(_) | Item::File(_) | Item::Feed(_) => {
                    fail(Kind::Invalid, "not a symbolic link")
                }
            };
        }
        self.target(&*self.getattr(caller, ino)?)
    }

    fn target(&self, node: &Node) -> Result<Bytes> {
        if node.kind != FileKind::Symlink {
            return fail(Kind::Invalid, "not a symbolic link");
        }
        self.blobs.read(
            &node.content,
            0,
            usize::try_from(node.size).unwrap_or(usize::MAX),
        )
    }
}
