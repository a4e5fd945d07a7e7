//! The tree as it was after an operation: the calls that read, for a moment of the past.
//!
//! What was is told by rows, who may know it by the present: a node that is still there is seen and read by whom it is
//! today, wherever it is today; one that is gone is judged by the last that is known of it (see `gone`).

use super::dir::DirEntry;
use super::engine::{Engine, no_node};
use super::former::Former;
use super::handle::{Access, OpenFlags};
use super::lookup::Found;
use super::memory::Known;
use crate::access::Right;
use crate::core::{
    Caller, Error, FsPath, HandleId, Ino, Kind, Name, Op, Result, TenantId, Time, error::fail,
};
use crate::meta::cache::Place;
use crate::meta::{Entry, Node, Xattr};
use std::sync::Arc;

/// Links of a directory that is not asked for them: 1 means that nobody counted (find(1) then looks at every entry).
const UNCOUNTED: u32 = 1;

/// A tenant's tree after one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    pub tenant: TenantId,
    pub op: Op,
    /// When the operation was done.
    pub time: Time,
}

impl Engine {
    /// The tree as an operation of the caller's tenant left it; fails with `NotFound` where the log has no such
    /// operation, and for what was forgotten.
    pub fn moment_of(&self, caller: &Caller, op: Op) -> Result<Moment> {
        let tenant = self.tenant_of(caller)?;
        let missing = || Error::new(Kind::NotFound, format!("there is no operation {op} (yet)"));
        // What everything has been told of is no end of the log that others are still being told of.
        let is_told = self.events.told(tenant).is_some_and(|told| op <= told);
        if op == Op(0) || !is_told && op > self.settled_head(tenant)? {
            return Err(missing());
        }
        let time = if let Some(time) = self.memory.time(tenant, op) {
            time
        } else {
            let (_, time) = self.store.time_of(tenant, op)?.ok_or_else(missing)?;
            self.memory.keep_time(tenant, op, time);
            time
        };
        let at = Moment { tenant, op, time };
        self.remembers(at)?;
        Ok(at)
    }

    /// The tree as it is, for reading it on and on while it changes.
    pub fn last_moment(&self, caller: &Caller) -> Result<Moment> {
        let none = || caller.stranger(Kind::NotFound);
        let tenant = self.tenant_of(caller)?;
        let op = self.settled_head(tenant)?;
        let (op, time) = self.store.time_of(tenant, op)?.ok_or_else(none)?;
        Ok(Moment { tenant, op, time })
    }

    /// A caller's tenant, which is there.
    fn tenant_of(&self, caller: &Caller) -> Result<TenantId> {
        let none = || caller.stranger(Kind::NotFound);
        let tenant = caller.tenant.ok_or_else(none)?;
        self.tenants.lives(caller.tenant)?;
        Ok(tenant)
    }

    /// The end of the log between changes: what is read from memory for this moment then is no older than it.
    fn settled_head(&self, tenant: TenantId) -> Result<Op> {
        let _turn = self.turn.lock();
        Ok(self.store.head(tenant)?.op)
    }

    /// A node as it was. Asks who may reach it as little as getattr does: only what was looked up can be asked for.
    pub fn getattr_at(&self, caller: &Caller, at: Moment, ino: Ino) -> Result<Found> {
        let node = self.node_at(at, ino)?;
        self.tenants.lives(caller.tenant)?;
        if caller.tenant == Some(at.tenant) && node.tenant == at.tenant {
            return Ok(shown(at, node));
        }
        Err(no_node(ino))
    }

    /// Finds a name in a directory as it was. What the caller may not see today does not exist.
    pub fn lookup_at(&self, caller: &Caller, at: Moment, dir: Ino, name: &Name) -> Result<Found> {
        let dir = self.directory_at(caller, at, dir)?;
        let mut glance = self.glance(caller, dir.ino, Right::Execute)?;
        let missing = || Error::new(Kind::NotFound, format!("no {name}"));
        let entry = self.entry_at(at, dir.ino, name)?.ok_or_else(missing)?;
        let node = self.node_at(at, entry.ino)?;
        if glance.sees(&entry)? {
            return Ok(shown(at, node));
        }
        Err(missing())
    }

    /// Lists names of a directory as it was behind the cookie `after`, those that the caller may see today; none at the end.
    pub fn list_at(
        &self,
        caller: &Caller,
        at: Moment,
        dir: Ino,
        after: u64,
    ) -> Result<Vec<DirEntry>> {
        let dir = self.directory_at(caller, at, dir)?;
        let mut glance = self.glance(caller, dir.ino, Right::Read)?;
        let mut after = after;
        loop {
            let page = self.former_page(at, dir.ino, after);
            self.remembers(at)?;
            let Former { rows, end } = page?;
            // Whoever lists names asks for what they are next.
            self.memory
                .note_page(at.op, rows.iter().map(|(entry, _)| entry.ino));
            glance.expect(rows.iter().map(|(entry, _)| entry.ino))?;
            let mut seen = Vec::with_capacity(rows.len());
            for (entry, node) in rows {
                if glance.sees(&entry)? {
                    seen.push(DirEntry {
                        cookie: entry.cookie,
                        name: entry.name.clone(),
                        node: shown(at, node),
                    });
                }
            }
            match end {
                Some(end) if seen.is_empty() => after = end,
                _ => return Ok(seen),
            }
        }
    }

    /// Decides whether the caller may read a node as it was, search or list it: whether he may today.
    pub fn may_at(&self, caller: &Caller, at: Moment, ino: Ino, right: Right) -> Result<()> {
        if matches!(right, Right::Write | Right::Own) {
            return super::view::read_only();
        }
        self.getattr_at(caller, at, ino)?;
        self.may_still(caller, ino, right)
    }

    /// Opens a file as it was, for reading. Takes read permission today.
    pub fn open_at(&self, caller: &Caller, at: Moment, ino: Ino) -> Result<HandleId> {
        self.may_at(caller, at, ino, Right::Read)?;
        let _borrowing = self.borrowing.read();
        let node = self.getattr_at(caller, at, ino)?;
        if node.is_dir() {
            return fail(Kind::IsDirectory, "not a file");
        }
        self.open_kept(caller, node, OpenFlags::new(Access::Read))
    }

    /// The extended attributes of a node as it was, by name, those of Nexus itself included. Asks nobody.
    pub fn xattrs_at(&self, at: Moment, ino: Ino) -> Result<Vec<Arc<Xattr>>> {
        let known = self.memory.xattrs(ino, at.op);
        if let Some(known) = known {
            self.remembers(at)?;
            return Ok(known.to_vec());
        }
        // Most have none, and who asks for those of one asks for those of the next.
        let page = self.memory.take_page(ino, at.op);
        let with = self.store.with_xattrs_at(&page, at.op)?;
        self.remembers(at)?;
        for none in page.iter().filter(|of| !with.contains(of)) {
            self.memory.keep_xattrs(*none, at.op, &[]);
        }
        if page.contains(&ino) && !with.contains(&ino) {
            return Ok(Vec::new());
        }
        let all = self.store.xattrs_at(ino, at.op)?;
        self.remembers(at)?;
        self.memory.keep_xattrs(ino, at.op, &all);
        Ok(all)
    }

    /// The directory that a node was in, one of them; `None` of a root.
    pub fn parent_at(&self, at: Moment, ino: Ino) -> Result<Option<Ino>> {
        if let Some(place) = self.place(ino)?
            && let Some(now) = self.stored_entry((*place).clone())?
            && now.began <= at.op
        {
            return Ok(Some(now.parent));
        }
        Ok(self.parents_at(at, ino)?.first().copied())
    }

    /// The directories that a node was in: all of them where it had several names.
    pub fn parents_at(&self, at: Moment, ino: Ino) -> Result<Vec<Ino>> {
        let names = self.names_at(at, ino)?;
        Ok(names.into_iter().map(|entry| entry.parent).collect())
    }

    /// The path that a node had then, by one of its names. Asks nobody.
    pub fn path_at(&self, at: Moment, ino: Ino) -> Result<FsPath> {
        let mut names = Vec::new();
        let mut up = ino;
        while let Some(entry) = self.names_at(at, up)?.into_iter().next() {
            names.push(entry.name);
            up = entry.parent;
        }
        names.reverse();
        Ok(FsPath::from_names(names))
    }

    fn names_at(&self, at: Moment, ino: Ino) -> Result<Vec<Entry>> {
        let names = self.store.names_at(ino, at.op)?;
        self.remembers(at)?;
        Ok(names)
    }

    fn directory_at(&self, caller: &Caller, at: Moment, ino: Ino) -> Result<Found> {
        let dir = self.getattr_at(caller, at, ino)?;
        if dir.is_dir() {
            return Ok(dir);
        }
        fail(Kind::NotDirectory, "not a directory")
    }

    fn node_at(&self, at: Moment, ino: Ino) -> Result<Arc<Node>> {
        let node = self.state_of(at, ino);
        self.remembers(at)?;
        node
    }

    fn state_of(&self, at: Moment, ino: Ino) -> Result<Arc<Node>> {
        if let Some(now) = self.stored_node(ino)?
            && now.began <= at.op
        {
            return Ok(now);
        }
        if let Some(then) = self.memory.node(ino, at.op) {
            return Ok(then);
        }
        // It was another before that, or was not there yet, or is gone.
        let missing = || Error::new(Kind::NotFound, format!("node {ino} did not exist then"));
        let then = self.store.node_at(ino, at.op)?.ok_or_else(missing)?;
        self.memory.keep_node(at.op, &then);
        Ok(then)
    }

    pub(super) fn entry_at(
        &self,
        at: Moment,
        parent: Ino,
        name: &Name,
    ) -> Result<Option<Arc<Entry>>> {
        let place = Place {
            parent,
            name: name.clone(),
        };
        let entry = self.meaning_of(at, &place);
        self.remembers(at)?;
        entry
    }

    fn meaning_of(&self, at: Moment, place: &Place) -> Result<Option<Arc<Entry>>> {
        if let Some(now) = self.stored_entry(place.clone())?
            && now.began <= at.op
        {
            return Ok(Some(now));
        }
        match self.memory.entry(place, at.op) {
            Known::Name(then) => return Ok(Some(then)),
            Known::NoName => return Ok(None),
            Known::Nothing => {}
        }
        let then = self.store.entry_at(place, at.op)?;
        match &then {
            Some(then) => self.memory.keep_entry(at.op, then),
            None => self.memory.keep_absence(at.op, place),
        }
        Ok(then)
    }
}

/// A row of then without what later operations have changed in it in place.
fn shown(at: Moment, node: Arc<Node>) -> Found {
    let dir = node.is_dir();
    let links = if dir { UNCOUNTED } else { node.nlink };
    let mtime = if dir {
        node.mtime.min(at.time)
    } else {
        node.mtime
    };
    let ctime = node.ctime.min(at.time);
    if (links, mtime, ctime) == (node.nlink, node.mtime, node.ctime) {
        return node;
    }
    Arc::new(Node {
        nlink: links,
        mtime,
        ctime,
        ..(*node).clone()
    })
}
