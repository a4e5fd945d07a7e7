//! A revision: many rows set to what somebody worked out that they should be, in one change and one operation.
//!
//! What is done must be allowed (semantics.md §6): each name takes what adding or removing it takes, each node what
//! changing it takes. What comes back inside a directory that comes back is judged by the name that brings that one.

use super::attr::closes;
use super::commit::Change;
use super::engine::Engine;
use super::ground::has_names;
use super::privileges::{CAPABILITY, without_setid};
use crate::access::Right;
use crate::blob::Sealed;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, Time, error::fail};
use crate::meta::cache::Place;
use crate::meta::tuple::Tuple;
use crate::meta::{Entry, Node, OpKind, Xattr};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What rows are to be; what it does not speak of stays. Whoever makes one knows the present: it holds for one end of the log.
#[derive(Default)]
pub struct Revision {
    /// Nodes that are not there and come back. Link counts and parents are worked out.
    pub back: Vec<Node>,
    /// Nodes that are there: mode, owner, content and times are taken over.
    pub changed: Vec<Node>,
    pub gone: Vec<Ino>,
    pub names: Vec<Naming>,
    pub xattrs: Vec<(Ino, Vec<u8>, Option<Vec<u8>>)>,
    pub grants_gone: Vec<Arc<Tuple>>,
    /// Grants that come back, where node and holder are there.
    pub grants_back: Vec<Arc<Tuple>>,
    /// When directories were last changed, as it is to look.
    pub times: Vec<(Ino, Time)>,
    /// Contents that are new.
    pub made: Vec<Sealed>,
}

/// A name, what it stands for, and what it is to stand for.
#[derive(Debug, Clone)]
pub struct Naming {
    pub place: Place,
    pub was: Option<Arc<Entry>>,
    pub to: Option<Ino>,
}

impl Revision {
    pub fn is_empty(&self) -> bool {
        let nodes = self.back.is_empty() && self.changed.is_empty() && self.gone.is_empty();
        let grants = self.grants_gone.is_empty() && self.grants_back.is_empty();
        let others = self.names.is_empty() && self.xattrs.is_empty() && self.times.is_empty();
        nodes && grants && others
    }

    /// Nodes of which what is being written would be lost: those that change, and those that lose a name.
    fn touched(&self) -> impl Iterator<Item = Ino> {
        let changed = self.changed.iter().map(|node| node.ino);
        let named = self.names.iter().filter_map(|naming| naming.was.as_ref());
        let named = named.map(|entry| entry.ino);
        changed.chain(self.gone.iter().copied()).chain(named)
    }
}

/// How the log is to have it.
#[derive(Debug)]
pub struct Title {
    pub kind: OpKind,
    pub path: FsPath,
    /// What reverses it, beside the rows it ends.
    pub undo: serde_json::Value,
}

impl Engine {
    /// Makes a revision that was worked out when the log ended with `head`; fails with `Conflict` when it has gone on since.
    /// A rehearsal asks every permission, and leaves nothing.
    pub fn revise(
        &self,
        caller: &Caller,
        head: Op,
        what: &Revision,
        title: &Title,
        rehearse: bool,
    ) -> Result<Option<Op>> {
        let (mut fits, mut is_written) = (false, false);
        let made = self.change(caller, |ch| {
            if ch.op() != Op(head.0 + 1) {
                return fail(Kind::Conflict, "somebody changed something meanwhile");
            }
            Reviser::new(ch, what).run()?;
            let (op, root) = (ch.op(), self.root(caller)?);
            ch.relocated = true;
            ch.record(title.kind, root, &title.path, None, &title.undo);
            fits = rehearse;
            if rehearse {
                return fail(Kind::Unsupported, "a rehearsal leaves nothing");
            }
            is_written = what.touched().any(|ino| self.files.pending(ino).is_some());
            if is_written {
                return fail(Kind::Conflict, "somebody is writing there");
            }
            Ok(op)
        });
        if fits {
            return Ok(None);
        }
        if is_written {
            self.seal_pending(what.touched())?;
        }
        let op = made?;
        for node in what.changed.iter().chain(&what.back) {
            match self.node(node.ino) {
                Ok(node) => self.files.refresh(&node),
                // It has lost its last name.
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(op))
    }
}

/// A revision at work.
struct Reviser<'r, 'c, 'e> {
    ch: &'c mut Change<'e>,
    engine: &'e Engine,
    what: &'r Revision,
    new: HashMap<Ino, &'r Node>,
    /// Names that each node has more or fewer.
    links: BTreeMap<Ino, i64>,
    /// Existing directories in which names change, and subdirectories more or fewer of each directory.
    subdirs: BTreeMap<Ino, i32>,
    /// The directory that each was given a name in.
    parents: HashMap<Ino, Ino>,
}

impl<'r, 'c, 'e> Reviser<'r, 'c, 'e> {
    fn new(ch: &'c mut Change<'e>, what: &'r Revision) -> Self {
        Self {
            engine: ch.engine,
            ch,
            what,
            new: what.back.iter().map(|node| (node.ino, node)).collect(),
            links: BTreeMap::new(),
            subdirs: BTreeMap::new(),
            parents: HashMap::new(),
        }
    }

    fn run(mut self) -> Result<()> {
        for sealed in &self.what.made {
            self.ch.store(sealed);
        }
        for naming in &self.what.names {
            self.end(naming)?;
        }
        for node in &self.what.back {
            self.bring_back(node)?;
        }
        for node in &self.what.changed {
            self.turn_into(node)?;
        }
        for naming in &self.what.names {
            if let Some(ino) = naming.to {
                let (place, cookie) = (&naming.place, self.engine.next_id());
                self.ch.add_entry(place.parent, &place.name, ino, cookie);
            }
        }
        self.recount()?;
        for (ino, name, value) in &self.what.xattrs {
            self.xattr(*ino, name, value.as_deref())?;
        }
        self.grants()?;
        for (dir, at) in &self.what.times {
            if let Ok(old) = self.ch.node(*dir) {
                self.engine.may(self.ch.caller, &old, Right::Write)?;
                self.ch.note_time(&old);
                let old = (*old).clone();
                self.ch.touch(Node { mtime: *at, ..old })?;
            }
        }
        Ok(())
    }

    /// Asks whether a name may change, takes its present meaning away, and counts.
    fn end(&mut self, naming: &Naming) -> Result<()> {
        let place = &naming.place;
        if !self.new.contains_key(&place.parent) {
            self.may_name(naming)?;
            self.subdirs.entry(place.parent).or_default();
        }
        if let Some(old) = &naming.was {
            self.ch.end_entry(old);
            self.count(old.ino, place.parent, -1)?;
        }
        if let Some(ino) = naming.to {
            self.ch.rejudges(ino);
            self.count(ino, place.parent, 1)?;
        }
        Ok(())
    }

    fn may_name(&self, naming: &Naming) -> Result<()> {
        let (engine, caller, place) = (self.engine, self.ch.caller, &naming.place);
        let dir = engine.directory(caller, place.parent)?;
        engine.locate(dir.ino)?.writable(caller)?;
        if engine.transient.child(place).is_some() {
            return fail(Kind::Conflict, "a file is being made there");
        }
        let may = match &naming.was {
            Some(old) => engine.may_take(caller, &dir, &*self.ch.node(old.ino)?),
            None => Ok(()),
        };
        let may = may.and_then(|()| match naming.to {
            Some(_) => engine.may(caller, &dir, Right::Write),
            None => Ok(()),
        });
        may.map_err(|e| match engine.path_of(place.parent) {
            Ok(dir) => e.context(dir.join(place.name.clone())),
            Err(_) => e,
        })
    }

    fn count(&mut self, ino: Ino, parent: Ino, by: i32) -> Result<()> {
        *self.links.entry(ino).or_default() += i64::from(by);
        let is_dir = match self.new.get(&ino) {
            Some(new) => new.is_dir(),
            None => self.engine.node(ino)?.is_dir(),
        };
        if is_dir {
            *self.subdirs.entry(parent).or_default() += by;
        }
        if by > 0 {
            self.parents.insert(ino, parent);
        }
        Ok(())
    }

    fn bring_back(&mut self, to: &Node) -> Result<()> {
        let links = self.links.remove(&to.ino).unwrap_or(0);
        let subdirs = self.subdirs.remove(&to.ino).unwrap_or(0);
        let nlink = if to.is_dir() {
            2 + i64::from(subdirs)
        } else {
            links
        };
        let mut back = Node {
            mode: self.engine.mode_of_returning(self.ch.caller, to)?,
            nlink: u32::try_from(nlink).unwrap_or(1),
            ctime: self.ch.now,
            writing: None,
            ..to.clone()
        };
        back.parent = self.parent_of(&back, Ino(0));
        self.ch.insert(back);
        Ok(())
    }

    /// The directory that a node is in, now that its links are counted: where it has a single name and was given one, there.
    fn parent_of(&self, node: &Node, before: Ino) -> Ino {
        if has_names(node) {
            return Ino(0);
        }
        self.parents.get(&node.ino).copied().unwrap_or(before)
    }

    fn turn_into(&mut self, to: &Node) -> Result<()> {
        let old = self.ch.node(to.ino)?;
        self.may_become(&old, to)?;
        let is_other = old.content != to.content;
        let new = Node {
            // Those bits were given to what it holds now (write(2)).
            mode: if is_other && old.mode == to.mode && !self.ch.caller.is_root() {
                without_setid(to.mode)
            } else {
                to.mode
            },
            uid: to.uid,
            gid: to.gid,
            size: to.size,
            content: to.content.clone(),
            // A directory's follows from its names (`Revision::times`).
            mtime: if old.is_dir() { old.mtime } else { to.mtime },
            atime: to.atime,
            ctime: self.ch.now,
            version: old.version + u64::from(is_other),
            ..(*old).clone()
        };
        if closes(&old, &new)
            && let Some(place) = self.engine.place(to.ino)?
        {
            self.ch.closed(&place);
        }
        self.ch.update(new)?;
        match self.engine.capability(to.ino)? {
            Some(held) if is_other && !self.sets(to.ino, CAPABILITY) => {
                self.ch.end_xattr(&held);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether an attribute of a node is to be another one, or none.
    fn sets(&self, ino: Ino, name: &[u8]) -> bool {
        let mut all = self.what.xattrs.iter();
        all.any(|(of, its, _)| *of == ino && its == name)
    }

    fn may_become(&self, old: &Node, new: &Node) -> Result<()> {
        let (engine, caller) = (self.engine, self.ch.caller);
        let path = engine.path_of(old.ino)?;
        engine.locate(old.ino)?.writable(caller)?;
        let may = || {
            if (old.uid, old.gid) != (new.uid, new.gid) {
                engine.may_chown(caller, old, Some(new.uid), Some(new.gid))?;
            }
            if old.content != new.content || old.mtime != new.mtime {
                engine.may(caller, old, Right::Write)?;
            }
            if old.mode != new.mode {
                engine.may(caller, old, Right::Own)?;
            }
            Ok(())
        };
        may().map_err(|e: crate::core::Error| e.context(&path))
    }

    /// Link counts, places of directories, and the end of nodes that have no name any more.
    fn recount(&mut self) -> Result<()> {
        let mut gone: HashSet<Ino> = self.what.gone.iter().copied().collect();
        for (ino, more) in std::mem::take(&mut self.links) {
            let old = self.ch.node(ino)?;
            let nlink = match old.is_dir() {
                true if more < 0 => 0,
                true => i64::from(old.nlink),
                false => i64::from(old.nlink) + more,
            };
            if nlink <= 0 {
                gone.insert(ino);
                continue;
            }
            let mut new = (*old).clone();
            new.nlink = u32::try_from(nlink).unwrap_or(1);
            new.parent = self.parent_of(&new, old.parent);
            if more != 0 || new.parent != old.parent {
                new.ctime = self.ch.now;
                self.ch.touch(new)?;
            }
        }
        for (dir, more) in std::mem::take(&mut self.subdirs) {
            if !gone.contains(&dir) {
                self.ch.touch_dir(dir, more, self.ch.now)?;
            }
        }
        for ino in gone {
            let old = self.ch.node(ino)?;
            self.ch.remove(&old)?;
        }
        Ok(())
    }

    fn xattr(&mut self, ino: Ino, name: &[u8], value: Option<&[u8]>) -> Result<()> {
        let engine = self.engine;
        if !self.new.contains_key(&ino) {
            let node = match self.ch.node(ino) {
                Ok(node) => node,
                // It has lost its last name, and its attributes with it.
                Err(e) if e.kind() == Kind::NotFound => return Ok(()),
                Err(e) => return Err(e),
            };
            engine.may_revise_xattr(self.ch.caller, &node, (name, value))?;
            let all = engine.xattrs(ino)?;
            if let Some(old) = all.iter().find(|x| x.name == name) {
                self.ch.end_xattr(old);
            }
            self.ch.forget_below(&node)?;
        } else if let (Some(node), Some(value)) = (self.new.get(&ino), value) {
            engine.may_bring_xattr(self.ch.caller, node, (name, value))?;
        }
        if let Some(value) = value {
            self.ch.add_xattr(Xattr {
                ino,
                name: name.to_vec(),
                value: value.to_vec(),
                began: self.ch.op(),
            });
        }
        Ok(())
    }

    fn grants(&mut self) -> Result<()> {
        let engine = self.engine;
        let mut gone = HashSet::new();
        for tuple in &self.what.grants_gone {
            if engine.tuple(tuple.id).is_some() && self.may_grant(tuple)? {
                self.ch.drop_grant(tuple.clone())?;
                gone.insert(tuple.id);
            }
        }
        let mut back = HashSet::new();
        for tuple in &self.what.grants_back {
            // A record may name one twice: granted there, and gone with its node.
            if !back.insert(tuple.id) {
                continue;
            }
            // One with another end goes and makes room in this very change.
            let same = |t: &Tuple| (t.says_as(tuple) || t.id == tuple.id) && !gone.contains(&t.id);
            let stands = match tuple.ino() {
                Some(ino) => self.ch.tuples_on(ino).iter().any(|t| same(t)),
                None => !engine.tuples(tuple.tenant, same).is_empty(),
            };
            let roster = engine.roster(tuple.tenant)?;
            let holder = tuple.principal();
            let lives = holder.is_none_or(|id| roster.by_id(id).is_some());
            if !stands && lives && self.may_grant(tuple)? {
                self.ch.return_grant(tuple.clone())?;
            }
        }
        Ok(())
    }

    /// Whether the node or the type of a grant is there; fails where its grants are not the caller's to change.
    fn may_grant(&mut self, tuple: &Tuple) -> Result<bool> {
        let Some(ino) = tuple.ino() else {
            return self.engine.can_relate(self.ch.caller, tuple);
        };
        if self.new.contains_key(&ino) {
            return Ok(true);
        }
        let Ok(node) = self.ch.node(ino) else {
            return Ok(false);
        };
        self.engine.may(self.ch.caller, &node, Right::Own)?;
        self.ch.forget_below(&node)?;
        Ok(true)
    }
}
