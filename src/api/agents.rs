//! Agents: programs that act for a user.

use super::Command;
use super::context::{Context, Done};
use crate::core::Result;
use crate::meta::{Agent, Roster};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct AgentInfo {
    pub agent: String,
    pub id: u64,
    /// The user it belongs to.
    pub owner: String,
    /// Has its own grants only.
    pub isolated: bool,
    pub created: String,
}

impl AgentInfo {
    pub(super) fn of(agent: &Agent, roster: &Roster) -> Self {
        Self {
            agent: agent.name.clone(),
            id: agent.id.0,
            owner: super::principals::name_of(roster, agent.owner),
            isolated: agent.isolated,
            created: agent.created.to_string(),
        }
    }
}

/// Makes an agent of a user: of the caller's own, unless `owner` says another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCreate {
    pub agent: String,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub isolated: bool,
}

impl Command for AgentCreate {
    const NAME: &'static str = "agent-create";
    type Reply = AgentInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<AgentInfo> {
        let owner = self.owner.as_deref();
        let made = cx
            .engine()
            .create_agent(cx.caller, &self.agent, owner, self.isolated)?;
        cx.durable(AgentInfo::of(&made, &*cx.roster()?))
    }
}

/// Lists the agents: all for an administrator, for others their own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Agents {
    pub agents: Vec<AgentInfo>,
}

impl Command for AgentList {
    const NAME: &'static str = "agent-list";
    type Reply = Agents;

    fn run(self, cx: &mut Context<'_>) -> Result<Agents> {
        let roster = cx.roster()?;
        let known = cx.engine().agents(cx.caller)?;
        Ok(Agents {
            agents: known.iter().map(|a| AgentInfo::of(a, &roster)).collect(),
        })
    }
}

/// Takes an agent away with its keys, memberships and grants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentDelete {
    pub agent: String,
}

impl Command for AgentDelete {
    const NAME: &'static str = "agent-delete";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        cx.engine().delete_agent(cx.caller, &self.agent)?;
        cx.durable(Done {})
    }
}
