//! Extended attributes of nodes.

use super::page::naming;
use super::sum::Summer;
use crate::core::{Error, Ino, Kind, Op, Result, TenantId};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xattr {
    pub ino: Ino,
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    pub began: Op,
}

/// What Nexus itself says about a node; no system call reaches names without a known prefix.
pub const ACLS: &[u8] = b"nexus.acl";
/// Grants from above end at a node that has it.
pub const RESTRICTED: &[u8] = b"nexus.restricted";

impl Xattr {
    /// Whether it is one of Nexus's own, which are not shown as attributes.
    pub fn is_own(&self) -> bool {
        self.name.starts_with(b"nexus.")
    }

    pub fn sum(&self) -> i64 {
        Summer::new("xattrs")
            .int(self.ino.0)
            .bytes(&self.name)
            .bytes(&self.value)
            .int(self.began.0)
            .sum()
    }
}

pub(super) fn from_row(row: &Row) -> Result<Xattr> {
    let xattr = Xattr {
        ino: Ino(row.uint(0)?),
        name: row.bytes(1)?.to_vec(),
        value: row.bytes(2)?.to_vec(),
        began: Op(row.uint(3)?),
    };
    if xattr.sum() == row.int(4)? {
        return Ok(xattr);
    }
    let message = format!(
        "an attribute of node {} is damaged: run `nexusctl verify`",
        xattr.ino
    );
    Err(Error::new(Kind::Corrupt, message))
}

pub fn list(tx: &mut dyn Tx, ino: Ino) -> Result<Vec<Xattr>> {
    let sql = "SELECT ino, name, value, began, sum FROM xattrs WHERE ino = $1 ORDER BY name";
    tx.query(sql, &[ino.into()])?.iter().map(from_row).collect()
}

/// Every attribute of this name that a node has, and the node's tenant.
pub fn named(tx: &mut dyn Tx, name: &[u8]) -> Result<Vec<(TenantId, Xattr)>> {
    let sql = "SELECT x.ino, x.name, x.value, x.began, x.sum, n.tenant FROM xattrs x \
               JOIN nodes n ON n.ino = x.ino WHERE x.name = $1 ORDER BY x.ino";
    let found = tx.query(sql, &[name.into()])?;
    let of = |row: &Row| {
        Ok((
            TenantId(row.u32(5)?),
            naming(("xattrs", 2), row, from_row(row))?,
        ))
    };
    found.iter().map(of).collect()
}

pub fn put(tx: &mut dyn Tx, xattr: &Xattr) -> Result<()> {
    tx.execute(
        "INSERT INTO xattrs (ino, name, value, began, sum) VALUES ($1,$2,$3,$4,$5) \
         ON CONFLICT (ino, name) DO UPDATE SET value=excluded.value, began=excluded.began, sum=excluded.sum",
        &[
            xattr.ino.into(),
            xattr.name.as_slice().into(),
            xattr.value.as_slice().into(),
            xattr.began.into(),
            xattr.sum().into(),
        ],
    )?;
    Ok(())
}

/// Keeps an attribute in the past, as it was until `ended`.
pub fn put_past(tx: &mut dyn Tx, xattr: &Xattr, ended: Op) -> Result<()> {
    tx.execute(
        "INSERT INTO xattrs_past (ino, name, ended, value, began, sum) VALUES ($1,$2,$3,$4,$5,$6)",
        &[
            xattr.ino.into(),
            xattr.name.as_slice().into(),
            ended.into(),
            xattr.value.as_slice().into(),
            xattr.began.into(),
            xattr.sum().into(),
        ],
    )?;
    Ok(())
}

/// Takes an attribute out of the present.
pub fn delete(tx: &mut dyn Tx, ino: Ino, name: &[u8]) -> Result<()> {
    tx.execute(
        "DELETE FROM xattrs WHERE ino = $1 AND name = $2",
        &[ino.into(), name.into()],
    )?;
    Ok(())
}

/// One page of every attribute there is, for checks: rows after `(ino, name)`, each with its own verdict.
pub fn page(
    tx: &mut dyn Tx,
    after: (u64, &[u8]),
    limit: u32,
) -> Result<super::Page<(u64, Vec<u8>), Xattr>> {
    let rows = tx.query(
        "SELECT ino, name, value, began, sum FROM xattrs WHERE (ino, name) > ($1, $2) ORDER BY ino, name LIMIT $3",
        &[after.0.into(), after.1.into(), limit.into()],
    )?;
    let of = ("xattrs", 2);
    let read = |row: &Row| {
        let key = || Ok((row.uint(0)?, row.bytes(1)?.to_vec()));
        Ok((naming(of, row, key())?, naming(of, row, from_row(row))))
    };
    rows.iter().map(read).collect()
}

/// The same of the past: rows after `(ino, name, ended)`.
pub fn past_page(
    tx: &mut dyn Tx,
    after: &super::PastKey,
    limit: u32,
) -> Result<super::Page<super::PastKey, Xattr>> {
    let sql = "SELECT ino, name, value, began, sum, ended FROM xattrs_past WHERE (ino, name, ended) > ($1, $2, $3) \
               ORDER BY ino, name, ended LIMIT $4";
    super::page::of_past(tx, ("xattrs_past", sql, 5), after, limit, from_row)
}
