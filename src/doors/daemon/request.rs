//! What the daemon is asked, and what it tells.

use crate::api::label;
use crate::core::{Kind, PrincipalId, Result, TenantId, Text, error::fail};
use crate::doors::fuse::{Identity, MountOptions};
use crate::fs::Engine;
use crate::meta::User;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Who the processes on a mount are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// All of them the user that the mount was made for.
    #[default]
    Single,
    /// The user that has their number.
    Os,
}

/// A mount to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountRequest {
    /// Absolute.
    pub dir: Text,
    pub tenant: Option<String>,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub read_only: bool,
    pub allow_other: bool,
    pub identity: IdentityKind,
    pub root_admin: bool,
    /// What else came with `-o`: `name` or `name=value`.
    pub options: Vec<String>,
}

/// A mount together with the OS user it was made by: what a restarted daemon needs to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    #[serde(flatten)]
    pub request: MountRequest,
    pub os_uid: u32,
    pub os_gid: u32,
    /// Whom it was made for: nobody who comes later under the same name.
    #[serde(default)]
    pub bound: Option<Bound>,
    /// Which tenant it shows, whichever has that name later; `None` until it is made.
    #[serde(default)]
    pub shows: Option<TenantId>,
}

/// The principals behind a mount with a single identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    pub user: PrincipalId,
    /// `None` for an agent that is a label in the log only.
    pub agent: Option<PrincipalId>,
}

impl Standing {
    pub fn dir(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.request.dir.0.clone()))
    }

    /// Says what the FUSE door needs to know.
    pub(super) fn options(&self, engine: &Engine) -> Result<MountOptions> {
        let request = &self.request;
        let tenant = self.tenant(engine)?;
        Ok(MountOptions {
            dir: self.dir(),
            tenant,
            identity: self.identity(engine, tenant)?,
            read_only: request.read_only,
            allow_other: request.allow_other,
            is_alone: false,
            extra: request.options.iter().map(|o| split(o)).collect(),
        })
    }

    /// The tenant of the name, unless it is another than the one that the mount was made for.
    pub(super) fn tenant(&self, engine: &Engine) -> Result<TenantId> {
        let name = self.request.tenant.as_deref().unwrap_or("default");
        let now = engine.tenant(name)?.id;
        if self.shows.is_none_or(|then| then == now) {
            return Ok(now);
        }
        fail(
            Kind::NotFound,
            format!("the tenant {name:?} that the mount was made for was deleted"),
        )
    }

    /// Whether the tenant that it was made for was deleted: it is never made again.
    pub(super) fn is_orphan(&self, engine: &Engine) -> bool {
        let lives = |id| engine.tenants().iter().any(|t| t.id == id);
        self.shows.is_some_and(|id| !lives(id))
    }

    fn identity(&self, engine: &Engine, tenant: TenantId) -> Result<Identity> {
        let request = &self.request;
        let personal = request.user.is_some() || request.agent.is_some();
        match request.identity {
            IdentityKind::Os if personal => fail(
                Kind::Invalid,
                "on a mount with --identity os the calling process decides who it is: leave --user and --agent out",
            ),
            IdentityKind::Os => Ok(Identity::Os {
                root_admin: request.root_admin,
            }),
            IdentityKind::Single if request.root_admin => {
                fail(Kind::Invalid, "--root-admin goes with --identity os")
            }
            IdentityKind::Single => {
                label(request.agent.as_deref())?;
                label(request.session.as_deref())?;
                let user = self.user(engine, tenant)?;
                self.holds_for(engine, &user)?;
                Ok(Identity::Single {
                    user,
                    agent: request.agent.clone(),
                    session: request.session.clone(),
                    os_uid: self.os_uid,
                    os_gid: self.os_gid,
                })
            }
        }
    }

    /// Fails when it was made for others than those who have the names now.
    fn holds_for(&self, engine: &Engine, user: &User) -> Result<()> {
        let Some(bound) = self.bound else {
            return Ok(());
        };
        let now = bind(engine, user, self.request.agent.as_deref())?;
        if now.user == bound.user && (bound.agent.is_none() || now.agent == bound.agent) {
            return Ok(());
        }
        fail(
            Kind::NotFound,
            "the user or the agent that the mount was made for is gone",
        )
    }

    fn user(&self, engine: &Engine, tenant: TenantId) -> Result<User> {
        if let Some(name) = &self.request.user {
            let hint = || format!("make one with `nexusctl user create {name}`");
            return engine.user(tenant, name).map_err(|e| {
                crate::core::Error::new(e.kind(), format!("{e}: {}", hint())).caused_by(e)
            });
        }
        match crate::api::own_user(engine, tenant, self.os_uid)? {
            Some(user) => Ok(user),
            None => fail(
                Kind::Invalid,
                format!(
                    "uid {} has no name that a user of Nexus can have: say which with --user",
                    self.os_uid
                ),
            ),
        }
    }
}

/// The principals of a user and the agent of this name.
pub(super) fn bind(engine: &Engine, user: &User, agent: Option<&str>) -> Result<Bound> {
    let agent = match agent {
        Some(name) => engine.acting(user.tenant, Some(user.id), name)?,
        None => None,
    };
    Ok(Bound {
        user: user.id,
        agent: agent.map(|a| a.id),
    })
}

fn split(option: &str) -> (String, Option<String>) {
    match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.to_owned(), None),
    }
}

/// A mount as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountInfo {
    pub dir: Text,
    pub tenant: String,
    pub user: Option<String>,
    pub agent: Option<String>,
    /// Whether an agent had the name when the mount was made: a label in the log confines nothing.
    #[serde(default)]
    pub binds: bool,
    pub session: Option<String>,
    pub identity: IdentityKind,
    pub read_only: bool,
    pub allow_other: bool,
    pub since: String,
}

/// The mounts of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mounts {
    pub mounts: Vec<MountInfo>,
}

/// What is not in the tables yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pending {
    /// Files with writes that no version has yet.
    pub files: u64,
    /// Open files and directories.
    pub handles: u64,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub running: bool,
    pub pid: Option<u32>,
    pub version: String,
    pub data_dir: Text,
    pub socket: Text,
    pub uptime_s: u64,
    pub mounts: Vec<MountInfo>,
    pub pending: Pending,
}
