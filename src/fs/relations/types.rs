//! Types of objects: defined, changed and taken away by a tenant's administrators.

use super::graph::Graph;
use super::names::said;
use crate::access::rebac::{Definitions, Schema, TypeDef, TypeName};
use crate::core::{Caller, Error, Kind, Result, Time, error::fail};
use crate::fs::Engine;
use crate::fs::home::Home;
use crate::fs::namespace::admin;
use crate::meta::tuple::{FILE, PRINCIPALS, Tuple};
use crate::meta::{Edit, ObjectType, OpKind};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest definition of one type, as JSON, in bytes.
const DEFINITION_MAX: usize = 64 << 10;

/// A type with what is said by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    pub name: TypeName,
    pub def: TypeDef,
    pub created: Time,
    pub updated: Time,
    /// How many tuples are on objects of the type.
    pub tuples: usize,
    /// How many of these count for nothing, because the definition does not admit them any more.
    pub idle: usize,
}

impl Engine {
    /// Defines types of the caller's tenant, new or anew, all or none of them; administrators only. Tuples that a definition
    /// does not admit any more stay and count for nothing. Gives the names of all that were said.
    pub fn set_types(&self, caller: &Caller, definitions: Definitions) -> Result<Vec<TypeName>> {
        admin(caller)?;
        let said = definitions.own()?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let graph = self.relations.graph(home.tenant.id).unwrap_or_default();
            let mut all = graph.definitions()?;
            all.extend(said.clone());
            Schema::with_own(&all)?;
            let mut changed = Vec::new();
            for (name, def) in &said {
                changed.extend(self.redefined(&home, &graph, name, def, ch.now)?);
            }
            if changed.is_empty() {
                return Ok(());
            }
            let names: Vec<&str> = changed.iter().map(|t| &*t.name).collect();
            let of = |t: &Arc<ObjectType>| graph.types.get(t.name.as_str());
            let replaced: Vec<_> = changed.iter().filter_map(of).collect();
            let undo =
                json!({ "object": names.join(", "), "types": changed, "replaced_types": replaced });
            for new in &changed {
                ch.edit(Edit::ObjectType(new.clone()));
            }
            ch.record_of(&home, OpKind::TypeSet, &undo);
            Ok(())
        })?;
        Ok(said.into_keys().collect())
    }

    /// The row of a definition; `None` when it is what is stored already.
    fn redefined(
        &self,
        home: &Home,
        graph: &Graph,
        name: &TypeName,
        def: &TypeDef,
        now: Time,
    ) -> Result<Option<Arc<ObjectType>>> {
        let definition = serde_json::to_string(def).map_err(|e| {
            let message = format!("the definition of {name} cannot be written down");
            Error::new(Kind::Invalid, message).caused_by(e)
        })?;
        if definition.len() > DEFINITION_MAX {
            let message = format!("type {name} takes more than {DEFINITION_MAX} bytes to define");
            return fail(Kind::Invalid, message);
        }
        let old = graph.types.get(name);
        if old.is_some_and(|old| old.definition == definition) {
            return Ok(None);
        }
        Ok(Some(Arc::new(ObjectType {
            id: old.map_or_else(|| self.next_id(), |old| old.id),
            tenant: home.tenant.id,
            name: name.to_string(),
            definition,
            created: old.map_or(now, |old| old.created),
            updated: now,
        })))
    }

    /// Takes a type away with every tuple that names an object of it, on either side; administrators only. Refused while
    /// another type names it. Gives how many tuples went.
    pub fn delete_type(&self, caller: &Caller, name: &TypeName) -> Result<usize> {
        admin(caller)?;
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let graph = self.relations.graph(home.tenant.id).unwrap_or_default();
            let old = graph.types.get(name).ok_or_else(|| no_type(name))?;
            let mut rest = graph.definitions()?;
            rest.remove(name);
            Schema::with_own(&rest).map_err(|e| e.context(format!("{name} is named by others")))?;
            let kind = name.as_str();
            let names_it = |t: &Tuple| t.object_type == kind || t.subject_type == kind;
            let going = self.relations.tuples(home.tenant.id, names_it);
            let count = going.len();
            going.into_iter().try_for_each(|t| ch.drop_grant(t))?;
            ch.edit(Edit::ObjectTypeGone(old.clone()));
            let undo = json!({ "object": kind, "replaced_types": [old] });
            ch.record_of(&home, OpKind::TypeDelete, &undo);
            Ok(count)
        })
    }

    /// The types that the caller's tenant has defined, by name.
    pub fn types(&self, caller: &Caller) -> Result<Vec<Defined>> {
        let home = self.own_home(caller)?;
        let graph = self.relations.graph(home.tenant.id).unwrap_or_default();
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for tuple in graph.tuples() {
            let (all, idle) = counts.entry(&tuple.object_type).or_default();
            *all += 1;
            *idle += usize::from(graph.schema.admits(&said(tuple)?).is_err());
        }
        let defined = |(name, def): (TypeName, TypeDef)| {
            let row = graph.types.get(&name)?;
            let (tuples, idle) = counts.get(name.as_str()).copied().unwrap_or_default();
            Some(Defined {
                name,
                def,
                created: row.created,
                updated: row.updated,
                tuples,
                idle,
            })
        };
        Ok(graph
            .definitions()?
            .into_iter()
            .filter_map(defined)
            .collect())
    }

    /// The graph of a tenant that has defined a type; fails for types that are built in, or not there.
    pub(super) fn graph_with(&self, caller: &Caller, kind: &TypeName) -> Result<Arc<Graph>> {
        let home = self.own_home(caller)?;
        let graph = self.relations.graph(home.tenant.id).unwrap_or_default();
        Self::known(&graph, kind).map(|()| graph.clone())
    }

    /// Refuses a type whose relationships are not here, and says where they are.
    pub(super) fn known(graph: &Graph, kind: &TypeName) -> Result<()> {
        let name = kind.as_str();
        if graph.types.contains_key(kind) {
            return Ok(());
        }
        let message = if name == FILE {
            "relationships to files go by their paths".to_owned()
        } else if PRINCIPALS.contains(&name) {
            format!("relationships to type {name} are memberships: the group commands change them")
        } else {
            format!("no type {name}: `nexus rebac type set` defines one")
        };
        fail(Kind::Invalid, message)
    }
}

fn no_type(name: &TypeName) -> Error {
    Error::new(Kind::NotFound, format!("no type {name} of your own"))
}
