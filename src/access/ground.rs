//! What the judge looks at: all that was said about a node and what lies above it, and whom it may have been said of.

use super::acl::Acl;
use super::chain::{Chain, Reach};
use super::domain::{self, Domain};
use super::rights::Rights;
use crate::core::{Caller, PrincipalId, Time};
use std::sync::Arc;

/// What a decision about one node stands on, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// What was said about the node itself.
    pub own: Option<Arc<Domain>>,
    /// The same of what lies above it, the nearest first.
    pub above: Chain,
    /// The same by its other names: a file of several is open as far as all of them say.
    pub beside: Vec<Chain>,
    pub who: Reach,
    pub now: Time,
}

impl Ground {
    /// What was said about the node and what lies above it, by each of its names; from the node upwards.
    pub fn lines(&self) -> impl Iterator<Item = impl Iterator<Item = &Domain>> {
        let names = std::iter::once(&self.above).chain(&self.beside);
        names.map(|above| self.own.iter().chain(above.iter()).map(|d| &**d))
    }

    /// The node's own list.
    pub fn list(&self) -> Option<&Acl> {
        self.own.as_ref().and_then(|d| d.acls.access.as_ref())
    }

    /// What grants give to the caller: what they give by every name.
    pub fn granted(&self) -> Rights {
        if self.own.is_some() {
            return self.granted_to(&self.who);
        }
        let by_first = self.above.granted(&self.who, self.now);
        let others = self.beside.iter();
        others.fold(by_first, |sum, above| {
            sum.within(above.granted(&self.who, self.now))
        })
    }

    /// The same to any of `who`, which is sorted.
    pub fn granted_to(&self, who: &[PrincipalId]) -> Rights {
        let by_name = self
            .lines()
            .map(|line| domain::granted(line, who, self.now));
        by_name.reduce(Rights::within).unwrap_or_default()
    }

    /// What lists refuse a caller, whichever name they come by.
    pub fn denied(&self, caller: &Caller) -> Rights {
        let own = self.list().into_iter();
        let own = own.fold(Rights::NONE, |sum, list| sum.and(list.denied(caller)));
        let names = std::iter::once(&self.above).chain(&self.beside);
        names.fold(own, |sum, above| sum.and(above.denied(caller)))
    }
}
