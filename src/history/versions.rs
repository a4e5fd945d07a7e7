//! Versions of a file: what its content was after each completed change, and whose change that was.
//!
//! A file is what has its name. Tools that save by writing a new file and renaming it over the old one make a new node each
//! time; so the versions of a file are those of the node that has the name now, and before them those of the nodes that had it
//! before, as long as they had it. A node that took the name from another one, or has it once more, because it was renamed back or
//! an undo brought it back, is there as of that operation: what it was elsewhere was never this file. Versions are counted from the
//! first of them that is not forgotten, and keep their numbers.

use super::at::stored;
use crate::access::Right;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result, error::fail};
use crate::fs::{Engine, Found, Moment};
use crate::meta::cache::Place;
use crate::meta::timeline::{self, Spell};
use crate::meta::{Entry, FileKind, Horizon, Node, Record, log};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many times that a node had the name are looked at.
const SPELLS_MAX: usize = 1000;

/// One version of a file.
#[derive(Debug, Clone)]
pub struct Version {
    /// Counts the versions of the file, from 1.
    pub number: u64,
    /// The first moment at which it was and that is not forgotten: mostly the one it was made.
    pub at: Moment,
    /// The file as it was then.
    pub node: Arc<Node>,
    /// Who made it, and how.
    pub record: Record,
}

/// A node that has or had the file's name, once.
struct Holder {
    ino: Ino,
    /// The operation by which it got the name.
    since: Op,
    /// The operation by which it lost it.
    until: Option<Op>,
    /// Whether that by which it got the name took it from another node.
    took_over: bool,
}

/// A version before anybody asks whose it is.
pub(super) struct Stage {
    pub number: u64,
    /// The first moment that shows it.
    op: Op,
    /// The operation that made it, or brought it back.
    by: Op,
    /// From which operation on the name showed it, as far as no later version did.
    pub since: Op,
    pub node: Arc<Node>,
}

impl Stage {
    /// Looks up who made it.
    pub(super) fn told(&self, engine: &Engine, caller: &Caller) -> Result<Version> {
        let node = &self.node;
        let record = record(engine, caller, self.by)?;
        let time = match engine.store().time_of(node.tenant, self.op)? {
            Some((_, time)) if self.op != self.by => time,
            _ => record.time,
        };
        Ok(Version {
            number: self.number,
            at: Moment {
                tenant: node.tenant,
                op: self.op,
                time,
            },
            node: node.clone(),
            record,
        })
    }
}

/// The versions of the file at a path, the oldest first; of a file that is gone, too, where the directory it was in is still
/// there. Takes read permission on the file: versions of a node that had the name and that the caller may not read any more are
/// left out. Fails with `Invalid` on what is no regular file.
pub fn versions(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<Vec<Version>> {
    let all = stages(engine, caller, path)?;
    all.iter().map(|stage| stage.told(engine, caller)).collect()
}

/// The same, without whose they are.
pub(super) fn stages(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<Vec<Stage>> {
    let mut all: Vec<Stage> = Vec::new();
    let mut lives = HashMap::new();
    let (holders, readable) = holders(engine, caller, path)?;
    for holder in holders.iter().rev() {
        let is_back = lives.contains_key(&holder.ino);
        if !is_back {
            lives.insert(holder.ino, life(engine, holder.ino)?);
        }
        let horizon = kept(engine, caller)?;
        let life = lives.get(&holder.ino).into_iter().flatten();
        let stages = life.filter_map(|spell| shown(spell, holder, is_back, &horizon));
        all.extend(stages.filter(|s| s.node.is_file() && caller.tenant == Some(s.node.tenant)));
    }
    let is_same = |a: &Node, b: &Node| {
        (a.ino, a.version, a.size) == (b.ino, b.version, b.size) && a.content == b.content
    };
    all.dedup_by(|later, first| is_same(&later.node, &first.node));
    // Only now: what came back behind something hidden came back.
    all.retain(|stage| readable.contains(&stage.node.ino));
    for (stage, number) in all.iter_mut().zip(1..) {
        stage.number = number;
    }
    Ok(all)
}

/// Whether a version is only the beginning of the next one: programs empty a file, or make an empty one, and close that before
/// they write. An empty version is somebody's work where another one wrote next, or nobody.
pub(super) fn is_beginning(
    engine: &Engine,
    caller: &Caller,
    stage: &Stage,
    next: Option<&Stage>,
) -> Result<bool> {
    let Some(next) = next.filter(|_| stage.node.size == 0) else {
        return Ok(false);
    };
    let author = |stage: &Stage| -> Result<_> {
        let by = record(engine, caller, stage.by)?.author;
        Ok((by.uid, by.user, by.agent, by.session))
    };
    Ok(author(stage)? == author(next)?)
}

/// One version of the file at a path; fails with `NotFound` when it has none of this number.
pub fn version(engine: &Engine, caller: &Caller, path: &FsPath, number: u64) -> Result<Version> {
    let all = stages(engine, caller, path)?;
    let last = all.last().map_or(0, |v| v.number);
    let found = all.iter().find(|v| v.number == number);
    let missing = || {
        let message = format!("{path} has no version {number}: the last is {last}");
        Error::new(Kind::NotFound, message)
    };
    found.ok_or_else(missing)?.told(engine, caller)
}

/// The nodes that have or had a file's name, the newest first, and which of them the caller may read: one at least.
fn holders(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<(Vec<Holder>, HashSet<Ino>)> {
    let (dir, name) = engine.resolve_parent(caller, path)?;
    let now = match engine.lookup(caller, dir, name) {
        Ok(link) if link.kind == FileKind::Symlink => {
            let target = file(path, engine.resolve(caller, path)?)?;
            return one(engine, caller, stored(engine, target.ino)?);
        }
        Ok(node) => Some(stored(engine, file(path, node)?.ino)?),
        Err(e) if e.kind() == Kind::NotFound => None,
        Err(e) => return Err(e),
    };
    let dir = stored(engine, dir)?;
    engine.may_still(caller, dir, Right::Execute)?;
    let mut found = had_name(engine, caller, dir, name)?;
    found.truncate(SPELLS_MAX);
    let (mut asked, mut readable) = (HashSet::new(), HashSet::new());
    for ino in found.iter().map(|holder| holder.ino) {
        if !asked.insert(ino) {
            continue;
        }
        match engine.may_still(caller, ino, Right::Read) {
            Ok(()) => {
                readable.insert(ino);
            }
            // Of what is there he is told why he may not read it.
            Err(e) if Some(ino) == now => return Err(e.context(path)),
            Err(_) => {}
        }
    }
    if readable.is_empty() {
        return fail(Kind::NotFound, format!("no {path}"));
    }
    Ok((found, readable))
}

fn one(engine: &Engine, caller: &Caller, ino: Ino) -> Result<(Vec<Holder>, HashSet<Ino>)> {
    engine.may_still(caller, ino, Right::Read)?;
    let holder = Holder {
        ino,
        since: Op(0),
        until: None,
        took_over: false,
    };
    Ok((vec![holder], HashSet::from([ino])))
}

fn file(path: &FsPath, node: Found) -> Result<Found> {
    if node.is_file() {
        return Ok(node);
    }
    fail(Kind::Invalid, format!("{path} is no regular file"))
}

/// What a name stood for, the newest first.
fn had_name(engine: &Engine, caller: &Caller, parent: Ino, name: &Name) -> Result<Vec<Holder>> {
    let place = Place {
        parent,
        name: name.clone(),
    };
    let mut tx = engine.store().read()?;
    let spells = timeline::meanings(&mut *tx, &place, Op(0))?;
    drop(tx);
    // Looked at afterwards: no row goes before it has moved.
    let horizon = kept(engine, caller)?;
    let mut before = None;
    let holder = |spell: Spell<Entry>| Holder {
        ino: spell.state.ino,
        since: spell.state.began,
        until: spell.ended,
        took_over: std::mem::replace(&mut before, spell.ended) == Some(spell.state.began),
    };
    let mut all: Vec<_> = spells.into_iter().map(holder).collect();
    all.retain(|holder| !horizon.hides(holder.since, holder.until));
    all.reverse();
    Ok(all)
}

/// All states of a node, the oldest first.
fn life(engine: &Engine, ino: Ino) -> Result<Vec<Spell<Arc<Node>>>> {
    let mut tx = engine.store().read()?;
    let mut spells = timeline::nodes(&mut *tx, &[ino], Op(0))?;
    spells.sort_by_key(|spell| spell.state.began);
    let shared = |Spell { state, ended }| Spell {
        state: Arc::new(state),
        ended,
    };
    Ok(spells.into_iter().map(shared).collect())
}

/// A state of a holder as a version that has no number yet; `None` where it was none of this name, or is forgotten. What a file
/// was before it was moved to a free name counts, too, unless it was elsewhere and `is_back`.
fn shown(
    Spell { state, ended }: &Spell<Arc<Node>>,
    of: &Holder,
    is_back: bool,
    horizon: &Horizon,
) -> Option<Stage> {
    let since = state.began.max(of.since);
    let (by, over) = if is_back || of.took_over {
        (since, ended.iter().chain(&of.until).min().copied())
    } else {
        (state.began, *ended)
    };
    let had_name = of.until.is_none_or(|until| state.began < until);
    let is_it = had_name && over.is_none_or(|over| by < over);
    Some(Stage {
        number: 0,
        op: horizon.sight_of(by, over).filter(|_| is_it)?,
        by,
        since,
        node: state.clone(),
    })
}

/// What of the caller's past is kept.
fn kept(engine: &Engine, caller: &Caller) -> Result<Arc<Horizon>> {
    let none = || caller.stranger(Kind::NotFound);
    engine.horizon(caller.tenant.ok_or_else(none)?)
}

/// Where what is told of versions begins; `None` where nothing was forgotten.
pub fn beginning(engine: &Engine, caller: &Caller) -> Result<Option<Op>> {
    let horizon = kept(engine, caller)?;
    Ok((horizon.upto > Op(0)).then(|| horizon.oldest()))
}

fn record(engine: &Engine, caller: &Caller, op: Op) -> Result<Record> {
    let missing = || Error::new(Kind::Corrupt, format!("operation {op} is not in the log"));
    let tenant = caller.tenant.ok_or_else(missing)?;
    let mut tx = engine.store().read()?;
    let (found, _) = log::at(&mut *tx, tenant, op)?.ok_or_else(missing)?;
    Ok(found)
}
