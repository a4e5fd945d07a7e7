//! What makes a program do more than who runs it may: set-id bits and capabilities.
//!
//! They were given to a content. Whoever changes that takes them away (write(2), chown(2), capabilities(7)), and no way back
//! to an older state of a file gives them to another content.

use super::commit::Change;
use super::engine::Engine;
use super::xattr::prefix;
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Result, error::fail};
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
fn is_protected(name: &[u8]) -> bool {
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

    /// Whether a node that comes back may have an attribute: what only the superuser gives it has to have had with this content
    /// when it went.
    pub(super) fn may_bring_xattr(
        &self,
        caller: &Caller,
        node: &Node,
        (name, value): (&[u8], &[u8]),
    ) -> Result<()> {
        if !is_protected(name) {
            return Ok(());
        }
        let had = |last: &Last| {
            last.xattrs
                .iter()
                .any(|x| x.name == name && x.value == value)
        };
        match self.store.last_of(node.ino)? {
            Some(last) if last.node.content == node.content && had(&last) => Ok(()),
            _ => may_protect(caller, name),
        }
    }

    /// The mode of a node that comes back: set-id bits only where it had them with this content and owner when it went, or from
    /// who may set them.
    pub(super) fn mode_of_returning(&self, caller: &Caller, node: &Node) -> Result<u32> {
        let stripped = without_setid(node.mode);
        if stripped == node.mode || mode_by(caller, node) == node.mode {
            return Ok(node.mode);
        }
        let what = |n: &Node| (n.mode, n.uid, n.gid, n.content.clone());
        let is_same = |last: &Last| what(&last.node) == what(node);
        Ok(match self.store.last_of(node.ino)? {
            Some(last) if is_same(&last) => node.mode,
            _ => stripped,
        })
    }
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
