//! What the calls of one mount share: the engine, who asks, how long the kernel may remember, how replies are made.

use super::answer::{Entry, Sender};
use super::caller::Callers;
use super::company::Company;
use super::mount::End;
use super::numbers::{Numbers, absent};
use super::past::Past;
use crate::core::{Caller, Ino, Name, Result, Time};
use crate::fs::Engine;
use crate::meta::Node;
use fuser::{Generation, INodeNo, Notifier};
use lru::LruCache;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long the kernel keeps what it is told about when it changes.
const EXACT: Duration = Duration::from_hours(1);
/// Set-user-ID and set-group-ID (inode(7)).
const SET_ID: u32 = 0o6000;

/// How many directories' lists the kernel may keep.
pub(super) const LISTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// One mount's side of the engine.
pub(super) struct Door {
    pub engine: Arc<Engine>,
    pub callers: Callers,
    pub numbers: Numbers,
    /// Set on a mount for a user namespace that knows its user alone.
    pub alone: Option<Company>,
    /// What the lists stood on that the kernel has kept.
    pub lists: Mutex<LruCache<Ino, (u64, u64)>>,
    pub past: Arc<Past>,
    /// The name of the view that hangs in every directory.
    pub everywhere: Option<Name>,
    /// Whether the root and its namespaces list the view that hangs in every directory.
    pub lists_past: bool,
    pub end: Arc<End>,
    /// The kernel's side, once there is one.
    pub notices: OnceLock<Notifier>,
}

impl Drop for Door {
    /// Whoever answered requests has let go of it: the kernel asks no more, and does not always tell of what was open.
    fn drop(&mut self) {
        self.engine
            .forsake(&self.callers.nobody(), self.callers.mount());
        self.end.reached();
    }
}

impl Door {
    /// How long the kernel may keep what leads to a node: a computed one may differ the next time.
    pub(super) fn ttl(&self, ino: Ino) -> Duration {
        if self.engine.is_computed(ino) {
            Duration::ZERO
        } else {
            EXACT
        }
    }

    /// How long the kernel may keep a node's attributes. Closing a file with holes may change its `st_blocks`, of which
    /// the kernel learns nothing; nor that a write took set-id bits, of which it asks before it runs a program.
    pub(super) fn attr_ttl(&self, node: &Node) -> Duration {
        let has_set_id = node.is_file() && node.mode & SET_ID != 0;
        let is_entrance = !self.callers.is_single() && self.engine.is_entrance(node.ino);
        if has_set_id || node.held_is_estimate() || is_entrance {
            Duration::ZERO
        } else {
            self.ttl(node.ino)
        }
    }

    /// A name in a directory, with all that a LOOKUP tells of what it stands for. `end` is the engine's next end from before it was
    /// judged: what ends meanwhile is not among those to come any more.
    pub(super) fn entry(&self, parent: Ino, name: &[u8], node: &Node, end: Option<Time>) -> Entry {
        Entry {
            attr: self.attr(node),
            generation: Generation(self.engine.generation(node.ino)),
            attr_ttl: self.attr_ttl(node),
            name_ttl: self.entry_ttl(parent, name, node, end),
        }
    }

    /// How long the kernel may keep a name. It keeps it for all users of a mount alike, so a name that some may not see
    /// or reach is not kept where several users are: none of the root's, by which whoever has no tenant is known.
    fn entry_ttl(&self, parent: Ino, name: &[u8], node: &Node, end: Option<Time>) -> Duration {
        if parent == self.numbers.root() && !self.callers.is_single() {
            return Duration::ZERO;
        }
        if self.engine.is_in_view(parent) || self.engine.is_in_view(node.ino) {
            let kept = self.keeps_view_name(parent, name, node.ino);
            return if kept {
                self.until_an_end(end, EXACT)
            } else {
                Duration::ZERO
            };
        }
        if !self.is_same_for_all(parent, Some(node.ino)) {
            return Duration::ZERO;
        }
        // What is said about another name decides, too, and is told of that one alone.
        if self.engine.depends_on_names(node) {
            return Duration::ZERO;
        }
        // What is seen by a grant is not seen any more when that ends, of which nobody is told.
        self.until_an_end(end, self.ttl(node.ino))
    }

    /// Whether the kernel may remember that a name does not exist.
    pub(super) fn keeps_absence(&self, parent: Ino, name: &[u8]) -> bool {
        if self.engine.is_in_view(parent) {
            return self.keeps_view_absence(parent, name);
        }
        (self.callers.is_single() || parent != self.numbers.root())
            && self.is_same_for_all(parent, None)
    }

    /// Whether all who come through this mount find the same under a name, until it is told of a change.
    fn is_same_for_all(&self, parent: Ino, child: Option<Ino>) -> bool {
        self.callers.is_single() || self.engine.looks_alike(parent, child).unwrap_or(false)
    }

    /// Who asks, and the node that the request is about.
    pub(super) fn node(&self, who: Sender, ino: INodeNo) -> (Caller, Ino) {
        (self.callers.of(who), self.numbers.ino(ino))
    }

    /// Who asks, and the directory and name that the request is about.
    pub(super) fn place(
        &self,
        who: Sender,
        dir: INodeNo,
        child: &OsStr,
    ) -> Result<(Caller, Ino, Name)> {
        Ok((self.callers.of(who), self.numbers.ino(dir), name(child)?))
    }
}

/// Says that there is no such name, and that the kernel may keep that.
pub(super) fn missing() -> Entry {
    Entry {
        attr: absent(),
        generation: Generation(0),
        attr_ttl: EXACT,
        name_ttl: EXACT,
    }
}

/// A name, checked.
pub(super) fn name(name: &OsStr) -> Result<Name> {
    Name::new(name.as_bytes())
}
