//! Rows that somebody deletes from the database, past or present, are missed, and each is named.

use super::flips::{closed, look, put};
use super::rows::has;
use super::town::{change_again, change_much};
use crate::db::Row;
use crate::fs::Keep;
use crate::fs::tests::principals::{TENANT, boss, populate};
use crate::fs::tests::relations::{DOCS, define, relate};
use crate::fs::tests::*;

/// Words that one problem has all of.
type Words = Vec<String>;

/// A table: what its rows are ordered by, what of a row is read, and what of that a problem has to say, one of these.
struct Table {
    name: &'static str,
    key: &'static str,
    read: &'static str,
    said: fn(&Row) -> Vec<Words>,
}

const TABLES: [Table; 15] = [
    table("nodes", "ino", "ino", |r| vec![vec![node(r)]]),
    table("entries", "parent, name", "ino", |r| vec![vec![node(r)]]),
    table("xattrs", "ino, name", "ino, began, name", attribute),
    table("nodes_past", "ino, ended", "ino, began, ended", |r| {
        let ops = [1, 2].map(|n| operation(r, n));
        let alone = ops.iter().map(|op| vec![node(r), op.clone()]);
        let many = ops.iter().map(|op| vec![op.clone(), rows_of("nodes")]);
        alone.chain(many).collect()
    }),
    table(
        "entries_past",
        "parent, name, ended",
        "ino, began, name, ended",
        |r| {
            let name = String::from_utf8_lossy(r.bytes(2).unwrap()).into_owned();
            vec![
                vec![node(r), format!("name {name:?}")],
                vec![operation(r, 1), rows_of("entries")],
                vec![operation(r, 3), rows_of("entries")],
            ]
        },
    ),
    table(
        "xattrs_past",
        "ino, name, ended",
        "ino, began, name",
        attribute,
    ),
    table("log", "tenant, op", "op", |r| {
        let op = r.uint(0).unwrap();
        vec![
            vec![format!("operations {op} to {op} are missing")],
            vec![format!("its head is {op}")],
        ]
    }),
    table("tuples", "id", "id", |r| numbered(r, "relationship")),
    table("users", "id", "id", |r| numbered(r, "principal")),
    table("agents", "id", "id", |r| numbered(r, "principal")),
    table("groups", "id", "id", |r| numbered(r, "principal")),
    table("members", "group_id, member", "member, group_id", |r| {
        let (member, group) = (r.uint(0).unwrap(), r.uint(1).unwrap());
        vec![vec![format!(
            "the membership of {member} in {group} is missing"
        )]]
    }),
    table("api_keys", "id", "id", |r| numbered(r, "key")),
    table("object_types", "id", "id", |r| {
        let mut said = numbered(r, "object type");
        // A type that others lead to: nobody knows what they mean without it.
        said.push(vec!["owner of doc".to_owned()]);
        said
    }),
    table("snapshots", "name", "name", |r| {
        vec![vec![format!("snapshot {:?}", r.text(0).unwrap())]]
    }),
];

const fn table(
    name: &'static str,
    key: &'static str,
    read: &'static str,
    said: fn(&Row) -> Vec<Words>,
) -> Table {
    Table {
        name,
        key,
        read,
        said,
    }
}

fn node(row: &Row) -> String {
    format!("node {}", row.uint(0).unwrap())
}

fn operation(row: &Row, at: usize) -> String {
    format!("operation {}", row.uint(at).unwrap())
}

fn rows_of(table: &str) -> String {
    format!("rows of {table}")
}

fn attribute(row: &Row) -> Vec<Words> {
    let name = String::from_utf8_lossy(row.bytes(2).unwrap()).into_owned();
    vec![
        vec![node(row), format!("attribute {name:?}")],
        vec![operation(row, 1), rows_of("xattrs")],
    ]
}

fn numbered(row: &Row, what: &str) -> Vec<Words> {
    vec![vec![format!("{what} {} is missing", row.uint(0).unwrap())]]
}

fn count(dir: &std::path::Path, table: &Table) -> u64 {
    let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
    let sql = format!("SELECT COUNT(*) FROM {}", table.name);
    let rows = db.read().unwrap().query(&sql, &[]).unwrap();
    rows[0].uint(0).unwrap()
}

/// Deletes one row of a table; what of it is to be said.
fn delete(dir: &std::path::Path, of: &Table, nth: u64) -> Vec<Words> {
    let Table {
        name, key, read, ..
    } = of;
    let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
    let mut tx = db.begin().unwrap();
    let nth = format!("FROM {name} ORDER BY {key} LIMIT 1 OFFSET {nth}");
    let rows = tx.query(&format!("SELECT {read} {nth}"), &[]).unwrap();
    let sql = format!("DELETE FROM {name} WHERE ({key}) IN (SELECT {key} {nth})");
    assert_eq!(tx.execute(&sql, &[]).unwrap(), 1);
    tx.commit().unwrap();
    (of.said)(&rows[0])
}

/// Deletes every row of every table, one at a time.
fn assert_missed(mut w: World) {
    let whole = closed(&mut w);
    let dir = w.dir.path();
    assert_eq!(look(dir), Vec::<String>::new());
    let mut unnamed = Vec::new();
    for table in &TABLES {
        put(dir, &whole);
        let count = count(dir, table);
        assert!(count > 0, "{} has rows", table.name);
        for nth in 0..count {
            put(dir, &whole);
            let said = delete(dir, table, nth);
            let problems = look(dir);
            let names = |words: &Words| {
                let all = |problem: &String| words.iter().all(|word| has(problem, word));
                problems.iter().any(all)
            };
            if !said.iter().any(names) {
                unnamed.push(format!("{}: {said:?}: {problems:#?}", table.name));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

/// A world in which much was done in a directory, before and after a snapshot of it; alice did it.
pub(super) fn at_work() -> (World, Caller) {
    let w = World::new();
    let alice = people(&w);
    change_much(&w, &alice, "one");
    let e = w.engine();
    let at = e.resolve(&alice, &path("/workspace/one")).unwrap().ino;
    e.create_snapshot(&alice, at, "kept", None).unwrap();
    change_again(&w, &alice, "one");
    (w, alice)
}

/// Those who have something of each kind; alice of them.
pub(super) fn people(w: &World) -> Caller {
    let alice = populate(w);
    define(w, &boss(), DOCS);
    for text in ["user:bob viewer folder:f", "folder:f parent doc:1"] {
        relate(w, &boss(), text).unwrap();
    }
    alice
}

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
#[test]
fn whatever_row_is_deleted_is_missed_and_named() {
    let (w, _) = at_work();
    assert_missed(w);
}

#[test]
fn so_it_is_of_what_a_snapshot_shows_behind_the_horizon() {
    let (w, alice) = at_work();
    let e = w.engine();
    let old = e.store().time_of(TENANT, e.head(TENANT).unwrap()).unwrap();
    change_much(&w, &alice, "two");
    change_again(&w, &alice, "two");
    let keep = Keep {
        since: old.unwrap().1,
        snapshots: true,
    };
    let done = e.forget(&boss(), keep, false).unwrap();
    assert!(done.tenants[0].rows > 5);
    assert_missed(w);
}
