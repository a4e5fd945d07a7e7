//! Undo: choose operations, work out what the tree would be without them, make it so in one operation.

use super::ops::OpSet;
use super::pairs::Pairs;
use super::plan::{Conflict, Plan};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result, TenantId, error::fail};
use crate::fs::{Engine, Naming, Revision, Title};
use crate::meta::cache::Place;
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How often a plan is made anew because somebody changed something meanwhile.
const TRIES: usize = 20;

/// What to do about what cannot be made what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing is changed at all.
    #[default]
    Stop,
    /// Operations that something depends on stay as they are.
    Skip,
    /// The same, and old contents of files are put beside what is there.
    Aside,
}

/// Which operations, and how.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub ops: OpSet,
    /// Directories that are gone, and those in which what was in them is to come back.
    pub homes: Vec<(Ino, Ino)>,
    pub answer: Answer,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
pub struct Undone {
    /// The operation that did it; `None` for a rehearsal, and where there was nothing to do.
    pub op: Option<Op>,
    pub plan: Plan,
    /// Operations that stay because something depends on them.
    pub skipped: OpSet,
    /// What stands in the way: nothing was done. Otherwise what was skipped for it.
    pub conflicts: Vec<Conflict>,
}

/// Reverses operations of the caller's tenant. Later work of others stays; where it depends on what would be undone, nothing is
/// done and the conflicts are told, unless `choice` says otherwise. Takes the permissions that the changes take. Fails with `NotFound`
/// when one of them is behind the horizon.
pub fn undo(engine: &Engine, caller: &Caller, choice: &Choice) -> Result<Undone> {
    let tenant = caller
        .tenant
        .ok_or_else(|| Error::new(Kind::NotFound, "you belong to no tenant here"))?;
    if choice.ops.is_empty() {
        return fail(Kind::NotFound, "no operation fits: see `nexus log`");
    }
    applied(engine, caller, choice.answer, choice.dry_run, || {
        let undone = work_out(engine, tenant, choice)?;
        let title = title(&undone, choice);
        Ok((undone, title))
    })
}

/// Works out what to do and does it, again and again while others change something in between.
pub(super) fn applied(
    engine: &Engine,
    caller: &Caller,
    answer: Answer,
    dry_run: bool,
    work_out: impl Fn() -> Result<(Undone, Title)>,
) -> Result<Undone> {
    for _ in 0..TRIES {
        engine.settle_files()?;
        let head = engine.last_moment(caller)?.op;
        let (mut undone, title) = work_out()?;
        let stopped = answer == Answer::Stop && !undone.conflicts.is_empty();
        if stopped || undone.plan.revision.is_empty() {
            return Ok(undone);
        }
        match engine.revise(caller, head, &undone.plan.revision, &title, dry_run) {
            Ok(op) => {
                undone.op = op;
                return Ok(undone);
            }
            Err(e) if e.kind() == Kind::Conflict => {}
            Err(e) => return Err(e),
        }
    }
    fail(
        Kind::Busy,
        "others change things all the time: try again in a moment",
    )
}

/// Leaves operations out until what remains fits together.
fn work_out(engine: &Engine, tenant: TenantId, choice: &Choice) -> Result<Undone> {
    engine.can_undo(tenant, choice.ops.first().unwrap_or_default())?;
    let (mut ops, mut parted) = (choice.ops.clone(), OpSet::default());
    let (mut conflicts, mut skipped) = (Vec::new(), OpSet::default());
    let oldest = engine.horizon(tenant)?.oldest();
    let mut plan = loop {
        let mut tx = engine.store().read()?;
        let mut pairs = Pairs::beside(&mut *tx, tenant, &ops, oldest)?;
        pairs.part(&parted);
        let of = (engine.blobs(), tenant);
        let mut plan = Plan::of(&mut *tx, of, &ops, (&pairs, &choice.homes))?;
        let mut new = std::mem::take(&mut plan.conflicts);
        if new.is_empty() {
            break plan;
        }
        let mut blocked = OpSet::default();
        for conflict in &mut new {
            blocked.join(&conflict.undone);
            conflict.undone = conflict.undone.common(&ops);
        }
        let own = blocked.common(&ops);
        if own.is_empty() && pairs.part(&blocked) {
            parted.join(&blocked);
            continue;
        }
        conflicts.extend(new);
        if choice.answer == Answer::Stop {
            break plan;
        }
        if own.is_empty() {
            return fail(Kind::Conflict, "what is left does not fit together");
        }
        let blocked = own;
        ops.leave_out(&blocked);
        skipped.join(&blocked);
        if ops.is_empty() {
            plan.revision = Revision::default();
            break plan;
        }
    };
    if choice.answer == Answer::Aside {
        put_aside(engine, &mut plan, &conflicts, choice)?;
    }
    Ok(Undone {
        op: None,
        plan,
        skipped,
        conflicts,
    })
}

/// Puts old states of files beside what is there now: `name.undo-OP`.
fn put_aside(
    engine: &Engine,
    plan: &mut Plan,
    conflicts: &[Conflict],
    choice: &Choice,
) -> Result<()> {
    let first = choice.ops.first().unwrap_or_default();
    for aside in conflicts.iter().filter_map(|c| c.aside.as_ref()) {
        let suffix = format!(".undo-{first}");
        let own = aside.place.name.as_bytes();
        let room = crate::core::path::NAME_MAX.saturating_sub(suffix.len());
        let name = [&own[..own.len().min(room)], suffix.as_bytes()].concat();
        let place = Place {
            parent: aside.place.parent,
            name: Name::new(&name)?,
        };
        let mut node = aside.node.clone();
        if !aside.itself {
            node.ino = engine.fresh_ino();
            node.version = 1;
        }
        plan.revision.names.push(Naming {
            place,
            was: None,
            to: Some(node.ino),
        });
        plan.revision.back.push(node);
    }
    Ok(())
}

fn title(undone: &Undone, choice: &Choice) -> Title {
    let Undone { plan, skipped, .. } = undone;
    let mut ops = choice.ops.clone();
    ops.leave_out(skipped);
    let mut said = json!({ "ops": ops.to_string() });
    if choice.answer == Answer::Aside && !undone.conflicts.is_empty() {
        said["copies"] = json!(true);
    }
    Title {
        kind: OpKind::Undo,
        path: common(&plan.paths),
        undo: super::record::of(&plan.revision, said),
    }
}

/// The directory that all of some paths lie in, or the path itself where there is one.
fn common(paths: &[Vec<u8>]) -> FsPath {
    let mut all = paths.iter().filter_map(|p| FsPath::parse(p).ok());
    let Some(mut names) = all.next().map(|p| p.names().to_vec()) else {
        return FsPath::default();
    };
    for path in all {
        let same = names.iter().zip(path.names()).take_while(|(a, b)| a == b);
        names.truncate(same.count());
    }
    FsPath::from_names(names)
}

/// Whether undo can reverse an operation at all.
pub fn is_reversible(record: &Record) -> bool {
    super::effects::is_of_the_tree(record.kind)
}
