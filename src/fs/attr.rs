//! Attributes: getattr, setattr, access, statfs.

use super::alone::{Alone, Told};
use super::engine::Engine;
use super::ground::allowed;
use super::privileges::{mode_by, without_setid};
use super::view::{self, Item};
use crate::access::Right;
use crate::blob::Content;
use crate::core::{Caller, HandleId, Ino, Kind, Op, Result, TenantId, Time, error::fail};
use crate::meta::{FileKind, Node, OpKind};
use serde_json::{Value, json};
use std::sync::Arc;

/// A day in nanoseconds: relatime writes an access time that is older.
const DAY: i64 = 86_400_000_000_000;

/// How often attributes are looked at while somebody writes on and on.
const TRIES: u32 = 4;

/// A time to set (utimensat(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    Now,
    At(Time),
}

/// What setattr changes; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAttr {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<SetTime>,
    pub mtime: Option<SetTime>,
    /// Who says the mode, where he was shown [`Engine::mode_alone`] and means that.
    pub alone: Option<Alone>,
}

impl SetAttr {
    fn is_size_only(&self) -> bool {
        *self
            == Self {
                size: self.size,
                ..Self::default()
            }
    }

    fn kind(&self) -> OpKind {
        if self.uid.is_some() || self.gid.is_some() {
            OpKind::Chown
        } else if self.mode.is_some() {
            OpKind::Chmod
        } else {
            OpKind::Times
        }
    }
}

/// Space and numbers of files, for statfs(2). Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatFs {
    pub total: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub files_free: u64,
}

impl Engine {
    /// Shows a node's attributes as they are now.
    pub fn getattr(&self, caller: &Caller, ino: Ino) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return self.view_node(caller, ino);
        }
        self.tenants.lives(caller.tenant)?;
        let node = self.shown(ino)?;
        if caller.tenant == Some(node.tenant) {
            return Ok(node);
        }
        Err(super::engine::no_node(ino))
    }

    /// A node with what its open working copy or its unborn children add. That goes to the tables and never back, so it is
    /// looked at first: else it would be in neither. A whole write session in between is looked for afterwards.
    pub(super) fn shown(&self, ino: Ino) -> Result<Arc<Node>> {
        let mut tries = 0;
        loop {
            let (touched, writing) = (self.transient.touched(ino), self.files.pending(ino));
            let node = self.node(ino)?;
            tries += 1;
            if tries == TRIES || self.files.pending(ino) == writing {
                return Ok(with_pending(node, touched, writing));
            }
        }
    }

    /// A node that stands for an item of a view.
    pub(super) fn view_node(&self, caller: &Caller, ino: Ino) -> Result<Arc<Node>> {
        let item = self.views.item(caller, ino)?;
        Ok(self.node_of(caller, ino, &item))
    }

    /// An item of a view, as the node that its number stands for.
    pub(super) fn node_of(&self, caller: &Caller, ino: Ino, item: &Item) -> Arc<Node> {
        let (kind, mode, size) = match item {
            Item::Directory(_) => (FileKind::Directory, 0o555, 0),
            Item::File(bytes) => (FileKind::File, 0o444, bytes.len() as u64),
            Item::Feed(size) => (FileKind::File, 0o444, *size),
            Item::Link(target) => (FileKind::Symlink, 0o777, target.len() as u64),
            Item::Stored(node) => {
                return Arc::new(Node {
                    ino,
                    // What runs from the past runs for whoever runs it: set-id bits may have been taken away since.
                    mode: if node.is_dir() {
                        node.mode
                    } else {
                        node.mode & 0o1777
                    },
                    parent: match node.parent {
                        up if node.is_dir() && up != Ino(0) => view::sibling(ino, up.0),
                        _ => Ino(0),
                    },
                    ..(**node).clone()
                });
            }
        };
        let now = self.clock.now();
        Arc::new(Node {
            ino,
            tenant: caller.tenant.unwrap_or(TenantId(0)),
            kind,
            mode,
            uid: caller.uid,
            gid: caller.gid,
            nlink: 1,
            size,
            rdev: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            content: Content::Empty,
            version: 0,
            parent: Ino(0),
            began: Op(0),
            writing: None,
        })
    }

    /// Answers access(2) for each right asked.
    pub fn access(&self, caller: &Caller, ino: Ino, rights: &[Right]) -> Result<()> {
        let node = self.getattr(caller, ino)?;
        if view::is_view(ino) {
            let mut rights = rights.iter();
            return rights.try_for_each(|right| self.views.allows(caller, ino, *right));
        }
        rights.iter().try_for_each(|right| match right {
            // Who may pass through a directory to what he was granted may enter and list it (chdir(2) asks here).
            Right::Read | Right::Execute if node.is_dir() => {
                self.sight(caller, &node, *right).map(drop)
            }
            _ => self.may(caller, &node, *right),
        })
    }

    /// Changes attributes. `handle` is the open file the change came through (ftruncate(2)).
    pub fn setattr(
        &self,
        caller: &Caller,
        ino: Ino,
        set: &SetAttr,
        handle: Option<HandleId>,
    ) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return view::read_only();
        }
        if let Some(size) = set.size {
            self.truncate(caller, ino, size, handle)?;
        }
        if !set.is_size_only() {
            self.set_owner_and_times(caller, ino, set)?;
        }
        self.getattr(caller, ino)
    }

    fn set_owner_and_times(&self, caller: &Caller, ino: Ino, set: &SetAttr) -> Result<()> {
        let node = self.shown(ino)?;
        self.may_set(caller, &node, set)?;
        if self.set_transient(caller, ino, set) {
            return Ok(());
        }
        // A pending write would put its own mtime over the one set here.
        self.settle_file(ino)?;
        self.locate(ino)?.writable(caller)?;
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            // What was made in a directory before its times were set has touched it before.
            for (_, _, child) in self.transient.children(ino, 0) {
                ch.birth(child.ino, None)?;
            }
            let path = self.path_of(ino)?;
            let old = ch.node(ino)?;
            let (mut set, mut told) = (set.clone(), former(&old, set));
            if let (Some(mode), Some(alone)) = (set.mode, set.alone) {
                let (mode, lists) = ch.chmod_alone(&old, mode, alone)?;
                set.mode = Some(mode);
                told.extend(lists);
            }
            let new = applied(caller, &old, &set, ch.now);
            if closes(&old, &new)
                && let Some(place) = self.place(ino)?
            {
                ch.shut(&place, ino);
            }
            ch.update(new)?;
            ch.record(set.kind(), ino, &path, None, &Value::Object(told));
            Ok(())
        })?;
        if !node.is_dir() && (set.uid.is_some() || set.gid.is_some()) {
            self.end_capability(caller, ino)?;
        }
        Ok(())
    }

    fn may_set(&self, caller: &Caller, node: &Node, set: &SetAttr) -> Result<()> {
        if caller.tenant != Some(node.tenant) {
            return Err(super::engine::no_node(node.ino));
        }
        if set.uid.is_some() || set.gid.is_some() {
            let same = |new: Option<u32>, old| new.is_none_or(|new| new == old);
            if same(set.uid, node.uid) && same(set.gid, node.gid) {
                // As tar(1) says it when it runs as root.
                self.may_keep(caller, node, None)?;
            } else {
                self.may_chown(caller, node, set.uid, set.gid)?;
            }
        }
        if set.mode.is_some() {
            self.may_keep(caller, node, set.mode)?;
        }
        let exact = |t: Option<SetTime>| matches!(t, Some(SetTime::At(_)));
        if exact(set.atime) || exact(set.mtime) || set.atime.is_some() != set.mtime.is_some() {
            self.may_keep(caller, node, None)?;
        } else if set.atime.is_some() && !allowed(self.may_keep(caller, node, None))? {
            self.may(caller, node, Right::Write)?;
        }
        Ok(())
    }

    /// Sets attributes of a node that is not in the tables: its own creator's touch belongs to the creation.
    fn set_transient(&self, caller: &Caller, ino: Ino, set: &SetAttr) -> bool {
        // Births and unlinks take their turn, too: none comes between the question and the change.
        let _turn = self.turn.lock();
        let own = self
            .transient
            .birth(ino)
            .is_some_and(|b| b.caller.pid == caller.pid);
        if !own && !self.transient.is_unlinked(ino) {
            return false;
        }
        let now = self.clock.now();
        self.files.set_times(ino, set, now);
        self.transient
            .update(ino, |old| applied(caller, old, set, now))
    }

    /// Notes that a file was read (relatime: when the last access is older than the last change, or a day).
    pub(super) fn accessed(&self, node: &Arc<Node>) {
        let now = self.clock.now();
        if node.atime > node.mtime && node.atime > node.ctime && now.0 - node.atime.0 < DAY {
            return;
        }
        let seen = |old: &Node| Node {
            atime: now,
            ..old.clone()
        };
        if self.transient.update(node.ino, seen) {
            return;
        }
        // Held before: a change that is published meanwhile takes away what is noted here.
        let mut atimes = self.atimes.lock();
        if self.cache.refresh(node, Arc::new(seen(node))) {
            atimes.insert(node.ino, now);
        }
    }

    /// Tells what space the store has left: the host filesystem's truth.
    pub fn statfs(&self) -> Result<StatFs> {
        let host =
            nix::sys::statvfs::statvfs(&self.config.data_dir).map_err(std::io::Error::from)?;
        let unit = host.fragment_size();
        Ok(StatFs {
            total: host.blocks() * unit,
            free: host.blocks_free() * unit,
            available: host.blocks_available() * unit,
            files: host.files(),
            files_free: host.files_free(),
        })
    }
}

fn with_pending(
    node: Arc<Node>,
    touched: Option<Time>,
    writing: Option<(u64, u64, Time)>,
) -> Arc<Node> {
    match (touched.filter(|at| *at > node.mtime), writing) {
        (Some(at), _) if node.is_dir() => Arc::new(Node {
            mtime: at,
            ctime: at.max(node.ctime),
            ..(*node).clone()
        }),
        (_, Some((size, held, at))) if !node.is_dir() => Arc::new(Node {
            size,
            writing: Some(held),
            mtime: at,
            ctime: at.max(node.ctime),
            ..(*node).clone()
        }),
        _ => node,
    }
}

/// Whether somebody could look names up in a directory before a change and may not after it.
pub(super) fn closes(old: &Node, new: &Node) -> bool {
    const SEARCH: u32 = 0o111;
    let taken = old.mode & SEARCH & !new.mode != 0;
    let moved = (old.uid, old.gid) != (new.uid, new.gid) && new.mode & SEARCH != SEARCH;
    old.is_dir() && (taken || moved)
}

fn applied(caller: &Caller, old: &Node, set: &SetAttr, now: Time) -> Node {
    let mut new = old.clone();
    new.ctime = now;
    if set.uid.is_some() || set.gid.is_some() {
        new.uid = set.uid.unwrap_or(old.uid);
        new.gid = set.gid.unwrap_or(old.gid);
        if !old.is_dir() {
            new.mode = without_setid(old.mode);
        }
    }
    if let Some(mode) = set.mode {
        new.mode = mode & 0o7777;
        new.mode = mode_by(caller, &new);
    }
    let time = |t: SetTime| match t {
        SetTime::Now => now,
        SetTime::At(t) => t,
    };
    new.atime = set.atime.map_or(old.atime, time);
    new.mtime = set.mtime.map_or(old.mtime, time);
    new
}

/// What setattr replaced, for the log.
fn former(old: &Node, set: &SetAttr) -> Told {
    let mut undo = Told::new();
    if set.mode.is_some() {
        undo.insert("mode".into(), json!(format!("{:o}", old.mode)));
    }
    if set.uid.is_some() || set.gid.is_some() {
        undo.insert("uid".into(), json!(old.uid));
        undo.insert("gid".into(), json!(old.gid));
    }
    if set.atime.is_some() || set.mtime.is_some() {
        undo.insert("atime".into(), json!(old.atime.0));
        undo.insert("mtime".into(), json!(old.mtime.0));
    }
    undo
}

impl Engine {
    /// Sets a file's length: within the write session of whoever has it open, or as an operation of its own.
    fn truncate(
        &self,
        caller: &Caller,
        ino: Ino,
        size: u64,
        handle: Option<HandleId>,
    ) -> Result<()> {
        let node = self.node(ino)?;
        match node.kind {
            FileKind::File => {}
            FileKind::Directory => {
                return fail(Kind::IsDirectory, "a directory has no length to set");
            }
            _ => return fail(Kind::Invalid, "only a regular file has a length to set"),
        }
        if let Some(handle) = handle {
            return self.with_writable(caller, handle, |w| w.working.truncate(size));
        }
        self.may_reach(caller, &node)?;
        self.may(caller, &node, Right::Write)?;
        self.locate(ino)?.writable(caller)?;
        let file = self.files.hold(self, ino)?;
        self.seal_before_cut(caller, &file, size)?;
        self.modify(caller, &file, |w| w.working.truncate(size))?;
        // The kernel sends open(2)'s O_TRUNC as a length to set, without the handle it has just opened.
        if file.has_writers() {
            return Ok(());
        }
        self.seal(caller, &file, OpKind::Truncate)
    }
}
