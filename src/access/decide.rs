//! The one judge.

use super::unix;
use crate::core::{Caller, Kind, Result, error::fail};
use crate::meta::Node;

/// What a caller wants to do with a node. On a directory, `Execute` is to look names up in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    Read,
    Write,
    Execute,
}

/// Decides whether `caller` has `right` on `node`; fails with `Denied`, or `NotFound` across tenants.
pub fn decide(caller: &Caller, node: &Node, right: Right) -> Result<()> {
    same_tenant(caller, node)?;
    if caller.admin || unix::allows(caller, node, right) {
        return Ok(());
    }
    fail(
        Kind::Denied,
        format!("no {} permission on node {}", word(right), node.ino),
    )
}

/// Decides whether `caller` may take `node` out of `dir` (unlink(2): write on the directory; when it is sticky, also
/// ownership of the directory or the node).
pub fn decide_remove(caller: &Caller, dir: &Node, node: &Node) -> Result<()> {
    decide(caller, dir, Right::Write)?;
    decide(caller, dir, Right::Execute)?;
    let sticky = dir.mode & 0o1000 != 0;
    if !sticky
        || caller.admin
        || caller.is_root()
        || caller.uid == dir.uid
        || caller.uid == node.uid
    {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "the directory is sticky and neither it nor the file is yours",
    )
}

/// Decides whether `caller` may change what only an owner may: mode, times, ownership.
pub fn decide_own(caller: &Caller, node: &Node) -> Result<()> {
    same_tenant(caller, node)?;
    if caller.admin || caller.is_root() || caller.uid == node.uid {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        format!("node {} belongs to somebody else", node.ino),
    )
}

/// Decides a change of owner or group (chown(2)): the superuser anything; an owner only the group, to one of his.
pub fn decide_chown(
    caller: &Caller,
    node: &Node,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<()> {
    same_tenant(caller, node)?;
    if caller.admin || caller.is_root() {
        return Ok(());
    }
    let owner_stays = uid.is_none_or(|u| u == node.uid);
    let group_is_ours = gid.is_none_or(|g| g == node.gid || caller.in_group(g));
    if caller.uid == node.uid && owner_stays && group_is_ours {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "only the superuser changes an owner, and an owner the group to one of his own",
    )
}

fn same_tenant(caller: &Caller, node: &Node) -> Result<()> {
    if caller.tenant == Some(node.tenant) {
        return Ok(());
    }
    fail(Kind::NotFound, format!("no node {}", node.ino))
}

fn word(right: Right) -> &'static str {
    match right {
        Right::Read => "read",
        Right::Write => "write",
        Right::Execute => "search or execute",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Content;
    use crate::core::{Ino, Op, TenantId, Time};
    use crate::meta::FileKind;

    fn node(mode: u32, uid: u32, gid: u32) -> Node {
        Node {
            ino: Ino(9),
            tenant: TenantId(1),
            kind: FileKind::File,
            mode,
            uid,
            gid,
            nlink: 1,
            size: 0,
            rdev: 0,
            atime: Time(0),
            mtime: Time(0),
            ctime: Time(0),
            btime: Time(0),
            content: Content::Empty,
            version: 1,
            parent: Ino(0),
            began: Op(1),
            writing: None,
        }
    }

    fn person(uid: u32, groups: &[u32]) -> Caller {
        Caller {
            uid,
            gid: uid,
            groups: groups.into(),
            admin: false,
            ..Caller::engine(TenantId(1))
        }
    }

    #[test]
    fn the_owner_is_judged_by_the_owner_bits_only() {
        let own = node(0o077, 5, 5);
        assert!(decide(&person(5, &[]), &own, Right::Read).is_err());
        assert!(decide(&person(6, &[5]), &own, Right::Read).is_ok());
    }

    #[test]
    fn a_caller_of_another_tenant_finds_nothing() {
        let caller = Caller {
            tenant: Some(TenantId(2)),
            admin: true,
            ..person(0, &[])
        };
        let refused = decide(&caller, &node(0o777, 0, 0), Right::Read).unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
    }

    #[test]
    fn an_owner_gives_a_file_only_to_groups_of_his() {
        let own = node(0o600, 5, 5);
        assert!(decide_chown(&person(5, &[7]), &own, None, Some(7)).is_ok());
        assert!(decide_chown(&person(5, &[7]), &own, None, Some(8)).is_err());
        assert!(decide_chown(&person(5, &[7]), &own, Some(6), None).is_err());
    }

    /// semantics.md §2: "uid 0 has its usual UNIX privileges over what it can see"
    #[test]
    fn an_agent_of_the_superuser_is_no_superuser() {
        let agent = Caller {
            agent: Some("a".into()),
            ..person(0, &[])
        };
        assert!(decide(&agent, &node(0o600, 5, 5), Right::Read).is_err());
        assert!(decide(&person(0, &[]), &node(0o600, 5, 5), Right::Read).is_ok());
    }
}
