//! What an operation on many nodes did at a path: its record has the directory that all of them are in.

use super::Reader;
use crate::access::Right;
use crate::core::path::PATH_MAX;
use crate::core::{FsPath, Ino, Op, Result};
use crate::fs::engine::Engine;
use crate::fs::ground::allowed_to;
use crate::meta::log_query::Query;
use crate::meta::timeline::{self, Spell};
use crate::meta::{Entry, OpSet, Record};
use std::collections::HashMap;

/// How many nodes of one operation are looked at.
const NODES_MAX: usize = 100_000;
/// How many at a time.
const NODES: usize = 500;
/// What it costs to begin with one operation, in nodes.
const LOOK: usize = 50;

impl Reader<'_> {
    /// Whether the caller may read a record that a query found; of an operation on many nodes that is recorded above the query's
    /// path, whether it changed what is there or below, under a name that the caller sees.
    pub fn tells(&mut self, query: &Query, record: &Record) -> Result<bool> {
        if !self.may_read(record)? {
            return Ok(false);
        }
        match &query.path {
            Some(path) if !query.lies(record) => self.reaches(record, path),
            _ => Ok(true),
        }
    }

    /// What it cost so far to look at operations on many nodes, in records that could have been judged for it.
    pub fn effort(&self) -> usize {
        self.effort
    }

    fn reaches(&mut self, record: &Record, path: &FsPath) -> Result<bool> {
        let nodes: OpSet = record.details()["nodes"]
            .as_str()
            .unwrap_or_default()
            .parse()?;
        let nodes: Vec<_> = nodes.nodes().take(NODES_MAX).collect();
        let is_his = self.caller.admin || self.is_own(record);
        let mut names = Names::new(self.trails.root, record.op);
        self.effort += LOOK;
        for some in nodes.chunks(NODES) {
            self.effort += some.len();
            names.read(self.engine, some)?;
            for ino in some {
                for trail in names.trails(*ino).filter(|trail| leads_to(trail, path)) {
                    if is_his || self.sees_all(&trail)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn sees_all(&mut self, trail: &[&Entry]) -> Result<bool> {
        let Some((last, dirs)) = trail.split_last() else {
            return Ok(false);
        };
        for dir in dirs {
            if !allowed_to(self.sees(dir, Right::Execute))?.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(allowed_to(self.sees(last, Right::Read))?.unwrap_or(false))
    }
}

/// Whether names from the root on are those of a path or of something below it.
fn leads_to(trail: &[&Entry], path: &FsPath) -> bool {
    let names = path.names();
    trail.len() >= names.len() && trail.iter().zip(names).all(|(e, name)| e.name == *name)
}

/// The names that nodes had when an operation began, and when it had ended.
struct Names {
    root: Ino,
    op: Op,
    of: HashMap<Ino, Vec<Spell<Entry>>>,
}

impl Names {
    fn new(root: Ino, op: Op) -> Self {
        let of = HashMap::new();
        Self { root, op, of }
    }

    /// Reads those of some nodes, and of all directories above them.
    fn read(&mut self, engine: &Engine, nodes: &[Ino]) -> Result<()> {
        let mut tx = engine.store().read()?;
        let mut missing = nodes.to_vec();
        loop {
            missing.retain(|ino| *ino != self.root && !self.of.contains_key(ino));
            missing.sort_unstable();
            missing.dedup();
            if missing.is_empty() {
                return Ok(());
            }
            self.of.extend(missing.iter().map(|ino| (*ino, Vec::new())));
            let mut above = Vec::new();
            for spell in timeline::names(&mut *tx, &missing, self.op)? {
                if spell.state.began <= self.op {
                    above.push(spell.state.parent);
                    self.of.entry(spell.state.ino).or_default().push(spell);
                }
            }
            missing = above;
        }
    }

    /// The ways from the root to a node, before and behind the operation.
    fn trails(&self, ino: Ino) -> impl Iterator<Item = Vec<&Entry>> {
        let op = self.op;
        let before = move |spell: &Spell<Entry>| spell.state.began < op;
        let behind = move |spell: &Spell<Entry>| spell.ended.is_none_or(|ended| ended > op);
        let own = self.of.get(&ino).into_iter().flatten();
        own.flat_map(move |spell| {
            let then = before(spell).then(|| self.trail(spell, before));
            let since = behind(spell).then(|| self.trail(spell, behind));
            then.into_iter().chain(since).flatten()
        })
    }

    /// The names from the root on to one of them; `None` where the past does not have them all.
    fn trail<'s>(
        &'s self,
        of: &'s Spell<Entry>,
        held: impl Fn(&Spell<Entry>) -> bool,
    ) -> Option<Vec<&'s Entry>> {
        let mut trail = vec![&of.state];
        let mut at = of.state.parent;
        while at != self.root && trail.len() < PATH_MAX {
            let name = self.of.get(&at)?.iter().find(|spell| held(spell))?;
            trail.push(&name.state);
            at = name.state.parent;
        }
        trail.reverse();
        Some(trail)
    }
}
