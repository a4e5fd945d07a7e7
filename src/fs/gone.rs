//! Who may see what was: by what is there of it today, and where nothing is, by the last that is known of it.
//!
//! A node that is gone keeps the owner, mode, lists and boundary it had when it went, where it lay then; grants on it went
//! with it, grants above it count as far up as its directories are still there. So what was taken from somebody stays
//! taken: neither removing nor moving something opens its past.

use super::engine::{Engine, no_node};
use super::ground::{allowed, only_parent};
use super::namespace::{ABOVE_MAX, circle, is_for};
use super::visible::{Look, Sight};
use crate::access::acl::Acls;
use crate::access::decide::weigh;
use crate::access::domain::Domain;
use crate::access::{Chain, Ground, Right, decide, namespace};
use crate::core::{Caller, Ino, Result};
use crate::meta::cache::Place;
use crate::meta::{Entry, Last, Node, xattr};
use quick_cache::sync::Cache;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many nodes that are gone are remembered.
const REMEMBERED: usize = 16_384;

/// The last that is known of a node that is gone.
pub(super) struct Gone {
    pub(super) node: Node,
    /// Lists and a boundary. Its grants went with it.
    pub(super) said: Option<Arc<Domain>>,
    /// Where it lay.
    pub(super) parent: Ino,
}

/// Nodes that were found to be gone.
pub(super) struct Graveyard {
    known: Cache<Ino, Arc<Gone>>,
    /// Another one whenever a node goes: one that came back and went again may be another.
    burials: AtomicU64,
}

impl Default for Graveyard {
    fn default() -> Self {
        Self {
            known: Cache::new(REMEMBERED),
            burials: AtomicU64::default(),
        }
    }
}

impl Graveyard {
    /// Notes that a node went.
    pub(super) fn bury(&self, ino: Ino) {
        // In this order: who reads rows meanwhile finds either that they are old or that they were taken out again.
        self.burials.fetch_add(1, Ordering::AcqRel);
        self.known.remove(&ino);
    }
}

/// A directory as a caller looks into its past.
pub(super) struct Glance<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    dir: Ino,
    /// Whether it is a tenant's root, which never goes.
    in_root: bool,
    sight: Sight,
    /// Domains of the directory and of what lies above it.
    chain: Chain,
    /// The directory as it is today, if it is.
    today: Option<Look<'a>>,
    /// Names that nodes have today, as far as several were asked about at once.
    names: Names,
}

/// The names of nodes that have several, or had.
type Names = HashMap<Ino, Vec<Arc<Entry>>>;

impl Glance<'_> {
    /// Whether the caller sees whatever comes into the directory of which nothing was said.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.sight, Sight::Whole { .. })
    }

    /// Looks at once for what it takes to judge what had names in the directory, before each is asked for.
    pub(super) fn expect(&mut self, nodes: impl Iterator<Item = Ino>) -> Result<()> {
        let nodes: Vec<_> = nodes.collect();
        let now = self.engine.stored_nodes(&nodes)?;
        let is_here = |ino: &Ino| now.get(ino).and_then(|now| only_parent(now)) == Some(self.dir);
        let elsewhere = nodes.into_iter().filter(|ino| !is_here(ino)).collect();
        self.names = self.engine.survey(elsewhere)?;
        Ok(())
    }

    /// Whether the caller sees today what had a name in the directory.
    pub(super) fn sees(&mut self, entry: &Entry) -> Result<bool> {
        let (engine, caller) = (self.engine, self.caller);
        if self.in_root && !is_for(caller, &entry.name) {
            return Ok(false);
        }
        let Some(now) = engine.stored_node(entry.ino)? else {
            let gone = engine.gone(entry.ino)?;
            if gone.parent == self.dir {
                return engine.sees_gone(caller, &gone, &self.sight, &self.chain);
            }
            // It was moved before it went.
            return match engine.outlook(caller, gone.parent, Right::Execute) {
                Ok((sight, chain)) => engine.sees_gone(caller, &gone, &sight, &chain),
                refused => allowed(refused.map(drop)),
            };
        };
        let names = self.names.get(&entry.ino);
        let is_it = |e: &Entry| e.parent == entry.parent && e.name == entry.name;
        let stands = match (only_parent(&now), names) {
            // By whichever name, it is there for who sees it in the directory.
            (Some(dir), _) => dir == entry.parent,
            (None, Some(names)) => names.iter().any(|e| is_it(e)),
            (None, None) => engine.means(entry)?,
        };
        let dirs = names.map(|all| all.iter().map(|e| e.parent).collect::<Vec<_>>());
        match &mut self.today {
            Some(look) if stands => look.sees_of(&now, dirs.as_deref()),
            _ => match dirs {
                Some(dirs) => engine.sees_elsewhere(caller, &now, &dirs),
                None => engine.sees_elsewhere(caller, &now, &engine.parents(&now)?),
            },
        }
    }
}

impl Engine {
    pub(super) fn bury(&self, ino: Ino) {
        self.graveyard.bury(ino);
    }

    /// Looks with `right` (search or read) into the past of a directory, which may be gone.
    pub(super) fn glance<'a>(
        &'a self,
        caller: &'a Caller,
        dir: Ino,
        right: Right,
    ) -> Result<Glance<'a>> {
        let (in_root, sight, chain, today) = if let Some(now) = self.stored_node(dir)? {
            self.may_reach(caller, &now)?;
            let look = self.look(caller, &now, right)?;
            let (sight, chain) = (look.sight().clone(), self.chain_of(dir)?);
            (now.parent == Ino(0), sight, chain, Some(look))
        } else {
            let (sight, chain) = self.outlook(caller, dir, right)?;
            (false, sight, chain, None)
        };
        Ok(Glance {
            engine: self,
            caller,
            dir,
            in_root,
            sight,
            chain,
            today,
            names: Names::new(),
        })
    }

    /// The domains of a directory and of what lies above it; none where nothing was said at all.
    fn chain_of(&self, dir: Ino) -> Result<Chain> {
        if self.policy.is_empty() {
            return Ok(Chain::default());
        }
        self.chain(dir)
    }

    /// Decides whether a caller has `right` on a node today, or would if it were still there.
    pub fn may_still(&self, caller: &Caller, ino: Ino, right: Right) -> Result<()> {
        if let Some(now) = self.stored_node(ino)? {
            self.may_reach(caller, &now)?;
            return match right {
                Right::Read | Right::Execute if now.is_dir() => {
                    self.sight(caller, &now, right).map(drop)
                }
                _ => self.may(caller, &now, right),
            };
        }
        let gone = self.gone(ino)?;
        let (sight, above) = self.outlook(caller, gone.parent, Right::Execute)?;
        if !self.sees_gone(caller, &gone, &sight, &above)? {
            return Err(no_node(ino));
        }
        decide(
            caller,
            &gone.node,
            &self.ground_of(caller, &gone, &above)?,
            right,
        )
    }

    /// Whether a node is a caller's own today, or was when it went.
    pub fn owns_still(&self, caller: &Caller, ino: Ino) -> Result<bool> {
        allowed(self.may_still(caller, ino, Right::Own))
    }

    /// How a caller looks into a directory, which may be gone, with `right`, and the domains of it and of what lies above it.
    /// Fails with `Denied` or `NotFound` when he may not.
    fn outlook(&self, caller: &Caller, dir: Ino, right: Right) -> Result<(Sight, Chain)> {
        let mut fallen = Vec::new();
        let mut at = dir;
        let standing = loop {
            if let Some(now) = self.stored_node(at)? {
                break now;
            }
            let gone = self.gone(at)?;
            at = gone.parent;
            fallen.push(gone);
            if fallen.len() > ABOVE_MAX {
                return circle(dir);
            }
        };
        let asked = if fallen.is_empty() {
            right
        } else {
            Right::Execute
        };
        self.may_reach(caller, &standing)?;
        let mut sight = self.sight(caller, &standing, asked)?;
        let mut chain = self.chain_of(standing.ino)?;
        for (left, gone) in fallen.iter().enumerate().rev() {
            if !self.sees_gone(caller, gone, &sight, &chain)? {
                return Err(no_node(gone.node.ino));
            }
            let ground = self.ground_of(caller, gone, &chain)?;
            let asked = if left == 0 { right } else { Right::Execute };
            decide(caller, &gone.node, &ground, asked)?;
            chain = ground
                .own
                .into_iter()
                .chain(chain.iter().cloned())
                .collect();
            sight = Sight::Whole {
                said: !chain.is_empty(),
                own: false,
            };
        }
        Ok((sight, chain))
    }

    /// Whether a caller who looks so into its directory sees something that is gone: as [`Look::sees`] has it.
    fn sees_gone(
        &self,
        caller: &Caller,
        gone: &Gone,
        sight: &Sight,
        above: &Chain,
    ) -> Result<bool> {
        if caller.admin {
            return Ok(true);
        }
        let standing = weigh(caller, &gone.node, &self.ground_of(caller, gone, above)?)?;
        Ok(match sight {
            Sight::Whole { own, .. } => {
                let spoken_of = gone.said.is_some() || !above.is_empty();
                *own || !spoken_of || !standing.allowed().is_empty()
            }
            Sight::Ways(_) => !standing.graph.without(standing.denied).is_empty(),
        })
    }

    /// Whether a name stands today for what it stood for.
    pub(super) fn means(&self, entry: &Entry) -> Result<bool> {
        let place = Place {
            parent: entry.parent,
            name: entry.name.clone(),
        };
        let now = self.stored_entry(place)?;
        Ok(now.is_some_and(|now| now.ino == entry.ino))
    }

    /// Whether a caller sees a node where it is today, by one of the names that it has in some directories.
    fn sees_elsewhere(&self, caller: &Caller, now: &Node, dirs: &[Ino]) -> Result<bool> {
        for dir in dirs {
            if self.is_shown_in(caller, now.ino, *dir)? && allowed(self.may_walk(caller, *dir))? {
                let dir = self.node(*dir)?;
                let mut look = self.look(caller, &dir, Right::Execute)?;
                if look.sees_of(now, Some(dirs))? {
                    return Ok(true);
                }
            }
        }
        // A root is in no directory.
        Ok(now.is_dir() && now.parent == Ino(0))
    }

    /// Whether what lies in a directory is in a namespace that is there for a caller.
    fn is_shown_in(&self, caller: &Caller, node: Ino, dir: Ino) -> Result<bool> {
        let (mut below, mut at) = (node, dir);
        for _ in 0..ABOVE_MAX {
            match self.node(at)?.parent {
                Ino(0) => {
                    let top = self.place(below)?;
                    let policy = top.and_then(|top| namespace::named(top.name.as_bytes()));
                    return Ok(policy.is_none_or(|policy| policy.visible_to(caller)));
                }
                up => (below, at) = (at, up),
            }
        }
        circle(dir)
    }

    fn ground_of(&self, caller: &Caller, gone: &Gone, above: &Chain) -> Result<Ground> {
        Ok(Ground {
            own: gone.said.clone(),
            above: above.clone(),
            beside: Vec::new(),
            who: self.reached_by(caller)?,
            now: self.latest(),
        })
    }

    /// The last that is known of a node that is in the tables no more.
    pub(super) fn gone(&self, ino: Ino) -> Result<Arc<Gone>> {
        if let Some(known) = self.graveyard.known.get(&ino) {
            return Ok(known);
        }
        let gone = self.look_up_gone(&[ino])?.remove(&ino);
        gone.ok_or_else(|| no_node(ino))
    }

    /// Whether a node is there, or was and is not forgotten.
    pub(super) fn ever_was(&self, ino: Ino) -> Result<bool> {
        Ok(self.stored_node(ino)?.is_some() || allowed(self.gone(ino).map(drop))?)
    }

    /// Brings to the caches what it takes to judge some nodes: the last that is known of those that are gone, and all that lies
    /// above them; some statements for each level, however many there are. Gives the names of those that do not say themselves
    /// where they are.
    pub(super) fn survey(&self, nodes: Vec<Ino>) -> Result<Names> {
        let (mut names, mut seen, mut level) = (Names::new(), HashSet::new(), nodes);
        loop {
            level.retain(|ino| seen.insert(*ino));
            if level.is_empty() {
                return Ok(names);
            }
            let living = self.stored_nodes(&level)?;
            level.retain(|ino| !living.contains_key(ino));
            let known = |ino: &Ino| self.graveyard.known.get(ino);
            let unknown: Vec<_> = level
                .iter()
                .copied()
                .filter(|ino| known(ino).is_none())
                .collect();
            if !unknown.is_empty() {
                self.look_up_gone(&unknown)?;
            }
            let several = living
                .values()
                .filter(|node| only_parent(node).is_none() && !node.is_dir());
            let several: Vec<_> = several.map(|node| node.ino).collect();
            let found = self.store.names_of_each(&several)?;
            let above = living.values().filter_map(|node| only_parent(node));
            let beside = found.values().flatten().map(|e| e.parent);
            let fallen = level.iter().filter_map(known).map(|gone| gone.parent);
            level = above.chain(beside).chain(fallen).collect();
            names.extend(found);
        }
    }

    /// Reads the last that is known of nodes that are gone, and remembers it unless one went meanwhile.
    fn look_up_gone(&self, nodes: &[Ino]) -> Result<HashMap<Ino, Arc<Gone>>> {
        let burials = self.graveyard.burials.load(Ordering::Acquire);
        let last = self.store.last_of_each(nodes)?.into_iter();
        let found = last.map(|(ino, last)| Ok((ino, Arc::new(Gone::of(last)?))));
        let found = found.collect::<Result<HashMap<_, _>>>()?;
        for (ino, gone) in &found {
            self.graveyard.known.insert(*ino, gone.clone());
        }
        if self.graveyard.burials.load(Ordering::Acquire) != burials {
            for ino in nodes {
                self.graveyard.known.remove(ino);
            }
        }
        Ok(found)
    }
}

impl Gone {
    fn of(last: Last) -> Result<Self> {
        let mut said = Domain::default();
        for x in &last.xattrs {
            match &*x.name {
                xattr::ACLS => said.acls = Acls::decode(&x.value)?,
                xattr::RESTRICTED => said.restricted = true,
                _ => {}
            }
        }
        Ok(Self {
            node: last.node,
            said: Some(said).filter(|d| !d.is_empty()).map(Arc::new),
            parent: last.name.parent,
        })
    }
}
