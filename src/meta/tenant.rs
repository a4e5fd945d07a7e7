//! Tenants and the policies of their namespaces.

use crate::core::{Error, Hash, Ino, Kind, Op, Result, TenantId, Time};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// An isolated customer: one tree, its own users, its own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// The group that stands for everybody in the tenant.
    pub gid: u32,
    pub root: Ino,
}

/// What stands between the name and the number of a tenant that was deleted, in its row: no name has it.
const GONE: char = '#';

impl Tenant {
    /// Whether it was deleted: its row stays, so that its number is never given out again and `verify` finds its log.
    pub fn is_gone(&self) -> bool {
        self.name.contains(GONE)
    }
}

/// The end of a tenant's log: what the next record builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    pub op: Op,
    pub hash: Hash,
    pub state: i64,
}

/// How new entries of a namespace get their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupRule {
    /// The creator's own group, as POSIX has it.
    Keep,
    /// The tenant's group.
    Tenant,
}

impl GroupRule {
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Tenant => "tenant",
        }
    }

    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "keep" => Ok(Self::Keep),
            "tenant" => Ok(Self::Tenant),
            _ => Err(Error::new(
                Kind::Invalid,
                format!("group rule {name:?}: say `keep` or `tenant`"),
            )),
        }
    }
}

/// The settings of one namespace of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub name: String,
    /// Permission bits a new entry may have.
    pub mask: u32,
    pub group: GroupRule,
}

fn tenant_from(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: TenantId(row.u32(0)?),
        name: row.text(1)?.to_owned(),
        gid: row.u32(2)?,
        root: Ino(row.uint(3)?),
    })
}

/// All tenants by number, those that were deleted included.
pub fn tenants(tx: &mut dyn Tx) -> Result<Vec<Tenant>> {
    tx.query("SELECT id, name, gid, root FROM tenants ORDER BY id", &[])?
        .iter()
        .map(tenant_from)
        .collect()
}

pub fn insert_tenant(tx: &mut dyn Tx, t: &Tenant, now: Time) -> Result<()> {
    tx.execute(
        "INSERT INTO tenants (id, name, gid, root, op, hash, state, created) VALUES ($1,$2,$3,$4,0,$5,0,$6)",
        &[
            t.id.into(),
            t.name.as_str().into(),
            t.gid.into(),
            t.root.into(),
            (&Hash([0; 32])).into(),
            now.into(),
        ],
    )?;
    Ok(())
}

/// Deletes a tenant: everything in tables of its own goes, and its name is free. Nodes and log stay.
pub(super) fn bury(tx: &mut dyn Tx, old: &Tenant) -> Result<()> {
    for sql in [
        "DELETE FROM api_keys WHERE tenant = $1",
        "DELETE FROM members WHERE tenant = $1",
        "DELETE FROM tuples WHERE tenant = $1",
        "DELETE FROM object_types WHERE tenant = $1",
        "DELETE FROM agents WHERE tenant = $1",
        "DELETE FROM groups WHERE tenant = $1",
        "DELETE FROM users WHERE tenant = $1",
        "DELETE FROM namespaces WHERE tenant = $1",
    ] {
        tx.execute(sql, &[old.id.into()])?;
    }
    let name = format!("{}{GONE}{}", old.name, old.id.0);
    let sql = "UPDATE tenants SET name = $1 WHERE id = $2";
    tx.execute(sql, &[name.as_str().into(), old.id.into()])?;
    Ok(())
}

/// How much a tenant has in nodes, present and past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// States of nodes.
    pub rows: u64,
    /// Bytes of the contents that files had, each as large as it was.
    pub bytes: u64,
}

pub fn sum(tx: &mut dyn Tx, tenant: TenantId) -> Result<Sum> {
    let sql = "SELECT CAST(COALESCE(SUM(states), 0) AS BIGINT), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM \
               (SELECT content, size, COUNT(*) AS states FROM \
               (SELECT content, size FROM nodes WHERE tenant = $1 \
               UNION ALL SELECT content, size FROM nodes_past WHERE tenant = $1) AS every \
               GROUP BY content, size) AS each_once";
    let rows = tx.query(sql, &[tenant.into()])?;
    rows.first().map_or(Ok(Sum::default()), |row| {
        let (rows, bytes) = (row.uint(0)?, row.uint(1)?);
        Ok(Sum { rows, bytes })
    })
}

/// Deletes the nodes of a tenant, present and past, and its snapshots.
pub(super) fn forget(tx: &mut dyn Tx, tenant: TenantId) -> Result<()> {
    const NODES: &str = "(SELECT ino FROM nodes WHERE tenant = $1 UNION SELECT ino FROM nodes_past WHERE tenant = $1)";
    for table in ["entries", "entries_past", "xattrs", "xattrs_past", "drafts"] {
        let sql = format!("DELETE FROM {table} WHERE ino IN {NODES}");
        tx.execute(&sql, &[tenant.into()])?;
    }
    for table in ["nodes", "nodes_past", "snapshots"] {
        let sql = format!("DELETE FROM {table} WHERE tenant = $1");
        tx.execute(&sql, &[tenant.into()])?;
    }
    Ok(())
}

pub fn head(tx: &mut dyn Tx, tenant: TenantId) -> Result<Head> {
    let rows = tx.query(
        "SELECT op, hash, state FROM tenants WHERE id = $1",
        &[tenant.into()],
    )?;
    head_from(&rows, tenant)
}

fn head_from(rows: &[Row], tenant: TenantId) -> Result<Head> {
    let row = rows
        .first()
        .ok_or_else(|| Error::new(Kind::NotFound, format!("no tenant {}", tenant.0)))?;
    Ok(Head {
        op: Op(row.uint(0)?),
        hash: Hash::from_slice(row.bytes(1)?)?,
        state: row.int(2)?,
    })
}

pub fn set_head(tx: &mut dyn Tx, tenant: TenantId, head: &Head) -> Result<()> {
    tx.execute(
        "UPDATE tenants SET op = $1, hash = $2, state = $3 WHERE id = $4",
        &[
            head.op.into(),
            (&head.hash).into(),
            head.state.into(),
            tenant.into(),
        ],
    )?;
    Ok(())
}

pub fn namespaces(tx: &mut dyn Tx, tenant: TenantId) -> Result<Vec<Namespace>> {
    let sql = "SELECT name, mask, group_of FROM namespaces WHERE tenant = $1 ORDER BY name";
    let read = |row: &Row| {
        let group = GroupRule::from_name(row.text(2)?)?;
        Ok(Namespace {
            name: row.text(0)?.to_owned(),
            mask: row.u32(1)?,
            group,
        })
    };
    tx.query(sql, &[tenant.into()])?.iter().map(read).collect()
}

pub fn put_namespace(tx: &mut dyn Tx, tenant: TenantId, ns: &Namespace) -> Result<()> {
    tx.execute(
        "INSERT INTO namespaces (tenant, name, mask, group_of) VALUES ($1,$2,$3,$4) \
         ON CONFLICT (tenant, name) DO UPDATE SET mask=excluded.mask, group_of=excluded.group_of",
        &[
            tenant.into(),
            ns.name.as_str().into(),
            ns.mask.into(),
            ns.group.name().into(),
        ],
    )?;
    Ok(())
}

/// Reads a counter; 0 when it was never set.
pub fn counter(tx: &mut dyn Tx, name: &str) -> Result<u64> {
    let rows = tx.query("SELECT value FROM counters WHERE name = $1", &[name.into()])?;
    rows.first().map_or(Ok(0), |row| row.uint(0))
}

/// Raises a counter; one that is higher already stays.
pub fn raise_counter(tx: &mut dyn Tx, name: &str, value: u64) -> Result<()> {
    tx.execute(
        "INSERT INTO counters (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value \
         WHERE counters.value < excluded.value",
        &[name.into(), value.into()],
    )?;
    Ok(())
}
