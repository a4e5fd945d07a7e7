//! Where a node stands: its path, its namespace, and what the tenant has set for it.

use super::engine::Engine;
use crate::access::namespace::{self, Policy};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result, TenantId, error::fail};
use crate::meta::tenant::GroupRule;
use crate::meta::{Edit, Namespace, OpKind, Tenant};
use serde_json::json;

/// How deep a name may be added.
const DEPTH_MAX: usize = 4096;
/// How many directories may lie above something; more are a cycle that damage made. A directory moves with whatever is below
/// it, so there is more room than anybody takes one name after the other.
pub(super) const ABOVE_MAX: usize = 1 << 20;
/// Group numbers of tenants start here.
const TENANT_GIDS: u32 = 2_000_000;

/// The number of the group that stands for everybody in a tenant.
pub(super) fn gid_of(tenant: TenantId) -> u32 {
    TENANT_GIDS.saturating_add(tenant.0)
}

/// A directory's path and the namespace it lies in; `None` in the tenant's root itself.
pub(super) struct Location {
    pub path: FsPath,
    pub policy: Option<&'static Policy>,
}

/// Fails: a chain of parents does not end.
pub(super) fn circle<T>(ino: Ino) -> Result<T> {
    fail(
        Kind::Corrupt,
        format!("node {ino} has more than {ABOVE_MAX} parents"),
    )
}

/// Fails with `NameTooLong` where a directory lies so deep that nothing can be added to it.
pub(super) fn has_room_below(dir: &FsPath) -> Result<()> {
    if dir.names().len() < DEPTH_MAX {
        return Ok(());
    }
    fail(
        Kind::NameTooLong,
        format!("{DEPTH_MAX} directories lie above: nothing can be added so deep"),
    )
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

/// Whether a name in a tenant's root is a namespace that is there for the caller.
pub(super) fn is_for(caller: &Caller, name: &Name) -> bool {
    namespace::named(name.as_bytes()).is_some_and(|p| p.visible_to(caller))
}

impl Engine {
    pub(super) fn new_tenant(&self, name: &str, root: Ino) -> Tenant {
        let id = self.tenants.last() + 1;
        Tenant {
            id: TenantId(id),
            name: name.to_owned(),
            gid: gid_of(TenantId(id)),
            root,
        }
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
            let words = |ns: &Namespace| json!({ "mask": ns.mask, "group": ns.group.name() });
            let mut undo = words(old);
            undo["to"] = words(&new);
            let path = FsPath::from_names(vec![Name::new(name.as_bytes())?]);
            ch.record(OpKind::Namespace, home.tenant.root, &path, None, &undo);
            Ok(new)
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
            if names.len() > ABOVE_MAX {
                return circle(ino);
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
        for _ in 0..ABOVE_MAX {
            if at == top {
                return Ok(true);
            }
            match self.node(at)?.parent {
                Ino(0) => return Ok(false),
                up => at = up,
            }
        }
        circle(dir)
    }

    /// The operation a tenant's log ends with.
    pub fn head(&self, tenant: TenantId) -> Result<Op> {
        Ok(self.store.head(tenant)?.op)
    }

    /// The newest operation that everything in the engine knows of: the log may have one more, whose caches and grants are being
    /// brought up to date.
    pub fn log_end(&self, tenant: TenantId) -> Result<Op> {
        self.events
            .told(tenant)
            .map_or_else(|| self.head(tenant), Ok)
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
