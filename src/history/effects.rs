//! What operations did: the nodes they concern, the times and grants that their records hold, and the rows around them.

use super::fold::{Timeline, touching};
use super::members::{self, Membership, Pair};
use super::ops::{OpSet, Without};
use crate::core::{Ino, Name, Op, Result, TenantId, Time};
use crate::db::Tx;
use crate::meta::cache::Place;
use crate::meta::timeline::{self, Spell};
use crate::meta::tuple::{Tuple, told};
use crate::meta::{Entry, Node, OpKind, Record, entry, log};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// When an operation changed a directory's entries, and the directory's time before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub at: Time,
    pub before: Time,
}

/// What the records of some operations say.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub nodes: Vec<Ino>,
    /// By directory, oldest first.
    pub touches: HashMap<Ino, Vec<Touch>>,
    /// Grants that were not there before the first of them; those that were, and went.
    pub grants_made: Vec<Arc<Tuple>>,
    pub grants_lost: Vec<Arc<Tuple>>,
    /// Memberships that came or went.
    pub members: BTreeSet<Pair>,
    /// Operations that cannot be reversed: users, keys, namespaces…
    pub others: Vec<Record>,
    pub paths: Vec<Vec<u8>>,
    /// Numbers of the grants among both.
    moved: HashSet<u64>,
}

impl Effects {
    /// Reads the records of `ops`.
    pub(super) fn read(tx: &mut dyn Tx, tenant: TenantId, ops: &OpSet) -> Result<Self> {
        let mut found = Self::default();
        let mut nodes = OpSet::default();
        log::each(tx, tenant, ops, |record| found.take(record, &mut nodes))?;
        found.nodes = nodes.nodes().collect();
        Ok(found)
    }

    /// The grants that went with nodes that are gone, as the records have them that ended these: nothing else.
    pub(super) fn of_gone(tx: &mut dyn Tx, tenant: TenantId, rows: &Rows) -> Result<Self> {
        let ended = |line: &Timeline<Node>| match line.changes.last() {
            Some((op, None)) => Some(*op),
            _ => None,
        };
        let gone = rows.nodes.iter();
        let gone = gone.filter_map(|(ino, line)| Some((*ino, ended(line)?)));
        let gone: HashMap<_, _> = gone.collect();
        let ops = gone.values().copied().collect();
        let mut found = Self::default();
        log::each(tx, tenant, &ops, |record| {
            let went_with =
                |t: &Arc<Tuple>| t.ino().and_then(|ino| gone.get(&ino)) == Some(&record.op);
            let went = told(&record.details()["grants"]).into_iter();
            found.grants_lost.extend(went.filter(went_with));
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether grants or memberships came or went.
    pub(super) fn has_relations(&self) -> bool {
        let grants = self.grants_made.is_empty() && self.grants_lost.is_empty();
        !grants || !self.members.is_empty()
    }

    fn take(&mut self, record: Record, nodes: &mut OpSet) -> Result<()> {
        if !is_reversible(record.kind) {
            self.others.push(record);
            return Ok(());
        }
        let (came, went) = members::moved(&record);
        let moved = came.into_iter().chain(went);
        self.members.extend(moved.map(|m| (m.group, m.member)));
        let said = record.details();
        for pair in said["dirs"].as_array().into_iter().flatten() {
            if let (Some(dir), Some(before)) = (pair[0].as_u64(), pair[1].as_i64()) {
                let at = pair[2].as_i64().map_or(record.time, Time);
                let before = Time(before);
                let touch = Touch { at, before };
                self.touches.entry(Ino(dir)).or_default().push(touch);
            }
        }
        match record.kind {
            OpKind::Grant => {
                self.granted(&said["tuple"]);
                self.revoked(&said["replaced"]);
            }
            OpKind::Revoke => self.revoked(&said["tuple"]),
            OpKind::Undo | OpKind::Restore => {
                let own: OpSet = said["nodes"].as_str().unwrap_or_default().parse()?;
                nodes.join(&own);
                self.granted(&said["granted"]);
            }
            _ => nodes.add(record.ino.0),
        }
        self.revoked(&said["grants"]);
        for other in ["replaced", "with"] {
            nodes.join(&said[other].as_u64().map(Ino).into_iter().collect());
        }
        self.paths.push(record.path);
        self.paths.extend(record.path2);
        Ok(())
    }

    fn granted(&mut self, said: &Value) {
        let new = told(said).into_iter().filter(|t| self.moved.insert(t.id));
        self.grants_made.extend(new);
    }

    fn revoked(&mut self, said: &Value) {
        let new = told(said).into_iter().filter(|t| self.moved.insert(t.id));
        self.grants_lost.extend(new);
    }
}

/// The grants that an operation gave, or gave back.
pub(super) fn granted(record: &Record) -> Vec<Arc<Tuple>> {
    let key = match record.kind {
        OpKind::Grant => "tuple",
        OpKind::Undo | OpKind::Restore => "granted",
        _ => return Vec::new(),
    };
    told(&record.details()[key])
}

/// Whether undo can reverse operations of a kind.
pub(super) fn is_reversible(kind: OpKind) -> bool {
    use OpKind as K;
    matches!(
        kind,
        K::Create
            | K::Write
            | K::Truncate
            | K::Mkdir
            | K::Mknod
            | K::Symlink
            | K::Link
            | K::Unlink
            | K::Rmdir
            | K::Rename
            | K::Exchange
            | K::Chmod
            | K::Chown
            | K::Times
            | K::SetXattr
            | K::RemoveXattr
            | K::SetAcl
            | K::Restrict
            | K::Grant
            | K::Revoke
            | K::GroupAdd
            | K::GroupRemove
            | K::Undo
            | K::Restore
    )
}

/// A name in a directory, or an attribute of a node.
pub(super) type Key = (Ino, Vec<u8>);

pub(super) fn key_of(place: &Place) -> Key {
    (place.parent, place.name.as_bytes().to_vec())
}

/// The timelines of nodes, of the names they ever had since, of their attributes, and of memberships.
#[derive(Default)]
pub(super) struct Rows {
    pub nodes: BTreeMap<Ino, Timeline<Node>>,
    pub names: BTreeMap<Key, Meanings>,
    pub xattrs: BTreeMap<Key, Timeline<Vec<u8>>>,
    pub members: BTreeMap<Pair, Membership>,
    /// Names that operations gave to nodes.
    named: HashMap<(Ino, Op), Vec<Key>>,
    /// The operation that gave each node a name last.
    last_named: HashMap<Ino, Op>,
    /// The names that nodes have now.
    at: HashMap<Ino, Vec<Key>>,
    /// Where what had a name comes back, should somebody have taken that.
    pub beside: HashMap<Key, Place>,
    /// Operations that were undone and done again, or undone: they are as if they had not been.
    pub idle: OpSet,
}

/// What a name stood for, and its present entry.
pub(super) struct Meanings {
    pub place: Place,
    pub line: Timeline<Ino>,
    pub now: Option<Arc<Entry>>,
}

impl Rows {
    /// All that some operations had a part in.
    pub(super) fn touched(
        tx: &mut dyn Tx,
        tenant: TenantId,
        by: &Effects,
        since: Op,
    ) -> Result<Self> {
        let mut rows = Self::read(tx, &by.nodes, since)?;
        rows.members = members::read(tx, tenant, &by.members, since)?;
        Ok(rows)
    }

    pub(super) fn read(tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<Self> {
        let mut rows = Self::default();
        rows.read_states(tx, of, since)?;
        rows.read_names(tx, of, since)?;
        Ok(rows)
    }

    /// Reads also what was put in the place of one of the nodes, by its name: it may hold what that held.
    pub(super) fn read_successors(&mut self, tx: &mut dyn Tx, since: Op) -> Result<()> {
        let mut more = BTreeSet::new();
        for line in self.names.values().map(|m| &m.line) {
            let later = line.changes.iter().filter_map(|(_, is)| is.as_ref());
            let holders = line.before.iter().chain(later).skip(1);
            more.extend(holders.filter(|ino| !self.nodes.contains_key(ino)));
        }
        let more: Vec<_> = more.into_iter().collect();
        self.read_states(tx, &more, since)?;
        // One that was renamed away before another one was put there.
        for Spell { state, .. } in timeline::names(tx, &more, since)? {
            let key = (state.parent, state.name.as_bytes().to_vec());
            let keys = self.named.entry((state.ino, state.began)).or_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(())
    }

    /// Nodes and their attributes.
    fn read_states(&mut self, tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<()> {
        let mut nodes: BTreeMap<Ino, Vec<_>> = BTreeMap::new();
        for spell in timeline::nodes(tx, of, since)? {
            let of = nodes.entry(spell.state.ino).or_default();
            of.push((spell.state.began, spell));
        }
        let mut xattrs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Spell { state, ended } in timeline::xattrs(tx, of, since)? {
            let state_of = xattrs.entry((state.ino, state.name)).or_default();
            let spell = Spell {
                state: state.value,
                ended,
            };
            state_of.push((state.began, spell));
        }
        let nodes = nodes.into_iter();
        self.nodes
            .extend(nodes.map(|(ino, spells)| (ino, Timeline::of(spells, since))));
        let xattrs = xattrs.into_iter();
        self.xattrs
            .extend(xattrs.map(|(key, spells)| (key, Timeline::of(spells, since))));
        Ok(())
    }

    /// A name may have stood for other nodes, too. Of a directory that is gone nobody can have taken one since.
    fn read_names(&mut self, tx: &mut dyn Tx, of: &[Ino], since: Op) -> Result<()> {
        let mut places: BTreeMap<Key, Vec<Spell<Entry>>> = BTreeMap::new();
        for spell in timeline::names(tx, of, since)? {
            let entry = &spell.state;
            let key = (entry.parent, entry.name.as_bytes().to_vec());
            places.entry(key).or_default().push(spell);
        }
        let mut asked: BTreeMap<Ino, Vec<Name>> = BTreeMap::new();
        for spells in places.values_mut() {
            if let Some(Spell { state, .. }) = spells.first()
                && !self.is_gone(state.parent)
            {
                asked
                    .entry(state.parent)
                    .or_default()
                    .push(state.name.clone());
                spells.clear();
            }
        }
        for (dir, names) in asked {
            for spell in timeline::meanings_in(tx, dir, &names, since)? {
                let key = (dir, spell.state.name.as_bytes().to_vec());
                places.entry(key).or_default().push(spell);
            }
        }
        for (key, spells) in places {
            let Some(first) = spells.first() else {
                continue;
            };
            let (parent, name) = (first.state.parent, first.state.name.clone());
            let place = Place { parent, name };
            for other in &spells {
                let given = (other.state.ino, other.state.began);
                self.named.entry(given).or_default().push(key.clone());
            }
            let now = spells.iter().find(|s| s.ended.is_none());
            let now = now.map(|s| Arc::new(s.state.clone()));
            let of_inos = spells.into_iter().map(|Spell { state, ended }| {
                let spell = Spell {
                    state: state.ino,
                    ended,
                };
                (state.began, spell)
            });
            let line = Timeline::of(of_inos.collect(), since);
            self.names.insert(key, Meanings { place, line, now });
        }
        self.index();
        Ok(())
    }

    /// Has other names instead.
    pub(super) fn rename(&mut self, names: BTreeMap<Key, Meanings>) {
        self.names = names;
        self.index();
    }

    /// Finds out what follows from the names.
    fn index(&mut self) {
        self.at.clear();
        self.last_named.clear();
        for (key, Meanings { line, .. }) in &self.names {
            if let Some(ino) = line.now() {
                self.at.entry(*ino).or_default().push(key.clone());
            }
            for (op, named) in &line.changes {
                if let Some(ino) = named {
                    let last = self.last_named.entry(*ino).or_default();
                    *last = (*op).max(*last);
                }
            }
        }
    }

    /// The operations that made the rows what they are, as far back as they were read.
    pub(super) fn operations(&self) -> impl Iterator<Item = Op> {
        let nodes = self.nodes.values().flat_map(Timeline::operations);
        let names = self.names.values().flat_map(|m| m.line.operations());
        let xattrs = self.xattrs.values().flat_map(Timeline::operations);
        let members = self.members.values().flat_map(|m| m.line.operations());
        nodes.chain(names).chain(xattrs).chain(members)
    }

    /// Has the names of a directory that is gone in another one instead, which may have some of its own by now.
    pub(super) fn rehome(&mut self, tx: &mut dyn Tx, (from, to): (Ino, Ino)) -> Result<()> {
        let all = std::mem::take(&mut self.names);
        let (moved, stay): (Vec<_>, Vec<_>) = all.into_iter().partition(|(key, _)| key.0 == from);
        self.names = stay.into_iter().collect();
        for ((_, name), mut meanings) in moved {
            if let Some(now) = entry::get(tx, to, &meanings.place.name)? {
                meanings.line.changes.push((now.began, Some(now.ino)));
                meanings.now = Some(Arc::new(now));
            }
            meanings.place.parent = to;
            self.names.insert((to, name), meanings);
        }
        for key in self.named.values_mut().flatten() {
            if key.0 == from {
                key.0 = to;
            }
        }
        self.index();
        Ok(())
    }

    /// Whether a node that was read is there now.
    pub(super) fn is_there(&self, ino: Ino) -> bool {
        self.nodes
            .get(&ino)
            .is_some_and(|line| line.now().is_some())
    }

    /// The names that a node has now.
    pub(super) fn names_of(&self, ino: Ino) -> impl Iterator<Item = &Meanings> {
        let keys = self.at.get(&ino).into_iter().flatten();
        keys.filter_map(|key| self.names.get(key))
    }

    /// The operation that gave a node a name last.
    pub(super) fn last_naming(&self, ino: Ino) -> Option<Op> {
        self.last_named.get(&ino).copied()
    }

    /// The operations among the undone that changed a node, or gave it a name that it has now: where one of them stays, others'
    /// work on the node stays under that name.
    pub(super) fn touching(&self, ino: Ino, undone: Without<'_>) -> OpSet {
        let line = self.nodes.get(&ino);
        let mut all = line.map(|l| touching(l, undone)).unwrap_or_default();
        let named = self.names_of(ino).filter_map(|m| m.line.changes.last());
        for (op, _) in named.filter(|(op, _)| undone.has(*op)) {
            all.add(op.0);
        }
        all
    }

    /// The attributes of a node as they are, or were when it went.
    pub(super) fn last_xattrs(&self, ino: Ino) -> Vec<(Vec<u8>, Vec<u8>)> {
        let ended = self.nodes.get(&ino).and_then(|line| line.changes.last());
        let ended = ended.and_then(|(op, state)| state.is_none().then_some(*op));
        let own = self.xattrs.range((ino, Vec::new())..);
        let own = own.take_while(|((of, _), _)| *of == ino);
        let last = own.filter_map(|((_, name), line)| {
            let value = match line.changes.split_last() {
                Some(((op, None), earlier)) if Some(*op) == ended => match earlier.last() {
                    Some((_, state)) => state.as_ref(),
                    None => line.before.as_ref(),
                },
                _ => line.now(),
            };
            Some((name.clone(), value?.clone()))
        });
        last.collect()
    }

    fn is_gone(&self, dir: Ino) -> bool {
        self.nodes
            .get(&dir)
            .is_some_and(|line| line.now().is_none())
    }

    /// The changes of a line but those that are as if they had not been.
    pub(super) fn standing<'a, T>(
        &self,
        line: &'a Timeline<T>,
    ) -> impl Iterator<Item = &'a (Op, Option<T>)> {
        let changes = line.changes.iter();
        changes.filter(|(op, _)| !self.idle.has(*op))
    }

    /// Whether an operation gave a name to a node.
    pub(super) fn got_name(&self, ino: Ino, op: Op) -> bool {
        self.named.contains_key(&(ino, op))
    }

    /// Whether an operation moved a node on: to a name that it did not have before all that is undone.
    pub(super) fn moved_on(&self, ino: Ino, op: Op) -> bool {
        let given = self.named.get(&(ino, op)).into_iter().flatten();
        let had = |key| {
            self.names
                .get(key)
                .is_some_and(|m| m.line.before == Some(ino))
        };
        given.into_iter().any(|key| !had(key))
    }
}
