//! Undo: choose operations, work out what the tree would be without them, make it so in one operation.

use super::aside;
use super::basis::{Basis, Meanwhile};
use super::check::NAMELESS;
use super::ops::OpSet;
use super::pairs::Pairs;
use super::plan::{Conflict, Given, Plan};
use super::refused;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, TenantId, error::fail};
use crate::fs::{Engine, Revision, Title};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// How often a plan is made because somebody changed meanwhile what it was made of; a file that is being made where one is to come
/// back is in the way of the last ones, too.
pub(super) const TRIES: usize = 8;
/// How many of these nobody waits for.
pub(super) const TRIES_BESIDE: usize = 4;

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
    applied(engine, caller, (choice.answer, choice.dry_run), || {
        let undone = work_out(engine, caller, (tenant, choice))?;
        let title = title(&undone, choice);
        Ok((undone, title))
    })
}

/// Works out what to do and does it, again where others changed meanwhile what it was made of, and at last while they wait.
/// `work_out` changes nothing. For a rehearsal nobody waits: at last it tells what it has seen.
pub(super) fn applied(
    engine: &Engine,
    caller: &Caller,
    (answer, dry_run): (Answer, bool),
    work_out: impl Fn() -> Result<(Undone, Title)>,
) -> Result<Undone> {
    let tenant = caller
        .tenant
        .ok_or_else(|| caller.stranger(Kind::NotFound))?;
    let attempt = Attempt {
        engine,
        caller,
        tenant,
        answer,
        dry_run,
    };
    for n in 1..=TRIES {
        engine.settle_files()?;
        let done = if dry_run || n <= TRIES_BESIDE {
            attempt.beside(&work_out, n == TRIES)?
        } else {
            attempt.alone(&work_out)?
        };
        if let Some(undone) = done {
            return Ok(undone);
        }
    }
    fail(
        Kind::Busy,
        "others change things all the time: try again in a moment",
    )
}

/// One attempt to work something out and do it; `None` is to be tried again.
struct Attempt<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    answer: Answer,
    dry_run: bool,
}

impl Attempt<'_> {
    fn stops(&self, undone: &Undone) -> bool {
        self.answer == Answer::Stop && !undone.conflicts.is_empty()
    }

    /// While others go on: they wait for no more than what is done.
    fn beside(
        &self,
        work_out: impl Fn() -> Result<(Undone, Title)>,
        is_last: bool,
    ) -> Result<Option<Undone>> {
        let mut meanwhile = Meanwhile::from_now(self.engine, self.tenant)?;
        let (mut undone, title) = match work_out() {
            Err(e) if e.kind() == Kind::Conflict && !meanwhile.is_quiet()? => return Ok(None),
            worked_out => worked_out?,
        };
        undone.stopped = self.stops(&undone);
        let basis = std::mem::take(&mut undone.plan.basis);
        if undone.stopped || self.dry_run || undone.plan.revision.is_empty() {
            let may = self.may(&undone, &title);
            let stands = is_last || !meanwhile.bears_on(&basis)?;
            return match may {
                Err(e) if stands && e.kind() != Kind::Conflict => Err(e),
                Ok(()) if stands => Ok(Some(undone)),
                _ => Ok(None),
            };
        }
        // Most of it before anybody waits.
        if meanwhile.bears_on(&basis)? {
            return Ok(None);
        }
        let done = self
            .engine
            .revise(self.caller, &mut undone.plan.revision, |revision| {
                if meanwhile.bears_on(&basis)? {
                    return fail(Kind::Conflict, "somebody changed something meanwhile");
                }
                meanwhile.keep_times(revision);
                Ok(title)
            });
        made(done, undone)
    }

    /// While nobody else changes anything.
    fn alone(&self, work_out: impl FnOnce() -> Result<(Undone, Title)>) -> Result<Option<Undone>> {
        let (mut undone, mut stopped) = (Undone::default(), None);
        let mut revision = Revision::default();
        let done = self.engine.revise(self.caller, &mut revision, |revision| {
            let (found, title) = work_out()?;
            undone = found;
            undone.stopped = self.stops(&undone);
            if undone.stopped {
                stopped = Some(title.clone());
            } else {
                *revision = std::mem::take(&mut undone.plan.revision);
            }
            Ok(title)
        });
        if let Some(title) = stopped {
            self.may(&undone, &title)?;
        } else {
            undone.plan.revision = revision;
        }
        made(done, undone)
    }

    /// Asks every permission. Who may not do it is told that, and nothing of what stands in the way; what does not fit together is
    /// that conflict's.
    fn may(&self, undone: &Undone, title: &Title) -> Result<()> {
        let revision = &undone.plan.revision;
        match self.engine.rehearse(self.caller, revision, &title.path) {
            Err(e) if undone.stopped && !matches!(e.kind(), Kind::Denied | Kind::NotPermitted) => {
                Ok(())
            }
            may => may,
        }
    }
}

/// What came of an attempt to make it so.
fn made(done: Result<Option<Op>>, mut undone: Undone) -> Result<Option<Undone>> {
    match done {
        Ok(op) => undone.op = op,
        Err(e) if e.kind() == Kind::Conflict => return Ok(None),
        Err(e) => return Err(e),
    }
    if undone.op.is_none() && !undone.stopped {
        // All of it was so already, or is not to be had any more.
        undone.plan.revision = Revision::default();
    }
    Ok(Some(undone))
}

/// Leaves operations out until what remains fits together.
fn work_out(
    engine: &Engine,
    caller: &Caller,
    (tenant, choice): (TenantId, &Choice),
) -> Result<Undone> {
    engine.can_undo(tenant, choice.ops.first().unwrap_or_default())?;
    let (of, oldest) = ((engine.blobs(), tenant), engine.horizon(tenant)?.oldest());
    let (mut ops, mut parted) = (choice.ops.clone(), OpSet::default());
    // What is undone already is as if it had not been: nothing of it has to be looked at.
    ops.leave_out(Pairs::beside(&mut *engine.store().read()?, tenant, &ops, oldest)?.undone());
    let (mut conflicts, mut skipped) = (Vec::new(), OpSet::default());
    let first = choice.ops.first().unwrap_or_default();
    let (mut beside, mut basis) = (HashMap::new(), Basis::default());
    let mut plan = loop {
        if ops.is_empty() {
            break Plan::default();
        }
        let mut pairs = Pairs::beside(&mut *engine.store().read()?, tenant, &ops, oldest)?;
        pairs.part(&parted);
        let given = Given {
            pairs: &pairs,
            homes: &choice.homes,
            beside: &beside,
        };
        let mut plan = Plan::of(engine.store(), of, &ops, &given)?;
        basis.join(std::mem::take(&mut plan.basis));
        let mut new = std::mem::take(&mut plan.conflicts);
        if choice.answer == Answer::Aside
            && aside::of_directories(engine, &plan, &new, (first, &mut beside))?
        {
            continue;
        }
        if new.is_empty() && choice.answer != Answer::Stop {
            new = refused::conflicts(engine, caller, (tenant, &ops), &plan)?;
        }
        if new.is_empty() {
            break plan;
        }
        let blocked = blocked(&mut new, &ops);
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
        ops.leave_out(&own);
        skipped.join(&own);
        if ops.is_empty() {
            plan.revision = Revision::default();
            break plan;
        }
    };
    if choice.answer == Answer::Aside {
        aside::put(engine, &mut plan, &conflicts, first)?;
    }
    plan.basis = basis;
    Ok(Undone {
        op: None,
        plan,
        skipped,
        conflicts,
        stopped: false,
    })
}

/// What conflicts stand in the way of; they name what is among `ops` of it.
fn blocked(conflicts: &mut [Conflict], ops: &OpSet) -> OpSet {
    let mut blocked = OpSet::default();
    for conflict in conflicts {
        blocked.join(&conflict.undone);
        conflict.undone = conflict.undone.common(ops);
    }
    blocked
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
