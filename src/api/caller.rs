//! Who asks over a local connection: what the kernel says of the peer, and what an administrator asked to be.

use crate::core::{Caller, Kind, Result, TenantId, error::fail};
use crate::fs::Engine;
use crate::meta::User;
use crate::nexus::Nexus;
use nix::unistd::{Uid, User as OsUser};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

/// What the umask of a caller is that does not say.
const UMASK: u32 = 0o022;
const LABEL_MAX: usize = 128;

/// The process at the other end, as the kernel knows it.
#[derive(Debug, Clone)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
    /// Its supplementary groups, which count here as on a mount.
    pub groups: Vec<u32>,
    pub pid: u32,
}

impl Peer {
    /// This process.
    pub fn myself() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            groups: nix::unistd::getgroups().map_or_else(
                |_| Vec::new(),
                |all| all.into_iter().map(nix::unistd::Gid::as_raw).collect(),
            ),
            pid: std::process::id(),
        }
    }
}

/// What a request says about itself. `agent` and `session` are names for the log and take rights away, never give any.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub tenant: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub umask: Option<u32>,
}

/// Builds the caller. The owner of the data directory and root are administrators, unless an agent acts for them;
/// anybody else is the user that has their number, or nobody.
pub fn local(nexus: &Nexus, peer: &Peer, asked: &Asked) -> Result<Caller> {
    let engine = &nexus.engine;
    label(asked.agent.as_deref())?;
    label(asked.session.as_deref())?;
    let trusted = is_trusted(engine, peer.uid)?;
    let tenant = engine.tenant(asked.tenant.as_deref().unwrap_or("default"))?;
    let mut user = engine.user_of_uid(tenant.id, peer.uid);
    if trusted && user.is_none() {
        user = own_user(engine, tenant.id, peer.uid)?;
    }
    if !trusted && user.is_none() && asked.tenant.is_some() {
        return fail(Kind::NotFound, format!("no tenant {:?}", tenant.name));
    }
    let member = trusted || user.is_some();
    let user_id = user.as_ref().map(|u| u.id);
    let agent = match &asked.agent {
        Some(name) if member => engine.acting(tenant.id, user_id, name)?,
        _ => None,
    };
    Ok(engine.confirm(&Caller {
        tenant: member.then_some(tenant.id),
        user_id,
        agent: asked.agent.as_deref().map(Arc::from),
        agent_id: agent.as_ref().map(|a| a.id),
        isolated: agent.is_some_and(|a| a.isolated),
        session: asked.session.as_deref().map(Arc::from),
        admin: trusted && asked.agent.is_none(),
        uid: user.as_ref().map_or(peer.uid, |u| u.uid),
        gid: user
            .as_ref()
            .map_or(peer.gid, |u| u.group_of((peer.uid, peer.gid))),
        groups: member
            .then_some(tenant.gid)
            .into_iter()
            .chain([peer.gid])
            .chain(peer.groups.iter().copied())
            .collect(),
        user: user.map(|u| Arc::from(u.name)),
        pid: peer.pid,
        comm: None,
        mount: None,
        umask: asked.umask.unwrap_or(UMASK) & 0o777,
        rehearses: false,
    }))
}

/// Whether a number is that of an administrator of the store: root's, or that of who owns the data directory.
pub(super) fn is_trusted(engine: &Engine, uid: u32) -> Result<bool> {
    Ok(uid == 0 || std::fs::metadata(&engine.config().data_dir)?.uid() == uid)
}

/// The tenant's user of an administrator: the one of his name, made at first use. `None` when his name cannot be one.
pub fn own_user(engine: &Engine, tenant: TenantId, uid: u32) -> Result<Option<User>> {
    match os_user(uid) {
        Some(name) => found_or_made(engine, tenant, &name, uid),
        None => Ok(None),
    }
}

fn found_or_made(engine: &Engine, tenant: TenantId, name: &str, uid: u32) -> Result<Option<User>> {
    if let Ok(user) = engine.user(tenant, name) {
        return Ok(Some(user));
    }
    match engine.create_user(&Caller::engine(tenant), name, Some(uid), (None, None)) {
        Ok(user) => Ok(Some(user)),
        Err(e) if e.kind() == Kind::Invalid => Ok(None),
        // Two first requests at the same time: the other one has made it.
        Err(e) if e.kind() == Kind::Exists => engine.user(tenant, name).map(Some),
        Err(e) => Err(e),
    }
}

/// The operating system's name of a user, if it has one.
pub fn os_user(uid: u32) -> Option<String> {
    OsUser::from_uid(Uid::from_raw(uid))
        .ok()
        .flatten()
        .map(|u| u.name)
}

/// Checks a name that the log is to have, of an agent or a session.
pub fn label(name: Option<&str>) -> Result<()> {
    match name {
        Some(n) if n.is_empty() || n.len() > LABEL_MAX || n.chars().any(char::is_control) => fail(
            Kind::Invalid,
            format!("name {n:?}: use 1 to {LABEL_MAX} printable characters"),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Config;

    fn store() -> (tempfile::TempDir, Nexus) {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path().join("data"))).unwrap();
        (dir, nexus)
    }

    #[test]
    fn the_owner_is_an_administrator_and_a_user_of_his_name() {
        let (_dir, nexus) = store();
        let me = local(&nexus, &Peer::myself(), &Asked::default()).unwrap();
        assert!(me.admin);
        assert_eq!(me.user.as_deref(), os_user(Peer::myself().uid).as_deref());
    }

    #[test]
    fn the_groups_of_a_process_are_its_callers() {
        let (_dir, nexus) = store();
        let peer = Peer {
            groups: vec![4711, 4712],
            ..Peer::myself()
        };
        let me = local(&nexus, &peer, &Asked::default()).unwrap();
        let tenant = nexus.engine.tenant("default").unwrap();
        let all = [peer.gid, 4711, 4712, tenant.gid];
        assert!(all.iter().all(|gid| me.in_group(*gid)) && !me.in_group(4713));
    }

    #[test]
    fn an_agent_of_the_owner_is_no_administrator() {
        let (_dir, nexus) = store();
        let asked = Asked {
            agent: Some("coder".into()),
            ..Asked::default()
        };
        assert!(!local(&nexus, &Peer::myself(), &asked).unwrap().admin);
    }

    fn acting(nexus: &Nexus, agent: &str) -> Result<Caller> {
        let asked = Asked {
            agent: Some(agent.into()),
            ..Asked::default()
        };
        local(nexus, &Peer::myself(), &asked)
    }

    /// semantics.md §2: "An agent that exists acts for its owner alone; a name that no agent has is a label in the log and takes
    /// rights away, never gives any."
    #[test]
    fn an_agent_that_exists_acts_for_its_owner_alone() {
        let (_dir, nexus) = store();
        let (engine, me) = (
            &nexus.engine,
            local(&nexus, &Peer::myself(), &Asked::default()).unwrap(),
        );
        engine
            .create_user(&me, "alice", None, (None, None))
            .unwrap();
        let mine = engine.create_agent(&me, "mine", None, true).unwrap();
        engine
            .create_agent(&me, "hers", Some("alice"), false)
            .unwrap();
        let caller = acting(&nexus, "mine").unwrap();
        assert_eq!(caller.agent_id, Some(mine.id));
        assert!(caller.isolated && caller.user_id == me.user_id && me.user_id.is_some());
        let label = acting(&nexus, "a label").unwrap();
        assert!(label.agent_id.is_none() && !label.isolated && !label.admin);
        let refused = acting(&nexus, "hers").unwrap_err();
        assert_eq!(refused.kind(), Kind::NotPermitted);
    }

    /// As on a mount where the calling uid decides.
    #[test]
    fn what_a_user_makes_has_the_group_of_its_process() {
        let (_dir, nexus) = store();
        let engine = &nexus.engine;
        let me = Caller::engine(TenantId(1));
        engine
            .create_user(&me, "eve", Some(54_321), (None, None))
            .unwrap();
        let peer = |uid| Peer {
            uid,
            gid: 4711,
            groups: Vec::new(),
            pid: 1,
        };
        let of = |uid| local(&nexus, &peer(uid), &Asked::default()).unwrap();
        assert_eq!((of(54_321).uid, of(54_321).gid), (54_321, 4711));
    }

    #[test]
    fn a_stranger_belongs_to_no_tenant_and_learns_of_none() {
        let (_dir, nexus) = store();
        let peer = Peer {
            uid: 54_321,
            gid: 54_321,
            groups: vec![54_322],
            pid: 1,
        };
        assert_eq!(
            local(&nexus, &peer, &Asked::default()).unwrap().tenant,
            None
        );
        let nobody = local(&nexus, &peer, &Asked::default()).unwrap();
        let told = nexus.engine.root(&nobody).unwrap_err();
        let hint = "nexusctl user create NAME --uid 54321";
        assert!(told.message().contains(hint), "{told}");
        let asked = Asked {
            tenant: Some("default".into()),
            ..Asked::default()
        };
        let refused = local(&nexus, &peer, &asked).unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
    }
}
