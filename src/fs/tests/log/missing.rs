//! Rows that somebody deletes from the database, past or present, are missed.

use super::flips::{closed, fill, look, put, random};
use crate::fs::tests::*;

/// Tables of the tree and its past, and what a row of each is known by.
const TABLES: [(&str, &str); 7] = [
    ("nodes", "ino"),
    ("entries", "parent, name"),
    ("xattrs", "ino, name"),
    ("nodes_past", "ino, ended"),
    ("entries_past", "parent, name, ended"),
    ("xattrs_past", "ino, name, ended"),
    ("log", "tenant, op"),
];

/// How many rows of each are deleted, one after the other.
const SOME: u64 = 12;

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
#[test]
fn whatever_row_is_deleted_is_missed() {
    let mut w = World::new();
    fill(&w);
    let whole = closed(&mut w);
    let dir = w.dir.path();
    assert_eq!(look(dir).unwrap().0, Vec::<String>::new());
    for (table, key) in TABLES {
        put(dir, &whole);
        let count = {
            let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
            let sql = format!("SELECT COUNT(*) FROM {table}");
            db.read().unwrap().query(&sql, &[]).unwrap()[0]
                .uint(0)
                .unwrap()
        };
        assert!(count > SOME, "{table} has rows");
        for n in 0..SOME {
            put(dir, &whole);
            let row = random(n) % count;
            let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
            let mut tx = db.begin().unwrap();
            let sql = format!(
                "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row})"
            );
            assert_eq!(tx.execute(&sql, &[]).unwrap(), 1);
            tx.commit().unwrap();
            drop(db);
            match look(dir) {
                Ok((problems, _)) => assert!(!problems.is_empty(), "{table}: row {row} is missing"),
                // The store does not open.
                Err(e) => println!("{table}: row {row}: {}", e.chain()),
            }
        }
    }
}
