//! Drafts: bytes that fsync(2) made durable before they are a version.
//!
//! A file that is open for writing becomes a version when it is closed. Until then what was synced is kept as the writes
//! themselves; after a crash they are written again over the last version, in the name of who wrote them.

use super::log::Author;
use super::page::naming;
use super::sum::Summer;
use crate::core::{Error, Ino, Kind, Result, TenantId, Time};
use crate::db::{Row, Tx};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What one fsync(2) made durable of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Grows with time.
    pub id: u64,
    pub ino: Ino,
    pub tenant: TenantId,
    pub author: Author,
    /// When the file was last written.
    pub at: Time,
    /// Offsets and what was written there.
    pub writes: Vec<(u64, Bytes)>,
}

impl Draft {
    /// How many bytes it keeps.
    pub fn len(&self) -> u64 {
        self.writes
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum()
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

fn guard(body: &[u8]) -> i64 {
    Summer::new("drafts").bytes(body).sum()
}

pub fn put(tx: &mut dyn Tx, draft: &Draft) -> Result<()> {
    let body = postcard::to_stdvec(draft)
        .map_err(|e| Error::new(Kind::Io, "a draft cannot be written down").caused_by(e))?;
    tx.execute(
        "INSERT INTO drafts (id, ino, body, sum) VALUES ($1,$2,$3,$4)",
        &[
            draft.id.into(),
            draft.ino.into(),
            body.as_slice().into(),
            guard(&body).into(),
        ],
    )?;
    Ok(())
}

/// Forgets the drafts of a file that has become a version, or is gone.
pub fn delete(tx: &mut dyn Tx, ino: Ino) -> Result<()> {
    tx.execute("DELETE FROM drafts WHERE ino = $1", &[ino.into()])?;
    Ok(())
}

/// A draft as it is found after a crash.
#[derive(Debug)]
pub struct Found {
    pub id: u64,
    /// The file, as the row's column says.
    pub ino: Ino,
    pub draft: Result<Draft>,
}

/// The drafts of every file, oldest first, each with its own verdict, but what was set aside.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<Found>> {
    let sql = "SELECT id, ino, body, sum FROM drafts WHERE ino >= 0 ORDER BY id";
    let found = |row: &Row| {
        let key = || Ok((row.uint(0)?, Ino(row.uint(1)?)));
        let (id, ino) = naming(("drafts", 2), row, key())?;
        let draft = naming(("drafts", 2), row, from_row(row, id, ino));
        Ok(Found { id, ino, draft })
    };
    tx.query(sql, &[])?.iter().map(found).collect()
}

fn from_row(row: &Row, id: u64, ino: Ino) -> Result<Draft> {
    let body = row.bytes(2)?;
    let damaged = || Error::new(Kind::Corrupt, "bytes that were synced are damaged");
    if guard(body) != row.int(3)? {
        return Err(damaged());
    }
    let draft: Draft = postcard::from_bytes(body).map_err(|e| damaged().caused_by(e))?;
    // The guard is over the bytes alone: columns that say something else are damaged, too.
    if (draft.id, draft.ino) == (id, ino) {
        return Ok(draft);
    }
    Err(damaged())
}

/// Keeps a draft that no recovery can use, or may use any more, out of the way of what comes, for `verify` to tell.
pub fn set_aside(tx: &mut dyn Tx, id: u64) -> Result<()> {
    let sql = "UPDATE drafts SET ino = -ino WHERE id = $1 AND ino > 0";
    tx.execute(sql, &[id.into()]).map(drop)
}

/// Drafts that were set aside, and the files that they are of.
pub fn aside(tx: &mut dyn Tx) -> Result<Vec<(u64, Ino)>> {
    let rows = tx.query("SELECT id, -ino FROM drafts WHERE ino < 0 ORDER BY id", &[])?;
    rows.iter()
        .map(|row| Ok((row.uint(0)?, Ino(row.uint(1)?))))
        .collect()
}
