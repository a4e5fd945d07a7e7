//! Users, agents, groups and API keys.

use super::output::{self, listed, names, or_dash};
use super::place::Place;
use crate::api::agents::{AgentCreate, AgentDelete, AgentInfo, AgentList};
use crate::api::groups::{
    GroupAdd, GroupCreate, GroupDelete, GroupInfo, GroupList, GroupRemove, GroupShow,
};
use crate::api::keys::{KeyCreate, KeyInfo, KeyList, KeyRevoke};
use crate::api::principals::{UserCreate, UserDelete, UserDetails, UserInfo, UserList, UserShow};
use crate::core::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user of the tenant
    Create(NewUser),
    /// List the tenant's users
    List,
    /// Show a user with his groups and agents
    Show { user: String },
    /// Take a user away with his agents, keys and memberships; his files stay
    Delete { user: String },
}

#[derive(Debug, Args)]
pub(super) struct NewUser {
    user: String,
    /// The name in full
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    email: Option<String>,
    /// The number on multi-user mounts [default: a free one]
    #[arg(long)]
    uid: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Make an agent
    Create {
        name: String,
        /// The user it acts for [default: yourself]
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// Give it its own grants only, and none of its owner's rights
        #[arg(long)]
        isolated: bool,
    },
    /// List the agents: yours, or all for an administrator
    List,
    /// Take an agent away with its keys and memberships
    Delete { name: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group
    Create(NewGroup),
    /// List the groups
    List,
    /// Show a group and who is in it
    Show { group: String },
    /// Put somebody into a group: a user, `agent:NAME` or `group:NAME`
    Add { group: String, member: String },
    /// Take somebody out of a group
    Remove { group: String, member: String },
    /// Take a group away with its memberships
    Delete { group: String },
}

#[derive(Debug, Args)]
pub(super) struct NewGroup {
    group: String,
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key, shown this once
    Create(NewKey),
    /// List keys: yours and your agents', or all for an administrator
    List {
        /// Only those of this user or `agent:NAME`
        of: Option<String>,
    },
    /// End a key
    Revoke {
        /// As `key list` shows it
        id: u64,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewKey {
    /// The user, or `agent:NAME`, whom it proves
    of: String,
    #[arg(long)]
    description: Option<String>,
    /// How long it is good for, as in 90d, 12h, 1y [default: until it is revoked]
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    expires: Option<String>,
}

impl NewKey {
    pub(super) fn command(self) -> KeyCreate {
        let Self {
            of,
            description,
            expires,
        } = self;
        KeyCreate {
            of,
            description,
            expires,
        }
    }
}

pub(super) fn user(place: &Place, command: UserCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        UserCommand::Create(NewUser {
            user,
            name,
            email,
            uid,
        }) => {
            let made = client.call(UserCreate {
                user,
                name,
                email,
                uid,
            })?;
            let text = format!("made user {} with uid {}", made.user, made.uid);
            output::show(place.json, &made, text)
        }
        UserCommand::List => {
            let all = client.call(UserList {})?;
            let rows = all.users.iter().map(user_row);
            listed(place.json, &all, &["user", "uid", "name", "email"], rows)
        }
        UserCommand::Show { user } => {
            let found = client.call(UserShow { user })?;
            output::show(place.json, &found, user_text(&found))
        }
        UserCommand::Delete { user } => {
            let text = format!("deleted user {user}");
            output::show(place.json, &client.call(UserDelete { user })?, text)
        }
    }
}

fn user_row(u: &UserInfo) -> Vec<String> {
    let (name, email) = (or_dash(u.name.as_deref()), or_dash(u.email.as_deref()));
    vec![u.user.clone(), u.uid.to_string(), name, email]
}

fn user_text(u: &UserDetails) -> String {
    let about = &u.about;
    format!(
        "user     {}\nuid      {}\nname     {}\nemail    {}\ngroups   {}\nagents   {}",
        about.user,
        about.uid,
        or_dash(about.name.as_deref()),
        or_dash(about.email.as_deref()),
        names(&u.groups),
        names(&u.agents)
    )
}

pub(super) fn agent(place: &Place, command: AgentCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        AgentCommand::Create {
            name,
            owner,
            isolated,
        } => {
            let made = client.call(AgentCreate {
                agent: name,
                owner,
                isolated,
            })?;
            let kind = if made.isolated {
                "isolated agent"
            } else {
                "agent"
            };
            let text = format!("made {kind} {} of {}", made.agent, made.owner);
            output::show(place.json, &made, text)
        }
        AgentCommand::List => {
            let all = client.call(AgentList {})?;
            let rows = all.agents.iter().map(agent_row);
            listed(place.json, &all, &["agent", "owner", "isolated"], rows)
        }
        AgentCommand::Delete { name } => {
            let text = format!("deleted agent {name}");
            output::show(place.json, &client.call(AgentDelete { agent: name })?, text)
        }
    }
}

fn agent_row(a: &AgentInfo) -> Vec<String> {
    let isolated = if a.isolated { "yes" } else { "no" };
    vec![a.agent.clone(), a.owner.clone(), isolated.to_owned()]
}

pub(super) fn group(place: &Place, command: GroupCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        GroupCommand::Create(NewGroup { group, description }) => {
            let made = client.call(GroupCreate { group, description })?;
            let text = format!("made group {}", made.group);
            output::show(place.json, &made, text)
        }
        GroupCommand::List => {
            let all = client.call(GroupList {})?;
            let rows = all.groups.iter().map(group_row);
            listed(place.json, &all, &["group", "members", "description"], rows)
        }
        GroupCommand::Show { group } => {
            let found = client.call(GroupShow { group })?;
            let text = format!(
                "group        {}\ndescription  {}\nmembers      {}\nowners       {}",
                found.group,
                or_dash(found.description.as_deref()),
                names(&found.members),
                names(&found.owners)
            );
            output::show(place.json, &found, text)
        }
        GroupCommand::Add { group, member } => {
            let text = format!("{member} is in group {group}");
            output::show(place.json, &client.call(GroupAdd { group, member })?, text)
        }
        GroupCommand::Remove { group, member } => {
            let text = format!("{member} is out of group {group}");
            let done = client.call(GroupRemove { group, member })?;
            output::show(place.json, &done, text)
        }
        GroupCommand::Delete { group } => {
            let text = format!("deleted group {group}");
            output::show(place.json, &client.call(GroupDelete { group })?, text)
        }
    }
}

fn group_row(g: &GroupInfo) -> Vec<String> {
    let description = or_dash(g.description.as_deref());
    vec![g.group.clone(), names(&g.members), description]
}

pub(super) fn key(place: &Place, command: KeyCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        KeyCommand::Create(new) => {
            let made = client.call(new.command())?;
            let end = made.about.expires.as_deref();
            let end = end.map_or_else(
                || "until it is revoked".to_owned(),
                |t| format!("until {}", super::log::short(t)),
            );
            let text = format!(
                "API Key: {}\nnumber {} of {}, {end}; it is not shown again",
                made.key, made.about.id, made.about.of
            );
            output::show(place.json, &made, text)
        }
        KeyCommand::List { of } => {
            let all = client.call(KeyList { of })?;
            let head = ["key", "of", "created", "expires", "description"];
            listed(place.json, &all, &head, all.keys.iter().map(key_row))
        }
        KeyCommand::Revoke { id } => {
            let text = format!("revoked key {id}");
            output::show(place.json, &client.call(KeyRevoke { id })?, text)
        }
    }
}

fn key_row(k: &KeyInfo) -> Vec<String> {
    let end = k.expires.as_deref().map(super::log::short);
    let end = match end {
        Some(end) if k.expired => format!("expired {end}"),
        Some(end) => end,
        None => or_dash(None),
    };
    let created = super::log::short(&k.created);
    let description = or_dash(k.description.as_deref());
    vec![k.id.to_string(), k.of.clone(), created, end, description]
}
