//! Which names a path of the log was made of: as they were when the operation was done.

use crate::core::{Ino, Op, Result};
use crate::fs::engine::Engine;
use crate::meta::Entry;
use crate::meta::cache::Place;
use crate::meta::timeline::{self, Spell};
use std::collections::HashMap;
use std::sync::Arc;

/// Paths that have been followed, as far as they are directories.
pub(super) struct Trails<'a> {
    engine: &'a Engine,
    pub(super) root: Ino,
    /// Names that are over.
    known: HashMap<Place, Vec<Spell<Arc<Entry>>>>,
}

impl<'a> Trails<'a> {
    pub(super) fn new(engine: &'a Engine, root: Ino) -> Self {
        Self {
            engine,
            root,
            known: HashMap::new(),
        }
    }

    /// What a name stood for at an operation, if the operation changed something below it. `None` when the past does not have it.
    pub(super) fn directory(&mut self, place: Place, op: Op) -> Result<Option<Arc<Entry>>> {
        let fits = |spell: &&Spell<Arc<Entry>>| {
            spell.state.began < op && spell.ended.is_some_and(|ended| op < ended)
        };
        let known = self.known.get(&place).into_iter().flatten().find(fits);
        if let Some(spell) = known {
            return Ok(Some(spell.state.clone()));
        }
        let found = self.past(&place, op, None)?;
        if let Some(spell) = found.as_ref().filter(|spell| spell.ended.is_some()) {
            self.known.entry(place).or_default().push(spell.clone());
        }
        Ok(found.map(|spell| spell.state))
    }

    /// What a name stood for at an operation on that itself: where it changed that it is `about`, if that is one of the two.
    pub(super) fn last(&self, place: &Place, op: Op, about: Ino) -> Result<Option<Arc<Entry>>> {
        let found = self.past(place, op, Some(about))?;
        Ok(found.map(|spell| spell.state))
    }

    /// What a name stood for at an operation: `about` if it did before or behind it, else what it stood for last.
    fn past(&self, place: &Place, op: Op, about: Option<Ino>) -> Result<Option<Spell<Arc<Entry>>>> {
        if let Some(state) = self.engine.stored_entry(place.clone())? {
            let is_it = state.began == op && about == Some(state.ino);
            if state.began < op || is_it {
                return Ok(Some(Spell { state, ended: None }));
            }
        }
        let mut tx = self.engine.store().read()?;
        let mut meanings = timeline::meanings_at(&mut *tx, place, op)?;
        let is_it = |spell: &Spell<Entry>| about == Some(spell.state.ino);
        let found = match meanings.iter().position(is_it) {
            Some(n) => Some(meanings.swap_remove(n)),
            None => meanings.pop(),
        };
        Ok(found.map(|spell| Spell {
            state: Arc::new(spell.state),
            ended: spell.ended,
        }))
    }
}
