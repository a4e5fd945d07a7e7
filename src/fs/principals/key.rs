//! API keys: made, shown once, proved, revoked.
//!
//! A key is `nxk_` and 256 random bits. Only its SHA-256 is kept, so that neither rows nor log let anybody in.

use super::name::check_remark;
use super::rights::{is_master, master};
use crate::core::{
    Caller, Error, Hash, KeyId, Kind, PrincipalId, Result, TenantId, Time, error::fail,
};
use crate::fs::Engine;
use crate::fs::holders::found;
use crate::meta::sum::Guarded as _;
use crate::meta::{Agent, Edit, Key, OpKind, Principal, Roster, Subject, User};
use serde_json::json;
use std::sync::Arc;

/// What every key begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "nxk_";

/// Whom a key proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub tenant: TenantId,
    pub user: Arc<User>,
    /// The agent that the key is of; otherwise it is the user's own.
    pub agent: Option<Arc<Agent>>,
    pub key: KeyId,
}

impl Engine {
    /// Makes a key of a user or an agent. The text is told here and never again.
    pub fn create_key(
        &self,
        caller: &Caller,
        of: &Subject,
        description: Option<&str>,
        expires: Option<Time>,
    ) -> Result<(Arc<Key>, String)> {
        check_remark("description", description)?;
        let text = new_text()?;
        let key = self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let holder = found(caller, &home.roster, of)?;
            master(caller, owner(holder)?)?;
            if expires.is_some_and(|end| end <= self.latest()) {
                return fail(Kind::Invalid, "the key would have expired already");
            }
            let key = Arc::new(Key {
                id: KeyId(self.next_id()),
                tenant: home.tenant.id,
                of: holder.id(),
                hash: Hash::of(text.as_bytes()),
                description: description.map(str::to_owned),
                created: ch.now,
                expires,
            });
            ch.edit(Edit::Key(key.clone()));
            let undo = json!({ "subject": of.to_string(), "key": key.id, "sum": key.guard() });
            ch.record_of(&home, OpKind::KeyCreate, &undo);
            Ok(key)
        })?;
        Ok((key, text))
    }

    /// Ends a key, from the next request on.
    pub fn revoke_key(&self, caller: &Caller, id: KeyId) -> Result<()> {
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let key = home.roster.key(id);
            let key = key.filter(|k| may_see(caller, &home.roster, k));
            let key = key.ok_or_else(|| Error::new(Kind::NotFound, format!("no key {}", id.0)))?;
            ch.edit(Edit::KeyGone(key.clone()));
            let of = home.roster.by_id(key.of);
            let undo = json!({ "subject": of.map(|p| p.subject().to_string()), "keys": [key] });
            ch.record_of(&home, OpKind::KeyRevoke, &undo);
            Ok(())
        })
    }

    /// The keys that the caller may know of, with whom they prove: all for an administrator, for others their own and
    /// those of their agents.
    pub fn keys(&self, caller: &Caller) -> Result<Vec<(Arc<Key>, Subject)>> {
        let home = self.own_home(caller)?;
        let known = home.roster.keys().filter_map(|key| {
            let of = home.roster.by_id(key.of)?.subject();
            may_see(caller, &home.roster, key).then(|| (key.clone(), of))
        });
        Ok(known.collect())
    }

    /// Whom a key proves, now. Says of no key whether it was wrong, is revoked or has expired.
    pub fn holder(&self, text: &str) -> Result<Holder> {
        let hash = Hash::of(text.as_bytes());
        let now = self.latest();
        for tenant in self.tenants() {
            // One may be deleted meanwhile.
            let Ok(roster) = self.roster(tenant.id) else {
                continue;
            };
            if let Some(key) = roster.key_of_hash(&hash).filter(|k| !k.is_expired(now))
                && let Some(holder) = holder_in(&roster, key)
            {
                return Ok(holder);
            }
        }
        fail(Kind::Denied, "the API key is not valid, or not any more")
    }
}

fn new_text() -> Result<String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|e| Error::new(Kind::Io, "the system gives no random bytes").caused_by(e))?;
    Ok(format!("{PREFIX}{}", Hash(random)))
}

/// The user who decides about a principal's keys.
fn owner(of: &Principal) -> Result<PrincipalId> {
    match of {
        Principal::User(user) => Ok(user.id),
        Principal::Agent(agent) => Ok(agent.owner),
        Principal::Group(group) => fail(
            Kind::Invalid,
            format!(
                "a key is of a user or an agent, and {:?} is a group",
                group.name
            ),
        ),
    }
}

fn may_see(caller: &Caller, roster: &Roster, key: &Key) -> bool {
    let owner = roster.by_id(key.of).map(owner);
    matches!(owner, Some(Ok(owner)) if is_master(caller, owner))
}

fn holder_in(roster: &Roster, key: &Key) -> Option<Holder> {
    let (user, agent) = match roster.by_id(key.of)? {
        Principal::User(user) => (user.clone(), None),
        Principal::Agent(agent) => match roster.by_id(agent.owner)? {
            Principal::User(user) => (user.clone(), Some(agent.clone())),
            Principal::Agent(_) | Principal::Group(_) => return None,
        },
        Principal::Group(_) => return None,
    };
    Some(Holder {
        tenant: key.tenant,
        user,
        agent,
        key: key.id,
    })
}
