//! Saves: what a tool did to have another content at a name, by another file that it puts there. It meant one change by that.
//!
//! `sed -i` writes a new file and renames it over the old one; with a backup, or as vim does it, the old one is renamed away first.
//! To undo only the renames would leave the new file under the name that it was written under, with all that others did to it since.
//! So who chooses a rename chooses the save that it is of. What was made, used or moved by anybody else, by another process, in another
//! directory or long before is no part of one.

use super::ops::OpSet;
use crate::core::{Caller, Ino, Kind, Op, Result, TenantId};
use crate::db::Tx;
use crate::fs::{Engine, Reader};
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::timeline::{self, Spell};
use crate::meta::{Entry, OpKind, Record, log};
use std::collections::{BTreeSet, HashMap};

/// How long after the last change to a new file its rename is of the same save, in nanoseconds.
const SHORTLY: u64 = 60_000_000_000;
/// How many operations of anybody lie between the changes of a save at most, but for the first: a large file is written for long.
const WITHIN: u64 = 10_000;
/// How far from a rename another step of its save is looked for in the log, in operations of anybody.
const NEAR: u32 = 64;
/// How many operations that were not chosen are read over rather than begin another look.
const GAP: u64 = 64;
/// How many records one look at the log reads, and of how many renames the nodes are looked up together.
const PAGE: u32 = 500;

/// What belongs to the saves that renames among some operations are of and is not among them, where the caller may read all of it.
/// A save that began behind the horizon is none any more. Costs what the operations cost.
pub fn saves(engine: &Engine, caller: &Caller, ops: &OpSet) -> Result<OpSet> {
    let stranger = || caller.stranger(Kind::NotFound);
    let tenant = caller.tenant.ok_or_else(stranger)?;
    let search = Search {
        ops,
        oldest: engine.horizon(tenant)?.oldest(),
    };
    let mut reader = Reader::new(engine, caller)?;
    let mut more = OpSet::default();
    for span in ops.runs(GAP) {
        let mut at = Cursor::After(Op(span.0.0.saturating_sub(1)));
        loop {
            let mut tx = engine.store().read()?;
            let renames = renames(&mut *tx, tenant, (at, span.1))?;
            let is_last = renames.len() < PAGE as usize;
            at = renames.last().map_or(at, |last| at.moved(last.op));
            let found = search.saves(&mut *tx, &renames)?;
            drop(tx);
            for save in found {
                let mut may_read = true;
                for record in &save {
                    may_read = may_read && reader.may_read(record)?;
                }
                if may_read {
                    more.join(&save.iter().map(|record| record.op).collect());
                }
            }
            if is_last {
                break;
            }
        }
    }
    more.leave_out(ops);
    Ok(more)
}

fn renames(tx: &mut dyn Tx, tenant: TenantId, (at, upto): (Cursor, Op)) -> Result<Vec<Record>> {
    let query = Query {
        kinds: vec![OpKind::Rename],
        last: Some(upto),
        ..Query::default()
    };
    let found = page(tx, tenant, &query, at, PAGE)?;
    Ok(found.into_iter().map(|(record, _)| record).collect())
}

struct Search<'a> {
    ops: &'a OpSet,
    /// Behind this nothing can be undone.
    oldest: Op,
}

/// What happened to some nodes.
#[derive(Default)]
struct Lives {
    /// The operations that changed each, gave it a name or took one.
    ops: HashMap<Ino, BTreeSet<Op>>,
    names: HashMap<Ino, Vec<Spell<Entry>>>,
}

impl Search<'_> {
    /// The saves that some renames are of, as far as they were chosen, each with all of its records but the rename.
    fn saves(&self, tx: &mut dyn Tx, renames: &[Record]) -> Result<Vec<Vec<Record>>> {
        let in_one = |r: &&Record| self.ops.has(r.op) && is_in_one_directory(r);
        let renames: Vec<_> = renames.iter().filter(in_one).collect();
        let Some(first) = renames.first() else {
            return Ok(Vec::new());
        };
        let since = Op(first.op.0.saturating_sub(WITHIN));
        let nodes: BTreeSet<_> = renames.iter().map(|r| r.ino).collect();
        let lives = Lives::read(tx, &nodes.into_iter().collect::<Vec<_>>(), since)?;
        let mut found = Vec::new();
        for rename in renames {
            found.extend(match self.arrival(tx, rename, &lives)? {
                None => self.departure(tx, rename, &lives)?,
                save => save,
            });
        }
        Ok(found)
    }

    /// The save whose new file a rename brought to its name.
    fn arrival(
        &self,
        tx: &mut dyn Tx,
        rename: &Record,
        lives: &Lives,
    ) -> Result<Option<Vec<Record>>> {
        let own = lives.ops.get(&rename.ino).into_iter().flatten();
        let own: OpSet = own.copied().filter(|op| *op < rename.op).collect();
        let is_kept = own.first().is_some_and(|first| first >= self.oldest);
        if !is_kept || own.iter().all(|op| self.ops.has(op)) {
            return Ok(None);
        }
        let mut made = Vec::new();
        log::each(tx, rename.tenant, &own, |record| {
            made.push(record);
            Ok(())
        })?;
        let is_whole = made.len() == own.len();
        let is_new = made.first().is_some_and(|r| r.kind == OpKind::Create);
        let is_it = |r: &Record| is_making(r, rename, &rename.path) && r.ino == rename.ino;
        let is_soon = made.last().is_some_and(|last| is_soon(last, rename));
        if !is_whole || !is_new || !is_soon || !made.iter().all(is_it) {
            return Ok(None);
        }
        if rename.details()["replaced"].is_u64() {
            return Ok(Some(made));
        }
        // A name that nobody had is given, and the file is no other version of anything.
        let before = Op(rename.op.0.saturating_sub(u64::from(NEAR) + 1));
        let near = log::after(tx, rename.tenant, before, NEAR)?;
        let away = near.into_iter().map(|(record, _)| record).rfind(|r| {
            let is_step = r.op < rename.op && r.op >= self.oldest && is_step(r, rename);
            let is_away = r.kind == OpKind::Rename && is_in_one_directory(r);
            is_step && is_away && Some(&r.path) == rename.path2.as_ref()
        });
        Ok(away.map(|away| {
            made.push(away);
            made
        }))
    }

    /// The save for which a rename took the old file away, until the new one was there.
    fn departure(
        &self,
        tx: &mut dyn Tx,
        rename: &Record,
        lives: &Lives,
    ) -> Result<Option<Vec<Record>>> {
        let mut names = lives.names.get(&rename.ino).into_iter().flatten();
        let beside = names.find(|name| name.state.began == rename.op);
        let ended = beside.and_then(|name| name.ended);
        let near = |op: &Op| op.0 - rename.op.0 <= u64::from(NEAR) && !self.ops.has(*op);
        let Some(ended) = ended.filter(near) else {
            return Ok(None);
        };
        let behind = log::after(tx, rename.tenant, rename.op, NEAR)?;
        let behind = behind.into_iter().map(|(record, _)| record);
        let steps = behind.filter(|r| r.op <= ended && is_step(r, rename));
        let mut steps: Vec<_> = steps.collect();
        let is_it = |r: &Record| r.kind == OpKind::Unlink && r.ino == rename.ino;
        let Some(removed) = steps.pop().filter(|r| r.op == ended && is_it(r)) else {
            return Ok(None);
        };
        let new = steps
            .iter()
            .find(|r| r.kind == OpKind::Create && r.path == rename.path);
        let Some(new) = new.map(|r| r.ino) else {
            return Ok(None);
        };
        let mut made = steps;
        made.retain(|r| r.ino == new && is_making(r, rename, &rename.path));
        made.push(removed);
        Ok(Some(made))
    }
}

impl Lives {
    fn read(tx: &mut dyn Tx, nodes: &[Ino], since: Op) -> Result<Self> {
        let mut lives = Self::default();
        for Spell { state, .. } in timeline::nodes(tx, nodes, since)? {
            lives.note(state.ino, state.began, None);
        }
        for Spell { state, ended } in timeline::xattrs(tx, nodes, since)? {
            lives.note(state.ino, state.began, ended);
        }
        for name in timeline::names(tx, nodes, since)? {
            lives.note(name.state.ino, name.state.began, name.ended);
            lives.names.entry(name.state.ino).or_default().push(name);
        }
        Ok(lives)
    }

    fn note(&mut self, ino: Ino, began: Op, ended: Option<Op>) {
        let ops = self.ops.entry(ino).or_default();
        ops.extend([Some(began), ended].into_iter().flatten());
    }
}

/// Whether a rename left its directory as full as it was.
fn is_in_one_directory(rename: &Record) -> bool {
    let dir = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/');
    rename.path2.as_ref().is_some_and(|to| {
        let (old, new) = (dir(&rename.path), dir(to));
        old.map(|end| &rename.path[..end]) == new.map(|end| &to[..end])
    })
}

/// Whether the same process did two things, one soon after the other.
pub(super) fn is_step(one: &Record, other: &Record) -> bool {
    one.author == other.author && is_soon(one, other)
}

fn is_soon(one: &Record, other: &Record) -> bool {
    one.time.0.abs_diff(other.time.0) <= SHORTLY
}

/// Whether a record is of making a file at a path, by whoever renamed.
fn is_making(record: &Record, rename: &Record, path: &[u8]) -> bool {
    use OpKind as K;
    let makes = matches!(
        record.kind,
        K::Create
            | K::Write
            | K::Truncate
            | K::Chmod
            | K::Chown
            | K::Times
            | K::SetXattr
            | K::RemoveXattr
            | K::SetAcl
    );
    makes && record.author == rename.author && record.path == path
}
