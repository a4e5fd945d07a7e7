//! What a relationship is about, and whom it names, as requests say it.

use crate::access::rebac::{ObjectRef, Subject};
use crate::core::{Result, Text};
use crate::meta::SubjectKind;
use crate::meta::tuple::FILE;
use serde::{Deserialize, Serialize};

/// A path, `"path": "/workspace/a"`, or any object by type and name, `"object": "doc:readme"`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum On {
    Path { path: Text },
    Object { object: String },
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
