//! Which nodes a path of the log led through: those that its names stood for when the operation was done.

use crate::core::{FsPath, Ino, Name, Op, Result};
use crate::db::Tx;
use crate::fs::engine::Engine;
use crate::meta::cache::Place;
use crate::meta::timeline;
use std::collections::HashMap;

/// Paths that have been followed, as far as they are directories.
pub(super) struct Trails<'a> {
    engine: &'a Engine,
    pub(super) root: Ino,
    /// What names stood for, strictly between two operations.
    known: HashMap<Place, Vec<(Op, Op, Ino)>>,
}

impl<'a> Trails<'a> {
    pub(super) fn new(engine: &'a Engine, root: Ino) -> Self {
        Self {
            engine,
            root,
            known: HashMap::new(),
        }
    }

    /// The nodes that a path led through at an operation, without the root. Where the operation itself changed what the last
    /// name stood for it is `about`, if that is one of the two. `None` when the past does not have it.
    pub(super) fn follow(&mut self, path: &FsPath, op: Op, about: Ino) -> Result<Option<Vec<Ino>>> {
        let Some((last, dirs)) = path.names().split_last() else {
            return Ok(Some(Vec::new()));
        };
        let (mut at, mut nodes) = (self.root, Vec::new());
        for name in dirs {
            let Some(dir) = self.directory(place(at, name), op)? else {
                return Ok(None);
            };
            nodes.push(dir);
            at = dir;
        }
        let meanings = self.meanings(&place(at, last), op)?;
        let found = meanings.iter().find(|(.., ino)| *ino == about);
        let Some((.., ino)) = found.or(meanings.last()) else {
            return Ok(None);
        };
        nodes.push(*ino);
        Ok(Some(nodes))
    }

    fn directory(&mut self, place: Place, op: Op) -> Result<Option<Ino>> {
        let known = self.known.get(&place).into_iter().flatten();
        let fits = |(began, ended, _): &&(Op, Op, Ino)| *began < op && op < *ended;
        if let Some((.., ino)) = known.clone().find(fits) {
            return Ok(Some(*ino));
        }
        let Some(meaning) = self.meanings(&place, op)?.pop() else {
            return Ok(None);
        };
        self.known.entry(place).or_default().push(meaning);
        Ok(Some(meaning.2))
    }

    /// What a name stood for when an operation began and when it had ended: one node, two or none, the older first.
    fn meanings(&self, place: &Place, op: Op) -> Result<Vec<(Op, Op, Ino)>> {
        const NEVER: Op = Op(u64::MAX);
        if let Some(entry) = self.engine.stored_entry(place.clone())?
            && entry.began < op
        {
            return Ok(vec![(entry.began, NEVER, entry.ino)]);
        }
        let mut tx: Box<dyn Tx + '_> = self.engine.store().read()?;
        let spells = timeline::meanings_at(&mut *tx, place, op)?;
        let meaning = |spell: timeline::Spell<_>| {
            let entry: crate::meta::Entry = spell.state;
            (entry.began, spell.ended.unwrap_or(NEVER), entry.ino)
        };
        Ok(spells.into_iter().map(meaning).collect())
    }
}

fn place(parent: Ino, name: &Name) -> Place {
    Place {
        parent,
        name: name.clone(),
    }
}
