//! How rows came to be what they are: each state with the operation that made it and, if it is over, the one that ended it.
//!
//! Read for many nodes at once: a statement for some hundred of them, one row a state.

use super::node;
use super::xattr::Xattr;
use super::{Entry, FileKind, Node, batch, entry, xattr};
use crate::core::{Ino, Name, Op, Result};
use crate::db::{Param, Row, Tx};
use crate::meta::cache::Place;

/// A state of a row. It held from the operation that it says itself it began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell<T> {
    pub state: T,
    /// The operation that ended it; `None` for the present.
    pub ended: Option<Op>,
}

/// States of these nodes that held when `since` began, or later.
pub fn nodes(tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<Vec<Spell<Node>>> {
    const COLUMNS: &str = "ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
                           parent, began, sum";
    let read = |row: &Row| node::from_row(row, 0);
    both(tx, ("nodes", COLUMNS, 18), of, since, read)
}

/// Names that these nodes had when `since` began, or later.
pub fn names(tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<Vec<Spell<Entry>>> {
    const COLUMNS: &str = "parent, name, ino, cookie, began, sum";
    both(tx, ("entries", COLUMNS, 6), of, since, entry::from_row)
}

/// Attributes that these nodes had when `since` began, or later.
pub fn xattrs(tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<Vec<Spell<Xattr>>> {
    const COLUMNS: &str = "ino, name, value, began, sum";
    both(tx, ("xattrs", COLUMNS, 5), of, since, xattr::from_row)
}

/// What a name stood for when `since` began, or later, the oldest first.
pub fn meanings(tx: &mut dyn Tx, place: &Place, since: Op) -> Result<Vec<Spell<Entry>>> {
    first_meanings(tx, place, since, i64::MAX)
}

/// What each of some names in a directory stood for when `since` began, or later.
pub fn meanings_in(
    tx: &mut dyn Tx,
    dir: Ino,
    names: &[Name],
    since: Op,
) -> Result<Vec<Spell<Entry>>> {
    const COLUMNS: &str = "parent, name, ino, cookie, began, sum";
    let mut all = Vec::new();
    let sql = |places: &[String]| {
        let places = places.join(",");
        format!(
            "SELECT {COLUMNS}, ended FROM entries_past WHERE parent = $1 AND ended >= $2 AND name IN ({places}) \
             UNION ALL SELECT {COLUMNS}, NULL FROM entries WHERE parent = $1 AND $2 >= 0 AND name IN ({places})"
        )
    };
    let of: Vec<_> = names.iter().map(Param::from).collect();
    let before = [dir.into(), since.into()];
    // No name is empty.
    batch::ask_each(tx, &before, (&of, Param::Bytes(b"")), sql, |row| {
        all.push(Spell::read(row, 6, entry::from_row)?);
        Ok(())
    })?;
    Ok(all)
}

/// What a name stood for when an operation began and what when it had ended, the older first: the same, or two, one or none.
pub fn meanings_at(tx: &mut dyn Tx, place: &Place, op: Op) -> Result<Vec<Spell<Entry>>> {
    let mut all = first_meanings(tx, place, op, 2)?;
    all.retain(|spell| spell.state.began <= op);
    Ok(all)
}

/// Up to `most` former meanings of a name, and the present one.
fn first_meanings(
    tx: &mut dyn Tx,
    place: &Place,
    since: Op,
    most: i64,
) -> Result<Vec<Spell<Entry>>> {
    let past = tx.query(
        "SELECT parent, name, ino, cookie, began, sum, ended FROM entries_past \
         WHERE parent = $1 AND name = $2 AND ended >= $3 ORDER BY ended LIMIT $4",
        &[
            place.parent.into(),
            (&place.name).into(),
            since.into(),
            most.into(),
        ],
    )?;
    let spell = |row: &Row| Spell::read(row, 6, entry::from_row);
    let mut all = past.iter().map(spell).collect::<Result<Vec<_>>>()?;
    let present = entry::get(tx, place.parent, &place.name)?;
    all.extend(present.map(|state| Spell { state, ended: None }));
    Ok(all)
}

/// Those of some directories in which a name or what it stands for is not what it was when `since` had ended.
pub fn stirred(tx: &mut dyn Tx, dirs: &[Ino], since: Op) -> Result<Vec<Ino>> {
    let mut found = Vec::new();
    let sql = |places: &[String]| {
        format!(
            "{} SELECT asked.ino FROM asked WHERE \
             EXISTS (SELECT 1 FROM entries_past p WHERE p.parent = asked.ino AND p.ended > $1) \
             OR EXISTS (SELECT 1 FROM entries e LEFT JOIN nodes n ON n.ino = e.ino WHERE e.parent = asked.ino \
             AND (e.began > $1 OR n.began > $1 OR n.ino IS NULL))",
            batch::table(places)
        )
    };
    batch::ask(tx, &[since.into()], dirs, sql, |row| {
        found.push(Ino(row.uint(0)?));
        Ok(())
    })?;
    Ok(found)
}

/// The directories in some directories today, each behind the one it is in.
pub fn directories(tx: &mut dyn Tx, dirs: &[Ino]) -> Result<Vec<(Ino, Ino)>> {
    let mut found = Vec::new();
    let sql = |places: &[String]| {
        format!(
            "{} SELECT e.parent, e.ino FROM asked CROSS JOIN entries e JOIN nodes n ON n.ino = e.ino \
             WHERE e.parent = asked.ino AND n.kind = $1",
            batch::table(places)
        )
    };
    let kind = FileKind::Directory.code();
    batch::ask(tx, &[kind.into()], dirs, sql, |row| {
        found.push((Ino(row.uint(0)?), Ino(row.uint(1)?)));
        Ok(())
    })?;
    Ok(found)
}

impl<T> Spell<T> {
    /// Reads a state and, from the column `ended`, when it ended.
    fn read(row: &Row, ended: usize, state: impl Fn(&Row) -> Result<T>) -> Result<Self> {
        Ok(Self {
            state: state(row)?,
            ended: row.opt_uint(ended)?.map(Op),
        })
    }
}

/// Past and present rows of a table for nodes; `columns` are those of both, so many that `ended` has their number.
fn both<T>(
    tx: &mut dyn Tx,
    (table, columns, ended): (&str, &str, usize),
    of: &[Ino],
    since: Op,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Vec<Spell<T>>> {
    let mut all = Vec::new();
    let sql = |places: &[String]| {
        let places = places.join(",");
        format!(
            "SELECT {columns}, ended FROM {table}_past WHERE ended >= $1 AND ino IN ({places}) \
             UNION ALL SELECT {columns}, NULL FROM {table} WHERE $1 >= 0 AND ino IN ({places})"
        )
    };
    batch::ask(tx, &[since.into()], of, sql, |row| {
        all.push(Spell::read(row, ended, &read)?);
        Ok(())
    })?;
    Ok(all)
}
