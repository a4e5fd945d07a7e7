//! Whom a record about principals or grants concerns.

use crate::core::{Caller, Error, KeyId, Kind, PrincipalId, Result};
use crate::fs::engine::Engine;
use crate::meta::tuple::Tuple;
use crate::meta::{Key, OpKind, Principal, Record};
use serde::Deserialize;

/// What a record says about principals; other operations say other things.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    id: Option<PrincipalId>,
    group: Option<PrincipalId>,
    member: Option<PrincipalId>,
    key: Option<KeyId>,
    principals: Vec<Principal>,
    keys: Vec<Key>,
    tuple: Option<Tuple>,
}

impl Engine {
    /// Whether a record is nobody's in particular, or concerns a caller: it is about himself, about a group that he is in,
    /// about what belongs to him.
    pub(super) fn is_concern_of(&self, caller: &Caller, record: &Record) -> Result<bool> {
        let is_about_grants = matches!(record.kind, OpKind::Grant | OpKind::Revoke);
        // That there are other tenants is an administrator's to know.
        if record.kind == OpKind::Refused || super::is_about_tenants(record.kind) {
            return Ok(false);
        }
        if !is_about_grants && !super::is_about_principals(record.kind) {
            return Ok(true);
        }
        let said: Said = serde_json::from_str(&record.undo).map_err(|e| {
            let message = format!("operation {} of the log cannot be read", record.op);
            Error::new(Kind::Corrupt, message).caused_by(e)
        })?;
        if let Some(tuple) = said.tuple.as_ref().filter(|_| is_about_grants) {
            return self.knows(caller, tuple);
        }
        if let (Some(group), Some(member)) = (said.group, said.member) {
            return self.knows_membership(caller, group, member);
        }
        let who = self.reached_by(caller)?;
        Ok(self
            .principals_of(caller, &said)?
            .iter()
            .any(|id| who.contains(id)))
    }

    /// The principals that a record is about, and whom those belong to.
    fn principals_of(&self, caller: &Caller, said: &Said) -> Result<Vec<PrincipalId>> {
        let Some(tenant) = caller.tenant else {
            return Ok(Vec::new());
        };
        let roster = self.roster(tenant)?;
        let mut all: Vec<_> = [said.id, said.group, said.member]
            .into_iter()
            .flatten()
            .collect();
        all.extend(said.keys.iter().map(|key| key.of));
        let key = said.key.and_then(|id| roster.key(id));
        all.extend(key.map(|key| key.of));
        let living = all.clone().into_iter().filter_map(|id| roster.by_id(id));
        for principal in living.chain(&said.principals) {
            all.push(principal.id());
            if let Principal::Agent(agent) = principal {
                all.push(agent.owner);
            }
        }
        Ok(all)
    }
}
