//! What overwriting, cutting short and appending cost, and how they leave a file.

use super::Working;
use super::model::{MIB, Store, noise};
use super::touched::PIECES_MANY;
use crate::core::Hash;

#[test]
fn many_small_settles_do_not_leave_more_leaves_than_a_window_may_have() {
    let store = Store::new();
    let mut working = Working::default();
    working.truncate(2 * MIB).unwrap();
    let mut bytes = vec![0; 2 << 20];
    // Every other page, then the pages between: each time a settle.
    for page in (0..512).step_by(2).chain((1..512).step_by(2)) {
        let data = noise(4096, page);
        working.write(&store, page * 4096, &data).unwrap();
        let at = usize::try_from(page * 4096).unwrap();
        bytes[at..at + 4096].copy_from_slice(&data);
        store.settle(&mut working);
    }
    let leaves = store.leaves(working.base()).len() as u64;
    assert!(leaves <= 2 * PIECES_MANY, "{leaves} leaves");
    assert_eq!(store.whole(working.base()), bytes);
}

#[test]
fn pieces_of_a_window_have_a_limit_even_where_all_windows_reach_it_at_once() {
    let store = Store::new();
    let mut bytes = noise(40 << 20, 22);
    let mut working = Working::new(store.stored(&bytes));
    for round in 0..5 {
        for at in (round * 100..40 * MIB).step_by(24 << 10) {
            let data = noise(50, at);
            working.write(&store, at, &data).unwrap();
            let at = usize::try_from(at).unwrap();
            bytes[at..at + 50].copy_from_slice(&data);
        }
        store.settle(&mut working);
    }
    let leaves = store.leaves(working.base());
    for window in 0..40 {
        let (start, end) = (window * MIB, (window + 1) * MIB);
        let inside = leaves
            .iter()
            .filter(|leaf| leaf.start < end && leaf.end() > start);
        let inside = inside.count();
        assert!(inside <= 257, "{inside} leaves in window {window}");
    }
    store.drop_cache();
    assert_eq!(store.whole(working.base()), bytes);
}

#[test]
fn overwriting_pages_all_over_costs_these_pages() {
    let store = Store::new();
    let mut bytes = noise(32 << 20, 18);
    let mut working = Working::new(store.stored(&bytes));
    let places: Vec<u64> = (0..200).map(|n| n * 40 * 4096).collect();
    let cost = store.cost(|| {
        for at in &places {
            working.write(&store, *at, &noise(4096, *at)).unwrap();
        }
        store.settle(&mut working);
    });
    assert!(cost.stored_bytes < 200 * 4096 + 40_000, "{cost:?}");
    assert!(cost.blobs < 10, "{cost:?}");
    for at in places {
        let start = usize::try_from(at).unwrap();
        bytes[start..start + 4096].copy_from_slice(&noise(4096, at));
    }
    store.drop_cache();
    assert_eq!(store.whole(working.base()), bytes);
    assert_eq!(store.whole_hash(working.base()).unwrap(), Hash::of(&bytes));
}

#[test]
fn a_window_of_which_half_was_written_is_cut_anew() {
    let store = Store::new();
    let mut working = Working::new(store.stored(&noise(16 << 20, 19)));
    for at in (4 * MIB..5 * MIB).step_by(8192) {
        working.write(&store, at, &noise(4096, at)).unwrap();
    }
    let content = store.settle(&mut working);
    let leaves = store.leaves(&content);
    let inside = leaves
        .iter()
        .filter(|leaf| leaf.start < 5 * MIB && leaf.end() > 4 * MIB);
    let inside = inside.count();
    assert!(inside <= 6, "{inside} leaves");
}

#[test]
fn cutting_a_file_short_stores_no_bytes_of_it() {
    let store = Store::new();
    let bytes = noise(16 << 20, 20);
    let mut working = Working::new(store.stored(&bytes));
    working.truncate(9 * MIB + 5).unwrap();
    let cost = store.cost(|| {
        store.settle(&mut working);
    });
    assert!(cost.blobs == 1 && cost.stored_bytes < 2000, "{cost:?}");
    store.drop_cache();
    assert_eq!(store.whole(working.base()), bytes[..(9 << 20) + 5]);
}

#[test]
fn many_appends_leave_few_leaves_and_cost_little() {
    let store = Store::new();
    let mut bytes = noise(4 << 20, 21);
    let mut working = Working::new(store.stored(&bytes));
    let before = store.leaves(working.base()).len();
    let cost = store.cost(|| {
        for n in 0..200 {
            let line = noise(100, n);
            working.write(&store, bytes.len() as u64, &line).unwrap();
            bytes.extend(line);
            store.settle(&mut working);
        }
    });
    let after = store.leaves(working.base()).len();
    assert!(after <= before + 8, "{before} leaves became {after}");
    assert!(cost.stored_bytes < 200 * 2000, "{cost:?}");
    store.drop_cache();
    assert_eq!(store.whole(working.base()), bytes);
}
