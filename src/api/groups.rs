//! Groups: users, agents and other groups under one name.

use super::Command;
use super::context::{Context, Done, Granted};
use crate::core::{Error, Kind, Result};
use crate::meta::{Group, Roster};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct GroupInfo {
    pub group: String,
    pub id: u64,
    pub description: Option<String>,
    /// Who is in it, itself and not through another: `user:alice`, `agent:coder`, `group:interns`.
    pub members: Vec<String>,
    pub created: String,
}

impl GroupInfo {
    fn of(group: &Group, roster: &Roster) -> Self {
        let members = roster.members_of(group.id);
        let mut members: Vec<_> = members
            .filter_map(|m| Some(roster.by_id(m)?.subject().to_string()))
            .collect();
        members.sort();
        Self {
            group: group.name.clone(),
            id: group.id.0,
            description: group.description.clone(),
            members,
            created: group.created.to_string(),
        }
    }
}

/// Makes a group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupCreate {
    pub group: String,
    #[serde(default)]
    pub description: Option<String>,
}

impl Command for GroupCreate {
    const NAME: &'static str = "group-create";
    type Reply = GroupInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<GroupInfo> {
        let description = self.description.as_deref();
        let made = cx
            .engine()
            .create_group(cx.caller, &self.group, description)?;
        cx.durable(GroupInfo::of(&made, &*cx.roster()?))
    }
}

/// Lists the groups of the tenant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Groups {
    pub groups: Vec<GroupInfo>,
}

impl Command for GroupList {
    const NAME: &'static str = "group-list";
    type Reply = Groups;

    fn run(self, cx: &mut Context<'_>) -> Result<Groups> {
        let roster = cx.roster()?;
        let mut groups: Vec<_> = roster.groups().map(|g| GroupInfo::of(g, &roster)).collect();
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(Groups { groups })
    }
}

/// Shows one group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupShow {
    pub group: String,
}

impl Command for GroupShow {
    const NAME: &'static str = "group-show";
    type Reply = GroupInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<GroupInfo> {
        let roster = cx.roster()?;
        let missing = || Error::new(Kind::NotFound, format!("no group {:?}", self.group));
        let group = roster.group(&self.group).ok_or_else(missing)?;
        Ok(GroupInfo::of(group, &roster))
    }
}

/// Tells whether somebody is in a group, himself or through other groups.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupCheck {
    pub group: String,
    pub member: String,
}

impl Command for GroupCheck {
    const NAME: &'static str = "group-check";
    type Reply = Granted;

    fn run(self, cx: &mut Context<'_>) -> Result<Granted> {
        let roster = cx.roster()?;
        let missing = |what: String| Error::new(Kind::NotFound, format!("no {what}"));
        let group = roster.group(&self.group);
        let group = group.ok_or_else(|| missing(format!("group {:?}", self.group)))?;
        let member = roster.named(&self.member.parse()?);
        let member = member.ok_or_else(|| missing(self.member))?;
        let granted = roster.groups_of(member.id()).contains(&group.id);
        Ok(Granted { granted })
    }
}

/// Puts a user (`alice`), an agent (`agent:coder`) or another group (`group:interns`) into a group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupAdd {
    pub group: String,
    pub member: String,
}

impl Command for GroupAdd {
    const NAME: &'static str = "group-add";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let member = self.member.parse()?;
        cx.engine().add_member(cx.caller, &self.group, &member)?;
        cx.durable(Done {})
    }
}

/// Takes a member out of a group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRemove {
    pub group: String,
    pub member: String,
}

impl Command for GroupRemove {
    const NAME: &'static str = "group-remove";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let member = self.member.parse()?;
        cx.engine().remove_member(cx.caller, &self.group, &member)?;
        cx.durable(Done {})
    }
}

/// Takes a group away with its memberships and grants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDelete {
    pub group: String,
}

impl Command for GroupDelete {
    const NAME: &'static str = "group-delete";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        cx.engine().delete_group(cx.caller, &self.group)?;
        cx.durable(Done {})
    }
}
