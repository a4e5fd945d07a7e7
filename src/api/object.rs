//! What a relationship is about, and whom it names, as requests say it.

use crate::access::rebac::{ObjectRef, Subject};
use crate::core::{Result, Text};
use crate::meta::SubjectKind;
use crate::meta::tuple::FILE;
use serde::{Deserialize, Serialize};

/// A path, `"path": "/workspace/a"`, or any object by type and name, `"object": "doc:readme"`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum On {
    Path { path: Text },
    Object { object: String },
}

/// The fields of a request that say it: a struct, so that a command that has them among its own knows which are none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
}

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.path.is_none() && self.object.is_none()
    }
}

impl TryFrom<Fields> for On {
    type Error = &'static str;

    fn try_from(said: Fields) -> std::result::Result<Self, Self::Error> {
        match (said.path, said.object) {
            (Some(path), None) => Ok(Self::Path { path }),
            (None, Some(object)) => Ok(Self::Object { object }),
            (None, None) => Err(
                "say what it is about: `path`, or `object` as in doc:readme or file:/workspace/a",
            ),
            (Some(_), Some(_)) => Err("say either `path` or `object`"),
        }
    }
}

impl From<On> for Fields {
    fn from(on: On) -> Self {
        let (path, object) = match on {
            On::Path { path } => (Some(path), None),
            On::Object { object } => (None, Some(object)),
        };
        Self { path, object }
    }
}

/// The same by who knows its relationships.
pub(super) enum Target {
    /// A node, by its path.
    File(Text),
    /// A group, by its name: its only relation is who is in it.
    Group(String),
    /// An object of a type that the tenant has defined.
    Own(ObjectRef),
}

impl On {
    /// `file:/workspace/a` is that path, and `group:developers` that group.
    pub(super) fn target(&self) -> Result<Target> {
        let object = match self {
            Self::Path { path } => return Ok(Target::File(path.clone())),
            Self::Object { object } => object,
        };
        match object.split_once(':') {
            Some((FILE, path)) => Ok(Target::File(Text::from(path))),
            Some((kind, name)) if kind == SubjectKind::Group.to_string() => {
                Ok(Target::Group(name.to_owned()))
            }
            Some(_) | None => object.parse().map(Target::Own),
        }
    }
}

/// Reads `user:bob`, `group:developers#member`, `user:*`, `folder:plans`; a bare name is a user's.
pub(super) fn subject(text: &str) -> Result<Subject> {
    if text.contains(':') {
        return text.parse();
    }
    format!("{}:{text}", SubjectKind::User).parse()
}
