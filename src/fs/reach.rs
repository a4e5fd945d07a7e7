//! Whom grants may name to reach somebody: himself, the owner he acts for, the groups of both, and everybody.

use super::engine::Engine;
use super::policy::Who;
use crate::access::domain::ANYBODY;
use crate::core::{Caller, PrincipalId, Result};
use crate::meta::{Principal, Roster};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Engine {
    /// Whom grants may name to reach a caller; sorted.
    pub(super) fn reached_by(&self, caller: &Caller) -> Result<Arc<[PrincipalId]>> {
        let Some(tenant) = caller.tenant else {
            return Ok(Arc::default());
        };
        let key = Who {
            tenant,
            agent: caller.agent_id,
            user: caller.user_id.filter(|_| !caller.isolated),
        };
        let revision = self.principals_revision();
        if let Some(known) = self.policy.known_caller(&key, revision) {
            return Ok(known);
        }
        let roster = self.roster(tenant)?;
        let who: Arc<[_]> = closed(&roster, key.agent, key.user).into();
        self.policy.keep_caller(key, revision, who.clone());
        Ok(who)
    }
}

/// The same of a principal: an agent acts with its owner's rights, unless it is isolated.
pub(super) fn reach_of(roster: &Roster, id: PrincipalId) -> Vec<PrincipalId> {
    match roster.by_id(id) {
        Some(Principal::Agent(agent)) => {
            let owner = (!agent.isolated).then_some(agent.owner);
            closed(roster, Some(id), owner)
        }
        _ => closed(roster, None, Some(id)),
    }
}

/// Agent and user with all their groups. What everybody has, a user has, and who acts with his rights.
fn closed(
    roster: &Roster,
    agent: Option<PrincipalId>,
    user: Option<PrincipalId>,
) -> Vec<PrincipalId> {
    let mut all: BTreeSet<_> = user.map(|_| ANYBODY).into_iter().collect();
    for id in agent.into_iter().chain(user) {
        all.insert(id);
        all.extend(roster.groups_of(id));
    }
    all.into_iter().collect()
}
