//! Reading the past: rows as they were after an operation of their tenant.
//!
//! The tree as of operation N is every present row that began no later, and every past row that began no later and ended
//! after N. Links, times and the parent of a directory are changed in place when its entries change, and so is the ctime of
//! what gets another name: rows of the past have these as they were when the row ended.

use super::cache::Place;
use super::pending::Known;
use super::store::Store;
use super::{Entry, Node, Xattr, entry, node, xattr};
use crate::core::{Error, Ino, Kind, Op, Result, TenantId, Time};
use crate::db::{Param, Row, Tx};
use std::sync::Arc;

/// One of the rows of a node's life that do not overlap: the present one, or the first that ended after `$2`.
const NODE: &str = "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
    parent, began, sum FROM nodes WHERE ino = $1 AND began <= $2 \
    UNION ALL SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
    parent, began, sum FROM (SELECT * FROM nodes_past WHERE ino = $1 AND ended > $2 ORDER BY ended LIMIT 1) AS next \
    WHERE began <= $2";

const ENTRY: &str = "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE parent = $1 AND name = $2 AND began <= $3 \
    UNION ALL SELECT parent, name, ino, cookie, began, sum FROM \
    (SELECT * FROM entries_past WHERE parent = $1 AND name = $2 AND ended > $3 ORDER BY ended LIMIT 1) AS next \
    WHERE began <= $3";

const NAMES: &str = "SELECT parent, name, ino, cookie, began, sum FROM entries WHERE ino = $1 AND began <= $2 \
    UNION ALL SELECT parent, name, ino, cookie, began, sum FROM entries_past WHERE ino = $1 AND ended > $2 AND began <= $2";

const XATTRS: &str = "SELECT ino, name, value, began, sum FROM xattrs WHERE ino = $1 AND began <= $2 \
    UNION ALL SELECT ino, name, value, began, sum FROM xattrs_past WHERE ino = $1 AND began <= $2 AND ended > $2 ORDER BY 2";

/// Entries with their nodes, where the present rows of these are those of then.
const LIST: &str = "SELECT e.parent, e.name, e.ino, e.cookie, e.began, e.sum, n.ino, n.tenant, n.kind, n.mode, n.uid, n.gid, \
    n.nlink, n.size, n.rdev, n.atime, n.mtime, n.ctime, n.btime, n.content, n.version, n.parent, n.began, n.sum \
    FROM entries e LEFT JOIN nodes n ON n.ino = e.ino AND n.began <= $2 \
    WHERE e.parent = $1 AND e.began <= $2 AND e.cookie > $3 \
    UNION ALL SELECT e.parent, e.name, e.ino, e.cookie, e.began, e.sum, n.ino, n.tenant, n.kind, n.mode, n.uid, n.gid, \
    n.nlink, n.size, n.rdev, n.atime, n.mtime, n.ctime, n.btime, n.content, n.version, n.parent, n.began, n.sum \
    FROM entries_past e LEFT JOIN nodes n ON n.ino = e.ino AND n.began <= $2 \
    WHERE e.parent = $1 AND e.began <= $2 AND e.ended > $2 AND e.cookie > $3 ORDER BY 4 LIMIT $4";

/// The last that is known of a node that is gone.
#[derive(Debug, Clone)]
pub struct Last {
    /// Its state when it went.
    pub node: Node,
    /// The last of its names that went.
    pub name: Entry,
    /// Its attributes then.
    pub xattrs: Vec<Xattr>,
    /// The operation that took it away.
    pub ended: Op,
}

impl Store {
    /// A node as it was after operation `at` of its tenant; `None` when it was not there.
    pub fn node_at(&self, ino: Ino, at: Op) -> Result<Option<Arc<Node>>> {
        let known = self.shared().pending.read().node(ino);
        if let Some(now) = self.still(known, |now| now.began <= at)? {
            return Ok(Some(now));
        }
        let mut tx = self.shared().db.glance()?;
        Ok(node_at(&mut *tx, ino, at)?.map(Arc::new))
    }

    /// What a name stood for after operation `at`.
    pub fn entry_at(&self, place: &Place, at: Op) -> Result<Option<Arc<Entry>>> {
        let known = self.shared().pending.read().entry(place);
        if let Some(now) = self.still(known, |now| now.began <= at)? {
            return Ok(Some(now));
        }
        let mut tx = self.shared().db.glance()?;
        let params = [place.parent.into(), (&place.name).into(), at.into()];
        Ok(one(&mut *tx, ENTRY, &params, entry::from_row)?.map(Arc::new))
    }

    /// What waits for the database, where it was so then already; otherwise the database has all that it takes to know. Of what
    /// nothing waits it has every row.
    fn still<T>(&self, known: Known<T>, was: impl Fn(&T) -> bool) -> Result<Option<Arc<T>>> {
        match known {
            Known::Stored => return Ok(None),
            Known::Is(now) if was(&now) => return Ok(Some(now)),
            Known::Is(_) | Known::Gone => {}
        }
        self.settle()?;
        Ok(None)
    }

    /// The names that a node had after operation `at`; directories had exactly one.
    pub fn names_at(&self, ino: Ino, at: Op) -> Result<Vec<Entry>> {
        let mut tx = self.read()?;
        let rows = tx.query(NAMES, &[ino.into(), at.into()])?;
        rows.iter().map(entry::from_row).collect()
    }

    /// The attributes of a node after operation `at`, by name.
    pub fn xattrs_at(&self, ino: Ino, at: Op) -> Result<Vec<Arc<Xattr>>> {
        if !self.shared().pending.read().xattrs(ino).is_empty() {
            self.settle()?;
        }
        let all = xattrs_at(&mut *self.shared().db.glance()?, ino, at)?;
        Ok(all.into_iter().map(Arc::new).collect())
    }

    /// One page of a directory as it was after operation `at`, in the order of its cookies: fewer than `limit` at the end only.
    pub fn list_at(
        &self,
        dir: Ino,
        at: Op,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(Arc<Entry>, Arc<Node>)>> {
        let mut tx = self.read()?;
        let params = [dir.into(), at.into(), after.into(), limit.into()];
        let rows = tx.query(LIST, &params)?;
        let mut page = Vec::with_capacity(rows.len());
        for row in &rows {
            let entry = entry::from_row(row)?;
            let node = match row.opt_uint(6)? {
                Some(_) => node::from_row(row, 6)?,
                None => node_at(&mut *tx, entry.ino, at)?.ok_or_else(|| nodeless(&entry))?,
            };
            page.push((Arc::new(entry), Arc::new(node)));
        }
        Ok(page)
    }

    /// The last that is known of a node; `None` of one that never had a name, or has not lost any.
    pub fn last_of(&self, ino: Ino) -> Result<Option<Last>> {
        last_of(&mut *self.read()?, ino)
    }

    /// The same of several.
    pub fn last_of_each(&self, all: &[Ino]) -> Result<Vec<Option<Last>>> {
        let mut tx = self.read()?;
        all.iter().map(|ino| last_of(&mut *tx, *ino)).collect()
    }

    /// When an operation was done, or the last before it where the log has no such one.
    pub fn time_of(&self, tenant: TenantId, op: Op) -> Result<Option<(Op, Time)>> {
        let sql =
            "SELECT op, time FROM log WHERE tenant = $1 AND op <= $2 ORDER BY op DESC LIMIT 1";
        let mut tx = self.read()?;
        one(&mut *tx, sql, &[tenant.into(), op.into()], |row| {
            Ok((Op(row.uint(0)?), Time(row.int(1)?)))
        })
    }
}

fn last_of(tx: &mut dyn Tx, ino: Ino) -> Result<Option<Last>> {
    let state = "SELECT ino, tenant, kind, mode, uid, gid, nlink, size, rdev, atime, mtime, ctime, btime, content, version, \
                 parent, began, sum, ended FROM nodes_past WHERE ino = $1 ORDER BY ended DESC LIMIT 1";
    let read = |row: &Row| Ok((node::from_row(row, 0)?, row.uint(18)?));
    let Some((node, ended)) = one(tx, state, &[ino.into()], read)? else {
        return Ok(None);
    };
    let name = "SELECT parent, name, ino, cookie, began, sum FROM entries_past WHERE ino = $1 ORDER BY ended DESC LIMIT 1";
    let Some(name) = one(tx, name, &[ino.into()], entry::from_row)? else {
        return Ok(None);
    };
    let xattrs = xattrs_at(tx, ino, Op(ended.saturating_sub(1)))?;
    Ok(Some(Last {
        node,
        name,
        xattrs,
        ended: Op(ended),
    }))
}

fn nodeless(entry: &Entry) -> Error {
    let message = format!(
        "the past of node {} is damaged: run `nexusctl verify`",
        entry.ino
    );
    Error::new(Kind::Corrupt, message)
}

fn node_at(tx: &mut dyn Tx, ino: Ino, at: Op) -> Result<Option<Node>> {
    let read = |row: &Row| node::from_row(row, 0);
    one(tx, NODE, &[ino.into(), at.into()], read)
}

fn xattrs_at(tx: &mut dyn Tx, ino: Ino, at: Op) -> Result<Vec<Xattr>> {
    let rows = tx.query(XATTRS, &[ino.into(), at.into()])?;
    rows.iter().map(xattr::from_row).collect()
}

fn one<T>(
    tx: &mut dyn Tx,
    sql: &str,
    params: &[Param<'_>],
    read: impl FnOnce(&Row) -> Result<T>,
) -> Result<Option<T>> {
    tx.query(sql, params)?.first().map(read).transpose()
}
