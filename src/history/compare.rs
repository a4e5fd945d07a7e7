//! A path compared with itself at two moments, or in two versions.

use super::diff::{Differences, differences};
use super::patch::{text, unified};
use super::snapshot::resolve_when_at;
use super::versions::{beginning, is_beginning, stages, version};
use crate::access::Right;
use crate::blob::{Blobs, Content};
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
    let at = resolve_when_at(engine, caller, word, path)?;
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
/// the present. Where there was nothing at one of them, all of the other differs. Fails with `NotFound` when nothing was there at
/// either, and with `Invalid` when a directory is compared with a file, or without a first word. Takes read permission today.
pub fn compare(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
    (from, to): (Option<&str>, &str),
) -> Result<(Side, Side, Compared)> {
    let new = side(engine, caller, path, to)?;
    let old = match from {
        Some(word) => side(engine, caller, path, word)?,
        None => before(engine, caller, path, (to, &new))?,
    };
    let compared = match (&old.node, &new.node) {
        (None, None) => return fail(Kind::NotFound, format!("no {path} at either time")),
        (was, is) if [was, is].into_iter().flatten().all(|node| node.is_dir()) => {
            let (was, is) = ((was.as_ref(), old.at), (is.as_ref(), new.at));
            Compared::Trees(differences(engine, caller, was, is)?)
        }
        (was, is) => files(engine, path, (was.as_ref(), old.at), (is.as_ref(), new.at))?,
    };
    Ok((old, new, compared))
}

/// The version before the one that a side shows.
fn before(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
    (word, new): (&str, &Side),
) -> Result<Side> {
    if new.node.as_ref().is_some_and(|n| n.is_dir()) {
        return fail(
            Kind::Invalid,
            format!("{path} is a directory: say what to compare it with, as in --from yesterday"),
        );
    }
    let all = stages(engine, caller, path)?;
    let shown = match word.parse::<u64>() {
        Ok(number) => all.iter().rposition(|v| v.number <= number),
        Err(_) => all.iter().rposition(|v| v.since <= new.at.op),
    };
    let older = match &new.node {
        Some(_) => shown.and_then(|n| n.checked_sub(1)),
        None => shown,
    };
    let Some(mut older) = older else {
        let begins = beginning(engine, caller)?;
        let left = begins.map_or(String::new(), |op| {
            format!(": what was before operation {op} is forgotten")
        });
        let message = format!("{path} has no version before that{left}");
        return fail(Kind::NotFound, message);
    };
    // An empty file that the same author has written next is no state that he left.
    while older > 0 && is_beginning(engine, caller, &all[older], all.get(older + 1))? {
        older -= 1;
    }
    let older = all[older].told(engine, caller)?;
    Ok(Side {
        at: older.at,
        node: Some(older.node),
    })
}

/// Whether two contents of a size are not the same bytes; those that are too large to be read differ.
fn differ(blobs: &Blobs, was: &Content, is: &Content) -> Result<bool> {
    let hashes = blobs
        .whole_hash(was)
        .and_then(|was| Ok((was, blobs.whole_hash(is)?)));
    match hashes {
        Err(e) if e.kind() == Kind::TooLarge => Ok(true),
        hashes => hashes.map(|(was, is)| was != is),
    }
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
        let differ = was != is && (was.size() != is.size() || differ(blobs, &was, &is)?);
        return Ok(Compared::Bytes { differ });
    };
    // patch(1) does not write to absolute paths.
    let name = path.to_string();
    let when = |at: Moment| format!("op:{} {}", at.op, at.time);
    let (was, is) = ((&*when(old.1), &*was), (&*when(new.1), &*is));
    let told = unified(name.trim_start_matches('/'), was, is);
    Ok(told.map_or(Compared::Bytes { differ: true }, Compared::Text))
}
