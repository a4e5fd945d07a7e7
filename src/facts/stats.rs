//! Figures of a running engine, and who is asking.

use crate::core::{Caller, Result};
use crate::fs::Engine;
use serde::{Deserialize, Serialize};

/// Figures since the store was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub version: String,
    /// Operations in the caller's tenant's log.
    pub operations: u64,
    /// The work of all, for administrators: it would tell others what the store knew already.
    #[serde(flatten)]
    pub work: Option<Work>,
}

/// What the store has done and has to do, for all tenants together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub open_handles: u64,
    /// Open files with writes that no version has yet.
    pub pending_files: u64,
    /// Ranges of files that are locked (fcntl(2)), and requests that wait for one.
    pub locks: u64,
    pub lock_waits: u64,
    /// Verified content kept in memory, in bytes.
    pub cache_bytes: u64,
    /// Changes committed: records of the journal.
    pub changes: u64,
    /// Changes that the database does not have yet.
    pub waiting: u64,
    /// Transactions that brought changes to the database.
    pub batches: u64,
    pub statements: u64,
    pub reads: u64,
    pub syncs: u64,
}

impl Stats {
    pub fn of(engine: &Engine, caller: &Caller) -> Result<Self> {
        let operations = caller.tenant.map(|t| engine.head(t)).transpose()?;
        Ok(Self {
            version: super::VERSION.to_owned(),
            operations: operations.map_or(0, |op| op.0),
            work: caller.admin.then(|| Work::of(engine)),
        })
    }
}

impl Work {
    fn of(engine: &Engine) -> Self {
        let (db, store) = (engine.store().counters(), engine.store().progress());
        let (locks, lock_waits) = engine.lock_counts();
        Self {
            open_handles: engine.open_handles() as u64,
            pending_files: engine.pending_files() as u64,
            locks: locks as u64,
            lock_waits: lock_waits as u64,
            cache_bytes: engine.blobs().cache_bytes(),
            changes: store.records,
            waiting: store.waiting,
            batches: db.changes,
            statements: db.statements,
            reads: db.reads,
            syncs: store.syncs + db.syncs,
        }
    }
}

/// The context a request is judged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    pub tenant: Option<String>,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub uid: u32,
    pub admin: bool,
}

impl Whoami {
    pub fn of(engine: &Engine, caller: &Caller) -> Self {
        let named = |s: &Option<std::sync::Arc<str>>| s.as_ref().map(ToString::to_string);
        Self {
            tenant: tenant_name(engine, caller),
            user: named(&caller.user),
            agent: named(&caller.agent),
            session: named(&caller.session),
            uid: caller.uid,
            admin: caller.admin,
        }
    }
}

pub(super) fn tenant_name(engine: &Engine, caller: &Caller) -> Option<String> {
    let all = engine.tenants().into_iter();
    all.filter(|t| Some(t.id) == caller.tenant)
        .map(|t| t.name)
        .next()
}
