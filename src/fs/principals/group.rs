//! Groups: users, agents and other groups under one name. A ring of groups is allowed: its members are in all of them.

use super::name::{check_principal, check_remark};
use super::user::{made_of, no_principal, vacant};
use crate::core::{Caller, Kind, Result, error::fail};
use crate::fs::Engine;
use crate::fs::commit::Change;
use crate::fs::holders::found;
use crate::fs::namespace::admin;
use crate::meta::{Edit, Group, Member, OpKind, Principal, Roster, Subject, SubjectKind};
use serde_json::{Value, json};
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
            let row = pair(caller, &home.roster, (group, member))?;
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
            let undo = told(&home.roster, row);
            ch.forget_all(&home)?;
            ch.record_of(&home, kind, &undo);
            Ok(())
        })
    }
}

impl Change<'_> {
    /// Has some out of groups and others in, as far as that is not so already and group and member are there; for administrators
    /// and the groups' owners. The record of the operation will tell.
    pub(in crate::fs) fn regroup(&mut self, out: &[Member], into: &[Member]) -> Result<()> {
        if out.is_empty() && into.is_empty() {
            return Ok(());
        }
        let home = self.engine.own_home(self.caller)?;
        let out = out.iter().map(|row| (*row, false));
        for (row, is_in) in out.chain(into.iter().map(|row| (*row, true))) {
            let lives = |id| home.roster.by_id(id).is_some();
            let was_in = home.roster.members_of(row.group).any(|m| m == row.member);
            if was_in == is_in || !lives(row.group) || !lives(row.member) {
                continue;
            }
            self.engine.in_charge(self.caller, row.group)?;
            let said = told(&home.roster, row);
            if is_in {
                self.edit(Edit::Member(row));
                self.joined.push(said);
            } else {
                self.edit(Edit::MemberGone(row));
                self.left.push(said);
            }
        }
        if self.joined.is_empty() && self.left.is_empty() {
            return Ok(());
        }
        self.forget_all(&home)
    }
}

/// A membership with the names that group and member have, as records tell it.
fn told(roster: &Roster, row: Member) -> Value {
    let name = |id| roster.by_id(id).map(|p| p.subject().to_string());
    json!({
        "subject": name(row.group),
        "member_name": name(row.member),
        "group": row.group,
        "member": row.member,
    })
}

fn pair(caller: &Caller, roster: &Roster, (group, member): (&str, &Subject)) -> Result<Member> {
    let of = roster.group(group);
    let of = of.ok_or_else(|| no_principal(SubjectKind::Group, group))?;
    Ok(Member {
        tenant: of.tenant,
        group: of.id,
        member: found(caller, roster, member)?.id(),
    })
}
