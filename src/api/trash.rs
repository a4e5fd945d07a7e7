//! The trash: a view of deletions. Nothing is moved anywhere to be deleted, and nothing but history holds it.

use super::Command;
use super::context::Context;
use super::log::Wanted;
use super::undo::{Undoing, backwards, reply};
use crate::core::{Ino, Kind, Op, Result, Text, error::fail};
use crate::history::{self, Answer, Choice, OpSet};
use crate::meta::log_query::Query;
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{Break, Continue};

const KINDS: [OpKind; 2] = [OpKind::Unlink, OpKind::Rmdir];
const PAGE: u32 = 1000;

/// Lists what was deleted and is gone still, the newest first: what the caller may read of it. What went with a directory is
/// listed with `all` only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrashList {
    #[serde(flatten)]
    pub wanted: Wanted,
    pub all: bool,
    /// How many at most; 100 when it is 0.
    pub limit: u32,
}

/// Something that was deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deleted {
    /// The operation that did it.
    pub op: u64,
    pub time: String,
    pub path: Text,
    pub directory: bool,
    pub size: u64,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub command: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trash {
    pub deleted: Vec<Deleted>,
}

impl Command for TrashList {
    const NAME: &'static str = "trash-list";
    type Reply = Trash;

    fn run(self, cx: &mut Context<'_>) -> Result<Trash> {
        let query = deletions(cx, self.wanted.query(cx)?)?;
        let limit = if self.limit == 0 { 100 } else { self.limit } as usize;
        let mut deleted = Vec::new();
        backwards(cx, &query, PAGE, |page| {
            for record in page {
                let item = lost(cx, &record)?;
                let shown = item.filter(|item| self.all || item.parent_is_there);
                deleted.extend(shown.map(|item| item.deleted));
            }
            Ok(if deleted.len() < limit {
                Continue(())
            } else {
                Break(())
            })
        })?;
        deleted.truncate(limit);
        Ok(Trash { deleted })
    }
}

/// Those among some operations that deleted something, and are not behind the horizon.
fn deletions(cx: &Context<'_>, query: Query) -> Result<Query> {
    let oldest = cx.engine().horizon(cx.tenant()?)?.oldest();
    Ok(Query {
        kinds: KINDS.to_vec(),
        first: query.first.max(Some(oldest)),
        ..query
    })
}

/// Something that is gone, and whether the directory is there that it was in.
struct Lost {
    deleted: Deleted,
    parent_is_there: bool,
}

/// What a record deleted, if that is gone still and this was its end.
fn lost(cx: &Context<'_>, record: &Record) -> Result<Option<Lost>> {
    if is_there(cx, record.ino)? {
        return Ok(None);
    }
    let Some(last) = cx.engine().store().last_of(record.ino)? else {
        return Ok(None);
    };
    let deleted = Deleted {
        op: record.op.0,
        time: record.time.to_string(),
        path: Text(record.path.clone()),
        directory: last.node.is_dir(),
        size: last.node.size,
        user: record.author.user.clone(),
        agent: record.author.agent.clone(),
        session: record.author.session.clone(),
        command: record.author.comm.clone(),
    };
    let parent_is_there = is_there(cx, last.name.parent)?;
    Ok(Some(Lost {
        deleted,
        parent_is_there,
    }))
}

fn is_there(cx: &Context<'_>, ino: Ino) -> Result<bool> {
    let now = cx.engine().head(cx.tenant()?)?;
    Ok(cx.engine().store().node_at(ino, now)?.is_some())
}

/// Brings back what was deleted: by the operation's number or the path that it had, a directory with all that the same process
/// deleted in it. For whoever may make names there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrashRestore {
    pub op: Option<u64>,
    pub path: Option<Text>,
    /// Put it beside what took its name meanwhile.
    pub aside: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Command for TrashRestore {
    const NAME: &'static str = "trash-restore";
    type Reply = Undoing;

    fn run(self, cx: &mut Context<'_>) -> Result<Undoing> {
        let wanted = Wanted {
            path: self.path.clone(),
            first: self.op,
            last: self.op,
            ..Wanted::default()
        };
        if let Some(op) = self.op {
            cx.engine().can_undo(cx.tenant()?, Op(op))?;
        }
        let query = deletions(cx, wanted.query(cx)?)?;
        let Some(record) = self.newest(cx, &query)? else {
            return fail(
                Kind::NotFound,
                "nothing of that name was deleted and is gone: see `nexus trash list`",
            );
        };
        let choice = Choice {
            ops: with_it(cx, &record)?,
            answer: if self.aside {
                Answer::Aside
            } else {
                Answer::Stop
            },
            dry_run: self.dry_run,
        };
        let undone = history::undo(cx.engine(), cx.caller, &choice)?;
        cx.durable(reply(cx, &choice.ops, &undone)?)
    }
}

impl TrashRestore {
    fn newest(&self, cx: &Context<'_>, query: &Query) -> Result<Option<Record>> {
        let is_it = |r: &Record| self.path.as_ref().is_none_or(|p| p.0 == r.path);
        backwards(cx, query, PAGE, |page| {
            for record in page.into_iter().filter(is_it) {
                if !is_there(cx, record.ino)? {
                    return Ok(Break(record));
                }
            }
            Ok(Continue(()))
        })
    }
}

/// The deletion of something, and those before it of what was in it, by the same process.
fn with_it(cx: &Context<'_>, record: &Record) -> Result<OpSet> {
    let mut all = vec![record.op];
    if record.kind != OpKind::Rmdir {
        return Ok(all.into_iter().collect());
    }
    let wanted = Wanted {
        path: Some(Text(record.path.clone())),
        last: Some(record.op.0 - 1),
        ..Wanted::default()
    };
    let query = deletions(cx, wanted.query(cx)?)?;
    backwards(cx, &query, PAGE, |page| {
        let mut is_end = true;
        for other in page.iter().filter(|r| r.author == record.author) {
            is_end = false;
            if !is_there(cx, other.ino)? {
                all.push(other.op);
            }
        }
        // A page of others: the process had not begun then.
        Ok(if is_end { Break(()) } else { Continue(()) })
    })?;
    Ok(all.into_iter().collect())
}
