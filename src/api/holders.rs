//! Who has a relation, and to what: lists, for paths and for objects of a tenant's own types.

use super::Command;
use super::checks::{MEMBER_OF, OWNER_OF, no_relation};
use super::context::{Context, found_at};
use super::object::{On, Target, subject};
use super::who::{LOOKED_AT, below};
use crate::access::rebac::{Cut, Listing, ObjectRef, Principals, Subject, SubjectFilter};
use crate::access::{Right, relation};
use crate::core::{Kind, Result, Text, error::fail};
use crate::fs::To;
use crate::meta::SubjectKind;
use crate::meta::tuple::FILE;
use serde::{Deserialize, Serialize};

/// Tells who has a relation to a path or an object: users, agents, groups, and whatever else gives it; with `leaves` only who
/// contains nobody. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacExpand {
    pub relation: String,
    #[serde(flatten)]
    pub on: On,
    #[serde(default)]
    pub leaves: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Subjects {
    /// Type and name of each; `["user", "*"]` is everybody, `["group", "developers#member"]` who is in it.
    pub subjects: Vec<(String, String)>,
    /// Why there may be more: what was not found out is not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl Subjects {
    fn of<T: ToString>(found: &[T], cut: Option<Cut>) -> Self {
        let pair = |one: &T| {
            let text = one.to_string();
            let (kind, name) = text.split_once(':').unwrap_or_default();
            (kind.to_owned(), name.to_owned())
        };
        Self {
            subjects: found.iter().map(pair).collect(),
            cut,
        }
    }
}

impl From<Listing<Subject>> for Subjects {
    fn from(listing: Listing<Subject>) -> Self {
        Self::of(&listing.found, listing.cut)
    }
}

impl Command for RebacExpand {
    const NAME: &'static str = "rebac-expand";
    type Reply = Subjects;

    fn run(self, cx: &mut Context<'_>) -> Result<Subjects> {
        match self.on.target()? {
            Target::File(path) => self.of_file(cx, &path),
            Target::Group(group) => self.of_group(cx, &group),
            Target::Own(object) => {
                let whom = if self.leaves {
                    Principals::Leaves
                } else {
                    Principals::All
                };
                let inquiry = cx.engine().inquire(cx.caller)?;
                let found = inquiry.expand(&object, &self.relation.parse()?, whom)?;
                Ok(found.into())
            }
        }
    }
}

impl RebacExpand {
    fn of_group(&self, cx: &Context<'_>, group: &str) -> Result<Subjects> {
        if MEMBER_OF.contains(&&*self.relation) {
            let message = format!("`nexusctl group show {group}` tells who is in a group");
            return fail(Kind::Invalid, message);
        }
        if !OWNER_OF.contains(&&*self.relation) {
            return no_relation(&self.relation);
        }
        let found = cx.engine().all_owners_of(cx.caller, group)?;
        Ok(self.shown(found))
    }

    /// The groups, too, unless only who contains nobody is wanted.
    fn shown(&self, mut found: Vec<To>) -> Subjects {
        let is_group = |to: &To| matches!(to, To::One(s) if s.kind == SubjectKind::Group);
        found.retain(|to| !(self.leaves && is_group(to)));
        Subjects::of(&found, None)
    }

    fn of_file(&self, cx: &Context<'_>, path: &Text) -> Result<Subjects> {
        let (path, node) = found_at(cx, path)?;
        let found = cx.engine().expand(cx.caller, node.ino, &self.relation);
        Ok(self.shown(found.map_err(|e| e.context(path))?))
    }
}

/// Tells which subjects of some kinds (`user`, `group#member`, `folder`, …) have a relation to an object of a type of the
/// tenant's own. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacSubjects {
    pub relation: String,
    #[serde(flatten)]
    pub on: On,
    pub types: Vec<String>,
}

impl Command for RebacSubjects {
    const NAME: &'static str = "rebac-subjects";
    type Reply = Subjects;

    fn run(self, cx: &mut Context<'_>) -> Result<Subjects> {
        let Target::Own(object) = self.on.target()? else {
            let message = "subjects of some types are listed for objects of types of your own: say `expand` for others";
            return fail(Kind::Invalid, message);
        };
        let filters: Result<Vec<SubjectFilter>> = self.types.iter().map(|t| t.parse()).collect();
        let inquiry = cx.engine().inquire(cx.caller)?;
        let found = inquiry.subjects(&object, &self.relation.parse()?, &filters?)?;
        Ok(found.into())
    }
}

/// Tells on which paths a grant for somebody or his groups gives a role, and what lies below those is his, too; or with
/// `object_type` on which objects of that type he has a relation. Paths of others than the caller as far as the grants are
/// on what is the caller's, objects of others for administrators. `under` a directory it tells instead what somebody may do that
/// to by every line of the rule, of others than the caller as far as it is his: a page at a time.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacObjects {
    pub subject: String,
    pub relation: String,
    /// `file` when it is not said.
    #[serde(default)]
    pub object_type: Option<String>,
    #[serde(default)]
    pub under: Option<Text>,
    /// What the last page said is `next`.
    #[serde(default)]
    pub from: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Objects {
    /// Paths, or objects as in `doc:readme`.
    pub objects: Vec<Text>,
    /// Why there may be more: what was not found out is not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// There is more to look at: ask again with this as `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Vec<u64>>,
}

impl Command for RebacObjects {
    const NAME: &'static str = "rebac-objects";
    type Reply = Objects;

    fn run(self, cx: &mut Context<'_>) -> Result<Objects> {
        match &self.object_type {
            Some(kind) if kind != FILE => {
                let inquiry = cx.engine().inquire(cx.caller)?;
                let (relation, whom) = (self.relation.parse()?, subject(&self.subject)?);
                let found = inquiry.objects(&kind.parse()?, &relation, &whom)?;
                let text = |object: &ObjectRef| Text::from(&*object.to_string());
                Ok(Objects {
                    objects: found.found.iter().map(text).collect(),
                    cut: found.cut,
                    next: None,
                })
            }
            Some(_) | None => self.paths(cx),
        }
    }
}

impl RebacObjects {
    fn paths(&self, cx: &Context<'_>) -> Result<Objects> {
        let (engine, role) = (cx.engine(), relation::role(&self.relation)?);
        if let Some(top) = &self.under {
            let asked = (&self.subject.parse()?, wanted(role));
            let page = below(cx, top, asked, (self.from.clone(), LOOKED_AT))?;
            return Ok(Objects {
                objects: page.found,
                cut: None,
                next: page.next,
            });
        }
        let mut objects = Vec::new();
        for ino in engine.granted_on(cx.caller, role, &self.subject.parse()?)? {
            let path = engine.path_for(cx.caller, ino)?;
            objects.extend(path.map(|path| Text(path.to_bytes())));
        }
        objects.sort();
        Ok(Objects {
            objects,
            cut: None,
            next: None,
        })
    }
}

/// What a role on files is wanted for.
fn wanted(role: &str) -> Right {
    match role {
        "owner" => Right::Own,
        "can_write" => Right::Write,
        "can_execute" => Right::Execute,
        _ => Right::Read,
    }
}
