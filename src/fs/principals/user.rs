//! Users: made, numbered, taken away.

use super::name::{check_principal, check_remark};
use crate::core::{Caller, Error, Kind, Result, error::fail};
use crate::fs::Engine;
use crate::fs::home::Home;
use crate::fs::namespace::admin;
use crate::meta::principal::rows;
use crate::meta::{Edit, OpKind, Principal, Roster, Subject, SubjectKind, User};
use serde_json::json;
use std::sync::Arc;

/// Users made without a uid get one from here on.
const UIDS: u32 = 1_000_000;
/// How far the uids of one tenant are from those of the next.
const UIDS_OF_TENANT: u32 = 10_000;
/// How many uids from there on are given out by themselves only when no user ever had them.
const UIDS_KEPT: u32 = 1_000_000;

impl Engine {
    /// Makes a user of the caller's tenant, with a full name and an e-mail address; administrators only. Without a `uid` the
    /// user gets a free one.
    pub fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        uid: Option<u32>,
        (full_name, email): (Option<String>, Option<String>),
    ) -> Result<User> {
        admin(caller)?;
        check_principal(name)?;
        check_remark("name", full_name.as_deref())?;
        check_remark("e-mail", email.as_deref())?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            vacant(&home.roster, SubjectKind::User, name)?;
            let uid = match uid {
                Some(uid) => wanted_uid(&home.roster, uid)?,
                None => free_uid(&home)?,
            };
            if let Some(next) = next_uid(&home, uid) {
                ch.edit(Edit::Uids(home.tenant.id, next));
            }
            let user = User {
                id: self.next_principal(),
                tenant: home.tenant.id,
                name: name.to_owned(),
                uid,
                gid: uid,
                full_name,
                email,
                created: ch.now,
            };
            let made = Principal::User(Arc::new(user.clone()));
            ch.edit(Edit::Principal(made.clone()));
            let undo = made_of(&made);
            ch.record_of(&home, OpKind::UserCreate, &undo);
            Ok(user)
        })
    }

    /// Takes a user away with his agents, and the keys, memberships and grants of all of them; administrators only.
    pub fn delete_user(&self, caller: &Caller, name: &str) -> Result<()> {
        admin(caller)?;
        let (tenant, gone) = self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let user = home.roster.user(name);
            let user = user.ok_or_else(|| no_principal(SubjectKind::User, name))?;
            let agents = home.roster.agents().filter(|a| a.owner == user.id);
            let mut all = vec![Principal::User(user.clone())];
            all.extend(agents.cloned().map(Principal::Agent));
            ch.take_away(&home, OpKind::UserDelete, &all)?;
            let gone: Vec<_> = all.iter().map(Principal::id).collect();
            Ok((home.tenant.id, gone))
        })?;
        self.close_to(tenant, &gone);
        Ok(())
    }

    /// Numbers the users that the first version made.
    pub(in crate::fs) fn number_users(&self) -> Result<()> {
        for tenant in self.tenants() {
            let found = rows::unnumbered(&mut *self.store.read()?, tenant.id)?;
            for user in found {
                self.number(user)?;
            }
        }
        Ok(())
    }

    fn number(&self, user: User) -> Result<()> {
        self.change(&Caller::engine(user.tenant), |ch| {
            let home = self.home(user.tenant)?;
            let user = User {
                id: self.next_principal(),
                ..user
            };
            let numbered = Principal::User(Arc::new(user));
            let undo = made_of(&numbered);
            ch.edit(Edit::Principal(numbered));
            ch.record_of(&home, OpKind::User, &undo);
            Ok(())
        })
    }
}

/// What the record says of a principal that was made: its name, its number, and the guard that stands for the rest.
pub(super) fn made_of(new: &Principal) -> serde_json::Value {
    json!({ "subject": new.subject().to_string(), "id": new.id(), "sum": new.guard() })
}

/// Fails when a name is taken.
pub(super) fn vacant(roster: &Roster, kind: SubjectKind, name: &str) -> Result<()> {
    if roster.named(&Subject::new(kind, name)).is_some() {
        return fail(Kind::Exists, format!("{kind} {name:?} exists"));
    }
    Ok(())
}

pub(in crate::fs) fn no_principal(kind: SubjectKind, name: &str) -> Error {
    let message = format!(
        "no {kind} {name:?}: `nexusctl {kind} list` shows whom there are, `nexusctl {kind} create` makes one"
    );
    Error::new(Kind::NotFound, message)
}

fn wanted_uid(roster: &Roster, uid: u32) -> Result<u32> {
    // To chown(2) the highest number means "leave it".
    if uid == u32::MAX {
        return fail(Kind::Invalid, format!("uid {uid} is nobody's"));
    }
    match roster.user_of_uid(uid) {
        Some(other) => fail(
            Kind::Exists,
            format!("uid {uid} is user {:?} already", other.name),
        ),
        None => Ok(uid),
    }
}

fn first_uid(home: &Home) -> u32 {
    UIDS.saturating_add(home.tenant.id.0.saturating_mul(UIDS_OF_TENANT))
}

/// A uid that no user has, nor had: files keep the number of an owner who is gone.
fn free_uid(home: &Home) -> Result<u32> {
    let start = first_uid(home).max(home.roster.uid_next());
    let free = (start..u32::MAX).find(|uid| home.roster.user_of_uid(*uid).is_none());
    free.ok_or_else(|| Error::new(Kind::NoSpace, "every uid is taken: say one with --uid"))
}

/// Where free uids begin when `uid` is taken, if that is somewhere else than before.
fn next_uid(home: &Home, uid: u32) -> Option<u32> {
    let first = first_uid(home);
    let kept = first..first.saturating_add(UIDS_KEPT);
    (kept.contains(&uid) && uid >= home.roster.uid_next()).then_some(uid + 1)
}
