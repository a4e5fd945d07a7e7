//! A change: effect and log record in one transaction, then caches, open files and kernels are told.
//!
//! This is the only place that writes rows of the tree or records of the log. Budget of a small change on SQLite: one
//! transaction of 7 to 9 short statements, no sync (fsync(2) asks for one).

use super::engine::Engine;
use super::events::Event;
use crate::blob::Sealed;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result, TenantId, Time};
use crate::db::Tx;
use crate::meta::cache::{Delta, Place};
use crate::meta::tenant::{self, Head};
use crate::meta::{Entry, Node, OpKind, Record, entry, log, node, xattr};
use std::collections::HashMap;
use std::sync::Arc;

/// A transaction under way, on behalf of one caller.
pub struct Change<'a> {
    pub(super) engine: &'a Engine,
    pub(super) caller: &'a Caller,
    pub(super) tx: Box<dyn Tx + 'a>,
    pub(super) now: Time,
    tenant: TenantId,
    head: Head,
    nodes: HashMap<Ino, Option<Arc<Node>>>,
    entries: Vec<(Place, Option<Arc<Entry>>)>,
    lost: Vec<(Place, Ino)>,
    /// Nodes whose last name went: they live on while they are open.
    unlinked: Vec<Arc<Node>>,
    births: Vec<Ino>,
    contents: Vec<Ino>,
}

impl Engine {
    /// Runs `f` in a transaction of the caller's tenant. An error of `f` or of the commit leaves nothing.
    pub(super) fn change<T>(
        &self,
        caller: &Caller,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        self.change_after(caller, |_| Ok(()), f)
    }

    /// The same, with something done first in the same transaction: before the tenant's head is read.
    pub(super) fn change_after<T>(
        &self,
        caller: &Caller,
        first: impl FnOnce(&mut dyn Tx) -> Result<()>,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let turn = self.turn.lock();
        let (out, events) = self.change_in_turn(caller, first, f)?;
        drop(turn);
        self.tell(caller, &events);
        Ok(out)
    }

    fn change_in_turn<T>(
        &self,
        caller: &Caller,
        first: impl FnOnce(&mut dyn Tx) -> Result<()>,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let Some(tenant) = caller.tenant else {
            return Err(Error::new(
                Kind::Denied,
                "without a tenant nothing can be changed",
            ));
        };
        self.stock_ids()?;
        let mut tx = self.db.begin()?;
        first(&mut *tx)?;
        let head = tenant::lock_head(&mut *tx, tenant)?;
        let mut change = Change {
            engine: self,
            caller,
            tx,
            now: self.clock.now(),
            tenant,
            head,
            nodes: HashMap::new(),
            entries: Vec::new(),
            lost: Vec::new(),
            unlinked: Vec::new(),
            births: Vec::new(),
            contents: Vec::new(),
        };
        let out = f(&mut change)?;
        Ok((out, change.commit()?))
    }

    /// Tells every kernel but the caller's own; a caller without a mount waits until they know.
    pub(super) fn tell(&self, caller: &Caller, events: &[Event]) {
        if let Some(tenant) = caller.tenant {
            self.events.publish(tenant, caller.mount, events);
        }
    }
}

impl Change<'_> {
    /// The number of the operation being made.
    pub(super) fn op(&self) -> Op {
        Op(self.head.op.0 + 1)
    }

    pub(super) fn node(&self, ino: Ino) -> Result<Arc<Node>> {
        match self.nodes.get(&ino) {
            Some(Some(node)) => Ok(node.clone()),
            Some(None) => Err(super::engine::no_node(ino)),
            None => self.engine.node(ino),
        }
    }

    /// The committed entry of a name. A file that is still being created is committed first, as its own operation.
    pub(super) fn entry(&mut self, parent: Ino, name: &Name) -> Result<Option<Arc<Entry>>> {
        let place = Place {
            parent,
            name: name.clone(),
        };
        if let Some((_, known)) = self.entries.iter().rev().find(|(p, _)| *p == place) {
            return Ok(known.clone());
        }
        if let Some(ino) = self.engine.transient.child(&place) {
            self.birth(ino, None)?;
            return self.entry(parent, name);
        }
        self.engine.stored_entry(place)
    }

    /// Fails with `Exists` when a name is taken.
    pub(super) fn vacant(&mut self, parent: Ino, name: &Name) -> Result<()> {
        match self.entry(parent, name)? {
            Some(_) => Err(Error::new(Kind::Exists, format!("{name} exists"))),
            None => Ok(()),
        }
    }

    /// Puts a new node into the tables.
    pub(super) fn insert(&mut self, mut new: Node) -> Result<()> {
        new.began = self.op();
        node::put(&mut *self.tx, &new)?;
        self.add_state(new.sum());
        self.nodes.insert(new.ino, Some(Arc::new(new)));
        Ok(())
    }

    /// Changes a node and keeps its former state in the past.
    pub(super) fn update(&mut self, mut new: Node) -> Result<()> {
        let old = self.node(new.ino)?;
        new.began = self.op();
        if old.began != new.began {
            node::retire(&mut *self.tx, new.ino, new.began)?;
        }
        if old.content != new.content {
            self.contents.push(new.ino);
        }
        self.replace(&old, new)
    }

    /// Changes what follows from other rows (times and link counts of directories, ctime of a renamed file): the past can
    /// derive it from the log, so no former state is kept.
    pub(super) fn touch(&mut self, new: Node) -> Result<()> {
        let old = self.node(new.ino)?;
        self.replace(&old, new)
    }

    fn replace(&mut self, old: &Node, new: Node) -> Result<()> {
        if old.nlink == 0 {
            return Err(super::engine::no_node(old.ino));
        }
        node::put(&mut *self.tx, &new)?;
        self.add_state(new.sum().wrapping_sub(old.sum()));
        self.nodes.insert(new.ino, Some(Arc::new(new)));
        Ok(())
    }

    /// Takes a node whose last name went out of the present.
    pub(super) fn remove(&mut self, old: &Node) -> Result<()> {
        let op = self.op();
        node::retire(&mut *self.tx, old.ino, op)?;
        node::delete(&mut *self.tx, old.ino)?;
        self.add_state(old.sum().wrapping_neg());
        for x in xattr::list(&mut *self.tx, old.ino)? {
            self.end_xattr(&x)?;
        }
        self.unlinked.push(Arc::new(Node {
            nlink: 0,
            ctime: self.now,
            ..old.clone()
        }));
        self.nodes.insert(old.ino, None);
        Ok(())
    }

    pub(super) fn add_entry(
        &mut self,
        parent: Ino,
        name: &Name,
        ino: Ino,
        cookie: u64,
    ) -> Result<()> {
        let new = Entry {
            parent,
            name: name.clone(),
            ino,
            cookie,
            began: self.op(),
        };
        entry::put(&mut *self.tx, &new)?;
        self.add_state(new.sum());
        self.entries.push((
            Place {
                parent,
                name: name.clone(),
            },
            Some(Arc::new(new)),
        ));
        Ok(())
    }

    pub(super) fn end_entry(&mut self, old: &Entry) -> Result<()> {
        let op = self.op();
        entry::retire(&mut *self.tx, old, op)?;
        self.add_state(old.sum().wrapping_neg());
        let place = Place {
            parent: old.parent,
            name: old.name.clone(),
        };
        self.lost.push((place.clone(), old.ino));
        self.entries.push((place, None));
        Ok(())
    }

    pub(super) fn add_xattr(&mut self, new: &xattr::Xattr) -> Result<()> {
        xattr::put(&mut *self.tx, new)?;
        self.add_state(new.sum());
        Ok(())
    }

    pub(super) fn end_xattr(&mut self, old: &xattr::Xattr) -> Result<()> {
        let op = self.op();
        xattr::retire(&mut *self.tx, old, op)?;
        self.add_state(old.sum().wrapping_neg());
        Ok(())
    }

    /// Notes that a directory's entries changed: mtime and ctime, and `links` more or fewer subdirectories.
    pub(super) fn touch_dir(&mut self, ino: Ino, links: i32, at: Time) -> Result<()> {
        let old = self.node(ino)?;
        let mut dir = (*old).clone();
        dir.nlink = dir.nlink.saturating_add_signed(links);
        dir.mtime = dir.mtime.max(at);
        dir.ctime = dir.ctime.max(at);
        self.touch(dir)
    }

    /// Puts a file that was created but not yet closed into the tables, with `sealed` as its content when given,
    /// and its time.
    pub(super) fn birth(&mut self, ino: Ino, sealed: Option<(&Sealed, Time)>) -> Result<()> {
        let Some(birth) = self.engine.transient.birth(ino) else {
            return Ok(());
        };
        let mut new = (*self.engine.node(ino)?).clone();
        if let Some((sealed, mtime)) = sealed {
            sealed.store(&mut *self.tx)?;
            new.mtime = mtime;
            new.ctime = new.ctime.max(mtime);
            new.size = sealed.content.size();
            new.content = sealed.content.clone();
        }
        let dir = self.engine.path_of(birth.place.parent)?;
        let at = new.btime;
        let undo = serde_json::json!({ "size": new.size });
        self.insert(new)?;
        self.add_entry(birth.place.parent, &birth.place.name, ino, birth.cookie)?;
        self.touch_dir(birth.place.parent, 0, at)?;
        self.births.push(ino);
        let path = dir.join(birth.place.name.clone());
        let author = birth.caller.clone();
        self.record_as(&author, OpKind::Create, ino, &path, None, &undo)
    }

    /// Ends the operation with its record; the next change of this transaction belongs to the next operation.
    pub(super) fn record(
        &mut self,
        kind: OpKind,
        ino: Ino,
        path: &FsPath,
        path2: Option<&FsPath>,
        undo: &serde_json::Value,
    ) -> Result<()> {
        let caller = self.caller;
        self.record_as(caller, kind, ino, path, path2, undo)
    }

    pub(super) fn record_as(
        &mut self,
        who: &Caller,
        kind: OpKind,
        ino: Ino,
        path: &FsPath,
        path2: Option<&FsPath>,
        undo: &serde_json::Value,
    ) -> Result<()> {
        let own = |s: &Option<Arc<str>>| s.as_deref().map(str::to_owned);
        let (pid, comm) = self.engine.processes.of(who);
        let record = Record {
            tenant: self.tenant,
            op: self.op(),
            time: self.now,
            kind,
            ino,
            path: path.to_bytes(),
            path2: path2.map(FsPath::to_bytes),
            user: own(&who.user),
            agent: own(&who.agent),
            session: own(&who.session),
            uid: who.uid,
            pid,
            comm,
            undo: undo.to_string(),
            state: self.head.state,
        };
        let hash = record.chain(&self.head.hash);
        log::append(&mut *self.tx, &record, &hash)?;
        self.head.op = record.op;
        self.head.hash = hash;
        Ok(())
    }

    fn add_state(&mut self, sum: i64) {
        self.head.state = self.head.state.wrapping_add(sum);
    }

    fn commit(mut self) -> Result<Vec<Event>> {
        tenant::set_head(&mut *self.tx, self.tenant, &self.head)?;
        self.tx.commit()?;
        let mut events = Vec::with_capacity(self.entries.len() + self.nodes.len());
        for (place, _) in &self.entries {
            events.push(Event::Entry {
                parent: place.parent,
                name: place.name.clone(),
            });
        }
        for ino in self.nodes.keys() {
            let data = self.contents.contains(ino);
            events.push(if data {
                Event::Data(*ino)
            } else {
                Event::Attr(*ino)
            });
        }
        let delta = Delta {
            nodes: self.nodes.into_iter().collect(),
            entries: self.entries,
            lost: self.lost,
        };
        self.engine.publish(delta, self.unlinked, &self.births);
        self.engine.events.log_grew(self.tenant, self.head.op);
        Ok(events)
    }
}
