//! Ways: the directories that lead to something granted, and who hears of it when they lead somewhere else.
//!
//! Who may not search a directory sees in it what leads to his grants, and finds nothing in it without them. So when what was
//! granted goes to another place, by itself or with a directory above it, the names that led there are hidden from him and others
//! are not any more, which changes nothing in the directories that have these names.

use super::commit::Change;
use super::engine::Engine;
use super::events::Event;
use crate::core::{Caller, Ino, Kind, Result, TenantId, Time};
use crate::meta::Edit;
use crate::meta::cache::Place;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The directories that lead to something granted, to one caller.
#[derive(Debug, Default)]
pub(super) struct Ways {
    dirs: HashSet<Ino>,
    /// When the first of the grants ends: then some lead nowhere.
    until: Option<Time>,
}

impl Ways {
    pub(super) fn hold_at(&self, now: Time) -> bool {
        self.until.is_none_or(|end| now < end)
    }

    pub(super) fn lead_by(&self, dir: Ino) -> bool {
        self.dirs.contains(&dir)
    }
}

impl Engine {
    /// The directories that lead to something granted to the caller.
    pub(super) fn ways(&self, caller: &Caller) -> Result<Arc<Ways>> {
        let now = self.latest();
        let key = (self.policy.revision(), self.principals_revision());
        let who = self.reached_by(caller)?;
        if let Some(known) = self.policy.known_ways(&who, key, now) {
            return Ok(known);
        }
        let mut ways = Ways::default();
        let own = caller.tenant.map(|tenant| self.policy.domains(tenant));
        for domain in own.unwrap_or_default() {
            let counting = domain
                .grants
                .iter()
                .filter(|g| g.is_for(&who) && !g.is_expired(now));
            let ends: Vec<_> = counting.map(|g| g.expires).collect();
            if !ends.is_empty() {
                let first = ends.into_iter().flatten().chain(ways.until).min();
                ways.until = first;
                self.add_way(domain.on, &mut ways.dirs)?;
            }
        }
        let ways = Arc::new(ways);
        self.policy.keep_ways(&who, key, ways.clone());
        Ok(ways)
    }

    /// The directories that lead to something granted to anybody.
    fn all_ways(&self, tenant: TenantId) -> Result<Arc<HashSet<Ino>>> {
        // As of before they are looked for: what is granted meanwhile is not missed later.
        let at = self.policy.led_elsewhere.get();
        if let Some(known) = self.policy.known_to_lead(tenant, at) {
            return Ok(known);
        }
        let mut dirs = HashSet::new();
        for domain in self.policy.domains(tenant) {
            if domain.grants.is_empty() {
                continue;
            }
            match self.add_way(domain.on, &mut dirs) {
                // What is not there leads nobody anywhere.
                Err(e) if e.kind() == Kind::NotFound => {}
                other => other?,
            }
        }
        let dirs = Arc::new(dirs);
        self.policy.keep_leading(tenant, at, dirs.clone());
        Ok(dirs)
    }

    fn add_way(&self, to: Ino, dirs: &mut HashSet<Ino>) -> Result<()> {
        for dir in self.parents(&*self.node(to)?)? {
            let mut at = Some(dir);
            while let Some(up) = at.filter(|up| dirs.insert(*up)) {
                at = self.parent(&*self.node(up)?)?;
            }
        }
        Ok(())
    }

    /// Whether anything is granted on a node, or below it.
    fn leads(&self, tenant: TenantId, ino: Ino) -> Result<bool> {
        if self.policy.is_empty() {
            return Ok(false);
        }
        let own = self.policy.domain(ino);
        if own.is_some_and(|domain| !domain.grants.is_empty()) {
            return Ok(true);
        }
        // To look for all of them is dear where grants change, and most names are of files.
        let known = self
            .policy
            .known_to_lead(tenant, self.policy.led_elsewhere.get());
        if let Some(dirs) = known {
            return Ok(dirs.contains(&ino));
        }
        let is_dir = self.stored_node(ino)?.is_some_and(|node| node.is_dir());
        Ok(is_dir && self.all_ways(tenant)?.contains(&ino))
    }
}

impl Change<'_> {
    /// Notes that names which lead to where a grant comes or goes by this change are seen by others than before; says whether there
    /// are any. `said` is what it says beside modes. To be called when it is whole. Costs a look at each name that is another one where
    /// anything is granted.
    pub(super) fn reroute(&mut self, said: &[Edit]) -> Result<bool> {
        if self.engine.policy.is_empty() && said.is_empty() {
            return Ok(false);
        }
        let ends = self.ends_of_ways(said)?;
        let mut places: HashMap<Ino, &Place> = HashMap::new();
        if !ends.is_empty() {
            let named = self.entries.iter();
            places.extend(named.filter_map(|(place, entry)| Some((entry.as_ref()?.ino, place))));
        }
        let (mut seen, mut events) = (HashSet::new(), Vec::new());
        for end in &ends {
            let mut at = *end;
            while seen.insert(at) {
                let stored = match places.get(&at) {
                    Some(_) => None,
                    None => self.engine.place(at)?,
                };
                let Some(place) = places.get(&at).copied().or(stored.as_deref()) else {
                    break;
                };
                let (parent, name) = (place.parent, place.name.clone());
                at = parent;
                events.push(Event::Closed { parent, name });
                events.push(Event::Relisted(parent));
            }
        }
        self.closed.append(&mut events);
        Ok(!ends.is_empty())
    }

    /// The directories in which something that leads to a grant has a name more or less than before.
    fn ends_of_ways(&self, said: &[Edit]) -> Result<BTreeSet<Ino>> {
        let mut more: BTreeMap<(Ino, Ino), i32> = BTreeMap::new();
        for (place, ino) in &self.lost {
            *more.entry((*ino, place.parent)).or_default() -= 1;
        }
        for (place, entry) in &self.entries {
            if let Some(entry) = entry {
                *more.entry((entry.ino, place.parent)).or_default() += 1;
            }
        }
        let new: HashSet<Ino> = self.new.iter().map(|(ino, _)| *ino).collect();
        let granted = said.iter().filter_map(|edit| match edit {
            Edit::Tuple(new) => new.ino(),
            _ => None,
        });
        let granted: HashSet<Ino> = granted.collect();
        let mut ends = BTreeSet::new();
        for (ino, dir) in more.into_iter().filter(|(_, n)| *n != 0).map(|(at, _)| at) {
            let leads = || self.engine.leads(self.tenant, ino);
            if granted.contains(&ino) || !new.contains(&ino) && leads()? {
                ends.insert(dir);
            }
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use crate::core::Ino;
    use crate::fs::To;
    use crate::fs::tests::principals::{boss, make};
    use crate::fs::tests::{World, name, path, person};
    use std::collections::HashSet;

    #[test]
    fn what_another_tenant_grants_everybody_is_no_way_of_ones_own() {
        let w = World::new();
        let (e, bob) = (w.engine(), make(&w, "bob"));
        let other = e.create_tenant(&boss(), "other").unwrap();
        let carol = crate::core::Caller {
            tenant: Some(other.id),
            ..person("carol", 1500)
        };
        let share = |who| {
            let at = e.resolve(who, &path("/workspace")).unwrap().ino;
            let dir = e.mkdir(who, at, &name("d"), 0o700).unwrap().ino;
            let file = w.write(who, "/workspace/d/f", b"x").unwrap();
            e.grant(who, file, "viewer-of", &To::Everyone, None)
                .unwrap();
            [dir, at, e.root(who).unwrap()]
        };
        let (own, _) = (share(&bob), share(&carol));
        let known: HashSet<Ino> = HashSet::from(own);
        assert_eq!(e.ways(&bob).unwrap().dirs, known);
    }
}
