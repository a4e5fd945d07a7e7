//! What an undo does, name by name, for people.
//!
//! Told is what a listing shows the caller, or would if it were there, and what the log tells of the undone operations.

use super::aside::Aside;
use super::plan::Conflict;
use super::undo::Undone;
use crate::core::{Caller, FsPath, Ino, Op, Result};
use crate::fs::{Engine, Naming, Reader};
use crate::meta::cache::Place;
use std::collections::{HashMap, HashSet};

impl Undone {
    /// What is done to which names, as far as a caller may know of them; with the last operation of what was done since to what they
    /// are of, and stays.
    pub fn steps(
        &self,
        engine: &Engine,
        caller: &Caller,
    ) -> Result<impl Iterator<Item = (&'static str, FsPath, Option<Op>)>> {
        let revision = &self.plan.revision;
        let back: HashSet<_> = revision.back.iter().map(|n| n.ino).collect();
        let mut places = Places {
            engine,
            caller,
            reader: Reader::new(engine, caller)?,
            logged: self.logged(),
            new: HashMap::new(),
            known: HashMap::new(),
        };
        places.reader.expect(back.iter().copied())?;
        for naming in &revision.names {
            if let Some(ino) = naming.to.filter(|ino| back.contains(ino)) {
                places.new.insert(ino, naming.place.clone());
            }
        }
        let mut steps = Vec::new();
        let since = |ino: Option<Ino>| self.plan.since.get(&ino?).copied();
        let left = self.left_alone();
        for naming in &revision.names {
            if naming.to.is_none() && naming.was.as_ref().is_some_and(|e| left.contains(&e.ino)) {
                continue;
            }
            let what = match (&naming.was, naming.to) {
                (None, Some(_)) => "restore",
                (Some(_), None) => "remove",
                _ => "replace",
            };
            steps.extend(places.name(naming)?.map(|at| (what, at, since(naming.to))));
        }
        let attributed = revision.xattrs.iter().map(|(ino, ..)| *ino);
        let changed = revision.changed.iter().map(|n| n.ino);
        for ino in changed.chain(attributed.filter(|ino| !back.contains(ino))) {
            steps.extend(places.node(ino)?.map(|at| ("change", at, since(Some(ino)))));
        }
        steps.sort_by(|a, b| a.1.cmp(&b.1));
        steps.dedup();
        Ok(steps.into_iter())
    }

    /// Nodes that something stands in the way of, where nothing was done for that: they do not go, nor do their names.
    fn left_alone(&self) -> HashSet<Ino> {
        if !self.skipped.is_empty() {
            return HashSet::new();
        }
        let gone: HashSet<_> = self.plan.revision.gone.iter().collect();
        let nodes = self.conflicts.iter().filter_map(|c| c.node);
        nodes.filter(|ino| !gone.contains(ino)).collect()
    }

    /// What a caller may be told of what stands in the way.
    pub fn told<'a>(&'a self, engine: &'a Engine, caller: &'a Caller) -> Told<'a> {
        Told {
            engine,
            caller,
            logged: self.logged(),
        }
    }

    /// The paths that the log tells of the undone operations: none was chosen that the caller may not read.
    fn logged(&self) -> HashSet<&[u8]> {
        self.plan.paths.iter().map(Vec::as_slice).collect()
    }
}

/// Says where things are, as far as a caller may know of it.
pub struct Told<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    logged: HashSet<&'a [u8]>,
}

impl Told<'_> {
    /// Where that is of which something stands in the way: by the name that it had, and not by the one beside under which it was put.
    pub fn place_of(&self, of: &Conflict) -> Result<Option<FsPath>> {
        if let Some(had) = of.aside.as_ref().and_then(Aside::named) {
            let dir = self.engine.path_for(self.caller, had.parent)?;
            let path = dir.map(|dir| dir.join(had.name.clone()));
            return Ok(path.filter(|path| self.logged.contains(&*path.to_bytes())));
        }
        match of.node {
            Some(ino) => told(self.engine, self.caller, &self.logged, ino),
            None => Ok(None),
        }
    }
}

/// A path of a node that is there, as far as a caller may know of it.
fn told(
    engine: &Engine,
    caller: &Caller,
    logged: &HashSet<&[u8]>,
    ino: Ino,
) -> Result<Option<FsPath>> {
    let found = engine.path_for(caller, ino)?;
    match found.filter(|path| logged.contains(&*path.to_bytes())) {
        Some(path) => Ok(Some(path)),
        None => engine.listed_path(caller, ino),
    }
}

struct Places<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    reader: Reader<'a>,
    logged: HashSet<&'a [u8]>,
    /// Where nodes that come back will be.
    new: HashMap<Ino, Place>,
    known: HashMap<Ino, Option<FsPath>>,
}

impl Places<'_> {
    fn name(&mut self, naming: &Naming) -> Result<Option<FsPath>> {
        let place = &naming.place;
        let Some(dir) = self.directory(place.parent)? else {
            return Ok(None);
        };
        let path = dir.join(place.name.clone());
        if self.logged.contains(&*path.to_bytes()) {
            return Ok(Some(path));
        }
        let meant = [naming.was.as_ref().map(|old| old.ino), naming.to];
        for ino in meant.into_iter().flatten() {
            if !self.reader.lists(place, ino)? {
                return Ok(None);
            }
        }
        Ok(Some(path))
    }

    fn node(&mut self, ino: Ino) -> Result<Option<FsPath>> {
        told(self.engine, self.caller, &self.logged, ino)
    }

    /// Where a directory is or will be, for a caller who finds it there.
    fn directory(&mut self, dir: Ino) -> Result<Option<FsPath>> {
        if let Some(known) = self.known.get(&dir) {
            return Ok(known.clone());
        }
        let found = match self.new.get(&dir).cloned() {
            Some(place) if self.reader.passes(&place, dir)? => {
                let above = self.directory(place.parent)?;
                above.map(|above| above.join(place.name))
            }
            Some(_) => None,
            None => self.engine.path_for(self.caller, dir)?,
        };
        self.known.insert(dir, found.clone());
        Ok(found)
    }
}
