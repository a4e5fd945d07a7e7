//! What undoing some operations comes to: the rows that should be others, and what stands in the way.

use super::aside::Aside;
use super::basis::{Basis, Meanwhile};
use super::effects::{Effects, Key, Rows, Touch};
use super::fold::{Timeline, differs, touching};
use super::grants::granted_by;
use super::members::Turn;
use super::merge::Merger;
use super::ops::{OpSet, Without};
use super::pairs::Pairs;
use super::succession::{self, Successions};
use crate::blob::Blobs;
use crate::core::{Ino, Kind, Op, Result, TenantId, Time, error::fail};
use crate::db::Tx;
use crate::fs::{Naming, Revision};
use crate::meta::cache::Place;
use crate::meta::tuple::{self, Tuple};
use crate::meta::{Node, Record, Store, log, node, tenant};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Something that cannot be made what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The operations that would be undone here.
    pub undone: OpSet,
    /// What was done since and needs them; `None` where it was long before.
    pub by: Option<Op>,
    pub why: &'static str,
    /// The node that it is about, and where the old state could be put beside it.
    pub node: Option<Ino>,
    pub(super) aside: Option<Aside>,
}

/// What to do, worked out for one end of the log, and for later ones as long as nothing bears on what it was made of.
#[derive(Default)]
pub struct Plan {
    pub revision: Revision,
    pub conflicts: Vec<Conflict>,
    /// Operations among those asked for that cannot be reversed, and stay.
    pub others: Vec<Record>,
    /// Every path that the undone operations were recorded with.
    pub paths: Vec<Vec<u8>>,
    /// Nodes to which something was done since that stays, with the last operation of that.
    pub since: HashMap<Ino, Op>,
    /// What it was made of.
    pub basis: Basis,
}

/// What a plan is made by, beside the operations.
pub(super) struct Given<'a> {
    pub pairs: &'a Pairs,
    /// What was in the first directory of each comes back in the other.
    pub homes: &'a [(Ino, Ino)],
    /// Where what had a name comes back, should somebody have taken that.
    pub beside: &'a HashMap<Key, Place>,
}

impl Plan {
    /// Works out what the tree would be without `undone`, which are operations of a tenant, and the pairs that have to do with them.
    /// Fails with `Conflict` when somebody changes something meanwhile.
    pub(super) fn of(
        store: &Store,
        of: (&Blobs, TenantId),
        undone: &OpSet,
        given: &Given<'_>,
    ) -> Result<Self> {
        let (tenant, mut all) = (of.1, undone.clone());
        let mut tx = store.read()?;
        let head = tenant::head(&mut *tx, tenant)?.op;
        // Times of directories and grants are those of the operations themselves: pairs left none.
        let effects = Effects::read(&mut *tx, tenant, &all)?;
        let mut rows = Rows::touched(&mut *tx, tenant, &effects, Without::These(&all).first())?;
        while given.pairs.join(&mut all, &rows) {
            let more = Effects::read(&mut *tx, tenant, &all)?;
            rows = Rows::touched(&mut *tx, tenant, &more, Without::These(&all).first())?;
        }
        rows.idle.clone_from(&all);
        rows.idle.leave_out(undone);
        rows.read_successors(&mut *tx, Without::These(&all).first())?;
        for home in given.homes {
            rows.rehome(&mut *tx, *home)?;
        }
        drop(tx);
        rows.beside.clone_from(given.beside);
        let undone = (Without::These(&all), Basis::default());
        Self::over(store, of, undone, effects, (head, &rows))
    }

    /// The same of rows that were read already, behind an operation; of what else was looked at to choose them.
    pub(super) fn over(
        store: &Store,
        (blobs, tenant): (&Blobs, TenantId),
        (undone, mut basis): (Without<'_>, Basis),
        effects: Effects,
        (head, rows): (Op, &Rows),
    ) -> Result<Self> {
        let mut planner = Planner {
            undone,
            rows,
            revision: Revision::default(),
            conflicts: Vec::new(),
            since: HashMap::new(),
        };
        let named = planner.nodes(Merger::new(store, blobs, tenant))?;
        basis.nodes.extend(rows.nodes.keys());
        basis.relations |= effects.has_relations() || !rows.members.is_empty();
        let mut tx = store.read()?;
        // What is read from here on may be newer than the rows.
        let meanwhile = Meanwhile::after(store, tenant, head);
        if meanwhile.bore_on(&basis, &mut *tx)? {
            return fail(Kind::Conflict, "somebody changed something meanwhile");
        }
        let (away, on_gone) = planner.others_grants(&mut *tx, tenant, &effects)?;
        planner.given(&away);
        planner.names(&named);
        planner.xattrs();
        planner.grants(&mut *tx, &effects, &on_gone)?;
        let stay = planner.members();
        planner.times(&mut *tx, &effects.touches)?;
        let Planner {
            revision,
            mut conflicts,
            since,
            ..
        } = planner;
        let known = conflicts.iter().filter_map(|c| c.node).collect();
        let unfit =
            super::check::conflicts(&mut *tx, undone, (rows, &revision), (&known, &mut basis))?;
        conflicts.extend(unfit);
        basis.dirs.extend(&revision.gone);
        let mut others = effects.others;
        for op in stay.iter() {
            others.extend(log::at(&mut *tx, tenant, op)?.map(|(record, _)| record));
        }
        Ok(Self {
            revision,
            conflicts,
            others,
            paths: effects.paths,
            since,
            basis,
        })
    }
}

/// A grant, and what gave it last of what stays.
type Granted = (Option<Op>, Tuple);

struct Planner<'a> {
    undone: Without<'a>,
    rows: &'a Rows,
    revision: Revision,
    conflicts: Vec<Conflict>,
    since: HashMap<Ino, Op>,
}

impl Planner<'_> {
    /// What nodes should be; says what names should stand for of which that follows.
    fn nodes(&mut self, mut merger: Merger<'_>) -> Result<HashMap<Key, Ino>> {
        let mut saved = Successions::of(self.rows, self.undone, &mut merger)?;
        for (ino, line) in &self.rows.nodes {
            self.since
                .extend(line.kept(self.undone).map(|op| (*ino, op)));
            let should = match saved.nodes.remove(ino) {
                Some(known) => Ok(known),
                None => line.without(self.undone, &mut merger)?,
            };
            match (should, line.now()) {
                (Err(by), _) => self.node_conflict(*ino, line, by),
                (Ok(None), Some(_)) => self.revision.gone.push(*ino),
                (Ok(Some(should)), None) => self.revision.back.push(brought_back(line, should)),
                (Ok(Some(should)), Some(is)) if differs(&should, is) => {
                    self.revision.changed.push(should);
                }
                (Ok(Some(_)), Some(_)) | (Ok(None), None) => {}
            }
        }
        self.since.extend(saved.since);
        self.revision.made = merger.made;
        self.conflicts.append(&mut saved.conflicts);
        Ok(saved.names)
    }

    /// Grants that went with files that were saved over and do not come back, and those that others made on what goes, with the
    /// operations that stay and gave them last.
    fn others_grants(
        &self,
        tx: &mut dyn Tx,
        tenant: TenantId,
        effects: &Effects,
    ) -> Result<(Vec<Granted>, Vec<Granted>)> {
        let back = self.back();
        let away = effects.grants_lost.iter();
        let away = away.filter(|t| t.ino().is_some_and(|ino| self.stays_away(ino, &back)));
        let mut all: Vec<_> = away.map(|t| (**t).clone()).collect();
        let count = all.len();
        let made: HashSet<_> = effects.grants_made.iter().map(|t| t.id).collect();
        let on_gone = tuple::on(tx, tenant, &self.revision.gone)?;
        all.extend(on_gone.into_iter().filter(|t| !made.contains(&t.id)));
        // What an undo gave back that is undone as well was given before.
        let counts = |op| !self.undone.has(op);
        let by = granted_by(tx, tenant, self.undone.first(), &all, counts)?;
        let granted = |tuple: Tuple| (by.get(&tuple.id).copied(), tuple);
        let mut away: Vec<_> = all.into_iter().map(granted).collect();
        let on_gone = away.split_off(count);
        Ok((away, on_gone))
    }

    fn back(&self) -> HashSet<Ino> {
        self.revision.back.iter().map(|n| n.ino).collect()
    }

    fn stays_away(&self, ino: Ino, back: &HashSet<Ino>) -> bool {
        !back.contains(&ino) && !self.rows.is_there(ino)
    }

    /// What somebody else gave to a file that was saved over went with it, and the older file that comes back does not have it.
    fn given(&mut self, away: &[Granted]) {
        let (back, mut given) = (self.back(), HashMap::new());
        for (by, tuple) in away {
            given.extend(tuple.ino().zip(*by));
        }
        for ((ino, _), line) in &self.rows.xattrs {
            let mut kept = line.changes.iter().rev();
            let last = kept.find(|(op, _)| !self.undone.has(*op));
            if let Some((by, Some(_))) = last.filter(|_| self.stays_away(*ino, &back)) {
                given.insert(*ino, *by);
            }
        }
        self.conflicts
            .extend(succession::lost(self.rows, self.undone, &given));
    }

    fn node_conflict(&mut self, ino: Ino, line: &Timeline<Node>, by: Op) {
        let named = self.rows.names_of(ino).next();
        let old = line.before.as_ref().filter(|n| n.is_file());
        let aside = named.zip(old).zip(line.now());
        let aside = aside.map(|((m, old), is)| Aside::of_content(self.rows, &m.place, old, is));
        self.conflicts.push(Conflict {
            undone: self.rows.touching(ino, self.undone),
            by: Some(by),
            why: "was changed since",
            node: Some(ino),
            aside,
        });
    }

    /// What names should stand for; of some that is known.
    fn names(&mut self, known: &HashMap<Key, Ino>) {
        let back = self.revision.back.iter();
        let back: HashMap<Ino, &Node> = back.map(|n| (n.ino, n)).collect();
        for (key, meanings) in &self.rows.names {
            let line = &meanings.line;
            let went_on = |ino, op| self.rows.moved_on(ino, op);
            let should = match known.get(key) {
                Some(ino) => Ok(Some(*ino)),
                None => line.without(self.undone, went_on),
            };
            match should {
                Err(by) => {
                    let old = line.before.and_then(|ino| back.get(&ino));
                    if let (Some(old), Some(place)) = (old, self.rows.beside.get(key)) {
                        self.revision.names.push(Naming {
                            place: place.clone(),
                            was: None,
                            to: Some(old.ino),
                        });
                        continue;
                    }
                    let aside =
                        old.map(|node| Aside::of_gone(self.rows, &meanings.place, (*node).clone()));
                    self.conflicts.push(Conflict {
                        undone: touching(line, self.undone),
                        by: Some(by),
                        why: "its name was used since",
                        node: line.before.or(line.now().copied()),
                        aside,
                    });
                }
                Ok(to) if to.as_ref() != line.now() => self.revision.names.push(Naming {
                    place: meanings.place.clone(),
                    was: meanings.now.clone(),
                    to,
                }),
                Ok(_) => {}
            }
        }
    }

    /// Attributes of what goes go with it, unless somebody else gave them to it.
    fn xattrs(&mut self) {
        let gone: HashSet<_> = self.revision.gone.iter().copied().collect();
        let back: HashSet<_> = self.revision.back.iter().map(|n| n.ino).collect();
        for ((ino, name), line) in &self.rows.xattrs {
            let others = line.changes.iter().find(|(op, _)| !self.undone.has(*op));
            if gone.contains(ino)
                && let Some((by, _)) = others
                && let Some(node) = self.rows.nodes.get(ino)
            {
                self.node_conflict(*ino, node, *by);
            }
            let should = line.last_not_in(self.undone);
            let lives = self.rows.nodes.get(ino).is_some_and(|n| n.now().is_some());
            let stays = back.contains(ino) || lives && !gone.contains(ino);
            if should.as_ref() != line.now() && stays {
                self.revision.xattrs.push((*ino, name.clone(), should));
            }
        }
    }

    /// What was granted and taken back among the undone is as it was. What somebody else granted on what goes needs it.
    fn grants(&mut self, tx: &mut dyn Tx, effects: &Effects, on_gone: &[Granted]) -> Result<()> {
        let ids = |of: &[Arc<Tuple>]| -> HashSet<u64> { of.iter().map(|t| t.id).collect() };
        let (made, lost) = (ids(&effects.grants_made), ids(&effects.grants_lost));
        let mut going = HashSet::new();
        for tuple in effects.grants_made.iter().filter(|t| !lost.contains(&t.id)) {
            let twin = tuple::twin(tx, tuple)?;
            if twin.is_some_and(|is| is.id == tuple.id) && going.insert(tuple.id) {
                self.revision.grants_gone.push(tuple.clone());
            }
        }
        let mut back: Vec<_> = effects.grants_lost.iter().collect();
        back.retain(|t| !made.contains(&t.id));
        back.sort_by_key(|t| Reverse(t.id));
        let nodes: HashSet<_> = self.revision.back.iter().map(|n| n.ino).collect();
        // Of several that say the same the last one held.
        let mut said = HashSet::new();
        for tuple in back {
            let twin = tuple::twin(tx, tuple)?;
            let is_free = twin.is_none_or(|is| going.contains(&is.id));
            let has_node = match tuple.ino() {
                Some(ino) => nodes.contains(&ino) || node::get(tx, ino)?.is_some(),
                None => true,
            };
            if is_free && has_node && said.insert(tuple.words()) {
                self.revision.grants_back.push(tuple.clone());
            }
        }
        let mut told = HashSet::new();
        for (by, tuple) in on_gone {
            // Which nothing that stays has given goes with what has.
            if let Some(by) = *by
                && let Some(ino) = tuple.ino().filter(|ino| !told.contains(ino))
                && let Some(line) = self.rows.nodes.get(&ino)
            {
                self.node_conflict(ino, line, by);
                told.insert(ino);
            }
        }
        Ok(())
    }

    /// Who comes into which group again and who leaves it; the operations of whom the group or the member is deleted are given.
    fn members(&mut self) -> OpSet {
        let mut stay = OpSet::default();
        for membership in self.rows.members.values() {
            match membership.turn(self.undone) {
                Some(Turn::Join(row)) => self.revision.members_back.push(row),
                Some(Turn::Leave(row)) => self.revision.members_gone.push(row),
                Some(Turn::Stays) => {
                    membership
                        .touching(self.undone)
                        .for_each(|op| stay.add(op.0));
                }
                None => {}
            }
        }
        stay
    }

    /// A directory that only the undone operations have touched looks as untouched as before.
    fn times(&mut self, tx: &mut dyn Tx, touches: &HashMap<Ino, Vec<Touch>>) -> Result<()> {
        for node in &mut self.revision.back {
            if let Some(of) = touches.get(&node.ino) {
                node.mtime = untouched(node.mtime, of).unwrap_or(node.mtime);
            }
        }
        let gone: HashSet<_> = self.revision.gone.iter().collect();
        for (dir, of) in touches {
            let present = if gone.contains(dir) {
                None
            } else {
                node::get(tx, *dir)?
            };
            let before = present.and_then(|now| untouched(now.mtime, of));
            self.revision.times.extend(before.map(|at| (*dir, at)));
        }
        Ok(())
    }
}

/// The time of a directory before touches, where the last of them is the last that it had.
fn untouched(now: Time, touches: &[Touch]) -> Option<Time> {
    let mut at = None;
    for touch in touches.iter().rev() {
        if touch.at != at.unwrap_or(now) {
            break;
        }
        at = Some(touch.before);
    }
    at
}

/// Versions go on counting where a node comes back.
pub(super) fn brought_back(line: &Timeline<Node>, mut should: Node) -> Node {
    let states = line.changes.iter().filter_map(|(_, state)| state.as_ref());
    if let Some(last) = states.chain(&line.before).max_by_key(|n| n.version) {
        should.version = last.version + u64::from(last.content != should.content);
    }
    let ended = line
        .changes
        .iter()
        .rev()
        .find_map(|(_, state)| state.as_ref());
    if let Some(last) = ended.or(line.before.as_ref()).filter(|n| n.is_dir()) {
        should.mtime = last.mtime;
    }
    should
}
