//! Reading the present: what waits comes before what the database says.

use super::cache::Place;
use super::log_query::Query;
use super::pending::Known;
use super::store::Store;
use super::{Entry, Node, Record, Xattr, entry, node, xattr};
use crate::core::{Ino, Name, Op, Result, TenantId};
use std::collections::HashMap;
use std::sync::Arc;

/// How often a page is read beside the thread that applies before that has to wait.
const TRIES: u32 = 3;

/// Entries with their nodes, in the order of their cookies.
pub(super) type Listing = Vec<(Arc<Entry>, Arc<Node>)>;

impl Store {
    pub fn node(&self, ino: Ino) -> Result<Option<Arc<Node>>> {
        let known = self.shared().pending.read().node(ino);
        known.or_stored(|| node::get(&mut *self.shared().db.glance()?, ino))
    }

    /// Several nodes; those that are gone are left out.
    pub fn nodes(&self, of: &[Ino]) -> Result<HashMap<Ino, Arc<Node>>> {
        let (mut all, mut stored) = (HashMap::new(), Vec::new());
        {
            let pending = self.shared().pending.read();
            for ino in of {
                match pending.node(*ino) {
                    Known::Is(now) => drop(all.insert(*ino, now)),
                    Known::Gone => {}
                    Known::Stored => stored.push(*ino),
                }
            }
        }
        node::each(&mut *self.shared().db.glance()?, &stored, |node| {
            all.insert(node.ino, Arc::new(node));
        })?;
        Ok(all)
    }

    pub fn entry(&self, place: &Place) -> Result<Option<Arc<Entry>>> {
        let known = self.shared().pending.read().entry(place);
        known.or_stored(|| entry::get(&mut *self.shared().db.glance()?, place.parent, &place.name))
    }

    /// Any one name of a node; directories have exactly one.
    pub fn name_of(&self, ino: Ino) -> Result<Option<Arc<Entry>>> {
        let changed = self.shared().pending.read().names(ino);
        if let Some(known) = changed.values().flatten().next() {
            return Ok(Some(known.clone()));
        }
        let limit = u32::try_from(changed.len() + 1).unwrap_or(u32::MAX);
        let stored = entry::names_of(&mut *self.shared().db.glance()?, ino, limit)?;
        let stands = |e: &Entry| {
            let place = Place {
                parent: e.parent,
                name: e.name.clone(),
            };
            !changed.contains_key(&place)
        };
        Ok(stored.into_iter().find(stands).map(Arc::new))
    }

    /// The names of a node, `many` or fewer.
    pub fn names_of(&self, ino: Ino, many: u32) -> Result<Vec<Arc<Entry>>> {
        let changed = self.shared().pending.read().names(ino);
        let gone = u32::try_from(changed.len()).unwrap_or(u32::MAX);
        let limit = many.saturating_add(gone);
        let stored = entry::names_of(&mut *self.shared().db.glance()?, ino, limit)?;
        let stands = |e: &Entry| {
            !changed
                .keys()
                .any(|p| p.parent == e.parent && p.name == e.name)
        };
        let mut all: Vec<_> = stored.into_iter().filter(stands).map(Arc::new).collect();
        all.extend(changed.values().flatten().cloned());
        Ok(all)
    }

    /// All names of several nodes, of each that has any.
    pub fn names_of_each(&self, of: &[Ino]) -> Result<HashMap<Ino, Vec<Arc<Entry>>>> {
        let mut all: HashMap<Ino, Vec<Arc<Entry>>> = HashMap::new();
        if of.is_empty() {
            return Ok(all);
        }
        let changed: HashMap<Ino, HashMap<Place, _>> = {
            let pending = self.shared().pending.read();
            of.iter().map(|ino| (*ino, pending.names(*ino))).collect()
        };
        let stands = |e: &Entry| {
            let place = Place {
                parent: e.parent,
                name: e.name.clone(),
            };
            changed
                .get(&e.ino)
                .is_none_or(|of| !of.contains_key(&place))
        };
        entry::names_of_each(&mut *self.shared().db.glance()?, of, |entry| {
            if stands(&entry) {
                all.entry(entry.ino).or_default().push(Arc::new(entry));
            }
        })?;
        for entry in changed.values().flat_map(HashMap::values).flatten() {
            all.entry(entry.ino).or_default().push(entry.clone());
        }
        Ok(all)
    }

    /// How many names a directory has, as far as `most`.
    pub fn names_in(&self, dir: Ino, most: usize) -> Result<usize> {
        let changed = self.shared().pending.read().dir(dir);
        let limit = u32::try_from(most.saturating_add(changed.len())).unwrap_or(u32::MAX);
        let stored = entry::some(&mut *self.shared().db.glance()?, dir, limit)?;
        let stored = stored.iter().filter(|name| !changed.contains_key(*name));
        Ok((stored.count() + changed.values().flatten().count()).min(most))
    }

    /// Whether a directory has any entry.
    pub fn has_any(&self, dir: Ino) -> Result<bool> {
        let changed = self.shared().pending.read().dir(dir);
        if changed.values().any(Option::is_some) {
            return Ok(true);
        }
        let limit = u32::try_from(changed.len() + 1).unwrap_or(u32::MAX);
        let stored = entry::some(&mut *self.shared().db.glance()?, dir, limit)?;
        Ok(stored.iter().any(|name| !changed.contains_key(name)))
    }

    /// One page of a directory in the order of its cookies, with the nodes' attributes: fewer than `limit` at the end only.
    pub fn list(&self, dir: Ino, after: u64, limit: u32) -> Result<Listing> {
        let applied = || self.shared().pending.read().last_applied();
        for _ in 0..TRIES {
            let before = applied();
            let page = self.list_once(dir, after, limit)?;
            // Else a node may have gone from what waits to the database behind the state of it that was read.
            if applied() == before {
                return Ok(page);
            }
        }
        let _still = self.shared().applying.lock();
        self.list_once(dir, after, limit)
    }

    fn list_once(&self, dir: Ino, after: u64, limit: u32) -> Result<Listing> {
        let changed = self.shared().pending.read().dir(dir);
        let (mut page, end) = self.list_stored(dir, after, limit, &changed)?;
        for new in changed.into_values().flatten() {
            if new.cookie > after
                && new.cookie <= end
                && let Some(node) = self.node(new.ino)?
            {
                page.push((new, node));
            }
        }
        page.sort_by_key(|(e, _)| e.cookie);
        page.truncate(limit as usize);
        Ok(page)
    }

    /// What of the database's page still stands, and up to which cookie it is whole.
    fn list_stored(
        &self,
        dir: Ino,
        after: u64,
        limit: u32,
        changed: &HashMap<Name, Option<Arc<Entry>>>,
    ) -> Result<(Listing, u64)> {
        let mut page = Vec::new();
        let mut at = after;
        let mut tx = self.shared().db.read()?;
        loop {
            let rows = entry::list(&mut *tx, dir, at, limit)?;
            let more = rows.len() == limit as usize;
            if let Some((last, _)) = rows.last() {
                at = last.cookie;
            }
            let pending = self.shared().pending.read();
            for (entry, node) in rows {
                if changed.contains_key(&entry.name) {
                    continue;
                }
                match pending.node(entry.ino) {
                    Known::Is(newer) => page.push((Arc::new(entry), newer)),
                    Known::Gone => {}
                    Known::Stored => page.push((Arc::new(entry), Arc::new(node))),
                }
            }
            if !more {
                return Ok((page, u64::MAX));
            }
            if page.len() >= limit as usize {
                return Ok((page, at));
            }
        }
    }

    /// Up to `limit` records behind an operation that fit, oldest first, without the database: `None` when it has some of them
    /// already, or is needed to tell.
    pub fn recent(
        &self,
        tenant: TenantId,
        after: Op,
        query: &Query,
        limit: u32,
    ) -> Option<Vec<Record>> {
        let changes = self.shared().pending.read().log_behind(tenant, after)?;
        let mut found = Vec::new();
        for record in changes.iter().flat_map(|edits| edits.log_of(tenant)) {
            let is_behind = record.op > after && found.len() < limit as usize;
            if query.fits(record)? && is_behind {
                found.push(record.clone());
            }
        }
        Some(found)
    }

    /// Every attribute of a node, by name.
    pub fn xattrs(&self, ino: Ino) -> Result<Vec<Arc<Xattr>>> {
        let changed = self.shared().pending.read().xattrs(ino);
        let stored = xattr::list(&mut *self.shared().db.glance()?, ino)?;
        let stands = stored
            .into_iter()
            .filter(|x| !changed.contains_key(&x.name));
        let mut all: Vec<_> = stands.map(Arc::new).collect();
        all.extend(changed.into_values().flatten());
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}
