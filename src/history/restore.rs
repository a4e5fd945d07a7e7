//! Restoring: a file, a directory with all below it, or a version of a file, made again what it was.
//!
//! What was moved out of a directory since comes back into it, what was moved into it goes back where it was, what was made in
//! it goes. All of that stays in the past, and one operation undoes it.

use super::effects::{Effects, Rows};
use super::ops::{OpSet, Without};
use super::plan::Plan;
use super::undo::{Answer, Undone, applied};
use crate::access::Right;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Result, error::fail};
use crate::fs::{Engine, Moment, Revision, Title};
use crate::meta::{Entry, Node, OpKind};
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// How many names one look into a directory fetches.
const PAGE: u32 = 1024;

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct Restoring {
    /// As it is called in the log.
    pub path: FsPath,
    /// The node that was there.
    pub node: Ino,
    pub at: Moment,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// The node that a path named at a moment, as far as the caller may see it today.
pub fn named_at(engine: &Engine, caller: &Caller, at: Moment, path: &FsPath) -> Result<Ino> {
    let mut ino = engine.root(caller)?;
    for name in path.names() {
        let found = engine.lookup_at(caller, at, ino, name);
        let found = found.map_err(|e| match e.kind() {
            Kind::NotFound => Error::new(Kind::NotFound, format!("there was no {path} then")),
            _ => e.context(path),
        })?;
        ino = found.ino;
    }
    Ok(ino)
}

/// Makes a node and all that was below it what they were. Takes read permission on it today, and the permissions that the
/// changes take.
pub fn restore(engine: &Engine, caller: &Caller, what: &Restoring) -> Result<Undone> {
    engine.may_at(caller, what.at, what.node, Right::Read)?;
    applied(engine, caller, Answer::Stop, what.dry_run, || {
        // Each time: what is forgotten from here on moves the log on, and what was worked out is not done.
        engine.remembers(what.at)?;
        let concerned = concerned(engine, what)?;
        let mut tx = engine.store().read()?;
        let undone = Without::After(what.at.op);
        let mut rows = Rows::read(&mut *tx, &concerned, undone.first())?;
        rows.keep_name_of(what.node);
        let (effects, of) = (Effects::default(), (engine.blobs(), what.at.tenant));
        let plan = Plan::over(&mut *tx, of, undone, effects, &rows)?;
        drop(tx);
        let title = titled(what, &plan.revision);
        let undone = Undone::of(plan);
        Ok((undone, title))
    })
}

/// Makes the content of a file what it was; mode, owner and attributes stay.
pub fn restore_content(
    engine: &Engine,
    caller: &Caller,
    what: &Restoring,
    old: &Node,
) -> Result<Undone> {
    engine.may_at(caller, what.at, old.ino, Right::Read)?;
    applied(engine, caller, Answer::Stop, what.dry_run, || {
        engine.remembers(what.at)?;
        let now = engine.head(what.at.tenant)?;
        let now = engine.store().node_at(what.node, now)?;
        let Some(now) = now.filter(|n| n.is_file()) else {
            return fail(Kind::NotFound, format!("{} is no file now", what.path));
        };
        let mut revision = Revision::default();
        if now.content != old.content || now.size != old.size {
            revision.changed.push(Node {
                content: old.content.clone(),
                size: old.size,
                mtime: old.mtime,
                ..(*now).clone()
            });
        }
        let title = titled(what, &revision);
        let plan = Plan {
            revision,
            ..Plan::default()
        };
        Ok((Undone::of(plan), title))
    })
}

fn titled(what: &Restoring, revision: &Revision) -> Title {
    Title {
        kind: OpKind::Restore,
        path: what.path.clone(),
        undo: super::record::of(revision, json!({ "at": what.at.op.0 })),
    }
}

/// Every node that is or was at or below the one that is restored.
fn concerned(engine: &Engine, what: &Restoring) -> Result<Vec<Ino>> {
    let store = engine.store();
    let mut all = BTreeSet::from([what.node]);
    let mut todo = vec![what.node];
    let mut walked = HashSet::new();
    while let Some(dir) = todo.pop() {
        if !walked.insert(dir) {
            continue;
        }
        let mut inside = |node: &Node| {
            all.insert(node.ino);
            if node.is_dir() {
                todo.push(node.ino);
            }
        };
        let then = |after| store.list_at(dir, what.at.op, after, PAGE);
        listed(then, &mut inside)?;
        listed(|after| store.list(dir, after, PAGE), &mut inside)?;
    }
    Ok(all.into_iter().collect())
}

/// Goes through a directory, whose pages `page` reads from behind a cookie.
fn listed(
    page: impl Fn(u64) -> Result<Vec<(Arc<Entry>, Arc<Node>)>>,
    visit: &mut impl FnMut(&Node),
) -> Result<()> {
    let mut after = 0;
    loop {
        let names = page(after)?;
        let Some((last, _)) = names.last() else {
            return Ok(());
        };
        after = last.cookie;
        for (_, node) in &names {
            visit(node);
        }
    }
}

impl Undone {
    fn of(mut plan: Plan) -> Self {
        let conflicts = std::mem::take(&mut plan.conflicts);
        Self {
            op: None,
            plan,
            skipped: OpSet::default(),
            conflicts,
        }
    }
}
