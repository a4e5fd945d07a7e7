//! Who is asking. Built by a door from what the kernel or the connection proves, never from what the
//! caller claims.

use super::error::{Error, Kind};
use super::ids::{MountId, PrincipalId, TenantId};
use std::sync::Arc;

/// The context that every call of the engine takes first.
#[derive(Debug, Clone)]
pub struct Caller {
    /// `None` sees nothing.
    pub tenant: Option<TenantId>,
    /// The user's name within the tenant; `None` for a number without a user.
    pub user: Option<Arc<str>>,
    /// The user's number: what grants and memberships know him by.
    pub user_id: Option<PrincipalId>,
    /// The agent that acts for the user.
    pub agent: Option<Arc<str>>,
    /// The agent's number; `None` for a name that is a label in the log and no principal.
    pub agent_id: Option<PrincipalId>,
    /// Whether the agent has its own grants only, and none of its owner's rights.
    pub isolated: bool,
    pub session: Option<Arc<str>>,
    /// Nexus administrator: sees `/system` and passes the permission check, audited.
    pub admin: bool,
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, `gid` not necessarily among them.
    pub groups: Arc<[u32]>,
    /// The process (or thread) that asked; 0 when it is not known.
    pub pid: u32,
    /// Its command name, where the door knows it; otherwise the log asks `/proc`.
    pub comm: Option<Arc<str>>,
    /// The mount the request came through, so that its own kernel is not told what it already knows.
    pub mount: Option<MountId>,
    /// Bits a new file must not have (umask(2)); 0 when the surface has none.
    pub umask: u32,
    /// Whether it is only tried what could be done: that is not done, by whosever word.
    pub rehearses: bool,
}

impl Caller {
    /// The engine itself: recovery, seeding, sweeping.
    pub fn engine(tenant: TenantId) -> Self {
        Self {
            tenant: Some(tenant),
            user: None,
            user_id: None,
            agent: None,
            agent_id: None,
            isolated: false,
            session: None,
            admin: true,
            uid: 0,
            gid: 0,
            groups: Arc::from([]),
            pid: std::process::id(),
            comm: Some(Arc::from("nexus")),
            mount: None,
            umask: 0,
            rehearses: false,
        }
    }

    /// Says to somebody who has no tenant what he lacks.
    pub fn stranger(&self, kind: Kind) -> Error {
        let uid = self.uid;
        let message = format!(
            "uid {uid} is no user here; an administrator runs `nexusctl user create NAME --uid {uid}`"
        );
        Error::new(kind, message)
    }

    /// Whether UNIX privileges of the superuser apply (semantics.md §2): uid 0, unless it acts as an agent.
    pub fn is_root(&self) -> bool {
        self.uid == 0 && self.agent.is_none()
    }

    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}
