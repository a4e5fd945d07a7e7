//! Where a node stands: its path, its namespace, and what the tenant has set for it.

use super::engine::Engine;
use crate::access::namespace::{self, Policy};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result, TenantId, error::fail};
use crate::meta::tenant::{self, GroupRule};
use crate::meta::{Edit, Namespace, OpKind, Tenant, User};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;

/// How deep a tree may be; a longer chain of parents is a cycle that damage made.
const DEPTH_MAX: usize = 4096;
/// Group numbers of tenants start here.
const TENANT_GIDS: u32 = 2_000_000;
/// Users made without a number get one from here on.
const USER_UIDS: u32 = 1_000_000;

/// A tenant with everything that is asked about it on hot paths.
#[derive(Debug)]
pub(super) struct Home {
    pub tenant: Tenant,
    pub users: Vec<User>,
    pub namespaces: Vec<Namespace>,
}

/// Every tenant, loaded once and replaced when one changes.
#[derive(Default)]
pub(super) struct Tenants {
    homes: RwLock<HashMap<TenantId, Arc<Home>>>,
    /// One change of them at a time.
    turn: Mutex<()>,
}

/// A directory's path and the namespace it lies in; `None` in the tenant's root itself.
pub(super) struct Location {
    pub path: FsPath,
    pub policy: Option<&'static Policy>,
}

impl Location {
    /// Fails where nothing may be created, changed or removed.
    pub(super) fn writable(&self, caller: &Caller) -> Result<()> {
        match self.policy {
            None => fail(
                Kind::Denied,
                "the root of a tenant holds its namespaces and nothing else",
            ),
            Some(p) if !p.visible_to(caller) => fail(Kind::NotFound, format!("no {}", self.path)),
            Some(p) if p.read_only => fail(Kind::ReadOnly, format!("/{} is read-only", p.name)),
            Some(_) => Ok(()),
        }
    }
}

impl Engine {
    pub(super) fn home(&self, tenant: TenantId) -> Result<Arc<Home>> {
        let found = self.tenants.homes.read().get(&tenant).cloned();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("no tenant {}", tenant.0)))
    }

    pub(super) fn load_tenants(&self) -> Result<()> {
        let mut tx = self.store.read()?;
        let mut homes = HashMap::new();
        for tenant in tenant::tenants(&mut *tx)? {
            let users = tenant::users(&mut *tx, tenant.id)?;
            let namespaces = tenant::namespaces(&mut *tx, tenant.id)?;
            homes.insert(
                tenant.id,
                Arc::new(Home {
                    tenant,
                    users,
                    namespaces,
                }),
            );
        }
        *self.tenants.homes.write() = homes;
        Ok(())
    }

    /// Runs a change of tenants, users or settings. What `f` finds of them is as it was committed, and stays so until `f`
    /// has committed: a second user of one name would be refused by the database alone, when everybody believes in it.
    pub(super) fn change_tenants<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let _turn = self.tenants.turn.lock();
        // Whoever came before may have failed to.
        self.load_tenants()?;
        let out = f()?;
        self.load_tenants()?;
        Ok(out)
    }

    /// Every tenant. Asks nobody: doors show it to administrators only.
    pub fn tenants(&self) -> Vec<Tenant> {
        let mut all: Vec<_> = self
            .tenants
            .homes
            .read()
            .values()
            .map(|h| h.tenant.clone())
            .collect();
        all.sort_by_key(|t| t.id);
        all
    }

    pub fn tenant(&self, name: &str) -> Result<Tenant> {
        let found = self.tenants().into_iter().find(|t| t.name == name);
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("no tenant {name:?}")))
    }

    pub fn users(&self, tenant: TenantId) -> Result<Vec<User>> {
        Ok(self.home(tenant)?.users.clone())
    }

    pub fn user(&self, tenant: TenantId, name: &str) -> Result<User> {
        let found = self
            .home(tenant)?
            .users
            .iter()
            .find(|u| u.name == name)
            .cloned();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("no user {name:?}")))
    }

    pub fn user_of_uid(&self, tenant: TenantId, uid: u32) -> Option<User> {
        self.home(tenant)
            .ok()?
            .users
            .iter()
            .find(|u| u.uid == uid)
            .cloned()
    }

    pub fn namespaces(&self, tenant: TenantId) -> Result<Vec<Namespace>> {
        Ok(self.home(tenant)?.namespaces.clone())
    }

    /// Makes a tenant with its tree; administrators only.
    pub fn create_tenant(&self, caller: &Caller, name: &str) -> Result<Tenant> {
        admin(caller)?;
        principal(name)?;
        self.change_tenants(|| {
            if self.tenant(name).is_ok() {
                return fail(Kind::Exists, format!("tenant {name:?} exists"));
            }
            self.plant(name)
        })
    }

    pub(super) fn new_tenant(&self, name: &str, root: Ino) -> Tenant {
        let id = self
            .tenants
            .homes
            .read()
            .keys()
            .map(|t| t.0)
            .max()
            .unwrap_or(0)
            + 1;
        Tenant {
            id: TenantId(id),
            name: name.to_owned(),
            gid: TENANT_GIDS + id,
            root,
        }
    }

    /// Makes a user of the caller's tenant; administrators only. Without a `uid` the user gets a free one.
    pub fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        uid: Option<u32>,
        about: (Option<String>, Option<String>),
    ) -> Result<User> {
        admin(caller)?;
        principal(name)?;
        self.change_tenants(|| {
            self.change(caller, |ch| {
                let tenant = caller.tenant.unwrap_or(TenantId(0));
                let home = self.home(tenant)?;
                if home.users.iter().any(|u| u.name == name) {
                    return fail(Kind::Exists, format!("user {name:?} exists"));
                }
                let next = home
                    .users
                    .iter()
                    .map(|u| u.uid + 1)
                    .filter(|u| *u > USER_UIDS)
                    .max()
                    .unwrap_or(USER_UIDS + tenant.0 * 10_000);
                let uid = uid.unwrap_or(next);
                if let Some(other) = home.users.iter().find(|u| u.uid == uid) {
                    return fail(
                        Kind::Exists,
                        format!("uid {uid} is user {:?} already", other.name),
                    );
                }
                let (full_name, email) = about;
                let user = User {
                    tenant,
                    name: name.to_owned(),
                    uid,
                    gid: uid,
                    full_name,
                    email,
                };
                ch.edit(Edit::User(user.clone(), ch.now));
                let undo = serde_json::json!({ "user": name });
                ch.record(
                    OpKind::User,
                    home.tenant.root,
                    &FsPath::default(),
                    None,
                    &undo,
                );
                Ok(user)
            })
        })
    }

    /// Sets what new entries of a namespace look like; administrators only.
    pub fn set_namespace(
        &self,
        caller: &Caller,
        name: &str,
        mask: Option<u32>,
        group: Option<GroupRule>,
    ) -> Result<Namespace> {
        admin(caller)?;
        if mask.is_some_and(|m| m > 0o777) {
            return fail(Kind::Invalid, "a mask has permission bits only: 0 to 0777");
        }
        self.change_tenants(|| {
            self.change(caller, |ch| {
                let home = self.home(caller.tenant.unwrap_or(TenantId(0)))?;
                let found = home.namespaces.iter().find(|n| n.name == name);
                let old = found
                    .ok_or_else(|| Error::new(Kind::NotFound, format!("no namespace {name:?}")))?;
                let new = Namespace {
                    name: name.to_owned(),
                    mask: mask.unwrap_or(old.mask),
                    group: group.unwrap_or(old.group),
                };
                ch.edit(Edit::Namespace(home.tenant.id, new.clone()));
                let undo = serde_json::json!({ "mask": old.mask, "group": old.group.name() });
                let path = FsPath::from_names(vec![Name::new(name.as_bytes())?]);
                ch.record(OpKind::Namespace, home.tenant.root, &path, None, &undo);
                Ok(new)
            })
        })
    }

    /// The path of a node, by one of its names. Fails with `NotFound` for what has none.
    pub(super) fn path_of(&self, ino: Ino) -> Result<FsPath> {
        let mut names = Vec::new();
        let mut at = ino;
        loop {
            let node = self.node(at)?;
            if node.is_dir() && node.parent == Ino(0) {
                break;
            }
            let place = self.place(at)?.ok_or_else(|| super::engine::no_node(ino))?;
            names.push(place.name.clone());
            at = place.parent;
            if names.len() > DEPTH_MAX {
                return fail(
                    Kind::Corrupt,
                    format!("node {ino} has more than {DEPTH_MAX} parents"),
                );
            }
        }
        names.reverse();
        Ok(FsPath::from_names(names))
    }

    pub(super) fn locate(&self, ino: Ino) -> Result<Location> {
        let path = self.path_of(ino)?;
        let policy = path
            .names()
            .first()
            .and_then(|n| namespace::named(n.as_bytes()));
        Ok(Location { path, policy })
    }

    /// Whether `dir` is `top` or lies below it.
    pub(super) fn is_below(&self, dir: Ino, top: Ino) -> Result<bool> {
        let mut at = dir;
        for _ in 0..DEPTH_MAX {
            if at == top {
                return Ok(true);
            }
            match self.node(at)?.parent {
                Ino(0) => return Ok(false),
                up => at = up,
            }
        }
        fail(
            Kind::Corrupt,
            format!("directory {dir} has more than {DEPTH_MAX} parents"),
        )
    }

    /// The operation a tenant's log ends with.
    pub fn head(&self, tenant: TenantId) -> Result<Op> {
        Ok(self.store.head(tenant)?.op)
    }
}

pub(super) fn admin(caller: &Caller) -> Result<()> {
    if caller.admin {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "only an administrator may do this: the owner of the data directory, or root",
    )
}

/// Checks the name of a tenant or user: letters, digits, `-`, `_` and `.`, and nothing that means something else.
fn principal(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !name.starts_with(['-', '.']);
    if fits {
        return Ok(());
    }
    fail(
        Kind::Invalid,
        format!("name {name:?}: use up to 64 letters, digits, `-`, `_`, `.`"),
    )
}
