//! The store as a whole: random operations compared with plain bytes, and what each change may cost.

use super::chunk::CHUNK_MAX;
use super::tree::Leaf;
use super::{Blobs, CHUNK_MIN, Content, INLINE_MAX, Place, Sealed, Usage, Working};
use crate::core::config::Config;
use crate::core::{Hash, Kind, Result};
use crate::db::Db;
use crate::db::sqlite::Sqlite;
use proptest::prelude::*;
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

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
struct Store {
    blobs: Blobs,
    config: Config,
    dir: tempfile::TempDir,
}

impl Deref for Store {
    type Target = Blobs;

    fn deref(&self) -> &Blobs {
        &self.blobs
    }
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            content_cache: 32 * MIB,
            ..Config::new(dir.path())
        };
        let db = Sqlite::open(&config.database()).unwrap();
        db.migrate().unwrap();
        Self {
            blobs: Blobs::open(&config, Arc::new(db)).unwrap(),
            config,
            dir,
        }
    }

    fn commit(&self, sealed: &Sealed) -> Content {
        let mut tx = self.db.begin().unwrap();
        sealed.store(&mut *tx).unwrap();
        tx.commit().unwrap();
        sealed.content.clone()
    }

    fn settle(&self, working: &mut Working) -> Content {
        let content = self.commit(&working.seal(self).unwrap());
        working.settle(content.clone());
        content
    }

    fn stored(&self, bytes: &[u8]) -> Content {
        self.commit(&self.seal_bytes(bytes).unwrap())
    }

    /// Runs a change and tells how many blobs and bytes it added.
    fn cost(&self, change: impl FnOnce()) -> Usage {
        let before = self.usage().unwrap();
        change();
        let after = self.usage().unwrap();
        Usage {
            blobs: after.blobs - before.blobs,
            stored_bytes: after.stored_bytes - before.stored_bytes,
        }
    }

    fn leaves(&self, content: &Content) -> Vec<Leaf> {
        let mut out: Vec<Leaf> = vec![];
        while let at = out.last().map_or(0, Leaf::end)
            && at < content.size()
        {
            out.push(self.leaf_at(content, at).unwrap());
        }
        out
    }

    fn whole(&self, content: &Content) -> Vec<u8> {
        self.read(content, 0, usize::MAX).unwrap().to_vec()
    }

    fn sweep(&self, roots: &[Content]) -> u64 {
        let mut tx = self.db.begin().unwrap();
        let live = self.live(&mut roots.iter().cloned()).unwrap();
        let garbage = self.unreferenced(&live).unwrap();
        self.remove_rows(&mut *tx, &garbage).unwrap();
        tx.commit().unwrap();
        self.remove_files(&garbage).unwrap();
        garbage.len() as u64
    }

    fn files(&self) -> Vec<(Hash, u64)> {
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

    /// Every hole must be zeros, and data and holes must take turns up to the end.
    fn compare_seeks(&self) {
        let mut at = 0;
        while at < self.bytes.len() {
            let data = self.working.seek_data(self.store, at as u64).unwrap();
            let data = data.map_or(self.bytes.len(), |n| usize::try_from(n).unwrap());
            assert!(
                self.bytes[at..data].iter().all(|b| *b == 0),
                "data in a hole at {at}"
            );
            if data == self.bytes.len() {
                return;
            }
            let hole = self.working.seek_hole(self.store, data as u64).unwrap();
            at = usize::try_from(hole).unwrap();
            assert!(at > data);
        }
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

#[test]
fn small_bytes_are_a_row_and_large_ones_a_file() {
    let store = Store::new();
    let small = store.stored(&noise(INLINE_MAX, 1));
    assert_eq!(store.files().len(), 0);
    let large = store.stored(&noise(INLINE_MAX + 1, 2));
    assert_eq!(store.files().len(), 1);
    store.drop_cache();
    assert_eq!(store.whole(&small), noise(INLINE_MAX, 1));
    assert_eq!(store.whole(&large), noise(INLINE_MAX + 1, 2));
}

#[test]
fn the_same_bytes_are_stored_once() {
    let store = Store::new();
    let bytes = noise(9 << 20, 3);
    let first = store.stored(&bytes);
    let again = store.cost(|| assert_eq!(store.stored(&bytes), first));
    assert_eq!(
        again,
        Usage {
            blobs: 0,
            stored_bytes: 0
        }
    );
}

#[test]
fn appending_a_little_costs_a_little() {
    let store = Store::new();
    let mut bytes = noise(64 << 20, 4);
    let mut working = Working::new(store.stored(&bytes));
    for n in 0..5 {
        let cost = store.cost(|| {
            working
                .write(&store, bytes.len() as u64, &noise(100, n))
                .unwrap();
            store.settle(&mut working);
        });
        bytes.extend(noise(100, n));
        assert!(
            cost.stored_bytes < CHUNK_MIN as u64 + 16_000,
            "append {n} stored {cost:?}"
        );
        assert!(cost.blobs <= 3, "append {n} stored {cost:?}");
    }
    assert_eq!(store.whole_hash(working.base()).unwrap(), Hash::of(&bytes));
}

#[test]
fn overwriting_the_middle_shares_every_other_chunk() {
    let store = Store::new();
    let before = store.stored(&noise(32 << 20, 5));
    let mut working = Working::new(before.clone());
    working.write(&store, 15 * MIB, &noise(4096, 6)).unwrap();
    let after = store.settle(&mut working);
    let old: HashSet<Option<Hash>> = store.leaves(&before).iter().map(|leaf| leaf.hash).collect();
    let new = store
        .leaves(&after)
        .iter()
        .filter(|leaf| !old.contains(&leaf.hash))
        .count();
    assert!((1..=3).contains(&new), "{new} new leaves of {}", old.len());
}

#[test]
fn many_small_settles_do_not_leave_many_small_chunks() {
    let store = Store::new();
    let mut working = Working::default();
    working.truncate(4 * MIB).unwrap();
    // Every other page, then the pages between: each time a settle.
    for at in (0..512)
        .step_by(2)
        .chain((1..512).step_by(2))
        .map(|page| page * 8192)
    {
        working.write(&store, at, &noise(8192, at)).unwrap();
        store.settle(&mut working);
    }
    let leaves = store.leaves(working.base()).len();
    assert!(leaves <= 4 << 20 >> 17, "{leaves} leaves");
}

#[test]
fn a_tree_of_several_levels_is_read_changed_and_cut_short() {
    let store = Store::new();
    let mut working = Working::default();
    let mut bytes = vec![0; 1 << 20];
    working.truncate(bytes.len() as u64 * 16_384).unwrap();
    for n in 0..400 {
        let data = noise(3000, n);
        working.write(&store, n * 40 * MIB, &data).unwrap();
    }
    let Content::Tree { depth, .. } = store.settle(&mut working) else {
        panic!("not a tree")
    };
    assert_eq!(depth, 2);
    for n in 0..400 {
        assert_eq!(
            working.read(&store, n * 40 * MIB, 3000).unwrap(),
            noise(3000, n)
        );
    }
    let cost = store.cost(|| {
        working.write(&store, 200 * 40 * MIB, b"changed").unwrap();
        store.settle(&mut working);
    });
    assert!(cost.blobs <= 4 && cost.stored_bytes < 30_000, "{cost:?}");
    working.truncate(bytes.len() as u64).unwrap();
    let Content::Tree { depth, .. } = store.settle(&mut working) else {
        panic!("not a tree")
    };
    assert_eq!(depth, 1);
    bytes[..3000].copy_from_slice(&noise(3000, 0));
    assert_eq!(store.whole(working.base()), bytes);
}

#[test]
fn a_hole_of_a_tebibyte_costs_one_node() {
    let store = Store::new();
    let mut working = Working::default();
    working.truncate(1 << 40).unwrap();
    let cost = store.cost(|| drop(store.settle(&mut working)));
    assert!(cost.blobs == 1 && cost.stored_bytes < 100, "{cost:?}");
    assert_eq!(working.seek_data(&store, 0).unwrap(), None);
    working.write(&store, 1 << 39, b"data").unwrap();
    store.settle(&mut working);
    assert_eq!(
        working.read(&store, (1 << 39) - 2, 8).unwrap(),
        &b"\0\0data\0\0"[..]
    );
    assert_eq!(working.seek_data(&store, 5).unwrap(), Some(1 << 39));
    assert_eq!(working.seek_hole(&store, 1 << 39).unwrap(), (1 << 39) + 4);
    assert_eq!(
        working.seek_hole(&store, 1 << 40).unwrap_err().kind(),
        Kind::Range
    );
}

#[test]
fn what_no_file_can_hold_is_too_large() {
    let store = Store::new();
    let mut working = Working::default();
    let last = i64::MAX as u64 - 1;
    working.write(&store, last, b"x").unwrap();
    assert_eq!(
        working.write(&store, last, b"xy").unwrap_err().kind(),
        Kind::TooLarge
    );
    assert_eq!(
        working.truncate(last + 2).unwrap_err().kind(),
        Kind::TooLarge
    );
    assert_eq!(
        working.allocate(last, u64::MAX).unwrap_err().kind(),
        Kind::TooLarge
    );
    let content = store.settle(&mut working);
    assert_eq!(store.read(&content, last, 10).unwrap(), "x");
}

#[test]
fn a_flipped_byte_is_never_handed_out() {
    let store = Store::new();
    let content = store.stored(&noise(5 << 20, 9));
    let (hash, _) = store.files()[0];
    let path = store.cas.path(&hash);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    store.drop_cache();
    let error = store.read(&content, 0, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains(&hash.to_string()), "{error}");
    let damage = store.check(&content, &mut HashSet::new());
    assert_eq!(damage.iter().map(|d| d.hash).collect::<Vec<_>>(), [hash]);
    std::fs::remove_file(path).unwrap();
    assert_eq!(
        store.read(&content, 0, usize::MAX).unwrap_err().kind(),
        Kind::Corrupt
    );
}

#[test]
fn a_seal_that_cannot_write_leaves_nothing_behind() {
    let store = Store::new();
    let bytes = noise(5 << 20, 10);
    std::fs::remove_dir(store.config.cas().join("tmp")).unwrap();
    assert!(store.seal_bytes(&bytes).is_err());
    std::fs::create_dir(store.config.cas().join("tmp")).unwrap();
    assert_eq!(store.files(), []);
    let content = store.stored(&bytes);
    assert_eq!(store.whole(&content), bytes);
}

#[test]
fn a_sweep_leaves_what_a_seal_still_needs() {
    let store = Store::new();
    let bytes = noise(3 << 20, 11);
    store.stored(&bytes);
    let sealed = store.seal_bytes(&bytes).unwrap();
    assert_eq!(store.sweep(&[]), 0);
    let content = store.commit(&sealed);
    drop(sealed);
    store.drop_cache();
    assert_eq!(store.whole(&content), bytes);
    assert!(store.sweep(&[]) > 0);
    assert_eq!((store.files(), store.usage().unwrap().blobs), (vec![], 0));
}

#[test]
fn a_file_without_a_row_is_found_and_swept() {
    let store = Store::new();
    drop(store.seal_bytes(&noise(CHUNK_MIN, 12)).unwrap());
    let found = store.unreferenced(&HashSet::new()).unwrap();
    assert_eq!(
        found.iter().map(|g| g.place).collect::<Vec<_>>(),
        [Place::Stray]
    );
    store.sweep(&[]);
    assert_eq!(store.files(), []);
}

#[test]
fn a_read_within_a_blob_is_not_copied() -> Result<()> {
    let store = Store::new();
    let content = store.stored(&noise(50_000, 13));
    let whole = store.read(&content, 0, 50_000)?;
    assert_eq!(
        store.read(&content, 1000, 10)?.as_ptr(),
        whole[1000..].as_ptr()
    );
    Ok(())
}

#[test]
fn opening_again_keeps_what_was_stored_and_clears_what_was_not() {
    let store = Store::new();
    let bytes = noise(700_000, 14);
    let content = store.stored(&bytes);
    std::fs::write(store.config.work().join("left"), b"over").unwrap();
    let again = Blobs::open(&store.config, Arc::clone(&store.db)).unwrap();
    assert_eq!(again.read(&content, 0, usize::MAX).unwrap(), bytes);
    assert_eq!(
        std::fs::read_dir(store.dir.path().join("work"))
            .unwrap()
            .count(),
        0
    );
}
