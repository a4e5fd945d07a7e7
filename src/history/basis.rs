//! What a plan was made of, and whether something that was done since bears on it: who is busy elsewhere need not wait while a plan
//! is worked out, and does not make it worthless.

use super::touched::changed;
use crate::core::{Ino, Op, Result, TenantId};
use crate::db::Tx;
use crate::fs::{Engine, Revision};
use crate::meta::log_query::Query;
use crate::meta::{OpKind, OpSet, Record, Store, log};
use std::collections::HashSet;

/// How many records are read at a time.
const PAGE: u32 = 1000;

/// What a plan has looked at.
#[derive(Debug, Default)]
pub struct Basis {
    pub(super) nodes: HashSet<Ino>,
    /// Directories of which all that they hold counts.
    pub(super) dirs: HashSet<Ino>,
    /// Whether grants or memberships come or go.
    pub(super) relations: bool,
}

impl Basis {
    pub(super) fn join(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.dirs.extend(other.dirs);
        self.relations |= other.relations;
    }

    /// Whether an operation may have changed something of it.
    fn is_hit_by(&self, record: &Record) -> bool {
        use OpKind as K;
        match record.kind {
            K::Bypass
            | K::Refused
            | K::SnapshotCreate
            | K::SnapshotDelete
            | K::TrashEmpty
            | K::Namespace
            | K::User
            | K::UserCreate
            | K::AgentCreate
            | K::GroupCreate
            | K::KeyCreate
            | K::KeyRevoke
            | K::TenantCreate => false,
            K::Init | K::Forget | K::TenantDelete => true,
            K::UserDelete
            | K::AgentDelete
            | K::GroupDelete
            | K::GroupAdd
            | K::GroupRemove
            | K::TypeSet
            | K::TypeDelete => self.relations,
            K::Grant | K::Revoke => self.relations || self.nodes.contains(&record.ino),
            K::Undo | K::Restore => self.is_hit_by_many(record),
            K::Create
            | K::Write
            | K::Truncate
            | K::Mkdir
            | K::Mknod
            | K::Symlink
            | K::Link
            | K::Unlink
            | K::Rmdir
            | K::Rename
            | K::Exchange
            | K::Chmod
            | K::Chown
            | K::Times
            | K::SetXattr
            | K::RemoveXattr
            | K::SetAcl
            | K::Restrict => match changed(record) {
                Some(named) => named.iter().any(|ino| self.has(*ino)) || self.holds(record),
                None => true,
            },
        }
    }

    fn is_hit_by_many(&self, record: &Record) -> bool {
        let said = record.details();
        let relations = ["granted", "grants", "joined", "left"];
        let moved = relations.iter().any(|key| !said[*key].is_null());
        let nodes = said["nodes"].as_str().unwrap_or_default();
        let Ok(nodes) = nodes.parse::<OpSet>() else {
            return true;
        };
        self.relations && moved || nodes.nodes().any(|ino| self.has(ino)) || self.holds(record)
    }

    fn has(&self, ino: Ino) -> bool {
        self.nodes.contains(&ino) || self.dirs.contains(&ino)
    }

    /// Whether names came to or went from a directory that counts as a whole.
    fn holds(&self, record: &Record) -> bool {
        !self.dirs.is_empty() && dirs(record).iter().any(|dir| self.dirs.contains(dir))
    }
}

/// The directories in which an operation gave or took names.
fn dirs(record: &Record) -> Vec<Ino> {
    let said = record.details();
    let all = said["dirs"].as_array().into_iter().flatten();
    all.filter_map(|of| of[0].as_u64()).map(Ino).collect()
}

/// What others do while a plan is made: the log, followed from its end at the beginning.
pub(super) struct Meanwhile<'a> {
    store: &'a Store,
    tenant: TenantId,
    upto: Op,
    /// Directories whose times may not be what they were.
    stirred: HashSet<Ino>,
}

impl<'a> Meanwhile<'a> {
    pub(super) fn from_now(engine: &'a Engine, tenant: TenantId) -> Result<Self> {
        Ok(Self::after(engine.store(), tenant, engine.head(tenant)?))
    }

    pub(super) fn after(store: &'a Store, tenant: TenantId, upto: Op) -> Self {
        Self {
            store,
            tenant,
            upto,
            stirred: HashSet::new(),
        }
    }

    /// Whether anything was done at all.
    pub(super) fn is_quiet(&self) -> Result<bool> {
        Ok(self.store.head(self.tenant)?.op == self.upto)
    }

    /// Whether something was done since the last question that bears on what a plan was made of.
    pub(super) fn bears_on(&mut self, basis: &Basis) -> Result<bool> {
        while !self.is_quiet()? {
            let records = self.more()?;
            // None where there must be some: whatever that is, it is not followed.
            if records.is_empty() || self.follow(&records, basis) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same of what a transaction sees.
    pub(super) fn bore_on(mut self, basis: &Basis, tx: &mut dyn Tx) -> Result<bool> {
        loop {
            let page = log::after(tx, self.tenant, self.upto, PAGE)?;
            if page.is_empty() {
                return Ok(false);
            }
            let records: Vec<_> = page.into_iter().map(|(record, _)| record).collect();
            if self.follow(&records, basis) {
                return Ok(true);
            }
        }
    }

    fn follow(&mut self, records: &[Record], basis: &Basis) -> bool {
        for record in records {
            self.upto = record.op;
            if basis.is_hit_by(record) {
                return true;
            }
            self.stirred.insert(record.ino);
            self.stirred.extend(dirs(record));
        }
        false
    }

    fn more(&self) -> Result<Vec<Record>> {
        let any = Query::default();
        let recent = self.store.recent(self.tenant, self.upto, &any, PAGE);
        if let Some(recent) = recent.filter(|recent| !recent.is_empty()) {
            return Ok(recent);
        }
        let page = log::after(&mut *self.store.read()?, self.tenant, self.upto, PAGE)?;
        Ok(page.into_iter().map(|(record, _)| record).collect())
    }

    /// Takes times of directories out of a revision that others have touched.
    pub(super) fn keep_times(&self, revision: &mut Revision) {
        revision
            .times
            .retain(|(dir, _)| !self.stirred.contains(dir));
    }
}
