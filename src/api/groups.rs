//! Groups: users, agents and other groups under one name.

use super::Command;
use super::context::{Context, Done, Granted};
use super::grants::TupleInfo;
use crate::core::{Error, Kind, PrincipalId, Result};
use crate::meta::{Group, Roster};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Serialize, Deserialize)]
pub struct GroupInfo {
    pub group: String,
    pub id: u64,
    pub description: Option<String>,
    /// Who is in it, itself and not through another: `user:alice`, `agent:coder`, `group:interns`. Agents of others are told to
    /// who is in the group, or in charge of it.
    pub members: Vec<String>,
    /// Who may change that, beside administrators; `group:leads` are its members.
    #[serde(default)]
    pub owners: Vec<String>,
    pub created: String,
}

impl GroupInfo {
    fn of(cx: &Context<'_>, group: &Group) -> Result<Self> {
        let roster = cx.roster()?;
        let mut members = Vec::new();
        for id in roster.members_of(group.id) {
            if cx.engine().knows_member(cx.caller, group.id, id)? {
                members.push(id);
            }
        }
        let names = |all: &mut dyn Iterator<Item = PrincipalId>| {
            let names = all.filter_map(|id| Some(roster.by_id(id)?.subject().to_string()));
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let owners = cx.engine().owners_of(group);
        Ok(Self {
            group: group.name.clone(),
            id: group.id.0,
            description: group.description.clone(),
            members: names(&mut members.into_iter()),
            owners: names(&mut owners.iter().filter_map(|t| t.principal())),
            created: group.created.to_string(),
        })
    }
}

/// A group by its name; fails with `NotFound` for one that is not there.
pub(super) fn group_named<'r>(roster: &'r Roster, name: &str) -> Result<&'r Arc<Group>> {
    let missing = || Error::new(Kind::NotFound, format!("no group {name:?}"));
    roster.group(name).ok_or_else(missing)
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
        cx.durable(GroupInfo::of(cx, &made)?)
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
        let groups = roster.groups().map(|g| GroupInfo::of(cx, g));
        let mut groups = groups.collect::<Result<Vec<_>>>()?;
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
        GroupInfo::of(cx, group_named(&roster, &self.group)?)
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
        let group = group_named(&roster, &self.group)?;
        let member = self.member.parse()?;
        cx.engine().is_known(cx.caller, &member)?;
        let missing = || Error::new(Kind::NotFound, format!("no {member}"));
        let member = roster.named(&member).ok_or_else(missing)?;
        let granted = roster.groups_of(member.id()).contains(&group.id);
        Ok(Granted { granted })
    }
}

/// Puts a user (`alice`), an agent (`agent:coder`) or another group (`group:interns`) into a group. For its owners and
/// administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupAdd {
    pub group: String,
    pub member: String,
}

impl Command for GroupAdd {
    const NAME: &'static str = "group-add";
    type Reply = TupleInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TupleInfo> {
        let member = self.member.parse()?;
        cx.engine().add_member(cx.caller, &self.group, &member)?;
        cx.durable(TupleInfo::membership(&member, &self.group))
    }
}

/// Takes a member out of a group. For its owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRemove {
    pub group: String,
    pub member: String,
}

impl Command for GroupRemove {
    const NAME: &'static str = "group-remove";
    type Reply = TupleInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TupleInfo> {
        let member = self.member.parse()?;
        cx.engine().remove_member(cx.caller, &self.group, &member)?;
        cx.durable(TupleInfo::membership(&member, &self.group))
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
