//! Snapshots: names for moments of directories. All that a snapshot holds is in the rows of the past.

use super::page::naming;
use super::sum::{Guarded, Summer};
use crate::core::{Ino, Op, Result, TenantId, Time};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// A name for a directory as an operation left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub tenant: TenantId,
    pub name: String,
    /// The operation that made it: the tree is the one that it left.
    pub op: Op,
    /// The directory that is meant.
    pub ino: Ino,
    /// Who made it.
    pub uid: u32,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub created: Time,
    pub description: Option<String>,
}

impl Guarded for Snapshot {
    fn guard(&self) -> i64 {
        Summer::new("snapshots")
            .int(self.tenant.0.into())
            .bytes(self.name.as_bytes())
            .int(self.op.0)
            .int(self.ino.0)
            .int(self.uid.into())
            .text(self.user.as_deref())
            .text(self.agent.as_deref())
            .time(self.created)
            .text(self.description.as_deref())
            .sum()
    }

    fn what(&self) -> String {
        format!("snapshot {:?}, in table snapshots,", self.name)
    }
}

fn from_row(row: &Row) -> Result<Snapshot> {
    let (found, guard) = naming(("snapshots", 2), row, read(row))?;
    found.guarded_by(guard)
}

fn read(row: &Row) -> Result<(Snapshot, i64)> {
    let owned = |s: Option<&str>| s.map(str::to_owned);
    let found = Snapshot {
        tenant: TenantId(row.u32(0)?),
        name: row.text(1)?.to_owned(),
        op: Op(row.uint(2)?),
        ino: Ino(row.uint(3)?),
        uid: row.u32(4)?,
        user: owned(row.opt_text(5)?),
        agent: owned(row.opt_text(6)?),
        created: Time(row.int(7)?),
        description: owned(row.opt_text(8)?),
    };
    Ok((found, row.int(9)?))
}

/// Every snapshot of every tenant, each with its own verdict.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<Result<Snapshot>>> {
    let sql = "SELECT tenant, name, op, ino, uid, user_name, agent, created, description, sum FROM snapshots";
    Ok(tx.query(sql, &[])?.iter().map(from_row).collect())
}

pub fn put(tx: &mut dyn Tx, s: &Snapshot) -> Result<()> {
    tx.execute(
        "INSERT INTO snapshots (tenant, name, op, ino, uid, user_name, agent, created, description, sum) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
        &[
            s.tenant.into(),
            s.name.as_str().into(),
            s.op.into(),
            s.ino.into(),
            s.uid.into(),
            s.user.as_deref().into(),
            s.agent.as_deref().into(),
            s.created.into(),
            s.description.as_deref().into(),
            s.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete(tx: &mut dyn Tx, tenant: TenantId, name: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM snapshots WHERE tenant = $1 AND name = $2",
        &[tenant.into(), name.into()],
    )?;
    Ok(())
}
