//! Grants: relationship tuples on files, directories and objects of a tenant's own types, given, taken back and listed.

use super::Command;
use super::checks::{MEMBER_OF, OWNER_OF, no_relation};
use super::context::{Context, found_at};
use super::expiry::expiry;
use super::groups::group_named;
use super::object::{Fields, On, Target, subject};
use super::principals::{is_somebody, name_of};
use crate::access::rebac;
use crate::access::relation;
use crate::core::{Error, Kind, Result, Text, Time, error::fail};
use crate::fs::To;
use crate::meta::tuple::{FILE, GROUP, MEMBER, Tuple};
use crate::meta::{Roster, Subject, SubjectKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A tuple in names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TupleInfo {
    /// Its number; a membership has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuple_id: Option<u64>,
    /// `user`, `agent`, `group`, or a type of the tenant's own.
    pub subject_type: String,
    /// The name; `*` for everybody of the type.
    pub subject_id: String,
    /// The relation whose holders are meant: `member` of a group. Of files, a group always means its members.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject_relation: String,
    pub relation: String,
    pub object_type: String,
    /// The path of a file; the name of another object.
    pub object_id: Text,
    /// Not of a membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    pub expires: Option<String>,
    pub expired: bool,
}

impl TupleInfo {
    fn of(tuple: &Tuple, object_id: Text, roster: &Roster, now: Time) -> Self {
        Self {
            tuple_id: Some(tuple.id),
            subject_type: tuple.subject_type.clone(),
            subject_id: subject_name(tuple, roster),
            subject_relation: tuple.subject_relation.clone(),
            relation: tuple.relation.clone(),
            object_type: tuple.object_type.clone(),
            object_id,
            created: Some(tuple.created.to_string()),
            expires: tuple.expires.map(|end| end.to_string()),
            expired: tuple.is_expired(now),
        }
    }

    /// Who is in a group, as a tuple.
    pub(super) fn membership(member: &Subject, group: &str) -> Self {
        Self {
            tuple_id: None,
            subject_type: member.kind.to_string(),
            subject_id: member.name.clone(),
            subject_relation: String::new(),
            relation: MEMBER.to_owned(),
            object_type: GROUP.to_owned(),
            object_id: Text::from(group),
            created: None,
            expires: None,
            expired: false,
        }
    }

    /// A tuple as the caller may see it; `None` when it is about what he may not see.
    pub(super) fn shown(cx: &Context<'_>, tuple: &Tuple) -> Result<Option<Self>> {
        let object = match tuple.ino() {
            Some(ino) => {
                let path = cx.engine().path_for(cx.caller, ino)?;
                path.map(|path| Text(path.to_bytes()))
            }
            None => Some(object_name(&*cx.roster()?, tuple)),
        };
        let (roster, now) = (cx.roster()?, cx.engine().latest());
        Ok(object.map(|object| Self::of(tuple, object, &roster, now)))
    }
}

/// The name of an object that is no file.
fn object_name(roster: &Roster, tuple: &Tuple) -> Text {
    match tuple.group() {
        Some(id) => Text::from(&*name_of(roster, id)),
        None => Text::from(&*tuple.object_id),
    }
}

fn subject_name(tuple: &Tuple, roster: &Roster) -> String {
    let name = tuple.principal().map(|id| name_of(roster, id));
    name.unwrap_or_else(|| tuple.subject_id.clone())
}

/// Gives `user:bob`, `agent:coder`, the members of `group:developers` or, as `user:*`, everybody a role on a path and all
/// below it, or a relation to an object of a type of the tenant's own. For owners and administrators, and nobody gives more
/// than he has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacGrant {
    pub subject: String,
    pub relation: String,
    #[serde(flatten)]
    pub on: On,
    /// How long it holds (`7d`, `12h`), or the time when it ends; otherwise until it is revoked.
    #[serde(default, alias = "expires_at")]
    pub expires: Option<String>,
    /// Not supported: without it the tuple would allow more than it says, so one that has it is refused.
    #[serde(default, alias = "conditions", skip_serializing)]
    pub condition: Option<serde_json::Value>,
}

impl Command for RebacGrant {
    const NAME: &'static str = "rebac-grant";
    type Reply = TupleInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TupleInfo> {
        if self.condition.is_some() {
            let message = "tuples with conditions are not supported: leave the condition out, or do not grant";
            return fail(Kind::Unsupported, message);
        }
        let (engine, now) = (cx.engine(), cx.engine().latest());
        let expires = self.expires.as_deref().map(|words| expiry(now, words));
        let expires = expires.transpose()?;
        let (tuple, object) = match self.on.target()? {
            Target::File(path) => {
                let to: To = self.subject.parse()?;
                let (path, node) = found_at(cx, &path)?;
                let given = engine.grant(cx.caller, node.ino, &self.relation, &to, expires);
                let tuple = given.map_err(|e| e.context(&path))?;
                (tuple, Text(path.to_bytes()))
            }
            Target::Group(group) => {
                owner_of(&self.relation)?;
                let to: To = self.subject.parse()?;
                let tuple = engine.entrust(cx.caller, &group, &to, expires)?;
                (tuple, Text::from(&*group))
            }
            Target::Own(object) => {
                let said = rebac::Tuple {
                    expires,
                    ..said(object, &self.relation, &self.subject)?
                };
                let tuple = engine.relate(cx.caller, &said)?;
                let object = Text::from(&*tuple.object_id);
                (tuple, object)
            }
        };
        cx.durable(TupleInfo::of(&tuple, object, &*cx.roster()?, now))
    }
}

fn said(object: rebac::ObjectRef, relation: &str, by: &str) -> Result<rebac::Tuple> {
    Ok(rebac::Tuple::new(object, relation.parse()?, subject(by)?))
}

/// Fails unless the relation to a group that is meant is the one that is granted.
fn owner_of(relation: &str) -> Result<()> {
    if MEMBER_OF.contains(&relation) {
        let message = "memberships are changed by `group-add` and `group-remove`";
        return fail(Kind::Invalid, message);
    }
    if OWNER_OF.contains(&relation) {
        return Ok(());
    }
    no_relation(relation)
}

/// Takes a grant back, by its number or by what it says. For owners, administrators, and whoever it was given to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Revocation", into = "Revocation")]
pub enum RebacRevoke {
    Tuple {
        tuple_id: u64,
    },
    Said {
        subject: String,
        relation: String,
        on: On,
    },
}

/// The fields of a request that takes a grant back.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Revocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    tuple_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation: Option<String>,
    #[serde(flatten)]
    on: Fields,
}

impl TryFrom<Revocation> for RebacRevoke {
    type Error = &'static str;

    fn try_from(fields: Revocation) -> std::result::Result<Self, Self::Error> {
        let is_said = !fields.on.is_empty();
        match (fields.tuple_id, fields.subject, fields.relation) {
            (Some(tuple_id), None, None) if !is_said => Ok(Self::Tuple { tuple_id }),
            (None, Some(subject), Some(relation)) if is_said => Ok(Self::Said {
                subject,
                relation,
                on: fields.on.try_into()?,
            }),
            _ => Err("say either `tuple_id`, or `subject`, `relation`, and `path` or `object`"),
        }
    }
}

impl From<RebacRevoke> for Revocation {
    fn from(revoke: RebacRevoke) -> Self {
        match revoke {
            RebacRevoke::Tuple { tuple_id } => Self {
                tuple_id: Some(tuple_id),
                ..Self::default()
            },
            RebacRevoke::Said {
                subject,
                relation,
                on,
            } => Self {
                tuple_id: None,
                subject: Some(subject),
                relation: Some(relation),
                on: on.into(),
            },
        }
    }
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
                on,
            } => match on.target()? {
                Target::File(path) => on_file(cx, &subject, &relation, &path)?,
                Target::Group(group) => {
                    owner_of(&relation)?;
                    on_group(cx, &subject, &group)?
                }
                Target::Own(object) => on_object(cx, &said(object, &relation, &subject)?)?,
            },
        };
        cx.engine().revoke(cx.caller, tuple_id)?;
        cx.durable(Revoked { tuple_id })
    }
}

/// The number of the tuple that says so, among those the caller may know of.
fn on_file(cx: &Context<'_>, subject: &str, relation: &str, path: &Text) -> Result<u64> {
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

/// The number of the tuple that makes somebody an owner of a group, if the caller may know of it.
fn on_group(cx: &Context<'_>, subject: &str, group: &str) -> Result<u64> {
    let roster = cx.roster()?;
    let named = group_named(&roster, group)?;
    let (of, to): (_, To) = (named.id, subject.parse()?);
    let fits = |t: &Tuple| t.group() == Some(of) && to.to_string() == subject_of(t, &roster);
    let all = cx.engine().grants(cx.caller, fits)?;
    // Who the owners are is told to everybody.
    if all.is_empty() && cx.engine().owners_of(named).iter().any(|t| fits(t)) {
        let message = format!(
            "only an owner of group {group:?}, or an administrator, may change who owns it"
        );
        return fail(Kind::NotPermitted, message);
    }
    let missing = || {
        Error::new(
            Kind::NotFound,
            format!("{to} is no owner of group {group:?}"),
        )
    };
    all.first().map(|t| t.id).ok_or_else(missing)
}

fn on_object(cx: &Context<'_>, said: &rebac::Tuple) -> Result<u64> {
    let found: Option<Arc<Tuple>> = cx.engine().inquire(cx.caller)?.tuple(said)?;
    let missing = || {
        let rebac::Tuple {
            object,
            relation,
            subject,
            ..
        } = said;
        let message = format!("{object}: no grant of {relation} to {subject}");
        Error::new(Kind::NotFound, message)
    };
    found.map(|t| t.id).ok_or_else(missing)
}

/// `user:bob`, `group:developers`, `user:*`.
fn subject_of(tuple: &Tuple, roster: &Roster) -> String {
    let name = subject_name(tuple, roster);
    format!("{}:{name}", tuple.subject_type)
}

/// Lists grants and who is in which group: all for an administrator, for others those on what is theirs and those that name
/// them or their groups.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RebacList {
    pub subject_type: Option<String>,
    pub subject_id: Option<String>,
    pub relation: Option<String>,
    /// `file`, or a type of the tenant's own.
    pub object_type: Option<String>,
    /// The name of an object; of a file `path`.
    pub object_id: Option<String>,
    /// Those on this very path.
    pub path: Option<Text>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Tuples {
    pub tuples: Vec<TupleInfo>,
    /// Whether grants from above end at the path that was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
}

impl Command for RebacList {
    const NAME: &'static str = "rebac-list";
    type Reply = Tuples;

    fn run(self, cx: &mut Context<'_>) -> Result<Tuples> {
        let at = self.path.as_ref().map(|path| found_at(cx, path));
        let at = at.transpose()?.map(|(_, node)| node.ino);
        let role = self.role(at.is_some())?;
        let roster = cx.roster()?;
        let fits = |t: &Tuple| {
            let relation = if t.is_of_file() {
                role
            } else {
                self.relation.as_deref()
            };
            (at.is_none() || at == t.ino())
                && is_wanted(self.object_type.as_deref(), &t.object_type)
                && is_wanted(relation, &t.relation)
                && (self.object_id.is_none() || !t.is_of_file())
                && is_wanted(
                    self.object_id.as_deref(),
                    &object_name(&roster, t).to_string(),
                )
        };
        let mut tuples = Vec::new();
        for tuple in cx.engine().grants(cx.caller, fits)? {
            tuples.extend(TupleInfo::shown(cx, &tuple)?);
        }
        if at.is_none() {
            let all = cx.engine().memberships(cx.caller)?;
            let all = all
                .iter()
                .map(|(group, member)| TupleInfo::membership(member, group));
            tuples.extend(all.filter(|t| self.is_of_group(t)));
        }
        tuples.retain(|t| {
            is_wanted(self.subject_type.as_deref(), &t.subject_type)
                && is_wanted(self.subject_id.as_deref(), &t.subject_id)
        });
        if tuples.is_empty() {
            self.means_something(cx)?;
        }
        let restricted = at.map(|ino| cx.engine().is_restricted(cx.caller, ino));
        let restricted = restricted.transpose()?.unwrap_or_default();
        Ok(Tuples { tuples, restricted })
    }
}

impl RebacList {
    /// Whether a membership is wanted, as far as relation and group go.
    fn is_of_group(&self, membership: &TupleInfo) -> bool {
        let relation = self.relation.as_deref();
        let group = membership.object_id.to_string();
        is_wanted(self.object_type.as_deref(), GROUP)
            && is_wanted(self.object_id.as_deref(), &group)
            && relation.is_none_or(|r| MEMBER_OF.contains(&r))
    }

    /// Fails with `Invalid` where a word is none that a tuple could have: that is no answer, but a slip.
    fn means_something(&self, cx: &Context<'_>) -> Result<()> {
        let own = cx.engine().types(cx.caller)?;
        let is_own = |kind: &str| own.iter().any(|t| t.name.as_str() == kind);
        let principals = SubjectKind::ALL.map(|kind| kind.to_string());
        if let Some(kind) = self.subject_type.as_deref()
            && !principals.iter().any(|k| k == kind)
            && !is_own(kind)
        {
            return no_type(kind, &principals.join(", "));
        }
        if let Some(kind) = self.object_type.as_deref().filter(|kind| *kind != FILE)
            && !is_own(kind)
        {
            return no_type(kind, FILE);
        }
        let kind = self.subject_type.as_deref();
        let may_be_object = kind.is_none() && !own.is_empty();
        if let Some(name) = self.subject_id.as_deref().filter(|_| !may_be_object) {
            is_somebody(cx, kind, name)?;
        }
        let Some(relation) = self.relation.as_deref() else {
            return Ok(());
        };
        let mut relations = own.iter().flat_map(|t| t.def.relations.keys());
        if relations.any(|r| r.as_str() == relation) {
            return Ok(());
        }
        relation::role(relation).map(drop)
    }

    /// The role on files that is wanted. A relation that is none is one of other objects, unless files are asked for.
    fn role(&self, at_path: bool) -> Result<Option<&str>> {
        let Some(relation) = self.relation.as_deref() else {
            return Ok(None);
        };
        let of_files = at_path || self.object_type.as_deref() == Some(FILE);
        match relation::role(relation) {
            Err(_) if !of_files => Ok(Some(relation)),
            role => role.map(Some),
        }
    }
}

fn no_type(kind: &str, known: &str) -> Result<()> {
    let message = format!("no type {kind:?}: say {known}, or one of `nexus rebac type list`");
    fail(Kind::Invalid, message)
}

/// Whether a text is the wanted one, if one is wanted.
fn is_wanted(wanted: Option<&str>, is: &str) -> bool {
    wanted.is_none_or(|w| w == is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dispatch;
    use crate::core::{Caller, Config, TenantId};
    use crate::nexus::Nexus;

    #[test]
    fn a_condition_is_refused_rather_than_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path())).unwrap();
        let caller = Caller::engine(TenantId(1));
        let mut cx = Context {
            nexus: &nexus,
            caller: &caller,
            tell: &mut |_| Ok(()),
        };
        for (key, on) in [("condition", "file:/workspace"), ("conditions", "doc:1")] {
            let body = serde_json::json!({"subject": "user:*", "relation": "owner", "object": on, key: {"office": "hours"}});
            let body = serde_json::to_vec(&body).unwrap();
            let refused = dispatch("rebac-grant", &mut cx, &body).unwrap_err();
            assert_eq!(refused.kind(), Kind::Unsupported, "{refused}");
        }
        assert_eq!(nexus.engine.grants(&caller, |_| true).unwrap(), []);
    }
}
