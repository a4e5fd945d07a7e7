//! What of the log a caller may read: the one rule for every door (semantics.md §6).
//!
//! A record is shown to whoever did it and to administrators. To others it is shown when it names nothing that is hidden from
//! them: when `.at` shows them each name of its paths as of the operation. So a path is never looked up as it is today,
//! when it may stand for something else, and what may be seen is judged as the rest of the past is (`fs::gone`). Records
//! about principals and grants are for those whom they concern. How often something was done again is for who may read of the
//! first time, whatever became of its path since.

mod concern;
mod trail;
mod touch;

use self::trail::Trails;
use super::engine::Engine;
use super::gone::Glance;
use super::ground::{allowed, allowed_to, is_refusal};
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, TenantId};
use crate::meta::cache::Place;
use crate::meta::{Entry, OpKind, Record};
use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

/// One caller reading the log. It remembers what it has seen of the tree, so it is for one answer: grants may have changed
/// by the next.
pub struct Reader<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    trails: Trails<'a>,
    /// Directories that were looked into, to search or to list them; `None` where the caller may not.
    glances: HashMap<(Ino, Right), Option<Glance<'a>>>,
    effort: usize,
}

impl<'a> Reader<'a> {
    /// Starts reading the log of the caller's tenant; fails with `NotFound` for a caller without one.
    pub fn new(engine: &'a Engine, caller: &'a Caller) -> Result<Self> {
        let none = || caller.stranger(Kind::NotFound);
        let tenant = caller.tenant.ok_or_else(none)?;
        let root = engine.root(caller)?;
        Ok(Self {
            engine,
            caller,
            tenant,
            trails: Trails::new(engine, root),
            glances: HashMap::new(),
            effort: 0,
        })
    }

    /// The tenant whose log is read.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Whether the caller may read a record of his tenant, as things are now.
    pub fn may_read(&mut self, record: &Record) -> Result<bool> {
        if self.caller.admin || self.is_own(record) {
            return Ok(true);
        }
        if !self.engine.is_concern_of(self.caller, record)? {
            return Ok(false);
        }
        if is_about_contents(record.kind) && !self.reads_what(record)? {
            return Ok(false);
        }
        let paths = [Some(&record.path), record.path2.as_ref()];
        let then = record.repeats().unwrap_or(record.op);
        for path in paths.into_iter().flatten() {
            match self.shows((record, then), path) {
                Ok(true) => {}
                // What vanishes while it is looked at is not there to be seen.
                Err(e) if !is_refusal(&e) => return Err(e),
                Ok(false) | Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether a listing shows the caller a name for a node, or would if the directory and the node were still there. A node that
    /// never was is shown to whom all of the directory is.
    pub fn lists(&mut self, place: &Place, ino: Ino) -> Result<bool> {
        self.meets(place, ino, Right::Read)
    }

    /// Whether the caller finds a directory by its name, or would if it were still there.
    pub fn passes(&mut self, place: &Place, dir: Ino) -> Result<bool> {
        self.meets(place, dir, Right::Execute)
    }

    fn meets(&mut self, place: &Place, ino: Ino, right: Right) -> Result<bool> {
        if self.caller.admin {
            return Ok(true);
        }
        let met = if self.engine.ever_was(ino)? {
            let name = Entry {
                parent: place.parent,
                name: place.name.clone(),
                ino,
                cookie: 0,
                began: Op(0),
            };
            self.sees(&name, right)
        } else {
            let glance = self.glance(place.parent, right);
            glance.map(|glance| glance.is_some_and(|glance| glance.is_whole()))
        };
        Ok(allowed_to(met)?.unwrap_or(false))
    }

    /// Looks at once for what is known of nodes that will be asked for.
    pub fn expect(&self, nodes: impl Iterator<Item = Ino>) -> Result<()> {
        if self.caller.admin {
            return Ok(());
        }
        self.engine.survey(nodes.collect()).map(drop)
    }

    /// An isolated agent has no more part in what its owner did than in what it may do. What is done to tenants is done by
    /// administrators, whose numbers need not be those of this one.
    fn is_own(&self, record: &Record) -> bool {
        if is_about_tenants(record.kind) {
            return false;
        }
        let by_agent = record.author.agent.as_deref() == self.caller.agent.as_deref();
        record.author.uid == self.caller.uid && (by_agent || !self.caller.isolated)
    }

    /// Whether the caller may read the directory whose contents a record is about. A trash that was emptied of what lay all over the
    /// tree is its owner's to know.
    fn reads_what(&self, record: &Record) -> Result<bool> {
        let is_of_all = record.kind == OpKind::TrashEmpty && record.ino == self.trails.root;
        let may = || self.engine.may_still(self.caller, record.ino, Right::Read);
        Ok(!is_of_all && allowed(may())?)
    }

    /// Whether one path of a record names only what the caller sees, as it was at an operation.
    fn shows(&mut self, (record, then): (&Record, Op), path: &[u8]) -> Result<bool> {
        let path = FsPath::recorded(path)?;
        if path.is_root() {
            // Else what it was about had no name any more when it was written down.
            return Ok(record.ino == self.trails.root || is_about_principals(record.kind));
        }
        let Some((last, dirs)) = path.names().split_last() else {
            return Ok(false);
        };
        // Name by name: what lies in or below a directory that is closed to the caller costs no question about itself.
        let mut parent = self.trails.root;
        for name in dirs {
            if self.glance(parent, Right::Execute)?.is_none() {
                return Ok(false);
            }
            let name = name.clone();
            let place = Place { parent, name };
            match self.trails.directory(place, then)? {
                Some(dir) if self.sees(&dir, Right::Execute)? => parent = dir.ino,
                _ => return Ok(false),
            }
        }
        if self.glance(parent, Right::Read)?.is_none() {
            return Ok(false);
        }
        let name = last.clone();
        let place = Place { parent, name };
        match self.trails.last(&place, then, record.ino)? {
            Some(last) => self.sees(&last, Right::Read),
            None => Ok(false),
        }
    }

    /// Whether the caller, who looks into its directory to search or to list it, sees what had a name there.
    fn sees(&mut self, name: &Entry, right: Right) -> Result<bool> {
        match self.glance(name.parent, right)? {
            Some(glance) => glance.sees(name),
            None => Ok(false),
        }
    }

    fn glance(&mut self, dir: Ino, right: Right) -> Result<Option<&mut Glance<'a>>> {
        let glance = match self.glances.entry((dir, right)) {
            Occupied(known) => known.into_mut(),
            Vacant(new) => new.insert(allowed_to(self.engine.glance(self.caller, dir, right))?),
        };
        Ok(glance.as_mut())
    }
}

/// Whether an operation was about which tenants there are.
fn is_about_tenants(kind: OpKind) -> bool {
    matches!(kind, OpKind::TenantCreate | OpKind::TenantDelete)
}

/// Whether an operation was about what is in a directory, and says of it what only who may read it knows: that it has a snapshot,
/// or had things that were deleted.
fn is_about_contents(kind: OpKind) -> bool {
    use OpKind as K;
    matches!(kind, K::SnapshotCreate | K::SnapshotDelete | K::TrashEmpty)
}

/// Whether an operation was about who there is: such a record has the root's path.
fn is_about_principals(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::User
            | OpKind::UserCreate
            | OpKind::UserDelete
            | OpKind::AgentCreate
            | OpKind::AgentDelete
            | OpKind::GroupCreate
            | OpKind::GroupDelete
            | OpKind::GroupAdd
            | OpKind::GroupRemove
            | OpKind::KeyCreate
            | OpKind::KeyRevoke
    )
}
