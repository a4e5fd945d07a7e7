//! Tenants, users and the settings of namespaces.

use super::Command;
use super::caller::is_trusted;
use super::context::{Context, Done};
use crate::core::{Caller, Error, Kind, PrincipalId, Result, error::fail};
use crate::fs::Estate;
use crate::meta::tenant::GroupRule;
use crate::meta::tuple::EVERYBODY;
use crate::meta::{Namespace, Roster, SubjectKind, Tenant, User};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct TenantInfo {
    pub name: String,
    pub id: u32,
    pub gid: u32,
}

impl From<Tenant> for TenantInfo {
    fn from(t: Tenant) -> Self {
        Self {
            name: t.name,
            id: t.id.0,
            gid: t.gid,
        }
    }
}

/// Makes a tenant with its tree.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantCreate {
    pub name: String,
}

impl Command for TenantCreate {
    const NAME: &'static str = "tenant-create";
    type Reply = TenantInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TenantInfo> {
        let made = cx.engine().create_tenant(cx.caller, &self.name)?;
        cx.durable(made.into())
    }
}

/// Takes a tenant away with its users, agents, groups, keys, grants and types; files and log stay in the store as history. For
/// administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDelete {
    pub name: String,
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

impl Command for TenantDelete {
    const NAME: &'static str = "tenant-delete";
    type Reply = Estate;

    fn run(self, cx: &mut Context<'_>) -> Result<Estate> {
        if self.dry_run {
            return cx.engine().estate(cx.caller, &self.name);
        }
        let gone = cx.engine().delete_tenant(cx.caller, &self.name)?;
        cx.durable(gone)
    }
}

/// Lists the tenants: all for an administrator, for others their own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Tenants {
    pub tenants: Vec<TenantInfo>,
}

impl Command for TenantList {
    const NAME: &'static str = "tenant-list";
    type Reply = Tenants;

    fn run(self, cx: &mut Context<'_>) -> Result<Tenants> {
        let mut all = cx.engine().tenants();
        all.retain(|t| cx.caller.admin || Some(t.id) == cx.caller.tenant);
        Ok(Tenants {
            tenants: all.into_iter().map(Into::into).collect(),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct UserInfo {
    pub user: String,
    pub id: u64,
    pub name: Option<String>,
    pub email: Option<String>,
    pub uid: u32,
    pub gid: u32,
    pub created: String,
}

impl UserInfo {
    /// A user as the caller may know him.
    fn shown(caller: &Caller, user: User) -> Self {
        let is_own = caller.user_id == Some(user.id) && !caller.isolated;
        let mut shown = Self::from(user);
        if !caller.admin && !is_own {
            shown.email = None;
        }
        shown
    }
}

impl From<User> for UserInfo {
    fn from(u: User) -> Self {
        Self {
            user: u.name,
            id: u.id.0,
            name: u.full_name,
            email: u.email,
            uid: u.uid,
            gid: u.gid,
            created: u.created.to_string(),
        }
    }
}

/// Makes a user of the tenant; without a `uid` the user gets a free one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    pub user: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub uid: Option<u32>,
}

impl Command for UserCreate {
    const NAME: &'static str = "user-create";
    type Reply = UserInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<UserInfo> {
        let about = (self.name, self.email);
        let made = cx
            .engine()
            .create_user(cx.caller, &self.user, self.uid, about)?;
        cx.durable(made.into())
    }
}

/// Lists the users of the tenant. E-mail addresses are for administrators and for whose they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Users {
    pub users: Vec<UserInfo>,
}

impl Command for UserList {
    const NAME: &'static str = "user-list";
    type Reply = Users;

    fn run(self, cx: &mut Context<'_>) -> Result<Users> {
        let users = cx.engine().users(cx.tenant()?)?.into_iter();
        Ok(Users {
            users: users.map(|u| UserInfo::shown(cx.caller, u)).collect(),
        })
    }
}

/// Shows one user of the tenant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserShow {
    pub user: String,
}

/// A user with what hangs on him.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserDetails {
    #[serde(flatten)]
    pub about: UserInfo,
    /// The groups he is in, himself or through others.
    pub groups: Vec<String>,
    /// His agents, as far as the caller may know of them.
    pub agents: Vec<String>,
}

impl Command for UserShow {
    const NAME: &'static str = "user-show";
    type Reply = UserDetails;

    fn run(self, cx: &mut Context<'_>) -> Result<UserDetails> {
        let user = cx.engine().user(cx.tenant()?, &self.user)?;
        let roster = cx.roster()?;
        let groups = roster.groups_of(user.id);
        let mut groups: Vec<_> = groups.iter().map(|g| name_of(&roster, *g)).collect();
        groups.sort();
        let known = cx.engine().agents(cx.caller)?;
        let own = known.iter().filter(|a| a.owner == user.id);
        Ok(UserDetails {
            groups,
            agents: own.map(|a| a.name.clone()).collect(),
            about: UserInfo::shown(cx.caller, user),
        })
    }
}

/// The name of a principal; of one that is gone, its number.
pub(super) fn name_of(roster: &Roster, id: PrincipalId) -> String {
    roster
        .by_id(id)
        .map_or_else(|| format!("#{}", id.0), |p| p.subject().name)
}

/// Takes a user away with his agents, and the keys, memberships and grants of all of them. Fails with `Invalid` for the user of root or
/// of the owner of the data directory, who would be made anew by the next thing he does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserDelete {
    pub user: String,
}

impl Command for UserDelete {
    const NAME: &'static str = "user-delete";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        if cx.caller.admin {
            stays(cx, &self.user)?;
        }
        cx.engine().delete_user(cx.caller, &self.user)?;
        cx.durable(Done {})
    }
}

/// Fails for a user whom the store makes by itself (see [`own_user`](super::own_user)).
fn stays(cx: &Context<'_>, name: &str) -> Result<()> {
    let roster = cx.roster()?;
    let Some(user) = roster.user(name) else {
        return Ok(());
    };
    if !is_trusted(cx.engine(), user.uid)? || super::os_user(user.uid).as_deref() != Some(name) {
        return Ok(());
    }
    let message = format!(
        "user {name:?} is there for root, or for who owns the data directory, and would be made anew by the next command; \
         agents, grants and keys can be taken away one by one"
    );
    fail(Kind::Invalid, message)
}

/// Fails with `NotFound` where no principal of a kind, if that is said, has a name, or none that the caller may know of.
pub(super) fn is_somebody(cx: &Context<'_>, kind: Option<&str>, name: &str) -> Result<()> {
    let (roster, agents) = (cx.roster()?, cx.engine().agents(cx.caller)?);
    let is = |kind| match kind {
        SubjectKind::User => name == EVERYBODY || roster.user(name).is_some(),
        SubjectKind::Group => roster.group(name).is_some(),
        SubjectKind::Agent => agents.iter().any(|agent| agent.name == name),
    };
    let is_of_kind = |one: &SubjectKind| kind.is_none_or(|kind| one.to_string() == kind);
    let mut kinds = SubjectKind::ALL.into_iter().filter(is_of_kind).peekable();
    // Of a type of the tenant's own there is whatever something is said of.
    if kinds.peek().is_none() || kinds.any(is) {
        return Ok(());
    }
    let what = kind.unwrap_or("user, agent or group");
    fail(Kind::NotFound, format!("no {what} {name:?}"))
}

#[derive(Debug, Serialize, Deserialize)]
pub struct NamespaceInfo {
    pub name: String,
    /// Octal, as in `0770`.
    pub mask: String,
    pub group: String,
}

impl From<Namespace> for NamespaceInfo {
    fn from(n: Namespace) -> Self {
        Self {
            name: n.name,
            mask: format!("{:04o}", n.mask),
            group: n.group.name().to_owned(),
        }
    }
}

/// Sets what new entries of a namespace may look like.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSet {
    pub name: String,
    #[serde(default)]
    pub mask: Option<String>,
    #[serde(default)]
    pub group: Option<String>,
}

impl Command for NamespaceSet {
    const NAME: &'static str = "namespace-set";
    type Reply = NamespaceInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<NamespaceInfo> {
        if self.mask.is_none() && self.group.is_none() {
            return fail(
                Kind::Invalid,
                "say what to set: a mask, a group rule, or both",
            );
        }
        let mask = self.mask.as_deref().map(octal).transpose()?;
        let group = self
            .group
            .as_deref()
            .map(GroupRule::from_name)
            .transpose()?;
        let set = cx
            .engine()
            .set_namespace(cx.caller, &self.name, mask, group)?;
        cx.durable(set.into())
    }
}

/// Reads a mode: `0o640`, `0640`, `640`.
pub(super) fn octal(text: &str) -> Result<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).map_err(|e| {
        Error::new(
            Kind::Invalid,
            format!("mode {text:?}: write it in octal, as in 0770"),
        )
        .caused_by(e)
    })
}

/// Lists the settings of the tenant's namespaces.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Namespaces {
    pub namespaces: Vec<NamespaceInfo>,
}

impl Command for NamespaceList {
    const NAME: &'static str = "namespace-list";
    type Reply = Namespaces;

    fn run(self, cx: &mut Context<'_>) -> Result<Namespaces> {
        let set = cx.engine().namespaces(cx.tenant()?)?;
        Ok(Namespaces {
            namespaces: set.into_iter().map(Into::into).collect(),
        })
    }
}
