//! What of the log a caller may read: the one rule for every door (semantics.md §6).
//!
//! A record is shown to whoever did it and to administrators. To others it is shown when it names nothing that is hidden from
//! them today: each directory that its paths led through, as *nodes*, can be walked to, and what it is about is listed
//! where it is now. Of what is gone the nearest directory above it that is still there has to list everything, and those
//! between that are gone had to when they went. A path is never looked up as it is today: it may stand for something else by
//! now. Records about principals and grants are for those whom they concern.

mod concern;
mod sights;
mod trail;

use self::sights::Sights;
use self::trail::Trails;
use super::engine::Engine;
use super::ground::is_refusal;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result, TenantId};
use crate::meta::{OpKind, Record};

/// One caller reading the log. It remembers what it has seen of the tree, so it is for one answer: grants may have changed
/// by the next.
pub struct Reader<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    sights: Sights<'a>,
    trails: Trails<'a>,
}

impl<'a> Reader<'a> {
    /// Starts reading the log of the caller's tenant; fails with `NotFound` for a caller without one.
    pub fn new(engine: &'a Engine, caller: &'a Caller) -> Result<Self> {
        let none = || Error::new(Kind::NotFound, "without a tenant there is no log");
        let tenant = caller.tenant.ok_or_else(none)?;
        let root = engine.root(caller)?;
        Ok(Self {
            engine,
            caller,
            tenant,
            sights: Sights::new(engine, caller, root),
            trails: Trails::new(engine, root),
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
        let paths = [Some(&record.path), record.path2.as_ref()];
        for path in paths.into_iter().flatten() {
            match self.shows(record, path) {
                Ok(true) => {}
                // What vanishes while it is looked at is not there to be seen.
                Err(e) if !is_refusal(&e) => return Err(e),
                Ok(false) | Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// An isolated agent has no more part in what its owner did than in what it may do.
    fn is_own(&self, record: &Record) -> bool {
        let by_agent = record.author.agent.as_deref() == self.caller.agent.as_deref();
        record.author.uid == self.caller.uid && (by_agent || !self.caller.isolated)
    }

    /// Whether one path of a record names only what the caller sees.
    fn shows(&mut self, record: &Record, path: &[u8]) -> Result<bool> {
        let path = FsPath::parse(path)?;
        if path.is_root() {
            // Else what it was about had no name any more when it was written down.
            return Ok(record.ino == self.trails.root || is_about_principals(record.kind));
        }
        if self.is_where_it_was(record.ino, &path)? {
            return self.sights.is_listed(record.ino);
        }
        match self.trails.follow(&path, record.op, record.ino)? {
            Some(nodes) => self.sees_all(&nodes),
            None => Ok(false),
        }
    }

    /// Whether a node has this path today, and no other.
    fn is_where_it_was(&self, ino: Ino, path: &FsPath) -> Result<bool> {
        match self.engine.present_node(ino)? {
            Some(node) if node.is_dir() || node.nlink == 1 => {
                Ok(self.engine.path_of(ino)? == *path)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Whether the caller sees the nodes that a path led through, from the root's child to what it named.
    fn sees_all(&mut self, nodes: &[Ino]) -> Result<bool> {
        let Some((last, dirs)) = nodes.split_last() else {
            return Ok(true);
        };
        // The nearest directory above that is there still.
        let mut above = self.trails.root;
        for dir in dirs {
            let is_there = self.engine.present_node(*dir)?.is_some();
            let seen = if is_there {
                self.sights.reaches(*dir)?
            } else {
                self.sights.lists_all(above)? && self.sights.listed_when_it_went(*dir, above)?
            };
            if !seen {
                return Ok(false);
            }
            if is_there {
                above = *dir;
            }
        }
        if self.engine.present_node(*last)?.is_some() {
            Ok(self.sights.is_listed(*last)? && self.sights.lists_some(above)?)
        } else {
            self.sights.lists_all(above)
        }
    }
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

impl Engine {
    /// A node that has a name, or is a root; `None` for what is gone, though it may be open still.
    fn present_node(&self, ino: Ino) -> Result<Option<crate::fs::Found>> {
        match self.node(ino) {
            Ok(node) => Ok(Some(node).filter(|node| node.nlink > 0)),
            Err(e) if e.kind() == Kind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}
