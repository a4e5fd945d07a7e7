//! Open files: handles, of which all of a node share one working copy.

use super::attr::{SetAttr, SetTime};
use super::dir::DirHandle;
use super::draft::Unsealed;
use super::engine::Engine;
use super::feed::Feed;
use super::open_file::OpenFile;
use super::opener::Opener;
use super::transient::Transient;
use super::view;
use crate::access::Right;
use crate::blob::Content;
use crate::core::{
    Caller, Error, HandleId, Ino, Kind, MountId, Result, TenantId, Time, error::fail,
};
use crate::meta::{FileKind, Node, OpKind};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an open file may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    ReadWrite,
    /// Read by the kernel to run it (execve(2)): takes execute permission.
    Execute,
}

impl Access {
    fn reads(self) -> bool {
        self != Self::Write
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// How a file is opened (open(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFlags {
    pub access: Access,
    pub append: bool,
    pub truncate: bool,
    pub exclusive: bool,
}

impl OpenFlags {
    pub fn new(access: Access) -> Self {
        Self {
            access,
            append: false,
            truncate: false,
            exclusive: false,
        }
    }
}

/// Counts the handles of each open node.
struct Registry {
    open: Mutex<HashMap<Ino, (Arc<OpenFile>, usize)>>,
    transient: Arc<Transient>,
}

/// A claim on an open node: while it lives, the node does, even without a name.
pub(super) struct Held {
    pub file: Arc<OpenFile>,
    registry: Arc<Registry>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.registry.open.lock();
        let ino = self.file.ino;
        if let Some((_, count)) = open.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                open.remove(&ino);
                self.registry.transient.closed(ino);
            }
        }
    }
}

/// One open file as its opener knows it.
pub(super) struct Handle {
    pub source: Source,
    pub flags: OpenFlags,
    /// The mount that it was opened through.
    pub mount: Option<MountId>,
    pub opener: Opener,
    /// The same, if it may be written: no kernel says for whom it writes a page of a memory map back.
    pub writer: Option<Caller>,
}

pub(super) enum Source {
    Stored(Held),
    Computed(Bytes),
    /// What cannot change any more: a node of the past.
    Kept(Arc<Node>),
    Feed(Arc<dyn Feed>),
}

/// Every handle of an engine.
pub(super) struct Files {
    registry: Arc<Registry>,
    pub(super) handles: RwLock<HashMap<HandleId, Arc<Handle>>>,
    pub(super) dirs: RwLock<HashMap<HandleId, Arc<DirHandle>>>,
    /// Closed files with synced bytes that could not become a version yet.
    pub(super) unsealed: Mutex<Unsealed>,
    next: AtomicU64,
}

impl Files {
    pub(super) fn new(transient: Arc<Transient>) -> Self {
        Self {
            registry: Arc::new(Registry {
                open: Mutex::default(),
                transient,
            }),
            handles: RwLock::default(),
            dirs: RwLock::default(),
            unsealed: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    pub(super) fn next(&self) -> HandleId {
        HandleId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Claims a node. Taken together with reading it, so that an unlink in between either sees the claim or is seen.
    pub(super) fn hold(&self, engine: &Engine, ino: Ino) -> Result<Held> {
        let mut open = self.registry.open.lock();
        let file = if let Some((file, count)) = open.get_mut(&ino) {
            *count += 1;
            file.clone()
        } else {
            let node = engine.node(ino)?;
            engine.home(node.tenant)?;
            let file = Arc::new(OpenFile::new(&node));
            open.insert(ino, (file.clone(), 1));
            file
        };
        Ok(Held {
            file,
            registry: self.registry.clone(),
        })
    }

    /// Runs `f` while no node is opened or closed; `f` gets to know which are open.
    pub(super) fn guarded<T>(&self, f: impl FnOnce(&dyn Fn(Ino) -> bool) -> T) -> T {
        let open = self.registry.open.lock();
        f(&|ino| open.contains_key(&ino))
    }

    pub(super) fn find(&self, ino: Ino) -> Option<Arc<OpenFile>> {
        self.registry.open.lock().get(&ino).map(|(f, _)| f.clone())
    }

    fn all(&self) -> Vec<Arc<OpenFile>> {
        self.registry
            .open
            .lock()
            .values()
            .map(|(f, _)| f.clone())
            .collect()
    }

    /// Whether bytes of an open file are durable, and in no version yet.
    pub(super) fn is_drafted(&self, ino: Ino) -> bool {
        self.find(ino).is_some_and(|f| f.drafted() > 0)
    }

    /// Size, bytes not in holes and mtime of a file that has unsealed writes.
    pub(super) fn pending(&self, ino: Ino) -> Option<(u64, u64, Time)> {
        let file = self.find(ino)?;
        let (size, held) = (&file.size, &file.held);
        file.is_dirty().then(|| {
            (
                size.load(Ordering::Acquire),
                held.load(Ordering::Acquire),
                file.mtime(),
            )
        })
    }

    /// utimensat(2) on a file being written: the pending version carries that time.
    pub(super) fn set_times(&self, ino: Ino, set: &SetAttr, now: Time) {
        let at = match set.mtime {
            Some(SetTime::At(t)) => t,
            Some(SetTime::Now) => now,
            None => return,
        };
        if let Some(file) = self.find(ino) {
            file.mtime.store(at.0, Ordering::Release);
        }
    }

    /// Takes over what a file was made from outside: who has it open goes on from that.
    pub(super) fn refresh(&self, node: &Node) {
        let Some(file) = self.find(node.ino) else {
            return;
        };
        let mut writing = file.state.lock();
        if !file.is_dirty() {
            file.go_on_from(node, &mut writing);
        }
    }

    pub(super) fn handle(&self, id: HandleId) -> Result<Arc<Handle>> {
        let found = self.handles.read().get(&id).cloned();
        found.ok_or_else(|| Error::new(Kind::BadHandle, format!("no open file {}", id.0)))
    }

    pub(super) fn insert(&self, handle: Handle) -> HandleId {
        let id = self.next();
        if let Ok(file) = handle.writable() {
            file.writers.fetch_add(1, Ordering::AcqRel);
        }
        self.handles.write().insert(id, Arc::new(handle));
        id
    }

    /// Takes back a handle that nobody has got to know.
    pub(super) fn drop_handle(&self, id: HandleId) {
        self.handles.write().remove(&id);
    }

    /// The contents below working copies, and those of the past that are open: no sweep takes them.
    pub(super) fn contents(&self) -> Vec<Content> {
        let kept = |handle: &Arc<Handle>| match &handle.source {
            Source::Kept(node) => Some(node.content.clone()),
            Source::Stored(_) | Source::Computed(_) | Source::Feed(_) => None,
        };
        let mut all: Vec<_> = self.handles.read().values().filter_map(kept).collect();
        for file in self.all() {
            all.push(file.state.lock().working.base().clone());
        }
        all
    }

    /// Whether a file or directory of a tenant is open, in the present or the past.
    pub(super) fn has_open(&self, engine: &Engine, of: TenantId) -> bool {
        let is_kept = |handle: &Arc<Handle>| matches!(&handle.source, Source::Kept(node) if node.tenant == of);
        let is_its = |ino: &Ino| engine.node(*ino).is_ok_and(|node| node.tenant == of);
        self.handles.read().values().any(is_kept) || self.registry.open.lock().keys().any(is_its)
    }

    /// How many files and directories are open.
    pub(super) fn count(&self) -> usize {
        self.handles.read().len() + self.dirs.read().len()
    }
}

impl Handle {
    /// The stored file behind the handle, if it may be written.
    pub(super) fn writable(&self) -> Result<&Arc<OpenFile>> {
        match &self.source {
            Source::Stored(held) if self.flags.access.writes() => Ok(&held.file),
            _ => fail(Kind::BadHandle, "the file is not open for writing"),
        }
    }

    pub(super) fn readable(&self) -> Result<&Source> {
        if self.flags.access.reads() {
            return Ok(&self.source);
        }
        fail(Kind::BadHandle, "the file is not open for reading")
    }
}

impl Engine {
    /// Opens a file (open(2)); permission is asked here and holds for the handle's life.
    pub fn open(&self, caller: &Caller, ino: Ino, flags: OpenFlags) -> Result<HandleId> {
        if view::is_view(ino) {
            return self.open_view(caller, ino, flags);
        }
        let node = self.getattr(caller, ino)?;
        match node.kind {
            FileKind::Directory => {
                return fail(Kind::IsDirectory, "a directory is opened with opendir");
            }
            FileKind::Symlink => {
                return fail(Kind::SymlinkLoop, "a symbolic link cannot be opened itself");
            }
            _ => {}
        }
        self.may_open(caller, &node, flags)?;
        let held = self.files.hold(self, ino)?;
        if flags.truncate {
            self.seal_before_cut(caller, &held, 0)?;
            self.modify(caller, &held, |w| w.working.truncate(0))?;
        }
        Ok(self.files.insert(Handle {
            source: Source::Stored(held),
            flags,
            mount: caller.mount,
            opener: Opener::of(caller),
            writer: flags.access.writes().then(|| caller.clone()),
        }))
    }

    /// The handle that create(2) gives: its access was granted with the creation.
    pub(super) fn open_created(
        &self,
        caller: &Caller,
        ino: Ino,
        flags: OpenFlags,
    ) -> Result<HandleId> {
        let held = self.files.hold(self, ino)?;
        Ok(self.files.insert(Handle {
            source: Source::Stored(held),
            flags,
            mount: caller.mount,
            opener: Opener::of(caller),
            writer: flags.access.writes().then(|| caller.clone()),
        }))
    }

    fn may_open(&self, caller: &Caller, node: &Node, flags: OpenFlags) -> Result<()> {
        self.may_reach(caller, node)?;
        match flags.access {
            Access::Execute => self.may(caller, node, Right::Execute)?,
            Access::Read | Access::ReadWrite => self.may(caller, node, Right::Read)?,
            Access::Write => {}
        }
        if flags.access.writes() || flags.truncate {
            if !self.transient.is_unlinked(node.ino) {
                self.locate(node.ino)?.writable(caller)?;
            }
            self.may(caller, node, Right::Write)?;
        }
        Ok(())
    }

    /// Called at every close(2) of a descriptor: what was written becomes a version now.
    pub fn flush(&self, caller: &Caller, id: HandleId) -> Result<()> {
        let handle = self.files.handle(id)?;
        match &handle.source {
            Source::Stored(held)
                if handle.flags.access.writes()
                    || handle.flags.truncate
                    || self.transient.birth(held.file.ino).is_some() =>
            {
                self.seal(caller, &held.file, OpKind::Write)
            }
            _ => Ok(()),
        }
    }

    /// Forgets a handle. Writes that came after the last flush (a memory map's) are sealed by the last writer: the kernel
    /// tells of a closed descriptor late, when somebody else's session may be under way.
    pub fn release(&self, caller: &Caller, id: HandleId) -> Result<()> {
        let handle = self.files.handle(id)?;
        if let Ok(file) = handle.writable() {
            file.writers.fetch_sub(1, Ordering::AcqRel);
        }
        let sealed = match &handle.source {
            Source::Stored(held) if held.file.has_writers() => Ok(()),
            _ => self.flush(caller, id),
        };
        self.files.handles.write().remove(&id);
        self.unlock_handle(&handle, id);
        if let Source::Feed(_) = handle.source {
            self.events.forget(id);
        }
        if sealed.is_err() {
            self.keep_drafted(handle);
        }
        sealed
    }

    /// Makes what was written durable (fsync(2)): one sync for all who wait.
    pub fn fsync(&self, caller: &Caller, id: HandleId) -> Result<()> {
        // Through whichever descriptor: fsync(2) is about the file.
        if let Source::Stored(held) = &self.files.handle(id)?.source {
            self.harden(caller, &held.file)?;
        }
        self.store.sync()
    }

    /// How many files and directories are open.
    pub fn open_handles(&self) -> usize {
        self.files.count()
    }

    /// How many open files hold writes that no version has yet.
    pub fn pending_files(&self) -> usize {
        self.files.all().iter().filter(|f| f.is_dirty()).count() + self.transient.unborn(None).len()
    }

    pub(super) fn flush_all(&self) -> Result<usize> {
        let mut pending = 0;
        for file in self.files.all() {
            if file.is_dirty() {
                pending += 1;
                self.settle_file(file.ino)?;
            }
        }
        Ok(pending)
    }

    /// Brings files that are being created to the tables, all that can be; fails with the first that cannot.
    pub(super) fn settle_births(&self, created_before: Option<Time>) -> Result<()> {
        let unborn = self.transient.unborn(created_before).into_iter();
        let born = unborn.map(|(ino, caller)| self.change(&caller, |ch| ch.birth(ino, None)));
        born.fold(Ok(()), Result::and)
    }
}
