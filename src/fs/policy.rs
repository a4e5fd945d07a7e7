//! What was said about nodes beyond their modes, in memory: tuples, lists, boundaries.
//!
//! It follows the edits of every commit before that returns, so it is never older than they are. What it derives (chains
//! of domains, who a caller is to grants) carries the revision it was derived from.

use super::engine::Engine;
use super::marks::Marks;
use super::namespace::{ABOVE_MAX, circle};
use super::revision::Revision;
use super::ways::Ways;
use crate::access::acl::Acls;
use crate::access::domain::{Domain, Grant, Grantee};
use crate::access::relation;
use crate::access::{Chain, Reach};
use crate::core::{Ino, Kind, PrincipalId, Result, TenantId, Time, error::fail};
use crate::meta::Edit;
use crate::meta::tuple::{EVERYBODY, Tuple};
use crate::meta::xattr::{self, Xattr};
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many callers are remembered.
const REMEMBERED: usize = 16_384;

/// How many directories' chains are remembered; one is some dozen bytes and shares its domains.
const CHAINS: usize = 131_072;

/// How often what changes meanwhile is read again.
pub(super) const TRIES: usize = 64;

/// How many callers' ways are remembered; one may be long.
const WAYS: usize = 256;

type Revisions = (u64, u64);

/// Who asks, as far as grants go.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub tenant: TenantId,
    pub agent: Option<PrincipalId>,
    /// The user whose rights count: not of an isolated agent.
    pub user: Option<PrincipalId>,
}

pub(super) struct Policy {
    stated: RwLock<Stated>,
    /// Nodes that may own a domain; spares the lock for all others.
    marks: Marks,
    /// How many domains there are; spares the lock where there is none.
    count: AtomicUsize,
    /// Whether any grant ends by itself; spares the clock where none does.
    any_ends: AtomicBool,
    /// Another one after each change of a domain and each move of a directory.
    pub(super) revision: Revision,
    chains: Cache<Ino, (u64, Chain)>,
    callers: Cache<Who, (u64, Reach)>,
    /// Ways by the number of the reach they are for, with the revisions of policy and principals.
    ways: Cache<u64, (Revisions, Arc<Ways>)>,
    /// Another one after each change of a domain, and when what leads to a grant leads there from elsewhere.
    pub(super) led_elsewhere: Revision,
    /// The directories of each tenant that lead to something granted, with that revision.
    leading: Cache<TenantId, (u64, Arc<HashSet<Ino>>)>,
}

#[derive(Default)]
struct Stated {
    /// Each with the tenant whose node it is of.
    domains: HashMap<Ino, (TenantId, Arc<Domain>), RandomState>,
    tuples: BTreeMap<u64, Arc<Tuple>>,
    /// When grants end, and which.
    ends: BTreeSet<(Time, u64)>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            stated: RwLock::default(),
            marks: Marks::default(),
            count: AtomicUsize::default(),
            any_ends: AtomicBool::default(),
            revision: Revision::default(),
            chains: Cache::new(CHAINS),
            callers: Cache::new(REMEMBERED),
            ways: Cache::new(WAYS),
            led_elsewhere: Revision::default(),
            leading: Cache::new(WAYS),
        }
    }
}

impl Policy {
    /// Follows the edits of a change of `of` that was committed.
    pub(super) fn follow(&self, of: TenantId, edits: &[Edit]) {
        if edits.is_empty() {
            return;
        }
        let said_of = edits.iter().filter_map(|edit| match edit {
            Edit::Tuple(new) => new.ino(),
            Edit::Xattr(x) => Some(x.ino),
            _ => None,
        });
        said_of.for_each(|ino| self.marks.set(ino));
        let mut stated = self.stated.write();
        for edit in edits {
            match edit {
                Edit::Tuple(new) => stated.add(new.clone()),
                Edit::TupleGone(old) => stated.remove(old),
                Edit::Xattr(x) => stated.say(of, x),
                Edit::XattrEnded(x, _) => stated.unsay(of, x),
                Edit::TenantGone(old) => stated.leave(old.id),
                _ => {}
            }
        }
        self.count.store(stated.domains.len(), Ordering::Release);
        self.any_ends
            .store(!stated.ends.is_empty(), Ordering::Release);
        // Before anybody reads what is new: what was derived from parts of both is seen to be old.
        self.moved();
        self.led_elsewhere.advance();
    }

    /// Takes grants that have ended by `now` out of what decisions look at. That never goes back, so none of them counts again.
    pub(super) fn retire(&self, now: Time) {
        if self.next_end().is_none_or(|end| now < end) {
            return;
        }
        let mut stated = self.stated.write();
        stated.retire(now);
        self.any_ends
            .store(!stated.ends.is_empty(), Ordering::Release);
        self.moved();
    }

    /// Notes that a directory, or a node that something was said about, is somewhere else: chains and ways of before are old.
    pub(super) fn moved(&self) {
        self.revision.advance();
    }

    /// Whether any grant ends by itself.
    pub(super) fn any_ends(&self) -> bool {
        self.any_ends.load(Ordering::Acquire)
    }

    /// Whether nothing was said about any node: modes decide alone.
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// False only for a node about which nothing was ever said.
    #[inline]
    pub(super) fn may_be_said_of(&self, ino: Ino) -> bool {
        self.marks.may_have(ino)
    }

    pub(super) fn domain(&self, ino: Ino) -> Option<Arc<Domain>> {
        if self.is_empty() || !self.marks.may_have(ino) {
            return None;
        }
        let stated = self.stated.read();
        stated.domains.get(&ino).map(|(_, domain)| domain.clone())
    }

    /// Every domain of a tenant.
    pub(super) fn domains(&self, of: TenantId) -> Vec<Arc<Domain>> {
        let stated = self.stated.read();
        let own = stated.domains.values().filter(|(tenant, _)| *tenant == of);
        own.map(|(_, domain)| domain.clone()).collect()
    }

    pub(super) fn tuple(&self, id: u64) -> Option<Arc<Tuple>> {
        self.stated.read().tuples.get(&id).cloned()
    }

    /// The tuples of a tenant that fit, oldest first.
    pub(super) fn tuples(&self, of: TenantId, fits: impl Fn(&Tuple) -> bool) -> Vec<Arc<Tuple>> {
        let stated = self.stated.read();
        let own = stated.tuples.values().filter(|t| t.tenant == of && fits(t));
        own.cloned().collect()
    }

    /// When the next grant ends that was not retired.
    fn next_end(&self) -> Option<Time> {
        if !self.any_ends() {
            return None;
        }
        self.stated.read().ends.first().map(|(end, _)| *end)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.get()
    }

    /// Whoever asks next is looked up anew.
    #[cfg(test)]
    pub(super) fn forget_callers(&self) {
        self.callers.clear();
    }

    /// Whom grants may name to reach a caller, if that was found out since principals changed.
    pub(super) fn known_caller(&self, who: &Who, revision: u64) -> Option<Reach> {
        let (then, reached) = self.callers.get(who)?;
        (then == revision).then_some(reached)
    }

    pub(super) fn keep_caller(&self, who: Who, revision: u64, reached: Reach) {
        self.callers.insert(who, (revision, reached));
    }

    pub(super) fn known_ways(&self, who: &Reach, at: Revisions, now: Time) -> Option<Arc<Ways>> {
        let (then, ways) = self.ways.get(&who.number())?;
        (then == at && ways.hold_at(now)).then_some(ways)
    }

    pub(super) fn keep_ways(&self, who: &Reach, at: Revisions, ways: Arc<Ways>) {
        self.ways.insert(who.number(), (at, ways));
    }

    pub(super) fn known_to_lead(&self, of: TenantId, at: u64) -> Option<Arc<HashSet<Ino>>> {
        let (then, dirs) = self.leading.get(&of)?;
        (then == at).then_some(dirs)
    }

    pub(super) fn keep_leading(&self, of: TenantId, at: u64, dirs: Arc<HashSet<Ino>>) {
        self.leading.insert(of, (at, dirs));
    }

    /// A directory's chain, where it is known as of a revision.
    fn chain(&self, dir: Ino, revision: u64) -> Option<Chain> {
        let (then, chain) = self.chains.get(&dir)?;
        (then == revision).then_some(chain)
    }
}

impl Stated {
    fn change(&mut self, of: TenantId, ino: Ino, f: impl FnOnce(&mut Domain)) {
        let new = || (of, Arc::new(Domain::of(ino)));
        let (_, domain) = self.domains.entry(ino).or_insert_with(new);
        let domain = Arc::make_mut(domain);
        f(domain);
        if domain.is_empty() {
            self.domains.remove(&ino);
        }
    }

    fn add(&mut self, new: Arc<Tuple>) {
        if let (Some(ino), Some(grant)) = (new.ino(), grant(&new)) {
            self.change(new.tenant, ino, |domain| domain.grants.push(grant));
        }
        self.ends.extend(new.expires.map(|end| (end, new.id)));
        self.tuples.insert(new.id, new);
    }

    fn remove(&mut self, old: &Tuple) {
        if let Some(ino) = old.ino() {
            self.change(old.tenant, ino, |domain| domain.take(old.id));
        }
        if let Some(end) = old.expires {
            self.ends.remove(&(end, old.id));
        }
        self.tuples.remove(&old.id);
    }

    fn retire(&mut self, now: Time) {
        let to_come = self.ends.split_off(&(now, u64::MAX));
        let ended = std::mem::replace(&mut self.ends, to_come);
        let tuples = ended.iter().filter_map(|(_, id)| self.tuples.get(id));
        let on: BTreeSet<_> = tuples.filter_map(|t| Some((t.tenant, t.ino()?))).collect();
        for (of, ino) in on {
            self.change(of, ino, |domain| domain.retire(now));
        }
    }

    /// Drops all that was said in a tenant.
    fn leave(&mut self, tenant: TenantId) {
        let of = |t: &&Arc<Tuple>| t.tenant == tenant;
        let going: Vec<_> = self.tuples.values().filter(of).cloned().collect();
        for old in going {
            self.remove(&old);
        }
        self.domains.retain(|_, (of, _)| *of != tenant);
    }

    fn say(&mut self, of: TenantId, x: &Xattr) {
        match &*x.name {
            // What cannot be read is an empty list, which allows nobody anything; a start fails on it (`load`).
            xattr::ACLS => {
                let acls = Acls::decode(&x.value).unwrap_or_default();
                self.change(of, x.ino, |domain| domain.acls = acls);
            }
            xattr::RESTRICTED => self.change(of, x.ino, |domain| domain.restricted = true),
            _ => {}
        }
    }

    fn unsay(&mut self, of: TenantId, x: &Xattr) {
        match &*x.name {
            xattr::ACLS => self.change(of, x.ino, |domain| domain.acls = Acls::default()),
            xattr::RESTRICTED => self.change(of, x.ino, |domain| domain.restricted = false),
            _ => {}
        }
    }
}

/// A tuple on a file as decisions need it; `None` for one that gives nobody anything.
pub(super) fn grant(tuple: &Tuple) -> Option<Grant> {
    let rights = relation::rights(&tuple.relation);
    let everyone = tuple.subject_type == "user" && tuple.subject_id == EVERYBODY;
    let grantee = if everyone {
        Grantee::Everyone
    } else {
        Grantee::Principal(tuple.principal()?)
    };
    (!rights.is_empty()).then_some(Grant {
        id: tuple.id,
        grantee,
        rights,
        expires: tuple.expires,
    })
}

impl Engine {
    /// Reads lists and boundaries, once at the start. Fails rather than leave out what it cannot read.
    pub(super) fn load_policy(&self) -> Result<()> {
        let mut tx = self.store.read()?;
        let mut said = BTreeMap::<TenantId, Vec<Edit>>::new();
        for name in [xattr::ACLS, xattr::RESTRICTED] {
            for (tenant, x) in xattr::named(&mut *tx, name)? {
                if name == xattr::ACLS {
                    Acls::decode(&x.value)?;
                }
                let of = said.entry(tenant).or_default();
                of.push(Edit::Xattr(Arc::new(x)));
            }
        }
        drop(tx);
        // What was said in a tenant that was deleted is history.
        said.retain(|tenant, _| self.home(*tenant).is_ok());
        for (tenant, edits) in said {
            self.policy.follow(tenant, &edits);
        }
        Ok(())
    }

    /// Until when what somebody sees by a grant stays as it is, unless something is changed: until the next grant ends. An end that
    /// has just come is told of until decisions do not look at its grant any more, for what was judged shortly before it.
    pub fn next_end(&self) -> Option<Time> {
        self.policy.next_end()
    }

    /// Takes grants that have ended by now out of what decisions look at.
    pub(super) fn retire_grants(&self) {
        if self.policy.any_ends() {
            self.policy.retire(self.latest());
        }
    }

    /// The domains of a directory and of what lies above it.
    pub(super) fn chain(&self, dir: Ino) -> Result<Chain> {
        for _ in 0..TRIES {
            let revision = self.policy.revision();
            if let Some(chain) = self.policy.chain(dir, revision) {
                return Ok(chain);
            }
            let (chain, alike) = self.walk_up(dir, revision)?;
            // Else its lower part may be from before a move and its upper part from behind another.
            if self.policy.revision() == revision {
                for dir in alike {
                    self.policy.chains.insert(dir, (revision, chain.clone()));
                }
                return Ok(chain);
            }
        }
        fail(
            Kind::Conflict,
            "permissions change faster than they can be read",
        )
    }

    /// Goes up from a directory as far as nothing is known; tells also of which directories on the way it is the chain: those up
    /// to the first that something was said about.
    fn walk_up(&self, dir: Ino, revision: u64) -> Result<(Chain, Vec<Ino>)> {
        let (mut found, mut alike) = (Vec::new(), Vec::new());
        let mut at = dir;
        for _ in 0..ABOVE_MAX {
            if at == Ino(0) {
                return Ok((found.into_iter().collect(), alike));
            }
            if let Some(known) = self.policy.chain(at, revision) {
                if found.is_empty() {
                    return Ok((known, alike));
                }
                found.extend(known.iter().cloned());
                return Ok((found.into_iter().collect(), alike));
            }
            if found.is_empty() {
                alike.push(at);
            }
            found.extend(self.policy.domain(at));
            at = self.node(at)?.parent;
        }
        circle(dir)
    }
}
