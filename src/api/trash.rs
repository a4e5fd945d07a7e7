//! The trash: a view of deletions. Nothing is moved anywhere to be deleted, and nothing but history holds it.

use super::Command;
use super::context::Context;
use super::log::Wanted;
use super::undo::chosen::backwards;
use super::undo::search::Search;
use super::undo::{Undoing, record, reply};
use crate::core::{FsPath, Ino, Kind, Op, Result, Text, error::fail};
use crate::history::{self, Answer, Choice, OpSet, Undoings};
use crate::meta::log_query::{Cursor, Query};
use crate::meta::{OpKind, Record, timeline};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::ControlFlow::{Break, Continue};

const KINDS: [OpKind; 2] = [OpKind::Unlink, OpKind::Rmdir];
const PAGE: u32 = 1000;
/// How many pages of deletions one list looks through: of a large tree that went, only its top is shown.
const LOOKS: u32 = 20;
/// How many deletions it has at most, and how many bytes of paths, but for the last.
const LISTED_MAX: u32 = 10_000;
const PATHS_MAX: usize = 1 << 20;
/// How deep a tree may be; deeper ones are refused elsewhere.
const DEPTH_MAX: usize = 4096;
/// How many deletions one operation takes out of the trash.
const AT_ONCE: usize = 10_000;

/// Lists what was deleted and is gone still, the newest first: what the caller may read of it. What went with a directory is
/// listed with `all` only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrashList {
    #[serde(flatten)]
    pub wanted: Wanted,
    pub all: bool,
    /// How many at most; 100 when it is 0, and never more than ten thousand.
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
    /// Where the look ended, if there may be more behind: ask for those up to this operation (`last`) next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}

impl Command for TrashList {
    const NAME: &'static str = "trash-list";
    type Reply = Trash;

    fn run(self, cx: &mut Context<'_>) -> Result<Trash> {
        let query = deletions(cx, self.wanted.query(cx)?)?;
        let limit = if self.limit == 0 { 100 } else { self.limit };
        let limit = limit.min(LISTED_MAX) as usize;
        let (mut deleted, emptied) = (Vec::new(), emptied(cx)?);
        let mut search = Search::new(cx, query, Cursor::NEWEST, PAGE)?;
        let (mut undoings, mut paths) = (Undoings::default(), 0);
        for _ in 0..LOOKS {
            let Some(page) = search.readable()? else {
                break;
            };
            // What was undone is as if it had not been, and may be much: it is leapt over.
            let oldest = page.last().map(|record| record.op).or(search.at());
            let undone = undoings.back_to(cx.engine(), cx.tenant()?, oldest)?;
            let mut left = gone(cx, page)?;
            left.retain(|record| !emptied.has(record.op) && !undone.has(record.op));
            for item in lost(cx, &left)? {
                if !self.all && !item.parent_is_there {
                    continue;
                }
                let op = item.deleted.op;
                paths += item.deleted.path.0.len();
                deleted.push(item.deleted);
                if deleted.len() >= limit || paths >= PATHS_MAX {
                    let more = Some(op.saturating_sub(1));
                    return Ok(Trash { deleted, more });
                }
            }
            search.leap(undone);
            if search.is_spent() {
                break;
            }
        }
        let more = search.at().map(|at| at.0.saturating_sub(1));
        Ok(Trash { deleted, more })
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

/// Those deletions of a page whose node is not there again: all are looked up at once, for after an undo most are.
fn gone(cx: &Context<'_>, mut page: Vec<Record>) -> Result<Vec<Record>> {
    let all: Vec<_> = page.iter().map(|record| record.ino).collect();
    let there = cx.engine().store().nodes(&all)?;
    page.retain(|record| !there.contains_key(&record.ino));
    Ok(page)
}

/// Something that is gone, and whether the directory is there that it was in.
struct Lost {
    deleted: Deleted,
    ino: Ino,
    parent_is_there: bool,
}

/// What records deleted, as far as that is gone still and each was its end; some statements for all of them.
fn lost(cx: &Context<'_>, records: &[Record]) -> Result<Vec<Lost>> {
    let store = cx.engine().store();
    let nodes: Vec<_> = records.iter().map(|record| record.ino).collect();
    let last = store.last_of_each(&nodes)?;
    let parents: HashSet<_> = last.values().map(|last| last.name.parent).collect();
    let there = store.nodes(&parents.into_iter().collect::<Vec<_>>())?;
    let item = |record: &Record| {
        // What came back and went again is in the trash once; what had another name then, with that.
        let last = last.get(&record.ino);
        let last = last.filter(|last| last.ended == record.op)?;
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
        Some(Lost {
            deleted,
            ino: record.ino,
            parent_is_there: there.contains_key(&last.name.parent),
        })
    };
    Ok(records.iter().filter_map(item).collect())
}

fn is_there(cx: &Context<'_>, ino: Ino) -> Result<bool> {
    let now = cx.engine().head(cx.tenant()?)?;
    Ok(cx.engine().store().node_at(ino, now)?.is_some())
}

/// Takes deletions out of the trash, for everybody: those that fit and are the caller's, whose node was his when it went, with
/// all that lay in a directory. History keeps them until it is forgotten: they come back by their numbers, or by undo.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrashEmpty {
    #[serde(flatten)]
    pub wanted: Wanted,
    /// Only say what would be taken out.
    pub dry_run: bool,
}

/// What was taken out of the trash, or would be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Emptied {
    /// The operations that did it: one for ten thousand deletions.
    pub by: Vec<u64>,
    /// The deletions: `3,7-12`.
    pub ops: String,
    pub deletions: u64,
    /// Those among them that `nexus trash list` shows; the others went with a directory.
    pub listed: u64,
    /// Bytes of their contents, each as large as it was.
    pub bytes: u64,
    /// Deletions that stay: what they deleted was somebody else's.
    pub others: u64,
}

impl Command for TrashEmpty {
    const NAME: &'static str = "trash-empty";
    type Reply = Emptied;

    fn run(self, cx: &mut Context<'_>) -> Result<Emptied> {
        let query = deletions(cx, self.wanted.query(cx)?)?;
        let (emptied, mut done) = (emptied(cx)?, Emptied::default());
        let mut own: Vec<(Op, Text)> = Vec::new();
        backwards(cx, &query, PAGE, |page, _| {
            let (all, known) = (page.len(), own.len());
            let mut left = gone(cx, page)?;
            left.retain(|record| !emptied.has(record.op));
            for item in lost(cx, &left)? {
                if cx.engine().owns_still(cx.caller, item.ino)? {
                    own.push((Op(item.deleted.op), item.deleted.path));
                    done.listed += u64::from(item.parent_is_there);
                    done.bytes += item.deleted.size;
                } else {
                    done.others += 1;
                }
            }
            Ok(Continue::<(), _>(all - (own.len() - known)))
        })?;
        done.deletions = own.len() as u64;
        if !self.dry_run {
            for some in own.chunks(AT_ONCE) {
                done.by.push(empty(cx, some)?.0);
            }
        }
        let ops: OpSet = own.iter().map(|(op, _)| *op).collect();
        done.ops = ops.to_string();
        cx.durable(done)
    }
}

/// Takes some deletions out of the trash, the newest first.
fn empty(cx: &Context<'_>, some: &[(Op, Text)]) -> Result<Op> {
    let ops: OpSet = some.iter().map(|(op, _)| *op).collect();
    let paths: Vec<_> = some.iter().map(|(_, path)| path.0.clone()).collect();
    let newest = some.first().map_or(Op(0), |(op, _)| *op);
    let about = (&history::common(&paths), newest);
    cx.engine()
        .empty_trash(cx.caller, (&ops.to_string(), some.len()), about)
}

/// What was taken out of the trash.
fn emptied(cx: &Context<'_>) -> Result<OpSet> {
    let mut all = OpSet::default();
    for record in cx.engine().emptied(cx.tenant()?)? {
        all.join(&history::named_by(&record)?);
    }
    Ok(all)
}

/// Brings back what was deleted: by the operation's number or the path that it had, a directory with all that the same process
/// deleted in it. For whoever may make names there and, where it comes to another directory, might have moved it to that one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrashRestore {
    pub op: Option<u64>,
    pub path: Option<Text>,
    /// What to do where something took its name meanwhile.
    pub answer: Answer,
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
            let what = match self.op {
                Some(op) => format!("operation {op} deleted nothing that is gone"),
                None => nothing(cx)?,
            };
            return fail(Kind::NotFound, format!("{what}: see `nexus trash list`"));
        };
        let mut ops = with_it(cx, &record)?;
        let homes = above(cx, record, &mut ops)?;
        let choice = Choice {
            ops,
            homes,
            answer: self.answer,
            dry_run: self.dry_run,
        };
        let undone = history::undo(cx.engine(), cx.caller, &choice)?;
        cx.durable(reply(cx, &choice.ops, &undone)?)
    }
}

/// What to say where nothing was deleted that had a path, as far as is known.
fn nothing(cx: &Context<'_>) -> Result<String> {
    let tenant = cx.tenant()?;
    let horizon = cx.engine().horizon(tenant)?;
    let what = "nothing of that name was deleted and is gone";
    if horizon.oldest() <= Op(1) {
        return Ok(what.to_owned());
    }
    let forgotten = cx.engine().forgotten(tenant, &horizon)?;
    Ok(format!("{what} ({forgotten})"))
}

impl TrashRestore {
    fn newest(&self, cx: &Context<'_>, query: &Query) -> Result<Option<Record>> {
        // What the trash does not show comes back by its number only.
        let emptied = match self.op {
            Some(_) => OpSet::default(),
            None => emptied(cx)?,
        };
        let is_named = |r: &Record| self.path.as_ref().is_none_or(|p| p.0 == r.path);
        let is_it = |r: &Record| is_named(r) && !emptied.has(r.op);
        backwards(cx, query, PAGE, |page, _| {
            let all = page.len();
            for record in gone(cx, page)?.into_iter().filter(is_it) {
                if !lost(cx, std::slice::from_ref(&record))?.is_empty() {
                    return Ok(Break(record));
                }
            }
            Ok(Continue(all))
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
        // Before that another directory may have had its name.
        first: Some(came(cx, record.ino)?.0),
        last: Some(record.op.0 - 1),
        ..Wanted::default()
    };
    let query = deletions(cx, wanted.query(cx)?)?;
    backwards(cx, &query, PAGE, |page, _| {
        let (mut is_end, known) = (true, all.len());
        for other in page.iter().filter(|r| r.author == record.author) {
            is_end = false;
            if !is_there(cx, other.ino)? {
                all.push(other.op);
            }
        }
        // A page of others: the process had not begun then.
        let vain = page.len() - (all.len() - known);
        Ok(if is_end { Break(()) } else { Continue(vain) })
    })?;
    Ok(all.into_iter().collect())
}

/// The operation with which a node that is gone came, or came back for the last time.
fn came(cx: &Context<'_>, ino: Ino) -> Result<Op> {
    let mut tx = cx.engine().store().read()?;
    let mut states = timeline::nodes(&mut *tx, &[ino], Op(0))?;
    states.sort_by_key(|spell| std::cmp::Reverse(spell.state.began));
    let mut came = None;
    for spell in states {
        if came.is_none_or(|came| spell.ended == Some(came)) {
            came = Some(spell.state.began);
        }
    }
    Ok(came.unwrap_or_default())
}

/// Where what was deleted can come back when the directory is gone that it was in: in the one that has its path now; else the deletion of
/// that directory is one of those that are undone, and so on upwards.
fn above(cx: &Context<'_>, deleted: Record, ops: &mut OpSet) -> Result<Vec<(Ino, Ino)>> {
    let (engine, mut deleted, mut more) = (cx.engine(), deleted, OpSet::default());
    for _ in 0..DEPTH_MAX {
        let Some(last) = engine.store().last_of(deleted.ino)? else {
            break;
        };
        let gone = last.name.parent;
        let path = FsPath::parse(&deleted.path)?;
        let dir = path.split().map(|(dir, _)| dir);
        let (Some(dir), false) = (dir, is_there(cx, gone)?) else {
            ops.join(&more);
            break;
        };
        if let Some(now) = history::directory_now(engine, cx.caller, &dir)? {
            ops.join(&more);
            return Ok(vec![(gone, now)]);
        }
        let ended = engine.store().last_of(gone)?.map(|last| last.ended);
        let with = record(cx, ended)?.filter(|r| r.kind == OpKind::Rmdir && r.ino == gone);
        let Some(with) = with else { break };
        more.add(with.op.0);
        deleted = with;
    }
    Ok(Vec::new())
}
