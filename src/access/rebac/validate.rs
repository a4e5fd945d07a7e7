//! What a configuration must satisfy before anything is judged by it.

use super::name::{Relation, TypeName};
use super::schema::{Allowed, RelationDef, Rewrite, Schema, Ttu};
use crate::core::{Error, Kind, Result, error::fail};
use std::collections::HashMap;

/// The most types a configuration may have.
const TYPES_MAX: usize = 1_000;
/// The most relations a type may have.
const RELATIONS_MAX: usize = 200;
/// How deep a rewrite may be nested.
const NESTING_MAX: usize = 16;
/// The most operands all rewrites of one relation may have together.
const OPERANDS_MAX: usize = 200;

/// Validates a configuration; the first fault is told with its type and relation.
pub(super) fn schema(schema: &Schema) -> Result<()> {
    limit(schema.types().len(), TYPES_MAX, "types")?;
    for (kind, def) in schema.types() {
        limit(def.relations.len(), RELATIONS_MAX, "relations").map_err(|e| e.context(kind))?;
        for (name, def) in &def.relations {
            let place = Place { schema, kind, name };
            place
                .relation(def)
                .map_err(|e| e.context(format!("{name} of {kind}")))?;
        }
    }
    Ok(())
}

fn limit(have: usize, max: usize, what: &str) -> Result<()> {
    if have <= max {
        return Ok(());
    }
    fail(Kind::Invalid, format!("{have} {what}, and {max} may be"))
}

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::new(Kind::Invalid, message))
}

/// The relation that is being looked at.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Schema,
    kind: &'a TypeName,
    name: &'a Relation,
}

impl<'a> Place<'a> {
    fn relation(self, def: &RelationDef) -> Result<()> {
        limit(nesting(&def.rewrite), NESTING_MAX, "levels of rewrites")?;
        limit(operands(&def.rewrite), OPERANDS_MAX, "rewrites")?;
        self.rewrite(&def.rewrite)?;
        for allowed in def.types.iter().flatten() {
            self.allowed(allowed)?;
        }
        self.not_subtracted_from_itself(def)
    }

    fn rewrite(self, rewrite: &Rewrite) -> Result<()> {
        match rewrite {
            Rewrite::This | Rewrite::Nil | Rewrite::Itself => Ok(()),
            Rewrite::Computed(name) => self.schema.relation(self.kind, name).map(drop),
            Rewrite::Ttu(ttu) | Rewrite::TtuAll(ttu) => self.ttu(ttu),
            Rewrite::Union(all) | Rewrite::Intersection(all) if all.is_empty() => {
                invalid("a union or intersection of nothing".to_owned())
            }
            Rewrite::Union(_)
            | Rewrite::Intersection(_)
            | Rewrite::Exclusion { .. }
            | Rewrite::Not(_) => rewrite.parts().try_for_each(|part| self.rewrite(part)),
        }
    }

    /// Holds that a tupleset is stored, and that a type it leads to has the relation that is asked for there.
    fn ttu(self, ttu: &Ttu) -> Result<()> {
        let Ttu { tupleset, computed } = ttu;
        let def = self.schema.relation(self.kind, tupleset)?;
        if !def.rewrite.is_stored() {
            return invalid(format!(
                "tupleset {tupleset} is not stored, so there is nothing to follow"
            ));
        }
        let has = |kind: &TypeName| self.schema.find(kind, computed.as_str()).is_some();
        let found = match &def.types {
            None => self.schema.types().keys().any(has),
            Some(types) => types
                .iter()
                .any(|t| matches!(t, Allowed::Object(kind) if has(kind))),
        };
        if found {
            return Ok(());
        }
        invalid(format!(
            "nothing that {tupleset} leads to has a relation {computed}"
        ))
    }

    fn allowed(self, allowed: &Allowed) -> Result<()> {
        match allowed {
            Allowed::Object(kind) | Allowed::Wildcard(kind) => self.schema.kind(kind).map(drop),
            Allowed::Userset(kind, relation) => self.schema.relation(kind, relation).map(drop),
        }
    }

    /// Refuses a relation that depends on its own negation through computed relations of the same object: such a
    /// definition has no answer. Dependence through stored tuples is for the evaluator, which answers *unknown*.
    fn not_subtracted_from_itself(self, def: &RelationDef) -> Result<()> {
        let names = computed(&def.rewrite, false);
        let negated = names.into_iter().filter(|(_, negated)| *negated);
        for (name, _) in negated {
            if let Some(way) = self.way_back_from(name) {
                let words: Vec<&str> = way.iter().map(|r| r.as_str()).collect();
                return invalid(format!("it excludes itself: {}", words.join(" \u{2192} ")));
            }
        }
        Ok(())
    }

    /// The relations through which one computes the relation that is being looked at, which ends and starts the way.
    fn way_back_from(self, first: &Relation) -> Option<Vec<&'a Relation>> {
        let (first, _) = self.schema.find(self.kind, first.as_str())?;
        let mut came_from = HashMap::from([(first, self.name)]);
        let mut waiting = vec![first];
        while let Some(name) = waiting.pop() {
            if name == self.name {
                return Some(way(&came_from, name));
            }
            let (_, def) = self.schema.find(self.kind, name.as_str())?;
            for (next, _) in computed(&def.rewrite, false) {
                came_from.entry(next).or_insert_with(|| {
                    waiting.push(next);
                    name
                });
            }
        }
        None
    }
}

/// The way that ends where it started.
fn way<'a>(
    came_from: &HashMap<&'a Relation, &'a Relation>,
    end: &'a Relation,
) -> Vec<&'a Relation> {
    let mut way = vec![end];
    let mut at = end;
    while let Some(&before) = came_from.get(at) {
        way.push(before);
        if before == end {
            break;
        }
        at = before;
    }
    way.reverse();
    way
}

/// The computed relations that a rewrite names, and whether under a negation.
fn computed(rewrite: &Rewrite, negated: bool) -> Vec<(&Relation, bool)> {
    match rewrite {
        Rewrite::Computed(name) => vec![(name, negated)],
        Rewrite::Exclusion { base, subtract } => {
            [computed(base, negated), computed(subtract, true)].concat()
        }
        Rewrite::Not(part) => computed(part, true),
        Rewrite::Union(all) | Rewrite::Intersection(all) => all
            .iter()
            .flat_map(|part| computed(part, negated))
            .collect(),
        Rewrite::This | Rewrite::Ttu(_) | Rewrite::TtuAll(_) | Rewrite::Nil | Rewrite::Itself => {
            Vec::new()
        }
    }
}

fn nesting(rewrite: &Rewrite) -> usize {
    1 + rewrite.parts().map(nesting).max().unwrap_or(0)
}

fn operands(rewrite: &Rewrite) -> usize {
    1 + rewrite.parts().map(operands).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What is wrong with type `doc` having these relations; the empty string when nothing is.
    fn fault(relations: &Value) -> String {
        let form = json!({"types": {"user": {}, "doc": {"relations": relations}}});
        match serde_json::from_value::<Schema>(form) {
            Ok(_) => String::new(),
            Err(e) => e.to_string(),
        }
    }

    #[track_caller]
    fn refused(relations: &Value, why: &str) {
        let fault = fault(relations);
        assert!(fault.contains(why), "{fault:?} does not say {why:?}");
    }

    fn stored() -> Value {
        json!({"rewrite": {"this": true}, "types": [{"type": "user"}]})
    }

    #[test]
    fn what_is_not_defined_is_named_with_the_place_that_uses_it() {
        refused(
            &json!({"a": {"rewrite": {"computed": "b"}}}),
            "a of doc: type doc has no relation b",
        );
        refused(
            &json!({"a": {"rewrite": {"this": true}, "types": [{"type": "team"}]}}),
            "a of doc: no type team",
        );
        refused(
            &json!({"a": {"rewrite": {"this": true}, "types": [{"type": "doc", "relation": "b"}]}}),
            "type doc has no relation b",
        );
        refused(
            &json!({"a": {"rewrite": {"ttu": {"tupleset": "b", "computed": "a"}}}}),
            "no relation b",
        );
    }

    #[test]
    fn a_tupleset_is_stored_and_leads_to_what_is_asked_for() {
        let ttu = json!({"rewrite": {"ttu": {"tupleset": "up", "computed": "a"}}});
        let computed = json!({"rewrite": {"computed": "b"}});
        refused(
            &json!({"a": ttu, "up": computed, "b": stored()}),
            "not stored",
        );
        refused(
            &json!({"a": ttu, "up": stored()}),
            "nothing that up leads to",
        );
    }

    #[test]
    fn a_relation_that_excludes_itself_is_refused_with_the_way_it_does() {
        let but = |r: &str| json!({"rewrite": {"exclusion": {"base": {"this": true}, "subtract": {"computed": r}}}, "types": [{"type": "user"}]});
        refused(&json!({"a": but("a")}), "excludes itself: a \u{2192} a");
        refused(
            &json!({"a": but("b"), "b": {"rewrite": {"computed": "a"}}}),
            "a \u{2192} b \u{2192} a",
        );
        refused(
            &json!({"a": {"rewrite": {"not": {"not": {"computed": "a"}}}}}),
            "excludes itself",
        );
        refused(
            &json!({"a": but("b"), "b": {"rewrite": {"computed": "c"}}, "c": {"rewrite": {"union": [{"computed": "b"}, {"computed": "a"}]}}}),
            "a \u{2192} b \u{2192} c \u{2192} a",
        );
        assert_eq!(fault(&json!({"a": but("b"), "b": stored()})), "");
    }

    #[test]
    fn what_is_too_deep_or_says_nothing_is_refused() {
        refused(&json!({"a": {"rewrite": {"union": []}}}), "of nothing");
        let mut deep = json!({"this": true});
        for _ in 0..NESTING_MAX {
            deep = json!({"union": [deep]});
        }
        refused(&json!({"a": {"rewrite": deep}}), "levels");
        refused(&json!({"a": {"rewrite": {"this": false}}}), "only true");
        refused(
            &json!({"a": {"rewrite": {"that": true}}}),
            "unknown variant",
        );
        refused(
            &json!({"a": {"rewrite": {"this": true}, "types": [{"type": "user", "condition": "x"}]}}),
            "conditions are not supported",
        );
    }

    #[test]
    fn a_configuration_is_read_back_as_it_was_written() {
        let every = json!({"types": {"user": {"relations": {}}, "doc": {"relations": {
            "a": {"rewrite": {"union": [{"this": true}, {"computed": "b"}, {"nil": true}, {"self": true}]}, "types": [{"type": "user"}, {"type": "user", "wildcard": true}, {"type": "doc", "relation": "a"}]},
            "b": {"rewrite": {"exclusion": {"base": {"ttu": {"tupleset": "up", "computed": "a"}}, "subtract": {"not": {"ttu_all": {"tupleset": "up", "computed": "b"}}}}}, "types": []},
            "up": {"rewrite": {"intersection": [{"this": true}]}, "types": null, "free": true},
        }}}});
        let schema: Schema = serde_json::from_value(every.clone()).unwrap();
        assert_eq!(serde_json::to_value(&schema).unwrap(), every);
    }
}
