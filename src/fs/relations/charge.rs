//! Who is in charge of a group: its owners add and take out its members, and make others its owners.
//!
//! Administrators are in charge of all groups. An owner may put anybody into his group, himself and other groups too: that is
//! what it is to own one. Owners are tuples on the group, by numbers, and go with it.

use super::give::OWNER;
use crate::core::{Caller, Error, Kind, PrincipalId, Result, Time, error::fail};
use crate::fs::holders::found;
use crate::fs::reach::reach_of;
use crate::fs::{Engine, To};
use crate::meta::tuple::{GROUP, Tuple};
use crate::meta::{Edit, Group, OpKind, Principal, Roster, Subject};
use serde_json::json;
use std::sync::Arc;

impl Engine {
    /// Makes a user, an agent or the members of a group owners of a group, until `expires` if that is said; for administrators
    /// and the group's owners. Said again it only sets the end anew.
    pub fn entrust(
        &self,
        caller: &Caller,
        group: &str,
        to: &To,
        expires: Option<Time>,
    ) -> Result<Arc<Tuple>> {
        let To::One(subject) = to else {
            return fail(Kind::Invalid, "a group is not everybody's");
        };
        if expires.is_some_and(|end| end <= self.latest()) {
            return fail(Kind::Invalid, "the grant would have ended already");
        }
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let of = self.in_charge_of(caller, &home.roster, group)?;
            let owner = found(caller, &home.roster, subject)?;
            let new = Tuple {
                id: self.next_id(),
                tenant: home.tenant.id,
                object_type: GROUP.to_owned(),
                object_id: of.id.0.to_string(),
                relation: OWNER.to_owned(),
                subject_type: subject.kind.to_string(),
                subject_id: owner.id().0.to_string(),
                subject_relation: String::new(),
                created: ch.now,
                expires,
            };
            let replaced = self.relations.tuples(new.tenant, |t| t.says_as(&new));
            if let [twin] = &*replaced
                && twin.expires == new.expires
            {
                return Ok(twin.clone());
            }
            for twin in &replaced {
                ch.edit(Edit::TupleGone(twin.clone()));
            }
            let new = Arc::new(new);
            ch.edit(Edit::Tuple(new.clone()));
            let undo = json!({
                "tuple": new,
                "replaced": replaced,
                "subject": subject.to_string(),
                "object": format!("{GROUP}:{group}"),
            });
            ch.record_of(&home, OpKind::Grant, &undo);
            Ok(new)
        })
    }

    /// Whether somebody is an owner of a group, himself, through a group, or as the agent of one.
    pub fn is_owner_of(&self, caller: &Caller, group: &str, who: &Subject) -> Result<bool> {
        let roster = self.roster_of(caller)?;
        let of = group_named(&roster, group)?;
        let reached = reach_of(&roster, found(caller, &roster, who)?.id());
        let owners = self.owners_of(of);
        Ok(owners.iter().any(|t| t.names(&reached)))
    }

    /// Everybody who is an owner of a group, and the groups whose members are.
    pub fn all_owners_of(&self, caller: &Caller, group: &str) -> Result<Vec<To>> {
        let roster = self.roster_of(caller)?;
        let owners = self.owners_of(group_named(&roster, group)?);
        let owns = |id| {
            let reached = reach_of(&roster, id);
            owners.iter().any(|t| t.names(&reached))
        };
        let all = roster.all().filter(|p| owns(p.id()));
        let mut all: Vec<_> = all.map(|p| To::One(p.subject())).collect();
        all.sort();
        Ok(all)
    }

    /// Who was made an owner of a group and is still one.
    pub fn owners_of(&self, group: &Group) -> Vec<Arc<Tuple>> {
        let now = self.latest();
        let fits = |t: &Tuple| t.group() == Some(group.id) && !t.is_expired(now);
        self.relations.tuples(group.tenant, fits)
    }

    /// Groups by name, and who is in them, as far as a caller knows of that as of grants: an administrator of all, others where it
    /// is they or their groups, or their own group. In the order of names.
    pub fn memberships(&self, caller: &Caller) -> Result<Vec<(String, Subject)>> {
        let roster = self.roster_of(caller)?;
        let reached = self.reached_by(caller)?;
        let names = |id: PrincipalId| reached.binary_search(&id).is_ok();
        let mut known = Vec::new();
        for (group, member) in roster.memberships() {
            if !caller.admin && !names(member) && !self.is_in_charge(caller, group)? {
                continue;
            }
            if let (Some(group), Some(member)) = (roster.by_id(group), roster.by_id(member)) {
                known.push((group.subject().name, member.subject()));
            }
        }
        known.sort();
        Ok(known)
    }

    /// Whether a caller may change who is in a group, which need not be there any more.
    pub(in crate::fs) fn is_in_charge(&self, caller: &Caller, group: PrincipalId) -> Result<bool> {
        let roster = self.roster_of(caller)?;
        let Some(Principal::Group(group)) = roster.by_id(group) else {
            return Ok(false);
        };
        if caller.admin {
            return Ok(true);
        }
        let reached = self.reached_by(caller)?;
        Ok(self.owners_of(group).iter().any(|t| t.names(&reached)))
    }

    pub(in crate::fs) fn in_charge(&self, caller: &Caller, group: PrincipalId) -> Result<()> {
        if caller.admin || self.is_in_charge(caller, group)? {
            return Ok(());
        }
        fail(
            Kind::NotPermitted,
            "only an owner of the group, or an administrator, may change who is in it or owns it",
        )
    }

    /// The group of a name, for who is in charge of it.
    pub(in crate::fs) fn in_charge_of<'r>(
        &self,
        caller: &Caller,
        roster: &'r Roster,
        group: &str,
    ) -> Result<&'r Arc<Group>> {
        let of = group_named(roster, group)?;
        self.in_charge(caller, of.id)?;
        Ok(of)
    }

    /// Whether a group whose owners come or go is there still; fails where they are not the caller's to change.
    pub(super) fn can_entrust(&self, caller: &Caller, group: PrincipalId) -> Result<bool> {
        let is_there = self.roster_of(caller)?.by_id(group).is_some();
        if is_there {
            self.in_charge(caller, group)?;
        }
        Ok(is_there)
    }
}

fn group_named<'r>(roster: &'r Roster, name: &str) -> Result<&'r Arc<Group>> {
    let missing = || Error::new(Kind::NotFound, format!("no group {name:?}"));
    roster.group(name).ok_or_else(missing)
}
