//! More files being written at a time than there is memory, or there are descriptors, for.

use super::dirty::Share;
use super::extents::index;
use super::model::{MIB, Store, noise};
use super::working::SUM_MAX;
use super::{Blobs, Content, Working};
use crate::core::Kind;
use std::fs;
use std::sync::Arc;

const PIECE: usize = 12 << 10;

/// Leaves no memory to what else is written.
fn leave_no_memory(store: &Store) -> Share {
    let mut share = Share::default();
    share.join(&store.dirty);
    share.add(SUM_MAX);
    share
}

/// Files with a piece each and a hole behind it.
fn write_all(store: &Store, files: u64) -> Vec<Working> {
    let write = |n| {
        let mut working = Working::default();
        working.write(store, 0, &noise(PIECE, n)).unwrap();
        working
    };
    (0..files).map(write).collect()
}

/// What one of them is when its second piece has been written, too.
fn twice(n: u64) -> Vec<u8> {
    let mut bytes = noise(PIECE, n);
    bytes.resize(2 * PIECE, 0);
    bytes.extend(noise(PIECE, n + 1000));
    bytes
}

fn names(store: &Store) -> usize {
    fs::read_dir(store.config.work()).unwrap().count()
}

/// The descriptors that this process has of work files.
fn descriptors(store: &Store) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|fd| fs::read_link(fd.path()).ok());
    let work = store.config.work();
    targets.filter(|target| target.starts_with(&work)).count()
}

#[test]
fn more_files_than_descriptors_are_written_read_and_sealed() {
    let store = Store::of_open_files(3);
    let _taken = leave_no_memory(&store);
    let mut files = write_all(&store, 40);
    assert_eq!((names(&store), descriptors(&store)), (40, 3));
    for (n, working) in (0..).zip(&mut files) {
        let second = noise(PIECE, n + 1000);
        working.write(&store, 2 * PIECE as u64, &second).unwrap();
        assert_eq!(descriptors(&store), 3);
    }
    for (n, working) in (0..).zip(&files) {
        assert_eq!(working.read(&store, 0, usize::MAX).unwrap(), twice(n));
    }
    let contents: Vec<Content> = files.iter_mut().map(|f| store.settle(f)).collect();
    assert!(names(&store) < 10 && descriptors(&store) <= 3);
    store.drop_cache();
    for (n, content) in (0..).zip(&contents) {
        assert_eq!(store.whole(content), twice(n));
    }
}

#[test]
fn nothing_of_a_file_is_lost_when_its_work_file_cannot_be_opened() {
    let store = Store::of_open_files(1);
    let _taken = leave_no_memory(&store);
    let mut files = write_all(&store, 2);
    let aside = store.config.data_dir.join("aside");
    fs::rename(store.config.work(), &aside).unwrap();
    let first = &mut files[0];
    let second = noise(PIECE, 1000);
    let errors = [
        first.write(&store, 2 * PIECE as u64, &second).unwrap_err(),
        first.read(&store, 0, PIECE).unwrap_err(),
        first.seal(&store).err().unwrap(),
    ];
    for error in errors {
        assert_eq!(error.kind(), Kind::Io, "{}", error.chain());
        assert!(error.chain().contains("cannot open work file"));
    }
    assert!(first.is_dirty());
    fs::rename(&aside, store.config.work()).unwrap();
    first.write(&store, 2 * PIECE as u64, &second).unwrap();
    let content = store.settle(first);
    assert_eq!(store.whole(&content), twice(0));
}

#[test]
fn the_next_start_removes_what_a_crash_left() {
    let store = Store::of_open_files(2);
    let _taken = leave_no_memory(&store);
    let left = write_all(&store, 20);
    assert_eq!(names(&store), 20);
    let again = Blobs::open(&store.config, Arc::clone(&store.db)).unwrap();
    assert_eq!(names(&store), 0);
    drop((left, again));
}

#[test]
fn small_pieces_in_many_files_take_no_more_memory_than_all_may() {
    let store = Store::of_open_files(4);
    // All but 2 MiB.
    let mut taken = leave_no_memory(&store);
    taken.sub(2 << 20);
    let pieces = 100;
    let mut files = Vec::new();
    let held = allocation_counter::measure(|| {
        for n in 0..400 {
            let mut working = Working::default();
            for piece in 0..pieces {
                let bytes = noise(1, n + piece);
                working.write(&store, piece * 64, &bytes).unwrap();
            }
            files.push(working);
        }
    });
    assert!(store.dirty.bytes() <= SUM_MAX);
    // 40,000 bytes are nothing; what keeps them was let grow until it was 2 MiB. In a work file a piece takes half of that.
    assert!(names(&store) > 0);
    assert!(held.bytes_current < 6 << 20, "{held:?}");
    for (n, working) in (0..).zip(&files) {
        let read = working.read(&store, 0, usize::MAX).unwrap();
        let found = (0..pieces).map(|piece| read[index(piece * 64)]);
        assert!(found.eq((0..pieces).map(|piece| noise(1, n + piece)[0])));
    }
}

#[test]
fn what_is_cut_off_takes_no_memory() {
    let store = Store::new();
    let bytes = noise(index(MIB) - 1, 1);
    let mut files = Vec::new();
    let held = allocation_counter::measure(|| {
        for _ in 0..20 {
            let mut working = Working::default();
            working.write(&store, 0, &bytes).unwrap();
            working.truncate(1).unwrap();
            files.push(working);
        }
    });
    assert!(
        store.dirty.bytes() < 100_000 && held.bytes_current < 100_000,
        "{held:?}"
    );
}
