//! Users, agents and groups, who is in which group, and the keys that prove somebody.
//!
//! A principal is known by its number, which is never given out again: rows that name one that is gone name nobody.

pub mod guard;
pub mod rows;

use crate::core::{Error, Hash, KeyId, Kind, PrincipalId, Result, TenantId, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A person of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: PrincipalId,
    pub tenant: TenantId,
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub full_name: Option<String>,
    pub email: Option<String>,
    pub created: Time,
}

impl User {
    /// The group of what is made for the user by a process with this uid and gid: the process's own where it runs as the user, else that of
    /// the user alone.
    pub fn group_of(&self, (uid, gid): (u32, u32)) -> u32 {
        if self.uid == uid { gid } else { self.gid }
    }
}

/// A user as journals of the first version hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unnumbered {
    pub tenant: TenantId,
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub full_name: Option<String>,
    pub email: Option<String>,
}

/// A program that acts for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: PrincipalId,
    pub tenant: TenantId,
    pub name: String,
    pub owner: PrincipalId,
    /// Has its own grants only; otherwise it acts with its owner's rights.
    pub isolated: bool,
    pub created: Time,
}

/// Users, agents and other groups under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: PrincipalId,
    pub tenant: TenantId,
    pub name: String,
    pub description: Option<String>,
    pub created: Time,
}

/// Group numbers of Nexus's groups start here, and there are as many: above what an operating system gives out.
const GIDS: u32 = 1 << 30;

impl Group {
    /// The number that files, lists and `ls -l` know the group by; never another group's while numbers last.
    pub fn gid(&self) -> u32 {
        let number = self.id.0 % u64::from(GIDS);
        GIDS + u32::try_from(number).unwrap_or_default()
    }

    /// Whether a group number is one of those, and not the operating system's.
    pub fn has_gid(gid: u32) -> bool {
        (GIDS..GIDS * 2).contains(&gid)
    }
}

/// Whoever can be granted something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Principal {
    User(Arc<User>),
    Agent(Arc<Agent>),
    Group(Arc<Group>),
}

impl Principal {
    pub fn id(&self) -> PrincipalId {
        match self {
            Self::User(u) => u.id,
            Self::Agent(a) => a.id,
            Self::Group(g) => g.id,
        }
    }

    pub fn tenant(&self) -> TenantId {
        match self {
            Self::User(u) => u.tenant,
            Self::Agent(a) => a.tenant,
            Self::Group(g) => g.tenant,
        }
    }

    /// What people call it.
    pub fn subject(&self) -> Subject {
        let (kind, name) = match self {
            Self::User(u) => (SubjectKind::User, &u.name),
            Self::Agent(a) => (SubjectKind::Agent, &a.name),
            Self::Group(g) => (SubjectKind::Group, &g.name),
        };
        Subject {
            kind,
            name: name.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    User,
    Agent,
    Group,
}

impl SubjectKind {
    pub const ALL: [Self; 3] = [Self::User, Self::Agent, Self::Group];
}

/// A principal by its name: `alice` or `user:alice`, `agent:coder`, `group:developers`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: String,
}

impl Subject {
    pub fn new(kind: SubjectKind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Group => "group",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, name) = match text.split_once(':') {
            None => (SubjectKind::User, text),
            Some(("user", name)) => (SubjectKind::User, name),
            Some(("agent", name)) => (SubjectKind::Agent, name),
            Some(("group", name)) => (SubjectKind::Group, name),
            Some(_) => {
                let message =
                    format!("subject {text:?}: say `NAME` of a user, `agent:NAME` or `group:NAME`");
                return Err(Error::new(Kind::Invalid, message));
            }
        };
        Ok(Self::new(kind, name))
    }
}

/// Somebody is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    pub tenant: TenantId,
    pub group: PrincipalId,
    pub member: PrincipalId,
}

/// What an API key proves. The key itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    pub tenant: TenantId,
    /// The user or agent.
    pub of: PrincipalId,
    pub hash: Hash,
    pub description: Option<String>,
    pub created: Time,
    pub expires: Option<Time>,
}

impl Key {
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_back_as_it_is_shown_and_a_bare_name_is_a_users() {
        for text in ["user:alice", "agent:coder", "group:developers"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        let bare: Subject = "alice".parse().unwrap();
        assert_eq!(bare, Subject::new(SubjectKind::User, "alice"));
        for text in ["robot:x", ":x", "User:x"] {
            assert_eq!(text.parse::<Subject>().unwrap_err().kind(), Kind::Invalid);
        }
    }

    #[test]
    fn a_key_ends_at_its_second_and_not_before() {
        let key = |expires| Key {
            id: KeyId(1),
            tenant: TenantId(1),
            of: PrincipalId(1),
            hash: Hash::default(),
            description: None,
            created: Time(0),
            expires,
        };
        assert!(!key(None).is_expired(Time(i64::MAX)));
        assert!(!key(Some(Time(10))).is_expired(Time(9)));
        assert!(key(Some(Time(10))).is_expired(Time(10)));
    }
}
