//! The rows that `verify` answers for, and by which words somebody is told of one.

use crate::core::Hash;
use crate::db::{Param, Row, Value};
use crate::fs::tests::*;
use std::path::Path;

/// A table: its columns, the key first, and what a problem may call a row, one of these.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    /// How many columns the key has.
    pub(super) keys: usize,
    words: fn(&Row) -> Vec<String>,
}

/// Not access times, which are nobody's word, nor how far the rows behind a horizon are deleted, nor counters, which may be
/// ahead of what was given out.
pub(super) const TABLES: [Table; 18] = [
    table(
        ("tenants", 1),
        "id, name, gid, root, op, hash, state, created, horizon, forgot",
        |r| {
            vec![
                format!("tenant {}", said(r, 0)),
                format!("tenant {}", bare(r, 1)),
            ]
        },
    ),
    table(("namespaces", 2), "tenant, name, mask, group_of", |r| {
        vec![
            format!("settings of /{}", bare(r, 1)),
            format!("row ({})", said(r, 1)),
        ]
    }),
    table(
        ("snapshots", 2),
        "tenant, name, op, ino, uid, user_name, agent, created, description, sum",
        |r| vec![format!("snapshot {}", said(r, 1))],
    ),
    table(
        ("log", 2),
        "tenant, op, time, kind, ino, path, path2, user_name, agent, session, uid, pid, comm, undo, state, hash",
        |r| {
            let op = said(r, 1);
            ["operation", "operations", "its head is"]
                .map(|word| format!("{word} {op}"))
                .to_vec()
        },
    ),
    table(
        ("nodes", 1),
        "ino, tenant, kind, mode, uid, gid, nlink, size, rdev, mtime, ctime, btime, content, version, parent, began, sum",
        node,
    ),
    table(
        ("nodes_past", 2),
        "ino, ended, tenant, kind, mode, uid, gid, nlink, size, rdev, mtime, ctime, btime, content, version, parent, began, sum",
        node,
    ),
    table(
        ("entries", 2),
        "parent, name, ino, cookie, began, sum",
        entry,
    ),
    table(
        ("entries_past", 3),
        "parent, name, ended, ino, cookie, began, sum",
        |r| [entry(r), vec![format!("node {}", said(r, 3))]].concat(),
    ),
    table(("xattrs", 2), "ino, name, value, began, sum", node),
    table(
        ("xattrs_past", 3),
        "ino, name, ended, value, began, sum",
        node,
    ),
    table(("blobs", 1), "hash, size, data", |r| match &r.0[0] {
        Value::Bytes(hash) => {
            let hash = Hash::from_slice(hash).map_or_else(|e| e.to_string(), |h| h.to_string());
            vec![hash, "index sqlite_autoindex_blobs_1".to_owned()]
        }
        _ => Vec::new(),
    }),
    table(
        ("users", 1),
        "id, tenant, name, uid, gid, full_name, email, created, sum",
        |r| principal(r, "user"),
    ),
    table(
        ("agents", 1),
        "id, tenant, name, owner, isolated, created, sum",
        |r| principal(r, "agent"),
    ),
    table(
        ("groups", 1),
        "id, tenant, name, description, created, sum",
        |r| principal(r, "group"),
    ),
    table(("members", 3), "tenant, group_id, member, sum", |r| {
        vec![format!(
            "the membership of {} in {}",
            said(r, 2),
            said(r, 1)
        )]
    }),
    table(
        ("api_keys", 1),
        "id, tenant, principal, hash, description, created, expires, sum",
        |r| vec![format!("key {}", said(r, 0))],
    ),
    table(
        ("object_types", 1),
        "id, tenant, name, definition, created, updated, sum",
        |r| {
            vec![
                format!("object type {}", said(r, 0)),
                format!("type {}", said(r, 2)),
            ]
        },
    ),
    table(
        ("tuples", 1),
        "id, tenant, object_type, object_id, relation, subject_type, subject_id, subject_relation, created, expires, sum",
        |r| vec![format!("relationship {}", said(r, 0))],
    ),
];

const fn table(
    (name, keys): (&'static str, usize),
    columns: &'static str,
    words: fn(&Row) -> Vec<String>,
) -> Table {
    Table {
        name,
        columns,
        keys,
        words,
    }
}

/// A value as problems quote it.
fn said(row: &Row, column: usize) -> String {
    row.0[column].to_string()
}

/// A text without its quotes.
fn bare(row: &Row, column: usize) -> String {
    row.text(column)
        .map_or_else(|_| said(row, column), str::to_owned)
}

fn node(row: &Row) -> Vec<String> {
    vec![
        format!("node {}", said(row, 0)),
        format!("directory {}", said(row, 0)),
    ]
}

fn entry(row: &Row) -> Vec<String> {
    let name = said(row, 1);
    vec![
        format!("entry {name}"),
        format!("name {name}"),
        format!("node {}", said(row, 2)),
    ]
}

fn principal(row: &Row, kind: &str) -> Vec<String> {
    vec![
        format!("principal {}", said(row, 0)),
        format!("{kind} {}", said(row, 2)),
    ]
}

impl Table {
    /// What a problem may call a row, one of these.
    pub(super) fn words(&self, row: &Row) -> Vec<String> {
        let mut words = (self.words)(row);
        words.push(row.name_in(self.name, self.keys));
        words.push(row.name(self.keys));
        words.push(self.name_by_key(row));
        // Of a row that has a guard more is said.
        words.push(row.name(3));
        words
    }

    /// What the row is called by the key of its table.
    fn name_by_key(&self, row: &Row) -> String {
        match self.name {
            "users" => Row(row.0[1..].to_vec()).name(2),
            _ => row.name(self.keys),
        }
    }
}

/// What problems may call the rows that cannot be read one by one, and by which row before them: of rows in the order of
/// their tables.
pub(super) fn unreadable(dir: &Path, sound: &[Vec<Row>]) -> Vec<String> {
    let Ok(db) = Sqlite::open(&dir.join("nexus.db")) else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for (table, rows) in TABLES.iter().zip(sound) {
        let keys = table.columns.split(", ").take(table.keys).enumerate();
        let keys: Vec<_> = keys.map(|(n, key)| format!("{key} = ${}", n + 1)).collect();
        let (name, columns) = (table.name, table.columns);
        let sql = format!("SELECT {columns} FROM {name} WHERE {}", keys.join(" AND "));
        let mut before = None;
        for row in rows {
            let params: Vec<_> = row.0[..table.keys].iter().map(param).collect();
            let read = db.read().and_then(|mut tx| tx.query(&sql, &params));
            if !read.is_ok_and(|found| found == [row.clone()]) {
                let place = before.map_or_else(
                    || format!("table {name} cannot be read before its first row"),
                    |row| {
                        format!(
                            "table {name} cannot be read behind {}",
                            table.name_by_key(row)
                        )
                    },
                );
                words.extend(table.words(row));
                words.push(place);
            }
            before = Some(row);
        }
    }
    words
}

pub(super) fn param(value: &Value) -> Param<'_> {
    match value {
        Value::Null => Param::Null,
        Value::Int(n) => Param::Int(*n),
        Value::Text(text) => Param::Text(text),
        Value::Bytes(bytes) => Param::Bytes(bytes),
    }
}

/// Every row of every table, in the order of its key.
pub(super) fn rows(dir: &Path) -> Result<Vec<Vec<Row>>> {
    let db = Sqlite::open(&dir.join("nexus.db"))?;
    let mut tx = db.read()?;
    let all = TABLES.iter().map(|t| {
        let order = match t.name {
            "blobs" => "rowid".to_owned(),
            "users" => "tenant, name".to_owned(),
            _ => t
                .columns
                .split(", ")
                .take(t.keys)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let sql = format!(
            "SELECT {} FROM {} NOT INDEXED ORDER BY {order}",
            t.columns, t.name
        );
        tx.query(&sql, &[])
    });
    all.collect()
}

/// What problems may call the rows that are not alike.
pub(super) fn differing(before: &[Vec<Row>], after: &[Vec<Row>]) -> Vec<String> {
    let mut words = Vec::new();
    for (table, (before, after)) in TABLES.iter().zip(before.iter().zip(after)) {
        for (these, those) in [(before, after), (after, before)] {
            let only = these.iter().filter(|row| !those.contains(row));
            words.extend(only.flat_map(|row| table.words(row)));
        }
    }
    words
}

/// Whether a problem has a word, and not only as a part of a longer one.
pub(super) fn has(problem: &str, word: &str) -> bool {
    problem.match_indices(word).any(|(at, _)| {
        let (before, rest) = (&problem[..at], &problem[at + word.len()..]);
        !before.ends_with(char::is_alphanumeric) && !rest.starts_with(char::is_alphanumeric)
    })
}
