//! What is refused of a revision: which node it is about, by which path it is told, and whether the others are judged, too.

use super::reviser::Reviser;
use crate::core::{Error, FsPath, Ino, Kind, Result};
use crate::fs::ground::is_refusal;
use crate::fs::reader::Reader;
use crate::meta::cache::Place;

impl Reviser<'_, '_, '_> {
    /// Goes on behind a refusal where all of them are asked for, and notes which nodes it was about.
    pub(super) fn judged(
        &mut self,
        about: impl IntoIterator<Item = Ino>,
        may: Result<()>,
    ) -> Result<()> {
        self.judged_or(about, may, ())
    }

    /// The same of what is something else where it is refused.
    pub(super) fn judged_or<T>(
        &mut self,
        about: impl IntoIterator<Item = Ino>,
        may: Result<T>,
        refused: T,
    ) -> Result<T> {
        match (&mut self.refusals, may) {
            (Some(all), Err(e)) if is_refusal(&e) || e.kind() == Kind::CrossDevice => {
                all.extend(about);
                Ok(refused)
            }
            (_, may) => may,
        }
    }

    /// The path of a name as far as a listing shows it to the caller, else what he asked for.
    pub(super) fn told_name(&self, place: &Place, mut meant: impl Iterator<Item = Ino>) -> FsPath {
        let (engine, caller) = (self.engine, self.ch.caller);
        let shown = Reader::new(engine, caller).and_then(|mut reader| {
            meant.try_fold(true, |so_far, ino| Ok(so_far && reader.lists(place, ino)?))
        });
        match (shown, engine.path_of(place.parent)) {
            (Ok(true), Ok(dir)) => dir.join(place.name.clone()),
            _ => self.asked.clone(),
        }
    }

    /// The path of a node as far as a listing shows it to the caller, else what he asked for.
    pub(super) fn told(&self, ino: Ino) -> FsPath {
        let listed = self.engine.listed_path(self.ch.caller, ino);
        listed.ok().flatten().unwrap_or_else(|| self.asked.clone())
    }
}

/// What to say where it takes a change in a directory that is hidden: the path that is named with it is another one.
pub(super) fn unseen(refused: Error) -> Error {
    match refused.kind() {
        Kind::Denied => {
            let message = "it takes a change in another directory, which you may not search";
            Error::new(Kind::Denied, message).caused_by(refused)
        }
        _ => refused,
    }
}
