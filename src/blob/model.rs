//! The store as a whole: random operations compared with plain bytes.

use super::chunk::CHUNK_MAX;
use super::tree::Leaf;
use super::{Blobs, CHUNK_MIN, Content, INLINE_MAX, Sealed, Usage, Working};
use crate::core::Hash;
use crate::core::config::Config;
use crate::db::Db;
use crate::db::sqlite::Sqlite;
use proptest::prelude::*;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::Arc;

pub(super) const MIB: u64 = 1 << 20;

/// Bytes that do not compress, the same for the same seed: splitmix64.
pub(super) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A store in a directory of its own.
pub(super) struct Store {
    blobs: Blobs,
    pub(super) config: Config,
    _dir: tempfile::TempDir,
}

impl Deref for Store {
    type Target = Blobs;

    fn deref(&self) -> &Blobs {
        &self.blobs
    }
}

impl Store {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        Self::open(dir, config)
    }

    /// A store that keeps so many files of a kind open.
    pub(super) fn of_open_files(open: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            open_files: NonZeroUsize::new(open).unwrap(),
            ..Config::new(dir.path())
        };
        Self::open(dir, config)
    }

    fn open(dir: tempfile::TempDir, config: Config) -> Self {
        let config = Config {
            content_cache: 32 * MIB,
            ..config
        };
        let db = Sqlite::open(&config.database()).unwrap();
        db.migrate().unwrap();
        Self {
            blobs: Blobs::open(&config, Arc::new(db)).unwrap(),
            config,
            _dir: dir,
        }
    }

    pub(super) fn commit(&self, sealed: &Sealed) -> Content {
        let mut tx = self.db.begin().unwrap();
        for row in sealed.rows() {
            row.store(&mut *tx).unwrap();
        }
        tx.commit().unwrap();
        sealed.content.clone()
    }

    pub(super) fn settle(&self, working: &mut Working) -> Content {
        let content = self.commit(&working.seal(self).unwrap());
        working.settle(content.clone());
        content
    }

    pub(super) fn stored(&self, bytes: &[u8]) -> Content {
        self.commit(&self.seal_bytes(bytes).unwrap())
    }

    /// Runs a change and tells how many blobs and bytes it added.
    pub(super) fn cost(&self, change: impl FnOnce()) -> Usage {
        let before = self.usage().unwrap();
        change();
        let after = self.usage().unwrap();
        Usage {
            blobs: after.blobs - before.blobs,
            stored_bytes: after.stored_bytes - before.stored_bytes,
        }
    }

    pub(super) fn leaves(&self, content: &Content) -> Vec<Leaf> {
        let mut out: Vec<Leaf> = vec![];
        while let at = out.last().map_or(0, Leaf::end)
            && at < content.size()
        {
            out.push(self.leaf_at(content, at).unwrap());
        }
        out
    }

    pub(super) fn whole(&self, content: &Content) -> Vec<u8> {
        self.read(content, 0, usize::MAX).unwrap().to_vec()
    }

    pub(super) fn sweep(&self, roots: &[Content]) -> u64 {
        let mut tx = self.db.begin().unwrap();
        let live = self.live(&mut roots.iter().cloned()).unwrap();
        let garbage = self.unreferenced(&live).unwrap();
        self.remove_rows(&mut *tx, &garbage).unwrap();
        tx.commit().unwrap();
        self.remove_files(&garbage).unwrap();
        garbage.len() as u64
    }

    pub(super) fn files(&self) -> Vec<(Hash, u64)> {
        self.cas.list().unwrap()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write { at: usize, len: usize, seed: u64 },
    Truncate(usize),
    Punch { at: usize, len: usize },
    Allocate { at: usize, len: usize },
    Adopt { seed: u64, size: usize, len: usize },
    Settle,
}

/// Positions and lengths around every border there is.
fn around() -> impl Strategy<Value = usize> {
    let borders = [0, 4096, INLINE_MAX, CHUNK_MIN, 1 << 20, CHUNK_MAX];
    let border = prop::sample::select(borders.to_vec());
    prop_oneof![
        3 => (border, 0..9_usize).prop_map(|(b, d)| (b + d).saturating_sub(4)),
        2 => 0..200_000_usize,
        2 => 0..6_000_000_usize,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let seed = || 0..4_u64;
    prop_oneof![
        5 => (around(), around(), seed()).prop_map(|(at, len, seed)| Step::Write { at, len, seed }),
        3 => (around(), 0..5000_usize, seed()).prop_map(|(at, len, seed)| Step::Write { at, len, seed }),
        2 => (0..6_000_000_usize, 1..5000_usize, seed()).prop_map(|(at, len, seed)| Step::Write { at, len, seed }),
        2 => around().prop_map(Step::Truncate),
        2 => (around(), around()).prop_map(|(at, len)| Step::Punch { at, len }),
        1 => (around(), around()).prop_map(|(at, len)| Step::Allocate { at, len }),
        1 => (seed(), around(), around()).prop_map(|(seed, size, len)| Step::Adopt { seed, size, len }),
        4 => Just(Step::Settle),
    ]
}

/// The working copy under test beside the bytes that it should hold.
struct Pair<'a> {
    store: &'a Store,
    working: Working,
    bytes: Vec<u8>,
}

impl Pair<'_> {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Write { at, len, seed } => {
                let data = noise(len, seed);
                self.working.write(self.store, at as u64, &data).unwrap();
                if len > 0 {
                    self.bytes.resize(self.bytes.len().max(at + len), 0);
                    self.bytes[at..at + len].copy_from_slice(&data);
                }
            }
            Step::Truncate(size) => {
                self.working.truncate(size as u64).unwrap();
                self.bytes.resize(size, 0);
            }
            Step::Punch { at, len } => {
                self.working.punch(at as u64, len as u64).unwrap();
                let end = self.bytes.len().min(at + len);
                self.bytes[at.min(end)..end].fill(0);
            }
            Step::Allocate { at, len } => {
                self.working.allocate(at as u64, len as u64).unwrap();
                self.bytes.resize(self.bytes.len().max(at + len), 0);
            }
            Step::Adopt { seed, size, len } => self.adopt(&noise(size, seed), len),
            Step::Settle => {
                let content = self.store.settle(&mut self.working);
                assert_eq!(
                    self.store.whole_hash(&content).unwrap(),
                    Hash::of(&self.bytes)
                );
                let damage = self.store.check(&content, &mut HashSet::new());
                assert!(damage.is_empty(), "{damage:?}");
                let chunks = self.store.leaves(&content).into_iter();
                let chunks = chunks.filter(|leaf| leaf.slice.is_some());
                assert_eq!(content.held(), chunks.map(|leaf| leaf.len).sum::<u64>());
                assert_eq!(self.working.held(), content.held());
            }
        }
    }

    /// Starts over as a copy of another file, in two calls as cp(1) does.
    fn adopt(&mut self, source: &[u8], len: usize) {
        let content = self.store.stored(source);
        self.working.truncate(0).unwrap();
        self.bytes.clear();
        for _ in 0..2 {
            let at = self.bytes.len();
            let took = self
                .working
                .adopt(&content, at as u64, at as u64, len as u64)
                .unwrap_or(0);
            let took = usize::try_from(took).unwrap();
            assert_eq!(took, len.min(source.len() - at));
            self.bytes.extend_from_slice(&source[at..at + took]);
        }
    }

    fn compare(&self) {
        assert_eq!(self.working.size(), self.bytes.len() as u64);
        let read = self.working.read(self.store, 0, usize::MAX).unwrap();
        assert!(
            read == self.bytes,
            "read differs at {:?}",
            first_difference(&read, &self.bytes)
        );
        let middle = self.bytes.len() / 3;
        let part = self
            .working
            .read(self.store, middle as u64, 70_000)
            .unwrap();
        assert!(part == self.bytes[middle..self.bytes.len().min(middle + 70_000)]);
        self.compare_seeks();
    }

    /// Every hole must be zeros, data and holes must take turns up to the end, and no data may go uncounted.
    fn compare_seeks(&self) {
        let mut at = 0;
        let mut found = 0;
        while at < self.bytes.len() {
            let data = self.working.seek_data(self.store, at as u64).unwrap();
            let data = data.map_or(self.bytes.len(), |n| usize::try_from(n).unwrap());
            assert!(
                self.bytes[at..data].iter().all(|b| *b == 0),
                "data in a hole at {at}"
            );
            if data == self.bytes.len() {
                break;
            }
            let hole = self.working.seek_hole(self.store, data as u64).unwrap();
            at = usize::try_from(hole).unwrap();
            assert!(at > data);
            found += (at - data) as u64;
        }
        assert!((found..=self.working.size()).contains(&self.working.held()));
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_working_copy_is_what_plain_bytes_would_be(steps in prop::collection::vec(step(), 1..12)) {
        let store = Store::new();
        let mut pair = Pair { store: &store, working: Working::default(), bytes: vec![] };
        for step in &steps {
            pair.run(step);
            pair.compare();
        }
        pair.run(&Step::Settle);
        store.drop_cache();
        pair.compare();
        let content = pair.working.base().clone();
        store.sweep(std::slice::from_ref(&content));
        store.drop_cache();
        pair.compare();
        prop_assert_eq!(store.sweep(std::slice::from_ref(&content)), 0);
    }
}
