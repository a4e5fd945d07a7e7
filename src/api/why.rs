//! Why somebody may do something to a path, or may not.

use super::Command;
use super::context::{Context, found_at};
use super::files::Attr;
use super::grants::TupleInfo;
use crate::access::{Bits, Layer, Right};
use crate::core::{Error, Ino, Result, Text};
use crate::fs::{Explanation, Obstacle};
use crate::meta::tuple::Tuple;
use crate::meta::{Subject, SubjectKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    Read,
    Write,
    Execute,
    /// What only an owner may: change the mode, grant.
    Own,
}

impl From<Wish> for Right {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Read => Self::Read,
            Wish::Write => Self::Write,
            Wish::Execute => Self::Execute,
            Wish::Own => Self::Own,
        }
    }
}

/// Explains why a user (`bob`) or an agent (`agent:coder`) may do something to a path, or may not. Anybody may ask about
/// himself, owners and administrators about anybody.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    pub subject: String,
    pub op: Wish,
    pub path: Text,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Because {
    /// `user:bob`.
    pub subject: String,
    pub op: Wish,
    pub path: Text,
    pub allowed: bool,
    /// Which layer decided: `admin`, `deny`, `graph`, `unix` (mode or list), or `none`.
    pub layer: String,
    /// The grant that gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<TupleInfo>,
    /// The grant that would give it, if it had not ended, or did not end at a boundary above the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<TupleInfo>,
    /// From the subject to whom that grant names: `user:carol`, `group:juniors`, `group:developers`, each in the next; an agent
    /// acts for its owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
    /// The same for people.
    pub because: String,
}

impl Command for Why {
    const NAME: &'static str = "why";
    type Reply = Because;

    fn run(self, cx: &mut Context<'_>) -> Result<Because> {
        let (path, node) = found_at(cx, &self.path)?;
        let subject: Subject = self.subject.parse()?;
        let why = cx
            .engine()
            .explain(cx.caller, &subject, node.ino, self.op.into());
        let why = why.map_err(|e| e.context(&path))?;
        let shown = |tuple: Option<&Arc<Tuple>>| {
            let shown = tuple.map(|tuple| TupleInfo::shown(cx, tuple));
            Ok::<_, Error>(shown.transpose()?.flatten())
        };
        let by = shown(why.by.as_ref())?;
        let lapsed = shown(why.obstacle.as_ref().and_then(Obstacle::lapsed))?;
        Ok(Because {
            subject: subject.to_string(),
            op: self.op,
            path: Text(path.to_bytes()),
            allowed: why.allowed,
            layer: why.layer.word().to_owned(),
            because: because(cx, &why, by.as_ref().or(lapsed.as_ref()))?,
            through: why.through.iter().map(Subject::to_string).collect(),
            by,
            lapsed,
        })
    }
}

fn because(cx: &Context<'_>, why: &Explanation, by: Option<&TupleInfo>) -> Result<String> {
    if let Some(obstacle) = &why.obstacle {
        return in_the_way(cx, why, obstacle, by);
    }
    Ok(match (why.layer, by) {
        (Layer::Admin, _) => "an administrator may do everything".to_owned(),
        (Layer::Graph, Some(t)) => given(t, why, "gives"),
        (Layer::Graph, None) => {
            "it is the way to a grant further down, and shows that alone".to_owned()
        }
        (Layer::Acl | Layer::Unix | Layer::Deny | Layer::None, _) => by_mode(cx, why)?,
    })
}

/// What a grant says, and how it comes to whom it is about.
fn given(tuple: &TupleInfo, why: &Explanation, gives: &str) -> String {
    let TupleInfo {
        tuple_id,
        subject_type,
        subject_id,
        relation,
        object_id,
        ..
    } = tuple;
    let steps = why.through.windows(2).map(|two| match two {
        [one, next] if next.kind == SubjectKind::User => format!(", {one} acts for {next}"),
        [one, next] => format!(", {one} is in {next}"),
        _ => String::new(),
    });
    let steps: String = steps.collect();
    let number = tuple_id.unwrap_or_default();
    format!("tuple {number} {gives} {subject_type}:{subject_id} {relation} on {object_id}{steps}")
}

fn in_the_way(
    cx: &Context<'_>,
    why: &Explanation,
    obstacle: &Obstacle,
    lapsed: Option<&TupleInfo>,
) -> Result<String> {
    let grant = |gives| {
        lapsed.map_or_else(
            || format!("a grant above {gives} it"),
            |t| given(t, why, gives),
        )
    };
    Ok(match obstacle {
        Obstacle::Way(dir) => format!("it takes a right to search {}", shown(cx, *dir)?),
        Obstacle::Deny(at) => format!("an entry in the list of {} denies it", shown(cx, *at)?),
        Obstacle::Boundary(at, _) => format!(
            "{}; it ends at the boundary of {}, and nothing else gives it",
            grant("gives"),
            shown(cx, *at)?
        ),
        Obstacle::Ended(tuple) => {
            let end = tuple
                .expires
                .map_or_else(String::new, |end| format!(" until {end}"));
            format!(
                "{}{end}, and nothing else gives it now: an owner may grant it again",
                grant("gave")
            )
        }
        Obstacle::Names => {
            "the file has several names, and not all of them lie where a grant gives it".to_owned()
        }
        Obstacle::ReadOnly => "the namespace is read-only".to_owned(),
        Obstacle::Nothing => format!("no grant gives it, and neither does {}", by_mode(cx, why)?),
    })
}

fn by_mode(cx: &Context<'_>, why: &Explanation) -> Result<String> {
    let attr = Attr::of(cx, &why.node)?;
    let (mode, owner) = (attr.mode & 0o7777, attr.owner);
    let gid = attr.gid;
    let mode = format!("mode {mode:04o} of owner {owner} (gid {gid})");
    Ok(match why.bits {
        Bits::Superuser => format!("{mode} for the superuser"),
        Bits::Owner => format!("{mode} for the owner"),
        Bits::Group => format!("{mode} for the group"),
        Bits::Others => format!("{mode} for others"),
        Bits::Nobody => format!("{mode}, which is nothing to an isolated agent"),
        Bits::Listed => format!("the list with {mode}"),
    })
}

/// A path, as far as the caller may see it.
fn shown(cx: &Context<'_>, ino: Ino) -> Result<String> {
    let path = cx.engine().path_for(cx.caller, ino)?;
    Ok(path.map_or_else(|| "a directory above".to_owned(), |p| p.to_string()))
}
