//! Grants: relationship tuples on files and directories, given, taken back and listed.

use super::Command;
use super::context::{Context, Done, found_at};
use super::expiry::expiry;
use super::principals::name_of;
use crate::access::relation;
use crate::core::{Error, FsPath, Ino, Kind, Result, Text, Time};
use crate::fs::To;
use crate::meta::Roster;
use crate::meta::tuple::{EVERYBODY, FILE, Tuple};
use serde::{Deserialize, Serialize};

/// A tuple in names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TupleInfo {
    pub tuple_id: u64,
    /// `user`, `agent` or `group`.
    pub subject_type: String,
    /// The name; `*` for every user of the tenant.
    pub subject_id: String,
    pub relation: String,
    pub object_type: String,
    /// The path.
    pub object_id: Text,
    pub created: String,
    pub expires: Option<String>,
    pub expired: bool,
}

impl TupleInfo {
    fn of(tuple: &Tuple, path: &FsPath, roster: &Roster, now: Time) -> Self {
        let name = tuple.principal().map(|id| name_of(roster, id));
        Self {
            tuple_id: tuple.id,
            subject_type: tuple.subject_type.clone(),
            subject_id: name.unwrap_or_else(|| EVERYBODY.to_owned()),
            relation: tuple.relation.clone(),
            object_type: FILE.to_owned(),
            object_id: Text(path.to_bytes()),
            created: tuple.created.to_string(),
            expires: tuple.expires.map(|end| end.to_string()),
            expired: tuple.is_expired(now),
        }
    }

    /// A tuple as the caller may see it; `None` when it is about what he may not see.
    pub(super) fn shown(cx: &Context<'_>, tuple: &Tuple) -> Result<Option<Self>> {
        let Some(ino) = tuple.ino() else {
            return Ok(None);
        };
        let (roster, now) = (cx.roster()?, cx.engine().latest());
        let path = cx.engine().path_for(cx.caller, ino)?;
        Ok(path.map(|path| Self::of(tuple, &path, &roster, now)))
    }
}

/// Gives `user:bob`, `agent:coder`, the members of `group:developers` or, as `user:*`, everybody a role on a path and all
/// below it. For owners and administrators, and nobody gives more than he has.
#[derive(Debug, Serialize, Deserialize)]
pub struct RebacGrant {
    pub subject: String,
    pub relation: String,
    pub path: Text,
    /// How long it holds (`7d`, `12h`), or the time when it ends; otherwise until it is revoked.
    #[serde(default)]
    pub expires: Option<String>,
}

impl Command for RebacGrant {
    const NAME: &'static str = "rebac-grant";
    type Reply = TupleInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TupleInfo> {
        let to: To = self.subject.parse()?;
        let now = cx.engine().latest();
        let expires = self.expires.as_deref().map(|words| expiry(now, words));
        let (path, node) = found_at(cx, &self.path)?;
        let given = cx.engine().grant(
            cx.caller,
            node.ino,
            &self.relation,
            &to,
            expires.transpose()?,
        );
        let tuple = given.map_err(|e| e.context(&path))?;
        cx.durable(TupleInfo::of(&tuple, &path, &*cx.roster()?, now))
    }
}

/// Takes a grant back, by its number or by what it says. For owners, administrators, and whoever it was given to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RebacRevoke {
    Tuple {
        tuple_id: u64,
    },
    Said {
        subject: String,
        relation: String,
        path: Text,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Revoked {
    pub tuple_id: u64,
}

impl Command for RebacRevoke {
    const NAME: &'static str = "rebac-revoke";
    type Reply = Revoked;

    fn run(self, cx: &mut Context<'_>) -> Result<Revoked> {
        let tuple_id = match self {
            Self::Tuple { tuple_id } => tuple_id,
            Self::Said {
                subject,
                relation,
                path,
            } => said(cx, &subject, &relation, &path)?,
        };
        cx.engine().revoke(cx.caller, tuple_id)?;
        cx.durable(Revoked { tuple_id })
    }
}

/// The number of the tuple that says so, among those the caller may know of.
fn said(cx: &Context<'_>, subject: &str, relation: &str, path: &Text) -> Result<u64> {
    let role = relation::role(relation)?;
    let (path, node) = found_at(cx, path)?;
    let to: To = subject.parse()?;
    let roster = cx.roster()?;
    let fits = |t: &Tuple| {
        t.ino() == Some(node.ino) && t.relation == role && to.to_string() == subject_of(t, &roster)
    };
    let all = cx.engine().grants(cx.caller, fits)?;
    let missing = || {
        Error::new(
            Kind::NotFound,
            format!("{path}: no grant of {role} to {to}"),
        )
    };
    all.first().map(|t| t.id).ok_or_else(missing)
}

/// `user:bob`, `group:developers`, `user:*`.
fn subject_of(tuple: &Tuple, roster: &Roster) -> String {
    let name = tuple.principal().map(|id| name_of(roster, id));
    let name = name.as_deref().unwrap_or(EVERYBODY);
    format!("{}:{name}", tuple.subject_type)
}

/// Lists grants: all for an administrator, for others those on what is theirs and those that name them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RebacList {
    pub subject_type: Option<String>,
    pub subject_id: Option<String>,
    pub relation: Option<String>,
    /// Those on this very path.
    pub path: Option<Text>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Tuples {
    pub tuples: Vec<TupleInfo>,
}

impl Command for RebacList {
    const NAME: &'static str = "rebac-list";
    type Reply = Tuples;

    fn run(self, cx: &mut Context<'_>) -> Result<Tuples> {
        let role = self.relation.as_deref().map(relation::role).transpose()?;
        let at = self.path.as_ref().map(|path| found_at(cx, path));
        let at = at.transpose()?.map(|(_, node)| node.ino);
        let fits = |t: &Tuple| (at.is_none() || at == t.ino()) && is_wanted(role, &t.relation);
        let mut tuples = Vec::new();
        for tuple in cx.engine().grants(cx.caller, fits)? {
            tuples.extend(TupleInfo::shown(cx, &tuple)?);
        }
        tuples.retain(|t| {
            is_wanted(self.subject_type.as_deref(), &t.subject_type)
                && is_wanted(self.subject_id.as_deref(), &t.subject_id)
        });
        Ok(Tuples { tuples })
    }
}

/// Whether a text is the wanted one, if one is wanted.
fn is_wanted(wanted: Option<&str>, is: &str) -> bool {
    wanted.is_none_or(|w| w == is)
}

/// Makes a boundary of a directory: grants from above end there, the owner's do not. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
pub struct RebacRestrict {
    pub path: Text,
}

impl Command for RebacRestrict {
    const NAME: &'static str = "rebac-restrict";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, true);
        done.map_err(|e| e.context(path))?;
        cx.durable(Done {})
    }
}

/// Takes a boundary away: grants from above hold again. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
pub struct RebacUnrestrict {
    pub path: Text,
}

impl Command for RebacUnrestrict {
    const NAME: &'static str = "rebac-unrestrict";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, false);
        done.map_err(|e| e.context(path))?;
        cx.durable(Done {})
    }
}

fn place(cx: &Context<'_>, path: &Text) -> Result<(FsPath, Ino)> {
    let (path, node) = found_at(cx, path)?;
    Ok((path, node.ino))
}
