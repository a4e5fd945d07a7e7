//! A name that was said for an agent and that no agent has: a label in the log. A typing error looks the same.

use super::client::Client;
use crate::api::agents::AgentList;

/// Tells whoever said it.
pub(super) fn tell(name: &str) {
    eprintln!("nexus: no agent {name:?}: a label in the log, confines nothing");
}

/// The same where the agents that whoever asks may act as do not have the name.
pub(super) fn tell_if_none(client: &Client, name: &str) {
    // Who is refused this is told by what he came for.
    if let Ok(all) = client.call(AgentList {})
        && all.agents.iter().all(|agent| agent.agent != name)
    {
        tell(name);
    }
}
