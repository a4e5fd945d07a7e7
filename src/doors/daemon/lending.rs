//! Mounts for a while: what `nexus run` puts in the place of the store's mounts until its command has ended.
//!
//! The daemon chooses where they stand: in its runtime directory, where nobody can put something else in their place.

use super::mounting::{Daemon, Term};
use super::request::{IdentityKind, MountInfo, MountRequest, Standing};
use super::runtime;
use crate::api::{self, Asked, Peer};
use crate::core::{Caller, Kind, Result, TenantId, Text, error::fail};
use crate::meta::{Principal, Roster, User};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

/// Whose work a command is to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LendRequest {
    /// Where the command starts, absolute: on a mount, it goes on as whoever that is for.
    pub cwd: Text,
    pub tenant: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
}

/// A mount that is there until it is given back, or whoever asked for it has gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lent {
    pub dir: Text,
    pub user: String,
    /// Whether an agent has the name that was said: its rights bind, a label binds nothing.
    pub binds: bool,
    /// The numbers (st_dev) of the mounts that it is to stand for, wherever these are now.
    pub devices: Vec<u64>,
    /// Directories that lead past it.
    pub hidden: Vec<Text>,
}

impl Daemon {
    /// Makes a mount for a command of the peer's. Anybody may ask, for himself and for agents of his own; an administrator for
    /// whoever owns the agent, or is served where he works.
    pub fn lend(&self, peer: &Peer, request: &LendRequest) -> Result<Lent> {
        api::label(request.agent.as_deref())?;
        api::label(request.session.as_deref())?;
        let lasting = self.lasting();
        let cwd = Path::new(OsStr::from_bytes(&request.cwd.0));
        let here = holding(&lasting, cwd);
        let named = request.tenant.as_ref().or(here.map(|m| &m.tenant));
        let name = named.map_or("default", |n| n);
        let caller = api::local(&self.nexus, peer, &asked(name))?;
        let tenant = self.nexus.engine.tenant(name)?.id;
        if caller.tenant != Some(tenant) {
            return fail(Kind::NotFound, "you belong to no tenant here");
        }
        let mounts: Vec<_> = lasting.iter().filter(|m| m.tenant == name).collect();
        if mounts.is_empty() {
            let cure = "`nexus mount DIR` first";
            return fail(
                Kind::NotFound,
                format!("tenant {name:?} is mounted nowhere: {cure}"),
            );
        }
        let here = here.filter(|m| m.tenant == name);
        let agent = request.agent.clone().or(here.and_then(|m| m.agent.clone()));
        let user = self.acting(&caller, tenant, agent.as_deref(), here, &mounts)?;
        let known = agent
            .as_deref()
            .map(|a| self.nexus.engine.acting(tenant, Some(user.id), a));
        let binds = known.transpose()?.flatten().is_some();
        let session = request.session.clone();
        let dir = self.stand_lent(
            peer,
            MountRequest {
                tenant: Some(name.to_owned()),
                user: Some(user.name.clone()),
                agent,
                session: session.or(here.and_then(|m| m.session.clone())),
                read_only: here.map_or(mounts.iter().all(|m| m.read_only), |m| m.read_only),
                // Nobody else comes by the directory that it is in.
                allow_other: peer.uid != geteuid().as_raw(),
                ..MountRequest::default()
            },
        )?;
        let data = self.nexus.engine.config().data_dir.clone();
        Ok(Lent {
            dir,
            user: user.name.clone(),
            binds,
            devices: self.devices(peer.uid),
            hidden: [data, self.runtime.dir()?]
                .iter()
                .map(|d| text(d))
                .collect(),
        })
    }

    fn stand_lent(&self, peer: &Peer, request: MountRequest) -> Result<Text> {
        let point = self.runtime.room()?;
        let standing = Standing {
            request: MountRequest {
                dir: text(&point),
                ..request
            },
            os_uid: peer.uid,
            os_gid: peer.gid,
            bound: None,
            shows: None,
        };
        let stands = self.stand(&standing, Term::Lent);
        // Not before: the owner of the way to a mount point could make it lead elsewhere.
        let handed = stands.and_then(|_| runtime::hand_over(&point, peer.uid));
        if let Err(e) = handed {
            // One that was never made is not missed.
            self.umount(&point, true).ok();
            runtime::give_back(&point);
            return Err(e);
        }
        Ok(text(&point))
    }

    /// Whose rights the command has, before its agent takes some away.
    fn acting(
        &self,
        caller: &Caller,
        tenant: TenantId,
        agent: Option<&str>,
        here: Option<&MountInfo>,
        mounts: &[&MountInfo],
    ) -> Result<Arc<User>> {
        let roster = self.nexus.engine.roster(tenant)?;
        let own = || match caller.user_id.and_then(|id| user(&roster, id)) {
            Some(own) => Ok(own),
            None => fail(
                Kind::NotFound,
                "you are no user here: an administrator makes one with `nexusctl user create NAME --uid N`",
            ),
        };
        if !caller.admin {
            return own();
        }
        if let Some(agent) = agent.and_then(|name| roster.agent(name))
            && let Some(owner) = user(&roster, agent.owner)
        {
            return Ok(owner);
        }
        if let Some(here) = here {
            return match &here.user {
                Some(name) => self.nexus.engine.user(tenant, name).map(Arc::new),
                None => own(),
            };
        }
        let his = |m: &&&MountInfo| {
            m.identity == IdentityKind::Os || m.user.as_deref() == caller.user.as_deref()
        };
        if mounts.iter().any(|m| his(&m)) {
            return own();
        }
        let all: Vec<_> = mounts.iter().map(|m| candidate(m)).collect();
        fail(
            Kind::Invalid,
            format!("as whom? start it on one of the mounts: {}", all.join(", ")),
        )
    }
}

fn user(roster: &Roster, id: crate::core::PrincipalId) -> Option<Arc<User>> {
    match roster.by_id(id)? {
        Principal::User(user) => Some(user.clone()),
        Principal::Agent(_) | Principal::Group(_) => None,
    }
}

fn candidate(mount: &MountInfo) -> String {
    let user = mount.user.as_deref().unwrap_or("each by uid");
    format!("{} ({user})", mount.dir)
}

/// The mount that a directory is on, the innermost if several hold it.
fn holding<'a>(mounts: &'a [MountInfo], dir: &Path) -> Option<&'a MountInfo> {
    let holds = |m: &&MountInfo| dir.starts_with(OsStr::from_bytes(&m.dir.0));
    mounts.iter().filter(holds).max_by_key(|m| m.dir.0.len())
}

fn asked(tenant: &str) -> Asked {
    Asked {
        tenant: Some(tenant.to_owned()),
        ..Asked::default()
    }
}

fn text(dir: &Path) -> Text {
    Text(dir.as_os_str().as_bytes().to_vec())
}
