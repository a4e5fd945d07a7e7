//! Names for moments of directories.

use super::{head, names, world};
use crate::core::{Caller, Kind, Op, Result};
use crate::fs::SetAttr;
use crate::fs::tests::permissions::{closed, give, ino, mkdir, rename, unlink};
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::{World, alice, bob, path, refused};
use crate::history::{At, compare, resolve_when, snapshot};
use crate::meta::OpKind;

fn create(w: &World, who: &Caller, name: &str, at: &str) -> Result<Op> {
    snapshot::create(w.engine(), who, &path(at), (name, None)).map(|s| s.op)
}

fn known(w: &World, who: &Caller) -> Vec<String> {
    let all = w.engine().snapshots(who).unwrap();
    all.iter().map(|s| s.name.clone()).collect()
}

fn chmod(w: &World, who: &Caller, at: &str, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine().setattr(who, ino(w, at), &set, None).unwrap();
}

fn count(w: &World, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let mut tx = w.engine().store().read().unwrap();
    tx.query(&sql, &[]).unwrap()[0].int(0).unwrap()
}

/// semantics.md §6: "A snapshot is a name for a directory at a moment; it costs the same for any tree"
#[test]
fn a_snapshot_is_one_row_and_one_record_whatever_it_is_of() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    for n in 0..300 {
        w.write(&who, &format!("/workspace/d/f{n}"), b"x").unwrap();
    }
    let tables = [
        "nodes",
        "entries",
        "nodes_past",
        "entries_past",
        "blobs",
        "log",
        "snapshots",
    ];
    let before = tables.map(|t| count(&w, t));
    create(&w, &who, "many", "/workspace/d").unwrap();
    let after = tables.map(|t| count(&w, t));
    let grown: Vec<_> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    assert_eq!(grown, [0, 0, 0, 0, 0, 1, 1]);
    w.assert_sound();
}

#[test]
fn a_snapshot_is_found_in_its_directory_and_below_and_above_it() {
    let mut w = world();
    let who = alice();
    for dir in ["d", "d/sub", "other"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    w.write(&who, "/workspace/d/sub/f", b"then").unwrap();
    let op = create(&w, &who, "before-migration", "/workspace/d").unwrap();
    assert_eq!(op, head(&w));
    w.write(&who, "/workspace/d/sub/f", b"now").unwrap();
    for _ in 0..2 {
        for at in [
            "/.at/before-migration/workspace/d/sub/f",
            "/workspace/.at/before-migration/d/sub/f",
            "/workspace/d/.at/before-migration/sub/f",
            "/workspace/d/sub/.at/before-migration/f",
        ] {
            assert_eq!(w.read(&who, at).unwrap(), b"then", "{at}");
        }
        for dir in ["/", "/workspace", "/workspace/d", "/workspace/d/sub"] {
            let at = format!("{}/.at", dir.trim_end_matches('/'));
            assert_eq!(names(&w, &who, &at).unwrap(), ["before-migration"], "{at}");
        }
        let elsewhere = "/workspace/other/.at/before-migration";
        refused(w.engine().resolve(&who, &path(elsewhere)), Kind::NotFound);
        assert_eq!(
            names(&w, &who, "/workspace/other/.at").unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(
            resolve_when(w.engine(), &who, "before-migration")
                .unwrap()
                .op,
            op
        );
        w.crash();
        let view = Box::new(At::of(w.engine()));
        w.engine().set_views(vec![view]);
    }
    // The directory is moved: it is found there, and where it was.
    rename(&w, &who, "/workspace/d", "/workspace/other/d").unwrap();
    assert_eq!(
        w.read(&who, "/workspace/other/d/.at/before-migration/sub/f")
            .unwrap(),
        b"then"
    );
    assert_eq!(
        w.read(&who, "/.at/before-migration/workspace/d/sub/f")
            .unwrap(),
        b"then"
    );
    w.engine()
        .delete_snapshot(&who, "before-migration")
        .unwrap();
    refused(
        resolve_when(w.engine(), &who, "before-migration"),
        Kind::NotFound,
    );
    assert_eq!(known(&w, &who), Vec::<String>::new());
    w.assert_sound();
}

#[test]
fn a_name_is_no_word_for_a_time_and_fits_into_a_path() {
    let w = world();
    let who = alice();
    for bad in [
        "",
        "now",
        "today",
        "op:3",
        "10m-ago",
        "later-ago",
        "2026-11-22",
        "3",
        "a/b",
        ".hidden",
        "-x",
        "a b",
        "a\nb",
        "a:b",
        &"x".repeat(129),
    ] {
        refused(create(&w, &who, bad, "/workspace"), Kind::Invalid);
    }
    for good in [
        "v1",
        "before-migration",
        "2026-11-22_release",
        "größer",
        "a.b+c@d",
        "_",
    ] {
        create(&w, &who, good, "/workspace").unwrap();
    }
    refused(create(&w, &who, "v1", "/workspace"), Kind::Exists);
    w.write(&who, "/workspace/f", b"x").unwrap();
    refused(create(&w, &who, "v2", "/workspace/f"), Kind::NotDirectory);
    refused(create(&w, &who, "v2", "/.at/now"), Kind::Unsupported);
    for (text, fits) in [("a\0b", false), ("a\nb", false), ("größer: 1 & 2", true)] {
        let made = snapshot::create(w.engine(), &who, &path("/workspace"), ("v2", Some(text)));
        assert_eq!(
            made.map(drop).map_err(|e| e.kind()).err(),
            (!fits).then_some(Kind::Invalid)
        );
    }
}

#[test]
fn snapshots_are_seen_by_who_may_see_their_directory_today() {
    let w = world();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    mkdir(&w, &alice, "/workspace/d");
    chmod(&w, &alice, "/workspace/d", 0o700);
    refused(create(&w, &bob, "bobs", "/workspace/d"), Kind::Denied);
    create(&w, &alice, "secret", "/workspace/d").unwrap();
    assert_eq!(known(&w, &alice), ["secret"]);
    assert_eq!(known(&w, &bob), Vec::<String>::new());
    refused(resolve_when(w.engine(), &bob, "secret"), Kind::NotFound);
    closed(w.engine().resolve(&bob, &path("/.at/secret")));
    assert_eq!(names(&w, &bob, "/.at").unwrap(), Vec::<String>::new());
    let id = give(&w, &alice, "/workspace/d", "can_read", "bob");
    assert_eq!(known(&w, &bob), ["secret"]);
    w.engine().revoke(&alice, id).unwrap();
    assert_eq!(known(&w, &bob), Vec::<String>::new());
    // Nor when the directory is gone.
    let at = path("/workspace/d");
    let (dir, name) = w.engine().resolve_parent(&alice, &at).unwrap();
    w.engine().rmdir(&alice, dir, name).unwrap();
    assert_eq!(known(&w, &bob), Vec::<String>::new());
    assert_eq!(known(&w, &alice), ["secret"]);
}

#[test]
fn a_snapshot_is_deleted_by_its_maker_its_owner_or_an_administrator() {
    let w = world();
    let (alice, bob, carol) = (make(&w, "alice"), make(&w, "bob"), make(&w, "carol"));
    mkdir(&w, &alice, "/workspace/d");
    chmod(&w, &alice, "/workspace/d", 0o755);
    for (name, by) in [("a", &alice), ("b", &bob), ("c", &bob), ("d", &bob)] {
        create(&w, by, name, "/workspace/d").unwrap();
    }
    let e = w.engine();
    refused(e.delete_snapshot(&bob, "a"), Kind::NotPermitted);
    refused(e.delete_snapshot(&carol, "b"), Kind::NotPermitted);
    let agent = Caller {
        agent: Some("helper".into()),
        ..bob.clone()
    };
    refused(e.delete_snapshot(&agent, "b"), Kind::NotPermitted);
    e.delete_snapshot(&bob, "b").unwrap();
    e.delete_snapshot(&alice, "c").unwrap();
    e.delete_snapshot(&boss(), "d").unwrap();
    refused(e.delete_snapshot(&bob, "d"), Kind::NotFound);
    assert_eq!(known(&w, &bob), ["a"]);
    let mut tx = e.store().read().unwrap();
    let log = crate::meta::log::after(&mut *tx, crate::core::TenantId(1), Op(0), 1000).unwrap();
    let of = |kind| log.iter().filter(|(r, _)| r.kind == kind).count();
    assert_eq!(of(OpKind::SnapshotCreate), 4);
    assert_eq!(of(OpKind::SnapshotDelete), 3);
    let last = &log.last().unwrap().0;
    assert_eq!(
        (last.note().as_deref(), &*last.path),
        (Some("d"), &b"/workspace/d"[..])
    );
}

#[test]
fn snapshots_of_one_tenant_are_nothing_to_another() {
    let w = world();
    let acme = w.engine().create_tenant(&boss(), "acme").unwrap();
    let stranger = Caller::engine(acme.id);
    create(&w, &alice(), "ours", "/").unwrap();
    assert_eq!(known(&w, &stranger), Vec::<String>::new());
    refused(resolve_when(w.engine(), &stranger, "ours"), Kind::NotFound);
    refused(
        w.engine().delete_snapshot(&stranger, "ours"),
        Kind::NotFound,
    );
    create(&w, &stranger, "ours", "/workspace").unwrap();
    assert_eq!(known(&w, &bob()), ["ours"]);
}

#[test]
fn a_file_that_is_removed_is_in_the_snapshot() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    w.write(&who, "/workspace/d/f", b"kept").unwrap();
    create(&w, &who, "s", "/workspace/d").unwrap();
    unlink(&w, &who, "/workspace/d/f").unwrap();
    let found = w.engine().snapshot(&who, "s").unwrap();
    let told = snapshot::path_of(w.engine(), &who, &found).unwrap();
    assert_eq!(told.unwrap().to_string(), "/workspace/d");
    assert_eq!(w.read(&who, "/workspace/d/.at/s/f").unwrap(), b"kept");
}

#[test]
fn a_snapshot_says_nothing_of_other_directories_than_its_own() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    for dir in ["d", "d/sub", "other"] {
        mkdir(&w, &who, &format!("/workspace/{dir}"));
    }
    let (ws, to) = (w.workspace(), crate::fs::tests::name("link"));
    e.symlink(&who, ws, &to, b"d/sub").unwrap();
    let op = create(&w, &who, "before", "/workspace/d").unwrap();
    let meant = |word: &str, at: &str| snapshot::resolve_when_at(e, &who, word, &path(at));
    for at in [
        "/",
        "/workspace/d",
        "/workspace/d/sub",
        "/workspace/d/not-yet",
        "/workspace/link",
    ] {
        assert_eq!(meant("before", at).unwrap().op, op, "{at}");
    }
    for at in ["/workspace/other", "/workspace/dd", "/shared"] {
        let told = meant("before", at).unwrap_err();
        assert_eq!(told.kind(), Kind::NotFound);
        assert!(told.message().contains("is of another directory"), "{told}");
        let words = (Some("before"), "now");
        refused(compare(e, &who, &path(at), words), Kind::NotFound);
        assert_eq!(meant("now", at).unwrap().op, op);
    }
}
