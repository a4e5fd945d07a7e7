//! What was said about a node beyond its mode: grants, lists, a boundary.
//!
//! A node that something was said about owns a domain; every other node stands in its parent's. So a decision looks at
//! few domains, however deep the tree is.

use super::acl::Acls;
use super::rights::Rights;
use crate::core::{Ino, PrincipalId, Time};

pub use crate::meta::tuple::ANYBODY;

/// Whom a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// A user or an agent; or the members of a group.
    Principal(PrincipalId),
    /// Every user of the tenant, and every agent that acts with its owner's rights.
    Everyone,
}

impl Grantee {
    /// Among whom a caller has to be whom it reaches.
    pub fn id(self) -> PrincipalId {
        match self {
            Self::Principal(id) => id,
            Self::Everyone => ANYBODY,
        }
    }
}

/// A stored tuple on a node, as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The tuple's number.
    pub id: u64,
    pub grantee: Grantee,
    pub rights: Rights,
    pub expires: Option<Time>,
}

/// All that was said about one node.
#[derive(Debug, Clone, Default)]
pub struct Domain {
    pub on: Ino,
    pub grants: Vec<Grant>,
    /// Numbers of grants that have ended: they count for nothing, and are there until somebody takes them away.
    pub over: Vec<u64>,
    pub acls: Acls,
    /// Grants from above end here; the owner's do not.
    pub restricted: bool,
}

impl Domain {
    /// Nothing yet, of a node.
    pub fn of(on: Ino) -> Self {
        Self {
            on,
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        let ungranted = self.grants.is_empty() && self.over.is_empty();
        ungranted && self.acls.is_empty() && !self.restricted
    }

    /// Takes grants that have ended out of those that a decision looks at.
    pub fn retire(&mut self, now: Time) {
        let ended = self.grants.extract_if(.., |grant| grant.is_expired(now));
        self.over.extend(ended.map(|grant| grant.id));
    }

    /// Takes a grant away.
    pub fn take(&mut self, id: u64) {
        self.grants.retain(|grant| grant.id != id);
        self.over.retain(|over| *over != id);
    }

    /// Numbers of all grants, those that have ended included.
    pub fn granted(&self) -> impl Iterator<Item = u64> {
        let counting = self.grants.iter().map(|grant| grant.id);
        counting.chain(self.over.iter().copied())
    }
}

impl Grant {
    /// Whether it is for any of `who`, which is sorted.
    pub fn is_for(&self, who: &[PrincipalId]) -> bool {
        who.binary_search(&self.grantee.id()).is_ok()
    }

    /// To the second of its end it counts, and not from then on.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// The grants along a chain of domains, from a node upwards, that count at the node: those that have not ended, and behind a
/// boundary only ownership.
pub fn counting<'a>(
    chain: impl Iterator<Item = &'a Domain>,
    now: Time,
) -> impl Iterator<Item = &'a Grant> {
    let mut beyond = false;
    chain.flat_map(move |domain| {
        let reaches = if beyond { Rights::OWN } else { Rights::NONE };
        beyond |= domain.restricted;
        let counts = move |g: &&Grant| g.rights.covers(reaches) && !g.is_expired(now);
        domain.grants.iter().filter(counts)
    })
}

/// What grants along a chain of domains, from the node upwards, give to any of `who`, which is sorted.
pub fn granted<'a>(
    chain: impl Iterator<Item = &'a Domain>,
    who: &[PrincipalId],
    now: Time,
) -> Rights {
    let all = counting(chain, now).filter(|grant| grant.is_for(who));
    all.fold(Rights::NONE, |sum, grant| sum.and(grant.rights))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: PrincipalId = PrincipalId(7);
    const NOW: Time = Time(1000);

    fn domain(restricted: bool, grants: &[(u64, Rights, Option<i64>)]) -> Domain {
        let grant = |&(who, rights, end): &(u64, Rights, Option<i64>)| Grant {
            id: 1,
            grantee: Grantee::Principal(PrincipalId(who)),
            rights,
            expires: end.map(Time),
        };
        Domain {
            grants: grants.iter().map(grant).collect(),
            restricted,
            ..Domain::default()
        }
    }

    #[test]
    fn grants_from_above_end_at_a_boundary_and_the_owners_do_not() {
        let top = domain(false, &[(7, Rights::READ, None), (8, Rights::ALL, None)]);
        let boundary = domain(true, &[(9, Rights::READ, None)]);
        let of = |who| granted([&boundary, &top].into_iter(), &[PrincipalId(who)], NOW);
        assert_eq!(of(7), Rights::NONE);
        assert_eq!(of(8), Rights::ALL);
        assert_eq!(of(9), Rights::READ);
        assert_eq!(granted([&top].into_iter(), &[BOB], NOW), Rights::READ);
    }

    #[test]
    fn an_expired_grant_is_no_grant_to_the_instant() {
        let end = |at| domain(false, &[(7, Rights::WRITE, Some(at))]);
        let of = |at| granted([&end(at)].into_iter(), &[BOB], NOW);
        assert_eq!(of(1001), Rights::WRITE);
        assert_eq!(of(1000), Rights::NONE);
    }

    #[test]
    fn everyone_is_whoever_is_among_everybody_and_nobody_else() {
        let mut all = domain(false, &[]);
        all.grants.push(Grant {
            id: 2,
            grantee: Grantee::Everyone,
            rights: Rights::READ,
            expires: None,
        });
        let of = |who: &[PrincipalId]| granted([&all].into_iter(), who, NOW);
        assert_eq!(of(&[ANYBODY, BOB]), Rights::READ);
        assert_eq!(of(&[ANYBODY]), Rights::READ);
        // An isolated agent, and a stranger.
        assert_eq!(of(&[BOB]), Rights::NONE);
        assert_eq!(of(&[]), Rights::NONE);
    }
}
