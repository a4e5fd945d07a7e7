//! Why somebody may do something to a path, or may not.

use super::Command;
use super::context::{Context, found_at};
use super::files::Attr;
use super::grants::TupleInfo;
use crate::access::{Layer, Right};
use crate::core::{Ino, Result, Text};
use crate::fs::{Explanation, Obstacle};
use crate::meta::Subject;
use serde::{Deserialize, Serialize};

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
        let by = why.by.as_ref().map(|tuple| TupleInfo::shown(cx, tuple));
        let by = by.transpose()?.flatten();
        Ok(Because {
            subject: subject.to_string(),
            op: self.op,
            path: Text(path.to_bytes()),
            allowed: why.allowed,
            layer: why.layer.word().to_owned(),
            because: because(cx, &why, by.as_ref())?,
            by,
        })
    }
}

fn because(cx: &Context<'_>, why: &Explanation, by: Option<&TupleInfo>) -> Result<String> {
    if let Some(obstacle) = why.obstacle {
        return in_the_way(cx, why, obstacle);
    }
    Ok(match (why.layer, by) {
        (Layer::Admin, _) => "an administrator may do everything".to_owned(),
        (Layer::Graph, Some(t)) => format!(
            "tuple {} gives {}:{} {} on {}",
            t.tuple_id, t.subject_type, t.subject_id, t.relation, t.object_id
        ),
        (Layer::Graph, None) => {
            "it is the way to a grant further down, and shows that alone".to_owned()
        }
        (Layer::Unix | Layer::Deny | Layer::None, _) => by_mode(cx, why)?,
    })
}

fn in_the_way(cx: &Context<'_>, why: &Explanation, obstacle: Obstacle) -> Result<String> {
    Ok(match obstacle {
        Obstacle::Way(dir) => format!("it takes a right to search {}", shown(cx, dir)?),
        Obstacle::Deny(at) => format!("an entry in the list of {} denies it", shown(cx, at)?),
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
    Ok(format!(
        "mode {mode:04o} of owner {owner} (gid {})",
        attr.gid
    ))
}

/// A path, as far as the caller may see it.
fn shown(cx: &Context<'_>, ino: Ino) -> Result<String> {
    let path = cx.engine().path_for(cx.caller, ino)?;
    Ok(path.map_or_else(|| "a directory above".to_owned(), |p| p.to_string()))
}
