//! Groups: users, agents and other groups under one name. A ring of groups is allowed: its members are in all of them.

use super::name::{check_principal, check_remark};
use super::user::{made_of, no_principal, vacant};
use crate::core::{Caller, Error, Kind, Result, error::fail};
use crate::fs::Engine;
use crate::fs::namespace::admin;
use crate::meta::{Edit, Group, Member, OpKind, Principal, Roster, Subject, SubjectKind};
use serde_json::json;
use std::sync::Arc;

impl Engine {
    /// Makes a group; administrators only.
    pub fn create_group(
        &self,
        caller: &Caller,
        name: &str,
        description: Option<&str>,
    ) -> Result<Arc<Group>> {
        admin(caller)?;
        check_principal(name)?;
        check_remark("description", description)?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            vacant(&home.roster, SubjectKind::Group, name)?;
            let group = Arc::new(Group {
                id: self.next_principal(),
                tenant: home.tenant.id,
                name: name.to_owned(),
                description: description.map(str::to_owned),
                created: ch.now,
            });
            let made = Principal::Group(group.clone());
            ch.edit(Edit::Principal(made.clone()));
            let undo = made_of(&made);
            ch.record_of(&home, OpKind::GroupCreate, &undo);
            Ok(group)
        })
    }

    /// Takes a group away with its memberships, both ways, and its grants; administrators only.
    pub fn delete_group(&self, caller: &Caller, name: &str) -> Result<()> {
        admin(caller)?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let group = home.roster.group(name);
            let group = group.ok_or_else(|| no_principal(SubjectKind::Group, name))?;
            ch.take_away(
                &home,
                OpKind::GroupDelete,
                &[Principal::Group(group.clone())],
            )
        })
    }

    /// Puts a user, an agent or another group into a group; for administrators and the group's owners.
    pub fn add_member(&self, caller: &Caller, group: &str, member: &Subject) -> Result<()> {
        self.change_member(caller, (group, member), OpKind::GroupAdd)
    }

    /// Takes a member out of a group; for administrators and the group's owners.
    pub fn remove_member(&self, caller: &Caller, group: &str, member: &Subject) -> Result<()> {
        self.change_member(caller, (group, member), OpKind::GroupRemove)
    }

    fn change_member(
        &self,
        caller: &Caller,
        (group, member): (&str, &Subject),
        kind: OpKind,
    ) -> Result<()> {
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            self.in_charge_of(caller, &home.roster, group)?;
            let row = pair(&home.roster, group, member)?;
            let is_in = home.roster.members_of(row.group).any(|m| m == row.member);
            match (kind == OpKind::GroupAdd, is_in) {
                (true, true) => {
                    return fail(
                        Kind::Exists,
                        format!("{member} is in group {group:?} already"),
                    );
                }
                (false, false) => {
                    return fail(
                        Kind::NotFound,
                        format!("{member} is not in group {group:?}"),
                    );
                }
                (true, false) => ch.edit(Edit::Member(row)),
                (false, true) => ch.edit(Edit::MemberGone(row)),
            }
            let undo = json!({
                "subject": format!("group:{group}"),
                "member_name": member.to_string(),
                "group": row.group,
                "member": row.member,
            });
            ch.forget_all(&home)?;
            ch.record_of(&home, kind, &undo);
            Ok(())
        })
    }
}

fn pair(roster: &Roster, group: &str, member: &Subject) -> Result<Member> {
    let missing = |kind, name: &str| -> Error { no_principal(kind, name) };
    let of = roster.group(group);
    let of = of.ok_or_else(|| missing(SubjectKind::Group, group))?;
    let member = roster
        .named(member)
        .ok_or_else(|| missing(member.kind, &member.name))?;
    Ok(Member {
        tenant: of.tenant,
        group: of.id,
        member: member.id(),
    })
}
