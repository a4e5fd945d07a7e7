//! The log and the past that every change leaves.

use super::*;
use crate::core::Op;
use crate::fs::{RenameMode, SetAttr};
use crate::meta::{OpKind, Record, log};

fn records(w: &World) -> Vec<Record> {
    let mut tx = w.engine().store().read().unwrap();
    log::after(&mut *tx, TenantId(1), Op(1), 1000)
        .unwrap()
        .into_iter()
        .map(|(r, _)| r)
        .collect()
}

fn count(w: &World, sql: &str) -> i64 {
    w.engine().store().read().unwrap().query(sql, &[]).unwrap()[0]
        .int(0)
        .unwrap()
}

/// semantics.md §6: "Every change by any process through any door is one operation"
#[test]
fn every_change_is_one_record_with_a_name_on_it() {
    let w = World::new();
    let (e, ws) = (w.engine(), w.workspace());
    let ino = w.write(&alice(), "/workspace/f", b"1").unwrap();
    w.write(&bob_the_agent(), "/workspace/f", b"22")
        .unwrap_err();
    w.write(&alice(), "/workspace/f", b"22").unwrap();
    e.setattr(
        &alice(),
        ino,
        &SetAttr {
            mode: Some(0o600),
            ..SetAttr::default()
        },
        None,
    )
    .unwrap();
    e.rename(
        &alice(),
        (ws, &name("f")),
        (ws, &name("g")),
        RenameMode::Replace,
    )
    .unwrap();
    e.unlink(&alice(), ws, &name("g")).unwrap();
    let log = records(&w);
    let kinds: Vec<_> = log.iter().map(|r| r.kind).collect();
    assert_eq!(
        kinds,
        [
            OpKind::Create,
            OpKind::Write,
            OpKind::Chmod,
            OpKind::Rename,
            OpKind::Unlink
        ]
    );
    assert!(log.iter().all(|r| r.author.user.as_deref() == Some("alice")
        && r.author.uid == 1001
        && r.author.comm == "test"));
    assert_eq!(log[3].path2.as_deref(), Some(&b"/workspace/g"[..]));
    w.assert_sound();
}

fn bob_the_agent() -> Caller {
    Caller {
        agent: Some("agent1".into()),
        ..bob()
    }
}

/// semantics.md §6: "replaced versions, removed names and changed attributes stay in the past tables."
#[test]
fn the_past_keeps_every_version_and_name() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"one").unwrap();
    w.write(&alice(), "/workspace/f", b"two").unwrap();
    w.engine()
        .unlink(&alice(), w.workspace(), &name("f"))
        .unwrap();
    assert_eq!(count(&w, "SELECT COUNT(*) FROM nodes_past"), 2);
    assert_eq!(count(&w, "SELECT COUNT(*) FROM entries_past"), 1);
    assert_eq!(count(&w, "SELECT COUNT(*) FROM blobs"), 2);
    refused(w.engine().getattr(&alice(), ino), Kind::NotFound);
    w.assert_sound();
}

/// semantics.md §6: "What is refused leaves no record."
#[test]
fn a_refused_change_leaves_no_record() {
    let w = World::new();
    let before = records(&w).len();
    refused(
        w.engine()
            .mkdir(&bob(), w.engine().root(&bob()).unwrap(), &name("x"), 0o755),
        Kind::Denied,
    );
    refused(
        w.engine().rmdir(&alice(), w.workspace(), &name("absent")),
        Kind::NotFound,
    );
    assert_eq!(records(&w).len(), before);
}

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
/// semantics.md §5: "damage is EIO, never wrong bytes."
#[test]
fn an_altered_row_record_or_name_is_found() {
    for (sql, wanted) in [
        (
            "UPDATE log SET comm = 'innocent' WHERE op = 2",
            "operation 2 was altered",
        ),
        (
            "DELETE FROM log WHERE op = 2",
            "operations 2 to 2 are missing",
        ),
        ("UPDATE nodes SET mode = 511 WHERE kind = 1", "is damaged"),
        (
            "DELETE FROM entries WHERE name = CAST('f' AS BLOB)",
            "names instead of",
        ),
        ("UPDATE blobs SET data = CAST('lies' AS BLOB)", ""),
    ] {
        let w = World::new();
        w.write(&alice(), "/workspace/f", b"truth").unwrap();
        w.write(&alice(), "/workspace/g", b"later").unwrap();
        let mut tx = w.engine().store().begin().unwrap();
        assert!(tx.execute(sql, &[]).unwrap() > 0, "{sql}");
        tx.commit().unwrap();
        let report = w
            .engine()
            .verify(&Caller::engine(TenantId(1)), &mut |_| Ok(()))
            .unwrap();
        assert!(
            report.problems.iter().any(|p| p.contains(wanted)),
            "{sql}: {:?}",
            report.problems
        );
        w.engine().drop_caches();
        if sql.starts_with("UPDATE blobs") || sql.starts_with("UPDATE nodes") {
            refused(w.read(&alice(), "/workspace/f"), Kind::Corrupt);
        }
    }
}

#[test]
fn what_nothing_refers_to_is_garbage_and_nothing_else_is() {
    let w = World::new();
    w.write(&alice(), "/workspace/f", b"kept").unwrap();
    w.write(&alice(), "/workspace/f", b"newer").unwrap();
    let mut tx = w.engine().store().begin().unwrap();
    let nobodys = w.engine().blobs().seal_bytes(b"nobody's").unwrap();
    nobodys.rows()[0].store(&mut *tx).unwrap();
    tx.commit().unwrap();
    drop(nobodys);
    let admin = Caller::engine(TenantId(1));
    assert_eq!(w.engine().gc(&admin, false).unwrap().blobs, 1);
    assert_eq!(w.engine().gc(&admin, true).unwrap().bytes, 8);
    assert_eq!(w.engine().gc(&admin, true).unwrap().blobs, 0);
    w.assert_sound();
}
