//! Undo: choose operations, work out what the tree would be without them, make it so in one operation.

use super::aside;
use super::check::NAMELESS;
use super::ops::OpSet;
use super::pairs::Pairs;
use super::plan::{Conflict, Given, Plan};
use crate::core::{Caller, Error, FsPath, Ino, Kind, Op, Result, TenantId, error::fail};
use crate::fs::{Engine, Revision, Title};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// How often a plan is made anew because somebody changed something meanwhile; a file that is being made where one is to come
/// back is in the way of the last ones, too.
const TRIES: usize = 8;
/// How many of these nobody waits for.
const TRIES_BESIDE: usize = 4;

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
#[derive(Default)]
pub struct Undone {
    /// The operation that did it; `None` for a rehearsal, and where there was nothing to do.
    pub op: Option<Op>,
    pub plan: Plan,
    /// Operations that stay because something depends on them.
    pub skipped: OpSet,
    /// What stands in the way: it was left out, or nothing was done for it.
    pub conflicts: Vec<Conflict>,
    /// Whether nothing was done for that.
    pub stopped: bool,
}

/// Reverses operations of the caller's tenant. Later work of others stays; where it depends on what would be undone, nothing is
/// done and the conflicts are told, unless `choice` says otherwise. Takes the permissions that the changes take. Fails with `NotFound`
/// when one of them is behind the horizon.
pub fn undo(engine: &Engine, caller: &Caller, choice: &Choice) -> Result<Undone> {
    let tenant = caller
        .tenant
        .ok_or_else(|| caller.stranger(Kind::NotFound))?;
    if choice.ops.is_empty() {
        return fail(Kind::NotFound, "no operation fits: see `nexus log`");
    }
    applied(engine, caller, choice.answer, choice.dry_run, || {
        let undone = work_out(engine, tenant, choice)?;
        let title = title(&undone, choice);
        Ok((undone, title))
    })
}

/// Works out what to do and does it, again where others changed something in between, and at last while they wait. `work_out`
/// changes nothing.
pub(super) fn applied(
    engine: &Engine,
    caller: &Caller,
    answer: Answer,
    dry_run: bool,
    work_out: impl Fn() -> Result<(Undone, Title)>,
) -> Result<Undone> {
    let stops = |undone: &Undone| answer == Answer::Stop && !undone.conflicts.is_empty();
    for alone in (0..TRIES).map(|n| n >= TRIES_BESIDE) {
        engine.settle_files()?;
        let done = if alone {
            alone_applied(engine, caller, dry_run, || {
                let (undone, title) = work_out()?;
                let stopped = stops(&undone);
                Ok((undone, title, stopped))
            })
        } else {
            let head = engine.last_moment(caller)?.op;
            let (mut undone, title) = match work_out() {
                Err(e) if e.kind() == Kind::Conflict && engine.last_moment(caller)?.op != head => {
                    continue;
                }
                worked_out => worked_out?,
            };
            undone.stopped = stops(&undone);
            if undone.stopped {
                may_know(engine, caller, &undone, &title)?;
                return Ok(undone);
            }
            if undone.plan.revision.is_empty() {
                return Ok(undone);
            }
            let op = engine.revise(caller, head, &undone.plan.revision, &title, dry_run);
            op.map(|op| {
                undone.op = op;
                undone
            })
        };
        match done {
            Ok(mut undone) => {
                undone.stopped = stops(&undone);
                if undone.op.is_none() && !dry_run && !undone.stopped {
                    // All of it was so already, or is not to be had any more.
                    undone.plan.revision = Revision::default();
                }
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

/// The same once, while nobody else changes anything; `work_out` says also whether what it found is not to be done.
fn alone_applied(
    engine: &Engine,
    caller: &Caller,
    dry_run: bool,
    work_out: impl FnOnce() -> Result<(Undone, Title, bool)>,
) -> Result<Undone> {
    let mut found = None;
    let (op, revision) = engine.revise_alone(
        caller,
        || {
            let (mut undone, title, stopped) = work_out()?;
            let revision = if stopped {
                Revision::default()
            } else {
                std::mem::take(&mut undone.plan.revision)
            };
            found = Some((undone, stopped.then(|| title.clone())));
            Ok((revision, title))
        },
        dry_run,
    )?;
    let missing = || Error::new(Kind::Conflict, "nothing was worked out");
    let (mut undone, stopped) = found.ok_or_else(missing)?;
    match stopped {
        Some(title) => may_know(engine, caller, &undone, &title)?,
        None => undone.plan.revision = revision,
    }
    undone.op = op;
    Ok(undone)
}

/// Who may not do it is told that, and nothing of what stands in the way. What does not fit together is the conflict's.
fn may_know(engine: &Engine, caller: &Caller, undone: &Undone, title: &Title) -> Result<()> {
    let head = engine.last_moment(caller)?.op;
    match engine.revise(caller, head, &undone.plan.revision, title, true) {
        Err(e) if matches!(e.kind(), Kind::Denied | Kind::NotPermitted) => Err(e),
        _ => Ok(()),
    }
}

/// Leaves operations out until what remains fits together.
fn work_out(engine: &Engine, tenant: TenantId, choice: &Choice) -> Result<Undone> {
    engine.can_undo(tenant, choice.ops.first().unwrap_or_default())?;
    let (mut ops, mut parted) = (choice.ops.clone(), OpSet::default());
    let (mut conflicts, mut skipped) = (Vec::new(), OpSet::default());
    let first = ops.first().unwrap_or_default();
    let (of, oldest) = ((engine.blobs(), tenant), engine.horizon(tenant)?.oldest());
    let mut beside = HashMap::new();
    let mut plan = loop {
        let mut pairs = Pairs::beside(&mut *engine.store().read()?, tenant, &ops, oldest)?;
        pairs.part(&parted);
        let given = Given {
            pairs: &pairs,
            homes: &choice.homes,
            beside: &beside,
        };
        let mut plan = Plan::of(engine.store(), of, &ops, &given)?;
        let mut new = std::mem::take(&mut plan.conflicts);
        if choice.answer == Answer::Aside
            && aside::of_directories(engine, &plan, &new, (first, &mut beside))?
        {
            continue;
        }
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
        conflicts.extend(first_causes(new));
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
        aside::put(engine, &mut plan, &conflicts, first)?;
    }
    Ok(Undone {
        op: None,
        plan,
        skipped,
        conflicts,
        stopped: false,
    })
}

/// Leaves out what only follows from another conflict about the same.
fn first_causes(mut all: Vec<Conflict>) -> Vec<Conflict> {
    let others = all.iter().filter(|c| c.why != NAMELESS);
    let known: HashSet<_> = others.filter_map(|c| c.node).collect();
    all.retain(|c| c.why != NAMELESS || c.node.is_none_or(|node| !known.contains(&node)));
    all
}

fn title(undone: &Undone, choice: &Choice) -> Title {
    let Undone { plan, skipped, .. } = undone;
    let mut ops = choice.ops.clone();
    ops.leave_out(skipped);
    let mut said = json!({ "ops": ops.to_string() });
    if choice.answer == Answer::Aside {
        // Perhaps of a directory, of which no conflict tells any more.
        said["copies"] = json!(true);
    }
    Title {
        kind: OpKind::Undo,
        path: common(&plan.paths),
        undo: super::record::of(&plan.revision, said),
    }
}

/// The directory that all of some paths lie in, or the path itself where there is one.
pub fn common(paths: &[Vec<u8>]) -> FsPath {
    let mut all = paths.iter().filter_map(|p| FsPath::recorded(p).ok());
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
    super::effects::is_reversible(record.kind)
}
