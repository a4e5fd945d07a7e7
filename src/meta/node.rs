//! Nodes: what a file, directory or link is, apart from its names.

use super::batch;
use super::page::naming;
use super::sum::Summer;
use crate::blob::Content;
use crate::core::{Error, Ino, Kind, Op, Result, TenantId, Time, error::fail};
use crate::db::{Param, Row, Tx};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

impl FileKind {
    pub(super) fn code(self) -> u64 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Symlink => 3,
            Self::Fifo => 4,
            Self::Socket => 5,
            Self::CharDevice => 6,
            Self::BlockDevice => 7,
        }
    }

    fn from_code(code: i64) -> Result<Self> {
        Ok(match code {
            1 => Self::File,
            2 => Self::Directory,
            3 => Self::Symlink,
            4 => Self::Fifo,
            5 => Self::Socket,
            6 => Self::CharDevice,
            7 => Self::BlockDevice,
            _ => return fail(Kind::Corrupt, format!("unknown node kind {code}")),
        })
    }

    /// The letter that `ls -l` begins a line with.
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Symlink => 'l',
            Self::Fifo => 'p',
            Self::Socket => 's',
            Self::CharDevice => 'c',
            Self::BlockDevice => 'b',
        }
    }
}

/// A node's attributes and content as of one operation. In this order in memory, too: what decides who may use it comes first
/// and fills one cache line, and a listing that hides names reads that of many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Node {
    pub ino: Ino,
    /// The directory that it is in; `Ino(0)` for a root, and where names have to be asked: for what has several names or had, and
    /// for what older versions made.
    pub parent: Ino,
    pub tenant: TenantId,
    /// Permission, set-id and sticky bits: `0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub kind: FileKind,
    /// Bytes of a file, or of a link's target; 0 for everything else.
    pub size: u64,
    pub rdev: u32,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    pub btime: Time,
    pub content: Content,
    /// Counts completed changes of the content, from 1.
    pub version: u64,
    /// The operation that made this state.
    pub began: Op,
    /// Bytes not in holes, of a file that is being written; `None` where the content tells. In no row.
    pub writing: Option<u64>,
}

/// A node in a record of the journal, whose order stays as it is.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Node")]
struct NodeRecord {
    ino: Ino,
    tenant: TenantId,
    kind: FileKind,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    size: u64,
    rdev: u32,
    atime: Time,
    mtime: Time,
    ctime: Time,
    btime: Time,
    content: Content,
    version: u64,
    parent: Ino,
    began: Op,
    writing: Option<u64>,
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        NodeRecord::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        NodeRecord::deserialize(from)
    }
}

impl Node {
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Counts the bytes that are not in holes.
    pub fn held(&self) -> u64 {
        self.writing.unwrap_or(match &self.content {
            // What has no content of its own is computed, or has no bytes.
            Content::Empty => self.size,
            stored => stored.held(),
        })
    }

    /// Whether a seal may find another count than [`Node::held`] gives now: holes are about.
    pub fn held_is_estimate(&self) -> bool {
        let holes_below = self.content.held() < self.content.size();
        self.writing
            .is_some_and(|held| held < self.size || holes_below)
    }

    /// The row's guard. `atime` is not in it: it changes without an operation.
    pub fn sum(&self) -> i64 {
        Summer::new("nodes")
            .int(self.ino.0)
            .int(self.tenant.0.into())
            .int(self.kind.code())
            .int(self.mode.into())
            .int(self.uid.into())
            .int(self.gid.into())
            .int(self.nlink.into())
            .int(self.size)
            .int(self.rdev.into())
            .time(self.mtime)
            .time(self.ctime)
            .time(self.btime)
            .bytes(&self.content.encode())
            .int(self.version)
            .int(self.parent.0)
            .int(self.began.0)
            .sum()
    }
}

/// Reads a node from the columns of `nodes`, in their order, starting at `at`; fails with `Corrupt` when the row's guard does not fit.
pub fn from_row(row: &Row, at: usize) -> Result<Node> {
    let node = Node {
        ino: Ino(row.uint(at)?),
        tenant: TenantId(row.u32(at + 1)?),
        kind: FileKind::from_code(row.int(at + 2)?)?,
        mode: row.u32(at + 3)?,
        uid: row.u32(at + 4)?,
        gid: row.u32(at + 5)?,
        nlink: row.u32(at + 6)?,
        size: row.uint(at + 7)?,
        rdev: row.u32(at + 8)?,
        atime: Time(row.int(at + 9)?),
        mtime: Time(row.int(at + 10)?),
        ctime: Time(row.int(at + 11)?),
        btime: Time(row.int(at + 12)?),
        content: Content::decode(row.bytes(at + 13)?)?,
        version: row.uint(at + 14)?,
        parent: Ino(row.uint(at + 15)?),
        began: Op(row.uint(at + 16)?),
        writing: None,
    };
    if node.sum() != row.int(at + 17)? {
        return Err(damaged(node.ino));
    }
    Ok(node)
}

fn damaged(ino: Ino) -> Error {
    Error::new(
        Kind::Corrupt,
        format!("the row of node {ino} is damaged: run `nexusctl verify`"),
    )
}

pub fn get(tx: &mut dyn Tx, ino: Ino) -> Result<Option<Node>> {
    let rows = tx.query(
        "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
         parent, began, sum FROM nodes WHERE ino = $1",
        &[ino.into()],
    )?;
    rows.first().map(|row| from_row(row, 0)).transpose()
}

/// Gives those of some nodes that are there to `take`.
pub fn each(tx: &mut dyn Tx, of: &[Ino], mut take: impl FnMut(Node)) -> Result<()> {
    let sql = |places: &[String]| {
        format!(
            "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
             parent, began, sum FROM nodes WHERE ino IN ({})",
            places.join(",")
        )
    };
    batch::ask(tx, &[], of, sql, |row| {
        take(from_row(row, 0)?);
        Ok(())
    })
}

/// The values of a row, in the order of the columns.
fn values<'a>(node: &Node, content: &'a [u8]) -> [Param<'a>; 18] {
    [
        node.ino.into(),
        node.tenant.into(),
        node.kind.code().into(),
        node.mode.into(),
        node.uid.into(),
        node.gid.into(),
        node.nlink.into(),
        node.size.into(),
        node.rdev.into(),
        node.atime.into(),
        node.mtime.into(),
        node.ctime.into(),
        node.btime.into(),
        content.into(),
        node.version.into(),
        node.parent.into(),
        node.began.into(),
        node.sum().into(),
    ]
}

/// Writes the present row of a node, new or changed.
pub fn put(tx: &mut dyn Tx, node: &Node) -> Result<()> {
    tx.execute(
        "INSERT INTO nodes (ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
         parent, began, sum) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18) \
         ON CONFLICT (ino) DO UPDATE SET mode=excluded.mode, uid=excluded.uid, gid=excluded.gid, nlink=excluded.nlink, \
         size=excluded.size, atime=excluded.atime, mtime=excluded.mtime, ctime=excluded.ctime, content=excluded.content, \
         version=excluded.version, parent=excluded.parent, began=excluded.began, sum=excluded.sum",
        &values(node, &node.content.encode()),
    )?;
    Ok(())
}

/// Keeps a former state of a node in the past, as it was until `ended`.
pub fn put_past(tx: &mut dyn Tx, node: &Node, ended: Op) -> Result<()> {
    let content = node.content.encode();
    let mut row = Vec::from(values(node, &content));
    row.push(ended.into());
    tx.execute(
        "INSERT INTO nodes_past (ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, \
         version, parent, began, sum, ended) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)",
        &row,
    )?;
    Ok(())
}

/// Sets the access time, which no guard is over.
pub fn set_atime(tx: &mut dyn Tx, ino: Ino, at: Time) -> Result<()> {
    tx.execute(
        "UPDATE nodes SET atime = $1 WHERE ino = $2",
        &[at.into(), ino.into()],
    )?;
    Ok(())
}

pub fn delete(tx: &mut dyn Tx, ino: Ino) -> Result<()> {
    tx.execute("DELETE FROM nodes WHERE ino = $1", &[ino.into()])?;
    Ok(())
}

/// Which of two like tables: the present or the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tense {
    Present,
    Past,
}

/// How many files a tenant has, and the sum of their sizes in bytes.
pub fn files_of(tx: &mut dyn Tx, tenant: TenantId) -> Result<(u64, u64)> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM nodes \
               WHERE tenant = $1 AND kind = 1";
    let rows = tx.query(sql, &[tenant.into()])?;
    rows.first()
        .map_or(Ok((0, 0)), |row| Ok((row.uint(0)?, row.uint(1)?)))
}

/// One page of every node there is, for checks: rows after `(ino, ended)`, each with its own verdict.
pub fn page(
    tx: &mut dyn Tx,
    of: Tense,
    after: (u64, u64),
    limit: u32,
) -> Result<super::Page<(u64, u64), Node>> {
    let (table, sql) = match of {
        Tense::Present => (
            "nodes",
            "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
             parent, began, sum, 0 FROM nodes WHERE ino > $1 AND $2 >= 0 ORDER BY ino LIMIT $3",
        ),
        Tense::Past => (
            "nodes_past",
            "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
             parent, began, sum, ended FROM nodes_past WHERE (ino, ended) > ($1, $2) ORDER BY ino, ended LIMIT $3",
        ),
    };
    let rows = tx.query(sql, &[after.0.into(), after.1.into(), limit.into()])?;
    let read = |row: &Row| {
        let key = || Ok((row.uint(0)?, row.uint(18)?));
        let of = |read| naming((table, 1), row, read);
        Ok((naming((table, 1), row, key())?, of(from_row(row, 0))))
    };
    rows.iter().map(read).collect()
}
