//! How relationships came to be what they are: every tuple that came or went, every boundary, group and type, as the log has them.
//!
//! An administrator reads all of his tenant's; others what is about tuples and memberships that they may know of
//! ([`Engine::knows`], [`Engine::knows_membership`]), boundaries of what is theirs, and types, which everybody knows. Nothing is
//! named that they may not see.

use super::log::length;
use crate::core::{Caller, Ino, Kind, Op, PrincipalId, Result, TenantId, Text, error::fail};
use crate::fs::Engine;
use crate::meta::tuple::{FILE, Tuple};
use crate::meta::{Member, OpKind, Principal, Record, Roster, SubjectKind, log};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// How many changes one answer holds, but for the rest of the last operation's.
pub const CHANGES_MAX: u32 = 10_000;
/// How many bytes of JSON they have, but for the same.
const TEXT_MAX: usize = 4 << 20;
/// How many operations one query looks at.
const WINDOW: u64 = 20_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    Grant,
    Revoke,
    Restrict,
    Unrestrict,
    TypeSet,
    TypeDelete,
}

/// One change. An operation may have several: with a file go its grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    pub op: u64,
    pub time: String,
    pub change: ChangeKind,
    /// The tuple that came or went; memberships have no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuple_id: Option<u64>,
    /// `user:bob`, `group:developers`, `folder:plans#viewer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    pub object_type: String,
    /// The path of a file or the name of an object; nothing for a type itself, and for what the reader may not see now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Who did it.
    pub user: Option<String>,
    pub agent: Option<String>,
    pub uid: u32,
}

/// An answer, oldest change first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub changes: Vec<ChangeLine>,
    /// The newest operation looked at: ask for what is `after` it next.
    pub last: u64,
}

/// Reads the changes of the caller's tenant behind an operation: whole operations, until there are `limit` changes. Fails with
/// `Invalid` for an operation that is still to come.
pub fn read(engine: &Engine, caller: &Caller, after: Op, limit: u32) -> Result<Changes> {
    let none = || caller.stranger(Kind::NotFound);
    let tenant = caller.tenant.ok_or_else(none)?;
    let end = engine.head(tenant)?;
    if after > end {
        let next = after.0.saturating_add(1);
        let message = format!("operation {next} is still to come: the log ends with {end}");
        return fail(Kind::Invalid, message);
    }
    let mut reader = Reader {
        engine,
        caller,
        tenant,
        roster: engine.roster(tenant)?,
        found: Vec::new(),
    };
    let last = reader.forwards(after, limit.min(CHANGES_MAX) as usize)?;
    Ok(Changes {
        changes: reader.found,
        last: last.0,
    })
}

/// What a record's `undo` says about relationships; other operations say other things there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    tuple: Option<Tuple>,
    /// What a grant took the place of. A rename says here which node it replaced, and that is no tuple.
    #[serde(deserialize_with = "tuples_or_none")]
    replaced: Vec<Tuple>,
    /// Tuples that went with something else, and to whom they were.
    grants: Vec<Tuple>,
    grantees: Vec<String>,
    /// Tuples that came back, likewise.
    granted: Vec<Tuple>,
    granted_to: Vec<String>,
    subject: Option<String>,
    object: Option<String>,
    restricted: bool,
    principals: Vec<Principal>,
    members: Vec<Member>,
    /// Memberships that an undo brought back, and those that it ended.
    joined: Vec<Moved>,
    left: Vec<Moved>,
}

/// A membership as records tell it.
#[derive(Debug, Deserialize)]
struct Moved {
    subject: String,
    member_name: String,
    group: PrincipalId,
    member: PrincipalId,
}

/// What a record says of relationships. One that cannot be read must not hide all that come after it: it is told of, without its
/// particulars, to the daemon's log, and `verify` finds it.
fn said_by<S: DeserializeOwned>(record: &Record) -> Option<S> {
    match serde_json::from_str(&record.undo) {
        Ok(said) => Some(said),
        Err(e) => {
            tracing::error!(op = %record.op, "what an operation did to relationships cannot be read: {e}");
            None
        }
    }
}

/// Tuples, where there are tuples.
fn tuples_or_none<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<Tuple>, D::Error> {
    let said = serde_json::Value::deserialize(from)?;
    Ok(if said.is_array() {
        Vec::deserialize(said).map_err(D::Error::custom)?
    } else {
        Vec::new()
    })
}

struct Reader<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    roster: Arc<Roster>,
    found: Vec<ChangeLine>,
}

impl Reader<'_> {
    fn forwards(&mut self, mut at: Op, limit: usize) -> Result<Op> {
        let head = self.engine.head(self.tenant)?;
        let (mut counted, mut text) = (0, 0);
        while at < head {
            let until = Op(at.0.saturating_add(WINDOW)).min(head);
            let mut tx = self.engine.store().read()?;
            for record in log::of_grants(&mut *tx, self.tenant, at, until)? {
                for new in &self.found[counted..] {
                    text += length(new)?;
                }
                counted = self.found.len();
                if counted >= limit || text >= TEXT_MAX {
                    return Ok(at);
                }
                at = record.op;
                self.take(&record)?;
            }
            at = until;
        }
        Ok(at)
    }

    fn take(&mut self, record: &Record) -> Result<()> {
        let Some(said) = said_by::<Said>(record) else {
            return Ok(());
        };
        match record.kind {
            OpKind::Grant | OpKind::Revoke => self.tuple_came_or_went(record, &said)?,
            OpKind::Restrict => self.boundary(record, &said)?,
            OpKind::TypeSet => self.types(record, &said, ChangeKind::TypeSet),
            OpKind::TypeDelete => self.types(record, &said, ChangeKind::TypeDelete),
            OpKind::GroupAdd => self.membership(record, ChangeKind::Grant)?,
            OpKind::GroupRemove => self.membership(record, ChangeKind::Revoke)?,
            // Of others only what went with it.
            _ => {}
        }
        for gone in &said.members {
            let owner = said.principals.iter().find_map(|p| match p {
                Principal::Agent(agent) if agent.id == gone.member => Some(agent.owner),
                Principal::Agent(_) | Principal::User(_) | Principal::Group(_) => None,
            });
            if self.knows(gone.group, owner.unwrap_or(gone.member))? {
                let names = [gone.member, gone.group].map(|id| self.subject(id, &said));
                let [member, group] = names;
                self.member(record, ChangeKind::Revoke, member, &group);
            }
        }
        for (moved, change) in [
            (&said.left, ChangeKind::Revoke),
            (&said.joined, ChangeKind::Grant),
        ] {
            for m in moved {
                if self.knows(m.group, m.member)? {
                    self.member(record, change, m.member_name.clone(), &m.subject);
                }
            }
        }
        let went = (&said.grants, &said.grantees, ChangeKind::Revoke);
        let came = (&said.granted, &said.granted_to, ChangeKind::Grant);
        for (tuples, names, change) in [went, came] {
            for (at, tuple) in tuples.iter().enumerate() {
                let subject = names.get(at).cloned();
                let subject = subject.unwrap_or_else(|| self.subject_of(tuple, &said));
                self.tuple((record, &said), change, tuple, subject)?;
            }
        }
        Ok(())
    }

    fn tuple_came_or_went(&mut self, record: &Record, said: &Said) -> Result<()> {
        let Some(tuple) = &said.tuple else {
            return Ok(());
        };
        let subject = said.subject.clone();
        let subject = subject.unwrap_or_else(|| self.subject_of(tuple, said));
        for old in &said.replaced {
            self.tuple((record, said), ChangeKind::Revoke, old, subject.clone())?;
        }
        let kind = if record.kind == OpKind::Grant {
            ChangeKind::Grant
        } else {
            ChangeKind::Revoke
        };
        self.tuple((record, said), kind, tuple, subject)
    }

    fn tuple(
        &mut self,
        (record, said): (&Record, &Said),
        change: ChangeKind,
        tuple: &Tuple,
        subject: String,
    ) -> Result<()> {
        if !self.engine.knows(self.caller, tuple)? {
            return Ok(());
        }
        let object_id = match (tuple.ino(), tuple.group()) {
            (Some(ino), _) => self.path(record, ino)?,
            (None, Some(group)) => Some(self.group(group, said)),
            (None, None) => Some(Text::from(&*tuple.object_id)),
        };
        self.found.push(ChangeLine {
            tuple_id: Some(tuple.id),
            subject: Some(subject),
            relation: Some(tuple.relation.clone()),
            object_id,
            expires: tuple.expires.map(|end| end.to_string()),
            ..line(record, change, &tuple.object_type)
        });
        Ok(())
    }

    fn boundary(&mut self, record: &Record, said: &Said) -> Result<()> {
        let change = if said.restricted {
            ChangeKind::Unrestrict
        } else {
            ChangeKind::Restrict
        };
        if self.caller.admin || self.engine.owns_node(self.caller, record.ino)? {
            let object_id = self.path(record, record.ino)?;
            self.found.push(ChangeLine {
                object_id,
                ..line(record, change, FILE)
            });
        }
        Ok(())
    }

    fn types(&mut self, record: &Record, said: &Said, change: ChangeKind) {
        let names = said.object.as_deref().unwrap_or_default();
        let lines = names.split(", ").map(|name| line(record, change, name));
        self.found.extend(lines);
    }

    fn membership(&mut self, record: &Record, change: ChangeKind) -> Result<()> {
        if let Some(Moved {
            subject,
            member_name,
            group,
            member,
        }) = said_by(record)
            && self.knows(group, member)?
        {
            self.member(record, change, member_name, &subject);
        }
        Ok(())
    }

    fn knows(&self, group: PrincipalId, member: PrincipalId) -> Result<bool> {
        self.engine.knows_membership(self.caller, group, member)
    }

    /// The name of a group.
    fn group(&self, id: PrincipalId, said: &Said) -> Text {
        Text::from(bare(&self.subject(id, said)))
    }

    fn member(&mut self, record: &Record, change: ChangeKind, member: String, group: &str) {
        let kind = SubjectKind::Group.to_string();
        self.found.push(ChangeLine {
            subject: Some(member),
            relation: Some("member".to_owned()),
            object_id: Some(Text::from(bare(group))),
            ..line(record, change, &kind)
        });
    }

    /// The path that a node had, for administrators; for others the one it has, if they may see it.
    fn path(&self, record: &Record, ino: Ino) -> Result<Option<Text>> {
        let then = match record.kind {
            OpKind::Rename | OpKind::Exchange => record.path2.as_ref(),
            OpKind::Undo | OpKind::Restore => None,
            _ => Some(&record.path).filter(|path| **path != b"/"),
        };
        match then {
            Some(path) if self.caller.admin => Ok(Some(Text(path.clone()))),
            Some(_) | None => {
                let now = self.engine.path_for(self.caller, ino)?;
                Ok(now.map(|path| Text(path.to_bytes())))
            }
        }
    }

    fn subject_of(&self, tuple: &Tuple, said: &Said) -> String {
        let name = tuple.principal().map(|id| self.subject(id, said));
        let name = name.unwrap_or_else(|| format!("{}:{}", tuple.subject_type, tuple.subject_id));
        match &*tuple.subject_relation {
            "" => name,
            relation => format!("{name}#{relation}"),
        }
    }

    /// A principal by name: one that went with the operation, one that is there; of another its number.
    fn subject(&self, id: PrincipalId, said: &Said) -> String {
        let gone = said.principals.iter().find(|p| p.id() == id);
        let found = gone.or_else(|| self.roster.by_id(id));
        found.map_or_else(|| format!("#{}", id.0), |p| p.subject().to_string())
    }
}

/// The name alone of `group:developers`.
fn bare(subject: &str) -> &str {
    subject.split_once(':').map_or(subject, |(_, name)| name)
}

fn line(record: &Record, change: ChangeKind, object_type: &str) -> ChangeLine {
    ChangeLine {
        op: record.op.0,
        time: record.time.to_string(),
        change,
        tuple_id: None,
        subject: None,
        relation: None,
        object_type: object_type.to_owned(),
        object_id: None,
        expires: None,
        user: record.author.user.clone(),
        agent: record.author.agent.clone(),
        uid: record.author.uid,
    }
}

#[cfg(test)]
mod tests;
