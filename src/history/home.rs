//! Where something that is restored belongs now: at the path that it had, whatever became of the directories above it.

use super::effects::{Key, key_of};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result, error::fail};
use crate::db::Tx;
use crate::fs::{Engine, Moment};
use crate::meta::cache::Place;
use crate::meta::{entry, node};

/// The place of the top of a restored tree.
#[derive(Debug, Default)]
pub(super) struct Home {
    /// Where it is to be; `None` for the root, which has no name.
    pub place: Option<Place>,
    /// Where it was then.
    pub was: Option<Place>,
    /// Directories above it that are gone and come back, the highest first.
    pub back: Vec<(Place, Ino)>,
    /// The directories that lead there now, and those that did.
    pub walked: Vec<Ino>,
}

impl Home {
    /// Walks down a path, which named the nodes `then`, as it is now. Where a directory of it was moved away and none has its name, it
    /// leads through that one; where one is gone, that comes back. Fails with `Conflict` where neither is possible.
    pub(super) fn of(
        engine: &Engine,
        caller: &Caller,
        path: &FsPath,
        then: &[Ino],
    ) -> Result<Self> {
        let root = engine.root(caller)?;
        let (Some(name), Some((top, above))) = (path.names().last(), then.split_last()) else {
            return Ok(Self::default());
        };
        let mut tx = engine.store().read()?;
        let (mut dir, mut back, mut walked) = (root, Vec::new(), then.to_vec());
        for (name, was) in path.names().iter().zip(above) {
            dir = match entry::get(&mut *tx, dir, name)? {
                Some(now) if is_dir(&mut *tx, now.ino)? => now.ino,
                Some(_) => {
                    let message = format!("{path}: {name} is no directory any more");
                    return fail(Kind::Conflict, message);
                }
                None if is_dir(&mut *tx, *was)? => {
                    back.clear();
                    *was
                }
                None => {
                    let (parent, name) = (dir, name.clone());
                    back.push((Place { parent, name }, *was));
                    *was
                }
            };
            walked.push(dir);
        }
        let parent = above.last().copied().unwrap_or(root);
        let stayed = entry::get(&mut *tx, parent, name)?.is_some_and(|now| now.ino == *top);
        drop(tx);
        if stayed && dir != parent {
            return Err(elsewhere(engine, caller, path, *top)?);
        }
        let place = |parent| {
            let name = name.clone();
            Some(Place { parent, name })
        };
        Ok(Self {
            place: place(dir),
            was: place(parent),
            back,
            walked,
        })
    }

    /// Whether a name is the one that the top had.
    pub(super) fn had(&self, key: &Key) -> bool {
        self.was.as_ref().is_some_and(|place| key_of(place) == *key)
    }
}

fn is_dir(tx: &mut dyn Tx, ino: Ino) -> Result<bool> {
    Ok(node::get(tx, ino)?.is_some_and(|node| node.is_dir()))
}

/// Its directory has another path now, and another directory has that path: nobody can tell which is meant.
fn elsewhere(engine: &Engine, caller: &Caller, path: &FsPath, top: Ino) -> Result<Error> {
    let now = engine.path_for(caller, top)?;
    let now = now.map_or_else(String::new, |now| format!(", to {now}"));
    let message = format!(
        "{path} was moved with its directory{now}, and another directory is in its place: move it back, or take a copy \
         with `nexus cp --at`"
    );
    Ok(Error::new(Kind::Conflict, message))
}

/// The node that a path named at a moment, as far as the caller may see it today.
pub fn named_at(engine: &Engine, caller: &Caller, at: Moment, path: &FsPath) -> Result<Ino> {
    let nodes = nodes_at(engine, caller, at, path)?;
    nodes
        .last()
        .copied()
        .map_or_else(|| engine.root(caller), Ok)
}

/// The same of each directory on the way, too, but not of the root.
pub(super) fn nodes_at(
    engine: &Engine,
    caller: &Caller,
    at: Moment,
    path: &FsPath,
) -> Result<Vec<Ino>> {
    let (mut ino, mut all) = (engine.root(caller)?, Vec::new());
    for name in path.names() {
        let found = engine.lookup_at(caller, at, ino, name);
        let found = found.map_err(|e| match e.kind() {
            Kind::NotFound => Error::new(Kind::NotFound, format!("there was no {path} then")),
            _ => e.context(path),
        })?;
        ino = found.ino;
        all.push(ino);
    }
    Ok(all)
}

/// The directory that a path leads to now, for the caller.
pub fn directory_now(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<Option<Ino>> {
    match engine.resolve_link(caller, path) {
        Ok(found) => Ok(found.is_dir().then_some(found.ino)),
        Err(e) if matches!(e.kind(), Kind::NotFound | Kind::NotDirectory) => Ok(None),
        Err(e) => Err(e),
    }
}
