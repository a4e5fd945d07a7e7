//! The configuration a tenant starts with, and the other names its relations go by.
//!
//! Promise: the store holds one name for one meaning; aliases end at the door that canonicalises.

use super::name::Relation;
use super::schema::Schema;
use super::tuple::Tuple;
use crate::core::{Error, Kind, Result};

/// Other names, and the names that are stored for them.
const ALIASES: [(&str, &str); 6] = [
    ("owner-of", "owner"),
    ("editor-of", "can_write"),
    ("viewer-of", "can_read"),
    ("member-of", "member"),
    ("part-of", "member"),
    ("parent-of", "parent"),
];

/// Reads the configuration a tenant starts with.
pub fn standard() -> Result<Schema> {
    let read = serde_json::from_str(include_str!("standard.json"));
    read.map_err(|e| Error::new(Kind::Corrupt, "the standard configuration").caused_by(e))
}

/// The name under which a relation is stored: `editor-of` is `can_write`. A name that the configuration itself
/// defines for some type stays what it is.
pub fn canonical(schema: &Schema, name: &Relation) -> Result<Relation> {
    let own = |def: &super::schema::TypeDef| def.relations.contains_key(name);
    if schema.types().values().any(own) {
        return Ok(name.clone());
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name.as_str());
    alias.map_or_else(|| Ok(name.clone()), |(_, stored)| Relation::new(stored))
}

/// A tuple as it is stored: its relation by the canonical name, a bare group as its members.
pub fn canonical_tuple(schema: &Schema, tuple: Tuple) -> Result<Tuple> {
    let relation = canonical(schema, &tuple.relation)?;
    Ok(schema.complete(Tuple { relation, ..tuple }))
}
