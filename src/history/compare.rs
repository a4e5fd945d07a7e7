//! A path compared with itself at two moments, or in two versions.

use super::diff::{Differences, differences};
use super::patch::{text, unified};
use super::versions::{beginning, version, versions};
use super::when::resolve_when;
use crate::access::Right;
use crate::core::{Caller, FsPath, Kind, Name, Result, error::fail};
use crate::fs::{Engine, Found, Moment};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    pub at: Moment,
    /// What was there; `None` where nothing was.
    pub node: Option<Found>,
}

/// How two sides differ.
#[derive(Debug)]
pub enum Compared {
    /// Two texts: a unified diff, empty where they are alike.
    Text(Vec<u8>),
    /// Two contents that cannot be compared line by line.
    Bytes {
        differ: bool,
    },
    Trees(Differences),
}

/// What a word says of a path: a version's number, or a moment.
fn side(engine: &Engine, caller: &Caller, path: &FsPath, word: &str) -> Result<Side> {
    if let Ok(number) = word.parse() {
        let found = version(engine, caller, path, number)?;
        return Ok(Side {
            at: found.at,
            node: Some(found.node),
        });
    }
    let at = resolve_when(engine, caller, word)?;
    let node = match engine.resolve(caller, &at_moment(path, at)?) {
        Ok(node) => Some(node),
        Err(e) if e.kind() == Kind::NotFound => None,
        Err(e) => return Err(e),
    };
    if let Some(node) = node.as_ref().filter(|n| !n.is_dir()) {
        engine.access(caller, node.ino, &[Right::Read])?;
    }
    Ok(Side { at, node })
}

/// The path that shows another as of a moment.
pub(super) fn at_moment(path: &FsPath, at: Moment) -> Result<FsPath> {
    let mut names = vec![
        Name::new(b".at")?,
        Name::new(format!("op:{}", at.op).as_bytes())?,
    ];
    names.extend_from_slice(path.names());
    Ok(FsPath::from_names(names))
}

/// Compares a path at two words (see [`side`]). Without the first a file's version before its last is meant, without the second
/// the present. Fails with `NotFound` when nothing was there at either, and with `Invalid` when a directory is compared with
/// something else, or without a first word. Takes read permission today.
pub fn compare(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
    (from, to): (Option<&str>, &str),
) -> Result<(Side, Side, Compared)> {
    let new = side(engine, caller, path, to)?;
    let old = match from {
        Some(word) => side(engine, caller, path, word)?,
        None => before(engine, caller, path, &new)?,
    };
    let compared = match (&old.node, &new.node) {
        (None, None) => return fail(Kind::NotFound, format!("no {path} at either time")),
        (Some(was), Some(is)) if was.is_dir() && is.is_dir() => {
            Compared::Trees(differences(engine, caller, (was, old.at), (is, new.at))?)
        }
        (was, is) => files(engine, path, (was.as_ref(), old.at), (is.as_ref(), new.at))?,
    };
    Ok((old, new, compared))
}

/// The version before the one that a side shows.
fn before(engine: &Engine, caller: &Caller, path: &FsPath, new: &Side) -> Result<Side> {
    if new.node.as_ref().is_some_and(|n| n.is_dir()) {
        return fail(
            Kind::Invalid,
            format!("{path} is a directory: say what to compare it with, as in --from yesterday"),
        );
    }
    let all = versions(engine, caller, path)?;
    let older = all.into_iter().rfind(|v| match &new.node {
        Some(node) => v.node.began < node.began,
        None => true,
    });
    let Some(older) = older else {
        let begins = beginning(engine, caller)?;
        let left = begins.map_or(String::new(), |op| {
            format!(": what was before operation {op} is forgotten")
        });
        let message = format!("{path} has no version before that{left}");
        return fail(Kind::NotFound, message);
    };
    Ok(Side {
        at: older.at,
        node: Some(older.node),
    })
}

fn files(
    engine: &Engine,
    path: &FsPath,
    old: (Option<&Found>, Moment),
    new: (Option<&Found>, Moment),
) -> Result<Compared> {
    let content = |node: Option<&Found>| match node {
        Some(node) if node.is_dir() => fail(
            Kind::Invalid,
            format!("{path} was a directory at one of the two times"),
        ),
        node => Ok(node.map(|n| n.content.clone()).unwrap_or_default()),
    };
    let (was, is) = (content(old.0)?, content(new.0)?);
    let blobs = engine.blobs();
    let (Some(was), Some(is)) = (text(blobs, &was)?, text(blobs, &is)?) else {
        let differ = was != is && blobs.whole_hash(&was)? != blobs.whole_hash(&is)?;
        return Ok(Compared::Bytes { differ });
    };
    let name = |at: Moment| format!("{path}\top:{} {}", at.op, at.time);
    let told = unified((&name(old.1), &was), (&name(new.1), &is));
    Ok(told.map_or(Compared::Bytes { differ: true }, Compared::Text))
}
