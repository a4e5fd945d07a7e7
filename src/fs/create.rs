//! New names: create, mknod, mkdir, symlink, link.

use super::commit::Change;
use super::engine::Engine;
use super::ground::allowed;
use super::handle::OpenFlags;
use super::namespace::has_room_below;
use super::privileges::mode_by;
use super::transient::Birth;
use super::view;
use crate::access::Right;
use crate::blob::Content;
use crate::core::{
    Caller, FsPath, HandleId, Ino, Kind, Name, Op, Result, TenantId, Time, error::fail,
};
use crate::meta::cache::Place;
use crate::meta::tenant::GroupRule;
use crate::meta::{FileKind, Node, OpKind};
use serde_json::json;
use std::sync::Arc;

/// How many names one node may have.
const LINK_MAX: u32 = 65_000;
/// The longest target of a symbolic link, in bytes (symlink(2), PATH_MAX).
const TARGET_MAX: usize = 4095;

/// What a new node is to be.
struct Wanted {
    kind: FileKind,
    mode: u32,
    rdev: u32,
}

impl Engine {
    /// Creates a regular file and opens it (open(2) with O_CREAT). The file enters the tables when it is first closed.
    pub fn create(
        &self,
        caller: &Caller,
        parent: Ino,
        name: &Name,
        mode: u32,
        flags: OpenFlags,
    ) -> Result<(Arc<Node>, HandleId)> {
        let turn = self.turn.lock();
        let (dir, path) = self.may_add(caller, parent)?;
        self.may_name(name)?;
        if let Some(ino) = self.child(parent, name)? {
            self.may_meet(caller, &dir, &*self.node(ino)?)?;
            drop(turn);
            if flags.exclusive {
                return fail(Kind::Exists, format!("{name} exists"));
            }
            let handle = self.open(caller, ino, flags)?;
            return match self.getattr(caller, ino) {
                Ok(node) => Ok((node, handle)),
                Err(e) => self.release(caller, handle).and(Err(e)),
            };
        }
        let wanted = Wanted {
            kind: FileKind::File,
            mode,
            rdev: 0,
        };
        if self.handed_on(parent, mode, false).is_some() {
            drop(turn);
            return self.create_at_once(caller, parent, name, &wanted, flags);
        }
        let node = Arc::new(self.new_node(caller, (&dir, &path), &wanted, self.clock.now())?);
        let place = Arc::new(Place {
            parent,
            name: name.clone(),
        });
        let birth = Birth {
            place,
            cookie: node.ino.0,
            caller: caller.clone(),
        };
        self.transient.insert_unborn(node.clone(), birth);
        // Open before anybody can unlink it.
        let handle = self.open_created(caller, node.ino, flags)?;
        drop(turn);
        self.tell(
            caller,
            &[
                super::Event::Entry {
                    parent,
                    name: name.clone(),
                },
                super::Event::List(parent),
            ],
        );
        Ok((node, handle))
    }

    /// A file that gets a list from its directory is in the tables from the start.
    fn create_at_once(
        &self,
        caller: &Caller,
        parent: Ino,
        name: &Name,
        wanted: &Wanted,
        flags: OpenFlags,
    ) -> Result<(Arc<Node>, HandleId)> {
        let node = self.add(caller, parent, name, OpKind::Create, wanted, None)?;
        let handle = self.open_created(caller, node.ino, flags)?;
        Ok((node, handle))
    }

    /// Makes a file that is not opened, a fifo, a socket or a device.
    pub fn mknod(
        &self,
        caller: &Caller,
        parent: Ino,
        name: &Name,
        kind: FileKind,
        mode: u32,
        rdev: u32,
    ) -> Result<Arc<Node>> {
        if matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) && !caller.is_root() {
            return fail(Kind::NotPermitted, "only the superuser makes device nodes");
        }
        self.add(
            caller,
            parent,
            name,
            OpKind::Mknod,
            &Wanted { kind, mode, rdev },
            None,
        )
    }

    pub fn mkdir(&self, caller: &Caller, parent: Ino, name: &Name, mode: u32) -> Result<Arc<Node>> {
        self.add(
            caller,
            parent,
            name,
            OpKind::Mkdir,
            &Wanted {
                kind: FileKind::Directory,
                mode,
                rdev: 0,
            },
            None,
        )
    }

    pub fn symlink(
        &self,
        caller: &Caller,
        parent: Ino,
        name: &Name,
        target: &[u8],
    ) -> Result<Arc<Node>> {
        if target.is_empty() || target.contains(&0) {
            return fail(
                Kind::Invalid,
                "a link's target is one byte or more, without NUL",
            );
        }
        if target.len() > TARGET_MAX {
            return fail(
                Kind::NameTooLong,
                format!(
                    "link target of {} bytes: {TARGET_MAX} is the most",
                    target.len()
                ),
            );
        }
        let wanted = Wanted {
            kind: FileKind::Symlink,
            mode: 0o777,
            rdev: 0,
        };
        self.add(caller, parent, name, OpKind::Symlink, &wanted, Some(target))
    }

    fn add(
        &self,
        caller: &Caller,
        parent: Ino,
        name: &Name,
        op: OpKind,
        wanted: &Wanted,
        bytes: Option<&[u8]>,
    ) -> Result<Arc<Node>> {
        let sealed = bytes.map(|b| self.blobs.seal_bytes(b)).transpose()?;
        let ino = self.change(caller, |ch| {
            let (dir, path) = self.may_add(caller, parent)?;
            ch.vacant(&dir, name)?;
            let mut node = self.new_node(caller, (&dir, &path), wanted, ch.now)?;
            if let Some(sealed) = &sealed {
                ch.store(sealed);
                node.size = sealed.content.size();
                node.content = sealed.content.clone();
            }
            let handed = match node.kind {
                FileKind::Symlink => None,
                _ => self.handed_on(parent, wanted.mode, node.is_dir()),
            };
            let ino = node.ino;
            let links = i32::from(node.is_dir());
            ch.insert(node);
            let mut undo = json!({});
            if let Some((_, acls)) = handed.filter(|(_, acls)| !acls.is_empty()) {
                ch.give_acls(ino, &acls)?;
                undo = json!({ "lists": "new" });
            }
            ch.add_entry(parent, name, ino, ino.0);
            ch.touch_dir(parent, links, ch.now)?;
            ch.record(op, ino, &path.join(name.clone()), None, &undo);
            Ok(ino)
        })?;
        self.getattr(caller, ino)
    }

    /// Gives a node another name (link(2)).
    pub fn link(&self, caller: &Caller, ino: Ino, parent: Ino, name: &Name) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return view::read_only();
        }
        self.change(caller, |ch| {
            let (to, dir) = self.may_add(caller, parent)?;
            self.locate(ino)?.writable(caller)?;
            ch.birth(ino, None)?;
            let old = ch.node(ino)?;
            linkable(caller, &old)?;
            self.may_link(caller, &old)?;
            ch.vacant(&to, name)?;
            for place in self.places(&old)? {
                self.one_domain(place.parent, parent)?;
                self.may_carry(caller, &old, place.parent, parent)?;
                if !self.policy.is_empty() {
                    // From now on who may use it depends on both, of which a kernel asks anew only where it was told to.
                    ch.closed(&place);
                }
            }
            let from = self.path_of(ino)?;
            ch.add_entry(parent, name, ino, self.next_id());
            ch.relocated = self.policy.domain(ino).is_some();
            ch.touch(Node {
                nlink: old.nlink + 1,
                parent: Ino(0),
                ctime: ch.now,
                ..(*old).clone()
            })?;
            ch.touch_dir(parent, 0, ch.now)?;
            ch.record(
                OpKind::Link,
                ino,
                &from,
                Some(&dir.join(name.clone())),
                &json!({}),
            );
            Ok(())
        })?;
        self.getattr(caller, ino)
    }

    /// Decides as fs.protected_hardlinks (proc_sys_fs(5)): whoever gives a node another name, which would keep it when its owner
    /// removes his, owns it, or may read and write it and nobody runs it as somebody else. A kernel asks no more of a mount
    /// than whether it is a file of no set-id bits.
    fn may_link(&self, caller: &Caller, node: &Node) -> Result<()> {
        if allowed(self.may(caller, node, Right::Own))? {
            return Ok(());
        }
        let runs_as_other = node.mode & 0o4000 != 0 || node.mode & 0o2010 == 0o2010;
        let uses = |right| allowed(self.may(caller, node, right));
        if node.is_file() && !runs_as_other && uses(Right::Read)? && uses(Right::Write)? {
            return Ok(());
        }
        fail(
            Kind::NotPermitted,
            "only who owns a file, or may read and write it, gives it another name",
        )
    }

    /// Whether the caller may put a new name into a directory.
    pub fn access_new(&self, caller: &Caller, parent: Ino) -> Result<()> {
        self.may_add(caller, parent).map(drop)
    }

    /// Fails with `Exists` for a name that is a view's in every directory.
    pub(super) fn may_name(&self, name: &Name) -> Result<()> {
        if self.views.takes(name) {
            return fail(Kind::Exists, format!("{name} is there in every directory"));
        }
        Ok(())
    }

    /// The directory and its path, if the caller may put a name into it.
    pub(super) fn may_add(&self, caller: &Caller, parent: Ino) -> Result<(Arc<Node>, FsPath)> {
        let dir = self.directory(caller, parent)?;
        let at = self.locate(parent)?;
        self.may(caller, &dir, Right::Execute)?;
        at.writable(caller)?;
        self.may(caller, &dir, Right::Write)?;
        has_room_below(&at.path)?;
        Ok((dir, at.path))
    }

    fn new_node(
        &self,
        caller: &Caller,
        (dir, path): (&Node, &FsPath),
        wanted: &Wanted,
        now: Time,
    ) -> Result<Node> {
        let (mask, group) = self.new_entries(dir.tenant, path)?;
        let is_dir = wanted.kind == FileKind::Directory;
        let is_link = wanted.kind == FileKind::Symlink;
        let inherits = dir.mode & 0o2000 != 0;
        let gid = if inherits {
            dir.gid
        } else {
            group.unwrap_or(caller.gid)
        };
        let bits = match self.handed_on(dir.ino, wanted.mode, is_dir) {
            _ if is_link => wanted.mode,
            Some((handed, _)) => handed & mask,
            None => wanted.mode & mask & !caller.umask,
        };
        let mut mode = (wanted.mode & 0o7000) | (bits & 0o777);
        if is_dir && inherits {
            mode |= 0o2000;
        } else if !is_dir && mode & 0o2010 == 0o2010 && !caller.is_root() && !caller.in_group(gid) {
            mode &= !0o2000;
        }
        let mut node = Node {
            ino: Ino(self.next_id()),
            tenant: dir.tenant,
            kind: wanted.kind,
            mode,
            uid: caller.uid,
            gid,
            nlink: if is_dir { 2 } else { 1 },
            size: 0,
            rdev: wanted.rdev,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            content: Content::Empty,
            version: 1,
            parent: dir.ino,
            began: Op(0),
            writing: None,
        };
        if caller.isolated {
            node.mode = mode_by(caller, &node);
        }
        Ok(node)
    }

    /// Mask and group of new entries in the namespace that a directory's path leads into.
    fn new_entries(&self, tenant: TenantId, path: &FsPath) -> Result<(u32, Option<u32>)> {
        let home = self.home(tenant)?;
        let set = path.names().first().and_then(|first| {
            home.namespaces
                .iter()
                .find(|n| n.name.as_bytes() == first.as_bytes())
        });
        Ok(set.map_or((0o777, None), |n| {
            let group = (n.group == GroupRule::Tenant).then_some(home.tenant.gid);
            (n.mask, group)
        }))
    }
}

fn linkable(caller: &Caller, node: &Node) -> Result<()> {
    if node.is_dir() {
        return fail(Kind::NotPermitted, "a directory has one name only");
    }
    if caller.tenant != Some(node.tenant) {
        return Err(super::engine::no_node(node.ino));
    }
    if node.nlink >= LINK_MAX {
        return fail(
            Kind::TooManyLinks,
            format!("a node has {LINK_MAX} names at most"),
        );
    }
    Ok(())
}

impl Change<'_> {
    /// Whether a directory is empty, files that are still being created included.
    pub(super) fn is_empty(&mut self, dir: Ino) -> Result<bool> {
        if !self.engine.transient.children(dir, 0).is_empty() {
            return Ok(false);
        }
        match self.engine.cache.is_empty(dir) {
            Some(known) => Ok(known),
            None => Ok(!self.engine.store.has_any(dir)?),
        }
    }
}
