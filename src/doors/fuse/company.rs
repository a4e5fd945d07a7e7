//! A mount for a user namespace that knows its user and his group alone, as `nexus run` makes them (user_namespaces(7)).
//!
//! Its kernel takes no list with others in it and no other group, so lists are not kept there, and modes say what a copy may have.

use super::door::Door;
use crate::access::posix_acl::{ACCESS, DEFAULT};
use crate::core::{Caller, Ino, Kind, Name, Result, error::fail};
use crate::fs::{Alone, RenameMode, SetAttr};
use crate::meta::Node;
use fuser::FileAttr;
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;

/// How many of the nodes made on a mount are remembered: those of which something is said yet are the last ones.
const MADE_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// The groups that can be named on such a mount, and what was made on it.
pub(super) struct Company {
    groups: [u32; 2],
    /// Each with whether it was told its mode.
    made: Mutex<LruCache<Ino, bool>>,
}

impl Company {
    /// For the user's own group and that of his tenant.
    pub(super) fn new(groups: [u32; 2]) -> Self {
        Self {
            groups,
            made: Mutex::new(LruCache::new(MADE_MAX)),
        }
    }

    fn about(&self, made: Option<Ino>) -> Alone {
        Alone {
            groups: self.groups,
            made,
        }
    }
}

impl Door {
    /// A node as stat(2) shows it here.
    pub(super) fn attr(&self, node: &Node) -> FileAttr {
        let attr = self.numbers.attr(node);
        let Some(company) = &self.alone else {
            return attr;
        };
        let mode = self.engine.mode_alone(node, company.about(None));
        FileAttr {
            perm: u16::try_from(mode & 0o7777).unwrap_or(0),
            ..attr
        }
    }

    /// Attributes to set, as who saw [`Door::attr`] means them.
    pub(super) fn meant(&self, ino: Ino, set: &SetAttr) -> SetAttr {
        let company = self.alone.as_ref().filter(|_| set.mode.is_some());
        let alone = company.map(|c| c.about(c.made.lock().contains(&ino).then_some(ino)));
        SetAttr {
            alone,
            ..set.clone()
        }
    }

    pub(super) fn note_made(&self, ino: Ino) {
        if let Some(company) = &self.alone {
            company.made.lock().put(ino, false);
        }
    }

    /// Notes that somebody said what mode a node is to have.
    pub(super) fn told_mode(&self, ino: Ino) {
        if let Some(company) = &self.alone
            && let Some(told) = company.made.lock().get_mut(&ino)
        {
            *told = true;
        }
    }

    /// What a rename means for the lists and groups that a tool could not copy. A new file without a mode that was copied is no
    /// newer state of another.
    pub(super) fn meant_rename(
        &self,
        caller: &Caller,
        (dir, name): (Ino, &Name),
        mode: RenameMode,
    ) -> RenameMode {
        let (RenameMode::Replace, Some(company)) = (mode, &self.alone) else {
            return mode;
        };
        let Ok(node) = self.engine.lookup(caller, dir, name) else {
            return mode;
        };
        match company.made.lock().peek(&node.ino) {
            Some(true) => RenameMode::Succeed(company.about(Some(node.ino))),
            Some(false) | None => mode,
        }
    }

    /// Notes that a new file has the place of an older one: its mode says of others what that one's did.
    pub(super) fn succeeded(&self, mode: RenameMode) {
        if let (RenameMode::Succeed(alone), Some(company)) = (mode, &self.alone)
            && let Some(ino) = alone.made
        {
            company.made.lock().pop(&ino);
        }
    }

    /// Whether an attribute is kept here; fails with `Unsupported` for lists: what a tool hears of others it could not say again.
    pub(super) fn keeps(&self, name: &[u8]) -> Result<()> {
        if self.alone.is_some() && (name == ACCESS || name == DEFAULT) {
            return fail(
                Kind::Unsupported,
                "lists are not kept in a user namespace that knows nobody else: `nexus setfacl` outside sets them",
            );
        }
        Ok(())
    }
}
