//! What a part of the log comes to: who did what, how much, where, with which commands, and when.

use super::log::page_of;
use crate::core::{Caller, Op, Result, Text, Time};
use crate::fs::{Engine, Reader};
use crate::meta::Record;
use crate::meta::log_query::{Cursor, Query};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;

/// How many different authors, commands or directories are told; the most frequent ones.
const TOLD_MAX: usize = 20;
/// How many directories are counted apart; with more, the deepest count for those above them.
const DIRECTORIES_MAX: usize = 4096;
/// How many names of commands are counted apart: a process may call itself anything.
const COMMANDS_MAX: usize = 4096;
/// How many records are read at a time.
const PAGE: u32 = 1000;

/// Everything that the reader may see of some operations, added up. Lists have the most frequent first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub operations: u64,
    pub first: Option<Moment>,
    pub last: Option<Moment>,
    pub authors: Vec<Counted<Author>>,
    pub kinds: Vec<Counted<String>>,
    /// Directories that something was done in, with what is below those that are not told themselves.
    pub directories: Vec<Counted<Text>>,
    pub commands: Vec<Counted<String>>,
}

/// An operation and its time, RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub op: u64,
    pub time: String,
}

/// Something and how many operations there are of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<T> {
    pub of: T,
    pub operations: u64,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Author {
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub uid: u32,
}

/// Adds up what fits, page by page.
pub fn of(engine: &Engine, caller: &Caller, query: &Query) -> Result<Summary> {
    let mut adding = Adding::default();
    let mut reader = Reader::new(engine, caller)?;
    let query = &Query {
        reaching: true,
        ..query.clone()
    };
    let mut at = Cursor::OLDEST;
    loop {
        let records = page_of(engine, &reader, query, at, PAGE)?;
        for record in &records {
            at = at.moved(record.op);
            if reader.tells(query, record)? {
                adding.add(record);
            }
        }
        if records.len() < PAGE as usize {
            return Ok(adding.sum());
        }
    }
}

struct Adding {
    operations: u64,
    first: Option<(Op, Time)>,
    last: Option<(Op, Time)>,
    authors: HashMap<Author, u64>,
    kinds: HashMap<&'static str, u64>,
    directories: HashMap<Vec<u8>, u64>,
    /// How many names deep directories are counted apart.
    depth: usize,
    commands: HashMap<String, u64>,
}

impl Default for Adding {
    fn default() -> Self {
        Self {
            operations: 0,
            first: None,
            last: None,
            authors: HashMap::new(),
            kinds: HashMap::new(),
            directories: HashMap::new(),
            depth: usize::MAX,
            commands: HashMap::new(),
        }
    }
}

impl Adding {
    fn add(&mut self, record: &Record) {
        self.operations += 1;
        let moment = (record.op, record.time);
        self.first.get_or_insert(moment);
        self.last = Some(moment);
        let author = Author {
            user: record.author.user.clone(),
            agent: record.author.agent.clone(),
            session: record.author.session.clone(),
            uid: record.author.uid,
        };
        *self.authors.entry(author).or_default() += 1;
        *self.kinds.entry(record.kind.name()).or_default() += 1;
        let command = &record.author.comm;
        if self.commands.len() < COMMANDS_MAX || self.commands.contains_key(command) {
            *self.commands.entry(command.clone()).or_default() += 1;
        }
        let dir = upto(above(&record.path), self.depth);
        *self.directories.entry(dir.to_vec()).or_default() += 1;
        while self.directories.len() > DIRECTORIES_MAX {
            self.fold();
        }
    }

    /// Counts the deepest directories for those above them.
    fn fold(&mut self) {
        let deepest = self.directories.keys().map(|dir| depth(dir)).max();
        self.depth = deepest.unwrap_or(0).saturating_sub(1);
        for (dir, count) in std::mem::take(&mut self.directories) {
            let dir = upto(&dir, self.depth).to_vec();
            *self.directories.entry(dir).or_default() += count;
        }
    }

    fn sum(self) -> Summary {
        let moment = |(op, time): (Op, Time)| Moment {
            op: op.0,
            time: time.to_string(),
        };
        Summary {
            operations: self.operations,
            first: self.first.map(moment),
            last: self.last.map(moment),
            authors: most(self.authors, |author| author),
            kinds: most(self.kinds, str::to_owned),
            directories: most(self.directories, shown),
            commands: most(self.commands, |command| command),
        }
    }
}

/// The most frequent, in the order of their names where they are as frequent.
fn most<K: Ord + Hash, T>(counts: HashMap<K, u64>, told: impl Fn(K) -> T) -> Vec<Counted<T>> {
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
    all.truncate(TOLD_MAX);
    let counted = |(of, operations)| Counted {
        of: told(of),
        operations,
    };
    all.into_iter().map(counted).collect()
}

/// A directory as people write it: the root has its `/`.
fn shown(dir: Vec<u8>) -> Text {
    if dir.is_empty() {
        Text(b"/".to_vec())
    } else {
        Text(dir)
    }
}

/// The directory that a path lies in.
fn above(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    &path[..slash]
}

/// How many names a directory has; none for the root, which is written without its `/` here.
fn depth(dir: &[u8]) -> usize {
    dir.split(|b| *b == b'/').count() - 1
}

/// The first names of a directory.
fn upto(dir: &[u8], names: usize) -> &[u8] {
    let mut slashes = dir.iter().enumerate().filter(|(_, b)| **b == b'/');
    slashes.nth(names).map_or(dir, |(end, _)| &dir[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_cut_behind_a_name() {
        assert_eq!(above(b"/a/b/c"), b"/a/b");
        assert_eq!(above(b"/a"), b"");
        assert_eq!(upto(b"/a/b/c", 2), b"/a/b");
        assert_eq!(upto(b"/a/b", 2), b"/a/b");
        assert_eq!(upto(b"/a/b", 0), b"");
        assert_eq!((depth(b""), depth(b"/a/b")), (0, 2));
    }
}
