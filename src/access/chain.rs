//! What was said above a node, and whom grants may name to reach a caller.

use super::domain::{self, Domain};
use super::rights::Rights;
use crate::core::{Caller, PrincipalId, Time};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whom grants may name to reach a caller: user, agent and their groups; sorted. Another number for each that was found out.
#[derive(Debug, Clone, Default)]
pub struct Reach(Option<Arc<Numbered>>);

#[derive(Debug)]
struct Numbered {
    number: u64,
    all: Box<[PrincipalId]>,
}

impl Reach {
    /// Takes ids that are sorted.
    pub fn of(all: impl Into<Box<[PrincipalId]>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(Some(Arc::new(Numbered {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            all: all.into(),
        })))
    }

    /// Tells it from every other one of this process; 0 where it reaches nobody.
    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |own| own.number)
    }
}

impl Deref for Reach {
    type Target = [PrincipalId];

    fn deref(&self) -> &[PrincipalId] {
        self.0.as_ref().map_or(&[], |own| &own.all)
    }
}

/// Domains along a way up, the nearest first. Directories about which nothing was said share that of what they lie in.
#[derive(Debug, Clone, Default)]
pub struct Chain(Option<Arc<Line>>);

#[derive(Debug)]
struct Line {
    domains: Box<[Arc<Domain>]>,
    /// Whether a grant among them ends by itself.
    ends: bool,
    /// Whom they give what: in one place, where the domains and their grants are in three each. `None` where that would
    /// be long or does not stay so.
    given: Option<Box<[(PrincipalId, Rights)]>>,
    /// Whether one of them hands down a list.
    hands_down: bool,
    /// What they give to some who asked: the number of the reach, and the rights in the lowest byte. Neither it nor what is
    /// here ever changes, so what was found out stays true.
    known: [AtomicU64; 4],
}

impl Chain {
    /// What grants give to a caller who has this reach.
    pub fn granted(&self, who: &Reach, now: Time) -> Rights {
        let Some(line) = &self.0 else {
            return Rights::NONE;
        };
        let evaluate = || match &line.given {
            Some(given) => together(given, who),
            None => domain::granted(line.domains.iter().map(|d| &**d), who, now),
        };
        let number = who.number();
        if line.ends || number == 0 {
            return evaluate();
        }
        // One word, so that nobody's rights are ever taken for another's.
        let known = &line.known[(number % 4) as usize];
        let word = known.load(Ordering::Relaxed);
        if word >> 8 == number {
            return Rights::from_byte(word.to_le_bytes()[0]);
        }
        let rights = evaluate();
        known.store(number << 8 | u64::from(rights.byte()), Ordering::Relaxed);
        rights
    }

    /// What lists that are handed down refuse a caller.
    pub fn denied(&self, caller: &Caller) -> Rights {
        let Some(line) = self.0.as_ref().filter(|line| line.hands_down) else {
            return Rights::NONE;
        };
        let lists = line.domains.iter().filter_map(|d| d.acls.default.as_ref());
        lists.fold(Rights::NONE, |sum, list| sum.and(list.denied(caller)))
    }

    /// Whether the same was said in both.
    pub fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Deref for Chain {
    type Target = [Arc<Domain>];

    fn deref(&self) -> &[Arc<Domain>] {
        self.0.as_ref().map_or(&[], |line| &line.domains)
    }
}

impl FromIterator<Arc<Domain>> for Chain {
    fn from_iter<I: IntoIterator<Item = Arc<Domain>>>(domains: I) -> Self {
        let domains: Box<[_]> = domains.into_iter().collect();
        if domains.is_empty() {
            return Self::default();
        }
        let ends = domains
            .iter()
            .flat_map(|d| &d.grants)
            .any(|g| g.expires.is_some());
        let given = if ends { None } else { given(&domains) };
        Self(Some(Arc::new(Line {
            ends,
            given,
            hands_down: domains.iter().any(|d| d.acls.default.is_some()),
            known: Default::default(),
            domains,
        })))
    }
}

/// How many grants of a chain are copied into it at most: many directories may lie below one with thousands of grants.
const GIVEN_MAX: usize = 32;

/// Whom domains give what, where none of their grants ends.
fn given(domains: &[Arc<Domain>]) -> Option<Box<[(PrincipalId, Rights)]>> {
    let all = || domain::counting(domains.iter().map(|d| &**d), Time::default());
    if all().take(GIVEN_MAX + 1).count() > GIVEN_MAX {
        return None;
    }
    Some(
        all()
            .map(|grant| (grant.grantee.id(), grant.rights))
            .collect(),
    )
}

/// What is given to any of `who`, which is sorted.
fn together(given: &[(PrincipalId, Rights)], who: &[PrincipalId]) -> Rights {
    let his = given.iter().filter(|(to, _)| who.binary_search(to).is_ok());
    his.fold(Rights::NONE, |sum, (_, rights)| sum.and(*rights))
}

#[cfg(test)]
mod tests {
    use super::super::domain::{Grant, Grantee};
    use super::*;

    fn chain(ends: Option<Time>) -> Chain {
        let grant = |id, rights| Grant {
            id,
            grantee: Grantee::Principal(PrincipalId(id)),
            rights,
            expires: ends,
        };
        let domain = Domain {
            grants: vec![grant(7, Rights::READ), grant(8, Rights::WRITE)],
            ..Domain::default()
        };
        Chain::from_iter([Arc::new(domain)])
    }

    fn reach(id: u64) -> Reach {
        Reach::of([PrincipalId(id)])
    }

    #[test]
    fn what_is_known_of_one_is_nobody_elses() {
        let chain = chain(None);
        let all: Vec<_> = (0..40).map(|n| (n % 3 + 7, reach(n % 3 + 7))).collect();
        for _ in 0..3 {
            for (id, who) in &all {
                let given = [Rights::READ, Rights::WRITE, Rights::NONE];
                let expected = given[usize::try_from(id - 7).unwrap()];
                assert_eq!(chain.granted(who, Time(0)), expected);
                // As the next one is asked for, and as the first one is asked for again.
                assert_eq!(chain.granted(who, Time(0)), expected);
            }
        }
        assert_eq!(chain.granted(&Reach::default(), Time(0)), Rights::NONE);
    }

    #[test]
    fn what_ends_by_itself_is_not_kept() {
        let (chain, who) = (chain(Some(Time(10))), reach(7));
        assert_eq!(chain.granted(&who, Time(9)), Rights::READ);
        assert_eq!(chain.granted(&who, Time(10)), Rights::NONE);
    }
}
