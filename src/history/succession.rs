//! Files that took a name from others: each is a version of the file that had it before.
//!
//! Tools save so: they rename a new file over the old one, or the old one away first, as its backup. What was undone in one of
//! them is in the next still, and what somebody did to the next he did to the file: where a line of such files has work of both,
//! it is gone along like that of one node.

use super::aside::Aside;
use super::effects::{Meanings, Rows, key_of};
use super::fold::{Counsel, Timeline};
use super::ops::{OpSet, Without};
use super::plan::{Conflict, brought_back};
use super::saves::is_step;
use crate::core::{Ino, Op, Result};
use crate::meta::Node;
use std::collections::HashMap;

/// What becomes of the files that had a name one after the other.
#[derive(Default)]
pub(super) struct Successions {
    /// What each of their nodes should be, where it should be at all.
    pub nodes: HashMap<Ino, Option<Node>>,
    /// What their names should stand for.
    pub names: HashMap<(Ino, Vec<u8>), Ino>,
    pub conflicts: Vec<Conflict>,
    /// Of nodes that stay, the last operation of what was done since and stays.
    pub since: Vec<(Ino, Op)>,
}

/// Whether files that took a name from others are versions of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saved {
    Not,
    Whole,
    /// And older ones, by what stays, have other names still, or had them for longer.
    WithBackup,
}

/// Files that had a name one after the other, each made to take the place of the one before.
struct Line<'a> {
    holders: Vec<Ino>,
    /// The operations by which all but the first came.
    came: Vec<Op>,
    /// Those of them that were renamed away before the next one came.
    put_away: Vec<PutAway>,
    meanings: &'a Meanings,
}

/// A file that was renamed away from a name before another one came there.
struct PutAway {
    ino: Ino,
    away: Op,
    came: Op,
    ended: Option<Op>,
}

impl Successions {
    /// Goes along all lines that have kept work behind undone work of another file.
    pub(super) fn of(rows: &Rows, undone: Without<'_>, ask: &mut dyn Counsel) -> Result<Self> {
        let mut all = Self::default();
        for (key, meanings) in &rows.names {
            for line in lines(rows, undone, meanings) {
                let met = line.holders.iter().any(|ino| all.nodes.contains_key(ino));
                if !met {
                    all.follow(rows, undone, (key, &line), ask)?;
                }
            }
        }
        Ok(all)
    }

    fn follow(
        &mut self,
        rows: &Rows,
        undone: Without<'_>,
        (key, line): (&(Ino, Vec<u8>), &Line<'_>),
        ask: &mut dyn Counsel,
    ) -> Result<()> {
        // It is there, or comes back.
        let lives = |ino: &&Ino| {
            let end = rows.nodes.get(ino).map(|line| ended(rows, line));
            end.is_some_and(|end| end.is_none_or(|op| undone.has(op)))
        };
        let Some(last) = line.holders.last().filter(lives) else {
            return Ok(());
        };
        let has_name = line.meanings.line.now() == Some(last);
        // The last that came by what stays.
        let kept = line.came.iter().rposition(|op| !undone.has(*op));
        let stays = line.holders[kept.map_or(0, |n| n + 1)];
        let whole = line.whole(rows);
        if !line.is_of_both(&whole, undone) || (stays != *last && !has_name) {
            return Ok(());
        }
        let saved = line.saved(undone, ask)?;
        let Some(backups) = line.backups(rows, undone).filter(|_| saved != Saved::Not) else {
            return Ok(());
        };
        let should = whole.without(undone, ask)?;
        // Perhaps it is no backup, but what somebody has put away to begin another file of that name.
        if saved == Saved::WithBackup && should.is_err() && !line.is_akin(rows, *last, ask)? {
            return Ok(());
        }
        for ino in &line.holders {
            // A backup is a file of its own.
            if !rows.is_there(*ino) || ino == last {
                self.nodes.insert(*ino, None);
            }
        }
        let named = match should {
            Ok(Some(should)) => {
                self.nodes.insert(stays, became(rows, stays, &should));
                self.since.extend(whole.kept(undone).map(|op| (stays, op)));
                stays
            }
            Ok(None) => return Ok(()),
            Err(by) => {
                match rows.nodes.get(last).and_then(Timeline::now) {
                    Some(now) => self.nodes.insert(*last, Some(now.clone())),
                    None => self.nodes.remove(last),
                };
                let conflict = line.conflict(rows, (undone, by), *last);
                self.conflicts.push(conflict);
                *last
            }
        };
        for (backup, of) in backups {
            self.nodes.insert(backup, None);
            self.nodes.remove(&of);
            let its = rows.names_of(backup).map(|m| (key_of(&m.place), of));
            self.names.extend(its);
        }
        if has_name {
            self.names.insert(key.clone(), named);
        }
        Ok(())
    }
}

impl Line<'_> {
    /// The states of all of them while they had the name, as if they were one.
    fn whole(&self, rows: &Rows) -> Timeline<Node> {
        let mut whole = Timeline {
            before: None,
            changes: Vec::new(),
        };
        for (n, ino) in self.holders.iter().enumerate() {
            let Some(line) = rows.nodes.get(ino) else {
                continue;
            };
            let came = n.checked_sub(1).map(|n| self.came[n]);
            let until = self.came.get(n);
            match came {
                None => whole.before.clone_from(&line.before),
                Some(came) => {
                    let first = line.changes.iter().take_while(|(op, _)| *op <= came).last();
                    let state = first.and_then(|(_, state)| state.clone());
                    whole.changes.push((came, state));
                }
            }
            let own = line.changes.iter().filter(|(op, _)| {
                came.is_none_or(|came| *op > came) && until.is_none_or(|until| op < until)
            });
            whole.changes.extend(own.cloned());
        }
        whole
    }

    /// Whether the last has something of one that was put away.
    fn is_akin(&self, rows: &Rows, last: Ino, ask: &mut dyn Counsel) -> Result<bool> {
        let now = rows.nodes.get(&last).and_then(Timeline::now);
        for old in &self.put_away {
            let Some(line) = rows.nodes.get(&old.ino) else {
                continue;
            };
            // It may have been emptied by what is undone.
            let was = [line.before.as_ref(), state(rows, line, |at| at < old.came)];
            for was in was.into_iter().flatten() {
                if now.map_or(Ok(false), |now| ask.is_akin(&was.content, &now.content))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Backups of files that would not have been made, each with the file that it would be one of. None where that file would have
    /// several names.
    fn backups(&self, rows: &Rows, undone: Without<'_>) -> Option<Vec<(Ino, Ino)>> {
        let later = self.holders.iter().enumerate().skip(1);
        let stay = later.filter(|(n, ino)| {
            let is_last = *n == self.came.len();
            !is_last && rows.is_there(**ino) && undone.has(self.came[n - 1])
        });
        let of = |n: usize| {
            let kept = self.came[..n].iter().rposition(|op| !undone.has(*op));
            self.holders[kept.map_or(0, |n| n + 1)]
        };
        let all: Vec<_> = stay.map(|(n, ino)| (*ino, of(n))).collect();
        // One that is there loses the name that it was put away to.
        let loses = |ino: Ino| {
            let mut away = self.put_away.iter();
            away.any(|old| old.ino == ino && undone.has(old.away))
        };
        let is_free = |(_, of): &(Ino, Ino)| !rows.is_there(*of) || loses(*of);
        (all.len() < 2 && all.iter().all(is_free)).then_some(all)
    }

    /// Whether something that stays was done to another of them than what is undone before it.
    fn is_of_both(&self, whole: &Timeline<Node>, undone: Without<'_>) -> bool {
        let ops = whole.changes.iter().map(|(op, _)| *op);
        let last_kept = ops.clone().filter(|op| !undone.has(*op)).max();
        let first_undone = ops.filter(|op| undone.has(*op)).min();
        self.came.iter().any(|came| {
            if undone.has(*came) {
                last_kept.is_some_and(|kept| kept > *came)
            } else {
                first_undone.is_some_and(|undone| undone < *came)
            }
        })
    }

    /// Whether who renamed a file away made the next one at once; and whether the old one was kept.
    fn saved(&self, undone: Without<'_>, ask: &mut dyn Counsel) -> Result<Saved> {
        let mut saved = Saved::Whole;
        for old in &self.put_away {
            let (away, came) = (ask.record(old.away)?, ask.record(old.came)?);
            let Some(away) = away.filter(|away| came.is_some_and(|came| is_step(away, &came)))
            else {
                return Ok(Saved::Not);
            };
            let end = match old.ended {
                Some(op) => ask.record(op)?,
                None => None,
            };
            if !undone.has(old.came) && !end.is_some_and(|end| is_step(&away, &end)) {
                saved = Saved::WithBackup;
            }
        }
        Ok(saved)
    }

    fn conflict(&self, rows: &Rows, (undone, by): (Without<'_>, Op), last: Ino) -> Conflict {
        let mut of = OpSet::default();
        for ino in &self.holders {
            of.join(&rows.touching(*ino, undone));
        }
        let came = self.came.iter().copied();
        of.join(&came.filter(|op| undone.has(*op)).collect());
        let first = self.holders.first().and_then(|ino| rows.nodes.get(ino));
        let before = first.and_then(|line| Some((line, line.before.clone()?)));
        let place = &self.meanings.place;
        let aside = before.map(|(line, before)| match line.now() {
            Some(is) => Aside::of_content(rows, place, &before, is),
            None => Aside::of_gone(rows, place, brought_back(line, before)),
        });
        Conflict {
            undone: of,
            by: Some(by),
            why: "was changed since",
            node: Some(last),
            aside,
        }
    }
}

/// Where undoing leaves no file of a line to which somebody gave something that nobody has taken away since, as `given` has it.
pub(super) fn lost(rows: &Rows, undone: Without<'_>, given: &HashMap<Ino, Op>) -> Vec<Conflict> {
    let mut all = Vec::new();
    if given.is_empty() {
        return all;
    }
    for meanings in rows.names.values() {
        // What stays and gave the name to another file ended what that one had.
        let kept = meanings.line.operations().filter(|op| !undone.has(*op));
        let kept = kept.last().unwrap_or_default();
        for line in lines(rows, undone, meanings) {
            let mut later = line.holders.iter().skip(1).zip(&line.came);
            let lost = later.find_map(|(ino, came)| given.get(ino).filter(|_| *came > kept));
            if let (Some(by), Some(last)) = (lost, line.holders.last()) {
                all.push(line.conflict(rows, (undone, *by), *last));
            }
        }
    }
    all
}

/// The lines of files that had a name.
fn lines<'a>(rows: &Rows, undone: Without<'_>, meanings: &'a Meanings) -> Vec<Line<'a>> {
    let new = |holder: Option<Ino>| Line {
        holders: holder.into_iter().collect(),
        came: Vec::new(),
        put_away: Vec::new(),
        meanings,
    };
    let mut all = Vec::new();
    let mut line = new(meanings.line.before);
    // When the last of the line was renamed away.
    let mut away = None;
    for (op, holder) in rows.standing(&meanings.line) {
        let last = line.holders.last().copied();
        match (last, holder) {
            (Some(old), None) if away.is_none() && rows.got_name(old, *op) => away = Some(*op),
            (Some(old), Some(to)) if succeeds(rows, undone, (old, *to), (away, *op)) => {
                line.put_away.extend(away.take().map(|away| PutAway {
                    ino: old,
                    away,
                    came: *op,
                    ended: rows.nodes.get(&old).and_then(|line| ended(rows, line)),
                }));
                line.holders.push(*to);
                line.came.push(*op);
            }
            _ => {
                all.push(std::mem::replace(&mut line, new(*holder)));
                away = None;
            }
        }
    }
    all.push(line);
    all.retain(|line| !line.came.is_empty());
    all
}

/// Whether a file was made to take the place of another one, which went with that or, renamed away before, went later or stays a
/// backup; by one and the same, as far as undoing goes.
fn succeeds(
    rows: &Rows,
    undone: Without<'_>,
    (old, new): (Ino, Ino),
    (away, op): (Option<Op>, Op),
) -> bool {
    let others = (old != new).then(|| (rows.nodes.get(&old), rows.nodes.get(&new)));
    let Some((Some(old), Some(new))) = others else {
        return false;
    };
    let ended = ended(rows, old);
    let made = rows.standing(new).map(|(at, _)| at);
    let is_one = |at: &Op| undone.has(*at) == undone.has(op);
    let goes = match away {
        None => ended == Some(op),
        Some(_) => ended.is_none_or(|end| end > op),
    };
    goes && state(rows, old, |at| at < op).is_some_and(Node::is_file)
        && new.before.is_none()
        && state(rows, new, |at| at <= op).is_some_and(Node::is_file)
        && made
            .take_while(|at| **at <= op)
            .chain(&away)
            .chain(&ended)
            .all(is_one)
}

/// The operation that a node went with, where it has not come back.
fn ended(rows: &Rows, line: &Timeline<Node>) -> Option<Op> {
    let (op, state) = rows.standing(line).last()?;
    state.is_none().then_some(*op)
}

/// What a node was with all changes up to one.
fn state<'a>(
    rows: &Rows,
    line: &'a Timeline<Node>,
    is_early: impl Fn(Op) -> bool,
) -> Option<&'a Node> {
    let early = rows.standing(line).take_while(|(at, _)| is_early(*at));
    let last = early.last();
    last.map_or(line.before.as_ref(), |(_, state)| state.as_ref())
}

/// What the node that stays becomes.
fn became(rows: &Rows, stays: Ino, should: &Node) -> Option<Node> {
    let line = rows.nodes.get(&stays)?;
    let of = |is: &Node| Node {
        mode: should.mode,
        uid: should.uid,
        gid: should.gid,
        size: should.size,
        content: should.content.clone(),
        mtime: should.mtime,
        atime: should.atime,
        ..is.clone()
    };
    let mut states = line.changes.iter().rev();
    let last = states.find_map(|(_, state)| state.as_ref());
    last.or(line.before.as_ref()).map(of)
}
