//! Access control lists of nodes: read, set, handed on to what is made in a directory (acl(5)).

use super::commit::Change;
use super::engine::Engine;
use super::privileges::mode_by;
use super::view;
use crate::access::acl::{Acl, AclEntry, AclWho, Acls, Letters};
use crate::access::posix_acl;
use crate::core::{Caller, Error, Ino, Kind, Result, error::fail};
use crate::meta::{FileKind, Node, OpKind, Roster, Xattr, xattr};
use serde_json::json;
use std::sync::Arc;

/// How many entries the record of a change tells; lists are handed over whole.
const TOLD_MAX: usize = 16;

/// Which of a node's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclOf {
    /// Who may use the node.
    Itself,
    /// What a directory hands on; its denies hold for everything below.
    Below,
}

impl AclOf {
    /// The list that an attribute of the kernel's is about.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            posix_acl::ACCESS => Some(Self::Itself),
            posix_acl::DEFAULT => Some(Self::Below),
            _ => None,
        }
    }
}

impl Engine {
    /// A node with its lists, the access list's owner, mask and others as its mode has them.
    pub fn acls(&self, caller: &Caller, ino: Ino) -> Result<(Arc<Node>, Acls)> {
        let node = self.getattr(caller, ino)?;
        let mut acls = if view::is_view(ino) {
            let all = self.attributes(caller, ino)?;
            let stored = all.iter().find(|x| x.name == xattr::ACLS);
            stored.map(|x| Acls::decode(&x.value)).transpose()?
        } else {
            self.policy.domain(ino).map(|d| d.acls.clone())
        };
        if let Some(list) = acls.as_mut().and_then(|a| a.access.as_mut()) {
            reflect(list, node.mode);
        }
        Ok((node, acls.unwrap_or_default()))
    }

    /// Puts an entry into a list, in the place of the one about the same subject. The mask grows so that an entry that allows
    /// holds. Takes ownership.
    pub fn set_acl_entry(
        &self,
        caller: &Caller,
        ino: Ino,
        of: AclOf,
        entry: AclEntry,
    ) -> Result<()> {
        self.edit_acl(caller, ino, of, |list| {
            list.set(entry)?;
            if !entry.deny {
                list.mask = list.full_mask();
            }
            Ok(())
        })
    }

    /// Takes an entry out of a list; fails with `NotFound` when it is not there. Takes ownership.
    pub fn remove_acl_entry(
        &self,
        caller: &Caller,
        ino: Ino,
        of: AclOf,
        (who, deny): (AclWho, bool),
    ) -> Result<()> {
        self.edit_acl(caller, ino, of, |list| {
            if list.remove(who, deny) {
                return Ok(());
            }
            fail(Kind::NotFound, "the list has no such entry")
        })
    }

    /// Reads a list in the kernel's form.
    pub(super) fn posix_acl(&self, caller: &Caller, ino: Ino, of: AclOf) -> Result<Vec<u8>> {
        let (_, acls) = self.acls(caller, ino)?;
        let bytes = match of {
            AclOf::Itself => acls.access.as_ref().and_then(posix_acl::encode),
            AclOf::Below => acls
                .default
                .as_ref()
                .filter(|l| has_words(l))
                .map(posix_acl::encode_all),
        };
        bytes.ok_or_else(|| Error::new(Kind::NoAttribute, "no such attribute"))
    }

    /// Sets a list in the kernel's form, and the mode's bits that it tells of; denies stay. Takes ownership; one that says no more than
    /// a mode, as cp(1) and sed(1) copy modes, what a mode takes.
    pub(super) fn set_posix_acl(
        &self,
        caller: &Caller,
        ino: Ino,
        of: AclOf,
        bytes: &[u8],
    ) -> Result<()> {
        let new = posix_acl::decode(bytes)?;
        let plain = (of == AclOf::Itself && new.entries.is_empty()).then_some(&new);
        let may = |ino| self.may_list(caller, ino, plain);
        self.edit_acl_of(caller, ino, (of, &may), |list| {
            let denies = list.entries.iter().filter(|e| e.deny).copied();
            let entries = new.entries.iter().copied().chain(denies).collect();
            *list = Acl {
                entries,
                ..new.clone()
            };
            Ok(())
        })
    }

    /// Takes a list away but for its denies; the mode stays. Takes ownership.
    pub(super) fn remove_posix_acl(&self, caller: &Caller, ino: Ino, of: AclOf) -> Result<()> {
        self.edit_acl(caller, ino, of, |list| {
            list.entries.retain(|e| e.deny);
            if of == AclOf::Below {
                (list.owner, list.group, list.mask, list.other) = (0, 0, 0, 0);
            }
            Ok(())
        })
    }

    /// Whether a caller may set a node's list. `plain` says no more than a mode.
    fn may_list(&self, caller: &Caller, ino: Ino, plain: Option<&Acl>) -> Result<Arc<Node>> {
        let (node, acls) = self.acls(caller, ino)?;
        let is_listed = acls.access.is_some_and(|list| !list.entries.is_empty());
        let Some(list) = plain.filter(|_| !is_listed) else {
            return self.may_rule(caller, ino);
        };
        self.may_reach(caller, &node)?;
        self.locate(ino)?.writable(caller)?;
        self.may_keep(caller, &node, Some(mode_of(list, node.mode)))?;
        Ok(node)
    }

    fn edit_acl(
        &self,
        caller: &Caller,
        ino: Ino,
        of: AclOf,
        f: impl FnOnce(&mut Acl) -> Result<()>,
    ) -> Result<()> {
        let may = |ino| self.may_rule(caller, ino);
        self.edit_acl_of(caller, ino, (of, &may), f)
    }

    fn edit_acl_of(
        &self,
        caller: &Caller,
        ino: Ino,
        (of, may): (AclOf, &dyn Fn(Ino) -> Result<Arc<Node>>),
        f: impl FnOnce(&mut Acl) -> Result<()>,
    ) -> Result<()> {
        if view::is_view(ino) {
            return view::read_only();
        }
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            let node = may(ino)?;
            if node.kind == FileKind::Symlink {
                return fail(Kind::Unsupported, "a symbolic link has no list");
            }
            if of == AclOf::Below && !node.is_dir() {
                return fail(Kind::Denied, "only a directory hands a list on");
            }
            let (_, mut acls) = self.acls(caller, ino)?;
            let mut begun = of_mode(node.mode);
            if let Some(own) = acls.access.as_ref().filter(|own| own.extends()) {
                // The mode's group bits are the mask of the names in it, not what the owning group has.
                (begun.group, begun.mask) = (own.group, own.group);
            }
            let place = match of {
                AclOf::Itself => &mut acls.access,
                AclOf::Below => &mut acls.default,
            };
            let mut list = place.take().unwrap_or(begun);
            f(&mut list)?;
            // A stranger to its group leaves it no set-gid bit; the owner's is not his to take.
            let kept = mode_by(caller, &node) | node.mode & 0o4000;
            let mode = (of == AclOf::Itself).then(|| mode_of(&list, kept));
            *place =
                Some(list).filter(|l| !l.entries.is_empty() || of == AclOf::Below && has_words(l));
            ch.put_acls(&node, &acls, mode)
        })
    }

    /// What a new node gets from the list that its directory hands on: its mode, without regard to the umask, and its lists.
    pub(super) fn handed_on(&self, dir: Ino, mode: u32, is_dir: bool) -> Option<(u32, Acls)> {
        let domain = self.policy.domain(dir)?;
        let given = domain.acls.default.as_ref().filter(|l| has_words(l))?;
        let allowing = given.entries.iter().filter(|e| !e.deny).copied().collect();
        let default = Acl {
            entries: allowing,
            ..given.clone()
        };
        let group = if default.entries.is_empty() {
            default.group
        } else {
            default.mask
        };
        let most = default.owner << 6 | group << 3 | default.other;
        let access = default.extends().then(|| default.clone());
        let default = is_dir.then_some(default);
        Some((mode & !0o777 | mode & most, Acls { access, default }))
    }
}

impl Change<'_> {
    fn put_acls(&mut self, node: &Node, acls: &Acls, mode: Option<u32>) -> Result<()> {
        let ino = node.ino;
        let all = self.engine.xattrs(ino)?;
        let old = all.iter().find(|x| x.name == xattr::ACLS);
        let was = old.map(|x| Acls::decode(&x.value)).transpose()?;
        let same = was.as_ref().unwrap_or(&Acls::default()) == acls;
        // What became of their row, which `verify` looks for.
        let lists = match (same, acls.is_empty()) {
            (true, _) => "same",
            (false, true) => "gone",
            (false, false) => "new",
        };
        let roster = self.engine.roster(node.tenant)?;
        let entries = changed(was.as_ref(), acls, &roster);
        let undo = json!({
            "acls": was,
            "mode": format!("{:o}", node.mode),
            "lists": lists,
            "entries": entries,
        });
        let mode = mode.unwrap_or(node.mode);
        // Tools that copy a file set the list that its mode is anyway.
        if same && mode == node.mode {
            return Ok(());
        }
        if !same {
            if let Some(old) = old {
                self.end_xattr(old);
            }
            if !acls.is_empty() {
                self.give_acls(ino, acls)?;
            }
        }
        let was = self.node(ino)?;
        let new = Node {
            mode,
            ctime: self.now,
            ..(*was).clone()
        };
        // The kernel that it came through knows of no other mode by that.
        self.forget_below(node)?;
        self.update(new)?;
        let path = self.engine.path_of(ino)?;
        self.record(OpKind::SetAcl, ino, &path, None, &undo);
        Ok(())
    }

    /// Writes the lists of a node that has none.
    pub(super) fn give_acls(&mut self, ino: Ino, acls: &Acls) -> Result<()> {
        let new = Xattr {
            ino,
            name: xattr::ACLS.to_vec(),
            value: acls.encode()?,
            began: self.op(),
        };
        self.add_xattr(new);
        Ok(())
    }
}

/// An entry as people write it: `user:bob:rw-`, `deny:group:interns:---`.
pub fn entry_words(entry: &AclEntry, roster: &Roster) -> String {
    let deny = if entry.deny { "deny:" } else { "" };
    let number = |name: Option<String>, number: u32| name.unwrap_or_else(|| number.to_string());
    let who = match entry.who {
        AclWho::User(uid) => {
            let user = roster.user_of_uid(uid);
            format!("user:{}", number(user.map(|u| u.name.clone()), uid))
        }
        AclWho::Group(gid) => {
            let group = roster.group_of_gid(gid);
            format!("group:{}", number(group.map(|g| g.name.clone()), gid))
        }
    };
    format!("{deny}{who}:{}", Letters(entry.rights))
}

/// What lists got, and behind a `-` what they lost, for the log.
fn changed(was: Option<&Acls>, now: &Acls, roster: &Roster) -> Vec<String> {
    let none = Acls::default();
    let was = was.unwrap_or(&none);
    let entries = |list: &Option<Acl>| list.as_ref().map_or_else(Vec::new, |l| l.entries.clone());
    let mut all = Vec::new();
    for (of, was, now) in [
        ("", entries(&was.access), entries(&now.access)),
        ("default:", entries(&was.default), entries(&now.default)),
    ] {
        let words = |sign, e: &AclEntry| format!("{sign}{of}{}", entry_words(e, roster));
        let stays = |e: &AclEntry, in_: &[AclEntry]| {
            in_.iter()
                .any(|other| (other.who, other.deny) == (e.who, e.deny))
        };
        let gone = was.iter().filter(|e| !stays(e, &now));
        all.extend(gone.map(|e| words("-", e)));
        let new = now.iter().filter(|e| !was.contains(e));
        all.extend(new.map(|e| words("", e)));
    }
    let more = all.len().saturating_sub(TOLD_MAX);
    all.truncate(TOLD_MAX);
    all.extend((more > 0).then(|| format!("{more} more")));
    all
}

/// The list that says what a mode says.
pub(super) fn of_mode(mode: u32) -> Acl {
    let group = mode >> 3 & 7;
    Acl {
        owner: mode >> 6 & 7,
        group,
        mask: group,
        other: mode & 7,
        entries: Vec::new(),
    }
}

/// The group bits of a mode are the mask of a list with names, else the owning group's.
fn mode_of(list: &Acl, mode: u32) -> u32 {
    let group = if list.extends() {
        list.mask
    } else {
        list.group
    };
    mode & !0o777 | (list.owner & 7) << 6 | (group & 7) << 3 | list.other & 7
}

fn reflect(list: &mut Acl, mode: u32) {
    let now = of_mode(mode);
    (list.owner, list.mask, list.other) = (now.owner, now.mask, now.other);
    if !list.extends() {
        list.group = now.group;
    }
}

/// Whether a list that is handed on says anything but denies.
fn has_words(list: &Acl) -> bool {
    list.extends() || list.owner | list.group | list.other != 0
}
