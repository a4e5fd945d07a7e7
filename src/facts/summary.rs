//! What a part of the log comes to: who did what, how much, where, with which commands, and when.

use super::log::page_of;
use crate::core::{Caller, Op, Result, Text, Time};
use crate::fs::{Engine, Reader};
use crate::meta::Record;
use crate::meta::log_query::{Cursor, Query};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// How many different authors, commands or directories are told; the most frequent ones.
const TOLD_MAX: usize = 20;
/// How many authors are counted apart: a process may be of any session.
const AUTHORS_MAX: usize = 16_384;
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
    /// How often more what some kinds tell was done, by records that only count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub again: BTreeMap<String, u64>,
    /// Directories that something was done in, with what is below those that are not told themselves.
    pub directories: Vec<Counted<Text>>,
    pub commands: Vec<Counted<String>>,
    /// What the lists do not tell.
    #[serde(default)]
    pub more: More,
}

/// How much is left out of each list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct More {
    pub authors: Rest,
    pub directories: Rest,
    pub commands: Rest,
}

/// What one list leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rest {
    /// How many there are; of more than are counted apart, at least so many.
    pub different: u64,
    /// The operations of all of them, exactly.
    pub operations: u64,
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

/// Adds up what fits, page by page. `tell` hears before each how many operations were looked at, and fails where nobody waits
/// for the answer any more.
pub fn of(
    engine: &Engine,
    caller: &Caller,
    query: &Query,
    mut tell: impl FnMut(u64) -> Result<()>,
) -> Result<Summary> {
    let mut adding = Adding::default();
    let mut reader = Reader::new(engine, caller)?;
    let query = &Query {
        reaching: true,
        ..query.clone()
    };
    let (mut at, mut looked_at) = (Cursor::OLDEST, 0);
    loop {
        tell(looked_at)?;
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
        looked_at += records.len() as u64;
    }
}

struct Adding {
    operations: u64,
    first: Option<(Op, Time)>,
    last: Option<(Op, Time)>,
    authors: Counts<Author>,
    kinds: HashMap<&'static str, u64>,
    again: BTreeMap<String, u64>,
    directories: HashMap<Vec<u8>, u64>,
    /// How many names deep directories are counted apart.
    depth: usize,
    commands: Counts<String>,
}

impl Default for Adding {
    fn default() -> Self {
        Self {
            operations: 0,
            first: None,
            last: None,
            authors: Counts::upto(AUTHORS_MAX),
            kinds: HashMap::new(),
            again: BTreeMap::new(),
            directories: HashMap::new(),
            depth: usize::MAX,
            commands: Counts::upto(COMMANDS_MAX),
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
        self.authors.add(author);
        *self.kinds.entry(record.kind.name()).or_default() += 1;
        if let Some(times) = record.particulars().times {
            *self.again.entry(record.kind.name().to_owned()).or_default() += times;
        }
        self.commands.add(record.author.comm.clone());
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
        let (authors, other_authors) = self.authors.most();
        let (commands, other_commands) = self.commands.most();
        let (directories, other_directories) = most(self.directories, shown);
        Summary {
            operations: self.operations,
            first: self.first.map(moment),
            last: self.last.map(moment),
            authors,
            kinds: ranked(self.kinds, str::to_owned),
            again: self.again,
            directories,
            commands,
            more: More {
                authors: other_authors,
                directories: other_directories,
                commands: other_commands,
            },
        }
    }
}

/// Counts of what there may be any number of: the first so many are counted apart, the others together.
struct Counts<K> {
    most: usize,
    apart: HashMap<K, u64>,
    together: u64,
}

impl<K: Ord + Hash + Clone> Counts<K> {
    fn upto(most: usize) -> Self {
        Self {
            most,
            apart: HashMap::new(),
            together: 0,
        }
    }

    fn add(&mut self, of: K) {
        if let Some(count) = self.apart.get_mut(&of) {
            *count += 1;
        } else if self.apart.len() < self.most {
            self.apart.insert(of, 1);
        } else {
            self.together += 1;
        }
    }

    fn most(self) -> (Vec<Counted<K>>, Rest) {
        let (told, mut rest) = most(self.apart, |of| of);
        rest.different += u64::from(self.together > 0);
        rest.operations += self.together;
        (told, rest)
    }
}

/// The most frequent, and what that leaves out.
fn most<K: Ord + Hash, T>(
    counts: HashMap<K, u64>,
    told: impl Fn(K) -> T,
) -> (Vec<Counted<T>>, Rest) {
    let mut all = ranked(counts, told);
    let left = all.split_off(all.len().min(TOLD_MAX));
    let rest = Rest {
        different: left.len() as u64,
        operations: left.iter().map(|counted| counted.operations).sum(),
    };
    (all, rest)
}

/// The most frequent first, in the order of their names where they are as frequent.
fn ranked<K: Ord + Hash, T>(counts: HashMap<K, u64>, told: impl Fn(K) -> T) -> Vec<Counted<T>> {
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
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
    fn what_is_not_counted_apart_is_in_the_total() {
        let mut counts = Counts::upto(TOLD_MAX + 10);
        for n in 0..1000_u32 {
            counts.add(n);
            counts.add(7);
        }
        let (told, rest) = counts.most();
        assert_eq!((told.len(), told[0].of, told[0].operations), (20, 7, 1001));
        // Ten that were counted, and at least one of those that were not.
        assert_eq!(rest.different, 11);
        let all: u64 = told.iter().map(|counted| counted.operations).sum();
        assert_eq!(all + rest.operations, 2000);
    }

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
