//! What an undo does, name by name, for people.

use super::undo::Undone;
use crate::core::{Caller, FsPath, Ino, Name, Result};
use crate::fs::Engine;
use std::collections::{HashMap, HashSet};

impl Undone {
    /// What is done to which names, as far as a caller may see where they are.
    pub fn steps(
        &self,
        engine: &Engine,
        caller: &Caller,
    ) -> Result<impl Iterator<Item = (&'static str, FsPath)>> {
        let mut places = Places {
            engine,
            caller,
            new: HashMap::new(),
            known: HashMap::new(),
        };
        let revision = &self.plan.revision;
        let named = revision.names.iter();
        let back: HashSet<_> = revision.back.iter().map(|n| n.ino).collect();
        for naming in named.clone() {
            if let Some(ino) = naming.to.filter(|ino| back.contains(ino)) {
                let at = (naming.place.parent, naming.place.name.clone());
                places.new.insert(ino, at);
            }
        }
        let mut steps = Vec::new();
        for naming in named {
            let what = match (&naming.was, naming.to) {
                (None, Some(_)) => "restore",
                (Some(_), None) => "remove",
                _ => "replace",
            };
            let dir = places.path(naming.place.parent)?;
            steps.extend(dir.map(|dir| (what, dir.join(naming.place.name.clone()))));
        }
        let attributed = revision.xattrs.iter().map(|(ino, ..)| *ino);
        let changed = revision.changed.iter().map(|n| n.ino);
        for ino in changed.chain(attributed.filter(|ino| !back.contains(ino))) {
            steps.extend(places.path(ino)?.map(|at| ("change", at)));
        }
        steps.sort_by(|a, b| a.1.cmp(&b.1));
        steps.dedup();
        Ok(steps.into_iter())
    }
}

struct Places<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    /// Where nodes that come back will be.
    new: HashMap<Ino, (Ino, Name)>,
    known: HashMap<Ino, Option<FsPath>>,
}

impl Places<'_> {
    fn path(&mut self, ino: Ino) -> Result<Option<FsPath>> {
        if let Some(known) = self.known.get(&ino) {
            return Ok(known.clone());
        }
        let found = match self.new.get(&ino).cloned() {
            Some((parent, name)) => self.path(parent)?.map(|dir| dir.join(name)),
            None => self.engine.path_for(self.caller, ino)?,
        };
        self.known.insert(ino, found.clone());
        Ok(found)
    }
}
