//! Reading the past: rows as they were after an operation of their tenant.
//!
//! The tree as of operation N is every present row that began no later, and every past row that began no later and ended
//! after N. Links, times and the parent of a directory are changed in place when its entries change, and so is the ctime of
//! what gets another name: rows of the past have these as they were when the row ended.

use super::cache::Place;
use super::pending::Known;
use super::store::Store;
use super::{Entry, Node, Xattr, batch, entry, node, xattr};
use crate::core::{Error, Ino, Kind, Op, Result, TenantId, Time};
use crate::db::{Param, Row, Tx};
use std::collections::{HashMap, HashSet};
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

/// The same row of each of several nodes.
const NODES: &str = "SELECT p.ino, p.tenant, p.kind, p.mode, p.uid, p.gid, p.nlink, p.size, p.rdev, p.atime, p.mtime, p.ctime, \
    p.btime, p.content, p.version, p.parent, p.began, p.sum FROM asked CROSS JOIN nodes p WHERE p.ino = asked.ino AND p.began <= $1 \
    UNION ALL SELECT p.ino, p.tenant, p.kind, p.mode, p.uid, p.gid, p.nlink, p.size, p.rdev, p.atime, p.mtime, p.ctime, \
    p.btime, p.content, p.version, p.parent, p.began, p.sum FROM asked CROSS JOIN nodes_past p WHERE p.ino = asked.ino \
    AND p.ended = (SELECT MIN(n.ended) FROM nodes_past n WHERE n.ino = asked.ino AND n.ended > $1) AND p.began <= $1";

/// Of each of several nodes the state that ended last.
const LAST: &str = "SELECT p.ino, p.tenant, p.kind, p.mode, p.uid, p.gid, p.nlink, p.size, p.rdev, p.atime, p.mtime, p.ctime, \
    p.btime, p.content, p.version, p.parent, p.began, p.sum, p.ended FROM asked CROSS JOIN nodes_past p WHERE p.ino = asked.ino \
    AND p.ended = (SELECT MAX(n.ended) FROM nodes_past n WHERE n.ino = asked.ino)";

/// Of each the name that ended last; where several did, one of them comes last.
const LAST_NAMES: &str = "SELECT e.parent, e.name, e.ino, e.cookie, e.began, e.sum FROM asked CROSS JOIN entries_past e \
    WHERE e.ino = asked.ino AND e.ended = (SELECT MAX(n.ended) FROM entries_past n WHERE n.ino = asked.ino) ORDER BY 1, 2";

/// The attributes that each had when its state ended last.
const LAST_XATTRS: &str = ", gone (ino, ended) AS \
    (SELECT asked.ino, (SELECT MAX(n.ended) FROM nodes_past n WHERE n.ino = asked.ino) FROM asked) \
    SELECT x.ino, x.name, x.value, x.began, x.sum FROM gone CROSS JOIN xattrs x WHERE x.ino = gone.ino AND x.began < gone.ended \
    UNION ALL SELECT x.ino, x.name, x.value, x.began, x.sum FROM gone CROSS JOIN xattrs_past x \
    WHERE x.ino = gone.ino AND x.began < gone.ended AND x.ended >= gone.ended ORDER BY 1, 2";

/// Names in a directory that have ended since, up to a cookie.
const ENDED: &str = "SELECT parent, name, ino, cookie, began, sum FROM entries_past \
    WHERE parent = $1 AND began <= $2 AND ended > $2 AND cookie > $3 AND cookie <= $4 ORDER BY cookie LIMIT $5";

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
        let (mut page, mut changed) = (Vec::new(), Vec::new());
        for row in &tx.query(LIST, &params)? {
            let entry = entry::from_row(row)?;
            let node = match row.opt_uint(6)? {
                Some(_) => Some(Arc::new(node::from_row(row, 6)?)),
                None => None,
            };
            if node.is_none() {
                changed.push(entry.ino);
            }
            page.push((Arc::new(entry), node));
        }
        let then = nodes_at(&mut *tx, &changed, at)?;
        let whole = |(entry, node): (Arc<Entry>, Option<_>)| {
            let node = node.or_else(|| then.get(&entry.ino).cloned());
            let node = node.ok_or_else(|| nodeless(&entry))?;
            Ok((entry, node))
        };
        page.into_iter().map(whole).collect()
    }

    /// Names that a directory had after operation `at` and has no more, with cookies between two, in their order: fewer than
    /// `limit` at the end only. Read the present first: what ends meanwhile is in both then, and not in neither.
    pub fn list_ended(
        &self,
        dir: Ino,
        at: Op,
        (after, upto): (u64, u64),
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>> {
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        let params = [
            dir.into(),
            at.into(),
            after.into(),
            upto.into(),
            limit.into(),
        ];
        let rows = self.read()?.query(ENDED, &params)?;
        rows.iter()
            .map(|row| entry::from_row(row).map(Arc::new))
            .collect()
    }

    /// Nodes as they were after operation `at`; fails with `Corrupt` where one was not there.
    pub fn nodes_of_names_at(
        &self,
        names: &[Arc<Entry>],
        at: Op,
    ) -> Result<HashMap<Ino, Arc<Node>>> {
        let of: Vec<_> = names.iter().map(|entry| entry.ino).collect();
        let all = nodes_at(&mut *self.read()?, &of, at)?;
        match names.iter().find(|entry| !all.contains_key(&entry.ino)) {
            Some(entry) => Err(nodeless(entry)),
            None => Ok(all),
        }
    }

    /// Those of some nodes that may have had an attribute after operation `at`: the others had none.
    pub fn with_xattrs_at(&self, of: &[Ino], at: Op) -> Result<HashSet<Ino>> {
        let mut with = HashSet::new();
        let sql = |places: &[String]| {
            let places = places.join(",");
            format!(
                "SELECT ino FROM xattrs WHERE began <= $1 AND ino IN ({places}) \
                 UNION SELECT ino FROM xattrs_past WHERE began <= $1 AND ended > $1 AND ino IN ({places})"
            )
        };
        batch::ask(&mut *self.read()?, &[at.into()], of, sql, |row| {
            with.insert(Ino(row.uint(0)?));
            Ok(())
        })?;
        Ok(with)
    }

    /// The last that is known of a node; `None` of one that never had a name, or has not lost any.
    pub fn last_of(&self, ino: Ino) -> Result<Option<Last>> {
        Ok(self.last_of_each(&[ino])?.remove(&ino))
    }

    /// The same of several.
    pub fn last_of_each(&self, all: &[Ino]) -> Result<HashMap<Ino, Last>> {
        let mut tx = self.read()?;
        let [state, name, xattrs] = [LAST, LAST_NAMES, LAST_XATTRS]
            .map(|sql| move |places: &[String]| format!("{} {sql}", batch::table(places)));
        let mut names = HashMap::new();
        batch::ask(&mut *tx, &[], all, name, |row| {
            let name = entry::from_row(row)?;
            names.insert(name.ino, name);
            Ok(())
        })?;
        let mut found = HashMap::new();
        batch::ask(&mut *tx, &[], all, state, |row| {
            let node = node::from_row(row, 0)?;
            if let Some(name) = names.remove(&node.ino) {
                let (xattrs, ended) = (Vec::new(), Op(row.uint(18)?));
                let last = Last {
                    node,
                    name,
                    xattrs,
                    ended,
                };
                found.insert(last.node.ino, last);
            }
            Ok(())
        })?;
        batch::ask(&mut *tx, &[], all, xattrs, |row| {
            let xattr = xattr::from_row(row)?;
            if let Some(last) = found.get_mut(&xattr.ino) {
                last.xattrs.push(xattr);
            }
            Ok(())
        })?;
        Ok(found)
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

fn nodes_at(tx: &mut dyn Tx, of: &[Ino], at: Op) -> Result<HashMap<Ino, Arc<Node>>> {
    let mut all = HashMap::new();
    let sql = |places: &[String]| format!("{} {NODES}", batch::table(places));
    batch::ask(tx, &[at.into()], of, sql, |row| {
        let node = node::from_row(row, 0)?;
        all.insert(node.ino, Arc::new(node));
        Ok(())
    })?;
    Ok(all)
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
