//! Small worlds for tests.

use super::{Answer, Evaluator, Limits, Schema, Store, Tuple, Verdict};
use crate::core::Time;
use serde_json::{Value, json};

/// A configuration and its tuples.
pub(super) struct World {
    pub(super) schema: Schema,
    pub(super) store: Store,
}

/// Parses what is written as a string.
pub(super) fn p<T: std::str::FromStr<Err = crate::core::Error>>(text: &str) -> T {
    text.parse().unwrap()
}

/// `"subject relation object"` as a tuple.
pub(super) fn tuple(text: &str) -> Tuple {
    let words: Vec<&str> = text.split(' ').collect();
    let [subject, relation, object] = words[..] else {
        panic!("{text:?} has not three words");
    };
    Tuple::new(p(object), p(relation), p(subject))
}

impl World {
    pub(super) fn new(types: &Value, tuples: &[&str]) -> Self {
        let schema = serde_json::from_value(json!({ "types": types })).unwrap();
        Self::of(schema, tuples.iter().map(|text| tuple(text)))
    }

    pub(super) fn of(schema: Schema, tuples: impl IntoIterator<Item = Tuple>) -> Self {
        let mut store = Store::new();
        for tuple in tuples {
            schema.admits(&tuple).unwrap();
            store.insert(&tuple);
        }
        Self { schema, store }
    }

    /// Groups in groups: one type of people, groups of people and groups, and tuples.
    pub(super) fn of_groups(tuples: impl IntoIterator<Item = Tuple>) -> Self {
        let types = json!({"types": {"user": {}, "group": {"relations": {"member": {
            "rewrite": {"this": true}, "types": [{"type": "user"}, {"type": "group", "relation": "member"}]}}}}});
        Self::of(serde_json::from_value(types).unwrap(), tuples)
    }

    pub(super) fn at(&self, now: i64) -> Evaluator<'_> {
        Evaluator::new(&self.schema, &self.store, Time(now))
    }

    /// The answer to `"subject relation object"`.
    pub(super) fn asks(&self, question: &str) -> Answer {
        ask(&mut self.at(0), question)
    }

    pub(super) fn verdict(&self, question: &str) -> Verdict {
        self.asks(question).verdict
    }

    pub(super) fn within(&self, limits: Limits) -> Evaluator<'_> {
        self.at(0).limited(limits)
    }
}

pub(super) fn ask(evaluator: &mut Evaluator<'_>, question: &str) -> Answer {
    let Tuple {
        object,
        relation,
        subject,
        ..
    } = tuple(question);
    evaluator.check(&object, &relation, &subject).unwrap()
}

/// Documents whose `viewer` is to be tried, beside relations to build it from.
pub(super) fn docs(viewer: &Value, tuples: &[&str]) -> World {
    let users = json!([{"type": "user"}, {"type": "user", "wildcard": true}, {"type": "group", "relation": "member"}]);
    let stored = json!({"rewrite": {"this": true}, "types": users});
    let member = json!({"rewrite": {"this": true}, "types": [{"type": "user"}, {"type": "group", "relation": "member"}]});
    World::new(
        &json!({"user": {}, "group": {"relations": {"member": member}}, "doc": {"relations": {
            "allowed": stored, "banned": stored, "pardoned": stored,
            "parent": {"rewrite": {"this": true}, "types": [{"type": "doc"}], "free": true},
            "viewer": {"rewrite": viewer, "types": users},
        }}}),
        tuples,
    )
}

pub(super) fn but(base: &Value, subtract: &Value) -> Value {
    json!({"exclusion": {"base": base, "subtract": subtract}})
}

pub(super) fn computed(relation: &str) -> Value {
    json!({ "computed": relation })
}
