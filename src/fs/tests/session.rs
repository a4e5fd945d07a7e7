//! Write sessions: what open files do to attributes, and when it becomes a version.

use super::{World, alice, bob, close, name, person, refused, writing};
use crate::core::{Caller, Kind, MountId, TenantId, Time};
use crate::fs::transient::Birth;
use crate::fs::{Access, Allocate, Event, OpenFlags, SetAttr, SetTime};
use crate::meta::cache::Place;
use crate::meta::{Node, OpKind, log};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// open(2): O_TRUNC truncates whatever the access mode is.
#[test]
fn a_file_truncated_through_a_handle_that_only_reads_stays_truncated() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let flags = OpenFlags {
        truncate: true,
        ..OpenFlags::new(Access::Read)
    };
    let handle = w.engine().open(&alice(), ino, flags).unwrap();
    close(&w, &alice(), handle);
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"");
    w.assert_sound();
}

/// RELEASE comes when the kernel finds the time for it.
#[test]
fn a_late_release_of_one_descriptor_does_not_end_the_session_of_another() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let e = w.engine();
    let version = || e.getattr(&alice(), ino).unwrap().version;
    let open = || {
        e.open(&alice(), ino, OpenFlags::new(Access::Write))
            .unwrap()
    };
    let (late, other) = (open(), open());
    e.write(&alice(), late, 0, b"5").unwrap();
    e.flush(&alice(), late).unwrap();
    let before = version();
    e.write(&alice(), other, 1, b"6").unwrap();
    e.release(&alice(), late).unwrap();
    assert_eq!((version(), e.pending_files()), (before, 1));
    e.release(&alice(), other).unwrap();
    assert_eq!((version(), e.pending_files()), (before + 1, 0));
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"5634");
    w.assert_sound();
}

#[test]
fn closing_a_file_does_not_change_the_times_that_stat_showed() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let e = w.engine();
    let handle = e
        .open(&alice(), ino, OpenFlags::new(Access::Write))
        .unwrap();
    e.write(&alice(), handle, 0, b"5").unwrap();
    let open = e.getattr(&alice(), ino).unwrap();
    close(&w, &alice(), handle);
    let closed = e.getattr(&alice(), ino).unwrap();
    assert_eq!((open.mtime, open.ctime), (closed.mtime, closed.ctime));
    w.assert_sound();
}

/// write(2), truncate(2): an unprivileged change of content takes the set-user-ID bit.
#[test]
fn every_change_of_content_takes_the_set_id_bits() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let set = SetAttr {
        mode: Some(0o4755),
        ..SetAttr::default()
    };
    let cut = SetAttr {
        size: Some(2),
        ..SetAttr::default()
    };
    let handle = e
        .open(&alice(), ino, OpenFlags::new(Access::ReadWrite))
        .unwrap();
    let mode = || e.getattr(&alice(), ino).unwrap().mode;
    let changes: [&dyn Fn(); 4] = [
        &|| e.write(&alice(), handle, 0, b"x").map(drop).unwrap(),
        &|| e.setattr(&alice(), ino, &cut, None).map(drop).unwrap(),
        &|| {
            e.setattr(&alice(), ino, &cut, Some(handle))
                .map(drop)
                .unwrap();
        },
        &|| e.allocate(&alice(), handle, 0, 2, Allocate::Zero).unwrap(),
    ];
    for change in changes {
        e.setattr(&alice(), ino, &set, None).unwrap();
        assert_eq!(mode(), 0o4755);
        change();
        assert_eq!(mode(), 0o755);
    }
    e.setattr(&alice(), ino, &set, None).unwrap();
    let root = person("root", 0);
    let by_root = e.open(&root, ino, OpenFlags::new(Access::Write)).unwrap();
    e.write(&root, by_root, 0, b"y").unwrap();
    assert_eq!(mode(), 0o4755);
    close(&w, &root, by_root);
    close(&w, &alice(), handle);
    w.assert_sound();
}

/// A page of a memory map comes back through any handle that writes, also one that appends.
#[test]
fn a_page_written_back_goes_where_it_belongs() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let flags = OpenFlags {
        append: true,
        ..OpenFlags::new(Access::ReadWrite)
    };
    let handle = e.open(&alice(), ino, flags).unwrap();
    e.write_page(handle, 1, b"xx").unwrap();
    e.write(&alice(), handle, 0, b"5").unwrap();
    close(&w, &alice(), handle);
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"1xx45");
}

/// semantics.md §5: "When a system call or API call has returned, everybody sees its effect"
#[test]
fn other_mounts_are_told_of_a_write_before_the_file_is_closed() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let tenant = alice().tenant.unwrap();
    let (own, other) = (MountId(1), MountId(2));
    let [own_told, told] = [own, other].map(|m| e.events().subscribe(tenant, m, Arc::default()));
    let here = Caller {
        mount: Some(own),
        ..alice()
    };
    let handle = e.open(&here, ino, OpenFlags::new(Access::Write)).unwrap();
    let (tell, written) = channel();
    std::thread::scope(|s| {
        let here = &here;
        s.spawn(move || tell.send(e.write(here, handle, 0, b"5")).unwrap());
        let notice = told.recv().unwrap();
        assert_eq!(notice.events, [Event::Data(ino)]);
        // Whoever wrote waits until the other one knows, however long that takes.
        let patience = Duration::from_millis(500);
        assert!(written.recv_timeout(patience).is_err());
        drop(notice);
        written.recv().unwrap().unwrap();
    });
    assert!(own_told.try_recv().is_err());
    drop(told);
    close(&w, &here, handle);
}

#[test]
fn a_handle_that_reads_does_not_write_pages() {
    let w = World::new();
    let (node, handle) = w
        .engine()
        .create(&alice(), w.workspace(), &name("f"), 0o600, writing())
        .unwrap();
    close(&w, &alice(), handle);
    let read = w
        .engine()
        .open(&alice(), node.ino, OpenFlags::new(Access::Read))
        .unwrap();
    let refused = w.engine().write_page(read, 0, b"x").unwrap_err();
    assert_eq!(refused.kind(), Kind::BadHandle);
}

/// semantics.md §5: "When `fsync(2)` or an API write has returned, a power cut loses nothing of it."
/// semantics.md §6: "One write session of a file is one version"
#[test]
fn what_was_synced_survives_a_crash_and_is_no_version_before_the_file_is_closed() {
    let mut w = World::new();
    let ino = w.write(&alice(), "/workspace/f", &[b'a'; 10_000]).unwrap();
    let e = w.engine();
    let before = e.head(TenantId(1)).unwrap();
    let flags = OpenFlags::new(Access::Write);
    let handle = e.open(&alice(), ino, flags).unwrap();
    for (at, bytes) in [(3, &b"one"[..]), (9_998, b"grown"), (5, b"TWO")] {
        e.write(&alice(), handle, at, bytes).unwrap();
        e.fsync(&alice(), handle).unwrap();
    }
    e.write(&alice(), handle, 0, b"not synced").unwrap();
    assert_eq!(e.head(TenantId(1)).unwrap(), before, "no version yet");
    w.crash();
    let mut expected = vec![b'a'; 10_003];
    expected[3..8].copy_from_slice(b"onTWO");
    expected[9_998..].copy_from_slice(b"grown");
    assert!(w.read(&alice(), "/workspace/f").unwrap() == expected);
    let e = w.engine();
    assert_eq!(e.getattr(&alice(), ino).unwrap().version, 2);
    let records = log::after(&mut *e.store().read().unwrap(), TenantId(1), before, 9).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0.author.user.as_deref(), Some("alice"));
    w.assert_sound();
    // Once is enough.
    w.crash();
    assert_eq!(w.engine().getattr(&alice(), ino).unwrap().version, 2);
}

#[test]
fn a_closed_file_is_what_it_was_when_closed_whatever_was_synced_before() {
    let mut w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234567").unwrap();
    let e = w.engine();
    let flags = OpenFlags::new(Access::Write);
    let handle = e.open(&alice(), ino, flags).unwrap();
    e.write(&alice(), handle, 0, b"abc").unwrap();
    e.fsync(&alice(), handle).unwrap();
    let cut = SetAttr {
        size: Some(2),
        ..SetAttr::default()
    };
    e.setattr(&alice(), ino, &cut, Some(handle)).unwrap();
    close(&w, &alice(), handle);
    w.crash();
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"ab");
    assert_eq!(w.engine().getattr(&alice(), ino).unwrap().version, 2);
    w.assert_sound();
}

#[test]
fn a_file_unlinked_after_a_sync_leaves_nothing() {
    let mut w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234567").unwrap();
    let e = w.engine();
    let flags = OpenFlags::new(Access::Write);
    let handle = e.open(&alice(), ino, flags).unwrap();
    e.write(&alice(), handle, 0, b"abc").unwrap();
    e.fsync(&alice(), handle).unwrap();
    e.unlink(&alice(), w.workspace(), &name("f")).unwrap();
    w.crash();
    refused(w.read(&alice(), "/workspace/f"), Kind::NotFound);
    let drafts = "SELECT COUNT(*) FROM drafts";
    let mut tx = w.engine().store().read().unwrap();
    assert_eq!(tx.query(drafts, &[]).unwrap()[0].int(0).unwrap(), 0);
    drop(tx);
    w.assert_sound();
}

/// semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
#[test]
fn a_close_that_fails_after_a_sync_keeps_what_was_synced_and_is_tried_again() {
    let mut w = World::new();
    let mut expected = vec![b'a'; 100_000];
    let ino = w.write(&alice(), "/workspace/f", &expected).unwrap();
    let e = w.engine();
    let flags = OpenFlags::new(Access::Write);
    let handle = e.open(&alice(), ino, flags).unwrap();
    e.write(&alice(), handle, 3, b"synced").unwrap();
    e.fsync(&alice(), handle).unwrap();
    expected[3..9].copy_from_slice(b"synced");
    // A version of this size is a file of its own, and there is no room for one.
    let room = w.dir.path().join("cas/tmp");
    let aside = w.dir.path().join("aside");
    std::fs::rename(&room, &aside).unwrap();
    assert!(e.flush(&alice(), handle).is_err());
    assert!(e.release(&alice(), handle).is_err());
    let state = || {
        let version = e.getattr(&alice(), ino).unwrap().version;
        (version, e.pending_files(), e.open_handles())
    };
    for _ in 0..2 {
        assert_eq!(state(), (1, 1, 0));
        assert!(w.read(&alice(), "/workspace/f").unwrap() == expected);
        e.housekeep().unwrap();
    }
    std::fs::rename(aside, room).unwrap();
    // What was in vain is tried again more and more seldom, and at every 64th round at least.
    let tried = (0..64).position(|_| {
        e.housekeep().unwrap();
        e.pending_files() == 0
    });
    assert!(tried.is_some());
    assert_eq!(state(), (2, 0, 0));
    w.crash();
    assert!(w.read(&alice(), "/workspace/f").unwrap() == expected);
    assert_eq!(w.engine().getattr(&alice(), ino).unwrap().version, 2);
    w.assert_sound();
}

#[test]
fn a_file_is_recovered_as_it_was_before_the_first_damage_to_what_was_synced() {
    let mut w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234567").unwrap();
    let e = w.engine();
    let flags = OpenFlags::new(Access::Write);
    let handle = e.open(&alice(), ino, flags).unwrap();
    for (at, bytes) in [(0, b"a"), (1, b"b"), (2, b"c")] {
        e.write(&alice(), handle, at, bytes).unwrap();
        e.fsync(&alice(), handle).unwrap();
    }
    let second = "UPDATE drafts SET sum = sum - 1 WHERE id = (SELECT id FROM drafts ORDER BY id LIMIT 1 OFFSET 1)";
    let mut tx = e.store().begin().unwrap();
    assert_eq!(tx.execute(second, &[]).unwrap(), 1);
    tx.commit().unwrap();
    w.crash();
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"a234567");
    let drafts = "SELECT COUNT(*) FROM drafts";
    w.crash();
    let mut tx = w.engine().store().read().unwrap();
    // They are kept for whoever can read more of them, and told.
    assert_eq!(tx.query(drafts, &[]).unwrap()[0].int(0).unwrap(), 2);
    drop(tx);
    let told = w
        .engine()
        .verify(&Caller::engine(TenantId(1)), &mut |_| Ok(()));
    let told = told.unwrap().problems;
    let of_it = |p: &String| p.contains(&format!("node {ino}")) && p.contains("table drafts");
    assert!(told.len() == 2 && told.iter().all(of_it), "{told:?}");
}

#[test]
fn an_access_time_that_was_set_is_not_lost_to_a_read_before_it() {
    let mut w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    w.read(&alice(), "/workspace/f").unwrap();
    let set = SetAttr {
        atime: Some(SetTime::At(Time(7))),
        ..SetAttr::default()
    };
    w.engine().setattr(&alice(), ino, &set, None).unwrap();
    w.engine().housekeep().unwrap();
    w.crash();
    let node = w.engine().getattr(&alice(), ino).unwrap();
    assert_eq!(node.atime, Time(7));
}

/// utimensat(2): what was made in a directory before does not count after.
#[test]
fn times_set_on_a_directory_hold_while_a_file_in_it_is_being_made() {
    let w = World::new();
    let e = w.engine();
    let dir = e
        .mkdir(&alice(), w.workspace(), &name("d"), 0o700)
        .unwrap()
        .ino;
    let made = e.create(&alice(), dir, &name("f"), 0o600, writing());
    let at = SetTime::At(Time(0));
    let set = SetAttr {
        atime: Some(at),
        mtime: Some(at),
        ..SetAttr::default()
    };
    assert_eq!(e.setattr(&alice(), dir, &set, None).unwrap().mtime, Time(0));
    close(&w, &alice(), made.unwrap().1);
    assert_eq!(e.getattr(&alice(), dir).unwrap().mtime, Time(0));
    w.assert_sound();
}

/// semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
#[test]
fn a_file_whose_synced_bytes_are_gone_takes_nothing_else_with_it() {
    let mut w = World::new();
    w.engine().store().harden().unwrap();
    let dir = w.dir.path().to_owned();
    let database = ["nexus.db", "nexus.db-wal"].map(|n| (dir.join(n), dir.join("aside").join(n)));
    std::fs::create_dir(dir.join("aside")).unwrap();
    for (there, aside) in &database {
        std::fs::copy(there, aside).unwrap();
    }
    let e = w.engine();
    let large = vec![b'a'; 100_000];
    w.write(&alice(), "/workspace/large", &large).unwrap();
    e.mkdir(&alice(), w.workspace(), &name("after"), 0o700)
        .unwrap();
    e.store().sync().unwrap();
    // Only the journal has it, and the file below is gone.
    w.crash_after(|| {
        for (there, aside) in &database {
            std::fs::rename(aside, there).unwrap();
        }
        let sha = crate::core::Hash::of(&large).to_string();
        std::fs::remove_file(dir.join("cas").join(&sha[..2]).join(&sha)).unwrap();
    });
    let after = name("after");
    w.engine().lookup(&alice(), w.workspace(), &after).unwrap();
    refused(w.read(&alice(), "/workspace/large"), Kind::Corrupt);
}

#[test]
fn one_file_that_cannot_be_written_down_keeps_none_of_the_others_from_it() {
    let w = World::new();
    let e = w.engine();
    let (dir, open) = (w.workspace(), writing());
    let (first, one) = e.create(&alice(), dir, &name("one"), 0o644, open).unwrap();
    // Its directory is none.
    let lost = Node {
        ino: e.fresh_ino(),
        btime: Time(0),
        ..(*e.node(first.ino).unwrap()).clone()
    };
    let place = Place {
        parent: e.fresh_ino(),
        name: name("lost"),
    };
    let birth = Birth {
        place: Arc::new(place),
        cookie: 1,
        caller: alice(),
    };
    e.transient.insert_unborn(Arc::new(lost), birth);
    let (_, two) = e.create(&alice(), dir, &name("two"), 0o644, open).unwrap();
    e.settle_files().unwrap_err();
    for at in ["one", "two"] {
        let place = Place {
            parent: dir,
            name: name(at),
        };
        assert!(e.store.entry(&place).unwrap().is_some(), "{at}");
    }
    close(&w, &alice(), one);
    close(&w, &alice(), two);
    // Nor the rest of what is done once in a while, nor the end.
    assert!(e.housekeep().is_err() && e.settle().is_err());
    assert!(e.store.progress().waiting == 0);
    w.assert_sound();
}

#[test]
fn who_writes_before_he_is_told_of_another_content_writes_to_that() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let handle = e
        .open(&alice(), ino, OpenFlags::new(Access::ReadWrite))
        .unwrap();
    // As a revision has it that has not come to telling open files.
    let sealed = e.blobs().seal_bytes(b"567890").unwrap();
    e.change(&alice(), |ch| {
        ch.new_version(ino, &sealed, Time(0), OpKind::Write)
    })
    .unwrap();
    e.write(&alice(), handle, 0, b"x").unwrap();
    close(&w, &alice(), handle);
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"x67890");
    w.assert_sound();
}

#[test]
fn a_version_has_the_name_of_who_wrote_last_though_both_wrote_through_one_process() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"1234").unwrap();
    let open = SetAttr {
        mode: Some(0o666),
        ..SetAttr::default()
    };
    e.setattr(&alice(), ino, &open, None).unwrap();
    let flags = OpenFlags::new(Access::Write);
    let [first, second] = [alice(), bob()].map(|who| {
        let handle = e.open(&who, ino, flags).unwrap();
        e.write(&who, handle, 0, b"x").unwrap();
        handle
    });
    let before = e.head(TenantId(1)).unwrap();
    close(&w, &bob(), second);
    close(&w, &alice(), first);
    let records = log::after(&mut *e.store().read().unwrap(), TenantId(1), before, 9).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0.author.user.as_deref(), Some("bob"));
}
