//! Undo and restore.

use super::Command;
use super::context::{Context, path_of};
use super::log::Wanted;
use crate::core::{Error, FsPath, Ino, Kind, Op, Result, Text, error::fail};
use crate::fs::{Moment, Reader};
use crate::history::{self, Answer, Choice, OpSet, Restoring, Undone};
use crate::meta::log_query::{self, Cursor, Query};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

/// How many steps a reply names; it counts all.
const STEPS_MAX: usize = 1000;
const PAGE: u32 = 10_000;
/// How many are looked at to find the newest.
const FEW: u32 = 32;

/// Reverses operations: those with these numbers, the caller's last one, or all that fit every condition that is said.
/// Later work of others stays. Where it depends on what would be undone, nothing is done and the reply says what depends on
/// what, unless `answer` says otherwise. For whoever may make the changes that it takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Undo {
    /// `8123`, `8120-8123`, `8120,8123-8130`.
    pub ops: Option<String>,
    /// The caller's newest operation that was not undone.
    pub newest: bool,
    #[serde(flatten)]
    pub wanted: Wanted,
    /// What to do where something depends on what would be undone.
    pub answer: Answer,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize, Deserialize)]
pub struct Undoing {
    /// The operation that did it; none where nothing was done.
    pub op: Option<u64>,
    /// Those that were to be undone.
    pub ops: String,
    pub restored: u64,
    pub removed: u64,
    pub changed: u64,
    /// Names that come, go or stand for something else.
    pub names: u64,
    pub grants: u64,
    /// The first thousand names and nodes.
    pub steps: Vec<Step>,
    pub conflicts: Vec<Obstacle>,
    /// Operations that stay because something depends on them.
    pub skipped: String,
    /// Operations that undo cannot reverse, by kind: users, keys, namespaces.
    pub left: Vec<LeftOut>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// `restore`, `remove`, `replace` or `change`.
    pub what: String,
    pub path: Text,
}

/// What stands in the way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Obstacle {
    /// What would have been undone.
    pub ops: String,
    /// The operation that depends on it.
    pub by: Option<u64>,
    pub kind: Option<String>,
    pub who: Option<String>,
    /// What it is about, for whom it is not hidden from.
    pub path: Option<Text>,
    pub why: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LeftOut {
    pub op: u64,
    pub kind: String,
}

impl Command for Undo {
    const NAME: &'static str = "undo";
    type Reply = Undoing;

    fn run(self, cx: &mut Context<'_>) -> Result<Undoing> {
        let choice = Choice {
            ops: self.chosen(cx)?,
            answer: self.answer,
            dry_run: self.dry_run,
        };
        let undone = history::undo(cx.engine(), cx.caller, &choice)?;
        cx.durable(reply(cx, &choice.ops, &undone)?)
    }
}

impl Undo {
    fn chosen(&self, cx: &Context<'_>) -> Result<OpSet> {
        let query = self.wanted.query(cx)?;
        if let Some(words) = &self.ops {
            return numbered(cx, &words.parse()?);
        }
        if self.newest {
            return newest(cx, query);
        }
        if query == Query::default() {
            return fail(
                Kind::Invalid,
                "say what to undo: operations, --last, --session, --agent, --user, --since or --path",
            );
        }
        let undoes = |r: &Record| !matches!(r.kind, OpKind::Undo | OpKind::Bypass);
        all(cx, &query, undoes)
    }
}

/// Every operation that fits and that the caller may read.
fn all(cx: &Context<'_>, query: &Query, fits: impl Fn(&Record) -> bool) -> Result<OpSet> {
    let (mut at, mut all) = (Op(0), Vec::new());
    loop {
        let (last, page) = records(cx, query, Cursor::After(at), PAGE)?;
        let Some(last) = last else {
            return Ok(all.into_iter().collect());
        };
        at = last;
        all.extend(page.iter().filter(|r| fits(r)).map(|r| r.op));
    }
}

/// Operations by their numbers; fails with `NotFound` on those that are not there, for the caller.
fn numbered(cx: &Context<'_>, ops: &OpSet) -> Result<OpSet> {
    cx.engine()
        .can_undo(cx.tenant()?, ops.first().unwrap_or_default())?;
    let query = Query {
        first: ops.first(),
        last: ops.last(),
        ..Query::default()
    };
    let found = all(cx, &query, |r| ops.has(r.op))?;
    let mut missing = ops.clone();
    missing.leave_out(&found);
    if missing.is_empty() {
        return Ok(found);
    }
    fail(Kind::NotFound, format!("no operation {missing}"))
}

/// The newest operation of the caller himself; those that an undo has reversed already, and undos, are passed over.
fn newest(cx: &Context<'_>, query: Query) -> Result<OpSet> {
    let query = Query {
        user: cx.caller.user.as_deref().map(str::to_owned),
        agent: cx.caller.agent.as_deref().map(str::to_owned),
        ..query
    };
    let mut passed = OpSet::default();
    let found = backwards(cx, &query, FEW, |page| {
        for record in page {
            let own = record.author.uid == cx.caller.uid;
            if record.kind == OpKind::Undo {
                passed.join(&history::named_by(&record)?);
            } else if own && history::is_reversible(&record) && !passed.has(record.op) {
                return Ok(Break(record.op));
            }
        }
        Ok(Continue(()))
    });
    Ok(found?.into_iter().collect())
}

/// Gives pages of records to `look`, the newest first, until it has what it looks for or there are no more.
pub(super) fn backwards<T>(
    cx: &Context<'_>,
    query: &Query,
    limit: u32,
    mut look: impl FnMut(Vec<Record>) -> Result<ControlFlow<T>>,
) -> Result<Option<T>> {
    let mut before = Op(u64::MAX);
    loop {
        let (oldest, page) = records(cx, query, Cursor::Before(before), limit)?;
        let Some(oldest) = oldest else {
            return Ok(None);
        };
        before = oldest;
        if let Break(found) = look(page)? {
            return Ok(Some(found));
        }
    }
}

/// A page of records as far as the caller may read them, and the last that was looked at.
fn records(
    cx: &Context<'_>,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<(Option<Op>, Vec<Record>)> {
    let mut tx = cx.engine().store().read()?;
    let page = log_query::page(&mut *tx, cx.tenant()?, query, from, limit)?;
    drop(tx);
    let last = page.last().map(|(record, _)| record.op);
    let mut reader = Reader::new(cx.engine(), cx.caller)?;
    let mut readable = Vec::with_capacity(page.len());
    for (record, _) in page {
        if reader.may_read(&record)? {
            readable.push(record);
        }
    }
    Ok((last, readable))
}

/// Makes a path, with all below it, what it was at a moment (`at`: `yesterday`, `2h-ago`, `op:8123`); or the content of a file
/// what it was in one of its versions. For whoever may make the changes that it takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    pub path: Text,
    #[serde(default)]
    pub at: Option<String>,
    #[serde(default)]
    pub version: Option<u64>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl Command for Restore {
    const NAME: &'static str = "restore";
    type Reply = Undoing;

    fn run(self, cx: &mut Context<'_>) -> Result<Undoing> {
        let path = path_of(&self.path)?;
        let (engine, caller) = (cx.engine().clone(), cx.caller);
        let undone = match (&self.at, self.version) {
            (Some(word), None) => {
                let at = history::snapshot::resolve_when_at(&engine, caller, word, &path)?;
                let node = history::named_at(&engine, caller, at, &path)?;
                history::restore(&engine, caller, &self.what(path, node, at))?
            }
            (None, Some(number)) => {
                let node = engine.resolve(caller, &path)?.ino;
                let old = history::version(&engine, caller, &path, number)?;
                let what = self.what(path, node, old.at);
                history::restore_content(&engine, caller, &what, &old.node)?
            }
            _ => return fail(Kind::Invalid, "say either a moment or a version"),
        };
        cx.durable(reply(cx, &OpSet::default(), &undone)?)
    }
}

impl Restore {
    fn what(&self, path: FsPath, node: Ino, at: Moment) -> Restoring {
        Restoring {
            path,
            node,
            at,
            dry_run: self.dry_run,
        }
    }
}

pub(super) fn reply(cx: &Context<'_>, ops: &OpSet, undone: &Undone) -> Result<Undoing> {
    let revision = &undone.plan.revision;
    let count = |n: usize| n as u64;
    let mut conflicts = Vec::new();
    for conflict in undone.conflicts.iter().take(STEPS_MAX) {
        conflicts.push(obstacle(cx, undone, conflict)?);
    }
    let left = undone.plan.others.iter().map(|record| LeftOut {
        op: record.op.0,
        kind: record.kind.name().to_owned(),
    });
    Ok(Undoing {
        op: undone.op.map(|op| op.0),
        ops: ops.to_string(),
        restored: count(revision.back.len()),
        removed: count(revision.gone.len()),
        changed: count(revision.changed.len() + revision.xattrs.len()),
        names: count(revision.names.len()),
        grants: count(revision.grants_back.len() + revision.grants_gone.len()),
        steps: steps(cx, undone)?,
        conflicts,
        skipped: undone.skipped.to_string(),
        left: left.collect(),
    })
}

/// What happens to which names, as far as the caller may see them.
fn steps(cx: &Context<'_>, undone: &Undone) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (what, path) in undone.steps(cx.engine(), cx.caller)?.take(STEPS_MAX) {
        let what = what.to_owned();
        let path = Text(path.to_bytes());
        steps.push(Step { what, path });
    }
    Ok(steps)
}

fn obstacle(cx: &Context<'_>, undone: &Undone, conflict: &history::Conflict) -> Result<Obstacle> {
    let found = match conflict.by {
        None => None,
        Some(by) => {
            let query = Query {
                first: Some(by),
                last: Some(by),
                ..Query::default()
            };
            records(cx, &query, Cursor::OLDEST, 1)?.1.into_iter().next()
        }
    };
    let path = match conflict.node {
        None => None,
        Some(ino) => undone.place_of(cx.engine(), cx.caller, ino)?,
    };
    let who = |r: &Record| {
        let own = r.author.uid.to_string();
        r.author
            .agent
            .clone()
            .or(r.author.user.clone())
            .unwrap_or(own)
    };
    Ok(Obstacle {
        ops: conflict.undone.to_string(),
        by: conflict.by.map(|op| op.0),
        kind: found.as_ref().map(|r| r.kind.name().to_owned()),
        who: found.as_ref().map(who),
        path: path.map(|p| Text(p.to_bytes())),
        why: conflict.why.to_owned(),
    })
}

impl Undoing {
    /// Whether there is nothing to be done.
    pub fn is_nothing(&self) -> bool {
        let counts = [
            self.restored,
            self.removed,
            self.changed,
            self.names,
            self.grants,
        ];
        counts.iter().all(|count| *count == 0)
    }

    /// Fails with what stands in the way, where nothing was done for it.
    pub fn done(&self) -> Result<()> {
        if self.conflicts.is_empty() || !self.skipped.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Conflict,
            "later work depends on it and nothing was changed: --skip leaves that out, --force-copy puts old contents beside",
        ))
    }
}
