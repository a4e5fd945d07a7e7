//! Tenants made and taken away: who is in one, and whatever was said about them, goes in one operation; files and log stay as
//! history.
//!
//! Both operations are in two logs. That of the tenant begins and ends with them, so `verify` sees whether a deletion was meant; and
//! that of the default tenant, which is always there, tells administrators who did it.

use super::name::{DEFAULT, check_name};
use crate::core::{Caller, FsPath, Kind, MountId, Op, Result, TenantId, error::fail};
use crate::fs::commit::Change;
use crate::fs::engine::Engine;
use crate::fs::events::{Notice, Stream};
use crate::fs::home::Home;
use crate::fs::looks::Looks;
use crate::fs::namespace::admin;
use crate::fs::policy::TRIES;
use crate::meta::tenant::Head;
use crate::meta::{Edit, OpKind, Record, Tenant, node};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What goes with a tenant, and what stays as history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// Its number, which nobody has after it.
    pub tenant: TenantId,
    pub users: u64,
    pub agents: u64,
    pub groups: u64,
    pub keys: u64,
    /// Relationship tuples, on files and on objects of its own types.
    pub grants: u64,
    pub types: u64,
    /// Files that stay in the store.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Engine {
    /// Makes a tenant with its tree; administrators only.
    pub fn create_tenant(&self, caller: &Caller, name: &str) -> Result<Tenant> {
        admin(caller)?;
        check_name(name)?;
        if self.tenant(name).is_ok() {
            return fail(Kind::Exists, format!("tenant {name:?} exists"));
        }
        self.plant(name, Some(caller))
    }

    /// What would go with a tenant; administrators only. Fails as [`Engine::delete_tenant`] would.
    pub fn estate(&self, caller: &Caller, name: &str) -> Result<Estate> {
        admin(caller)?;
        let home = self.deletable(name)?;
        self.unused(&home.tenant)?;
        Ok(self.estate_of(&home, self.files_of(home.tenant.id)?))
    }

    /// Takes a tenant away with its principals, their keys and memberships, its grants, types and settings; administrators only.
    /// Its name is free then. Fails with `Busy` while a mount shows it or something of it is open, and with `Invalid` for the
    /// default tenant.
    pub fn delete_tenant(&self, caller: &Caller, name: &str) -> Result<Estate> {
        admin(caller)?;
        // Theirs is the log that ends here.
        self.write_bypasses()?;
        if let Ok(tenant) = self.tenant(name) {
            self.write_all_repeats(Some(tenant.id))?;
        }
        for _ in 0..TRIES {
            let home = self.deletable(name)?;
            let head = self.head(home.tenant.id)?;
            // All that it has is read for this: nobody waits for it.
            let files = self.files_of(home.tenant.id)?;
            let _turn = self.turn.lock();
            if self.head(home.tenant.id)? == head {
                return self.delete_counted(caller, name, files);
            }
        }
        let message = format!("tenant {name:?} is being changed: try again when nobody is at it");
        fail(Kind::Busy, message)
    }

    /// Deletes a tenant whose files were counted; the caller has the turn.
    fn delete_counted(&self, caller: &Caller, name: &str, files: (u64, u64)) -> Result<Estate> {
        let home = self.deletable(name)?;
        self.unused(&home.tenant)?;
        let estate = self.estate_of(&home, files);
        // Whoever opens something looks for the tenant first, and is seen among the open, or finds none.
        self.tenants.hide(home.tenant.id);
        let unused = self.unused(&home.tenant);
        let done = unused.and_then(|()| self.end_tenant(caller, &home, estate));
        if done.is_err() {
            self.tenants.show(home);
        }
        done.map(|()| estate)
    }

    /// Starts telling a mount what changes in a tenant, which is in use for as long as `is_alive`.
    pub fn enter(
        &self,
        (tenant, mount): (TenantId, MountId),
        looks: Arc<Looks>,
        is_alive: impl Fn() -> bool + Send + 'static,
    ) -> Result<Receiver<Notice>> {
        let _turn = self.turn.lock();
        self.home(tenant)?;
        self.tenants.add_guest(tenant, is_alive);
        Ok(self.events.subscribe(tenant, mount, looks))
    }

    fn deletable(&self, name: &str) -> Result<Arc<Home>> {
        if name == DEFAULT {
            return fail(
                Kind::Invalid,
                "the tenant \"default\" stays: it is meant where none is named",
            );
        }
        self.home(self.tenant(name)?.id)
    }

    fn unused(&self, tenant: &Tenant) -> Result<()> {
        let name = &tenant.name;
        if self.tenants.has_guests(tenant.id) {
            let message = format!(
                "tenant {name:?} is mounted: `nexusctl mounts` shows where, `nexus umount DIR` takes it away; \
                 one that was taken away lazily lasts until nobody has anything open on it (`lsof` shows who)"
            );
            return fail(Kind::Busy, message);
        }
        if self.files.has_open(self, tenant.id) {
            let message = format!("tenant {name:?} has open files: try again when they are closed");
            return fail(Kind::Busy, message);
        }
        Ok(())
    }

    /// How many files a tenant has, and the sum of their sizes.
    fn files_of(&self, tenant: TenantId) -> Result<(u64, u64)> {
        node::files_of(&mut *self.store.read()?, tenant)
    }

    fn estate_of(&self, home: &Home, (files, bytes): (u64, u64)) -> Estate {
        let (roster, id) = (&home.roster, home.tenant.id);
        Estate {
            tenant: id,
            users: roster.users().count() as u64,
            agents: roster.agents().count() as u64,
            groups: roster.groups().count() as u64,
            keys: roster.keys().count() as u64,
            grants: self.tuples(id, |_| true).len() as u64,
            types: self.relations.types_of(id),
            files,
            bytes,
        }
    }

    fn end_tenant(&self, caller: &Caller, home: &Home, estate: Estate) -> Result<()> {
        let default = self.home(self.tenant(DEFAULT)?.id)?;
        let said = json!({ "subject": format!("tenant:{}", home.tenant.name), "went": estate });
        let head = self.store.head(home.tenant.id)?;
        let (told, _) = self.change_from(caller, home.tenant.id, head, |ch| {
            ch.edit(Edit::TenantGone(home.tenant.clone()));
            ch.record_of(home, OpKind::TenantDelete, &said);
            ch.record_beside(&default.tenant, OpKind::TenantDelete, &said)
        })?;
        self.told_administrators(Some((default.tenant.id, told)));
        Ok(())
    }

    /// Wakes who follows the log that tells of tenants.
    pub(in crate::fs) fn told_administrators(&self, told: Option<(TenantId, Op)>) {
        if let Some((of, op)) = told {
            self.events.log_grew(of, op, &[Stream::All]);
        }
    }
}

impl Change<'_> {
    /// Writes into the log of the default tenant, if this is another, that a tenant was made; gives the place there.
    pub(in crate::fs) fn tell_of(&mut self, new: &Tenant) -> Result<Option<(TenantId, Op)>> {
        let Ok(default) = self.engine.tenant(DEFAULT) else {
            return Ok(None);
        };
        let said = json!({ "subject": format!("tenant:{}", new.name), "tenant": new.id });
        let op = self.record_beside(&default, OpKind::TenantCreate, &said)?;
        Ok(Some((default.id, op)))
    }

    /// Writes the record of this operation into the log of another tenant, too.
    fn record_beside(
        &mut self,
        other: &Tenant,
        kind: OpKind,
        said: &serde_json::Value,
    ) -> Result<Op> {
        let head = self.engine.store.head(other.id)?;
        let record = Record {
            tenant: other.id,
            op: Op(head.op.0 + 1),
            time: self.now,
            kind,
            ino: other.root,
            path: FsPath::default().to_bytes(),
            path2: None,
            author: self.engine.author(self.caller),
            undo: said.to_string(),
            state: head.state,
        };
        let hash = record.chain(&head.hash);
        let head = Head {
            op: record.op,
            hash,
            state: head.state,
        };
        self.edit(Edit::Log(Box::new(record), hash));
        self.edit(Edit::Head(other.id, head));
        Ok(head.op)
    }
}
