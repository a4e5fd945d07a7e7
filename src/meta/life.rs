//! What nodes were through time, and what of that goes when it is forgotten.
//!
//! Rows behind the horizon go, but the last words of what is gone: they tell who may see what a snapshot keeps of it
//! (`fs::gone`), so they stay while a snapshot may ask.

use super::horizon::{Horizon, Horizons};
use super::timeline::{self, Spell};
use super::{Entry, Node, Xattr};
use crate::core::{Ino, Name, Op, Result, TenantId};
use crate::db::Tx;
use std::collections::{BTreeMap, HashSet};

/// How many nodes are looked at together.
const NODES: u32 = 256;

/// The key of a row of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PastRow {
    Node(Ino, Op),
    Entry(Ino, Name, Op),
    Xattr(Ino, Vec<u8>, Op),
}

/// How much is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub rows: u64,
    /// Bytes of the contents that files had in these rows and in no other.
    pub bytes: u64,
}

/// What goes of some nodes.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// The last of the nodes.
    pub last: Ino,
    /// Names and attributes before the nodes that they are of: what a crash leaves of it tells whose it is.
    pub rows: Vec<PastRow>,
    pub sums: BTreeMap<TenantId, Sum>,
}

/// Everything that is known of a node.
#[derive(Debug, Default)]
struct Life {
    states: Vec<Spell<Node>>,
    names: Vec<Spell<Entry>>,
    xattrs: Vec<Spell<Xattr>>,
}

/// What goes of some nodes behind `after`, in their order; `None` at the end.
pub fn forgotten(tx: &mut dyn Tx, horizons: &Horizons, after: Ino) -> Result<Option<Forgotten>> {
    let nodes = behind(tx, horizons, after)?;
    let Some(last) = nodes.last().copied() else {
        return Ok(None);
    };
    let mut lives: BTreeMap<Ino, Life> = BTreeMap::new();
    for spell in timeline::nodes(tx, &nodes, Op(0))? {
        let life = lives.entry(spell.state.ino).or_default();
        life.states.push(spell);
    }
    for spell in timeline::names(tx, &nodes, Op(0))? {
        lives.entry(spell.state.ino).or_default().names.push(spell);
    }
    for spell in timeline::xattrs(tx, &nodes, Op(0))? {
        lives.entry(spell.state.ino).or_default().xattrs.push(spell);
    }
    let mut all = Forgotten {
        last,
        ..Forgotten::default()
    };
    for life in lives.values() {
        let tenant = life.states.first().map(|spell| spell.state.tenant);
        if let Some((tenant, horizon)) = tenant.and_then(|t| Some((t, horizons.get(&t)?))) {
            let sum = all.sums.entry(tenant).or_default();
            life.forget(horizon, sum, &mut all.rows);
        }
    }
    all.rows.sort_by_key(|row| matches!(row, PastRow::Node(..)));
    Ok(Some(all))
}

/// Nodes of which something ended behind a horizon of any tenant, in their order.
fn behind(tx: &mut dyn Tx, horizons: &Horizons, after: Ino) -> Result<Vec<Ino>> {
    let upto = horizons.values().map(|horizon| horizon.upto).max();
    let sql = "SELECT ino FROM nodes_past WHERE ino > $1 AND ended <= $2 \
               UNION SELECT ino FROM entries_past WHERE ino > $1 AND ended <= $2 \
               UNION SELECT ino FROM xattrs_past WHERE ino > $1 AND ended <= $2 ORDER BY 1 LIMIT $3";
    let params = [after.into(), upto.unwrap_or_default().into(), NODES.into()];
    let rows = tx.query(sql, &params)?;
    rows.iter().map(|row| Ok(Ino(row.uint(0)?))).collect()
}

impl Life {
    fn forget(&self, horizon: &Horizon, sum: &mut Sum, rows: &mut Vec<PastRow>) {
        let last_words = self.last_words(horizon);
        let goes = |began: Op, ended: Option<Op>| {
            ended.filter(|_| horizon.hides(began, ended) && ended != last_words)
        };
        let before = rows.len();
        for Spell { state, ended } in &self.names {
            let gone = goes(state.began, *ended);
            rows.extend(gone.map(|at| PastRow::Entry(state.parent, state.name.clone(), at)));
        }
        for Spell { state, ended } in &self.xattrs {
            let gone = goes(state.began, *ended);
            rows.extend(gone.map(|at| PastRow::Xattr(state.ino, state.name.clone(), at)));
        }
        let (mut lost, mut left) = (HashSet::new(), HashSet::new());
        for Spell { state, ended } in &self.states {
            if let Some(at) = goes(state.began, *ended) {
                rows.push(PastRow::Node(state.ino, at));
                lost.insert(&state.content);
            } else {
                left.insert(&state.content);
            }
        }
        sum.rows += (rows.len() - before) as u64;
        let of_lost = lost.difference(&left).map(|content| content.size());
        sum.bytes += of_lost.sum::<u64>();
    }

    /// The operation by which the node went, where what was true then has to be known still: of what a snapshot shows, and of
    /// directories in which such things may have lain when they went.
    fn last_words(&self, horizon: &Horizon) -> Option<Op> {
        let last = self.states.iter().max_by_key(|spell| spell.ended)?;
        let first_named = horizon.named.first()?;
        let shown = |spell: &Spell<Node>| !horizon.hides(spell.state.began, spell.ended);
        let went = self.states.iter().all(|spell| spell.ended.is_some());
        let held = last.state.is_dir() && last.ended > Some(*first_named);
        (went && (held || self.states.iter().any(shown)))
            .then_some(last.ended)
            .flatten()
    }
}

/// Deletes rows of the past; one that is gone already is fine.
pub fn delete(tx: &mut dyn Tx, rows: &[PastRow]) -> Result<()> {
    for row in rows {
        match row {
            PastRow::Node(ino, ended) => tx.execute(
                "DELETE FROM nodes_past WHERE ino = $1 AND ended = $2",
                &[(*ino).into(), (*ended).into()],
            )?,
            PastRow::Entry(parent, name, ended) => tx.execute(
                "DELETE FROM entries_past WHERE parent = $1 AND name = $2 AND ended = $3",
                &[(*parent).into(), name.into(), (*ended).into()],
            )?,
            PastRow::Xattr(ino, name, ended) => tx.execute(
                "DELETE FROM xattrs_past WHERE ino = $1 AND name = $2 AND ended = $3",
                &[(*ino).into(), name.as_slice().into(), (*ended).into()],
            )?,
        };
    }
    Ok(())
}
