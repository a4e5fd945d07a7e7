//! What is asked about tenants on hot paths, in memory: their settings, principals, snapshots and how
//! far back their past is kept.
//!
//! It follows the edits of every commit before that returns, in the same order: nobody sees an older state after a change.

use super::engine::Engine;
use super::revision::Revision;
use crate::core::{Error, Kind, Result, TenantId, error::fail};
use crate::meta::{
    Edit, Horizon, Namespace, Roster, Snapshot, Tenant, User, horizon, snapshot, tenant,
};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Snapshots by their names.
type Snapshots = Arc<BTreeMap<String, Arc<Snapshot>>>;

/// A tenant with everything that is asked about it.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub tenant: Tenant,
    pub namespaces: Vec<Namespace>,
    pub roster: Arc<Roster>,
    pub snapshots: Snapshots,
    pub horizon: Arc<Horizon>,
}

type Guest = (TenantId, Box<dyn Fn() -> bool + Send>);

/// Every tenant.
#[derive(Default)]
pub(super) struct Tenants {
    homes: RwLock<BTreeMap<TenantId, Arc<Home>>>,
    /// The highest number that a tenant has or had.
    last: AtomicU32,
    /// Whether a tenant was deleted since the store was opened: whoever was at it then still says it is his.
    any_gone: AtomicBool,
    /// Which tenants mounts show, and whether each mount is there still.
    guests: Mutex<Vec<Guest>>,
    /// Grows whenever any principal changes.
    pub(super) revision: Revision,
}

impl Tenants {
    /// Fails when the name or the number of a new tenant is taken.
    pub(super) fn vacant(&self, new: &Tenant) -> Result<()> {
        let taken = |home: &Arc<Home>| home.tenant.name == new.name || home.tenant.id == new.id;
        if new.id.0 <= self.last() || self.homes.read().values().any(taken) {
            return fail(Kind::Exists, format!("tenant {:?} exists", new.name));
        }
        Ok(())
    }

    /// The highest number that a tenant has or had: none is given out twice.
    pub(super) fn last(&self) -> u32 {
        self.last.load(Ordering::Acquire)
    }

    /// Notes that a mount shows a tenant for as long as `is_alive`.
    pub(super) fn add_guest(&self, of: TenantId, is_alive: impl Fn() -> bool + Send + 'static) {
        self.guests.lock().push((of, Box::new(is_alive)));
    }

    /// Whether a mount shows a tenant.
    pub(super) fn has_guests(&self, of: TenantId) -> bool {
        let mut guests = self.guests.lock();
        guests.retain(|(_, is_alive)| is_alive());
        guests.iter().any(|(tenant, _)| *tenant == of)
    }

    /// Lets nobody in any more.
    pub(super) fn hide(&self, id: TenantId) {
        self.any_gone.store(true, Ordering::Release);
        self.homes.write().remove(&id);
        self.revision.advance();
    }

    /// Takes that back.
    pub(super) fn show(&self, home: Arc<Home>) {
        self.homes.write().insert(home.tenant.id, home);
        self.revision.advance();
    }

    /// Fails with `NotFound` for who is at a tenant that was deleted meanwhile. Costs nothing where none was.
    pub(super) fn lives(&self, of: Option<TenantId>) -> Result<()> {
        if !self.any_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        match of {
            Some(id) if !self.homes.read().contains_key(&id) => Err(no_tenant(id)),
            _ => Ok(()),
        }
    }

    /// Follows the edits of a change of `of` that was committed.
    pub(super) fn follow(&self, of: TenantId, edits: &[Edit]) {
        if edits.is_empty() {
            return;
        }
        let mut homes = self.homes.write();
        for edit in edits {
            if let Edit::Tenant(new, _) = edit {
                homes.insert(new.id, Arc::new(Home::new(new.clone())));
                self.last.fetch_max(new.id.0, Ordering::AcqRel);
            } else if let Edit::TenantGone(old) = edit {
                homes.remove(&old.id);
            } else if let Some(home) = homes.get_mut(&of) {
                Arc::make_mut(home).follow(edit);
            }
        }
        self.revision.advance();
    }
}

impl Home {
    fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            namespaces: Vec::new(),
            roster: Arc::default(),
            snapshots: Snapshots::default(),
            horizon: Arc::default(),
        }
    }

    fn follow(&mut self, edit: &Edit) {
        match edit {
            Edit::Namespace(_, new) => {
                self.namespaces.retain(|n| n.name != new.name);
                self.namespaces.push(new.clone());
                self.namespaces.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Edit::Snapshot(new) => {
                Arc::make_mut(&mut self.snapshots).insert(new.name.clone(), new.clone());
                let named = &mut Arc::make_mut(&mut self.horizon).named;
                let place = named.partition_point(|op| *op < new.op);
                named.insert(place, new.op);
            }
            Edit::SnapshotGone(old) => {
                Arc::make_mut(&mut self.snapshots).remove(&old.name);
                let named = &mut Arc::make_mut(&mut self.horizon).named;
                named.retain(|op| *op != old.op);
            }
            Edit::Horizon { upto, by, .. } => {
                let horizon = Arc::make_mut(&mut self.horizon);
                (horizon.upto, horizon.by) = (*upto, *by);
            }
            _ => Arc::make_mut(&mut self.roster).follow(edit),
        }
    }
}

fn no_tenant(id: TenantId) -> Error {
    Error::new(Kind::NotFound, format!("no tenant {}", id.0))
}

impl Engine {
    pub(super) fn home(&self, tenant: TenantId) -> Result<Arc<Home>> {
        let found = self.tenants.homes.read().get(&tenant).cloned();
        found.ok_or_else(|| no_tenant(tenant))
    }

    pub(super) fn load_tenants(&self) -> Result<()> {
        let mut tx = self.store.read()?;
        let mut homes = BTreeMap::new();
        let mut horizons = horizon::all(&mut *tx)?;
        for tenant in tenant::tenants(&mut *tx)? {
            self.tenants.last.fetch_max(tenant.id.0, Ordering::AcqRel);
            if tenant.is_gone() {
                continue;
            }
            let home = Home {
                namespaces: tenant::namespaces(&mut *tx, tenant.id)?,
                roster: Arc::new(Roster::load(&mut *tx, tenant.id)?),
                snapshots: Snapshots::default(),
                horizon: Arc::new(horizons.remove(&tenant.id).unwrap_or_default()),
                tenant,
            };
            homes.insert(home.tenant.id, Arc::new(home));
        }
        for row in snapshot::all(&mut *tx)? {
            let row = row?;
            if let Some(home) = homes.get_mut(&row.tenant) {
                let snapshots = &mut Arc::make_mut(home).snapshots;
                Arc::make_mut(snapshots).insert(row.name.clone(), Arc::new(row));
            }
        }
        *self.tenants.homes.write() = homes;
        Ok(())
    }

    /// Every tenant, by number, but those that were deleted. Asks nobody: doors show it to administrators only.
    pub fn tenants(&self) -> Vec<Tenant> {
        let homes = self.tenants.homes.read();
        homes.values().map(|h| h.tenant.clone()).collect()
    }

    pub fn tenant(&self, name: &str) -> Result<Tenant> {
        let found = self.tenants().into_iter().find(|t| t.name == name);
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("no tenant {name:?}")))
    }

    /// All principals of a tenant, their memberships and keys, as they are now.
    pub fn roster(&self, tenant: TenantId) -> Result<Arc<Roster>> {
        Ok(self.home(tenant)?.roster.clone())
    }

    /// A number that is another one after every change of any principal: what was derived from rosters before is old then.
    pub fn principals_revision(&self) -> u64 {
        self.tenants.revision.get()
    }

    /// The users of a tenant, by name.
    pub fn users(&self, tenant: TenantId) -> Result<Vec<User>> {
        let home = self.home(tenant)?;
        let mut all: Vec<User> = home.roster.users().map(|u| (**u).clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    pub fn user(&self, tenant: TenantId, name: &str) -> Result<User> {
        let found = self.home(tenant)?.roster.user(name).cloned();
        found
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| Error::new(Kind::NotFound, format!("no user {name:?}")))
    }

    pub fn user_of_uid(&self, tenant: TenantId, uid: u32) -> Option<User> {
        let home = self.home(tenant).ok()?;
        home.roster
            .user_of_uid(uid)
            .cloned()
            .map(Arc::unwrap_or_clone)
    }

    /// Whether a uid is a user's, of any tenant.
    pub fn is_user(&self, uid: u32) -> bool {
        let homes = self.tenants.homes.read();
        homes.values().any(|h| h.roster.user_of_uid(uid).is_some())
    }

    pub fn namespaces(&self, tenant: TenantId) -> Result<Vec<Namespace>> {
        Ok(self.home(tenant)?.namespaces.clone())
    }
}
