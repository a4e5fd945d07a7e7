//! Two trees compared: names that came and went, and what changed under those that stayed.

use super::at::stored;
use super::touched::Touched;
use crate::access::Right;
use crate::core::{Caller, Ino, Kind, Result, error::fail};
use crate::fs::{DirEntry, Engine, Found, Moment};
use crate::meta::Node;
use std::cmp::Ordering;

/// How many differences are told, and how many bytes their paths have, but for the last.
const DIFFERENCES_MAX: usize = 10_000;
const PATHS_MAX: usize = 4 << 20;

/// What is different under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    /// Bytes, or where a link points.
    Content,
    /// Only mode, owner or group.
    Attributes,
}

/// One name that differs.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Its path from where the two trees begin; empty for these themselves.
    pub path: Vec<u8>,
    pub change: Change,
    pub old: Option<Found>,
    pub new: Option<Found>,
}

/// What differs between two trees.
#[derive(Debug, Default)]
pub struct Differences {
    /// In the order of their paths, directory by directory.
    pub all: Vec<Difference>,
    /// Whether there are more than are told.
    pub more: bool,
}

/// Compares two directories as of two moments, as the caller sees both today; where there was none, nothing is in it. Takes read
/// permission on both; below them what the caller may not list is passed over. It costs what the two trees have, or less: where
/// they are large, directories below which nothing was done between the moments are not looked into.
pub fn differences(
    engine: &Engine,
    caller: &Caller,
    old: (Option<&Found>, Moment),
    new: (Option<&Found>, Moment),
) -> Result<Differences> {
    if [old.0, new.0]
        .into_iter()
        .flatten()
        .any(|side| !side.is_dir())
    {
        return fail(Kind::NotDirectory, "not a directory");
    }
    let mut comparing = Comparing {
        engine,
        caller,
        moments: (old.1, new.1),
        looked: 0,
        paths: 0,
        touched: None,
        found: Differences::default(),
    };
    comparing.trees(old.0, new.0)?;
    Ok(comparing.found)
}

/// Whether the caller may read the bytes of what a comparison found, now or then, as things are today.
pub fn may_read(engine: &Engine, caller: &Caller, found: Ino) -> Result<bool> {
    match engine.access(caller, found, &[Right::Read]) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.kind(), Kind::Denied | Kind::NotPermitted | Kind::NotFound) => {
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

struct Comparing<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    moments: (Moment, Moment),
    /// How many directories and names were looked at.
    looked: u64,
    /// Bytes of the paths that are told.
    paths: usize,
    /// What was done between the moments, once that is worth asking.
    touched: Option<Touched>,
    found: Differences,
}

/// A directory that is in one of the trees or in both.
struct Pair {
    path: Vec<u8>,
    old: Option<Found>,
    new: Option<Found>,
}

impl Comparing<'_> {
    fn trees(&mut self, old: Option<&Found>, new: Option<&Found>) -> Result<()> {
        let (old, new) = (old.cloned(), new.cloned());
        let top = old.as_ref().or(new.as_ref()).map(|top| top.ino);
        let mut todo = match (&old, &new) {
            (Some(_), Some(_)) => vec![Pair {
                path: Vec::new(),
                old,
                new,
            }],
            _ => self.name(Vec::new(), old, new)?,
        };
        while let Some(pair) = todo.pop() {
            if self.found.more {
                return Ok(());
            }
            self.spare(top)?;
            // The one that was asked for is looked into in any case: that he may not list it is an answer.
            if pair.path.is_empty() || self.may_differ(&pair)? {
                // Backwards: the last one put there is taken next.
                let below = self.directory(&pair)?;
                todo.extend(below.into_iter().rev());
            }
        }
        Ok(())
    }

    /// Finds out below what nothing was done, when more was looked at than that costs.
    fn spare(&mut self, top: Option<Ino>) -> Result<()> {
        let (old, new) = self.moments;
        if let Some(top) = top
            && self.touched.is_none()
            && self.looked > Touched::pays_after(old, new)
        {
            let top = stored(self.engine, top)?;
            self.touched = Some(Touched::between(self.engine, old, new, top)?);
        }
        Ok(())
    }

    fn may_differ(&self, pair: &Pair) -> Result<bool> {
        let (Some(old), Some(new), Some(touched)) = (&pair.old, &pair.new, &self.touched) else {
            return Ok(true);
        };
        let (old, new) = (stored(self.engine, old.ino)?, stored(self.engine, new.ino)?);
        Ok(old != new || touched.has(old))
    }

    /// Compares the names of a directory; gives the directories among them.
    fn directory(&mut self, pair: &Pair) -> Result<Vec<Pair>> {
        let old = self.list(&pair.path, pair.old.as_ref())?;
        let new = self.list(&pair.path, pair.new.as_ref())?;
        self.looked += 1 + (old.len() + new.len()) as u64;
        let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
        let mut below = Vec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(below),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            let old = if order.is_le() { old.next() } else { None };
            let new = if order.is_ge() { new.next() } else { None };
            let Some(name) = old.as_ref().or(new.as_ref()).map(|e| e.name.clone()) else {
                return Ok(below);
            };
            let path = joined(&pair.path, name.as_bytes());
            let (old, new) = (old.map(|e| e.node), new.map(|e| e.node));
            below.extend(self.name(path, old, new)?);
        }
    }

    /// Compares what one name stands for. Something of another type is another thing.
    fn name(&mut self, path: Vec<u8>, old: Option<Found>, new: Option<Found>) -> Result<Vec<Pair>> {
        if let (Some(was), Some(is)) = (&old, &new)
            && was.kind != is.kind
        {
            let mut below = self.name(path.clone(), old, None)?;
            below.extend(self.name(path, None, new)?);
            return Ok(below);
        }
        if let Some(change) = self.change(old.as_deref(), new.as_deref())? {
            self.tell(Difference {
                path: path.clone(),
                change,
                old: old.clone(),
                new: new.clone(),
            });
        }
        let is_dir = old.as_ref().or(new.as_ref()).is_some_and(|n| n.is_dir());
        Ok(is_dir
            .then_some(Pair { path, old, new })
            .into_iter()
            .collect())
    }

    fn change(&self, old: Option<&Node>, new: Option<&Node>) -> Result<Option<Change>> {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (None, Some(_)) => return Ok(Some(Change::Added)),
            (Some(_), None) => return Ok(Some(Change::Removed)),
            (None, None) => return Ok(None),
        };
        let same_row = stored(self.engine, old.ino)? == stored(self.engine, new.ino)?
            && old.began == new.began;
        let owner = |n: &Node| (n.mode, n.uid, n.gid);
        Ok(if same_row {
            None
        } else if old.content != new.content || old.rdev != new.rdev {
            Some(Change::Content)
        } else {
            (owner(old) != owner(new)).then_some(Change::Attributes)
        })
    }

    fn tell(&mut self, difference: Difference) {
        if self.found.all.len() == DIFFERENCES_MAX || self.paths >= PATHS_MAX {
            self.found.more = true;
        } else {
            self.paths += difference.path.len();
            self.found.all.push(difference);
        }
    }

    /// The names of a directory in their order; none of one further down that the caller may not list.
    fn list(&self, path: &[u8], dir: Option<&Found>) -> Result<Vec<DirEntry>> {
        let Some(dir) = dir else {
            return Ok(Vec::new());
        };
        match self.engine.list(self.caller, dir.ino) {
            Ok(mut names) => {
                names.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(names)
            }
            Err(e) if !path.is_empty() && matches!(e.kind(), Kind::Denied | Kind::NotFound) => {
                Ok(Vec::new())
            }
            Err(e) => Err(e),
        }
    }
}

fn joined(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        return name.to_vec();
    }
    [dir, b"/", name].concat()
}
