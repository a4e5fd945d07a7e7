//! What plain calls do to a tree, in a few lines: names, and what they stand for.

use super::super::replay::{Seen, Tree};
use crate::core::{Hash, Time};
use crate::meta::FileKind;
use std::collections::BTreeMap;

/// Marks the numbers of what was found.
const FOUND: u64 = 1 << 40;

/// A tree. What has several names is there once.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) names: BTreeMap<String, u64>,
    things: BTreeMap<u64, Thing>,
    last: u64,
}

/// What a name stands for, and the bytes of a file, as often as they are changed by parts.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) seen: Seen,
    pub(super) bytes: Vec<u8>,
}

impl Thing {
    pub(super) fn new(kind: FileKind, mode: u32, owner: (u32, u32), now: Time) -> Self {
        let mtime = (kind != FileKind::Directory).then_some(now);
        let mut thing = Self {
            seen: Seen {
                kind,
                owner: (mode, owner.0, owner.1),
                size: 0,
                mtime,
                bytes: Vec::new(),
                xattrs: Vec::new(),
            },
            bytes: Vec::new(),
        };
        thing.fill(Vec::new());
        thing
    }

    /// Puts bytes into a file, or a target into a link.
    pub(super) fn fill(&mut self, bytes: Vec<u8>) {
        self.seen.size = bytes.len() as u64;
        self.seen.bytes = told(self.seen.kind, &bytes);
        self.bytes = bytes;
    }

    /// The same as of a time.
    pub(super) fn write(&mut self, bytes: Vec<u8>, now: Time) {
        self.fill(bytes);
        self.seen.mtime = Some(now);
    }

    /// Sets an attribute, or takes it away.
    pub(super) fn set(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        self.seen.xattrs.retain(|(n, _)| n != name);
        let new = value.map(|value| (name.to_vec(), value));
        self.seen.xattrs.extend(new);
        self.seen.xattrs.sort();
    }
}

/// How content is compared: a file's by its hash.
pub(super) fn told(kind: FileKind, bytes: &[u8]) -> Vec<u8> {
    match kind {
        FileKind::File => Hash::of(bytes).0.to_vec(),
        _ => bytes.to_vec(),
    }
}

fn below(dir: &str) -> String {
    format!("{dir}/")
}

impl Model {
    /// What was found, under numbers that nothing else has.
    pub(super) fn of(found: impl Iterator<Item = (String, u64, Thing)>) -> Self {
        let mut model = Self::default();
        for (at, number, thing) in found {
            model.names.insert(at, FOUND | number);
            model.things.insert(FOUND | number, thing);
        }
        model
    }

    /// Becomes another one. Numbers are never given out twice.
    pub(super) fn become_like(&mut self, other: Self) {
        let last = self.last;
        *self = Self { last, ..other };
    }

    pub(super) fn tree(&self) -> Tree {
        let seen = |(at, number): (&String, &u64)| (at.clone(), self.things[number].seen.clone());
        self.names.iter().map(seen).collect()
    }

    pub(super) fn get(&self, at: &str) -> Option<&Thing> {
        self.things.get(self.names.get(at)?)
    }

    /// What a name stands for now, as it is in another tree.
    pub(super) fn same_in(&self, at: &str, other: &Self) -> Option<Thing> {
        other.things.get(self.names.get(at)?).cloned()
    }

    #[track_caller]
    pub(super) fn change(&mut self, at: &str, change: impl FnOnce(&mut Thing)) {
        let number = self.names[at];
        change(self.things.get_mut(&number).unwrap());
    }

    #[track_caller]
    pub(super) fn add(&mut self, at: &str, thing: Thing) {
        self.last += 1;
        self.things.insert(self.last, thing);
        assert!(self.names.insert(at.to_owned(), self.last).is_none());
    }

    #[track_caller]
    pub(super) fn link(&mut self, from: &str, to: &str) {
        let number = self.names[from];
        assert!(self.names.insert(to.to_owned(), number).is_none());
    }

    #[track_caller]
    pub(super) fn remove(&mut self, at: &str) {
        let number = self.names.remove(at).unwrap();
        if !self.names.values().any(|n| *n == number) {
            self.things.remove(&number);
        }
        let mut inside = self.names.range(below(at)..);
        assert!(
            inside
                .next()
                .is_none_or(|(n, _)| !n.starts_with(&below(at)))
        );
    }

    /// rename(2): names of one file stay as they are.
    #[track_caller]
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if self.names.get(from) == self.names.get(to) {
            return;
        }
        if self.names.contains_key(to) {
            self.remove(to);
        }
        let moved = self.take(from);
        self.put(to, moved);
    }

    #[track_caller]
    pub(super) fn exchange(&mut self, one: &str, other: &str) {
        let (a, b) = (self.take(one), self.take(other));
        assert!(!a.is_empty() && !b.is_empty());
        self.put(one, b);
        self.put(other, a);
    }

    /// Takes a name away with all below it; what comes behind its own path, of each.
    fn take(&mut self, at: &str) -> Vec<(String, u64)> {
        let is_it = |n: &String| n == at || n.starts_with(&below(at));
        let names: Vec<_> = self.names.keys().filter(|n| is_it(n)).cloned().collect();
        let number = |n: String| (n[at.len()..].to_owned(), self.names.remove(&n).unwrap());
        names.into_iter().map(number).collect()
    }

    fn put(&mut self, at: &str, taken: Vec<(String, u64)>) {
        let whole = taken
            .into_iter()
            .map(|(rest, n)| (format!("{at}{rest}"), n));
        self.names.extend(whole);
    }
}
