//! A change: effect and log record together, then caches, open files and kernels are told.
//!
//! This is the only place that edits rows of the tree or the log. Budget of a small change: one record of the journal
//! (a `pwrite` of some hundred bytes), no statement, no sync (fsync(2) asks for one).

mod record;

use super::engine::Engine;
use super::events::{Event, Stream};
use crate::blob::Sealed;
use crate::core::{Caller, Error, Ino, Kind, Name, Op, Result, TenantId, Time};
use crate::meta::cache::{Delta, Place};
use crate::meta::tenant::Head;
use crate::meta::tuple::Tuple;
use crate::meta::{Edit, Edits, Entry, Node, OpKind, Tenant, Xattr};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A change under way, on behalf of one caller.
pub struct Change<'a> {
    pub(super) engine: &'a Engine,
    pub(super) caller: &'a Caller,
    edits: Edits,
    pub(super) now: Time,
    pub(super) tenant: TenantId,
    head: Head,
    nodes: HashMap<Ino, Option<Arc<Node>>, RandomState>,
    pub(super) entries: Vec<(Place, Option<Arc<Entry>>)>,
    pub(super) lost: Vec<(Place, Ino)>,
    /// Nodes whose last name went: they live on while they are open.
    unlinked: Vec<Arc<Node>>,
    births: Vec<Ino>,
    pub(super) new: Vec<(Ino, bool)>,
    attributes: Vec<Ino>,
    contents: HashSet<Ino>,
    pub(super) closed: Vec<Event>,
    /// Grants that went with something else, and to whom they were, for the record of the operation.
    pub(super) dropped: Vec<(Arc<Tuple>, String)>,
    /// Grants that came back, likewise.
    pub(super) returned: Vec<(Arc<Tuple>, String)>,
    /// Who came into a group with something else, as the record tells it, and who left one.
    pub(super) joined: Vec<serde_json::Value>,
    pub(super) left: Vec<serde_json::Value>,
    /// Directories whose time changes, and what it was before, for the record: their rows keep no former state.
    touched: BTreeMap<Ino, Time>,
    /// Whether a directory, or a node that something was said about, is to be found somewhere else.
    pub(super) relocated: bool,
    /// The oldest of the nodes that may be judged otherwise now.
    pub(super) rejudged: Option<Ino>,
}

impl Engine {
    /// Runs `f` as one change of the caller's tenant. An error of `f` or of the commit leaves nothing. Not to be called with a
    /// lock that requests of mounts wait for.
    pub(super) fn change<T>(
        &self,
        caller: &Caller,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let (out, events) = self.change_untold(caller, f)?;
        self.tell(caller, &events);
        Ok(out)
    }

    /// The same, of which nobody is told yet.
    pub(super) fn change_untold<T>(
        &self,
        caller: &Caller,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let _turn = self.turn.lock();
        let tenant = tenant_of(caller)?;
        self.home(tenant)?;
        let head = self.store.head(tenant)?;
        self.change_from(caller, tenant, head, f)
    }

    /// The first change of a tenant, which makes it.
    pub(super) fn change_of_new<T>(
        &self,
        caller: &Caller,
        new: &Tenant,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let _turn = self.turn.lock();
        self.tenants.vacant(new)?;
        let (out, _) = self.change_from(caller, new.id, Head::default(), |ch| {
            ch.edits.push(Edit::Tenant(new.clone(), ch.now));
            f(ch)
        })?;
        Ok(out)
    }

    /// Runs `f` as a change of a tenant whose log ends with `head`. The caller has the turn.
    pub(super) fn change_from<T>(
        &self,
        caller: &Caller,
        tenant: TenantId,
        head: Head,
        f: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let mut change = Change::of(self, caller, tenant, head);
        let out = f(&mut change)?;
        Ok((out, change.commit()?))
    }

    /// Runs `f` as a change of which nothing is kept. It has not the turn: nobody waits for it, and others go on changing things.
    pub(super) fn try_change(
        &self,
        caller: &Caller,
        f: impl FnOnce(&mut Change<'_>) -> Result<()>,
    ) -> Result<()> {
        let tenant = tenant_of(caller)?;
        self.home(tenant)?;
        let head = self.store.head(tenant)?;
        f(&mut Change::of(self, caller, tenant, head))
    }

    /// Tells every kernel but the caller's own; a caller without a mount waits until they know.
    pub(super) fn tell(&self, caller: &Caller, events: &[Event]) {
        if let Some(tenant) = caller.tenant {
            self.events.publish(tenant, caller.mount, events);
        }
    }
}

fn tenant_of(caller: &Caller) -> Result<TenantId> {
    let none = || caller.stranger(Kind::Denied);
    caller.tenant.ok_or_else(none)
}

impl<'a> Change<'a> {
    fn of(engine: &'a Engine, caller: &'a Caller, tenant: TenantId, head: Head) -> Self {
        Self {
            engine,
            caller,
            edits: Edits::default(),
            now: engine.clock.now(),
            tenant,
            head,
            nodes: HashMap::default(),
            entries: Vec::new(),
            lost: Vec::new(),
            unlinked: Vec::new(),
            births: Vec::new(),
            new: Vec::new(),
            attributes: Vec::new(),
            contents: HashSet::new(),
            closed: Vec::new(),
            dropped: Vec::new(),
            returned: Vec::new(),
            joined: Vec::new(),
            left: Vec::new(),
            touched: BTreeMap::new(),
            relocated: false,
            rejudged: None,
        }
    }
}

impl Change<'_> {
    /// The number of the operation being made.
    pub(super) fn op(&self) -> Op {
        Op(self.head.op.0 + 1)
    }

    /// Whether nothing has come of it so far.
    pub(super) fn is_nothing(&self) -> bool {
        self.edits.list.is_empty()
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

    /// Fails with `Exists` when a name is taken, and with `Denied` when by something that the caller does not see.
    pub(super) fn vacant(&mut self, dir: &Node, name: &Name) -> Result<()> {
        self.engine.may_name(name)?;
        match self.seen(dir, name)? {
            Some(_) => Err(Error::new(Kind::Exists, format!("{name} exists"))),
            None => Ok(()),
        }
    }

    /// What has a name in a directory that the caller may search; fails with `Denied` when it is hidden from him.
    pub(super) fn seen(
        &mut self,
        dir: &Node,
        name: &Name,
    ) -> Result<Option<(Arc<Entry>, Arc<Node>)>> {
        let Some(entry) = self.entry(dir.ino, name)? else {
            return Ok(None);
        };
        let node = self.node(entry.ino)?;
        self.engine.may_meet(self.caller, dir, &node)?;
        Ok(Some((entry, node)))
    }

    /// Puts a new node into the tables.
    pub(super) fn insert(&mut self, mut new: Node) {
        new.began = self.op();
        self.add_state(new.sum());
        self.new.push((new.ino, new.is_dir()));
        self.put(new);
    }

    /// Changes a node and keeps its former state in the past.
    pub(super) fn update(&mut self, mut new: Node) -> Result<()> {
        let old = self.node(new.ino)?;
        new.began = self.op();
        if old.began != new.began {
            self.edits.push(Edit::NodePast(old.clone(), new.began));
        }
        if old.content != new.content {
            self.contents.insert(new.ino);
        }
        if old.is_dir() && old.mtime != new.mtime {
            self.note_time(&old);
        }
        let rights = |n: &Node| (n.mode, n.uid, n.gid);
        if rights(&old) != rights(&new) && !self.engine.policy.is_empty() {
            // Where something was said, who has no right to a node does not find it, listed or not; and what he finds in a directory
            // depends on whether he may search it or is shown ways through it.
            let finds_others = old.is_dir() || self.engine.is_spoken_of(&old)?;
            for place in self.engine.places(&old)? {
                if finds_others {
                    self.closed(&place);
                }
                self.relisted(place.parent);
            }
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
        self.rejudges_if_moved(old, &new);
        self.add_state(new.sum().wrapping_sub(old.sum()));
        self.put(new);
        Ok(())
    }

    fn put(&mut self, new: Node) {
        let new = Arc::new(new);
        self.edits.push(Edit::Node(new.clone()));
        self.nodes.insert(new.ino, Some(new));
    }

    /// Takes over the blobs of a content that the change refers to.
    pub(super) fn store(&mut self, sealed: &Sealed) {
        let rows = sealed.rows().iter().cloned();
        self.edits.list.extend(rows.map(Edit::Blob));
        self.edits.pins.push(sealed.pinned());
    }

    /// Adds an edit of something that is not part of the tree.
    pub(super) fn edit(&mut self, edit: Edit) {
        self.edits.push(edit);
    }

    /// Takes a node whose last name went out of the present.
    pub(super) fn remove(&mut self, old: &Node) -> Result<()> {
        let op = self.op();
        // What this very operation has changed is in the past as it was before.
        if old.began != op {
            self.edits.push(Edit::NodePast(Arc::new(old.clone()), op));
        }
        self.edits.push(Edit::NodeGone(old.ino));
        self.rejudges(old.ino);
        self.add_state(old.sum().wrapping_neg());
        for x in self.engine.xattrs(old.ino)?.iter() {
            self.end_xattr(x);
        }
        self.drop_grants_on(old.ino)?;
        self.unlinked.push(Arc::new(Node {
            nlink: 0,
            ctime: self.now,
            ..old.clone()
        }));
        self.nodes.insert(old.ino, None);
        Ok(())
    }

    pub(super) fn add_entry(&mut self, parent: Ino, name: &Name, ino: Ino, cookie: u64) {
        let new = Entry {
            parent,
            name: name.clone(),
            ino,
            cookie,
            began: self.op(),
        };
        self.add_state(new.sum());
        let new = Arc::new(new);
        self.edits.push(Edit::Entry(new.clone()));
        let place = Place {
            parent,
            name: name.clone(),
        };
        self.entries.push((place, Some(new)));
    }

    pub(super) fn end_entry(&mut self, old: &Arc<Entry>) {
        let op = self.op();
        self.edits.push(Edit::EntryEnded(old.clone(), op));
        self.rejudges(old.ino);
        self.add_state(old.sum().wrapping_neg());
        let place = Place {
            parent: old.parent,
            name: old.name.clone(),
        };
        self.lost.push((place.clone(), old.ino));
        self.entries.push((place, None));
    }

    pub(super) fn add_xattr(&mut self, new: Xattr) {
        self.add_state(new.sum());
        self.attributes.push(new.ino);
        self.edits.push(Edit::Xattr(Arc::new(new)));
    }

    pub(super) fn end_xattr(&mut self, old: &Arc<Xattr>) {
        let op = self.op();
        self.attributes.push(old.ino);
        self.edits.push(Edit::XattrEnded(old.clone(), op));
        self.add_state(old.sum().wrapping_neg());
    }

    /// Keeps what the time of a directory was before this operation.
    pub(super) fn note_time(&mut self, dir: &Node) {
        self.touched.entry(dir.ino).or_insert(dir.mtime);
    }

    /// Notes that a directory's entries changed: mtime and ctime, and `links` more or fewer subdirectories.
    pub(super) fn touch_dir(&mut self, ino: Ino, links: i32, at: Time) -> Result<()> {
        let old = self.node(ino)?;
        self.note_time(&old);
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
            self.store(sealed);
            new.mtime = mtime;
            new.ctime = new.ctime.max(mtime);
            new.size = sealed.content.size();
            new.content = sealed.content.clone();
        }
        let dir = self.engine.path_of(birth.place.parent)?;
        let at = new.btime;
        let undo = serde_json::json!({ "size": new.size });
        self.insert(new);
        self.add_entry(birth.place.parent, &birth.place.name, ino, birth.cookie);
        self.touch_dir(birth.place.parent, 0, at)?;
        self.births.push(ino);
        let path = dir.join(birth.place.name.clone());
        let author = birth.caller.clone();
        self.record_as(&author, OpKind::Create, ino, &path, None, &undo);
        Ok(())
    }

    /// Notes that no row of the tenant's tree is left.
    pub(super) fn has_no_rows(&mut self) {
        self.head.state = 0;
    }

    fn add_state(&mut self, sum: i64) {
        self.head.state = self.head.state.wrapping_add(sum);
    }

    fn commit(mut self) -> Result<Vec<Event>> {
        if self.edits.list.is_empty() {
            return Ok(Vec::new());
        }
        self.edits.push(Edit::Head(self.tenant, self.head));
        self.edits.push(self.engine.ids_taken());
        let (of_tenants, of_policy) = (self.edits.of_tenants(), self.edits.of_policy());
        let of_relations = self.edits.of_relations();
        let rerouted = self.reroute(&of_policy)?;
        self.engine.store.commit(std::mem::take(&mut self.edits))?;
        self.engine.tenants.follow(self.tenant, &of_tenants);
        self.engine.policy.follow(self.tenant, &of_policy);
        self.engine.follow_relations(self.tenant, &of_relations);
        self.rejudges_all([&of_tenants, &of_policy, &of_relations]);
        let mut events: Vec<_> = self.rejudged.map(Event::Past).into_iter().collect();
        events.append(&mut self.told_of_names());
        for (place, _) in &self.entries {
            events.push(Event::Entry {
                parent: place.parent,
                name: place.name.clone(),
            });
        }
        for (ino, node) in &self.nodes {
            events.push(if node.as_ref().is_some_and(|n| n.is_dir()) {
                Event::List(*ino)
            } else if self.contents.contains(ino) {
                Event::Data(*ino)
            } else {
                Event::Attr(*ino)
            });
        }
        let delta = Delta {
            nodes: self.nodes.into_iter().collect(),
            entries: self.entries,
            lost: self.lost,
            born: self.new,
            attributes: self.attributes,
        };
        self.engine.publish(delta, self.unlinked, &self.births);
        if self.relocated {
            self.engine.policy.moved();
        }
        if rerouted {
            self.engine.policy.led_elsewhere.advance();
        }
        if self.rejudged.is_some() {
            self.engine.rejudged.advance();
        }
        let streams: &[Stream] = if of_policy.is_empty() && of_relations.is_empty() {
            &[Stream::All]
        } else {
            &[Stream::All, Stream::Grants]
        };
        self.engine
            .events
            .log_grew(self.tenant, self.head.op, streams);
        Ok(events)
    }
}
