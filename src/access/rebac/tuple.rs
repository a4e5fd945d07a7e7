//! A tuple: who (subject) has what (relation) on what (object), until when.

use super::name::{ObjectId, Relation, TypeName};
use crate::core::{Error, Kind, Result, Time, error::fail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One thing: a type and an identifier, kept apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectRef {
    pub kind: TypeName,
    pub id: ObjectId,
}

/// Who a tuple speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// One thing, such as `user:alice`.
    Object(ObjectRef),
    /// Whoever has a relation on a thing, such as `group:developers#member`.
    Userset(ObjectRef, Relation),
    /// Everything of a type, such as `user:*`.
    Wildcard(TypeName),
}

/// One stored relationship.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Tuple {
    pub object: ObjectRef,
    pub relation: Relation,
    pub subject: Subject,
    /// From this moment on the tuple says nothing.
    pub expires: Option<Time>,
}

impl ObjectRef {
    pub fn new(kind: &str, id: &str) -> Result<Self> {
        Ok(Self {
            kind: TypeName::new(kind)?,
            id: ObjectId::new(id)?,
        })
    }
}

impl Subject {
    /// The type of the thing, or of the thing whose relation it is.
    pub fn kind(&self) -> &TypeName {
        match self {
            Self::Object(object) | Self::Userset(object, _) => &object.kind,
            Self::Wildcard(kind) => kind,
        }
    }
}

impl Tuple {
    /// Makes a tuple that does not expire.
    pub fn new(object: ObjectRef, relation: Relation, subject: Subject) -> Self {
        Self {
            object,
            relation,
            subject,
            expires: None,
        }
    }

    pub fn until(self, expires: Time) -> Self {
        Self {
            expires: Some(expires),
            ..self
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Userset(object, relation) => write!(f, "{object}#{relation}"),
            Self::Wildcard(kind) => write!(f, "{kind}:*"),
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            relation,
            subject,
            expires,
        } = self;
        write!(f, "{subject} is {relation} of {object}")?;
        expires.map_or(Ok(()), |t| write!(f, " until {t}"))
    }
}

impl FromStr for ObjectRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((kind, id)) => Self::new(kind, id),
            None => fail(
                Kind::Invalid,
                format!("{text:?} is not of the form type:id"),
            ),
        }
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(kind) = text.strip_suffix(":*") {
            return Ok(Self::Wildcard(kind.parse()?));
        }
        match text.split_once('#') {
            Some((object, relation)) => Ok(Self::Userset(object.parse()?, relation.parse()?)),
            None => Ok(Self::Object(text.parse()?)),
        }
    }
}

/// Gives a type that is a string on the wire what serde asks for.
macro_rules! as_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

as_string!(ObjectRef);
as_string!(Subject);

/// A tuple on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    object: ObjectRef,
    relation: Relation,
    subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing)]
    condition: Option<serde::de::IgnoredAny>,
}

impl TryFrom<Form> for Tuple {
    type Error = Error;

    /// Refuses a condition rather than forget it: without it the tuple would allow more than it says.
    fn try_from(form: Form) -> Result<Self> {
        if form.condition.is_some() {
            return fail(
                Kind::Unsupported,
                "tuples with conditions are not supported",
            );
        }
        Ok(Self {
            object: form.object,
            relation: form.relation,
            subject: form.subject,
            expires: form.expires_at.as_deref().map(moment).transpose()?,
        })
    }
}

impl From<Tuple> for Form {
    fn from(tuple: Tuple) -> Self {
        Self {
            object: tuple.object,
            relation: tuple.relation,
            subject: tuple.subject,
            expires_at: tuple.expires.map(|t| t.to_string()),
            condition: None,
        }
    }
}

/// Reads an RFC 3339 time.
pub(super) fn moment(text: &str) -> Result<Time> {
    let bad = || Error::new(Kind::Invalid, format!("{text:?} is no RFC 3339 time"));
    let time: jiff::Timestamp = text.parse().map_err(|e| bad().caused_by(e))?;
    let ns = i64::try_from(time.as_nanosecond()).map_err(|e| bad().caused_by(e))?;
    Ok(Time(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_back_as_it_was_written() {
        for text in ["user:alice", "group:dev#member", "user:*", "file:/a b"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_ambiguous_reference_is_refused() {
        for bad in [
            "alice",
            "user:",
            ":alice",
            "a:b:c",
            "user:*#member",
            "user:a#",
            "user:a#b#c",
            "*",
            "",
            "user:a:*",
            "#member",
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?}");
        }
        assert!("user:*".parse::<ObjectRef>().is_err());
        assert!("group:dev#member".parse::<ObjectRef>().is_err());
    }

    #[test]
    fn a_tuple_with_a_condition_is_refused_and_never_stored_without_it() {
        let plain = r#"{"object":"file:1","relation":"owner","subject":"user:a","expires_at":"2026-01-01T00:00:00Z"}"#;
        let tuple: Tuple = serde_json::from_str(plain).unwrap();
        assert_eq!(tuple.expires.unwrap().secs(), 1_767_225_600);
        let again: Tuple = serde_json::from_str(&serde_json::to_string(&tuple).unwrap()).unwrap();
        assert_eq!(again, tuple);
        let conditional = plain.replace("\"expires_at\"", "\"condition\"");
        let refused = serde_json::from_str::<Tuple>(&conditional).unwrap_err();
        assert!(refused.to_string().contains("conditions"), "{refused}");
    }
}
