//! The one judge.
//!
//! In order: tenant, administrator, a deny, the graph, lists and modes (semantics.md §4). Budget: no allocation, no query;
//! what was said about the node and what lies above it is at hand as a [`Ground`].

use super::ground::Ground;
use super::rights::{Right, Rights};
use super::unix::{self, Bits};
use crate::core::{Caller, Kind, Result, error::fail};
use crate::meta::Node;

/// What each layer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub admin: bool,
    pub denied: Rights,
    pub graph: Rights,
    pub unix: Rights,
}

/// The layer that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    Admin,
    Deny,
    Graph,
    /// An entry of the node's list.
    Acl,
    Unix,
    /// None allows it.
    None,
}

impl Layer {
    /// Its word in replies and attributes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Deny => "deny",
            Self::Acl => "acl",
            Self::Graph => "graph",
            Self::Unix => "unix",
            Self::None => "none",
        }
    }
}

impl Standing {
    /// What is allowed in the end.
    pub fn allowed(self) -> Rights {
        if self.admin {
            return Rights::ALL;
        }
        self.by_layers()
    }

    /// What is allowed without an administrator's word.
    pub fn by_layers(self) -> Rights {
        self.graph.and(self.unix).without(self.denied)
    }

    /// The same of an administrator, as if he were none. The superuser's privileges count as his own over what belongs to him, and
    /// as an administrator's word over everything else.
    pub fn without_his_word(mut self, caller: &Caller, node: &Node, ground: &Ground) -> Rights {
        if caller.is_root() && node.uid != caller.uid {
            self.unix = unix::plain(caller, node, ground.list());
        }
        self.by_layers()
    }

    /// The first layer that has a word on this right, where these bits are the caller's.
    pub fn layer(self, right: Right, bits: Bits) -> Layer {
        if self.admin {
            Layer::Admin
        } else if self.denied.has(right) {
            Layer::Deny
        } else if self.graph.has(right) {
            Layer::Graph
        } else if self.unix.has(right) {
            match bits {
                Bits::Listed => Layer::Acl,
                _ => Layer::Unix,
            }
        } else {
            Layer::None
        }
    }
}

/// Weighs all layers for a caller and a node of his tenant; fails with `NotFound` across tenants.
pub fn weigh(caller: &Caller, node: &Node, ground: &Ground) -> Result<Standing> {
    if caller.tenant != Some(node.tenant) {
        return fail(Kind::NotFound, format!("no node {}", node.ino));
    }
    let mut graph = ground.granted();
    if node.is_dir() && graph.has(Right::Read) {
        graph = graph.and(Rights::EXECUTE);
    }
    let mut denied = ground.denied(caller);
    if caller.uid == node.uid && !caller.isolated {
        // Else whoever was granted ownership could shut out the owner, and he himself by a slip.
        denied = denied.without(Rights::OWN);
    }
    Ok(Standing {
        admin: caller.admin,
        denied,
        graph,
        unix: if caller.isolated {
            Rights::NONE
        } else {
            unix::rights(caller, node, ground.list())
        },
    })
}

/// Decides whether `caller` has `right` on `node`; fails with `Denied`, for an owner's right with `NotPermitted`, and with
/// `NotFound` across tenants.
pub fn decide(caller: &Caller, node: &Node, ground: &Ground, right: Right) -> Result<()> {
    if weigh(caller, node, ground)?.allowed().has(right) {
        return Ok(());
    }
    refuse(right)
}

/// Says that somebody has not a right, in words that are there already: most refusals are asked for, not shown.
pub fn refuse<T>(right: Right) -> Result<T> {
    match right {
        Right::Own => fail(Kind::NotPermitted, "it belongs to somebody else"),
        Right::Read => fail(Kind::Denied, "no read permission"),
        Right::Write => fail(Kind::Denied, "no write permission"),
        Right::Execute => fail(Kind::Denied, "no execute permission"),
    }
}

/// Decides whether `caller`, who found `node` in `dir`, may take it out: write on the directory (unlink(2)), or by a grant on
/// the node; when the directory is sticky, also ownership of the directory or the node.
pub fn decide_remove(caller: &Caller, dir: (&Node, &Ground), node: (&Node, &Ground)) -> Result<()> {
    let of_node = weigh(caller, node.0, node.1)?;
    let granted = of_node.graph.without(of_node.denied).has(Right::Write);
    if !granted {
        decide(caller, dir.0, dir.1, Right::Write)?;
    }
    let sticky = dir.0.mode & 0o1000 != 0;
    if !sticky
        || of_node.allowed().has(Right::Own)
        || decide(caller, dir.0, dir.1, Right::Own).is_ok()
    {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "the directory is sticky and neither it nor the file is yours",
    )
}

/// Decides a change of owner or group (chown(2)): the superuser anything; an owner only the group, to one of his.
pub fn decide_chown(
    caller: &Caller,
    node: &Node,
    ground: &Ground,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<()> {
    let standing = weigh(caller, node, ground)?;
    if standing.admin || caller.is_root() {
        return Ok(());
    }
    let owner_stays = uid.is_none_or(|u| u == node.uid);
    let group_is_ours = gid.is_none_or(|g| g == node.gid || caller.in_group(g));
    if standing.allowed().has(Right::Own) && owner_stays && group_is_ours {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "only the superuser changes an owner, and an owner the group to one of his own",
    )
}

#[cfg(test)]
mod tests {
    use super::super::acl::{Acl, AclEntry, AclWho, Acls};
    use super::super::chain::{Chain, Reach};
    use super::super::domain::{Domain, Grant, Grantee};
    use super::*;
    use crate::blob::Content;
    use crate::core::{Ino, Op, PrincipalId, TenantId, Time};
    use crate::meta::FileKind;
    use std::sync::Arc;

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

    fn decide(caller: &Caller, node: &Node, right: Right) -> Result<()> {
        super::decide(caller, node, &Ground::default(), right)
    }

    fn grant(who: u64, rights: Rights) -> Domain {
        Domain {
            grants: vec![Grant {
                id: 1,
                grantee: Grantee::Principal(PrincipalId(who)),
                rights,
                expires: None,
            }],
            ..Domain::default()
        }
    }

    fn deny(uid: u32) -> Acl {
        let mut acl = Acl::default();
        acl.set(AclEntry {
            who: AclWho::User(uid),
            deny: true,
            rights: 0,
        })
        .unwrap();
        acl
    }

    fn ground(own: Option<Domain>, above: Vec<Domain>, who: u64) -> Ground {
        Ground {
            own: own.map(Arc::new),
            above: above.into_iter().map(Arc::new).collect(),
            beside: Vec::new(),
            who: Reach::of([PrincipalId(who)]),
            now: Time(0),
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
        let chown = |groups: &[u32], uid, gid| {
            decide_chown(&person(5, groups), &own, &Ground::default(), uid, gid)
        };
        assert!(chown(&[7], None, Some(7)).is_ok());
        assert!(chown(&[7], None, Some(8)).is_err());
        assert!(chown(&[7], Some(6), None).is_err());
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

    #[test]
    fn a_deny_beats_grant_and_mode_wherever_it_comes_from() {
        let bob = person(7, &[]);
        let lists = |access, default| Domain {
            acls: Acls { access, default },
            ..grant(70, Rights::ALL)
        };
        let file = node(0o666, 5, 5);
        let reads = |g: &Ground| super::decide(&bob, &file, g, Right::Read).is_ok();
        let granted = grant(70, Rights::ALL);
        assert!(reads(&ground(Some(granted.clone()), vec![], 70)));
        let own = lists(Some(deny(7)), None);
        assert!(!reads(&ground(Some(own.clone()), vec![], 70)));
        let handed = lists(None, Some(deny(7)));
        assert!(!reads(&ground(Some(granted), vec![handed], 70)));
        // A directory's own list is about the directory itself.
        assert!(reads(&ground(None, vec![own], 70)));
        let admin = Caller {
            admin: true,
            ..bob.clone()
        };
        let denied = ground(Some(lists(Some(deny(7)), None)), vec![], 70);
        assert!(super::decide(&admin, &file, &denied, Right::Read).is_ok());
    }

    #[test]
    fn a_deny_leaves_a_node_to_its_owner() {
        let denies = Domain {
            acls: Acls {
                access: Some(deny(5)),
                default: None,
            },
            ..Domain::default()
        };
        let shut = ground(Some(denies), vec![], 70);
        let own = |caller: &Caller, owner, right| {
            super::decide(caller, &node(0o700, owner, owner), &shut, right)
        };
        let alice = person(5, &[]);
        assert!(own(&alice, 5, Right::Own).is_ok());
        assert!(own(&alice, 5, Right::Read).is_err());
        assert!(own(&alice, 6, Right::Own).is_err());
        let agent = Caller {
            agent: Some("a".into()),
            isolated: true,
            ..alice
        };
        assert!(own(&agent, 5, Right::Own).is_err());
    }

    #[test]
    fn a_file_of_several_names_is_open_as_far_as_all_of_them_say() {
        let file = node(0o600, 5, 5);
        let chain = |domain: Domain| Chain::from_iter([Arc::new(domain)]);
        let by = |above: Domain, beside: &[Domain]| Ground {
            beside: beside.iter().cloned().map(chain).collect(),
            ..ground(None, vec![above], 70)
        };
        let allowed = |g: &Ground| weigh(&person(7, &[]), &file, g).unwrap().allowed();
        let (all, read) = (grant(70, Rights::ALL), grant(70, Rights::READ));
        assert_eq!(
            allowed(&by(all.clone(), std::slice::from_ref(&read))),
            Rights::READ
        );
        assert_eq!(
            allowed(&by(all.clone(), &[grant(71, Rights::ALL)])),
            Rights::NONE
        );
        let mut denies = read;
        denies.acls.default = Some(deny(7));
        assert_eq!(allowed(&by(all, &[denies])), Rights::NONE);
    }

    #[test]
    fn the_graph_allows_what_modes_do_not_and_names_its_layer() {
        let file = node(0o600, 5, 5);
        let standing = |who| {
            let g = ground(None, vec![grant(70, Rights::READ.and(Rights::WRITE))], who);
            weigh(&person(7, &[]), &file, &g).unwrap()
        };
        assert_eq!(standing(70).layer(Right::Write, Bits::Others), Layer::Graph);
        assert_eq!(standing(70).layer(Right::Own, Bits::Others), Layer::None);
        assert_eq!(standing(71).layer(Right::Read, Bits::Others), Layer::None);
        let own = weigh(&person(5, &[]), &file, &Ground::default()).unwrap();
        assert_eq!(own.layer(Right::Read, Bits::Others), Layer::Unix);
    }

    #[test]
    fn an_isolated_agent_has_its_own_grants_and_nothing_of_its_owner() {
        let agent = Caller {
            agent: Some("a".into()),
            isolated: true,
            ..person(5, &[])
        };
        let file = node(0o777, 5, 5);
        let reads = |g: &Ground| super::decide(&agent, &file, g, Right::Read).is_ok();
        assert!(!reads(&Ground::default()));
        assert!(reads(&ground(Some(grant(70, Rights::READ)), vec![], 70)));
    }

    #[test]
    fn a_file_is_taken_away_by_write_on_its_directory_or_by_a_grant_on_it() {
        let bob = person(7, &[]);
        let mut dir = node(0o755, 5, 5);
        dir.kind = FileKind::Directory;
        let file = node(0o600, 5, 5);
        let none = Ground::default();
        let granted = ground(Some(grant(70, Rights::WRITE)), vec![], 70);
        assert!(decide_remove(&bob, (&dir, &none), (&file, &none)).is_err());
        assert!(decide_remove(&bob, (&dir, &none), (&file, &granted)).is_ok());
        dir.mode = 0o1777;
        assert!(decide_remove(&bob, (&dir, &none), (&file, &granted)).is_err());
        assert!(decide_remove(&person(5, &[]), (&dir, &none), (&file, &none)).is_ok());
    }
}
