//! Requests about nodes: attributes, extended attributes, rights, space.

use super::answer::{Answer, Blocks, Sender, Shown, Sized, answer, blocks, sized};
use super::door::Door;
use super::open;
use crate::core::{HandleId, Result};
use crate::fs::SetAttr;
use crate::meta::Node;
use bytes::Bytes;
use fuser::{AccessFlags, INodeNo};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

impl Door {
    pub(super) fn getattr(&self, who: Sender, ino: INodeNo) -> Answer<Shown> {
        let caller = if ino == INodeNo::ROOT {
            self.callers.of_member(who)
        } else {
            self.callers.of(who)
        };
        let node = self.engine.getattr(&caller, self.numbers.ino(ino));
        self.shown("getattr", node)
    }

    /// Owners in `set` are the engine's numbers already.
    pub(super) fn setattr(
        &self,
        who: Sender,
        ino: INodeNo,
        set: &SetAttr,
        handle: Option<HandleId>,
    ) -> Answer<Shown> {
        let (caller, ino) = self.node(who, ino);
        let set = self.meant(ino, set);
        let changed = self.engine.setattr(&caller, ino, &set, handle);
        if changed.is_ok() && set.mode.is_some() {
            self.told_mode(ino);
        }
        self.shown("setattr", changed)
    }

    pub(super) fn readlink(&self, who: Sender, ino: INodeNo) -> Answer<Bytes> {
        let (caller, ino) = self.node(who, ino);
        answer("readlink", self.engine.readlink(&caller, ino))
    }

    pub(super) fn access(&self, who: Sender, ino: INodeNo, mask: AccessFlags) -> Answer<()> {
        let (caller, ino) = self.node(who, ino);
        let allowed = self.engine.access(&caller, ino, &open::rights(mask));
        answer("access", allowed)
    }

    pub(super) fn statfs(&self) -> Answer<Blocks> {
        blocks(self.engine.statfs())
    }

    pub(super) fn setxattr(
        &self,
        who: Sender,
        ino: INodeNo,
        (key, value): (&OsStr, &[u8]),
        flags: i32,
    ) -> Answer<()> {
        let ((caller, ino), key) = (self.node(who, ino), key.as_bytes());
        answer("setxattr", self.keeps(key))?;
        let set = open::set_mode(flags).and_then(|mode| {
            let value = self.numbers.value(key, value.to_vec())?;
            self.engine.setxattr(&caller, ino, key, &value, mode)
        });
        answer("setxattr", set)
    }

    pub(super) fn getxattr(
        &self,
        who: Sender,
        ino: INodeNo,
        key: &OsStr,
        room: u32,
    ) -> Answer<Sized> {
        let (caller, ino) = self.node(who, ino);
        answer("getxattr", self.keeps(key.as_bytes()))?;
        let value = self.engine.getxattr(&caller, ino, key.as_bytes());
        let value = value.and_then(|v| self.numbers.value(key.as_bytes(), v));
        sized("getxattr", value, room)
    }

    pub(super) fn listxattr(&self, who: Sender, ino: INodeNo, room: u32) -> Answer<Sized> {
        let (caller, ino) = self.node(who, ino);
        let names = self.engine.listxattr(&caller, ino);
        let ended = |n: Vec<u8>| n.into_iter().chain([0]);
        let kept = |n: &Vec<u8>| self.keeps(n).is_ok();
        let list = names.map(|names| names.into_iter().filter(kept).flat_map(ended).collect());
        sized("listxattr", list, room)
    }

    pub(super) fn removexattr(&self, who: Sender, ino: INodeNo, key: &OsStr) -> Answer<()> {
        let (caller, ino) = self.node(who, ino);
        answer("removexattr", self.keeps(key.as_bytes()))?;
        let gone = self.engine.removexattr(&caller, ino, key.as_bytes());
        answer("removexattr", gone)
    }

    fn shown(&self, call: &'static str, node: Result<Arc<Node>>) -> Answer<Shown> {
        let node = answer(call, node)?;
        Ok(Shown {
            attr: self.attr(&node),
            ttl: self.attr_ttl(&node),
        })
    }
}
