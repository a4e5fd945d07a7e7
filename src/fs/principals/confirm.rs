//! Whether a caller that a door remembers is still who it was.

use crate::core::Caller;
use crate::fs::Engine;
use crate::meta::{Group, Principal, Roster};

impl Engine {
    /// The same caller as the principals are now: nobody once its user or its agent is gone, whoever has the name since; and
    /// an agent that was a label becomes the principal that its user has made of it. Among the groups are those of the tenant.
    pub fn confirm(&self, was: &Caller) -> Caller {
        let Some(tenant) = was.tenant else {
            return was.clone();
        };
        let Ok(roster) = self.roster(tenant) else {
            return nobody(was);
        };
        match was.user_id {
            Some(user) if roster.by_id(user).is_none() => nobody(was),
            Some(_) => with_groups(with_agent(was, &roster), &roster),
            None => was.clone(),
        }
    }
}

fn with_agent(was: &Caller, roster: &Roster) -> Caller {
    let label = was.agent.as_deref().and_then(|name| roster.agent(name));
    let agent = match was.agent_id.map(|id| roster.by_id(id)) {
        Some(Some(Principal::Agent(agent))) => agent,
        Some(_) => return nobody(was),
        None => match label.filter(|a| Some(a.owner) == was.user_id) {
            Some(agent) => agent,
            None => return was.clone(),
        },
    };
    Caller {
        agent_id: Some(agent.id),
        isolated: agent.isolated,
        ..was.clone()
    }
}

fn with_groups(caller: Caller, roster: &Roster) -> Caller {
    let others = caller.groups.iter().copied();
    let mut groups: Vec<u32> = others.filter(|gid| !Group::has_gid(*gid)).collect();
    let user = caller.user_id.filter(|_| !caller.isolated);
    for id in caller.agent_id.into_iter().chain(user) {
        groups.extend(roster.gids_of(id));
    }
    Caller {
        groups: groups.into(),
        ..caller
    }
}

fn nobody(was: &Caller) -> Caller {
    Caller {
        tenant: None,
        user: None,
        user_id: None,
        admin: false,
        groups: [].into(),
        ..was.clone()
    }
}
