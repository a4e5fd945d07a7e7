//! Types that a tenant defines for itself, beside those that every tenant has.
//!
//! Promise: what may be stored here makes a valid configuration together with the standard one, and leaves that as it is.

use super::name::TypeName;
use super::schema::{Allowed, Form, Schema, TypeDef};
use super::standard::standard;
use crate::core::{Error, Kind, Result, error::fail};
use crate::meta::tuple::FILE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Types as people write them down, a whole configuration or only what is new in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub struct Definitions {
    types: BTreeMap<TypeName, TypeDef>,
}

impl Definitions {
    /// The types that are new to the standard configuration. One that it has may be repeated, as a configuration that is
    /// tested by itself has to, and not changed.
    pub fn own(self) -> Result<BTreeMap<TypeName, TypeDef>> {
        let standard = standard()?;
        let mut own = BTreeMap::new();
        for (name, def) in self.types {
            match standard.types().get(&name) {
                None => drop(own.insert(name, def)),
                Some(built_in) if *built_in == def => {}
                Some(_) => return built_in(&name),
            }
        }
        Ok(own)
    }
}

impl TryFrom<Form> for Definitions {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        let types = form.types()?;
        Ok(Self { types })
    }
}

fn built_in<T>(name: &TypeName) -> Result<T> {
    let why = if name.as_str() == FILE {
        "the tree is judged by it on every system call"
    } else {
        "principals are made and put into groups by commands of their own"
    };
    let message =
        format!("type {name} is built in and cannot be redefined: {why}; take another name");
    fail(Kind::Invalid, message)
}

impl Schema {
    /// The standard configuration with a tenant's own types.
    pub fn with_own(own: &BTreeMap<TypeName, TypeDef>) -> Result<Self> {
        let mut types = standard()?.types().clone();
        for (name, def) in own {
            if types.insert(name.clone(), def.clone()).is_some() {
                return built_in(name);
            }
            no_files(name, def)?;
        }
        Self::new(types)
    }
}

/// Refuses relations to files: their tuples are not here, so whatever followed from them would silently be nothing.
fn no_files(name: &TypeName, def: &TypeDef) -> Result<()> {
    for (relation, def) in &def.relations {
        let kinds = def.types.iter().flatten().map(|allowed| match allowed {
            Allowed::Object(kind) | Allowed::Wildcard(kind) | Allowed::Userset(kind, _) => kind,
        });
        if kinds.into_iter().any(|kind| kind.as_str() == FILE) {
            let message = format!(
                "{relation} of {name}: files cannot be subjects; name users, agents, groups or types of your own"
            );
            return fail(Kind::Invalid, message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn outcome(types: &Value) -> Result<Schema> {
        let read: Definitions = serde_json::from_value(json!({ "types": types })).unwrap();
        Schema::with_own(&read.own()?)
    }

    #[track_caller]
    fn refused(types: &Value, why: &str) {
        let e = outcome(types).unwrap_err();
        assert_eq!(e.kind(), Kind::Invalid);
        assert!(e.message().contains(why), "{e} does not say {why:?}");
    }

    #[test]
    fn own_types_stand_on_principals_and_each_other() {
        let people = json!([{"type": "user"}, {"type": "user", "wildcard": true}, {"type": "agent"},
            {"type": "group", "relation": "member"}, {"type": "folder", "relation": "viewer"}]);
        let schema = outcome(&json!({
            "folder": {"relations": {"viewer": {"rewrite": {"this": true}, "types": people}}},
            "doc": {"relations": {
                "parent": {"rewrite": {"this": true}, "types": [{"type": "folder"}]},
                "viewer": {"rewrite": {"ttu": {"tupleset": "parent", "computed": "viewer"}}},
            }},
        }));
        let names: Vec<String> = schema
            .unwrap()
            .types()
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["agent", "doc", "file", "folder", "group", "user"]);
    }

    #[test]
    fn a_built_in_type_may_be_repeated_and_not_changed() {
        let group = serde_json::to_value(standard().unwrap()).unwrap()["types"]["group"].clone();
        outcome(&json!({"user": {}, "group": group, "doc": {}})).unwrap();
        refused(&json!({"file": {}}), "the tree is judged by it");
        refused(&json!({"group": {}}), "take another name");
    }

    #[test]
    fn what_names_files_or_nothing_that_is_there_is_refused() {
        let takes = |allowed: Value| json!({"doc": {"relations": {"r": {"rewrite": {"this": true}, "types": [allowed]}}}});
        refused(&takes(json!({"type": "file"})), "files cannot be subjects");
        refused(
            &takes(json!({"type": "file", "relation": "owner"})),
            "r of doc",
        );
        refused(&takes(json!({"type": "team"})), "no type team");
    }
}
