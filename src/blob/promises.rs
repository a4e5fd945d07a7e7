//! What the store promises, one test each.

use super::model::{MIB, Store, noise};
use super::store::HOLES_MAX;
use super::working::SUM_MAX;
use super::{Blobs, CHUNK_MIN, Content, INLINE_MAX, Place, Usage, Working};
use crate::core::{Hash, Kind, Result};
use std::collections::HashSet;
use std::sync::Arc;

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
    let old: HashSet<Option<Hash>> = store
        .leaves(&before)
        .iter()
        .map(|leaf| leaf.slice.map(|s| s.hash))
        .collect();
    let new = store
        .leaves(&after)
        .iter()
        .filter(|leaf| !old.contains(&leaf.slice.map(|s| s.hash)))
        .count();
    assert!((1..=3).contains(&new), "{new} new leaves of {}", old.len());
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
    let end = working.size();
    working.write(&store, end, &noise(CHUNK_MIN, 1)).unwrap();
    store.settle(&mut working);
    working
        .write(&store, end + CHUNK_MIN as u64, b"appended")
        .unwrap();
    store.settle(&mut working);
    assert_eq!(
        working.read(&store, end, CHUNK_MIN + 9).unwrap(),
        [&noise(CHUNK_MIN, 1), &b"appended"[..]].concat()
    );
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
    let cost = store.cost(|| assert_eq!(store.settle(&mut working).size(), 1 << 40));
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
fn files_are_present_while_they_hold_what_their_names_say() {
    let store = Store::new();
    store.stored(&noise(3 << 20, 23));
    let hashes: Vec<Hash> = store.files().iter().map(|(hash, _)| *hash).collect();
    assert!(store.present(&hashes).unwrap());
    let path = store.cas.path(&hashes[0]);
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::write(&path, vec![0; usize::try_from(len).unwrap()]).unwrap();
    assert!(!store.present(&hashes).unwrap());
    std::fs::remove_file(path).unwrap();
    assert!(!store.present(&hashes).unwrap());
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
fn a_seal_that_comes_in_the_middle_of_a_sweep_keeps_its_files() {
    let store = Store::new();
    let bytes = noise(CHUNK_MIN, 15);
    store.stored(&bytes);
    let garbage = store.unreferenced(&HashSet::new()).unwrap();
    let mut tx = store.db.begin().unwrap();
    assert_eq!(store.remove_rows(&mut *tx, &garbage).unwrap(), 1);
    tx.commit().unwrap();
    let sealed = store.seal_bytes(&bytes).unwrap();
    assert_eq!(store.remove_files(&garbage).unwrap(), 0);
    let content = store.commit(&sealed);
    drop(sealed);
    assert_eq!(store.remove_files(&garbage).unwrap(), 0);
    store.drop_cache();
    assert_eq!(store.whole(&content), bytes);
}

#[test]
fn a_seal_that_commits_in_the_middle_of_a_sweep_keeps_its_blobs() {
    let store = Store::new();
    for len in [1000, CHUNK_MIN] {
        let bytes = noise(len, 18);
        store.stored(&bytes);
        let watch = store.watch();
        let garbage = store.unreferenced(&HashSet::new()).unwrap();
        assert_eq!(garbage.len(), 1);
        let sealed = store.seal_bytes(&bytes).unwrap();
        let content = store.commit(&sealed);
        drop(sealed);
        let mut tx = store.db.begin().unwrap();
        assert_eq!(store.remove_rows(&mut *tx, &garbage).unwrap(), 0);
        tx.commit().unwrap();
        assert_eq!(store.remove_files(&garbage).unwrap(), 0);
        drop(watch);
        store.drop_cache();
        assert_eq!(store.whole(&content), bytes);
        assert_eq!(store.sweep(&[]), 1, "the watch is over");
    }
}

#[test]
fn a_range_that_does_not_continue_the_base_is_not_adopted() {
    let store = Store::new();
    let source = store.stored(&noise(500_000, 16));
    let other = store.stored(&noise(500_000, 17));
    let mut working = Working::default();
    assert_eq!(working.adopt(&source, 1, 0, 10), None);
    assert_eq!(working.adopt(&source, 0, 0, 300_000), Some(300_000));
    assert_eq!(working.adopt(&other, 300_000, 300_000, 10), None);
    assert_eq!(working.adopt(&source, 299_999, 300_000, 10), None);
    working.truncate(200_000).unwrap();
    working.truncate(300_000).unwrap();
    assert_eq!(working.adopt(&source, 300_000, 300_000, 10), None);
    assert_eq!(working.adopt(&source, 600_000, 300_000, 10), None);
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
    assert_eq!(std::fs::read_dir(store.config.work()).unwrap().count(), 0);
}

#[test]
fn holes_are_not_counted_and_cost_nothing_to_count() {
    let store = Store::new();
    let mut working = Working::default();
    for size in [4096, 100 << 10, 1 << 40] {
        working.truncate(size).unwrap();
        assert_eq!(working.held(), 0);
        assert_eq!(store.settle(&mut working).held(), 0, "{size} bytes");
    }
    let island = noise(1 << 20, 1);
    for at in [0, 7 << 30, 9 << 38] {
        working.write(&store, at, &island).unwrap();
    }
    assert_eq!(working.held(), 3 * MIB);
    let held = store.settle(&mut working).held();
    assert_eq!(held, 3 * MIB);
    working.punch(7 << 30, MIB).unwrap();
    assert_eq!(store.settle(&mut working).held(), 2 * MIB);
    working.truncate(MIB / 2).unwrap();
    assert_eq!(store.settle(&mut working).held(), MIB / 2);
}

/// Whoever makes holes has nobody read them for hours.
#[test]
fn what_is_mostly_holes_is_not_hashed_and_large_contents_one_at_a_time() {
    let store = Store::new();
    let sparse = |size: u64| {
        let mut working = Working::default();
        working.truncate(size).unwrap();
        store.settle(&mut working);
        working.base().clone()
    };
    for size in [HOLES_MAX + 1, i64::MAX as u64] {
        let refused = store.whole_hash(&sparse(size)).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
    }
    let (large, small) = (sparse(65 << 20), sparse(1 << 20));
    let turn = store.hashing.lock();
    let refused = store.whole_hash_at_once(&large).unwrap_err();
    assert_eq!(refused.kind(), Kind::Busy);
    assert!(store.whole_hash_at_once(&small).is_ok());
    drop(turn);
    let hash = store.whole_hash_at_once(&large).unwrap();
    // Then it is known.
    let _turn = store.hashing.lock();
    assert_eq!(store.whole_hash_at_once(&large).unwrap(), hash);
}

#[test]
fn bytes_written_over_bytes_are_counted_once() {
    let store = Store::new();
    let mut working = Working::new(store.stored(&noise(3 << 20, 1)));
    working.write(&store, MIB, &noise(2 << 20, 2)).unwrap();
    assert_eq!(working.held(), 3 * MIB);
    working.punch(0, MIB).unwrap();
    assert_eq!(working.held(), 3 * MIB, "what is below is not known yet");
    assert_eq!(store.settle(&mut working).held(), 2 * MIB);
}

#[test]
fn many_files_being_written_hold_no_more_memory_than_all_may() {
    let store = Store::new();
    let bytes = |n: usize| vec![u8::try_from(n % 251).unwrap(); 1 << 20];
    let mut open: Vec<_> = (0..160).map(|_| Working::default()).collect();
    for (n, working) in open.iter_mut().enumerate() {
        for (part, piece) in bytes(n).chunks(256 << 10).enumerate() {
            let at = (part * piece.len()) as u64;
            working.write(&store, at, piece).unwrap();
            assert!(store.dirty.bytes() <= SUM_MAX);
        }
    }
    assert!(store.dirty.bytes() > SUM_MAX - (1 << 20), "it is used");
    // A changed byte in each: what is in memory and what is not are one file.
    for (n, working) in open.iter_mut().enumerate() {
        working.write(&store, 4096, b"x").unwrap();
        assert!(store.dirty.bytes() <= SUM_MAX);
        let mut expected = bytes(n);
        expected[4096] = b'x';
        assert!(working.read(&store, 0, 2 << 20).unwrap() == expected);
        if n % 40 == 0 {
            store.settle(working);
            assert!(store.whole(working.base()) == expected);
        }
    }
    assert!(
        store.dirty.bytes() <= SUM_MAX - (2 << 20),
        "a seal gives it back"
    );
    drop(open);
    assert_eq!(store.dirty.bytes(), 0);
}
