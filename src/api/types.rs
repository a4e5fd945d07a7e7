//! Types of objects that a tenant defines for itself.

use super::Command;
use super::context::Context;
use crate::access::rebac::{Definitions, TypeDef, TypeName};
use crate::core::{Error, Kind, Result};
use crate::fs::Defined;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeInfo {
    #[serde(rename = "type")]
    pub name: TypeName,
    pub definition: TypeDef,
    /// How many tuples are on objects of the type.
    pub tuples: usize,
    /// How many of these count for nothing, because the definition does not admit them any more.
    pub idle: usize,
    pub created: String,
    pub updated: String,
}

impl From<Defined> for TypeInfo {
    fn from(t: Defined) -> Self {
        Self {
            name: t.name,
            definition: t.def,
            tuples: t.tuples,
            idle: t.idle,
            created: t.created.to_string(),
            updated: t.updated.to_string(),
        }
    }
}

/// Defines types, new or anew, all or none; for administrators. `{"types": {"doc": {"relations": {…}}}}`, as policy tests write
/// a configuration.
#[derive(Debug, Serialize, Deserialize)]
pub struct RebacTypeSet(pub Definitions);

#[derive(Debug, Serialize, Deserialize)]
pub struct Types {
    pub types: Vec<TypeInfo>,
}

impl Command for RebacTypeSet {
    const NAME: &'static str = "rebac-type-set";
    type Reply = Types;

    fn run(self, cx: &mut Context<'_>) -> Result<Types> {
        let names = cx.engine().set_types(cx.caller, self.0)?;
        let mut types = known(cx)?;
        types.retain(|t| names.contains(&t.name));
        cx.durable(Types { types })
    }
}

/// Lists the types of the tenant's own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacTypeList {}

impl Command for RebacTypeList {
    const NAME: &'static str = "rebac-type-list";
    type Reply = Types;

    fn run(self, cx: &mut Context<'_>) -> Result<Types> {
        Ok(Types { types: known(cx)? })
    }
}

fn known(cx: &Context<'_>) -> Result<Vec<TypeInfo>> {
    let found = cx.engine().types(cx.caller)?;
    Ok(found.into_iter().map(TypeInfo::from).collect())
}

/// Shows one type.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacTypeShow {
    #[serde(rename = "type")]
    pub name: String,
}

impl Command for RebacTypeShow {
    const NAME: &'static str = "rebac-type-show";
    type Reply = TypeInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<TypeInfo> {
        let mut all = known(cx)?.into_iter();
        let missing = || Error::new(Kind::NotFound, format!("no type {:?}", self.name));
        let found = all.find(|t| t.name.as_str() == self.name);
        found.ok_or_else(missing)
    }
}

/// Takes a type away with every tuple that names an object of it; for administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacTypeDelete {
    #[serde(rename = "type")]
    pub name: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TypeDeleted {
    #[serde(rename = "type")]
    pub name: String,
    /// How many tuples went with it.
    pub tuples: usize,
}

impl Command for RebacTypeDelete {
    const NAME: &'static str = "rebac-type-delete";
    type Reply = TypeDeleted;

    fn run(self, cx: &mut Context<'_>) -> Result<TypeDeleted> {
        let tuples = cx.engine().delete_type(cx.caller, &self.name.parse()?)?;
        cx.durable(TypeDeleted {
            name: self.name,
            tuples,
        })
    }
}
