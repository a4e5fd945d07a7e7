//! Agents: programs that act for a user.

use super::name::check_principal;
use super::rights::{is_master, master};
use super::user::{made_of, no_principal, vacant};
use crate::core::{Caller, Error, Kind, PrincipalId, Result, TenantId, error::fail};
use crate::fs::Engine;
use crate::meta::{Agent, Edit, OpKind, Principal, SubjectKind};
use std::sync::Arc;

impl Engine {
    /// Makes an agent of `owner`, else of the caller's own user. `isolated`: with its own grants only.
    pub fn create_agent(
        &self,
        caller: &Caller,
        name: &str,
        owner: Option<&str>,
        isolated: bool,
    ) -> Result<Arc<Agent>> {
        check_principal(name)?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let owner = match owner {
                Some(user) => {
                    let found = home.roster.user(user).map(|u| u.id);
                    let missing = || format!("no user {user:?} to own the agent");
                    found.ok_or_else(|| Error::new(Kind::NotFound, missing()))?
                }
                None => caller.user_id.ok_or_else(|| {
                    let message = "you are no user here: say who is to own the agent";
                    Error::new(Kind::NotFound, message)
                })?,
            };
            master(caller, owner)?;
            vacant(&home.roster, SubjectKind::Agent, name)?;
            let agent = Arc::new(Agent {
                id: self.next_principal(),
                tenant: home.tenant.id,
                name: name.to_owned(),
                owner,
                isolated,
                created: ch.now,
            });
            let made = Principal::Agent(agent.clone());
            ch.edit(Edit::Principal(made.clone()));
            let undo = made_of(&made);
            // Its name may have been a label on a mount, with rights that it has no more.
            ch.forget_all(&home)?;
            ch.record_of(&home, OpKind::AgentCreate, &undo);
            Ok(agent)
        })
    }

    /// Takes an agent away with its keys, memberships and grants.
    pub fn delete_agent(&self, caller: &Caller, name: &str) -> Result<()> {
        let agent = self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let agent = home.roster.agent(name);
            let agent = agent.filter(|a| may_see(caller, a));
            let agent = agent.ok_or_else(|| no_principal(SubjectKind::Agent, name))?;
            master(caller, agent.owner)?;
            ch.take_away(
                &home,
                OpKind::AgentDelete,
                &[Principal::Agent(agent.clone())],
            )?;
            Ok(agent.clone())
        })?;
        self.close_to(agent.tenant, &[agent.id]);
        Ok(())
    }

    /// The agents that the caller may know of: all for an administrator, for others their own.
    pub fn agents(&self, caller: &Caller) -> Result<Vec<Arc<Agent>>> {
        let home = self.own_home(caller)?;
        let known = home.roster.agents().filter(|a| may_see(caller, a));
        let mut all: Vec<_> = known.cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The agent of this name that acts for a user; `None` when it is a label and no principal. Another user's is refused.
    pub fn acting(
        &self,
        tenant: TenantId,
        user: Option<PrincipalId>,
        name: &str,
    ) -> Result<Option<Arc<Agent>>> {
        match self.home(tenant)?.roster.agent(name) {
            None => Ok(None),
            Some(agent) if Some(agent.owner) == user => Ok(Some(agent.clone())),
            Some(_) => fail(
                Kind::NotPermitted,
                format!("agent {name:?} belongs to another user"),
            ),
        }
    }
}

fn may_see(caller: &Caller, agent: &Agent) -> bool {
    is_master(caller, agent.owner) || caller.user_id == Some(agent.owner)
}
