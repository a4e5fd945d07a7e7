//! A configuration: the types of things, their relations, and how one relation follows from others.
//!
//! Promise: a [`Schema`] that exists has been validated; the evaluator trusts it.

use super::name::{Relation, TypeName};
use super::tuple::{Subject, Tuple};
use super::validate;
use crate::core::{Error, Kind, Result, error::fail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A validated configuration of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub struct Schema {
    types: BTreeMap<TypeName, TypeDef>,
}

/// A type of things.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeDef {
    #[serde(default)]
    pub relations: BTreeMap<Relation, RelationDef>,
}

/// What a relation of a type means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationDef {
    pub rewrite: Rewrite,
    /// The subjects that stored tuples may name; `None` is any. A relation that says nothing allows none.
    #[serde(default = "RelationDef::no_types")]
    pub types: Option<Vec<Allowed>>,
    /// Whether following a tuple of this relation costs no hop, as the components of a path do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
}

/// How the subjects of a relation are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewrite {
    /// The stored tuples of this relation.
    #[serde(with = "truth")]
    This,
    /// Another relation of the same object.
    Computed(Relation),
    /// A relation of any object that the tupleset relation names: `viewer` of the `parent`.
    Ttu(Ttu),
    /// The same, of every object that the tupleset names, of which there must be one.
    TtuAll(Ttu),
    Union(Vec<Rewrite>),
    Intersection(Vec<Rewrite>),
    Exclusion {
        base: Box<Rewrite>,
        subtract: Box<Rewrite>,
    },
    /// Nobody.
    #[serde(with = "truth")]
    Nil,
    /// The object itself.
    #[serde(rename = "self", with = "truth")]
    Itself,
    /// Everybody else.
    Not(Box<Rewrite>),
}

/// A tuple-to-userset: follow the stored tuples of `tupleset`, ask for `computed` there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ttu {
    pub tupleset: Relation,
    pub computed: Relation,
}

/// A kind of subject that stored tuples of a relation may name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "AllowedForm", into = "AllowedForm")]
pub enum Allowed {
    Object(TypeName),
    Userset(TypeName, Relation),
    Wildcard(TypeName),
}

impl Schema {
    /// Validates a configuration.
    pub fn new(types: BTreeMap<TypeName, TypeDef>) -> Result<Self> {
        let schema = Self { types };
        validate::schema(&schema)?;
        Ok(schema)
    }

    pub fn types(&self) -> &BTreeMap<TypeName, TypeDef> {
        &self.types
    }

    /// Finds a type or says that there is none.
    pub fn kind(&self, name: &TypeName) -> Result<&TypeDef> {
        let unknown = || Error::new(Kind::Invalid, format!("no type {name}"));
        self.types.get(name).ok_or_else(unknown)
    }

    /// Finds a relation of a type or says what is unknown.
    pub fn relation(&self, kind: &TypeName, name: &Relation) -> Result<&RelationDef> {
        let def = self.kind(kind)?;
        let unknown = || {
            let has: Vec<&str> = def.relations.keys().map(Relation::as_str).collect();
            let has = if has.is_empty() {
                "none".to_owned()
            } else {
                has.join(", ")
            };
            let message = format!("type {kind} has no relation {name}; it has {has}");
            Error::new(Kind::Invalid, message)
        };
        def.relations.get(name).ok_or_else(unknown)
    }

    /// Finds a relation with its name as long-lived as the configuration, if there is one.
    pub(super) fn find(&self, kind: &TypeName, name: &str) -> Option<(&Relation, &RelationDef)> {
        self.types.get(kind)?.relations.get_key_value(name)
    }

    /// Refuses a subject that names what the configuration does not know.
    pub fn knows(&self, subject: &Subject) -> Result<()> {
        match subject {
            Subject::Object(object) => self.kind(&object.kind).map(drop),
            Subject::Wildcard(kind) => self.kind(kind).map(drop),
            Subject::Userset(object, relation) => self.relation(&object.kind, relation).map(drop),
        }
    }

    /// Whether a tuple may be stored. What a later configuration no longer admits stays stored and counts for nothing.
    pub fn admits(&self, tuple: &Tuple) -> Result<()> {
        let (object, relation) = (&tuple.object, &tuple.relation);
        let def = self.relation(&object.kind, relation)?;
        self.knows(&tuple.subject)?;
        let kind = &object.kind;
        if !def.rewrite.is_stored() {
            return fail(
                Kind::Invalid,
                format!("{relation} of {kind} follows from other relations and is never stored"),
            );
        }
        if def.allows(&tuple.subject) {
            return Ok(());
        }
        fail(
            Kind::Invalid,
            format!("{relation} of {kind} does not take {}", tuple.subject),
        )
    }

    /// Completes a tuple that names a thing where only the thing's userset may stand: `group:developers` as `owner` of
    /// a file is `group:developers#member`. Changes nothing when there is not exactly one such userset.
    pub fn complete(&self, tuple: Tuple) -> Tuple {
        let Some((_, def)) = self.find(&tuple.object.kind, tuple.relation.as_str()) else {
            return tuple;
        };
        let Subject::Object(object) = &tuple.subject else {
            return tuple;
        };
        match def.only_userset_of(&object.kind) {
            Some(relation) if !def.allows(&tuple.subject) => Tuple {
                subject: Subject::Userset(object.clone(), relation.clone()),
                ..tuple
            },
            _ => tuple,
        }
    }
}

impl RelationDef {
    #[allow(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
    fn no_types() -> Option<Vec<Allowed>> {
        Some(Vec::new())
    }

    /// Whether stored tuples of the relation may name this subject.
    pub fn allows(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Object(object) => self.allows_object(&object.kind),
            Subject::Userset(object, relation) => self.allows_userset(&object.kind, relation),
            Subject::Wildcard(kind) => self.allows_wildcard(kind),
        }
    }

    pub(super) fn allows_object(&self, kind: &TypeName) -> bool {
        self.any(|a| matches!(a, Allowed::Object(k) if k == kind))
    }

    pub(super) fn allows_userset(&self, kind: &TypeName, relation: &Relation) -> bool {
        self.any(|a| matches!(a, Allowed::Userset(k, r) if k == kind && r == relation))
    }

    pub(super) fn allows_wildcard(&self, kind: &TypeName) -> bool {
        self.any(|a| matches!(a, Allowed::Wildcard(k) if k == kind))
    }

    fn any(&self, fits: impl Fn(&Allowed) -> bool) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.iter().any(fits))
    }

    fn only_userset_of(&self, kind: &TypeName) -> Option<&Relation> {
        let mut usersets = self.types.iter().flatten().filter_map(|a| match a {
            Allowed::Userset(k, relation) if k == kind => Some(relation),
            Allowed::Userset(..) | Allowed::Object(_) | Allowed::Wildcard(_) => None,
        });
        usersets.next().filter(|_| usersets.next().is_none())
    }
}

impl Rewrite {
    /// Whether stored tuples of the relation itself count.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::This) || self.parts().any(Self::is_stored)
    }

    /// The rewrites one level below.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Rewrite> {
        let (many, one, other): (&[Self], _, _) = match self {
            Self::Union(all) | Self::Intersection(all) => (all, None, None),
            Self::Exclusion { base, subtract } => (&[], Some(&**base), Some(&**subtract)),
            Self::Not(part) => (&[], Some(&**part), None),
            Self::This
            | Self::Computed(_)
            | Self::Ttu(_)
            | Self::TtuAll(_)
            | Self::Nil
            | Self::Itself => (&[], None, None),
        };
        many.iter().chain(one).chain(other)
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(kind) => kind.fmt(f),
            Self::Userset(kind, relation) => write!(f, "{kind}#{relation}"),
            Self::Wildcard(kind) => write!(f, "{kind}:*"),
        }
    }
}

/// A configuration on the wire.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    types: BTreeMap<TypeName, TypeDef>,
    #[serde(default)]
    conditions: serde_json::Map<String, serde_json::Value>,
}

impl Form {
    /// The types, where nothing is said that is not supported.
    pub(super) fn types(self) -> Result<BTreeMap<TypeName, TypeDef>> {
        match self.conditions.keys().next() {
            Some(name) => unsupported(name),
            None => Ok(self.types),
        }
    }
}

impl TryFrom<Form> for Schema {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        Self::new(form.types()?)
    }
}

/// An allowed subject on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedForm {
    #[serde(rename = "type")]
    kind: TypeName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relation: Option<Relation>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    wildcard: bool,
    #[serde(default, skip_serializing)]
    condition: Option<String>,
}

impl TryFrom<AllowedForm> for Allowed {
    type Error = Error;

    fn try_from(form: AllowedForm) -> Result<Self> {
        if let Some(name) = &form.condition {
            return unsupported(name);
        }
        match (form.relation, form.wildcard) {
            (None, false) => Ok(Self::Object(form.kind)),
            (Some(relation), false) => Ok(Self::Userset(form.kind, relation)),
            (None, true) => Ok(Self::Wildcard(form.kind)),
            (Some(relation), true) => fail(
                Kind::Invalid,
                format!(
                    "{}:*#{relation} is neither a wildcard nor a userset",
                    form.kind
                ),
            ),
        }
    }
}

impl From<Allowed> for AllowedForm {
    fn from(allowed: Allowed) -> Self {
        let (kind, relation, wildcard) = match allowed {
            Allowed::Object(kind) => (kind, None, false),
            Allowed::Userset(kind, relation) => (kind, Some(relation), false),
            Allowed::Wildcard(kind) => (kind, None, true),
        };
        Self {
            kind,
            relation,
            wildcard,
            condition: None,
        }
    }
}

fn unsupported<T>(condition: &str) -> Result<T> {
    fail(
        Kind::Unsupported,
        format!("conditions are not supported, and the configuration has {condition:?}"),
    )
}

/// `{"this": true}`: a variant without content whose value on the wire is `true`.
mod truth {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(true)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
        if bool::deserialize(from)? {
            return Ok(());
        }
        Err(D::Error::custom("only true can stand here"))
    }
}
