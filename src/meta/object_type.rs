//! Types of objects that a tenant has defined, beside files, users, agents and groups.

use super::page::naming;
use super::sum::{Guarded, Summer};
use crate::core::{Result, TenantId, Time};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// A type and what its relations mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectType {
    pub id: u64,
    pub tenant: TenantId,
    pub name: String,
    /// JSON, as `access::rebac::TypeDef` writes it.
    pub definition: String,
    pub created: Time,
    pub updated: Time,
}

impl Guarded for ObjectType {
    fn guard(&self) -> i64 {
        Summer::new("object_types")
            .int(self.id)
            .int(self.tenant.0.into())
            .bytes(self.name.as_bytes())
            .bytes(self.definition.as_bytes())
            .time(self.created)
            .time(self.updated)
            .sum()
    }

    fn what(&self) -> String {
        format!("type {:?}, in table object_types,", self.name)
    }
}

fn from_row(row: &Row) -> Result<ObjectType> {
    let (found, guard) = naming(("object_types", 3), row, read(row))?;
    found.guarded_by(guard)
}

fn read(row: &Row) -> Result<(ObjectType, i64)> {
    let found = ObjectType {
        id: row.uint(0)?,
        tenant: TenantId(row.u32(1)?),
        name: row.text(2)?.to_owned(),
        definition: row.text(3)?.to_owned(),
        created: Time(row.int(4)?),
        updated: Time(row.int(5)?),
    };
    Ok((found, row.int(6)?))
}

/// Every type of every tenant, each with its own verdict.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<Result<ObjectType>>> {
    let sql =
        "SELECT id, tenant, name, definition, created, updated, sum FROM object_types ORDER BY id";
    Ok(tx.query(sql, &[])?.iter().map(from_row).collect())
}

pub fn put(tx: &mut dyn Tx, t: &ObjectType) -> Result<()> {
    tx.execute(
        "INSERT INTO object_types (id, tenant, name, definition, created, updated, sum) VALUES ($1,$2,$3,$4,$5,$6,$7) \
         ON CONFLICT (id) DO UPDATE SET definition=excluded.definition, updated=excluded.updated, sum=excluded.sum",
        &[
            t.id.into(),
            t.tenant.into(),
            t.name.as_str().into(),
            t.definition.as_str().into(),
            t.created.into(),
            t.updated.into(),
            t.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete(tx: &mut dyn Tx, id: u64) -> Result<()> {
    tx.execute("DELETE FROM object_types WHERE id = $1", &[id.into()])?;
    Ok(())
}
