//! Random configurations and tuples: every way of asking agrees with every other, and with a plain reading of the rules.

use super::fixture::p;
use super::{
    Answer, Evaluator, Limits, ObjectRef, Principals, Relation, RelationDef, Rewrite, Schema,
    Store, Subject, SubjectFilter, Tuple, Verdict,
};
use crate::core::Time;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NOW: Time = Time(100);
const RELATIONS: [&str; 4] = ["r0", "r1", "r2", "parent"];
const SUBJECTS: [&str; 12] = [
    "user:a",
    "user:b",
    "user:*",
    "group:x",
    "group:y",
    "group:x#member",
    "group:y#member",
    "doc:1",
    "doc:2",
    "doc:1#r0",
    "doc:2#r1",
    "doc:*",
];

fn relation() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(&RELATIONS[..3])
}

fn rewrite() -> impl Strategy<Value = Value> {
    let ttu = relation().prop_map(|r| json!({"tupleset": "parent", "computed": r}));
    let leaf = prop_oneof![
        6 => Just(json!({"this": true})),
        3 => relation().prop_map(|r| json!({ "computed": r })),
        2 => ttu.clone().prop_map(|ttu| json!({ "ttu": ttu })),
        1 => ttu.prop_map(|ttu| json!({ "ttu_all": ttu })),
        1 => Just(json!({"self": true})),
        1 => Just(json!({"nil": true})),
    ];
    leaf.prop_recursive(2, 6, 2, |part| {
        let pair = prop::collection::vec(part.clone(), 1..3);
        prop_oneof![
            3 => pair.clone().prop_map(|all| json!({ "union": all })),
            2 => pair.prop_map(|all| json!({ "intersection": all })),
            2 => (part.clone(), part.clone()).prop_map(|(base, subtract)| json!({"exclusion": {"base": base, "subtract": subtract}})),
            1 => part.prop_map(|part| json!({ "not": part })),
        ]
    })
}

fn types() -> impl Strategy<Value = Value> {
    let allowed = prop::sample::select(vec![
        json!({"type": "user"}),
        json!({"type": "user", "wildcard": true}),
        json!({"type": "group"}),
        json!({"type": "group", "relation": "member"}),
        json!({"type": "doc"}),
        json!({"type": "doc", "relation": "r0"}),
        json!({"type": "doc", "relation": "r1"}),
    ]);
    prop_oneof![
        5 => prop::collection::vec(allowed, 1..5).prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn schema() -> impl Strategy<Value = Schema> {
    let relations = prop::collection::vec((rewrite(), types()), 3);
    let made = relations.prop_map(|relations| {
        let mut doc = json!({"parent": {"rewrite": {"this": true}, "types": [{"type": "doc"}, {"type": "group"}]}});
        for (name, (rewrite, types)) in RELATIONS.iter().zip(relations) {
            doc[*name] = json!({"rewrite": rewrite, "types": types});
        }
        let member = json!({"rewrite": {"this": true}, "types": [{"type": "user"}, {"type": "group", "relation": "member"}]});
        let types = json!({"user": {}, "group": {"relations": {"member": member}}, "doc": {"relations": doc}});
        serde_json::from_value(json!({ "types": types })).ok()
    });
    made.prop_filter_map("refused", |schema: Option<Schema>| schema)
}

fn tuples() -> impl Strategy<Value = Vec<Tuple>> {
    let on_doc = (
        prop::sample::select(vec!["doc:1", "doc:2"]),
        prop::sample::select(&RELATIONS[..]),
    );
    let on_group = (
        prop::sample::select(vec!["group:x", "group:y"]),
        Just("member"),
    );
    let expires = prop_oneof![4 => Just(None), 1 => (98..103_i64).prop_map(|t| Some(Time(t)))];
    let subject = prop::sample::select(&SUBJECTS[..]);
    let one = (prop_oneof![4 => on_doc, 1 => on_group], subject, expires);
    let made = one.prop_map(|((object, relation), subject, expires)| Tuple {
        expires,
        ..Tuple::new(p(object), p(relation), p(subject))
    });
    prop::collection::vec(made, 0..16)
}

fn stored<'t>(tuples: impl IntoIterator<Item = &'t Tuple>) -> Store {
    let mut store = Store::new();
    for tuple in tuples {
        store.insert(tuple);
    }
    store
}

/// Far enough for every way in these small worlds.
fn far() -> Limits {
    Limits {
        hops: 100,
        ..Limits::default()
    }
}

type Place = (ObjectRef, Relation);

/// Every relation of every object in these worlds, with its definition.
fn places(schema: &Schema) -> Vec<(Place, &RelationDef)> {
    let objects = ["doc:1", "doc:2", "group:x", "group:y"].map(p::<ObjectRef>);
    let of = |object: ObjectRef| {
        let relations = schema.types()[&object.kind].relations.iter();
        relations.map(move |(relation, def)| ((object.clone(), relation.clone()), def))
    };
    objects.into_iter().flat_map(of).collect()
}

/// The rules read plainly: sets of places, two bounds, until nothing changes.
struct Rules<'a> {
    places: Vec<(Place, &'a RelationDef)>,
    tuples: Vec<&'a Tuple>,
    subject: Subject,
}

impl<'a> Rules<'a> {
    fn new(schema: &'a Schema, store: &'a [Tuple], subject: Subject) -> Self {
        let counts = |t: &&Tuple| {
            let alive = t.expires.is_none_or(|e| e > NOW);
            alive
                && schema
                    .admits(&Tuple {
                        expires: None,
                        ..(*t).clone()
                    })
                    .is_ok()
        };
        Self {
            places: places(schema),
            tuples: store.iter().filter(counts).collect(),
            subject,
        }
    }

    fn solve(&self) -> BTreeMap<Place, Verdict> {
        let mut yes = BTreeSet::new();
        loop {
            let maybe = self.least(&yes);
            let next = self.least(&maybe);
            if next == yes {
                let verdict = |place: &Place| match (yes.contains(place), maybe.contains(place)) {
                    (true, _) => Verdict::Yes,
                    (false, true) => Verdict::Unknown,
                    (false, false) => Verdict::No,
                };
                return self
                    .places
                    .iter()
                    .map(|(p, _)| (p.clone(), verdict(p)))
                    .collect();
            }
            yes = next;
        }
    }

    fn least(&self, opposite: &BTreeSet<Place>) -> BTreeSet<Place> {
        let mut own = BTreeSet::new();
        loop {
            let before = own.len();
            for ((object, relation), def) in &self.places {
                let place = (object.clone(), relation.clone());
                let is_it = self.subject == Subject::Userset(object.clone(), relation.clone());
                if is_it || self.holds(&def.rewrite, &place, &own, opposite) {
                    own.insert(place);
                }
            }
            if own.len() == before {
                return own;
            }
        }
    }

    fn holds(
        &self,
        rewrite: &Rewrite,
        place: &Place,
        own: &BTreeSet<Place>,
        opposite: &BTreeSet<Place>,
    ) -> bool {
        let (object, relation) = place;
        let named = |r: &Relation| {
            let of = self
                .tuples
                .iter()
                .filter(|t| t.object == *object && t.relation == *r);
            of.map(|t| &t.subject).collect::<Vec<_>>()
        };
        let up = |tupleset: &Relation, computed: &Relation| {
            let named = named(tupleset).into_iter();
            let objects = named.filter_map(|s| match s {
                Subject::Object(o) => Some(own.contains(&(o.clone(), computed.clone()))),
                Subject::Userset(..) | Subject::Wildcard(_) => None,
            });
            objects.collect::<Vec<bool>>()
        };
        match rewrite {
            Rewrite::This => named(relation).into_iter().any(|s| match s {
                Subject::Userset(o, r) => {
                    *s == self.subject || own.contains(&(o.clone(), r.clone()))
                }
                Subject::Wildcard(kind) => {
                    *s == self.subject
                        || matches!(&self.subject, Subject::Object(o) if o.kind == *kind)
                }
                Subject::Object(_) => *s == self.subject,
            }),
            Rewrite::Computed(r) => own.contains(&(object.clone(), r.clone())),
            Rewrite::Ttu(t) => up(&t.tupleset, &t.computed).contains(&true),
            Rewrite::TtuAll(t) => {
                let all = up(&t.tupleset, &t.computed);
                !all.is_empty() && !all.contains(&false)
            }
            Rewrite::Union(all) => all
                .iter()
                .any(|part| self.holds(part, place, own, opposite)),
            Rewrite::Intersection(all) => all
                .iter()
                .all(|part| self.holds(part, place, own, opposite)),
            Rewrite::Exclusion { base, subtract } => {
                self.holds(base, place, own, opposite)
                    && !self.holds(subtract, place, opposite, own)
            }
            Rewrite::Nil => false,
            Rewrite::Itself => self.subject == Subject::Object(object.clone()),
            Rewrite::Not(part) => !self.holds(part, place, opposite, own),
        }
    }
}

/// Subjects to ask for: those in tuples, and some that no tuple names.
fn subjects() -> Vec<Subject> {
    SUBJECTS
        .iter()
        .copied()
        .chain(["user:new", "doc:3"])
        .map(p)
        .collect()
}

fn names(store: &Store, object: &ObjectRef) -> bool {
    store.tuples().any(|t| {
        let by = match &t.subject {
            Subject::Object(o) | Subject::Userset(o, _) => Some(o),
            Subject::Wildcard(_) => None,
        };
        t.object == *object || by == Some(object)
    })
}

/// Every answer of an evaluator, after all the ways of asking have been compared.
fn agreed(schema: &Schema, store: &Store, limits: Limits) -> BTreeMap<(Place, Subject), Verdict> {
    let mut evaluator = Evaluator::new(schema, store, NOW).limited(limits);
    let mut all = BTreeMap::new();
    for ((object, relation), _) in places(schema) {
        for subject in subjects() {
            let answer = evaluator.check(&object, &relation, &subject).unwrap();
            assert_eq!(answer.cut.is_some(), answer.verdict == Verdict::Unknown);
            all.insert(
                ((object.clone(), relation.clone()), subject.clone()),
                answer.verdict,
            );
            let why = evaluator.explain(&object, &relation, &subject).unwrap();
            assert_eq!(why.answer.verdict, answer.verdict);
            assert_eq!(why.gap.is_some(), answer.verdict == Verdict::No);
            let listed = evaluator
                .list_objects(&object.kind, &relation, &subject)
                .unwrap();
            // A negation lets somebody in on things that no tuple names: those are found by asking only.
            if names(store, &object) || !answer.allows() {
                assert_eq!(
                    listed.found.contains(&object),
                    answer.allows(),
                    "{subject} {relation} {object}"
                );
            }
            // The walk from the subject knows no hops: what it does not reach is a no.
            let mut unlimited = Evaluator::new(schema, store, NOW).limited(far());
            let no = |a: Answer| a.verdict == Verdict::No;
            assert!(
                answer.cut.is_none()
                    || listed.cut.is_some()
                    || !names(store, &object)
                    || no(unlimited.check(&object, &relation, &subject).unwrap())
            );
        }
        lists_agree(&mut evaluator, store, &(object, relation), &all);
    }
    all
}

/// Compares the lists of one place with its checks.
fn lists_agree(
    evaluator: &mut Evaluator<'_>,
    store: &Store,
    place: &Place,
    all: &BTreeMap<(Place, Subject), Verdict>,
) {
    let (object, relation) = place;
    let mut expected_leaves = BTreeSet::new();
    let filters = [
        "user",
        "group",
        "doc",
        "group#member",
        "doc#r0",
        "doc#r1",
        "doc#r2",
    ];
    for filter in filters.map(p::<SubjectFilter>) {
        let listed = evaluator
            .list_subjects(object, relation, std::slice::from_ref(&filter))
            .unwrap();
        let found: BTreeSet<Subject> = listed.found.into_iter().collect();
        for subject in &found {
            let answer = evaluator.check(object, relation, subject).unwrap();
            assert!(answer.allows(), "listed {subject}");
        }
        let wildcard = Subject::Wildcard(filter.kind.clone());
        let of_filter = |s: &Subject| {
            let of = match s {
                Subject::Userset(_, r) => Some(r),
                Subject::Object(_) | Subject::Wildcard(_) => None,
            };
            *s.kind() == filter.kind && of == filter.relation.as_ref()
        };
        for subject in subjects().into_iter().filter(of_filter) {
            let covered =
                found.contains(&subject) || (found.contains(&wildcard) && subject != wildcard);
            match all[&(place.clone(), subject.clone())] {
                Verdict::Yes if matches!(&subject, Subject::Userset(o, _) if !names(store, o)) => {}
                Verdict::Yes => assert!(covered, "not listed: {subject} of {relation} {object}"),
                Verdict::No => assert!(!found.contains(&subject)),
                Verdict::Unknown => assert!(listed.cut.is_some()),
            }
        }
        if filter.relation.is_none() {
            expected_leaves.extend(found);
        }
    }
    let leaves = evaluator
        .expand(object, relation, Principals::Leaves)
        .unwrap();
    assert_eq!(
        leaves.found.into_iter().collect::<BTreeSet<_>>(),
        expected_leaves
    );
    let everybody = evaluator.expand(object, relation, Principals::All).unwrap();
    let found: BTreeSet<Subject> = everybody.found.into_iter().collect();
    assert!(found.is_superset(&expected_leaves));
    for subject in &found {
        assert!(evaluator.check(object, relation, subject).unwrap().allows());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_way_of_asking_agrees_with_the_rules(schema in schema(), tuples in tuples()) {
        let store = stored(&tuples);
        let tuples: Vec<Tuple> = store.tuples().collect();
        let answers = agreed(&schema, &store, far());
        for subject in subjects() {
            for (place, verdict) in Rules::new(&schema, &tuples, subject.clone()).solve() {
                let (object, relation) = &place;
                prop_assert_eq!(answers[&(place.clone(), subject.clone())], verdict, "{} {} {}", subject, relation, object);
            }
        }
    }

    #[test]
    fn a_limit_only_leaves_more_unknown(
        schema in schema(), stored_tuples in tuples(), hops in 0..5_usize, vertices in 1..12_usize, tuples in 0..12_usize,
    ) {
        let store = stored(&stored_tuples);
        let full = agreed(&schema, &store, far());
        let some_hops = Limits { hops, ..Limits::default() };
        let some_work = Limits { vertices, tuples, ..far() };
        for limits in [some_hops, some_work] {
            for (question, verdict) in agreed(&schema, &store, limits) {
                prop_assert!(verdict == Verdict::Unknown || verdict == full[&question], "{:?}", question);
            }
        }
    }

    #[test]
    fn a_write_that_changes_nothing_and_a_delete_that_is_undone_leave_every_answer(
        schema in schema(), tuples in tuples(), extra in tuples(), some in any::<prop::sample::Index>(),
    ) {
        let mut store = stored(&tuples);
        let before = agreed(&schema, &store, far());
        let kept: Vec<Tuple> = store.tuples().collect();
        for tuple in &kept {
            prop_assert!(!store.insert(tuple));
        }
        for tuple in extra.iter().filter(|e| !kept.iter().any(|k| (&k.object, &k.relation, &k.subject) == (&e.object, &e.relation, &e.subject))) {
            store.insert(tuple);
            store.delete(tuple);
        }
        if !kept.is_empty() {
            let tuple = some.get(&kept);
            prop_assert!(store.delete(tuple));
            prop_assert_eq!(agreed(&schema, &store, far()), agreed(&schema, &stored(kept.iter().filter(|k| *k != tuple)), far()));
            prop_assert!(store.insert(tuple));
        }
        prop_assert_eq!(agreed(&schema, &store, far()), before);
    }

    #[test]
    fn a_contextual_tuple_counts_like_a_stored_one(schema in schema(), tuples in tuples(), extra in tuples()) {
        let extra: Vec<Tuple> = extra.into_iter().filter(|t| schema.admits(t).is_ok() && t.expires.is_none()).collect();
        let store = stored(&tuples);
        let together = stored(tuples.iter().chain(&extra));
        let mut supposing = Evaluator::new(&schema, &store, NOW).limited(far()).supposing(&extra).unwrap();
        let mut storing = Evaluator::new(&schema, &together, NOW).limited(far());
        for ((object, relation), _) in places(&schema) {
            for s in subjects() {
                prop_assert_eq!(supposing.check(&object, &relation, &s).unwrap(), storing.check(&object, &relation, &s).unwrap());
                prop_assert_eq!(
                    supposing.list_objects(&object.kind, &relation, &s).unwrap(),
                    storing.list_objects(&object.kind, &relation, &s).unwrap()
                );
            }
        }
    }
}
