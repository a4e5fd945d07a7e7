//! What makes a program do more than who runs it may: set-id bits and capabilities.
//!
//! They were given to a content. Whoever changes that takes them away (write(2), chown(2), capabilities(7)), and no way back
//! to an older state of a file gives them to another content.

use super::commit::Change;
use super::engine::Engine;
use super::xattr::prefix;
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, error::fail};
use crate::meta::timeline::{self, Spell};
use crate::meta::{Last, Node, OpKind, Xattr};
use serde_json::json;
use std::sync::Arc;

/// What setcap(8) sets.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// A mode without what a change by an unprivileged caller clears: set-id bits.
pub(super) fn without_setid(mode: u32) -> u32 {
    if mode & 0o010 != 0 {
        mode & !0o6000
    } else {
        mode & !0o4000
    }
}

/// The mode that a caller gives a node with this mode, owner and group: a program acts for its owner only if he says so himself,
/// and for a group if one of it does (chmod(2)); an isolated agent is neither. Who may rule a file by a grant on what it lies in
/// would else become its owner.
pub(super) fn mode_by(caller: &Caller, node: &Node) -> u32 {
    if caller.is_root() || node.is_dir() {
        return node.mode;
    }
    let may = |bit, is_his: bool| if is_his && !caller.isolated { bit } else { 0 };
    let kept = may(0o4000, caller.uid == node.uid) | may(0o2000, caller.in_group(node.gid));
    node.mode & (0o1777 | kept)
}

/// Whether only the superuser gives an attribute (xattr(7)).
pub(super) fn is_protected(name: &[u8]) -> bool {
    matches!(prefix(name), b"security" | b"trusted")
}

fn may_protect(caller: &Caller, name: &[u8]) -> Result<()> {
    if caller.is_root() {
        return Ok(());
    }
    let name = crate::core::path::show(name);
    fail(
        Kind::NotPermitted,
        format!("only the superuser sets attribute {name}"),
    )
}

impl Engine {
    /// A change of content takes set-id bits away at once where the process is unprivileged (write(2), ftruncate(3p)), and
    /// capabilities whoever it is.
    pub(super) fn strip_privileges(&self, caller: &Caller, ino: Ino) -> Result<()> {
        self.end_capability(caller, ino)?;
        let node = self.node(ino)?;
        let mode = without_setid(node.mode);
        if caller.is_root() || mode == node.mode {
            return Ok(());
        }
        let turn = self.turn.lock();
        if self.transient.update(ino, |old| Node {
            mode: old.mode & mode,
            ..old.clone()
        }) {
            return Ok(());
        }
        drop(turn);
        self.change(caller, |ch| {
            let path = self.path_of(ino)?;
            let old = ch.node(ino)?;
            let undo = json!({ "mode": format!("{:o}", old.mode) });
            ch.update(Node {
                mode,
                ctime: ch.now,
                ..(*old).clone()
            })?;
            ch.record(OpKind::Chmod, ino, &path, None, &undo);
            Ok(())
        })
    }

    /// Takes a file's capabilities away, if it has any. The caller may change its content or its owner.
    pub(super) fn end_capability(&self, caller: &Caller, ino: Ino) -> Result<()> {
        if self.capability(ino)?.is_none() {
            return Ok(());
        }
        self.change(caller, |ch| {
            let Some(old) = self.capability(ino)? else {
                return Ok(());
            };
            let path = self.path_of(ino)?;
            ch.drop_xattr(&path, &old)
        })
    }

    pub(super) fn capability(&self, ino: Ino) -> Result<Option<Arc<Xattr>>> {
        let all = self.xattrs(ino)?;
        Ok(all.iter().find(|x| x.name == CAPABILITY).cloned())
    }

    /// Kernels take capabilities away in the name of who writes to the file or gives it away, before he does.
    pub(super) fn may_end_capability(&self, caller: &Caller, node: &Node) -> Result<()> {
        if self.transient.is_unlinked(node.ino) {
            return fail(Kind::NoAttribute, "no such attribute");
        }
        self.locate(node.ino)?.writable(caller)?;
        self.may(caller, node, Right::Own)
            .or_else(|_| self.may(caller, node, Right::Write))
    }

    /// Whether a revision may give a node that is there an attribute, or take it away where there is no value.
    pub(super) fn may_revise_xattr(
        &self,
        caller: &Caller,
        node: &Node,
        (name, value): (&[u8], Option<&[u8]>),
    ) -> Result<()> {
        match prefix(name) {
            b"user" => self.may(caller, node, Right::Write),
            _ if name == CAPABILITY && value.is_none() => self.may_end_capability(caller, node),
            _ if is_protected(name) => may_protect(caller, name),
            _ => self.may(caller, node, Right::Own),
        }
    }

    /// Whether a node that comes back gets an attribute back that only the superuser gives: it has to have had it with this
    /// content when it went, or he gives it. Fails with `NotPermitted` where it may not; other attributes are asked about elsewhere.
    pub(super) fn may_bring_xattr(
        &self,
        caller: &Caller,
        (node, last): (&Node, Option<&Last>),
        (name, value): (&[u8], &[u8]),
    ) -> Result<bool> {
        if !is_protected(name) {
            return Ok(true);
        }
        let had = |last: &&Last| {
            let mut all = last.xattrs.iter();
            last.node.content == node.content && all.any(|x| x.name == name && x.value == value)
        };
        if last.as_ref().is_some_and(had) {
            return Ok(true);
        }
        if last.is_some() || name != CAPABILITY {
            may_protect(caller, name)?;
        }
        self.was_given(node, (name, value))
    }

    /// Whether an attribute was given to a file as it is; of others than capabilities nothing depends on that.
    pub(super) fn was_given(&self, node: &Node, (name, value): (&[u8], &[u8])) -> Result<bool> {
        if name != CAPABILITY {
            return Ok(true);
        }
        let mut tx = self.store.read()?;
        let given = timeline::xattrs(&mut *tx, &[node.ino], Op(0))?.into_iter();
        let given = given.filter(|x| x.state.name == name && x.state.value == value);
        let given: Vec<_> = given.map(|x| (x.state.began, x.ended)).collect();
        let states = timeline::nodes(&mut *tx, &[node.ino], Op(0))?;
        let meet = |(began, ended): &(Op, Option<Op>), state: &Spell<Node>| {
            ended.is_none_or(|ended| state.state.began < ended)
                && state.ended.is_none_or(|ended| *began < ended)
        };
        let mut like = states.iter().filter(|s| is_like(&s.state, node));
        Ok(like.any(|state| given.iter().any(|given| meet(given, state))))
    }

    /// The mode that a revision gives to a file: set-id bits only where it has had them with this content and owner, whoever the
    /// caller is, and no others with another content than write(2) leaves.
    pub(super) fn revised_mode(&self, caller: &Caller, old: &Node, to: &Node) -> Result<u32> {
        let stripped = without_setid(to.mode);
        let bits = to.mode & !stripped;
        if to.is_dir() || bits == 0 || is_like(old, to) && old.mode & bits == bits {
            return Ok(to.mode);
        }
        let is_written = old.content != to.content && old.mode == to.mode;
        if is_written && !caller.is_root() || !self.had_setid(to, bits)? {
            return Ok(stripped);
        }
        Ok(to.mode)
    }

    /// The mode of a node that comes back: set-id bits only where it has had them with this content and owner, and had them when it
    /// went so, or who brings it back may set them.
    pub(super) fn mode_of_returning(
        &self,
        node: &Node,
        last: Option<&Last>,
        may_set: impl FnOnce() -> Result<bool>,
    ) -> Result<u32> {
        let stripped = without_setid(node.mode);
        let bits = node.mode & !stripped;
        if node.is_dir() || bits == 0 {
            return Ok(node.mode);
        }
        let is_same = |last: &&Last| is_like(&last.node, node) && last.node.mode & bits == bits;
        let keeps = match last {
            None => false,
            Some(last) if is_same(&last) => true,
            Some(_) => self.had_setid(node, bits)? && may_set()?,
        };
        Ok(if keeps { node.mode } else { stripped })
    }

    /// Whether a file had set-id bits at any time with the content and the owner that it is to have.
    fn had_setid(&self, node: &Node, bits: u32) -> Result<bool> {
        let mut tx = self.store.read()?;
        let states = timeline::nodes(&mut *tx, &[node.ino], Op(0))?;
        let mut states = states.iter().map(|spell| &spell.state);
        Ok(states.any(|state| is_like(state, node) && state.mode & bits == bits))
    }
}

/// Whether what was given to a file in one state is meant for the other.
fn is_like(one: &Node, other: &Node) -> bool {
    let of = |n: &Node| (n.uid, n.gid, n.content.clone());
    of(one) == of(other)
}

impl Change<'_> {
    /// Ends an attribute as an operation of its own.
    pub(super) fn drop_xattr(&mut self, path: &FsPath, old: &Arc<Xattr>) -> Result<()> {
        self.end_xattr(old);
        self.touch(Node {
            ctime: self.now,
            ..(*self.node(old.ino)?).clone()
        })?;
        let undo = json!({ "name": crate::core::path::show(&old.name) });
        self.record(OpKind::RemoveXattr, old.ino, path, None, &undo);
        Ok(())
    }
}
