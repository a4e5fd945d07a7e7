//! A revision at work: its rows judged and set, one after the other.

use super::lost::Lost;
use super::refusal::unseen;
use super::{Naming, Revision};
use crate::access::Right;
use crate::core::{Error, FsPath, Ino, Kind, Result, error::fail};
use crate::fs::attr::closes;
use crate::fs::carry::Spot;
use crate::fs::commit::Change;
use crate::fs::engine::Engine;
use crate::fs::ground::has_names;
use crate::fs::privileges::CAPABILITY;
use crate::fs::xattr::has_room;
use crate::meta::tuple::Tuple;
use crate::meta::{Node, Xattr};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An attribute's name and value.
type Given<'r> = (&'r [u8], &'r [u8]);

/// A revision at work.
pub(super) struct Reviser<'r, 'c, 'e> {
    pub(super) ch: &'c mut Change<'e>,
    pub(super) engine: &'e Engine,
    pub(super) what: &'r Revision,
    /// What the caller has asked for.
    pub(super) asked: &'r FsPath,
    pub(super) new: HashMap<Ino, &'r Node>,
    /// What comes back, as it was when it went.
    pub(super) lost: Lost<'e>,
    /// The attributes that what comes back will have.
    pub(super) given: HashMap<Ino, Vec<Given<'r>>>,
    /// What directories that come back will be to what lies in them.
    pub(super) goals: HashMap<Ino, Spot>,
    /// Names that each node has more or fewer.
    links: BTreeMap<Ino, i64>,
    /// Existing directories in which names change, and subdirectories more or fewer of each directory.
    subdirs: BTreeMap<Ino, i32>,
    /// The directory that each was given a name in.
    pub(super) parents: HashMap<Ino, Ino>,
    /// Names that each directory loses.
    freed: HashMap<Ino, usize>,
    /// Where all refusals are asked for: the nodes that the caller may not change so.
    pub(super) refusals: Option<BTreeSet<Ino>>,
}

impl<'r, 'c, 'e> Reviser<'r, 'c, 'e> {
    pub(super) fn new(ch: &'c mut Change<'e>, what: &'r Revision, asked: &'r FsPath) -> Self {
        Self {
            engine: ch.engine,
            lost: Lost::new(ch.engine),
            given: HashMap::new(),
            goals: HashMap::new(),
            ch,
            what,
            asked,
            new: what.back.iter().map(|node| (node.ino, node)).collect(),
            links: BTreeMap::new(),
            subdirs: BTreeMap::new(),
            parents: HashMap::new(),
            freed: HashMap::new(),
            refusals: None,
        }
    }

    pub(super) fn run(&mut self) -> Result<()> {
        self.is_of_the_present()?;
        for sealed in &self.what.made {
            self.ch.store(sealed);
        }
        for naming in &self.what.names {
            self.end(naming)?;
        }
        self.may_arrive()?;
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
        self.names_fit()?;
        for (ino, name, value) in &self.what.xattrs {
            self.xattr(*ino, name, value.as_deref())?;
        }
        self.grants()?;
        self.ch
            .regroup(&self.what.members_gone, &self.what.members_back)?;
        for (dir, at) in &self.what.times {
            if let Ok(old) = self.ch.node(*dir) {
                let may = self.may_now(*dir, Right::Write);
                self.judged([*dir], may)?;
                self.ch.note_time(&old);
                let old = (*old).clone();
                self.ch.touch(Node { mtime: *at, ..old })?;
            }
        }
        Ok(())
    }

    /// Looks up what is to come back. Fails with `Conflict` where it is there, or anything is said twice.
    fn is_of_the_present(&mut self) -> Result<()> {
        let places: HashSet<_> = self.what.names.iter().map(|n| &n.place).collect();
        let back: Vec<_> = self.new.keys().copied().collect();
        let twice = places.len() < self.what.names.len() || back.len() < self.what.back.len();
        if twice || !self.engine.store.nodes(&back)?.is_empty() {
            return fail(Kind::Conflict, "what would be made does not fit together");
        }
        for (ino, name, value) in &self.what.xattrs {
            if let Some(value) = value.as_deref().filter(|_| self.new.contains_key(ino)) {
                self.given.entry(*ino).or_default().push((name, value));
            }
        }
        self.lost.read(&back)
    }

    /// Asks whether a name may change, takes its present meaning away, and counts.
    fn end(&mut self, naming: &Naming) -> Result<()> {
        let place = &naming.place;
        let known = if self.new.contains_key(&place.parent) {
            None
        } else {
            let may = self.may_name(naming);
            let meant = [naming.was.as_ref().map(|old| old.ino), naming.to];
            self.judged(meant.into_iter().flatten(), may)?;
            self.subdirs.entry(place.parent).or_default();
            self.engine.stored_entry(place.clone())?
        };
        if known != naming.was {
            return fail(Kind::Conflict, "a name stands for something else now");
        }
        if let Some(old) = &naming.was {
            *self.freed.entry(place.parent).or_default() += 1;
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
        let may = || {
            engine.may_walk(caller, dir.ino).map_err(unseen)?;
            if let Some(old) = &naming.was {
                let old = self.ch.node(old.ino)?;
                engine.may_meet(caller, &dir, &old)?;
                engine.may_take(caller, &dir, &old)?;
            }
            if let Some(ino) = naming.to {
                engine.may(caller, &dir, Right::Write)?;
                self.may_carry(ino, &dir)?;
            }
            Ok(())
        };
        may().map_err(|e: Error| {
            let meant = [naming.was.as_ref().map(|old| old.ino), naming.to];
            e.context(self.told_name(place, meant.into_iter().flatten()))
        })
    }

    /// The same for a node that is there and comes to a directory: it is carried from wherever it is.
    fn may_carry(&self, ino: Ino, to: &Node) -> Result<()> {
        if self.new.contains_key(&ino) {
            return Ok(());
        }
        let node = self.ch.node(ino)?;
        for from in self.engine.parents(&node)? {
            self.engine.may_carry(self.ch.caller, &node, from, to.ino)?;
            if node.is_dir() && from != to.ino {
                self.engine.may(self.ch.caller, &node, Right::Write)?;
            }
        }
        Ok(())
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
        let may = self.may_return(to);
        let mode = self.judged_or([to.ino], may, to.mode)?;
        let mut back = Node {
            mode,
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
        let may = self.may_become(&old, to);
        self.judged([to.ino], may)?;
        let is_other = old.content != to.content;
        let new = Node {
            mode: self.engine.revised_mode(self.ch.caller, &old, to)?,
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
            self.ch.shut(&place, to.ino);
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
        engine.locate(old.ino)?.writable(caller)?;
        let may = || {
            engine.may_reach(caller, old).map_err(unseen)?;
            if (old.uid, old.gid) != (new.uid, new.gid) {
                engine.may_chown(caller, old, Some(new.uid), Some(new.gid))?;
            }
            if old.content != new.content || old.mtime != new.mtime {
                engine.may(caller, old, Right::Write)?;
            }
            if old.mode != new.mode {
                engine.may_keep(caller, old, Some(new.mode))?;
            }
            Ok(())
        };
        may().map_err(|e: Error| e.context(self.told(old.ino)))
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
        let filled: HashSet<Ino> = self.parents.values().copied().collect();
        for ino in gone {
            let old = self.ch.node(ino)?;
            if old.is_dir() {
                self.is_emptied(ino, &filled)?;
            }
            self.ch.remove(&old)?;
        }
        Ok(())
    }

    /// Fails with `Conflict` where something is left in a directory that goes, a file that is being made included.
    fn is_emptied(&self, dir: Ino, filled: &HashSet<Ino>) -> Result<()> {
        let freed = self.freed.get(&dir).copied().unwrap_or(0);
        let is_left = self.engine.store.names_in(dir, freed + 1)? > freed;
        if filled.contains(&dir) || is_left || !self.engine.transient.children(dir, 0).is_empty() {
            return fail(Kind::Conflict, "a directory that would go is not empty");
        }
        Ok(())
    }

    /// Fails with `NoSpace` where the names of attributes that come back are too many beside those that a node got since.
    fn names_fit(&self) -> Result<()> {
        let back = self.what.xattrs.iter().filter(|(_, _, v)| v.is_some());
        let nodes: HashSet<Ino> = back.map(|(ino, ..)| *ino).collect();
        for ino in nodes.iter().filter(|ino| !self.new.contains_key(ino)) {
            let all = self.engine.xattrs(*ino)?;
            let mut names: HashSet<&[u8]> = all.iter().map(|x| &*x.name).collect();
            let had = names.len();
            for (_, name, value) in self.what.xattrs.iter().filter(|(of, ..)| of == ino) {
                match value {
                    Some(_) => names.insert(name),
                    None => names.remove(&**name),
                };
            }
            if names.len() > had {
                has_room(names.into_iter(), None)?;
            }
        }
        Ok(())
    }

    fn xattr(&mut self, ino: Ino, name: &[u8], value: Option<&[u8]>) -> Result<()> {
        let (engine, mut is_meant) = (self.engine, true);
        if !self.new.contains_key(&ino) {
            let node = match self.ch.node(ino) {
                Ok(node) => node,
                // It has lost its last name, and its attributes with it.
                Err(e) if e.kind() == Kind::NotFound => return Ok(()),
                Err(e) => return Err(e),
            };
            // Where it is now: the directory that it comes to may not be there yet.
            let now = engine.node(ino)?;
            let may = engine.may_revise_xattr(self.ch.caller, &now, (name, value));
            self.judged([ino], may)?;
            let all = engine.xattrs(ino)?;
            if let Some(old) = all.iter().find(|x| x.name == name) {
                self.ch.end_xattr(old);
            }
            self.ch.forget_below(&node)?;
            if let Some(value) = value {
                is_meant = engine.was_given(&node, (name, value))?;
            }
        } else if let (Some(node), Some(value)) = (self.new.get(&ino), value) {
            let last = self.lost.last(ino);
            let both = (*node, last.as_deref());
            is_meant = engine.may_bring_xattr(self.ch.caller, both, (name, value))?;
        }
        if let Some(value) = value.filter(|_| is_meant) {
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
            if engine.tuple(tuple.id).is_some() && self.may_regrant(tuple)? {
                self.ch.drop_grant(tuple.clone())?;
                gone.insert(tuple.id);
            }
        }
        let mut back = HashSet::new();
        for tuple in &self.what.grants_back {
            // Two that say the same, or one that a record names twice: the first is what comes back.
            if back.contains(&tuple.words()) {
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
            if !stands && lives && self.may_regrant(tuple)? {
                self.ch.return_grant(tuple.clone())?;
                back.insert(tuple.words());
            }
        }
        Ok(())
    }

    fn may_regrant(&mut self, tuple: &Tuple) -> Result<bool> {
        let may = self.may_grant(tuple);
        self.judged_or(tuple.ino(), may, false)
    }

    /// Whether the node or the type of a grant is there; fails where its grants are not the caller's to change.
    fn may_grant(&mut self, tuple: &Tuple) -> Result<bool> {
        let Some(ino) = tuple.ino() else {
            return self.engine.can_relate(self.ch.caller, tuple);
        };
        if self.new.contains_key(&ino) {
            return self.may_return_grant(ino, tuple).map(|()| true);
        }
        let Ok(node) = self.ch.node(ino) else {
            return Ok(false);
        };
        self.may_now(ino, Right::Own)?;
        self.ch.forget_below(&node)?;
        Ok(true)
    }

    /// Judges a node that is there where it is now: the directory that it comes to may be one that comes back.
    fn may_now(&self, ino: Ino, right: Right) -> Result<()> {
        match self.engine.stored_node(ino)? {
            Some(now) => self.engine.may(self.ch.caller, &now, right),
            None => Ok(()),
        }
    }
}
