//! A page of a directory as it was: what is there today and was so then, and what the tables of the past add to it.
//!
//! So a page takes a few statements however much of it has changed, and what has not is read once, for then and for today:
//! each name in a directory of the past is judged by what it is today.

use super::engine::Engine;
use super::past::Moment;
use crate::core::{Ino, Result};
use crate::meta::{Entry, Node};
use std::collections::HashMap;
use std::sync::Arc;

/// How many entries one query fetches.
const PAGE: u32 = super::dir::PAGE;

/// Names that a directory had, with their nodes as they were, in the order of their cookies.
pub(super) struct Former {
    pub(super) rows: Vec<(Arc<Entry>, Arc<Node>)>,
    /// Up to which cookie these are all; `None` at the end.
    pub(super) end: Option<u64>,
}

impl Engine {
    /// Reads a page of a directory as it was behind the cookie `after`, whoever may see it. What it has of today is in the
    /// caches then.
    pub(super) fn former_page(&self, at: Moment, dir: Ino, after: u64) -> Result<Former> {
        let mut now = if self.stored_node(dir)?.is_some() {
            self.stored_rows(dir, after)?
        } else {
            Vec::new()
        };
        let mut end = end_of(now.iter().map(|(entry, _)| entry));
        let bounds = (after, end.unwrap_or(u64::MAX));
        let ended = self.store.list_ended(dir, at.op, bounds, PAGE)?;
        end = end_of(ended.iter()).or(end);
        let is_behind = |entry: &Entry| end.is_some_and(|end| entry.cookie > end);
        now.retain(|(entry, _)| entry.began <= at.op && !is_behind(entry));
        let known = now.iter().map(|(_, node)| (node.ino, node.clone()));
        let known = known.collect::<HashMap<_, _>>();
        let mut names: Vec<_> = now.into_iter().map(|(entry, _)| entry).collect();
        for entry in ended {
            self.memory.keep_entry(at.op, &entry);
            names.push(entry);
        }
        names.sort_by_key(|entry| entry.cookie);
        // What ended while we read is in both.
        names.dedup_by_key(|entry| entry.cookie);
        let nodes = self.former_nodes(at, &names, known)?;
        let row = |entry: Arc<Entry>| nodes.get(&entry.ino).map(|node| (entry, node.clone()));
        let rows = names.into_iter().filter_map(row).collect();
        Ok(Former { rows, end })
    }

    /// What some names stood for then. `now` has what nodes are today, as far as it is known.
    fn former_nodes(
        &self,
        at: Moment,
        names: &[Arc<Entry>],
        mut now: HashMap<Ino, Arc<Node>>,
    ) -> Result<HashMap<Ino, Arc<Node>>> {
        let unknown = names.iter().map(|entry| entry.ino);
        let unknown: Vec<_> = unknown.filter(|ino| !now.contains_key(ino)).collect();
        now.extend(self.stored_nodes(&unknown)?);
        now.retain(|_, node| node.began <= at.op);
        let mut then = now;
        let mut changed = Vec::new();
        for entry in names {
            if then.contains_key(&entry.ino) {
                continue;
            }
            match self.memory.node(entry.ino, at.op) {
                Some(node) => drop(then.insert(entry.ino, node)),
                None => changed.push(entry.clone()),
            }
        }
        if !changed.is_empty() {
            for (ino, node) in self.store.nodes_of_names_at(&changed, at.op)? {
                self.memory.keep_node(at.op, &node);
                then.insert(ino, node);
            }
        }
        Ok(then)
    }

    /// Several nodes, without those that are gone; what is known of each is in the cache then.
    pub(super) fn stored_nodes(&self, of: &[Ino]) -> Result<HashMap<Ino, Arc<Node>>> {
        let (mut all, mut missing) = (HashMap::new(), Vec::new());
        for ino in of {
            match self.cache.node(*ino) {
                Some(known) => all.extend(known.map(|node| (*ino, node))),
                None => missing.push(*ino),
            }
        }
        if missing.is_empty() {
            return Ok(all);
        }
        let began = self.cache.reading();
        let found = self.store.nodes(&missing)?;
        for ino in missing {
            self.cache.fill_node(began, ino, found.get(&ino).cloned());
        }
        all.extend(found);
        Ok(all)
    }
}

/// Where a page ends behind which there may be more.
fn end_of<'a>(page: impl ExactSizeIterator<Item = &'a Arc<Entry>>) -> Option<u64> {
    let is_full = page.len() >= PAGE as usize;
    page.last().filter(|_| is_full).map(|entry| entry.cookie)
}
