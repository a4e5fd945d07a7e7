//! Tenants and the policies of their namespaces.

use super::page::naming;
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
    let read = || {
        Ok(Tenant {
            id: TenantId(row.u32(0)?),
            name: row.text(1)?.to_owned(),
            gid: row.u32(2)?,
            root: Ino(row.uint(3)?),
        })
    };
    naming(("tenants", 2), row, read())
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

/// What a tenant is called once it was deleted.
pub fn buried_name(name: &str, id: TenantId) -> String {
    format!("{name}{GONE}{}", id.0)
}

/// When a tenant was made; `None` where it has no row.
pub fn born(tx: &mut dyn Tx, id: TenantId) -> Result<Option<Time>> {
    let rows = tx.query("SELECT created FROM tenants WHERE id = $1", &[id.into()])?;
    let read = |row: &Row| row.int(0).map(Time);
    let found = rows.first().map(read).transpose();
    found.map_err(|e| e.context(format_args!("row ({}) of table tenants", id.0)))
}

/// The tenants that records of the log are of, whether they have rows or not.
pub fn logged(tx: &mut dyn Tx) -> Result<Vec<TenantId>> {
    let (mut all, mut last) = (Vec::new(), -1);
    let sql = "SELECT tenant FROM log WHERE tenant > $1 ORDER BY tenant LIMIT 1";
    while let Some(row) = tx.query(sql, &[last.into()])?.first() {
        last = row.int(0)?;
        all.push(TenantId(row.u32(0)?));
    }
    Ok(all)
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
    let name = buried_name(&old.name, old.id);
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

/// How many files the tenants have that there are, and the sum of their sizes: what deleted ones had is history.
pub fn files(tx: &mut dyn Tx) -> Result<(u64, u64)> {
    let sql = format!(
        "SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM nodes \
         WHERE kind = 1 AND tenant NOT IN (SELECT id FROM tenants WHERE name LIKE '%{GONE}%')"
    );
    let rows = tx.query(&sql, &[])?;
    rows.first()
        .map_or(Ok((0, 0)), |row| Ok((row.uint(0)?, row.uint(1)?)))
}

/// The deleted tenants whose files were forgotten: their logs have no word after that. Rows of them may be left.
pub fn forgotten(tx: &mut dyn Tx) -> Result<Vec<TenantId>> {
    let sql = format!(
        "SELECT id FROM tenants WHERE name LIKE '%{GONE}%' AND forgot > 0 AND forgot = op ORDER BY id"
    );
    let rows = tx.query(&sql, &[])?;
    rows.iter().map(|row| Ok(TenantId(row.u32(0)?))).collect()
}

/// Up to `limit` nodes of a tenant behind `after`, in their order.
pub fn nodes_of(tx: &mut dyn Tx, tenant: TenantId, after: Ino, limit: u32) -> Result<Vec<Ino>> {
    let sql = "SELECT ino FROM nodes WHERE tenant = $1 AND ino > $2 ORDER BY ino LIMIT $3";
    let rows = tx.query(sql, &[tenant.into(), after.into(), limit.into()])?;
    rows.iter().map(|row| Ok(Ino(row.uint(0)?))).collect()
}

/// Deletes nodes with their names and attributes; what they were is gone already.
pub fn forget_nodes(tx: &mut dyn Tx, nodes: &[Ino]) -> Result<()> {
    for table in ["entries", "xattrs", "drafts", "nodes"] {
        let sql = format!("DELETE FROM {table} WHERE ino = $1");
        for ino in nodes {
            tx.execute(&sql, &[(*ino).into()])?;
        }
    }
    Ok(())
}

/// Deletes the nodes of a tenant, present and past, and its snapshots, as journals of an earlier version say it.
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
    let read = || {
        Ok(Head {
            op: Op(row.uint(0)?),
            hash: Hash::from_slice(row.bytes(1)?)?,
            state: row.int(2)?,
        })
    };
    read().map_err(|e: Error| e.context(format_args!("row ({}) of table tenants", tenant.0)))
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
    let named = |row: &Row| {
        let named = naming(("namespaces", 1), row, read(row));
        named.map_err(|e| e.context(format_args!("tenant {}", tenant.0)))
    };
    tx.query(sql, &[tenant.into()])?.iter().map(named).collect()
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
    let damaged = |e: Error| e.context(format_args!("counter {name:?}, in table counters"));
    rows.first()
        .map_or(Ok(0), |row| row.uint(0).map_err(damaged))
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
