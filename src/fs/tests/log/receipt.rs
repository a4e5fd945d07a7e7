//! Receipts against whoever can write to the database, and what `verify` looks at.

use crate::core::Op;
use crate::db::Param;
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::*;
use crate::fs::{Keep, Receipt, RenameMode};
use crate::meta::log::{self, append};
use crate::meta::tenant::{Head, set_head};

fn busy() -> (World, Receipt) {
    let w = World::new();
    w.write(&alice(), "/workspace/a", b"1").unwrap();
    w.write(&alice(), "/workspace/a", b"22").unwrap();
    let receipt = w.engine().receipt(&alice()).unwrap();
    w.write(&alice(), "/workspace/b", b"3").unwrap();
    (w, receipt)
}

/// What is wrong by a receipt.
fn problems(w: &World, receipt: &Receipt) -> Vec<String> {
    let found = w
        .engine()
        .verify_receipts(&boss(), std::slice::from_ref(receipt));
    found.unwrap().problems
}

fn execute(w: &World, sql: &str, params: &[Param<'_>]) {
    let mut tx = w.engine().store().begin().unwrap();
    assert_ne!(tx.execute(sql, params).unwrap(), 0);
    tx.commit().unwrap();
}

/// semantics.md §6: "A receipt of the log's end shows later whether anything up to it was cut off or rewritten."
#[test]
fn a_receipt_holds_while_the_log_grows_and_not_when_its_end_is_cut() {
    let (mut w, receipt) = busy();
    assert_eq!(problems(&w, &receipt), Vec::<String>::new());
    w.crash();
    assert_eq!(problems(&w, &receipt), Vec::<String>::new());
    let e = w.engine();
    refused(e.verify_receipts(&alice(), &[]), Kind::NotPermitted);
    let last = Op(receipt.op.0 - 1);
    let mut tx = e.store().begin().unwrap();
    let (record, hash) = log::after(&mut *tx, TENANT, Op(last.0 - 1), 1)
        .unwrap()
        .remove(0);
    tx.execute("DELETE FROM log WHERE op > $1", &[last.into()])
        .unwrap();
    let head = Head {
        op: last,
        hash,
        state: record.state,
    };
    set_head(&mut *tx, TENANT, &head).unwrap();
    tx.commit().unwrap();
    let cut = format!("operations {0} to {0} were cut off", receipt.op);
    let found = problems(&w, &receipt);
    assert!(found.iter().any(|p| p.contains(&cut)), "{found:?}");
}

/// A rewritten log whose hashes were made anew proves itself, and no receipt.
#[test]
fn a_log_that_was_rewritten_is_not_the_one_of_a_receipt() {
    let (w, receipt) = busy();
    let mut tx = w.engine().store().begin().unwrap();
    let all = log::after(&mut *tx, TENANT, Op(0), 1000).unwrap();
    tx.execute("DELETE FROM log", &[]).unwrap();
    let mut head = Head::default();
    for (mut record, _) in all {
        if record.op.0 == receipt.op.0 - 1 {
            record.author.user = Some("mallory".to_owned());
        }
        head = Head {
            op: record.op,
            hash: record.chain(&head.hash),
            state: record.state,
        };
        append(&mut *tx, &record, &head.hash).unwrap();
    }
    set_head(&mut *tx, TENANT, &head).unwrap();
    tx.commit().unwrap();
    w.assert_sound();
    let found = problems(&w, &receipt);
    let wanted = format!("operation {} is not the one of the receipt", receipt.op);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(&wanted), "{found:?}");
}

/// semantics.md §6: "A receipt of the log's end shows later whether anything up to it was cut off or rewritten."
#[test]
fn what_breaks_before_a_receipt_is_named_once_however_many_receipts_there_are() {
    let (w, receipt) = busy();
    let later = w.engine().receipt(&alice()).unwrap();
    let before = Op(receipt.op.0 - 1);
    let sql = "UPDATE log SET comm = 'rm' WHERE op = $1";
    execute(&w, sql, &[before.into()]);
    let found = w.engine().verify_receipts(&boss(), &[receipt, later]);
    let found = found.unwrap().problems;
    assert_eq!(found.len(), 1, "{found:?}");
    let wanted = format!("operation {before} was altered");
    assert!(found[0].contains(&wanted), "{found:?}");
}

#[test]
fn what_breaks_behind_a_receipt_is_named() {
    let (w, receipt) = busy();
    let later = Op(receipt.op.0 + 1);
    let sql = "UPDATE log SET comm = 'rm' WHERE op = $1";
    execute(&w, sql, &[later.into()]);
    let found = problems(&w, &receipt);
    let wanted = format!("operation {later} was altered");
    assert!(found[0].contains(&wanted), "{found:?}");
    for id in [None, Some(TenantId(7))] {
        let other = Receipt {
            tenant: "other".to_owned(),
            id,
            ..receipt.clone()
        };
        assert!(problems(&w, &other)[0].contains("no tenant other"));
    }
}

#[test]
fn every_table_of_the_past_is_looked_at() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/a", b"1").unwrap();
    e.setxattr(&alice(), ino, b"user.k", b"v", SetMode::Any)
        .unwrap();
    e.removexattr(&alice(), ino, b"user.k").unwrap();
    w.write(&alice(), "/workspace/a", b"22").unwrap();
    let workspace = w.workspace();
    let to = (workspace, &name("b"));
    e.rename(&alice(), (workspace, &name("a")), to, RenameMode::Replace)
        .unwrap();
    w.assert_sound();
    for (break_it, mend_it) in [
        (
            "entries_past SET ino = ino + 1",
            "entries_past SET ino = ino - 1",
        ),
        (
            "xattrs_past SET value = 'w'",
            "xattrs_past SET value = X'76'",
        ),
        (
            "nodes_past SET mode = mode + 1",
            "nodes_past SET mode = mode - 1",
        ),
    ] {
        execute(&w, &format!("UPDATE {break_it}"), &[]);
        let found = e.verify(&boss(), &mut |_| Ok(())).unwrap().problems;
        assert!(
            found.iter().any(|p| p.contains("in the past")),
            "{break_it}: {found:?}"
        );
        execute(&w, &format!("UPDATE {mend_it}"), &[]);
        w.assert_sound();
    }
}

#[test]
fn a_receipt_outlives_what_is_forgotten_and_a_horizon_that_somebody_moved_is_found() {
    let (w, receipt) = busy();
    let e = w.engine();
    let keep = Keep {
        since: e.clock().now(),
        snapshots: false,
    };
    let done = e.forget(&boss(), keep, false).unwrap();
    assert!(done.tenants[0].rows > 0);
    w.assert_sound();
    assert_eq!(problems(&w, &receipt), Vec::<String>::new());
    for column in ["horizon", "forgot"] {
        execute(
            &w,
            &format!("UPDATE tenants SET {column} = {column} - 1"),
            &[],
        );
        let found = e.verify(&boss(), &mut |_| Ok(())).unwrap().problems;
        for found in [found, problems(&w, &receipt)] {
            assert!(
                found
                    .iter()
                    .any(|p| p.contains("its horizon is not the one")),
                "{column}: {found:?}"
            );
        }
        execute(
            &w,
            &format!("UPDATE tenants SET {column} = {column} + 1"),
            &[],
        );
    }
    w.assert_sound();
}

#[test]
fn a_receipt_of_a_deleted_tenant_is_not_one_of_the_next_of_its_name() {
    let w = World::new();
    let e = w.engine();
    let old = e.create_tenant(&boss(), "acme").unwrap().id;
    let receipt = e.receipt(&Caller::engine(old)).unwrap();
    assert_eq!((&*receipt.tenant, receipt.id), ("acme", Some(old)));
    // Receipts of before had names alone.
    let unnumbered = Receipt {
        id: None,
        ..receipt.clone()
    };
    assert_eq!(problems(&w, &receipt), Vec::<String>::new());
    assert_eq!(problems(&w, &unnumbered), Vec::<String>::new());
    e.delete_tenant(&boss(), "acme").unwrap();
    let deleted = format!("tenant acme (number {}) was deleted", old.0);
    for receipt in [&receipt, &unnumbered] {
        let found = problems(&w, receipt);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&deleted), "{found:?}");
    }
    let new = e.create_tenant(&boss(), "acme").unwrap().id;
    let another = format!("another tenant (number {})", new.0);
    for receipt in [&receipt, &unnumbered] {
        let found = problems(&w, receipt);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(&deleted) && found[0].contains(&another),
            "{found:?}"
        );
    }
    let now = e.receipt(&Caller::engine(new)).unwrap();
    for id in [None, Some(new)] {
        assert_eq!(
            problems(&w, &Receipt { id, ..now.clone() }),
            Vec::<String>::new()
        );
    }
}
