//! What stands in an empty database: a tenant's root and its namespaces.

use super::engine::Engine;
use super::events::Stream;
use super::policy::TRIES;
use super::principals::DEFAULT;
use crate::access::namespace::{NAMESPACES, Policy};
use crate::blob::Content;
use crate::core::{Caller, FsPath, Ino, Kind, Name, Op, Result, TenantId, Time, error::fail};
use crate::meta::{Edit, FileKind, Namespace, Node, OpKind, Tenant, log, tenant};

impl Engine {
    /// Makes sure that the tenant `default` exists.
    pub(super) fn seed(&self) -> Result<()> {
        self.load_tenants()?;
        let is_new = self.tenant(DEFAULT).is_err();
        if is_new {
            self.has_no_log()?;
        }
        self.load_policy()?;
        self.load_tuples()?;
        self.load_latest()?;
        if is_new {
            self.plant(DEFAULT, None)?;
            self.sync()?;
        }
        self.number_users()
    }

    /// Fails where there was a tenant `default`: another one of that name would hide that.
    fn has_no_log(&self) -> Result<()> {
        match tenant::logged(&mut *self.store.read()?)?.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!(
                    "no tenant is called {DEFAULT:?}: row ({}) of table tenants is damaged or gone: bring it back from a backup",
                    first.0
                );
                fail(Kind::Corrupt, message)
            }
        }
    }

    /// A clock that was set back while nobody looked revives nothing.
    fn load_latest(&self) -> Result<()> {
        for tenant in self.tenants() {
            let head = self.store.head(tenant.id)?.op;
            let latest = log::latest(&mut *self.store.read()?, tenant.id, head)?;
            self.latest.pass(latest);
            self.events.log_grew(tenant.id, head, &[Stream::All]);
        }
        Ok(())
    }

    /// Makes a tenant, its root and its namespaces, all or nothing, for `who` asked for it.
    pub(super) fn plant(&self, name: &str, who: Option<&Caller>) -> Result<Tenant> {
        for _ in 0..TRIES {
            match self.plant_as(self.new_tenant(name, Ino(self.next_id())), who) {
                // Another one that was made meanwhile has its number, and not its name.
                Err(e) if e.kind() == Kind::Exists && self.tenant(name).is_err() => {}
                done => return done,
            }
        }
        fail(Kind::Busy, "tenants are made all the time: try again")
    }

    fn plant_as(&self, tenant: Tenant, who: Option<&Caller>) -> Result<Tenant> {
        let root = tenant.root;
        let ids = NAMESPACES
            .iter()
            .map(|_| Ino(self.next_id()))
            .collect::<Vec<_>>();
        let ourselves = Caller::engine(tenant.id);
        let told = self.change_of_new(who.unwrap_or(&ourselves), &tenant, |ch| {
            let links = 2 + u32::try_from(NAMESPACES.len()).unwrap_or(0);
            ch.insert(directory(&tenant, root, Ino(0), 0o755, links, ch.now));
            for (policy, ino) in NAMESPACES.iter().zip(ids) {
                let mode = if policy.admin_only || policy.read_only {
                    0o755
                } else {
                    0o1777
                };
                ch.insert(directory(&tenant, ino, root, mode, 2, ch.now));
                ch.add_entry(root, &Name::new(policy.name.as_bytes())?, ino, ino.0);
                ch.edit(Edit::Namespace(tenant.id, standard(policy)));
            }
            ch.record(
                OpKind::Init,
                root,
                &FsPath::default(),
                None,
                &serde_json::json!({}),
            );
            ch.tell_of(&tenant)
        })?;
        self.told_administrators(told);
        Ok(tenant)
    }
}

/// The settings that a namespace begins with.
pub(super) fn standard(policy: &Policy) -> Namespace {
    Namespace {
        name: policy.name.to_owned(),
        mask: policy.mask,
        group: policy.group,
    }
}

fn directory(tenant: &Tenant, ino: Ino, parent: Ino, mode: u32, nlink: u32, now: Time) -> Node {
    Node {
        ino,
        tenant: TenantId(tenant.id.0),
        kind: FileKind::Directory,
        mode,
        uid: 0,
        gid: tenant.gid,
        nlink,
        size: 0,
        rdev: 0,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        content: Content::Empty,
        version: 1,
        parent,
        began: Op(0),
        writing: None,
    }
}
