//! Extended attributes (xattr(7)), stored ones and those that Nexus computes.

use super::acl::AclOf;
use super::engine::Engine;
use super::privileges::CAPABILITY;
use super::view;
use crate::access::decide::weigh;
use crate::access::{Bits, Right, posix_acl};
use crate::core::{Caller, Error, Ino, Kind, Result, error::fail};
use crate::meta::{FileKind, Node, OpKind, Xattr};
use serde_json::json;
use std::sync::Arc;

/// The longest value, in bytes (XATTR_SIZE_MAX).
const VALUE_MAX: usize = 65_536;
/// All names and values of a node together, in bytes.
const NODE_MAX: usize = 1 << 20;
/// The names of a node together, each with its end, in bytes: listxattr(2) tells no more (XATTR_LIST_MAX), and lists of
/// permissions that come later have names, too.
const NAMES_MAX: usize = 65_536 - 64;
/// Facts that every file shows under this prefix; not listed, so that copying tools leave them alone.
const FACTS: &[u8] = b"user.nexus.";

/// The label that `ls -l` asks of every file. SELinux takes none from a FUSE mount; who hears that there are none here does not ask
/// for the next file (coreutils' getfilecon_cache), which would be a round trip each.
const SELINUX: &[u8] = b"security.selinux";

/// How setxattr(2) treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMode {
    Any,
    Create,
    Replace,
}

impl Engine {
    pub fn getxattr(&self, caller: &Caller, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        let node = self.getattr(caller, ino)?;
        let absent = || match name {
            SELINUX => Error::new(Kind::Unsupported, "labels of SELinux mean nothing here"),
            _ => Error::new(Kind::NoAttribute, "no such attribute"),
        };
        if let Some(fact) = name.strip_prefix(FACTS) {
            return self.fact(caller, &node, fact)?.ok_or_else(absent);
        }
        if let Some(of) = AclOf::named(name) {
            return self.posix_acl(caller, ino, of);
        }
        self.may_see(caller, &node, name)?;
        let all = self.attributes(caller, ino)?;
        let found = all.iter().find(|x| x.name == name);
        found.map(|x| x.value.clone()).ok_or_else(absent)
    }

    /// The names a caller may see.
    pub fn listxattr(&self, caller: &Caller, ino: Ino) -> Result<Vec<Vec<u8>>> {
        self.getattr(caller, ino)?;
        let all = self.attributes(caller, ino)?;
        let shown = |n: &Vec<u8>| !n.starts_with(b"trusted.") || caller.is_root();
        let listed = all.iter().filter(|x| !x.is_own());
        let lists = [posix_acl::ACCESS, posix_acl::DEFAULT].map(<[u8]>::to_vec);
        let has = |name: &Vec<u8>| {
            AclOf::named(name).is_some_and(|of| self.posix_acl(caller, ino, of).is_ok())
        };
        let names = listed.map(|x| x.name.clone()).filter(shown);
        Ok(names.chain(lists.into_iter().filter(has)).collect())
    }

    /// All attributes of a node, stored or in a view.
    pub(super) fn attributes(&self, caller: &Caller, ino: Ino) -> Result<Arc<[Arc<Xattr>]>> {
        if view::is_view(ino) {
            let mut all = self.views.xattrs(caller, ino)?;
            // Nothing that runs from a view has capabilities: they may have been taken away since.
            all.retain(|x| x.name != CAPABILITY);
            return Ok(all.into());
        }
        self.xattrs(ino)
    }

    pub fn setxattr(
        &self,
        caller: &Caller,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<()> {
        if value.len() > VALUE_MAX {
            return fail(
                Kind::TooBig,
                format!(
                    "attribute of {} bytes: {VALUE_MAX} is the most",
                    value.len()
                ),
            );
        }
        if let Some(of) = AclOf::named(name) {
            return self.set_posix_acl(caller, ino, of, value);
        }
        self.may_change(caller, ino, name)?;
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            let path = self.path_of(ino)?;
            let all = self.xattrs(ino)?;
            let old = all.iter().find(|x| x.name == name);
            match (mode, old) {
                (SetMode::Create, Some(_)) => return fail(Kind::Exists, "the attribute exists"),
                (SetMode::Replace, None) => return fail(Kind::NoAttribute, "no such attribute"),
                _ => {}
            }
            let others: usize = all
                .iter()
                .filter(|x| x.name != name)
                .map(|x| x.name.len() + x.value.len())
                .sum();
            if old.is_none() {
                has_room(all.iter().map(|x| &*x.name), Some(name))?;
            }
            if others + name.len() + value.len() > NODE_MAX {
                return fail(
                    Kind::NoSpace,
                    format!("a node's attributes take {NODE_MAX} bytes at most"),
                );
            }
            if let Some(old) = old {
                ch.end_xattr(old);
            }
            ch.add_xattr(Xattr {
                ino,
                name: name.to_vec(),
                value: value.to_vec(),
                began: ch.op(),
            });
            ch.touch(Node {
                ctime: ch.now,
                ..(*ch.node(ino)?).clone()
            })?;
            let undo = json!({ "name": crate::core::path::show(name), "existed": old.is_some() });
            ch.record(OpKind::SetXattr, ino, &path, None, &undo);
            Ok(())
        })
    }

    pub fn removexattr(&self, caller: &Caller, ino: Ino, name: &[u8]) -> Result<()> {
        if let Some(of) = AclOf::named(name) {
            return self.remove_posix_acl(caller, ino, of);
        }
        self.may_remove_xattr(caller, ino, name)?;
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            let path = self.path_of(ino)?;
            let all = self.xattrs(ino)?;
            let Some(old) = all.iter().find(|x| x.name == name) else {
                return fail(Kind::NoAttribute, "no such attribute");
            };
            ch.drop_xattr(&path, old)
        })
    }

    fn may_remove_xattr(&self, caller: &Caller, ino: Ino, name: &[u8]) -> Result<()> {
        if name == CAPABILITY && !view::is_view(ino) {
            return self.may_end_capability(caller, &*self.getattr(caller, ino)?);
        }
        self.may_change(caller, ino, name)
    }

    fn may_change(&self, caller: &Caller, ino: Ino, name: &[u8]) -> Result<()> {
        let node = self.getattr(caller, ino)?;
        if view::is_view(ino) {
            return view::read_only();
        }
        if name.starts_with(FACTS) {
            return fail(
                Kind::NotPermitted,
                "user.nexus.* is computed and cannot be set",
            );
        }
        if self.transient.is_unlinked(ino) {
            return fail(
                Kind::Unsupported,
                "a file without a name keeps no attributes",
            );
        }
        self.locate(ino)?.writable(caller)?;
        match prefix(name) {
            b"user" if !node.is_file() && !node.is_dir() => fail(
                Kind::NotPermitted,
                "user.* attributes belong on files and directories",
            ),
            b"user" => self.may(caller, &node, Right::Write),
            b"trusted" | b"security" if caller.is_root() => Ok(()),
            b"trusted" | b"security" => {
                fail(Kind::NotPermitted, "only the superuser sets this attribute")
            }
            _ => fail(Kind::Unsupported, "attributes of this kind are not kept"),
        }
    }

    fn may_see(&self, caller: &Caller, node: &Node, name: &[u8]) -> Result<()> {
        match prefix(name) {
            b"user" => self.may_read(caller, node),
            b"security" => Ok(()),
            b"trusted" if caller.is_root() => Ok(()),
            b"trusted" => fail(Kind::NoAttribute, "no such attribute"),
            _ => fail(Kind::Unsupported, "attributes of this kind are not kept"),
        }
    }

    fn may_read(&self, caller: &Caller, node: &Node) -> Result<()> {
        if view::is_view(node.ino) {
            return self.views.allows(caller, node.ino, Right::Read);
        }
        self.may(caller, node, Right::Read)
    }

    /// `hash`, `version` and `op` of a file; `why.RIGHT` of any node: whether the caller has it, and the layer that says so.
    fn fact(&self, caller: &Caller, node: &Node, fact: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.is_computed(node.ino) {
            return Ok(None);
        }
        let text = match fact {
            b"hash" if node.kind == FileKind::File => {
                self.may_read(caller, node)?;
                // Whoever asks through a mount holds one of its few threads.
                self.blobs.whole_hash_at_once(&node.content)?.to_string()
            }
            b"version" => node.version.to_string(),
            b"op" => node.began.to_string(),
            _ if view::is_view(node.ino) => return Ok(None),
            b"why.read" => self.why(caller, node, Right::Read)?,
            b"why.write" => self.why(caller, node, Right::Write)?,
            b"why.execute" => self.why(caller, node, Right::Execute)?,
            b"why.own" => self.why(caller, node, Right::Own)?,
            _ => return Ok(None),
        };
        Ok(Some(text.into_bytes()))
    }

    /// `nexus why` in two words, for whoever has no command at hand.
    fn why(&self, caller: &Caller, node: &Node, right: Right) -> Result<String> {
        let ground = self.ground(caller, node)?;
        let standing = weigh(caller, node, &ground)?;
        let bits = Bits::of(caller, node, ground.list());
        let answer = if standing.allowed().has(right) {
            "allowed"
        } else {
            "refused"
        };
        Ok(format!("{answer}: {}", standing.layer(right, bits).word()))
    }
}

/// Fails with `NoSpace` when the names of a node, and a new one, are more than one listing tells.
pub(in crate::fs) fn has_room<'n>(
    names: impl Iterator<Item = &'n [u8]>,
    new: Option<&'n [u8]>,
) -> Result<()> {
    let all: usize = names.chain(new).map(|name| name.len() + 1).sum();
    if all > NAMES_MAX {
        let message = format!("the names of a node's attributes take {NAMES_MAX} bytes at most");
        return fail(Kind::NoSpace, message);
    }
    Ok(())
}

pub(super) fn prefix(name: &[u8]) -> &[u8] {
    let end = name.iter().position(|b| *b == b'.').unwrap_or(name.len());
    &name[..end]
}
