//! Whom grants may name to reach somebody: himself, the owner he acts for, the groups of both, and everybody.

use super::engine::Engine;
use super::policy::Who;
use crate::access::Reach;
use crate::access::domain::ANYBODY;
use crate::core::{Caller, PrincipalId, Result};
use crate::meta::{Principal, Roster};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Who asked, when principals were at which revision, and whom grants may name to reach him.
type Reached = (u64, Who, Reach);

thread_local! {
    /// Who asked a thread last: most ask many times in turn, and a shared cache costs as much as the decision.
    static LAST: RefCell<Option<Reached>> = const { RefCell::new(None) };
}

impl Engine {
    /// Whom grants may name to reach a caller.
    pub(super) fn reached_by(&self, caller: &Caller) -> Result<Reach> {
        let Some(tenant) = caller.tenant else {
            return Ok(Reach::default());
        };
        let key = Who {
            tenant,
            agent: caller.agent_id,
            user: caller.user_id.filter(|_| !caller.isolated),
        };
        let revision = self.principals_revision();
        if let Some(known) = last(revision, &key) {
            return Ok(known);
        }
        let who = match self.policy.known_caller(&key, revision) {
            Some(known) => known,
            None => self.find_reach(&key, revision)?,
        };
        LAST.set(Some((revision, key, who.clone())));
        Ok(who)
    }

    fn find_reach(&self, key: &Who, revision: u64) -> Result<Reach> {
        let roster = self.roster(key.tenant)?;
        let who = Reach::of(closed(&roster, key.agent, key.user));
        self.policy.keep_caller(key.clone(), revision, who.clone());
        Ok(who)
    }
}

fn last(revision: u64, key: &Who) -> Option<Reach> {
    LAST.with_borrow(|last| {
        let (then, asked, who) = last.as_ref()?;
        (*then == revision && asked == key).then(|| who.clone())
    })
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
