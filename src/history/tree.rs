//! A tree that is restored: what was in it then, what is in it now, and the names that making it so gives and takes.
//!
//! In the tree each name stands for what it stood for then. Outside it a name only loses what was moved out of the tree, or gets
//! back what was moved into it, where nothing else has the name now: what is beside the tree is not the restorer's to change.

use super::basis::Basis;
use super::effects::{Key, Meanings, Rows, key_of};
use super::fold::Timeline;
use super::home::Home;
use super::ops::OpSet;
use super::plan::Conflict;
use crate::core::{Ino, Op, Result};
use crate::db::Tx;
use crate::fs::Naming;
use crate::meta::cache::Place;
use crate::meta::timeline::{self, Spell};
use crate::meta::{Entry, Node, Store, entry};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// How many names one look into a directory fetches.
const PAGE: u32 = 1024;

/// What a tree was and is, by the nodes in it.
pub(super) struct Tree {
    top: Ino,
    home: Home,
    at: Op,
    /// What was in it.
    then: HashSet<Ino>,
    /// The names that were in it.
    inside: HashMap<Key, (Place, Ino)>,
    /// What is in it and did not exist then, in directories that did not, too.
    made: BTreeSet<Ino>,
    /// What is in it and was elsewhere. What is below that goes with it.
    came: BTreeSet<Ino>,
}

impl Tree {
    /// Looks at a tree as it was behind an operation and as it is: at all of it, also at what the caller may not see there, for to make
    /// it what it was takes every right that the changes take, and whether one of them is missing is not known before (as `rm -r`
    /// fails where it may not). So how long that takes tells roughly how much there is below what he may read; no name, number
    /// or byte of it is told. Leaving out what is hidden would call a tree restored that is not.
    pub(super) fn look(store: &Store, at: Op, top: Ino, home: Home) -> Result<Self> {
        let mut tree = Self {
            top,
            home,
            at,
            then: HashSet::from([top]),
            inside: HashMap::new(),
            made: BTreeSet::new(),
            came: BTreeSet::new(),
        };
        let (mut todo, mut dirs) = (vec![top], Vec::new());
        while let Some(dir) = todo.pop() {
            dirs.push(dir);
            listed(
                |after| store.list_at(dir, at, after, PAGE),
                |entry, node| {
                    let (parent, name) = (dir, entry.name.clone());
                    let place = Place { parent, name };
                    tree.inside.insert(key_of(&place), (place, node.ino));
                    if tree.then.insert(node.ino) && node.is_dir() {
                        todo.push(node.ino);
                    }
                },
            )?;
        }
        let mut strange = Vec::new();
        for dir in dirs {
            tree.strangers(store, dir, &mut strange)?;
        }
        if let Some(place) = &tree.home.place
            && let Some(entry) = store.entry(place)?
            && !tree.then.contains(&entry.ino)
        {
            strange.extend(store.node(entry.ino)?);
        }
        while let Some(node) = strange.pop() {
            if store.node_at(node.ino, at)?.is_some() {
                tree.came.insert(node.ino);
            } else if tree.made.insert(node.ino) && node.is_dir() {
                tree.strangers(store, node.ino, &mut strange)?;
            }
        }
        Ok(tree)
    }

    /// Finds what is in a directory now and was not in the tree.
    fn strangers(&self, store: &Store, dir: Ino, found: &mut Vec<Arc<Node>>) -> Result<()> {
        listed(
            |after| store.list(dir, after, PAGE),
            |_, node| {
                if !self.then.contains(&node.ino) {
                    found.push(node.clone());
                }
            },
        )
    }

    /// What was looked at to find it.
    pub(super) fn basis(&self) -> Basis {
        let above = self.home.walked.iter().copied();
        Basis {
            nodes: above.chain(self.concerned()).collect(),
            dirs: self.then.iter().chain(&self.made).copied().collect(),
            relations: false,
        }
    }

    /// Every node that restoring it may concern.
    pub(super) fn concerned(&self) -> Vec<Ino> {
        let then = self.then.iter().chain(&self.made).chain(&self.came);
        let above = self.home.back.iter().map(|(_, ino)| ino);
        let all: BTreeSet<_> = then.chain(above).copied().collect();
        all.into_iter().collect()
    }

    /// Leaves of rows that were read what restoring the tree is about: nodes that were in it, and those that go; and as names those
    /// that change; `but` some nodes, which stay as they are. Says what cannot go back where it was.
    pub(super) fn fit(
        &self,
        tx: &mut dyn Tx,
        rows: &mut Rows,
        but: &HashSet<Ino>,
    ) -> Result<Vec<Conflict>> {
        let mut names = Names::read(tx, self)?;
        names.inside();
        names.left(rows);
        let mut conflicts = names.returned(tx)?;
        conflicts.retain(|c| c.node.is_none_or(|ino| !but.contains(&ino)));
        names.leave(but);
        let above: HashSet<_> = self.home.back.iter().map(|(_, ino)| *ino).collect();
        let stays = |ino: &Ino| {
            let goes = self.made.contains(ino) && !names.keeps_one(*ino);
            let is_meant = self.then.contains(ino) || above.contains(ino) || goes;
            is_meant && !but.contains(ino)
        };
        rows.nodes.retain(|ino, _| stays(ino));
        rows.xattrs.retain(|(ino, _), _| stays(ino));
        rows.rename(names.meanings());
        Ok(conflicts)
    }

    /// Whether names in a directory are those of the tree.
    fn has(&self, dir: Ino) -> bool {
        self.then.contains(&dir) || self.made.contains(&dir)
    }
}

/// Goes through a directory, whose pages `page` reads from behind a cookie.
fn listed(
    page: impl Fn(u64) -> Result<Vec<(Arc<Entry>, Arc<Node>)>>,
    mut visit: impl FnMut(&Entry, &Arc<Node>),
) -> Result<()> {
    let mut after = 0;
    loop {
        let names = page(after)?;
        let Some((last, _)) = names.last() else {
            return Ok(());
        };
        after = last.cookie;
        for (entry, node) in &names {
            visit(entry, node);
        }
    }
}

/// The names of the nodes of a tree since the moment, and what they are to be.
struct Names<'t> {
    tree: &'t Tree,
    spells: HashMap<Ino, Vec<Spell<Entry>>>,
    now: HashMap<Key, Arc<Entry>>,
    to: BTreeMap<Key, Naming>,
}

impl<'t> Names<'t> {
    fn read(tx: &mut dyn Tx, tree: &'t Tree) -> Result<Self> {
        let (mut spells, mut now): (HashMap<_, Vec<_>>, _) = (HashMap::new(), HashMap::new());
        for spell in timeline::names(tx, &tree.concerned(), Op(tree.at.0 + 1))? {
            if spell.ended.is_none() {
                now.insert(key(&spell.state), Arc::new(spell.state.clone()));
            }
            spells.entry(spell.state.ino).or_default().push(spell);
        }
        let to = BTreeMap::new();
        Ok(Self {
            tree,
            spells,
            now,
            to,
        })
    }

    fn set(&mut self, place: &Place, to: Option<Ino>) {
        let key = key_of(place);
        let was = self.now.get(&key).cloned();
        let place = place.clone();
        self.to.insert(key, Naming { place, was, to });
    }

    /// Names in the tree, of it and of what is above it.
    fn inside(&mut self) {
        let (tree, home) = (self.tree, &self.tree.home);
        let tops = home.place.iter().map(|place| (place, tree.top));
        let above = home.back.iter().map(|(place, ino)| (place, *ino));
        let own = tree.inside.values().map(|(place, ino)| (place, *ino));
        for (place, ino) in own.chain(tops).chain(above) {
            self.set(place, Some(ino));
        }
        let others = self.now.iter().filter(|(key, _)| tree.has(key.0));
        let others = others.filter(|(key, _)| !self.to.contains_key(*key));
        for place in others.map(|(_, e)| place(e)).collect::<Vec<_>>() {
            self.set(&place, None);
        }
    }

    /// Takes the names away that came of moving something out of the tree. A link that was made since stays.
    fn left(&mut self, rows: &Rows) {
        let tree = self.tree;
        let here = tree
            .home
            .place
            .as_ref()
            .and_then(|p| self.now.get(&key_of(p)));
        let is_home = here.is_some_and(|entry| entry.ino == tree.top);
        let mut taken = Vec::new();
        for ino in &tree.then {
            let was = rows.nodes.get(ino).and_then(|line| line.before.as_ref());
            let is_dir = was.is_some_and(Node::is_dir);
            for spell in self.outside(*ino) {
                let is_top = *ino == tree.top && (is_home || tree.home.place.is_none());
                if !is_top && (is_dir || self.moved_out(spell)) {
                    taken.push(place(&spell.state));
                }
            }
        }
        for place in taken {
            self.set(&place, None);
        }
    }

    /// The present names of a node that nothing was said of yet.
    fn outside(&self, ino: Ino) -> impl Iterator<Item = &Spell<Entry>> {
        let all = self.spells.get(&ino).into_iter().flatten();
        all.filter(|s| s.ended.is_none() && !self.to.contains_key(&key(&s.state)))
    }

    /// Whether a name came of one in the tree that the node has not got any more.
    fn moved_out(&self, spell: &Spell<Entry>) -> bool {
        let (tree, ino) = (self.tree, spell.state.ino);
        let first = self
            .trail(spell)
            .into_iter()
            .filter(|s| s.state.began <= tree.at);
        first.map(|s| key(&s.state)).any(|key| {
            let is_own = tree.inside.contains_key(&key) || ino == tree.top && tree.home.had(&key);
            is_own && self.now.get(&key).is_none_or(|now| now.ino != ino)
        })
    }

    /// A name and those that it came of: each was taken away when the next was given.
    fn trail<'s>(&'s self, of: &'s Spell<Entry>) -> Vec<&'s Spell<Entry>> {
        let all = self.spells.get(&of.state.ino).map_or(&[][..], |s| s);
        let mut trail = vec![of];
        let mut at = 0;
        while let Some(next) = trail.get(at).copied() {
            at += 1;
            for before in before(all, next, self.tree.at) {
                if !trail.contains(&before) {
                    trail.push(before);
                }
            }
        }
        trail
    }

    /// Gives what was moved into the tree its name outside back.
    fn returned(&mut self, tx: &mut dyn Tx) -> Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for ino in &self.tree.came {
            for place in self.origins(*ino) {
                let key = key_of(&place);
                let by = match self.to.get(&key) {
                    Some(naming) if naming.to.is_none() => None,
                    Some(naming) => Some(naming.was.as_ref().map(|e| e.began)),
                    None => entry::get(tx, place.parent, &place.name)?.map(|e| Some(e.began)),
                };
                match by {
                    None => self.set(&place, Some(*ino)),
                    Some(by) => conflicts.push(Conflict {
                        undone: OpSet::default(),
                        by,
                        why: "came from a name that was used since",
                        node: Some(*ino),
                        aside: None,
                    }),
                }
            }
        }
        Ok(conflicts)
    }

    /// Where something was before it was moved into the tree.
    fn origins(&self, ino: Ino) -> Vec<Place> {
        let all = self.spells.get(&ino).map_or(&[][..], |s| s);
        let outside = |s: &&Spell<Entry>| !self.tree.has(s.state.parent);
        let lost = all.iter().filter(|s| s.ended.is_none());
        let lost = lost.filter(|s| self.to.contains_key(&key(&s.state)));
        let origin = |s| self.trail(s).into_iter().skip(1).find(outside);
        let mut found: Vec<_> = lost.filter_map(origin).map(|s| place(&s.state)).collect();
        if found.is_empty() && !self.keeps_one(ino) {
            // Linked here and taken away there: moved, in two steps.
            let latest = all.iter().filter(outside).max_by_key(|s| s.ended);
            found.extend(latest.map(|s| place(&s.state)));
        }
        found.sort_by_key(key_of);
        found.dedup();
        found
    }

    /// Leaves alone what is or would be a name of some nodes.
    fn leave(&mut self, nodes: &HashSet<Ino>) {
        let has = |ino: Ino| nodes.contains(&ino);
        self.to.retain(|_, Naming { was, to, .. }| {
            !to.is_some_and(has) && !was.as_ref().is_some_and(|entry| has(entry.ino))
        });
    }

    /// Whether a node has a present name that it does not lose.
    fn keeps_one(&self, ino: Ino) -> bool {
        let all = self.spells.get(&ino).into_iter().flatten();
        let mut present = all.filter(|s| s.ended.is_none()).map(|s| key(&s.state));
        present.any(|key| self.to.get(&key).is_none_or(|n| n.to == Some(ino)))
    }

    fn meanings(self) -> BTreeMap<Key, Meanings> {
        let since = Op(self.tree.at.0 + 1);
        let changed = self
            .to
            .into_iter()
            .filter(|(_, naming)| naming.was.as_ref().map(|entry| entry.ino) != naming.to);
        let meanings = |(key, Naming { place, was, to })| {
            let began = was.as_ref().map_or(since, |e: &Arc<Entry>| e.began);
            let line = Timeline {
                before: to,
                changes: vec![(began.max(since), was.as_ref().map(|e| e.ino))],
            };
            let now = was;
            (key, Meanings { place, line, now })
        };
        changed.map(meanings).collect()
    }
}

/// The names that were taken from a node with the operation that gave it one; those that it lost last, where it had none by then.
fn before<'s>(all: &'s [Spell<Entry>], of: &Spell<Entry>, at: Op) -> Vec<&'s Spell<Entry>> {
    let given = of.state.began;
    if given <= at {
        return Vec::new();
    }
    let lost = |op| all.iter().filter(move |s| s.ended == Some(op));
    if lost(given).next().is_some() {
        return lost(given).collect();
    }
    let earlier = all.iter().filter(|s| s.state.began < given);
    if earlier
        .clone()
        .any(|s| s.ended.is_none_or(|ended| ended > given))
    {
        return Vec::new();
    }
    let latest = earlier.filter_map(|s| s.ended).max();
    latest.map_or_else(Vec::new, |op| lost(op).collect())
}

fn key(entry: &Entry) -> Key {
    (entry.parent, entry.name.as_bytes().to_vec())
}

fn place(entry: &Entry) -> Place {
    let (parent, name) = (entry.parent, entry.name.clone());
    Place { parent, name }
}
