//! Modes where nobody else can be named: what a user namespace of `nexus run` is shown of lists and groups, and what it keeps of them.
//!
//! Such a namespace knows one uid and one gid (user_namespaces(7)): kernels take no list with others in it from there, and no other
//! group. A tool can copy the mode and nothing else, so that must not say more than what is lost with the rest.

use super::acl::of_mode;
use super::commit::Change;
use super::engine::Engine;
use super::ground::allowed;
use super::view;
use crate::access::Right;
use crate::access::acl::{Acl, Acls};
use crate::core::{Caller, Ino, Result};
use crate::meta::{FileKind, Node, xattr};
use serde_json::{Map, Value, json};

/// Somebody who can name nobody but himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone {
    /// His own group, and that of his tenant, whose files nobody else gets by a copy of their mode.
    pub groups: [u32; 2],
    /// The node in question, if it was made where he is: what is said of its mode is meant for it as it is.
    pub made: Option<Ino>,
}

/// What else an operation changed beside a node, as its record tells it (`traces`).
pub(super) type Told = Map<String, Value>;

impl Engine {
    /// The permission bits of a node as a copy without its list may have them: of the group what the owning group itself has, and if
    /// that is a group that the copy cannot be given, no more than everybody has. Set-id and sticky bits are as they are.
    pub fn mode_alone(&self, node: &Node, alone: Alone) -> u32 {
        if node.kind == FileKind::Symlink {
            return node.mode;
        }
        // Nobody is told more than is known for certain.
        let list = self.access_list(node).unwrap_or_else(|e| {
            tracing::warn!(ino = %node.ino, "its list cannot be read: {}", e.chain());
            Some(Acl::default())
        });
        shown(node, list.as_ref(), alone)
    }

    fn access_list(&self, node: &Node) -> Result<Option<Acl>> {
        if view::is_view(node.ino) {
            let all = self.attributes(&Caller::engine(node.tenant), node.ino)?;
            let stored = all.iter().find(|x| x.name == xattr::ACLS);
            let acls = stored.map(|x| Acls::decode(&x.value)).transpose()?;
            return Ok(acls.and_then(|a| a.access));
        }
        let said = self.policy.domain(node.ino);
        Ok(said.and_then(|d| d.acls.access.clone()))
    }

    /// Whether a list is no more than what a directory handed on.
    fn is_handed(&self, list: Option<&Acl>, dir: Ino) -> bool {
        let Some(list) = list else { return true };
        let said = self.policy.domain(dir);
        let given = said.as_ref().and_then(|d| d.acls.default.as_ref());
        list.entries.iter().all(|e| {
            let mut given = given.iter().flat_map(|list| &list.entries);
            !e.deny
                && given.any(|g| (g.who, g.deny) == (e.who, e.deny) && e.rights & !g.rights == 0)
        })
    }
}

impl Change<'_> {
    /// The mode that chmod(2) gives, where who asks for it saw [`Engine::mode_alone`]: what he adds is the owning group's, what he
    /// takes away is gone for those in the list, too, and what he leaves as he sees it stays as it is.
    pub(super) fn chmod_alone(
        &mut self,
        old: &Node,
        mode: u32,
        alone: Alone,
    ) -> Result<(u32, Told)> {
        let list = self.engine.access_list(old)?;
        let (seen, wanted) = (shown(old, list.as_ref(), alone) >> 3 & 7, mode >> 3 & 7);
        let closes = wanted == 0 && alone.made == Some(old.ino);
        if old.kind == FileKind::Symlink || seen == wanted && !closes {
            return Ok((mode & !0o070 | old.mode & 0o070, Told::new()));
        }
        let (most, own) = (old.mode >> 3 & 7, own_group(old, list.as_ref()));
        let (added, taken) = (wanted & !seen, seen & !wanted);
        let next = |bits: u32| {
            if wanted == 0 {
                0
            } else {
                bits & !taken | added
            }
        };
        let group = next(most) << 3;
        let Some(mut list) = list.filter(Acl::extends) else {
            return Ok((mode & !0o070 | group, Told::new()));
        };
        list.group = next(own);
        if added & !most != 0 {
            // The mask grows for the owning group alone.
            let named = list.entries.iter_mut().filter(|e| !e.deny);
            named.for_each(|e| e.rights &= most);
        }
        let told = self.put_access(old.ino, Some(list))?;
        // Who finds it by the list may be others now, under the same mode.
        self.forget_below(old)?;
        Ok((mode & !0o070 | group, told))
    }

    /// Gives a new file the group and the list of the one whose name it gets, when it is meant to be the same: made beside it by its
    /// owner and with the mode that he was shown. Nobody has more on it by that than on the old one, which the caller could have
    /// written to. To be asked before that one goes.
    pub(super) fn succeed(
        &mut self,
        (new, old): (&Node, &Node),
        dir: Ino,
        alone: Alone,
    ) -> Result<Told> {
        let engine = self.engine;
        let (has, had) = (engine.access_list(new)?, engine.access_list(old)?);
        let seen = |node, list| shown(node, list, alone) & 0o777;
        let is_same = new.is_file()
            && old.is_file()
            && alone.made == Some(new.ino)
            && (new.uid, new.nlink) == (old.uid, 1)
            && seen(new, has.as_ref()) == seen(old, had.as_ref());
        if !is_same || !engine.is_handed(has.as_ref(), dir) || engine.capability(new.ino)?.is_some()
        {
            return Ok(Told::new());
        }
        let may = |right| allowed(engine.may(self.caller, old, right));
        if !may(Right::Own)? && !may(Right::Write)? {
            return Ok(Told::new());
        }
        // A program would run for another group by its bit.
        let kept = if new.gid == old.gid { 0o7000 } else { 0o1000 };
        let mode = new.mode & kept | old.mode & 0o777;
        let mut told = Told::new();
        if has != had {
            told = self.put_access(new.ino, had)?;
        }
        if (mode, old.gid) != (new.mode, new.gid) {
            told.insert("mode".into(), json!(format!("{:o}", new.mode)));
            told.insert("gid".into(), json!(new.gid));
        }
        if !told.is_empty() {
            self.update(Node {
                mode,
                gid: old.gid,
                ctime: self.now,
                ..(*self.node(new.ino)?).clone()
            })?;
        }
        Ok(told)
    }

    /// Puts a list of itself in the place of a node's.
    fn put_access(&mut self, ino: Ino, access: Option<Acl>) -> Result<Told> {
        let all = self.engine.xattrs(ino)?;
        let old = all.iter().find(|x| x.name == xattr::ACLS);
        let was = old.map(|x| Acls::decode(&x.value)).transpose()?;
        let acls = Acls {
            access,
            ..was.clone().unwrap_or_default()
        };
        if was.as_ref().unwrap_or(&Acls::default()) == &acls {
            return Ok(Told::new());
        }
        if let Some(old) = old {
            self.end_xattr(old);
        }
        if !acls.is_empty() {
            self.give_acls(ino, &acls)?;
        }
        let lists = if acls.is_empty() { "gone" } else { "new" };
        let told = [("acls", json!(was)), ("lists", json!(lists))];
        Ok(told
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect())
    }
}

/// What the owning group has of a node, which a list may keep below the mode's bits.
fn own_group(node: &Node, list: Option<&Acl>) -> u32 {
    let list = list.filter(|list| list.extends());
    of_mode(node.mode).group & list.map_or(7, |list| list.group)
}

fn shown(node: &Node, list: Option<&Acl>, alone: Alone) -> u32 {
    let others = if alone.groups.contains(&node.gid) {
        7
    } else {
        node.mode & 7
    };
    node.mode & !0o070 | (own_group(node, list) & others) << 3
}
