//! What is wrong with a database file, and where: pages by number and table, rows that cannot be read or that indexes miss, a
//! schema that is not ours.

use super::super::migrate;
use super::failure;
use super::tx::value;
use crate::core::Result;
use crate::db::{Row, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What SQLite says before the pages of the one database that there is.
const TITLE: &str = "*** in database main ***";
/// What it says when it cannot go on, of a place that it does not name.
const MALFORMED: &str = "malformed";
/// What it says of a row, which it counts.
const UNINDEXED: &str = " missing from index ";

/// The text of each table, index and view, by its kind and name.
type Schema = BTreeMap<String, String>;

/// Reads the whole file and tells what is wrong; empty when nothing is.
pub(super) fn find(conn: &Connection) -> Result<Vec<String>> {
    let mut found = of_schema(conn).unwrap_or_else(|e| vec![e.chain()]);
    let trees = trees(conn).unwrap_or_default();
    let answers = rows(conn, "PRAGMA integrity_check", |row| text(row, 0));
    let answers = answers.unwrap_or_else(|e| vec![e.chain()]);
    let lines = answers.iter().flat_map(|answer| answer.lines());
    let lines = lines.filter(|line| *line != "ok" && *line != TITLE);
    found.extend(lines.map(|line| named(conn, line, &trees)));
    if found.iter().any(|line| line.contains(MALFORMED)) {
        found.extend(unreadable(conn)?);
        found.extend(unreadable_indexes(conn)?);
    }
    Ok(found)
}

/// Says which table or index a b-tree is of, which SQLite names by its first page, and which row it is that it counts.
fn named(conn: &Connection, line: &str, trees: &BTreeMap<u32, String>) -> String {
    let tree = || {
        let (root, rest) = line.strip_prefix("Tree ")?.split_once(' ')?;
        let name = trees.get(&root.parse().ok()?)?;
        Some(format!("{name}, tree {root} {rest}"))
    };
    let row = || {
        let (count, index) = line.strip_prefix("row ")?.split_once(UNINDEXED)?;
        let row = counted(conn, count.parse().ok()?, index).ok()??;
        Some(format!("{row}{UNINDEXED}{index}"))
    };
    let said = tree().or_else(row).unwrap_or_else(|| line.to_owned());
    format!("database: {said}")
}

/// Which row of the table of an index it is that comes so many rows from the first, that being 1.
fn counted(conn: &Connection, count: u64, index: &str) -> Result<Option<String>> {
    let sql = format!("SELECT tbl_name FROM sqlite_schema WHERE name = '{index}'");
    let Some(table) = rows(conn, &sql, |row| text(row, 0))?.pop() else {
        return Ok(None);
    };
    let keys = keys(conn, &table)?;
    let key = keys.join(", ");
    let before = count.saturating_sub(1);
    let sql =
        format!("SELECT {key} FROM {table} NOT INDEXED ORDER BY {key} LIMIT 1 OFFSET {before}");
    let found = rows(conn, &sql, |row| key_of(row, keys.len()))?;
    Ok(found.first().map(|row| row.name_in(&table, keys.len())))
}

/// The columns of a table's key.
fn keys(conn: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
    rows(conn, &sql, |row| text(row, 0))
}

fn trees(conn: &Connection) -> Result<BTreeMap<u32, String>> {
    let sql = "SELECT rootpage, name FROM sqlite_schema WHERE rootpage > 0 UNION ALL SELECT 1, 'sqlite_schema'";
    let found = rows(conn, sql, |row| Ok((row.get(0)?, text(row, 1)?)))?;
    Ok(found.into_iter().collect())
}

/// Where reading each table from its first row on ends before its last one, and rows that are not where their keys belong.
fn unreadable(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name";
    let tables = rows(conn, sql, |row| Ok((text(row, 0)?, row.get(1)?)))?;
    let wrong = tables
        .iter()
        .map(|(table, has_no_rowid)| in_table(conn, table, *has_no_rowid));
    Ok(wrong.flatten().collect())
}

/// Indexes that cannot be read from end to end, or have not what their tables have.
fn unreadable_indexes(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name, tbl_name, COALESCE(sql, '') FROM sqlite_schema WHERE type = 'index' ORDER BY name";
    let indexes = rows(conn, sql, |row| {
        Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?))
    })?;
    let mut found = Vec::new();
    for (index, table, made) in indexes {
        // The row that an entry is of is one of its columns.
        let sql = format!(
            "SELECT CASE cid WHEN -1 THEN 'rowid' ELSE name END FROM pragma_index_xinfo('{index}') WHERE cid >= -1"
        );
        let columns = rows(conn, &sql, |row| text(row, 0)).unwrap_or_default();
        let own = columns.len();
        let sql = format!("SELECT name FROM pragma_table_info('{table}')");
        let all = rows(conn, &sql, |row| text(row, 0)).unwrap_or_default();
        let part = made.split_once(" WHERE ").map_or("1", |(_, part)| part);
        let read = |columns: &[String], by: &str| {
            let lengths = columns.iter().map(|c| format!("TOTAL(LENGTH({c}))"));
            let lengths = lengths.collect::<Vec<_>>().join(", ");
            let sql = format!("SELECT {lengths} FROM {table} {by} WHERE {part}");
            rows(conn, &sql, |row| key_of(row, own))
        };
        let of_index = read(&columns, &format!("INDEXED BY {index}"));
        // With all columns there is no index that has what is asked for.
        let of_table = read(&[&columns[..], &all].concat(), "NOT INDEXED");
        let wrong = match (of_index, of_table) {
            (Err(e), _) => format!("cannot be read: {}", e.chain()),
            (Ok(has), Ok(should)) if has != should => "has not what the table has".to_owned(),
            _ => continue,
        };
        found.push(format!("database: index {index} of table {table} {wrong}"));
    }
    Ok(found)
}

fn in_table(conn: &Connection, table: &str, has_no_rowid: bool) -> Vec<String> {
    let keys = keys(conn, table).unwrap_or_default();
    let order = if has_no_rowid {
        keys.join(", ")
    } else {
        "rowid".to_owned()
    };
    let columns = [&keys[..], &["*".to_owned()]].concat().join(", ");
    // It comes as it stands: SQLite trusts that it is in order.
    let sql = format!("SELECT {columns} FROM {table} NOT INDEXED ORDER BY {order}");
    let (mut last, mut wrong) = (None::<Row>, Vec::new());
    let read = rows(conn, &sql, |row| {
        let key = key_of(row, keys.len())?;
        let is_behind = |last: &&Row| has_no_rowid && !precedes(last, &key);
        if let Some(before) = last.as_ref().filter(is_behind) {
            let (key, before) = (key.name_in(table, keys.len()), before.name(keys.len()));
            wrong.push(format!("database: {key} stands behind {before}"));
        }
        last = Some(key);
        Ok(())
    });
    if let Err(e) = read {
        let place = match last {
            Some(row) => format!("behind {}", row.name(keys.len())),
            None => "before its first row".to_owned(),
        };
        let e = e.chain();
        wrong.push(format!(
            "database: table {table} cannot be read {place}: {e}"
        ));
    }
    wrong
}

/// Whether a key comes before another one ("Datatypes In SQLite", 4.1).
fn precedes(one: &Row, other: &Row) -> bool {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Int(_) => 1,
        Value::Text(_) => 2,
        Value::Bytes(_) => 3,
    };
    let order = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => class(a).cmp(&class(b)),
    };
    let orders = one.0.iter().zip(&other.0).map(order);
    orders.fold(Ordering::Equal, Ordering::then) == Ordering::Less
}

/// What of the schema is not what the migrations make of an empty database.
fn of_schema(conn: &Connection) -> Result<Vec<String>> {
    static WANTED: OnceLock<Schema> = OnceLock::new();
    let wanted = if let Some(wanted) = WANTED.get() {
        wanted
    } else {
        let made = made()?;
        WANTED.get_or_init(|| made)
    };
    let found = schema(conn)?;
    let differs = wanted
        .iter()
        .filter(|(name, said)| found.get(*name) != Some(*said));
    let told = differs.map(|(name, _)| {
        let what = if found.contains_key(name) {
            "is not what it was made as"
        } else {
            "is missing"
        };
        format!("database: {name} {what}, in sqlite_schema")
    });
    Ok(told.collect())
}

fn made() -> Result<Schema> {
    let mut fresh = Connection::open_in_memory().map_err(|e| failure("check", e))?;
    migrate::migrate_sqlite(&mut fresh)?;
    schema(&fresh)
}

fn schema(conn: &Connection) -> Result<Schema> {
    let sql =
        "SELECT type || ' ' || name, tbl_name || ': ' || COALESCE(sql, '') FROM sqlite_schema";
    let found = rows(conn, sql, |row| Ok((text(row, 0)?, text(row, 1)?)))?;
    Ok(found.into_iter().collect())
}

fn rows<T>(
    conn: &Connection,
    sql: &str,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut all = || -> rusqlite::Result<Vec<T>> {
        let mut statement = conn.prepare(sql)?;
        let found = statement.query_map((), &mut read)?;
        found.collect()
    };
    all().map_err(|e| failure("check", e))
}

/// A text, though it may be none.
fn text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    })
}

/// The first columns of a row.
fn key_of(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Row> {
    let key = (0..columns).map(|i| value(row, i));
    Ok(Row(key.collect::<rusqlite::Result<_>>()?))
}
