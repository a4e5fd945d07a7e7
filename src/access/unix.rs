//! The UNIX layer: owner, group, mode (path_resolution(7), credentials(7)), and lists where a node has one (acl(5)).

use super::acl::Acl;
use super::rights::Rights;
use crate::core::Caller;
use crate::meta::Node;

/// The rights of a caller by mode and list; the superuser has all but execute where there is no x bit.
pub(super) fn rights(caller: &Caller, node: &Node, list: Option<&Acl>) -> Rights {
    if caller.is_root() {
        let runs = node.is_dir() || node.mode & 0o111 != 0;
        let all = Rights::READ.and(Rights::WRITE).and(Rights::OWN);
        return if runs { all.and(Rights::EXECUTE) } else { all };
    }
    plain(caller, node, list)
}

/// Whose bits of a mode are somebody's, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    Superuser,
    Owner,
    Group,
    Others,
    /// The node has a list that speaks of him.
    Listed,
    /// Modes and lists give an isolated agent nothing.
    Nobody,
}

impl Bits {
    /// Those that decide about a caller.
    pub fn of(caller: &Caller, node: &Node, list: Option<&Acl>) -> Self {
        if caller.isolated {
            Self::Nobody
        } else if caller.is_root() {
            Self::Superuser
        } else if caller.uid == node.uid {
            Self::Owner
        } else if let Some(list) = list.filter(|list| list.extends()) {
            let listed = list.allowed(caller, node.gid, node.mode >> 3);
            listed.map_or(Self::Others, |_| Self::Listed)
        } else if caller.in_group(node.gid) {
            Self::Group
        } else {
            Self::Others
        }
    }
}

/// The same for anybody, whatever his number.
pub(super) fn plain(caller: &Caller, node: &Node, list: Option<&Acl>) -> Rights {
    if caller.uid == node.uid {
        return Rights::from_bits(node.mode >> 6).and(Rights::OWN);
    }
    let group = node.mode >> 3;
    if let Some(list) = list.filter(|list| list.extends()) {
        let listed = list.allowed(caller, node.gid, group);
        return listed.unwrap_or_else(|| Rights::from_bits(node.mode));
    }
    Rights::from_bits(if caller.in_group(node.gid) {
        group
    } else {
        node.mode
    })
}
