//! What the judge looks at: all that was said about a node and what lies above it, and whom it may have been said of.

use super::domain::{self, Domain};
use super::rights::Rights;
use crate::core::{Caller, PrincipalId, Time};
use std::sync::Arc;

/// Domains along a way up, the nearest first.
pub type Chain = Arc<[Arc<Domain>]>;

/// What a decision about one node stands on, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// What was said about the node itself.
    pub own: Option<Arc<Domain>>,
    /// The same of what lies above it, the nearest first.
    pub above: Chain,
    /// The same by its other names: a file of several is open as far as all of them say.
    pub beside: Vec<Chain>,
    /// Whom grants may name to reach the caller: user, agent and their groups; sorted.
    pub who: Arc<[PrincipalId]>,
    pub now: Time,
}

impl Ground {
    /// What was said about the node and what lies above it, by each of its names; from the node upwards.
    pub fn lines(&self) -> impl Iterator<Item = impl Iterator<Item = &Domain>> {
        let names = std::iter::once(&self.above).chain(&self.beside);
        names.map(|above| self.own.iter().chain(above.iter()).map(|d| &**d))
    }

    /// What grants give to any of `who`, which is sorted: what they give by every name.
    pub fn granted(&self, who: &[PrincipalId]) -> Rights {
        let by_name = self
            .lines()
            .map(|line| domain::granted(line, who, self.now));
        by_name.reduce(Rights::within).unwrap_or_default()
    }

    /// What lists refuse a caller, whichever name they come by.
    pub fn denied(&self, caller: &Caller) -> Rights {
        let own = self.own.iter().filter_map(|d| d.acls.access.as_ref());
        let above = self
            .above
            .iter()
            .chain(self.beside.iter().flat_map(|b| b.iter()));
        let handed = above.filter_map(|d| d.acls.default.as_ref());
        let lists = own.chain(handed);
        lists.fold(Rights::NONE, |sum, list| sum.and(list.denied(caller)))
    }
}
