//! Restoring: a file, a directory with all below it, or a version of a file, made again what it was.
//!
//! What was moved out of a directory since comes back into it, what was moved into it goes back where it was, what was made in
//! it goes, and what took its path makes room. All of that stays in the past, and one operation undoes it.

use super::basis::Basis;
use super::effects::{Effects, Rows};
use super::home::{Home, nodes_at};
use super::ops::Without;
use super::plan::Plan;
use super::tree::Tree;
use super::undo::{Answer, Undone, applied};
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Result, error::fail};
use crate::fs::{Engine, Moment, Revision, Title};
use crate::meta::{Node, OpKind};
use serde_json::json;
use std::collections::HashSet;

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct Restoring {
    /// As it is called in the log.
    pub path: FsPath,
    /// The node that was there.
    pub node: Ino,
    pub at: Moment,
    /// What to do about what is in the way: nothing at all, or all but that.
    pub answer: Answer,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Makes a node and all that was below it what they were. Takes read permission on it today, and the permissions that the
/// changes take.
pub fn restore(engine: &Engine, caller: &Caller, what: &Restoring) -> Result<Undone> {
    engine.may_at(caller, what.at, what.node, Right::Read)?;
    let then = nodes_at(engine, caller, what.at, &what.path)?;
    applied(engine, caller, (what.answer, what.dry_run), || {
        // Each time: what is forgotten from here on moves the log on, and what was worked out is not done.
        engine.remembers(what.at)?;
        let undone = work_out(engine, caller, what, &then)?;
        let title = titled(what, &undone.plan.revision);
        Ok((undone, title))
    })
}

/// Leaves out nodes, where that is wanted, until the rest fits together.
pub(super) fn work_out(
    engine: &Engine,
    caller: &Caller,
    what: &Restoring,
    then: &[Ino],
) -> Result<Undone> {
    let store = engine.store();
    let (of, all) = ((engine.blobs(), what.at.tenant), Without::After(what.at.op));
    let (mut left, mut conflicts) = (HashSet::new(), Vec::new());
    let mut basis = Basis::default();
    loop {
        let head = engine.head(what.at.tenant)?;
        let home = Home::of(engine, caller, &what.path, then)?;
        let tree = Tree::look(store, what.at.op, what.node, home)?;
        let mut tx = store.read()?;
        let mut rows = Rows::read(&mut *tx, &tree.concerned(), all.first())?;
        let misfits = tree.fit(&mut *tx, &mut rows, &left)?;
        let effects = Effects::of_gone(&mut *tx, what.at.tenant, &rows)?;
        drop(tx);
        let mut plan = Plan::over(store, of, (all, tree.basis()), effects, (head, &rows))?;
        basis.join(std::mem::take(&mut plan.basis));
        let mut new = std::mem::take(&mut plan.conflicts);
        new.extend(misfits);
        let more: Vec<_> = new.iter().filter_map(|conflict| conflict.node).collect();
        let (stops, fits) = (what.answer == Answer::Stop, new.is_empty());
        conflicts.extend(new);
        if fits || stops {
            plan.basis = basis;
            return Ok(Undone {
                plan,
                conflicts,
                ..Undone::default()
            });
        }
        let known = left.len();
        left.extend(more);
        if left.len() == known {
            return fail(Kind::Conflict, "what is left does not fit together");
        }
    }
}

/// Makes the content of a file what it was; mode, owner and attributes stay.
pub fn restore_content(
    engine: &Engine,
    caller: &Caller,
    what: &Restoring,
    old: &Node,
) -> Result<Undone> {
    engine.may_at(caller, what.at, old.ino, Right::Read)?;
    applied(engine, caller, (Answer::Stop, what.dry_run), || {
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
        let basis = Basis {
            nodes: HashSet::from([what.node]),
            ..Basis::default()
        };
        let plan = Plan {
            revision,
            basis,
            ..Plan::default()
        };
        let undone = Undone {
            plan,
            ..Undone::default()
        };
        Ok((undone, title))
    })
}

fn titled(what: &Restoring, revision: &Revision) -> Title {
    Title {
        kind: OpKind::Restore,
        path: what.path.clone(),
        undo: super::record::of(revision, json!({ "at": what.at.op.0 })),
    }
}
