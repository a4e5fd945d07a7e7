//! Opening what nobody changes (nodes of the past, and what views show), and closing what nobody closes.

use super::engine::Engine;
use super::handle::{Access, Handle, OpenFlags, Source};
use super::opener::Opener;
use super::view::{self, Item};
use crate::access::Right;
use crate::core::{Caller, HandleId, Ino, Kind, MountId, Name, Result, error::fail};
use crate::meta::Node;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Engine {
    /// A handle on what cannot change any more; whoever asks for it has asked whether he may. Fails with `NotFound`
    /// when its tenant was deleted meanwhile.
    pub(super) fn open_kept(
        &self,
        caller: &Caller,
        node: Arc<Node>,
        flags: OpenFlags,
    ) -> Result<HandleId> {
        let tenant = node.tenant;
        let id = self.files.insert(Handle {
            source: Source::Kept(node),
            flags,
            mount: caller.mount,
            opener: Opener::of(caller),
            writer: None,
        });
        // Only now: who deletes the tenant meanwhile sees the handle, or is seen.
        if let Err(gone) = self.tenants.lives(Some(tenant)) {
            self.files.drop_handle(id);
            return Err(gone);
        }
        Ok(id)
    }

    /// Opens what a view shows: for reading only.
    pub(super) fn open_view(
        &self,
        caller: &Caller,
        ino: Ino,
        flags: OpenFlags,
    ) -> Result<HandleId> {
        if flags.access.writes() || flags.truncate {
            return view::read_only();
        }
        let right = match flags.access {
            Access::Execute => Right::Execute,
            Access::Read | Access::Write | Access::ReadWrite => Right::Read,
        };
        self.views.allows(caller, ino, right)?;
        let _borrowing = self.borrowing.read();
        let source = match self.views.item(caller, ino)? {
            Item::File(bytes) => Source::Computed(bytes),
            Item::Feed(_) => Source::Feed(self.views.feed(caller, ino)?),
            Item::Stored(node) if !node.is_dir() => return self.open_kept(caller, node, flags),
            Item::Stored(_) | Item::Directory(_) | Item::Link(_) => {
                return fail(Kind::IsDirectory, "not a file");
            }
        };
        Ok(self.files.insert(Handle {
            source,
            flags,
            mount: caller.mount,
            opener: Opener::of(caller),
            writer: None,
        }))
    }

    /// Whether a node's attributes and bytes are computed when they are asked for, so that no cache may keep them.
    pub fn is_computed(&self, ino: Ino) -> bool {
        view::is_view(ino) && !self.views.lasts(ino)
    }

    /// Which of those that had a number over time it stands for: stored nodes never share one, items of a view may.
    pub fn generation(&self, ino: Ino) -> u64 {
        if view::is_view(ino) {
            self.views.generation(ino)
        } else {
            0
        }
    }

    /// Whether a name that was found in a directory of a view may be kept by who hears of [`Event::Past`](super::Event).
    pub fn keeps_name(&self, dir: Ino, name: &[u8]) -> bool {
        view::is_view(dir) && self.views.keeps_name(dir, name)
    }

    /// Whether a name stands for the same for all who come to a directory, where who may not go on is refused: that of the view that
    /// hangs in every directory, and of what is in it some.
    pub fn is_common(&self, dir: Ino, name: &Name) -> bool {
        if view::is_view(dir) {
            self.views.is_common(dir, name)
        } else {
            self.views.takes(name)
        }
    }

    /// Whether such a name may stand for a node: its attributes are asked for each time.
    pub fn is_entrance(&self, ino: Ino) -> bool {
        view::is_view(ino) && self.views.is_entrance(ino)
    }

    /// Whether a node is the view that hangs in every directory, or in it.
    pub fn is_in_past(&self, ino: Ino) -> bool {
        view::is_everywhere(ino)
    }

    /// Whether a node is in a view: what a name there stands for, and for whom, is asked for each time.
    pub fn is_in_view(&self, ino: Ino) -> bool {
        view::is_view(ino)
    }

    /// How many files that are open through a mount hold writes that no version has yet, and how many files and directories are.
    pub fn open_on(&self, mount: MountId) -> (u64, u64) {
        let its = |of: Option<MountId>| of == Some(mount);
        let dirs = self.files.dirs.read();
        let dirs = dirs.values().filter(|dir| its(dir.mount)).count();
        let all = self.files.handles.read();
        let files: Vec<_> = all.values().filter(|handle| its(handle.mount)).collect();
        let written = files.iter().filter_map(|handle| match &handle.source {
            Source::Stored(held) => Some(held.file.ino),
            Source::Computed(_) | Source::Kept(_) | Source::Feed(_) => None,
        });
        let is_pending =
            |ino: &Ino| self.files.pending(*ino).is_some() || self.transient.birth(*ino).is_some();
        let written: BTreeSet<_> = written.filter(is_pending).collect();
        (written.len() as u64, (files.len() + dirs) as u64)
    }

    /// Closes what was opened through a mount that is gone, on behalf of its tenant: the last closes on one that was taken
    /// away lazily are not always told. What was written becomes a version with its writer's name.
    pub fn forsake(&self, caller: &Caller, mount: MountId) {
        let its = |of: Option<MountId>| of == Some(mount);
        self.files.dirs.write().retain(|_, dir| !its(dir.mount));
        let all = self.files.handles.read();
        let left = all.iter().filter(|(_, handle)| its(handle.mount));
        let left: Vec<_> = left.map(|(id, _)| *id).collect();
        drop(all);
        for id in left {
            if let Err(e) = self.release(caller, id) {
                tracing::warn!("a file left open on a mount that is gone: {}", e.chain());
            }
        }
        self.forget_locks(mount);
    }
}
