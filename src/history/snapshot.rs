//! Snapshots as words for moments, and where they are.

use super::at::stored;
use super::compare::at_moment;
use super::when::{When, resolve_when};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Result, error::fail};
use crate::fs::{Engine, Moment};
use crate::meta::Snapshot;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// The longest name, in bytes.
const NAME_MAX: usize = 128;

/// Gives the directory at a path as it is now a name. Takes read permission on it. Fails with `Invalid` for a name that means a
/// time, or could not be one of a file.
pub fn create(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
    (name, description): (&str, Option<&str>),
) -> Result<Arc<Snapshot>> {
    check(name)?;
    let dir = engine.resolve(caller, path)?;
    let made = engine.create_snapshot(caller, dir.ino, name, description);
    made.map_err(|e| e.context(path))
}

/// A name is one in `.at`, beside the words for times, in no way to be mistaken for one, now or when there are more of them.
fn check(name: &str) -> Result<()> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@');
    let is_word = When::parse(name, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)).is_some();
    let begins = name
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    // A number alone means a version (`nexus diff --from 3`).
    let is_number = name.chars().all(|c| c.is_ascii_digit());
    if name.len() > NAME_MAX || !begins || !name.chars().all(fits) {
        let message = format!(
            "a snapshot cannot be named {name:?}: up to {NAME_MAX} bytes of letters, digits and -_.+@, beginning with one of \
             the first two"
        );
        return fail(Kind::Invalid, message);
    }
    if is_word || is_number || name.ends_with("-ago") {
        let message = format!("a snapshot cannot be named {name:?}: that means something else");
        return fail(Kind::Invalid, message);
    }
    Ok(())
}

/// The moment of a snapshot that the caller may see.
pub(super) fn moment(engine: &Engine, caller: &Caller, name: &str) -> Result<Moment> {
    let found = engine.snapshot(caller, name)?;
    engine.moment_of(caller, found.op)
}

/// Finds the moment that a word means at a path, as [`resolve_when`] does. A snapshot's name means one in its directory, in what
/// was below it and in what was above: fails with `NotFound` anywhere else, of which it was not made.
pub fn resolve_when_at(
    engine: &Engine,
    caller: &Caller,
    word: &str,
    path: &FsPath,
) -> Result<Moment> {
    let at = resolve_when(engine, caller, word)?;
    // Other words mean times, which are everywhere.
    let Ok(snapshot) = engine.snapshot(caller, word) else {
        return Ok(at);
    };
    let top = engine.path_at(at, snapshot.ino)?;
    let (path_names, top) = (path.names(), top.names());
    if path_names.starts_with(top) || top.starts_with(path_names) {
        return Ok(at);
    }
    // Over a link it may be there all the same.
    if let Ok(found) = engine.resolve(caller, &at_moment(path, at)?)
        && is_found_in(engine, at, &snapshot, stored(engine, found.ino)?)?
    {
        return Ok(at);
    }
    let message = format!(
        "snapshot {word:?} is of another directory, and {path} is neither in that nor above it"
    );
    fail(Kind::NotFound, message)
}

/// The snapshots that are found in a directory's `.at`: those of itself, and of what was below or above it.
pub(super) fn found_in(engine: &Engine, caller: &Caller, dir: Ino) -> Result<Vec<(Name, Moment)>> {
    let mut found = Vec::new();
    for snapshot in engine.snapshots(caller)? {
        let at = engine.moment_of(caller, snapshot.op)?;
        if is_found_in(engine, at, &snapshot, dir)? {
            found.push((Name::new(snapshot.name.as_bytes())?, at));
        }
    }
    Ok(found)
}

/// Fails with `NotFound` when a word names a snapshot that has nothing to do with a directory.
pub(super) fn belongs(engine: &Engine, caller: &Caller, word: &str, dir: Ino) -> Result<()> {
    // Other words mean times, which are everywhere.
    let Ok(snapshot) = engine.snapshot(caller, word) else {
        return Ok(());
    };
    let at = engine.moment_of(caller, snapshot.op)?;
    if is_found_in(engine, at, &snapshot, dir)? {
        return Ok(());
    }
    let message = format!("snapshot {word:?} is of another directory");
    Err(Error::new(Kind::NotFound, message))
}

fn is_found_in(engine: &Engine, at: Moment, of: &Snapshot, dir: Ino) -> Result<bool> {
    Ok(was_below(engine, at, dir, of.ino)? || was_below(engine, at, of.ino, dir)?)
}

/// Whether a directory was another one then, or below it.
fn was_below(engine: &Engine, at: Moment, dir: Ino, top: Ino) -> Result<bool> {
    let mut up = Some(dir);
    while let Some(dir) = up {
        if dir == top {
            return Ok(true);
        }
        up = engine.parent_at(at, dir)?;
    }
    Ok(false)
}

/// Where a snapshot's directory was, if the caller can walk there in the past today.
pub fn path_of(engine: &Engine, caller: &Caller, snapshot: &Snapshot) -> Result<Option<FsPath>> {
    let at = engine.moment_of(caller, snapshot.op)?;
    let path = engine.path_at(at, snapshot.ino)?;
    match engine.resolve_link(caller, &at_moment(&path, at)?) {
        Ok(found) if stored(engine, found.ino)? == snapshot.ino => Ok(Some(path)),
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind(), Kind::NotFound | Kind::Denied) => Ok(None),
        Err(e) => Err(e),
    }
}
