//! Whether what the log tells of is there: each operation has left the rows that began or ended with it.
//!
//! `lineage` goes from rows to the log, and misses nothing of a row that is gone with all that followed it. Behind the horizon
//! rows are missing rightly, but those that a snapshot shows: there it takes both ends of a state to know, and what a large undo
//! began or ended there is not known one by one. Costs two or three look-ups by key an operation.

mod trace;

use self::trace::{Did, Trace, What};
use super::check::Report;
use crate::core::{Ino, Op, Result, path::show};
use crate::db::Tx;
use crate::meta::{Horizon, OpKind, OpSet, Record, Tenant, log, xattr};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// That a row is of the name that the third parameter says.
const NAMED: &str = "AND name = $3";

impl What {
    /// The table, and the column that tells several of a node apart.
    fn table(&self) -> (&'static str, &'static str) {
        match self {
            Self::State => ("nodes", "ino"),
            Self::Name(_) => ("entries", "name"),
            Self::Attribute(_) => ("xattrs", "name"),
        }
    }

    /// Whether the row that began with an operation is there, in the present or in the past.
    fn has_begun(&self, tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
        self.is_found(tx, Self::begun, ino, op)
    }

    /// Whether the row that ended with an operation is there.
    fn has_ended(&self, tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
        self.is_found(tx, Self::ended, ino, op)
    }

    /// Looks for the row that began with an operation. The past has rows by their ends: of what is one thing the one that is looked
    /// for is the first that ended later, however many there are.
    fn begun(&self, named: &str) -> String {
        let (table, column) = self.table();
        format!(
            "SELECT {column} FROM {table} WHERE ino = $1 AND began = $2 {named} \
             UNION ALL SELECT {column} FROM (SELECT {column} FROM {table}_past \
             WHERE ino = $1 AND ended >= $2 AND began = $2 {named} ORDER BY ended LIMIT 1) AS past"
        )
    }

    fn ended(&self, named: &str) -> String {
        let (table, column) = self.table();
        format!("SELECT {column} FROM {table}_past WHERE ino = $1 AND ended = $2 {named}")
    }

    fn is_found(
        &self,
        tx: &mut dyn Tx,
        sql: impl Fn(&Self, &str) -> String,
        ino: Ino,
        op: Op,
    ) -> Result<bool> {
        let is_named = |tx: &mut dyn Tx, name: &[u8]| -> Result<bool> {
            let sql = sql(self, NAMED);
            let params = [ino.into(), op.into(), name.into()];
            Ok(!tx.query(&sql, &params)?.is_empty())
        };
        match self {
            Self::State => {
                let params = [ino.into(), op.into()];
                Ok(!tx.query(&sql(self, ""), &params)?.is_empty())
            }
            Self::Name(name) => is_named(tx, name),
            Self::Attribute(shown) if is_named(tx, shown.as_bytes())? => Ok(true),
            // The log has it otherwise than it is, or it is not there.
            Self::Attribute(shown) => {
                let all = "SELECT name FROM xattrs WHERE ino = $1 \
                           UNION SELECT name FROM xattrs_past WHERE ino = $1";
                for row in tx.query(all, &[ino.into()])? {
                    let name = row.bytes(0)?;
                    if show(name) == *shown && is_named(tx, name)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("the state"),
            Self::Name(name) => write!(f, "the name {:?}", show(name)),
            Self::Attribute(shown) => write!(f, "the attribute {shown:?}"),
        }
    }
}

/// Whether a name of a node, whichever, ended with an operation.
pub(super) fn lost_a_name(tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
    let sql = "SELECT 1 FROM entries_past WHERE ino = $1 AND ended = $2 LIMIT 1";
    Ok(!tx.query(sql, &[ino.into(), op.into()])?.is_empty())
}

/// A walk along the log of a tenant that looks for what each operation left.
pub(super) struct Traces<'a> {
    of: &'a Tenant,
    horizon: Horizon,
    /// What began behind the horizon, and with which operation, while the walk is there.
    held: HashMap<Ino, Vec<(What, Op)>>,
    /// Nodes that went behind the horizon, and of which a snapshot shows something.
    shown: HashSet<Ino>,
}

impl<'a> Traces<'a> {
    pub(super) fn new(of: &'a Tenant, horizon: Option<&Horizon>) -> Self {
        Self {
            of,
            horizon: horizon.cloned().unwrap_or_default(),
            held: HashMap::new(),
            shown: HashSet::new(),
        }
    }

    /// Looks for the traces of the next operation.
    pub(super) fn verify(
        &mut self,
        tx: &mut dyn Tx,
        record: &Record,
        report: &mut Report,
    ) -> Result<()> {
        let is_behind = record.op <= self.horizon.upto;
        if !is_behind {
            self.verify_held(tx, report)?;
        }
        // A tenant that is gone is forgotten whole, with what stood at the end.
        let is_end = record.kind == OpKind::TenantDelete && self.of.is_gone();
        if is_end && record.op == self.horizon.upto {
            self.held.clear();
        }
        let said = record.details();
        let is_of_many = matches!(record.kind, OpKind::Undo | OpKind::Restore);
        let traces = match told(&said["rows"]["each"]) {
            Some(each) if is_of_many => each,
            _ if is_of_many => return self.verify_many(tx, record, &said, report),
            _ => left_by(tx, record, &said)?,
        };
        for trace in traces {
            if is_behind {
                self.verify_behind(tx, record, &trace, report)?;
                continue;
            }
            let (ino, op) = (trace.ino, record.op);
            if trace.did != Did::Began && !trace.what.has_ended(tx, ino, op)? {
                self.lost(tx, op, (&trace.what, ino), Did::Ended, report)?;
            }
            if trace.did != Did::Ended && !trace.what.has_begun(tx, ino, op)? {
                self.lost(tx, op, (&trace.what, ino), Did::Began, report)?;
            }
        }
        Ok(())
    }

    /// Behind the horizon the row that ended is there only if a snapshot shows it, or if the node went with it and a
    /// snapshot shows any of the node (see `life`). Whether a node went is not certain where another took its name: the row is
    /// known by its beginning.
    fn verify_behind(
        &mut self,
        tx: &mut dyn Tx,
        record: &Record,
        trace: &Trace,
        report: &mut Report,
    ) -> Result<()> {
        let (ino, op) = (trace.ino, record.op);
        let went = trace.what == What::State && trace.did == Did::Ended;
        // With a node its attributes went.
        let ends = |what: &What| *what == trace.what || went && matches!(what, What::Attribute(_));
        let held = self.held.remove(&ino).unwrap_or_default();
        let (ended, mut stay): (Vec<_>, Vec<_>) = held.into_iter().partition(|(w, _)| ends(w));
        if trace.did != Did::Ended {
            stay.push((trace.what.clone(), op));
        }
        if !stay.is_empty() {
            self.held.insert(ino, stay);
        }
        if trace.did == Did::Began {
            return Ok(());
        }
        let is_shown = |since| !self.horizon.hides(since, Some(op));
        let state = ended.iter().find(|(what, _)| *what == What::State);
        if state.is_some_and(|(_, since)| is_shown(*since)) {
            self.shown.insert(ino);
        }
        let is_kept = went && self.shown.contains(&ino) && is_last(tx, ino, op)?;
        for (what, since) in ended {
            let due = is_kept || !self.horizon.hides(since, Some(op));
            if due && !what.has_begun(tx, ino, since)? {
                self.lost(tx, op, (&what, ino), Did::Ended, report)?;
            }
        }
        Ok(())
    }

    /// Takes out of what is held what an operation on many nodes ended: one by one where each row that it ended is there, else
    /// whatever it may have been.
    fn keep_through(&mut self, tx: &mut dyn Tx, op: Op, nodes: &OpSet, said: &Value) -> Result<()> {
        let mut known = Vec::new();
        for table in COUNTED {
            if said["rows"][table][1].as_u64() == Some(count(tx, table, nodes, op)?[1]) {
                known.push(table);
            }
        }
        for ino in nodes.nodes() {
            let mut stay = Vec::new();
            for (what, since) in self.held.remove(&ino).unwrap_or_default() {
                if known.contains(&what.table().0) && !what.has_ended(tx, ino, op)? {
                    stay.push((what, since));
                }
            }
            if !stay.is_empty() {
                self.held.insert(ino, stay);
            }
        }
        Ok(())
    }

    /// At the horizon all is there that has begun and not ended.
    fn verify_held(&mut self, tx: &mut dyn Tx, report: &mut Report) -> Result<()> {
        for (ino, all) in std::mem::take(&mut self.held) {
            for (what, op) in all {
                if !what.has_begun(tx, ino, op)? {
                    self.lost(tx, op, (&what, ino), Did::Began, report)?;
                }
            }
        }
        Ok(())
    }

    /// Of an operation on many nodes the log says how many rows it began and ended.
    fn verify_many(
        &mut self,
        tx: &mut dyn Tx,
        record: &Record,
        said: &Value,
        report: &mut Report,
    ) -> Result<()> {
        let Some(nodes) = report.note(said["nodes"].as_str().unwrap_or_default().parse::<OpSet>())
        else {
            return Ok(());
        };
        if record.op <= self.horizon.upto {
            return self.keep_through(tx, record.op, &nodes, said);
        }
        for table in COUNTED {
            // Earlier versions did not say.
            let Some(told) = said["rows"][table].as_array() else {
                continue;
            };
            let found = count(tx, table, &nodes, record.op)?;
            for ((told, found), did) in told.iter().zip(found).zip(["began", "ended"]) {
                let told = told.as_u64().unwrap_or_default();
                if found < told {
                    let missing = told - found;
                    report.problem(format!(
                        "{} has lost {missing} of {told} rows of {table} that it {did}",
                        self.title(record)
                    ));
                }
            }
        }
        Ok(())
    }

    fn lost(
        &self,
        tx: &mut dyn Tx,
        op: Op,
        (what, ino): (&What, Ino),
        did: Did,
        report: &mut Report,
    ) -> Result<()> {
        if let Some((record, _)) = log::at(tx, self.of.id, op)? {
            let did = if did == Did::Began { "began" } else { "ended" };
            report.problem(format!(
                "{} has lost {what} of node {ino} that it {did}",
                self.title(&record)
            ));
        }
        Ok(())
    }

    fn title(&self, record: &Record) -> String {
        format!(
            "tenant {}: operation {} ({} {})",
            self.of.name,
            record.op,
            record.kind.name(),
            record.path_text()
        )
    }
}

/// The tables whose rows operations on many nodes count.
const COUNTED: [&str; 3] = ["nodes", "entries", "xattrs"];

/// How many rows of some nodes began and ended with an operation.
fn count(tx: &mut dyn Tx, table: &str, nodes: &OpSet, op: Op) -> Result<[u64; 2]> {
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM {table} WHERE ino = $1 AND began = $2) \
         + (SELECT COUNT(*) FROM {table}_past WHERE ino = $1 AND began = $2 AND ended >= $2), \
         (SELECT COUNT(*) FROM {table}_past WHERE ino = $1 AND ended = $2)"
    );
    let mut sum = [0; 2];
    for ino in nodes.nodes() {
        for row in tx.query(&sql, &[ino.into(), op.into()])? {
            sum = [sum[0] + row.uint(0)?, sum[1] + row.uint(1)?];
        }
    }
    Ok(sum)
}

/// What an operation on a few of many nodes says that it leaves; `None` where it says how much alone.
fn told(each: &Value) -> Option<Vec<Trace>> {
    let trace = |row: &Value| {
        let (ino, name) = (Ino(row[1].as_u64()?), row[2].as_str().unwrap_or_default());
        let did = match row[3].as_str()? {
            "began" => Did::Began,
            _ => Did::Ended,
        };
        Some(match row[0].as_str()? {
            "nodes" => Trace::state(ino, did),
            "entries" => Trace::name(ino, name.as_bytes(), did),
            _ => Trace::attribute(ino, name, did),
        })
    };
    let mut all: Vec<Trace> = each.as_array()?.iter().map(trace).collect::<Option<_>>()?;
    let states = |of: Did| {
        let is_of = move |t: &&Trace| t.what == What::State && t.did == of;
        all.iter()
            .filter(is_of)
            .map(|t| t.ino)
            .collect::<HashSet<_>>()
    };
    // A node that ended and began did not go.
    let (ended, began) = (states(Did::Ended), states(Did::Began));
    for trace in all.iter_mut().filter(|t| t.what == What::State) {
        if ended.contains(&trace.ino) && began.contains(&trace.ino) {
            trace.did = Did::Replaced;
        }
    }
    Some(all)
}

/// What an operation leaves for certain.
fn left_by(tx: &mut dyn Tx, record: &Record, said: &Value) -> Result<Vec<Trace>> {
    use Did::{Began, Ended, Replaced};
    let (ino, path) = (record.ino, &*record.path);
    let path2 = record.path2.as_deref().unwrap_or_default();
    let named = said["name"].as_str().unwrap_or_default();
    let mut all = match record.kind {
        OpKind::Init => vec![Trace::state(ino, Began)],
        OpKind::Create | OpKind::Mkdir | OpKind::Mknod | OpKind::Symlink => {
            vec![Trace::state(ino, Began), Trace::name(ino, path, Began)]
        }
        OpKind::Write
        | OpKind::Truncate
        | OpKind::Chmod
        | OpKind::Chown
        | OpKind::Times
        | OpKind::SetAcl => vec![Trace::state(ino, Replaced)],
        OpKind::Link => vec![Trace::name(ino, path2, Began)],
        OpKind::Unlink if said["links"].as_u64() != Some(1) => vec![Trace::name(ino, path, Ended)],
        OpKind::Unlink | OpKind::Rmdir => {
            vec![Trace::name(ino, path, Ended), Trace::state(ino, Ended)]
        }
        OpKind::Rename | OpKind::Exchange => {
            vec![
                Trace::name(ino, path, Ended),
                Trace::name(ino, path2, Began),
            ]
        }
        OpKind::SetXattr if said["existed"].as_bool() == Some(true) => {
            vec![Trace::attribute(ino, named, Replaced)]
        }
        OpKind::SetXattr => vec![Trace::attribute(ino, named, Began)],
        OpKind::RemoveXattr => vec![Trace::attribute(ino, named, Ended)],
        OpKind::Restrict => {
            let did = if said["restricted"].as_bool() == Some(true) {
                Ended
            } else {
                Began
            };
            vec![Trace::attribute(ino, &show(xattr::RESTRICTED), did)]
        }
        _ => Vec::new(),
    };
    let lists = match (said["lists"].as_str(), &said["acls"]) {
        (Some("new"), Value::Null) => Some(Began),
        (Some("new"), _) => Some(Replaced),
        (Some("gone"), _) => Some(Ended),
        // They stayed, or an earlier version did not say.
        _ => None,
    };
    if record.kind == OpKind::Rename && said["mode"].is_string() {
        all.push(Trace::state(ino, Replaced));
    }
    all.extend(lists.map(|did| Trace::attribute(ino, &show(xattr::ACLS), did)));
    if let Some(other) = said["with"].as_u64().map(Ino) {
        all.push(Trace::name(other, path2, Ended));
        all.push(Trace::name(other, path, Began));
    }
    // The same word of a grant is about others of its kind.
    if let Some(victim) = said["replaced"].as_u64().map(Ino) {
        all.push(Trace::name(victim, path2, Ended));
        if !lives_on(tx, victim, record.op)? {
            all.push(Trace::state(victim, Ended));
        }
    }
    Ok(all)
}

/// Whether a node had names left after an operation that took one from it.
fn lives_on(tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
    let sql = "SELECT 1 FROM entries WHERE ino = $1 AND began <= $2 \
               UNION ALL SELECT 1 FROM entries_past WHERE ino = $1 AND began <= $2 AND ended > $2 LIMIT 1";
    Ok(!tx.query(sql, &[ino.into(), op.into()])?.is_empty())
}

/// Whether nothing is known of a node after an operation.
fn is_last(tx: &mut dyn Tx, ino: Ino, op: Op) -> Result<bool> {
    let sql = "SELECT 1 FROM nodes WHERE ino = $1 AND $2 >= 0 \
               UNION ALL SELECT 1 FROM nodes_past WHERE ino = $1 AND ended > $2 LIMIT 1";
    Ok(tx.query(sql, &[ino.into(), op.into()])?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::World;

    #[test]
    fn a_row_is_found_by_its_end_however_many_a_node_has() {
        let w = World::new();
        let mut tx = w.engine().store().read().unwrap();
        let (name, shown) = (What::Name(b"n".into()), What::Attribute("user.n".into()));
        for (what, named) in [(What::State, ""), (name, NAMED), (shown, NAMED)] {
            let table = what.table().0;
            for sql in [what.begun(named), what.ended(named)] {
                let (ino, op, name) = (Ino(2).into(), Op(3).into(), b"n".as_slice().into());
                let params = [ino, op, name];
                let params = &params[..2 + usize::from(!named.is_empty())];
                let plan = tx
                    .query(&format!("EXPLAIN QUERY PLAN {sql}"), params)
                    .unwrap();
                let told = plan.iter().map(|row| row.text(3).unwrap());
                let past: Vec<_> = told
                    .filter(|s| s.contains(&format!("{table}_past ")))
                    .collect();
                assert!(past.iter().all(|s| s.contains("ended")), "{sql}: {past:?}");
                assert_eq!(past.len(), 1, "{sql}");
            }
        }
    }
}
