//! Who asks: from the numbers that the kernel puts on a request to the engine's caller.

use super::answer::Sender;
use super::single::Single;
use crate::core::{Caller, Error, Kind, MountId, Result, TenantId, Time};
use crate::fs::Engine;
use crate::meta::User;
use lru::LruCache;
use nix::unistd::{Gid, Uid, getgrouplist};
use parking_lot::Mutex;
use std::ffi::CString;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How many processes are remembered with their groups.
const PROCESSES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// How long a process is remembered, in nanoseconds: setgroups(2) holds after that.
const REMEMBERED: i64 = 1_000_000_000;

/// Whom the processes on a mount act as (semantics.md §2).
#[derive(Debug, Clone)]
pub enum Identity {
    /// Everybody acts as one user, perhaps through an agent; the user shows as the mounting OS user.
    Single {
        user: User,
        agent: Option<String>,
        session: Option<String>,
        os_uid: u32,
        os_gid: u32,
    },
    /// The calling uid decides; uid 0 is a Nexus administrator only with `root_admin`.
    Os { root_admin: bool },
}

/// Makes the callers of one mount.
pub(super) struct Callers {
    engine: Arc<Engine>,
    tenant: TenantId,
    tenant_gid: u32,
    mount: MountId,
    who: Who,
}

enum Who {
    Single(Single),
    Os { root_admin: bool, seen: Mutex<Seen> },
}

/// Processes with when they were looked at, the principals' revision then, and who they were.
type Seen = LruCache<Sender, (Time, u64, Caller)>;

impl Callers {
    pub(super) fn new(
        engine: Arc<Engine>,
        tenant: TenantId,
        mount: MountId,
        identity: &Identity,
    ) -> Result<Self> {
        let known = engine.tenants().into_iter().find(|t| t.id == tenant);
        let missing = || Error::new(Kind::NotFound, format!("no tenant {}", tenant.0));
        let tenant_gid = known.ok_or_else(missing)?.gid;
        let who = match identity {
            Identity::Single {
                user,
                agent,
                session,
                os_uid,
                os_gid,
            } => Who::Single(Single::new(
                &engine,
                &Caller {
                    tenant: Some(tenant),
                    user: Some(user.name.as_str().into()),
                    user_id: Some(user.id),
                    agent: agent.as_deref().map(Into::into),
                    agent_id: None,
                    isolated: false,
                    session: session.as_deref().map(Into::into),
                    admin: false,
                    uid: user.uid,
                    gid: user.group_of((*os_uid, *os_gid)),
                    groups: single_groups(tenant_gid, (*os_uid, *os_gid)),
                    pid: 0,
                    comm: None,
                    mount: Some(mount),
                    umask: 0,
                    rehearses: false,
                },
            )?),
            Identity::Os { root_admin } => Who::Os {
                root_admin: *root_admin,
                seen: Mutex::new(LruCache::new(PROCESSES_MAX)),
            },
        };
        Ok(Self {
            engine,
            tenant,
            tenant_gid,
            mount,
            who,
        })
    }

    pub(super) fn mount(&self) -> MountId {
        self.mount
    }

    pub(super) fn tenant_gid(&self) -> u32 {
        self.tenant_gid
    }

    /// The engine on behalf of the mount's tenant.
    pub(super) fn nobody(&self) -> Caller {
        Caller::engine(self.tenant)
    }

    /// Whether every process on the mount is the same caller.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.who, Who::Single(_))
    }

    pub(super) fn of(&self, who: Sender) -> Caller {
        match &self.who {
            Who::Single(single) => Caller {
                pid: who.pid,
                ..single.caller(&self.engine)
            },
            Who::Os { root_admin, seen } => self.remembered(who, *root_admin, seen),
        }
    }

    /// The same caller with the mount's tenant, for what a stranger may see too: that there is a mount.
    pub(super) fn of_member(&self, who: Sender) -> Caller {
        Caller {
            tenant: Some(self.tenant),
            ..self.of(who)
        }
    }

    fn remembered(&self, process: Sender, root_admin: bool, seen: &Mutex<Seen>) -> Caller {
        let now = self.engine.clock().now();
        let revision = self.engine.principals_revision();
        if let Some((at, then, caller)) = seen.lock().get(&process)
            && *then == revision
            && (0..REMEMBERED).contains(&(now.0 - at.0))
        {
            return caller.clone();
        }
        let caller = self.os_caller(process, root_admin);
        seen.lock().put(process, (now, revision, caller.clone()));
        caller
    }

    /// uid 0 keeps the tenant whether it is a user or not; any other uid without a user has none.
    fn os_caller(&self, process: Sender, root_admin: bool) -> Caller {
        let user = self.engine.user_of_uid(self.tenant, process.uid);
        let is_root = process.uid == 0;
        let mut groups = if is_root {
            Vec::new()
        } else {
            groups_of(process.pid)
        };
        if user.is_some() {
            groups.push(self.tenant_gid);
        }
        self.engine.confirm(&Caller {
            tenant: (is_root || user.is_some()).then_some(self.tenant),
            user_id: user.as_ref().map(|u| u.id),
            user: user.map(|u| u.name.into()),
            agent: None,
            agent_id: None,
            isolated: false,
            session: None,
            admin: is_root && root_admin,
            uid: process.uid,
            gid: process.gid,
            groups: groups.into(),
            pid: process.pid,
            comm: None,
            mount: Some(self.mount),
            umask: 0,
            rehearses: false,
        })
    }
}

/// The tenant's group, and those that the mounting OS user, given by uid and gid, has in /etc/group.
fn single_groups(tenant_gid: u32, owner: (u32, u32)) -> Arc<[u32]> {
    let mut groups = vec![tenant_gid];
    let name = nix::unistd::User::from_uid(Uid::from_raw(owner.0))
        .ok()
        .flatten();
    if let Some(name) = name.and_then(|u| CString::new(u.name).ok())
        && let Ok(listed) = getgrouplist(&name, Gid::from_raw(owner.1))
    {
        groups.extend(listed.iter().map(|g| g.as_raw()));
    }
    groups.into()
}

/// Supplementary groups of a process (proc_pid_status(5)): FUSE requests do not carry them. None of one that is gone.
fn groups_of(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or_else(|_| Vec::new(), |s| groups_in(&s))
}

fn groups_in(status: &str) -> Vec<u32> {
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("Groups:"))
        .unwrap_or_default();
    line.split_whitespace()
        .filter_map(|g| g.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_from_the_status_file() {
        assert_eq!(
            groups_in("Uid:\t1\nGroups:\t4 24 1000 \nNStgid:\t9\n"),
            [4, 24, 1000]
        );
        assert!(groups_in("Groups:\t\n").is_empty());
        assert!(groups_in("").is_empty());
    }

    #[test]
    fn a_single_caller_is_always_in_the_tenants_group() {
        assert!(single_groups(2_000_001, (u32::MAX - 5, 7)).contains(&2_000_001));
    }
}
