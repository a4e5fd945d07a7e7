//! Entries: names in directories.

use super::batch;
use super::node::{self, Node};
use super::page::naming;
use super::sum::Summer;
use crate::core::{Error, Ino, Kind, Name, Op, Result};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// A name in a directory and the node it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub parent: Ino,
    pub name: Name,
    pub ino: Ino,
    /// Its place in readdir(3): grows with time, never moves.
    pub cookie: u64,
    pub began: Op,
}

impl Entry {
    pub fn sum(&self) -> i64 {
        Summer::new("entries")
            .int(self.parent.0)
            .bytes(self.name.as_bytes())
            .int(self.ino.0)
            .int(self.cookie)
            .int(self.began.0)
            .sum()
    }
}

pub(super) fn from_row(row: &Row) -> Result<Entry> {
    let entry = Entry {
        parent: Ino(row.uint(0)?),
        name: Name::new(row.bytes(1)?)?,
        ino: Ino(row.uint(2)?),
        cookie: row.uint(3)?,
        began: Op(row.uint(4)?),
    };
    if entry.sum() == row.int(5)? {
        return Ok(entry);
    }
    let message = format!(
        "the entry {:?} of directory {} is damaged: run `nexusctl verify`",
        entry.name, entry.parent
    );
    Err(Error::new(Kind::Corrupt, message))
}

pub fn get(tx: &mut dyn Tx, parent: Ino, name: &Name) -> Result<Option<Entry>> {
    let sql =
        "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE parent = $1 AND name = $2";
    tx.query(sql, &[parent.into(), name.into()])?
        .first()
        .map(from_row)
        .transpose()
}

pub fn put(tx: &mut dyn Tx, entry: &Entry) -> Result<()> {
    tx.execute(
        "INSERT INTO entries (parent, name, ino, cookie, began, sum) VALUES ($1,$2,$3,$4,$5,$6) \
         ON CONFLICT (parent, name) DO UPDATE SET ino=excluded.ino, cookie=excluded.cookie, began=excluded.began, \
         sum=excluded.sum",
        &[
            entry.parent.into(),
            (&entry.name).into(),
            entry.ino.into(),
            entry.cookie.into(),
            entry.began.into(),
            entry.sum().into(),
        ],
    )?;
    Ok(())
}

/// Keeps an entry in the past, as it was until `ended`.
pub fn put_past(tx: &mut dyn Tx, entry: &Entry, ended: Op) -> Result<()> {
    tx.execute(
        "INSERT INTO entries_past (parent, name, ended, ino, cookie, began, sum) VALUES ($1,$2,$3,$4,$5,$6,$7)",
        &[
            entry.parent.into(),
            (&entry.name).into(),
            ended.into(),
            entry.ino.into(),
            entry.cookie.into(),
            entry.began.into(),
            entry.sum().into(),
        ],
    )?;
    Ok(())
}

/// Takes an entry out of the present.
pub fn delete(tx: &mut dyn Tx, parent: Ino, name: &[u8]) -> Result<()> {
    tx.execute(
        "DELETE FROM entries WHERE parent = $1 AND name = $2",
        &[parent.into(), name.into()],
    )?;
    Ok(())
}

/// Up to `limit` names of a node.
pub fn names_of(tx: &mut dyn Tx, ino: Ino, limit: u32) -> Result<Vec<Entry>> {
    let sql = "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE ino = $1 ORDER BY parent, name LIMIT $2";
    tx.query(sql, &[ino.into(), limit.into()])?
        .iter()
        .map(from_row)
        .collect()
}

/// Gives every name of several nodes.
pub fn names_of_each(tx: &mut dyn Tx, of: &[Ino], mut take: impl FnMut(Entry)) -> Result<()> {
    let sql = |places: &[String]| {
        format!(
            "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE ino IN ({})",
            places.join(",")
        )
    };
    batch::ask(tx, &[], of, sql, |row| {
        take(from_row(row)?);
        Ok(())
    })
}

/// Up to `limit` names in a directory, in no order.
pub fn some(tx: &mut dyn Tx, parent: Ino, limit: u32) -> Result<Vec<Name>> {
    let rows = tx.query(
        "SELECT name FROM entries WHERE parent = $1 LIMIT $2",
        &[parent.into(), limit.into()],
    )?;
    rows.iter().map(|row| Name::new(row.bytes(0)?)).collect()
}

/// One page of a directory in the order of its cookies, with the nodes' attributes: one query a page.
pub fn list(tx: &mut dyn Tx, parent: Ino, after: u64, limit: u32) -> Result<Vec<(Entry, Node)>> {
    let rows = tx.query(
        "SELECT e.parent, e.name, e.ino, e.cookie, e.began, e.sum, n.ino, n.tenant, n.kind, n.mode, n.uid, n.gid, n.nlink, \
         n.size, n.rdev, n.atime, n.mtime, n.ctime, n.btime, n.content, n.version, n.parent, n.began, n.sum \
         FROM entries e JOIN nodes n ON n.ino = e.ino WHERE e.parent = $1 AND e.cookie > $2 ORDER BY e.cookie LIMIT $3",
        &[parent.into(), after.into(), limit.into()],
    )?;
    rows.iter()
        .map(|row| Ok((from_row(row)?, node::from_row(row, 6)?)))
        .collect()
}

/// One page of every entry there is, for checks: rows after `(parent, name)`, each with its own verdict.
pub fn page(
    tx: &mut dyn Tx,
    after: (u64, &[u8]),
    limit: u32,
) -> Result<super::Page<(u64, Vec<u8>), Entry>> {
    let rows = tx.query(
        "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE (parent, name) > ($1, $2) \
         ORDER BY parent, name LIMIT $3",
        &[after.0.into(), after.1.into(), limit.into()],
    )?;
    let of = ("entries", 2);
    let read = |row: &Row| {
        let key = || Ok((row.uint(0)?, row.bytes(1)?.to_vec()));
        Ok((naming(of, row, key())?, naming(of, row, from_row(row))))
    };
    rows.iter().map(read).collect()
}

/// The same of the past: rows after `(parent, name, ended)`.
pub fn past_page(
    tx: &mut dyn Tx,
    after: &super::PastKey,
    limit: u32,
) -> Result<super::Page<super::PastKey, Entry>> {
    let sql = "SELECT parent, name, ino, cookie, began, sum, ended FROM entries_past WHERE (parent, name, ended) > ($1, $2, $3) \
               ORDER BY parent, name, ended LIMIT $4";
    super::page::of_past(tx, ("entries_past", sql, 6), after, limit, from_row)
}
