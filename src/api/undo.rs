//! Undo and restore.

pub(super) mod chosen;
mod reaching;
pub(super) mod search;

pub use self::chosen::Found;
use self::chosen::{all, is_of_session, newest, numbered, remembered};
use self::reaching::{alone, reaching};
use super::Command;
use super::context::{Context, path_of};
use super::log::Wanted;
use super::regrouped::{Regrouped, regrouped};
use crate::core::{Error, FsPath, Ino, Kind, Op, Result, Text, error::fail};
use crate::fs::{Moment, Reader};
use crate::history::{self, Answer, Choice, OpSet, Restoring, Told, Undone};
use crate::meta::log_query::Query;
use crate::meta::{OpKind, Record, log};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How many steps a reply names; it counts all.
const STEPS_MAX: usize = 1000;

/// Reverses operations: those with these numbers, the caller's last one, or all that fit every condition that is said.
/// Later work of others stays. Where it depends on what would be undone, nothing is done and the reply says what depends on
/// what, unless `answer` says otherwise. For whoever may make the changes that it takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Undo {
    /// `8123`, `8120-8123`, `8120,8123-8130`: those of them that fit the conditions.
    pub ops: Option<String>,
    /// The caller's newest operation that was not undone and fits the conditions.
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
    /// Those of them that came along: each is one save with a rename that was chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub saves: String,
    /// The one that was found to be the newest, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Found>,
    /// What others did under the name of the session that was asked for, and that stays: who names them undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<u64>,
    /// Where what was restored is now, where that is not the path it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_at: Option<Text>,
    pub restored: u64,
    pub removed: u64,
    pub changed: u64,
    /// Names that come, go or stand for something else.
    pub names: u64,
    pub grants: u64,
    /// Who comes into a group and who leaves one; the first thousand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Regrouped>,
    /// The first thousand names and nodes.
    pub steps: Vec<Step>,
    pub conflicts: Vec<Obstacle>,
    /// Operations that stay because something depends on them.
    pub skipped: String,
    /// Whether nothing was done for what stands in the way; else that was left out.
    #[serde(default)]
    pub stopped: bool,
    /// Operations that undo cannot reverse, by kind: users, keys, namespaces.
    pub left: Vec<LeftOut>,
    /// Where a path chose: undos and restores that changed something there and stay, for they changed more than that; the newest
    /// hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reaching: Vec<Found>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// `restore`, `remove`, `replace` or `change`.
    pub what: String,
    pub path: Text,
    /// The last operation of what was done to it since and stays, and whose that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// What stands in the way.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
        let query = self.wanted.query(cx)?;
        let Chosen {
            mut ops,
            newest,
            others,
        } = self.chosen(cx, &query)?;
        let reaching = self.reaching(cx, &query, &ops)?;
        if ops.is_empty() {
            alone(&reaching)?;
            if let Some(others) = others {
                let message = format!(
                    "nothing of yours fits: {others} operations of others do, and --user or --agent names whose to undo"
                );
                return fail(Kind::NotFound, message);
            }
        }
        remembered(cx, &ops)?;
        let saves = history::saves(cx.engine(), cx.caller, &ops)?;
        ops.join(&saves);
        let choice = Choice {
            ops,
            homes: Vec::new(),
            answer: self.answer,
            dry_run: self.dry_run,
        };
        let undone = history::undo(cx.engine(), cx.caller, &choice);
        let undone = undone.map_err(|e| not_all(e, &choice))?;
        let done = reply(cx, &choice.ops, &undone)?;
        cx.durable(Undoing {
            saves: saves.to_string(),
            newest,
            others,
            reaching,
            ..done
        })
    }
}

/// Says of a refusal what undoes the rest, where there may be some.
fn not_all(refused: Error, choice: &Choice) -> Error {
    let kinds = [Kind::Denied, Kind::NotPermitted, Kind::CrossDevice];
    if choice.answer != Answer::Stop || choice.ops.len() == 1 || !kinds.contains(&refused.kind()) {
        return refused;
    }
    let message = format!(
        "{}; nothing was changed: --skip leaves out what is not yours to change",
        refused.message()
    );
    Error::new(refused.kind(), message).caused_by(refused)
}

/// What a request chose.
#[derive(Default)]
struct Chosen {
    ops: OpSet,
    /// The one that is the newest, where that was asked for.
    newest: Option<Found>,
    /// How many others did under the session's name.
    others: Option<u64>,
}

impl Undo {
    fn chosen(&self, cx: &Context<'_>, query: &Query) -> Result<Chosen> {
        match (&self.ops, self.newest) {
            (Some(_), true) => fail(
                Kind::Invalid,
                "either operations by their numbers or --last: numbers say which",
            ),
            (Some(words), false) => Ok(Chosen {
                ops: numbered(cx, &words.parse()?, query)?,
                ..Chosen::default()
            }),
            (None, true) => {
                let newest = newest(cx, query.clone())?;
                let ops = newest.iter().map(|found| Op(found.op)).collect();
                Ok(Chosen {
                    ops,
                    newest,
                    ..Chosen::default()
                })
            }
            (None, false) if *query == Query::default() => fail(
                Kind::Invalid,
                "say what to undo: operations by their numbers, a path, --last, --session, --agent, --user or --since",
            ),
            (None, false) => {
                let (own_only, mut others) = (is_of_session(cx, query), 0);
                let undoes = |r: &Record| {
                    if r.kind == OpKind::Bypass {
                        return false;
                    }
                    let is_others = own_only && r.author.uid != cx.caller.uid;
                    others += u64::from(is_others);
                    !is_others
                };
                Ok(Chosen {
                    ops: all(cx, query, undoes)?,
                    others: Some(others).filter(|others| *others > 0),
                    ..Chosen::default()
                })
            }
        }
    }

    /// What a path does not choose though it reached there; for the newest change, what the caller restored after it.
    fn reaching(&self, cx: &Context<'_>, query: &Query, chosen: &OpSet) -> Result<Vec<Found>> {
        if self.newest {
            if !query.kinds.is_empty() && !query.kinds.contains(&OpKind::Restore) {
                return Ok(Vec::new());
            }
            let after = chosen.first().map(|op| Op(op.0 + 1));
            let restores = Query {
                kinds: vec![OpKind::Restore],
                first: query.first.max(after),
                ..chosen::own(cx, query.clone())
            };
            return reaching(cx, &restores, chosen, |_| true);
        }
        let asked: Option<OpSet> = self.ops.as_ref().map(|words| words.parse()).transpose()?;
        let fits = |op| asked.as_ref().is_none_or(|ops| ops.has(op));
        reaching(cx, query, chosen, fits)
    }
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
    /// What to do where something is in the way: nothing, or all but that (`skip`).
    #[serde(default)]
    pub answer: Answer,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl Command for Restore {
    const NAME: &'static str = "restore";
    type Reply = Undoing;

    fn run(self, cx: &mut Context<'_>) -> Result<Undoing> {
        let path = path_of(&self.path)?;
        if self.answer == Answer::Aside {
            let message =
                "nothing is put beside what is restored: leave out what is in the way (skip)";
            return fail(Kind::Invalid, message);
        }
        let (engine, caller) = (cx.engine().clone(), cx.caller);
        let (undone, node) = match (&self.at, self.version) {
            (Some(word), None) => {
                let at = history::snapshot::resolve_when_at(&engine, caller, word, &path)?;
                let node = history::named_at(&engine, caller, at, &path)?;
                let what = self.what(path.clone(), node, at);
                (history::restore(&engine, caller, &what)?, node)
            }
            (None, Some(number)) => {
                let node = engine.resolve(caller, &path)?.ino;
                let old = history::version(&engine, caller, &path, number)?;
                let what = self.what(path.clone(), node, old.at);
                let done = history::restore_content(&engine, caller, &what, &old.node)?;
                (done, node)
            }
            _ => {
                return fail(
                    Kind::Invalid,
                    "say either a moment (--at WHEN) or the version of a file (--version N)",
                );
            }
        };
        let mut done = reply(cx, &OpSet::default(), &undone)?;
        done.now_at = self.now_at(cx, &path, node)?;
        cx.durable(done)
    }
}

impl Restore {
    /// Where something is that was left or put elsewhere than its path.
    fn now_at(&self, cx: &Context<'_>, path: &FsPath, node: Ino) -> Result<Option<Text>> {
        let (engine, caller) = (cx.engine(), cx.caller);
        let there = engine.resolve_link(caller, path);
        if self.dry_run || there.is_ok_and(|there| there.ino == node) {
            return Ok(None);
        }
        let now = engine.path_for(caller, node)?;
        Ok(now.map(|now| Text(now.to_bytes())))
    }

    fn what(&self, path: FsPath, node: Ino, at: Moment) -> Restoring {
        Restoring {
            path,
            node,
            at,
            answer: self.answer,
            dry_run: self.dry_run,
        }
    }
}

pub(super) fn reply(cx: &Context<'_>, ops: &OpSet, undone: &Undone) -> Result<Undoing> {
    let revision = &undone.plan.revision;
    let count = |n: usize| n as u64;
    let back: HashSet<_> = revision.back.iter().map(|n| n.ino).collect();
    // What comes back has its attributes, which is no change.
    let attributed = revision.xattrs.iter().map(|(ino, ..)| ino);
    let attributed = attributed.filter(|ino| !back.contains(ino)).count();
    let (mut conflicts, told) = (Vec::new(), undone.told(cx.engine(), cx.caller));
    for conflict in undone.conflicts.iter().take(STEPS_MAX) {
        conflicts.push(obstacle(cx, (ops, &told), conflict)?);
    }
    let left = undone.plan.others.iter().map(|record| LeftOut {
        op: record.op.0,
        kind: record.kind.name().to_owned(),
    });
    Ok(Undoing {
        op: undone.op.map(|op| op.0),
        ops: ops.to_string(),
        saves: String::new(),
        newest: None,
        others: None,
        now_at: None,
        restored: count(revision.back.len()),
        removed: count(revision.gone.len()),
        changed: count(revision.changed.len() + attributed),
        names: count(revision.names.len()),
        grants: count(revision.grants_back.len() + revision.grants_gone.len()),
        members: regrouped(cx, revision, STEPS_MAX)?,
        steps: steps(cx, undone)?,
        conflicts,
        skipped: undone.skipped.to_string(),
        stopped: undone.stopped,
        left: left.collect(),
        reaching: Vec::new(),
    })
}

/// What happens to which names, as far as the caller may see them.
fn steps(cx: &Context<'_>, undone: &Undone) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (what, path, since) in undone.steps(cx.engine(), cx.caller)?.take(STEPS_MAX) {
        let since = record(cx, since)?;
        steps.push(Step {
            what: what.to_owned(),
            path: Text(path.to_bytes()),
            since: since.as_ref().map(|r| r.op.0),
            who: since.as_ref().map(who),
        });
    }
    Ok(steps)
}

/// Whose an operation was, in a word.
fn who(record: &Record) -> String {
    let author = &record.author;
    let named = author.agent.clone().or(author.user.clone());
    named.unwrap_or_else(|| author.uid.to_string())
}

/// The record of an operation that the caller may read.
pub(super) fn record(cx: &Context<'_>, op: Option<Op>) -> Result<Option<Record>> {
    let Some(op) = op else {
        return Ok(None);
    };
    let found = log::at(&mut *cx.engine().store().read()?, cx.tenant()?, op)?;
    let Some((record, _)) = found else {
        return Ok(None);
    };
    let may_read = Reader::new(cx.engine(), cx.caller)?.may_read(&record)?;
    Ok(may_read.then_some(record))
}

fn obstacle(
    cx: &Context<'_>,
    (ops, told): (&OpSet, &Told<'_>),
    conflict: &history::Conflict,
) -> Result<Obstacle> {
    // What is to be undone itself is in nobody's way.
    let by = conflict.by.filter(|by| !ops.has(*by));
    let found = record(cx, by)?;
    let path = told.place_of(conflict)?;
    let path = match path.map(|path| Text(path.to_bytes())) {
        // What is gone has the path that it had when that was done.
        None => record(cx, conflict.undone.first())?.map(|r| Text(r.path)),
        path => path,
    };
    Ok(Obstacle {
        ops: conflict.undone.to_string(),
        by: by.map(|op| op.0),
        kind: found.as_ref().map(|r| r.kind.name().to_owned()),
        who: found.as_ref().map(who),
        path,
        why: conflict.why.to_owned(),
    })
}

/// What was asked for, where something was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Undo,
    Trash,
    Restore,
}

impl Undoing {
    /// Whether nothing was done for what stands in the way.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether there is nothing to be done.
    pub fn is_nothing(&self) -> bool {
        let counts = [
            self.restored,
            self.removed,
            self.changed,
            self.names,
            self.grants,
        ];
        counts.iter().all(|count| *count == 0) && self.members.is_empty()
    }

    /// Fails with what can be done about it, where it is.
    pub fn done(&self, asked: Asked) -> Result<()> {
        if !self.is_stopped() {
            return Ok(());
        }
        let message = match asked {
            Asked::Undo => {
                "later work depends on it and nothing was changed: --skip leaves that out, --force-copy puts old contents beside"
            }
            Asked::Trash => {
                "something has its name or place by now and nothing was changed: --skip leaves that out, --force-copy puts it beside"
            }
            Asked::Restore => {
                "something beside it is in the way and nothing was changed: --skip leaves that out; or move it, or take a copy with `nexus cp --at`"
            }
        };
        fail(Kind::Conflict, message)
    }
}
