//! Restoring: a file, a directory with all below it, or a version of a file, made again what it was.
//!
//! What was moved out of a directory since comes back into it, what was moved into it goes back where it was, what was made in
//! it goes, and what took its path makes room. All of that stays in the past, and one operation undoes it.

use super::effects::{Effects, Rows};
use super::home::{Home, nodes_at};
use super::ops::{OpSet, Without};
use super::plan::Plan;
use super::tree::Tree;
use super::undo::{Answer, Undone, applied};
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Result, error::fail};
use crate::fs::{Engine, Moment, Revision, Title};
use crate::meta::{Node, OpKind};
use serde_json::json;

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

/// Makes a node and all that was below it what they were. Takes read permission on it today, and the permissions that the
/// changes take.
pub fn restore(engine: &Engine, caller: &Caller, what: &Restoring) -> Result<Undone> {
    engine.may_at(caller, what.at, what.node, Right::Read)?;
    let then = nodes_at(engine, caller, what.at, &what.path)?;
    applied(engine, caller, Answer::Stop, what.dry_run, || {
        // Each time: what is forgotten from here on moves the log on, and what was worked out is not done.
        engine.remembers(what.at)?;
        let home = Home::of(engine, caller, &what.path, &then)?;
        let tree = Tree::look(engine.store(), what.at.op, what.node, home)?;
        let mut tx = engine.store().read()?;
        let undone = Without::After(what.at.op);
        let mut rows = Rows::read(&mut *tx, &tree.concerned(), undone.first())?;
        let conflicts = tree.fit(&mut *tx, &mut rows)?;
        let (effects, of) = (Effects::default(), (engine.blobs(), what.at.tenant));
        let mut plan = Plan::over(&mut *tx, of, undone, effects, &rows)?;
        plan.conflicts.extend(conflicts);
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
