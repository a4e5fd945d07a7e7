//! What becomes of bytes, and what it costs.

use super::*;
use crate::fs::{Allocate, RenameMode};

/// semantics.md §7: "A copy inside Nexus shares bytes"
#[test]
fn a_copy_inside_stores_nothing_new() {
    let w = World::new();
    let bytes: Vec<u8> = (0..750_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let from = w.write(&alice(), "/workspace/a", &bytes).unwrap();
    let stored = w
        .engine()
        .df(&Caller::engine(TenantId(1)))
        .unwrap()
        .stored_bytes;
    let e = w.engine();
    let h = e
        .open(&alice(), from, OpenFlags::new(Access::Read))
        .unwrap();
    let (_, t) = e
        .create(&alice(), w.workspace(), &name("b"), 0o600, writing())
        .unwrap();
    assert_eq!(
        e.copy_range(&alice(), (h, 0), (t, 0), 1 << 40).unwrap(),
        3_000_000
    );
    close(&w, &alice(), t);
    close(&w, &alice(), h);
    assert!(w.read(&alice(), "/workspace/b").unwrap() == bytes);
    assert_eq!(
        w.engine()
            .df(&Caller::engine(TenantId(1)))
            .unwrap()
            .stored_bytes,
        stored
    );
    w.assert_sound();
}

#[test]
fn holes_are_found_and_made() {
    let w = World::new();
    let ino = w
        .write(&alice(), "/workspace/f", &vec![1; 2 << 20])
        .unwrap();
    let e = w.engine();
    let h = e
        .open(&alice(), ino, OpenFlags::new(Access::ReadWrite))
        .unwrap();
    e.allocate(&alice(), h, 1 << 20, 512 << 10, Allocate::Punch)
        .unwrap();
    assert_eq!(e.seek_hole(h, 0).unwrap(), 1 << 20);
    assert_eq!(e.seek_data(h, 1 << 20).unwrap(), (1 << 20) + (512 << 10));
    refused(e.seek_data(h, 2 << 20), Kind::Range);
    close(&w, &alice(), h);
    assert_eq!(
        w.read(&alice(), "/workspace/f").unwrap()[(1 << 20) - 1..=1 << 20],
        [1, 0]
    );
    w.assert_sound();
}

#[test]
fn a_copy_of_a_range_keeps_its_holes() {
    const HOLE: u64 = 1 << 40;
    let w = World::new();
    let e = w.engine();
    let made = |n| e.create(&alice(), w.workspace(), &name(n), 0o600, writing());
    let ((_, from), (node, to)) = (made("from").unwrap(), made("to").unwrap());
    // What is being written is copied, and not shared.
    e.write(&alice(), from, 0, b"head").unwrap();
    e.write(&alice(), from, HOLE, b"tail").unwrap();
    e.write(&alice(), to, 0, &vec![7; 4 << 20]).unwrap();
    let copied = e.copy_range(&alice(), (from, 0), (to, 1), u64::MAX);
    assert_eq!(copied.unwrap(), HOLE + 4);
    assert_eq!(e.read(to, 0, 6).unwrap(), b"\x07head\0"[..]);
    assert_eq!(e.read(to, HOLE, 9).unwrap(), b"\0tail"[..]);
    let data = e.seek_data(to, 2 << 20).unwrap();
    assert!(data > HOLE - (2 << 20), "{data}");
    // To the end of a hole, too.
    e.allocate(&alice(), from, HOLE, 4, Allocate::Punch)
        .unwrap();
    let copied = e.copy_range(&alice(), (from, HOLE - 9), (to, HOLE - 8), 99);
    assert_eq!(copied.unwrap(), 13);
    refused(e.seek_data(to, 2 << 20), Kind::Range);
    close(&w, &alice(), from);
    close(&w, &alice(), to);
    let node = e.getattr(&alice(), node.ino).unwrap();
    assert_eq!(node.size, HOLE + 5);
    assert!(node.content.held() < 4 << 20, "{}", node.content.held());
    w.assert_sound();
}

#[test]
fn hard_links_share_bytes_and_are_counted() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"one").unwrap();
    let (e, ws) = (w.engine(), w.workspace());
    assert_eq!(e.link(&alice(), ino, ws, &name("g")).unwrap().nlink, 2);
    refused(e.link(&alice(), ws, ws, &name("h")), Kind::NotPermitted);
    w.write(&alice(), "/workspace/g", b"two").unwrap();
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"two");
    e.unlink(&alice(), ws, &name("f")).unwrap();
    assert_eq!(w.read(&alice(), "/workspace/g").unwrap(), b"two");
    w.assert_sound();
}

#[test]
fn creating_writing_and_closing_a_small_file_is_one_record_and_no_sync() {
    let w = World::new();
    let before = w.engine().store().progress();
    w.write(&alice(), "/workspace/small", &[7; 4096]).unwrap();
    let after = w.engine().store().progress();
    assert_eq!(after.records - before.records, 1);
    assert_eq!(after.syncs, before.syncs);
}

#[test]
fn what_is_known_is_not_asked_again() {
    let w = World::new();
    let (e, ws) = (w.engine(), w.workspace());
    w.write(&alice(), "/workspace/f", b"x").unwrap();
    let look = || {
        let node = e.lookup(&alice(), ws, &name("f")).unwrap();
        e.getattr(&alice(), node.ino).unwrap();
        refused(e.lookup(&alice(), ws, &name("absent")), Kind::NotFound);
        assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"x");
    };
    // The bytes may have gone to the database by now, and are read from there once.
    look();
    let before = e.store().counters().reads;
    (0..10).for_each(|_| look());
    // All names of a directory made in this run are known.
    assert_eq!(e.store().counters().reads - before, 0);
    e.rename(
        &alice(),
        (ws, &name("f")),
        (ws, &name("g")),
        RenameMode::Replace,
    )
    .unwrap();
    let before = e.store().counters().reads;
    w.write(&alice(), "/workspace/small", &[7; 4096]).unwrap();
    assert_eq!(e.store().counters().reads - before, 0);
}

/// semantics.md §7: "no hash of one with more than 16 GiB of holes"
#[test]
fn a_file_of_holes_has_no_hash() {
    let w = World::new();
    let e = w.engine();
    let (node, h) = e
        .create(&alice(), w.workspace(), &name("f"), 0o600, writing())
        .unwrap();
    e.write(&alice(), h, 17 << 30, b"end").unwrap();
    close(&w, &alice(), h);
    let told = |name: &[u8]| e.getxattr(&alice(), node.ino, name);
    refused(told(b"user.nexus.hash"), Kind::TooLarge);
    assert_eq!(told(b"user.nexus.version").unwrap(), b"1");
    assert!(told(b"user.nexus.op").is_ok());
}

/// semantics.md §7: "they are not listed, so that copying tools leave them alone."
/// listxattr(2) tells 64 KiB of names: a file with more could be copied by nobody.
#[test]
fn attributes_have_no_more_names_than_one_listing_tells() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"").unwrap();
    let e = w.engine();
    let set = |n: usize| {
        let name = format!("user.{n:0240}");
        e.setxattr(&alice(), ino, name.as_bytes(), b"", SetMode::Any)
    };
    let full = (0..1000).find(|n| set(*n).is_err()).unwrap();
    refused(set(full), Kind::NoSpace);
    set(0).unwrap();
    let listed = || -> usize {
        let all = e.listxattr(&alice(), ino).unwrap();
        all.iter().map(|name| name.len() + 1).sum()
    };
    // As many as there is room for, and room for the names of lists.
    assert_eq!(full, (65_536 - 64) / 246);
    assert!(listed() <= 65_536 - 64);
    let name = format!("user.{:0240}", 7);
    e.removexattr(&alice(), ino, name.as_bytes()).unwrap();
    set(full).unwrap();
}

#[test]
fn attributes_keep_bytes_and_refuse_what_xattr_7_refuses() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"x").unwrap();
    let e = w.engine();
    e.setxattr(&alice(), ino, b"user.k", b"\0\xff", SetMode::Create)
        .unwrap();
    refused(
        e.setxattr(&alice(), ino, b"user.k", b"", SetMode::Create),
        Kind::Exists,
    );
    refused(
        e.setxattr(&alice(), ino, b"user.n", b"", SetMode::Replace),
        Kind::NoAttribute,
    );
    refused(
        e.setxattr(&alice(), ino, b"trusted.k", b"", SetMode::Any),
        Kind::NotPermitted,
    );
    refused(
        e.setxattr(&alice(), ino, b"user.nexus.hash", b"", SetMode::Any),
        Kind::NotPermitted,
    );
    assert_eq!(e.getxattr(&alice(), ino, b"user.k").unwrap(), b"\0\xff");
    assert_eq!(e.listxattr(&alice(), ino).unwrap(), [b"user.k".to_vec()]);
    let hash = crate::core::Hash::of(b"x").to_string();
    assert_eq!(
        e.getxattr(&alice(), ino, b"user.nexus.hash").unwrap(),
        hash.as_bytes()
    );
    // ENOTSUP, so that `ls -l` asks once a filesystem and not once a file; what root has set is there all the same.
    let label = b"security.selinux";
    refused(e.getxattr(&alice(), ino, label), Kind::Unsupported);
    let root = person("root", 0);
    e.setxattr(&root, ino, label, b"l", SetMode::Any).unwrap();
    assert_eq!(e.getxattr(&alice(), ino, label).unwrap(), b"l");
    e.removexattr(&root, ino, label).unwrap();
    e.removexattr(&alice(), ino, b"user.k").unwrap();
    refused(e.getxattr(&alice(), ino, b"user.k"), Kind::NoAttribute);
    w.assert_sound();
}
