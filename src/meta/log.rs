//! The operation log: append-only, hash-chained, one record an operation.

use super::op_set::OpSet;
use super::sum::Summer;
use crate::core::{Error, Hash, Ino, Kind, Op, Result, TenantId, Time, error::fail, path::show};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};

/// How many of the newest records say how late it is.
const NEWEST: u64 = 4096;
/// How many records one statement reads of operations by their numbers.
const PAGE: u32 = 4096;
/// How many records that nobody wants are read along rather than begin another statement.
const GAP: u64 = 16;

/// What kind of change an operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpKind {
    Init,
    Create,
    Write,
    Truncate,
    Mkdir,
    Mknod,
    Symlink,
    Link,
    Unlink,
    Rmdir,
    Rename,
    Exchange,
    Chmod,
    Chown,
    Times,
    SetXattr,
    RemoveXattr,
    Namespace,
    /// A user of the first version, which had no numbers; also: such a user gets one.
    User,
    UserCreate,
    UserDelete,
    AgentCreate,
    AgentDelete,
    GroupCreate,
    GroupDelete,
    GroupAdd,
    GroupRemove,
    KeyCreate,
    KeyRevoke,
    Grant,
    Revoke,
    SetAcl,
    Restrict,
    /// An administrator was allowed what nothing else allowed him.
    Bypass,
    /// A command was refused to somebody whose it is not to give.
    Refused,
    /// Operations were reversed.
    Undo,
    /// Something was made again what it was.
    Restore,
    /// Types of objects defined, new or anew.
    TypeSet,
    /// A type taken away, with its tuples.
    TypeDelete,
    SnapshotCreate,
    SnapshotDelete,
    /// What lies behind a horizon was forgotten.
    Forget,
    /// Deletions are in the trash no more.
    TrashEmpty,
    /// A tenant was deleted: in its own log, which ends with that, and in that of the default tenant.
    TenantDelete,
    /// Another tenant was made: in the log of the default tenant. Its own begins with `Init`.
    TenantCreate,
}

const KINDS: &[(OpKind, &str)] = &[
    (OpKind::Init, "init"),
    (OpKind::Create, "create"),
    (OpKind::Write, "write"),
    (OpKind::Truncate, "truncate"),
    (OpKind::Mkdir, "mkdir"),
    (OpKind::Mknod, "mknod"),
    (OpKind::Symlink, "symlink"),
    (OpKind::Link, "link"),
    (OpKind::Unlink, "unlink"),
    (OpKind::Rmdir, "rmdir"),
    (OpKind::Rename, "rename"),
    (OpKind::Exchange, "exchange"),
    (OpKind::Chmod, "chmod"),
    (OpKind::Chown, "chown"),
    (OpKind::Times, "times"),
    (OpKind::SetXattr, "setxattr"),
    (OpKind::RemoveXattr, "removexattr"),
    (OpKind::Namespace, "namespace"),
    (OpKind::User, "user"),
    (OpKind::UserCreate, "user-create"),
    (OpKind::UserDelete, "user-delete"),
    (OpKind::AgentCreate, "agent-create"),
    (OpKind::AgentDelete, "agent-delete"),
    (OpKind::GroupCreate, "group-create"),
    (OpKind::GroupDelete, "group-delete"),
    (OpKind::GroupAdd, "group-add"),
    (OpKind::GroupRemove, "group-remove"),
    (OpKind::KeyCreate, "key-create"),
    (OpKind::KeyRevoke, "key-revoke"),
    (OpKind::Grant, "grant"),
    (OpKind::Revoke, "revoke"),
    (OpKind::SetAcl, "setacl"),
    (OpKind::Restrict, "restrict"),
    (OpKind::Bypass, "bypass"),
    (OpKind::Refused, "refused"),
    (OpKind::Undo, "undo"),
    (OpKind::Restore, "restore"),
    (OpKind::TypeSet, "type-set"),
    (OpKind::TypeDelete, "type-delete"),
    (OpKind::SnapshotCreate, "snapshot-create"),
    (OpKind::SnapshotDelete, "snapshot-delete"),
    (OpKind::Forget, "forget"),
    (OpKind::TrashEmpty, "trash-empty"),
    (OpKind::TenantDelete, "tenant-delete"),
    (OpKind::TenantCreate, "tenant-create"),
];

impl OpKind {
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(k, _)| *k == self)
            .map_or("unknown", |(_, n)| n)
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, n)| *n == name).map(|(k, _)| *k)
    }

    /// What the kinds are called.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(_, name)| *name)
    }

    fn from_name(name: &str) -> Result<Self> {
        Self::named(name).ok_or_else(|| {
            Error::new(
                Kind::Corrupt,
                format!("unknown operation kind {name:?} in the log"),
            )
        })
    }
}

/// Who did something, as the log names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub uid: u32,
    pub pid: u32,
    pub comm: String,
}

/// One record: what was done, by whom, and what reverses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub tenant: TenantId,
    pub op: Op,
    pub time: Time,
    pub kind: OpKind,
    pub ino: Ino,
    pub path: Vec<u8>,
    /// Where a rename, an exchange or a hard link went.
    pub path2: Option<Vec<u8>>,
    pub author: Author,
    /// JSON. With the past rows that this operation ended, all it takes to reverse it.
    pub undo: String,
    /// The sum over the tenant's present rows after the operation.
    pub state: i64,
}

impl Record {
    /// The record's hash: over every field and the hash of the record before it.
    pub fn chain(&self, before: &Hash) -> Hash {
        Summer::new("log")
            .bytes(&before.0)
            .int(self.tenant.0.into())
            .int(self.op.0)
            .time(self.time)
            .bytes(self.kind.name().as_bytes())
            .int(self.ino.0)
            .bytes(&self.path)
            .int(u64::from(self.path2.is_some()))
            .bytes(self.path2.as_deref().unwrap_or_default())
            .text(self.author.user.as_deref())
            .text(self.author.agent.as_deref())
            .text(self.author.session.as_deref())
            .int(self.author.uid.into())
            .int(self.author.pid.into())
            .bytes(self.author.comm.as_bytes())
            .bytes(self.undo.as_bytes())
            .int(self.state.cast_unsigned())
            .hash()
    }

    /// Whom an operation on principals or their grants was about, as in `user:alice`; which command was refused.
    pub fn subject(&self) -> Option<String> {
        let grants = matches!(self.kind, OpKind::Grant | OpKind::Revoke);
        (self.path == b"/" || grants).then(|| self.said("subject"))?
    }

    /// Why something was refused, which right only an administrator had, which snapshot came or went, what was forgotten,
    /// how much left the trash, or that a boundary was taken away.
    pub fn note(&self) -> Option<String> {
        let noted = matches!(
            self.kind,
            OpKind::Bypass
                | OpKind::Refused
                | OpKind::SnapshotCreate
                | OpKind::SnapshotDelete
                | OpKind::Forget
                | OpKind::TrashEmpty
        );
        if self.kind == OpKind::Restrict && self.details()["restricted"] == true {
            return Some("taken away".to_owned());
        }
        noted.then(|| self.said("note"))?
    }

    /// What [`Record::undo`] says; nothing where it cannot be read.
    pub fn details(&self) -> serde_json::Value {
        serde_json::from_str(&self.undo).unwrap_or_default()
    }

    /// The operation that was done again, where the record says how often.
    pub fn repeats(&self) -> Option<Op> {
        let may = matches!(self.kind, OpKind::Bypass | OpKind::Refused);
        may.then(|| self.details()["first"].as_u64().map(Op))?
    }

    fn said(&self, key: &str) -> Option<String> {
        Some(self.details().get(key)?.as_str()?.to_owned())
    }

    /// What an operation on relationships was about, where that is no path: `doc:readme`, or the types that were defined.
    pub fn object(&self) -> Option<String> {
        (self.path == b"/").then(|| self.said("object"))?
    }

    pub fn path_text(&self) -> String {
        show(&self.path)
    }
}

pub fn append(tx: &mut dyn Tx, r: &Record, hash: &Hash) -> Result<()> {
    tx.execute(
        "INSERT INTO log (tenant, op, time, kind, ino, path, path2, user_name, agent, session, uid, pid, comm, undo, state, \
         hash) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)",
        &[
            r.tenant.into(),
            r.op.into(),
            r.time.into(),
            r.kind.name().into(),
            r.ino.into(),
            r.path.as_slice().into(),
            r.path2.as_deref().into(),
            r.author.user.as_deref().into(),
            r.author.agent.as_deref().into(),
            r.author.session.as_deref().into(),
            r.author.uid.into(),
            r.author.pid.into(),
            r.author.comm.as_str().into(),
            r.undo.as_str().into(),
            r.state.into(),
            hash.into(),
        ],
    )?;
    Ok(())
}

/// The columns that [`from_row`] reads.
pub(super) const COLUMNS: &str = "tenant, op, time, kind, ino, path, path2, user_name, agent, session, uid, pid, comm, undo, \
                                  state, hash";

pub(super) fn from_row(row: &Row) -> Result<(Record, Hash)> {
    let named = |e: Error| match row.uint(1) {
        Ok(op) => e.context(format_args!("operation {op}, in table log")),
        Err(_) => e.context(row.name_in("log", 2)),
    };
    read(row).map_err(named)
}

fn read(row: &Row) -> Result<(Record, Hash)> {
    let owned = |s: Option<&str>| s.map(str::to_owned);
    let record = Record {
        tenant: TenantId(row.u32(0)?),
        op: Op(row.uint(1)?),
        time: Time(row.int(2)?),
        kind: OpKind::from_name(row.text(3)?)?,
        ino: Ino(row.uint(4)?),
        path: row.bytes(5)?.to_vec(),
        path2: row.opt_bytes(6)?.map(<[u8]>::to_vec),
        author: Author {
            user: owned(row.opt_text(7)?),
            agent: owned(row.opt_text(8)?),
            session: owned(row.opt_text(9)?),
            uid: row.u32(10)?,
            pid: row.u32(11)?,
            comm: row.text(12)?.to_owned(),
        },
        undo: row.text(13)?.to_owned(),
        state: row.int(14)?,
    };
    Ok((record, Hash::from_slice(row.bytes(15)?)?))
}

/// Up to `limit` records after `after`, oldest first, with their hashes. Fails with `Corrupt` where they are not in order.
pub fn after(
    tx: &mut dyn Tx,
    tenant: TenantId,
    after: Op,
    limit: u32,
) -> Result<Vec<(Record, Hash)>> {
    let sql =
        format!("SELECT {COLUMNS} FROM log WHERE tenant = $1 AND op > $2 ORDER BY op LIMIT $3");
    let rows = tx.query(&sql, &[tenant.into(), after.into(), limit.into()])?;
    let found: Vec<_> = rows.iter().map(from_row).collect::<Result<_>>()?;
    // A database whose keys are damaged answers with what was before, and whoever goes on behind that never ends.
    let mut last = after;
    for (record, _) in &found {
        if record.op <= last {
            let message = format!(
                "operation {} stands behind operation {last} in the log",
                record.op
            );
            return fail(Kind::Corrupt, message);
        }
        last = record.op;
    }
    Ok(found)
}

/// Gives those of some operations that the log has to `take`, oldest first: a statement for some thousand that lie close together.
pub fn each(
    tx: &mut dyn Tx,
    tenant: TenantId,
    ops: &OpSet,
    mut take: impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    for (first, last) in ops.runs(GAP) {
        let mut at = Op(first.0.saturating_sub(1));
        while at < last {
            let left = u32::try_from(last.0 - at.0).unwrap_or(PAGE);
            let page = after(tx, tenant, at, left.min(PAGE))?;
            let Some((newest, _)) = page.last() else {
                break;
            };
            at = newest.op;
            for (record, _) in page.into_iter().filter(|(r, _)| ops.has(r.op)) {
                take(record)?;
            }
        }
    }
    Ok(())
}

/// One record with its hash, if the log has it.
pub fn at(tx: &mut dyn Tx, tenant: TenantId, op: Op) -> Result<Option<(Record, Hash)>> {
    let found = after(tx, tenant, Op(op.0.saturating_sub(1)), 1)?;
    Ok(found.into_iter().find(|(record, _)| record.op == op))
}

/// The latest time among the newest records of a log that ends with `head`.
pub fn latest(tx: &mut dyn Tx, tenant: TenantId, head: Op) -> Result<Time> {
    let since = Op(head.0.saturating_sub(NEWEST));
    let sql = "SELECT COALESCE(MAX(time), 0) FROM log WHERE tenant = $1 AND op > $2";
    let rows = tx.query(sql, &[tenant.into(), since.into()])?;
    rows.first()
        .map_or(Ok(Time(0)), |row| Ok(Time(row.int(0)?)))
}

/// The records behind `after`, up to `until`, that may say something about grants, boundaries, groups or types; oldest first.
pub fn of_grants(tx: &mut dyn Tx, tenant: TenantId, after: Op, until: Op) -> Result<Vec<Record>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM log WHERE tenant = $1 AND op > $2 AND op <= $3 AND (kind IN ('grant', 'revoke', \
         'restrict', 'type-set', 'type-delete', 'group-add', 'group-remove', 'user-delete', 'agent-delete', \
         'group-delete') OR undo LIKE '%\"grants\":[{{%' OR undo LIKE '%\"granted\":[{{%' \
         OR undo LIKE '%\"joined\":[{{%' OR undo LIKE '%\"left\":[{{%') ORDER BY op"
    );
    let rows = tx.query(&sql, &[tenant.into(), after.into(), until.into()])?;
    rows.iter().map(|row| Ok(from_row(row)?.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of an earlier version may have to be read: postcard writes fields one after the other, nested or not.
    #[test]
    fn a_record_is_written_down_field_by_field() {
        let owned = |s: &str| Some(s.to_owned());
        let author = Author {
            user: owned("alice"),
            agent: None,
            session: owned("s"),
            uid: 1001,
            pid: 7,
            comm: "vi".to_owned(),
        };
        let record = Record {
            tenant: TenantId(1),
            op: Op(300),
            time: Time(-5),
            kind: OpKind::Rename,
            ino: Ino(17),
            path: b"/f".to_vec(),
            path2: Some(b"/g".to_vec()),
            author,
            undo: "{}".to_owned(),
            state: -9,
        };
        let fields = (
            (1_u32, 300_u64, -5_i64, OpKind::Rename, 17_u64, &b"/f"[..]),
            (Some(&b"/g"[..]), Some("alice"), None::<&str>, Some("s")),
            (1001_u32, 7_u32, "vi", "{}", -9_i64),
        );
        let bytes = |written: postcard::Result<Vec<u8>>| written.unwrap();
        assert_eq!(
            bytes(postcard::to_stdvec(&record)),
            bytes(postcard::to_stdvec(&fields))
        );
    }
}
