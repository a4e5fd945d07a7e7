//! The evaluator: who has what on what.
//!
//! Promise: one question has one answer, whichever way it is asked: `check`, `explain`, `expand` and the lists judge
//! with the same graph and the same fixpoint.

use super::answer::{Answer, Limits, Verdict};
use super::facts::{Facts, Key};
use super::graph::Graph;
use super::name::Relation;
use super::schema::{RelationDef, Schema};
use super::solve::{Asked, Solution};
use super::store::Store;
use super::tuple::{ObjectRef, Subject, Tuple};
use crate::core::{Error, Kind, Result, Time};

/// Answers questions about the tuples of one tenant at one moment. Made for one request: it keeps no answers.
#[derive(Debug, Clone)]
pub struct Evaluator<'a> {
    pub(super) facts: Facts<'a>,
    pub(super) limits: Limits,
}

/// An answer with what it was derived from.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) solution: Solution,
    pub(super) answer: Answer,
}

/// A relation of an object as a place in the graph.
pub(super) type Place<'a> = (Key<'a>, &'a RelationDef);

impl<'a> Evaluator<'a> {
    /// An evaluator for what is true at `now`.
    pub fn new(schema: &'a Schema, store: &'a Store, now: Time) -> Self {
        Self {
            facts: Facts::new(schema, store, now),
            limits: Limits::default(),
        }
    }

    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Adds contextual tuples: they count as if they were stored, for this evaluator only.
    pub fn supposing<'t>(mut self, tuples: impl IntoIterator<Item = &'t Tuple>) -> Result<Self> {
        for tuple in tuples {
            self.facts.suppose(tuple)?;
        }
        Ok(self)
    }

    /// Whether a subject has a relation on an object. Fails when the configuration does not know what is asked for.
    pub fn check(
        &mut self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Answer> {
        let place = self.place(object, relation)?;
        let asked = self.asked(subject)?;
        Ok(self.decide(place, asked).answer)
    }

    /// Explores layer by layer until the answer is known or there is nothing left: a definite answer stays what it is
    /// when more is explored. The answer is looked for when the graph has grown by an eighth, so that looking costs no
    /// more than exploring.
    pub(super) fn decide(&self, (key, def): Place<'a>, asked: Asked) -> Decision<'a> {
        let mut graph = Graph::new(key, def, self.limits);
        let mut looked_at = 0;
        loop {
            graph.explore_layer(&self.facts);
            let size = graph.vertices.len();
            if graph.is_pending() && size * 8 < looked_at * 9 {
                continue;
            }
            looked_at = size;
            let decision = self.solve(graph, asked);
            if decision.answer.verdict != Verdict::Unknown || !decision.graph.is_pending() {
                return decision;
            }
            graph = decision.graph;
        }
    }

    /// Explores everything, so that what is missing can be told from what was not looked at.
    pub(super) fn decide_fully(&self, (key, def): Place<'a>, asked: Asked) -> Decision<'a> {
        let mut graph = Graph::new(key, def, self.limits);
        graph.explore(&self.facts);
        self.solve(graph, asked)
    }

    fn solve(&self, graph: Graph<'a>, asked: Asked) -> Decision<'a> {
        let solution = Solution::new(&self.facts, &graph, asked);
        let answer = solution.answer(&graph);
        Decision {
            graph,
            solution,
            answer,
        }
    }

    pub(super) fn place(&mut self, object: &ObjectRef, relation: &Relation) -> Result<Place<'a>> {
        self.facts.schema.relation(&object.kind, relation)?;
        let id = self.facts.object(object);
        let unknown = || Error::new(Kind::Invalid, format!("no {relation} of {object}"));
        self.facts.key(id, relation.as_str()).ok_or_else(unknown)
    }

    pub(super) fn asked(&mut self, subject: &Subject) -> Result<Asked> {
        self.facts.schema.knows(subject)?;
        let subject = self.facts.subject(subject);
        Ok(Asked {
            subject: Some(subject),
            wildcard: self.facts.wildcard_over(subject),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Cut, HOPS_MAX};
    use super::super::fixture::{World, ask, p, tuple};
    use super::*;
    use serde_json::{Value, json};
    use std::collections::HashSet;

    /// `user:u` at the end of so many tuples from `group:0`.
    fn chain(tuples: usize) -> World {
        let mut all = vec![tuple(&format!("user:u member group:{}", tuples - 1))];
        all.extend((1..tuples).map(|i| tuple(&format!("group:{i}#member member group:{}", i - 1))));
        World::of_groups(all)
    }

    #[test]
    fn a_chain_of_ten_tuples_is_allowed_and_one_of_eleven_unknown() {
        assert_eq!(
            chain(HOPS_MAX).verdict("user:u member group:0"),
            Verdict::Yes
        );
        assert_eq!(
            chain(HOPS_MAX).verdict("user:v member group:0"),
            Verdict::No
        );
        let longer = chain(HOPS_MAX + 1).asks("user:u member group:0");
        assert_eq!(
            (longer.verdict, longer.cut),
            (Verdict::Unknown, Some(Cut::Hops))
        );
        assert!(!longer.allows());
    }

    fn ring(size: usize) -> World {
        let around = |i: usize| tuple(&format!("group:{i}#member member group:{}", (i + 1) % size));
        World::of_groups(
            (0..size)
                .map(around)
                .chain([tuple("user:u member group:0")]),
        )
    }

    #[test]
    fn a_ring_of_groups_is_cut_and_gives_a_definite_answer_where_it_is_small() {
        let small = ring(HOPS_MAX);
        assert_eq!(small.verdict("user:u member group:9"), Verdict::Yes);
        assert_eq!(small.verdict("user:v member group:9"), Verdict::No);
        let large = ring(10_000);
        assert_eq!(large.verdict("user:u member group:9"), Verdict::Yes);
        assert_eq!(large.verdict("user:u member group:10"), Verdict::Unknown);
        assert_eq!(large.verdict("user:u member group:9999"), Verdict::Unknown);
        let unlimited = Limits {
            hops: 20_000,
            vertices: 20_000,
            ..Limits::default()
        };
        assert!(ask(&mut large.within(unlimited), "user:u member group:9999").allows());
    }

    /// Layers of groups, each of which holds every group of the next: more ways than can be walked one by one.
    #[test]
    fn a_diamond_costs_its_size_and_not_its_ways() {
        let (wide, deep) = (30, HOPS_MAX - 1);
        let mut all = HashSet::new();
        for (layer, a, b) in
            (1..deep).flat_map(|l| (0..wide * wide).map(move |n| (l, n / wide, n % wide)))
        {
            all.insert(tuple(&format!(
                "group:{layer}-{a}#member member group:{}-{b}",
                layer - 1
            )));
        }
        all.insert(tuple(&format!("user:u member group:{}-0", deep - 1)));
        let world = World::of_groups(all);
        assert_eq!(world.verdict("user:u member group:0-0"), Verdict::Yes);
        assert_eq!(world.verdict("user:v member group:0-0"), Verdict::No);
    }

    #[test]
    fn a_question_that_is_too_large_is_unknown() {
        let small = Limits {
            vertices: 5,
            ..Limits::default()
        };
        let answer = ask(&mut chain(9).within(small), "user:u member group:0");
        assert_eq!(
            (answer.verdict, answer.cut),
            (Verdict::Unknown, Some(Cut::Work))
        );
        let few = Limits {
            tuples: 3,
            ..Limits::default()
        };
        let answer = ask(&mut chain(9).within(few), "user:u member group:0");
        assert_eq!(
            (answer.verdict, answer.cut),
            (Verdict::Unknown, Some(Cut::Work))
        );
    }

    #[test]
    fn what_was_not_looked_at_under_an_exclusion_is_no_reason_to_allow() {
        let viewer = but(&computed("allowed"), &computed("banned"));
        let tuples = [
            "user:u allowed doc:1",
            "group:a#member banned doc:1",
            "group:b#member banned doc:1",
            "user:u member group:b",
        ];
        let world = docs(&viewer, &tuples);
        let ask_within = |tuples, vertices| {
            let limits = Limits {
                tuples,
                vertices,
                ..Limits::default()
            };
            ask(&mut world.within(limits), "user:u viewer doc:1").verdict
        };
        assert_eq!(ask_within(2, 5), Verdict::No);
        for (tuples, vertices) in [(0, 5), (1, 5), (2, 4), (2, 3), (2, 1)] {
            assert_eq!(ask_within(tuples, vertices), Verdict::Unknown);
        }
    }

    /// The way by a tuple is seen first, and the way without one is the shorter.
    #[test]
    fn the_shortest_way_to_a_relation_counts() {
        let docs = json!([{"type": "user"}, {"type": "doc", "relation": "far"}]);
        let either = json!({"union": [{"this": true}, {"computed": "near"}]});
        let doc = json!({"relations": {
            "viewer": {"rewrite": either, "types": docs},
            "near": {"rewrite": {"computed": "far"}},
            "far": {"rewrite": {"this": true}, "types": docs},
        }});
        let tuples = ["doc:1#far viewer doc:1", "user:u far doc:1"];
        let world = World::new(&json!({"user": {}, "doc": doc}), &tuples);
        let near = Limits {
            hops: 1,
            ..Limits::default()
        };
        assert!(ask(&mut world.within(near), "user:u viewer doc:1").allows());
    }

    #[test]
    fn where_nothing_is_left_to_follow_the_last_hop_gives_a_no() {
        let up = json!({"union": [{"this": true}, {"ttu": {"tupleset": "above", "computed": "viewer"}}]});
        let doc = json!({"relations": {
            "above": {"rewrite": {"this": true}, "types": [{"type": "doc"}]},
            "viewer": {"rewrite": up, "types": [{"type": "user"}]},
        }});
        let way = (1..=HOPS_MAX).map(|i| tuple(&format!("doc:{i} above doc:{}", i - 1)));
        let mut world = World::new(&json!({"user": {}, "doc": doc}), &[]);
        for tuple in way {
            world.store.insert(&tuple);
        }
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::No);
        world.store.insert(&tuple("doc:11 above doc:10"));
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::Unknown);
    }

    /// What a long way could not settle, a short way to the same group does, in whatever order they are stored.
    #[test]
    fn a_group_that_one_way_reaches_too_late_counts_by_another() {
        for order in [
            ["user:u member group:9", "group:9#member member group:0"],
            ["group:9#member member group:0", "user:u member group:9"],
        ] {
            let long = (1..10).map(|i| tuple(&format!("group:{i}#member member group:{}", i - 1)));
            let world = World::of_groups(long.chain(order.iter().map(|t| tuple(t))));
            assert_eq!(world.verdict("user:u member group:0"), Verdict::Yes);
        }
    }

    #[test]
    fn a_tuple_ends_with_the_second_it_says() {
        let second = 1_000_000_000;
        let world = World::of_groups([tuple("user:u member group:0").until(Time(5 * second))]);
        let verdict = |now: i64| ask(&mut world.at(now), "user:u member group:0").verdict;
        assert_eq!(verdict(4 * second), Verdict::Yes);
        assert_eq!(verdict(5 * second - 1), Verdict::Yes);
        assert_eq!(verdict(5 * second), Verdict::No);
    }

    fn docs(viewer: &Value, tuples: &[&str]) -> World {
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

    fn but(base: &Value, subtract: &Value) -> Value {
        json!({"exclusion": {"base": base, "subtract": subtract}})
    }

    fn computed(relation: &str) -> Value {
        json!({ "computed": relation })
    }

    #[test]
    fn unknown_under_an_exclusion_is_unknown_and_so_under_two() {
        let mut tuples: Vec<String> = (1..=11)
            .map(|i| format!("group:{i}#member member group:{}", i - 1))
            .collect();
        tuples.extend([
            "user:u allowed doc:1".into(),
            "group:0#member banned doc:1".into(),
            "user:u pardoned doc:1".into(),
        ]);
        let tuples: Vec<&str> = tuples.iter().map(String::as_str).collect();
        let once = but(&computed("allowed"), &computed("banned"));
        let world = docs(&once, &tuples);
        assert_eq!(world.asks("user:u viewer doc:1").verdict, Verdict::Unknown);
        let twice = but(
            &computed("allowed"),
            &but(&computed("pardoned"), &computed("banned")),
        );
        assert_eq!(
            docs(&twice, &tuples).verdict("user:u viewer doc:1"),
            Verdict::Unknown
        );
        assert_eq!(world.verdict("user:v viewer doc:1"), Verdict::No);
    }

    #[test]
    fn a_ban_beats_a_wildcard() {
        let world = docs(
            &but(&computed("allowed"), &computed("banned")),
            &["user:* allowed doc:1", "user:b banned doc:1"],
        );
        assert_eq!(world.verdict("user:a viewer doc:1"), Verdict::Yes);
        assert_eq!(world.verdict("user:b viewer doc:1"), Verdict::No);
        assert_eq!(world.verdict("group:g#member viewer doc:1"), Verdict::No);
    }

    #[test]
    fn tuples_that_negate_what_they_say_leave_it_unknown() {
        let types = json!({"user": {}, "doc": {"relations": {
            "banned": {"rewrite": {"this": true}, "types": [{"type": "doc", "relation": "viewer"}]},
            "viewer": {"rewrite": but(&json!({"this": true}), &computed("banned")), "types": [{"type": "user"}]},
        }}});
        let world = World::new(
            &types,
            &["user:a viewer doc:1", "doc:1#viewer banned doc:1"],
        );
        let answer = world.asks("user:a viewer doc:1");
        assert_eq!(
            (answer.verdict, answer.cut),
            (Verdict::Unknown, Some(Cut::Paradox))
        );
        assert_eq!(world.verdict("user:b viewer doc:1"), Verdict::No);
    }

    #[test]
    fn every_parent_must_agree_and_there_must_be_one() {
        let all = json!({"ttu_all": {"tupleset": "parent", "computed": "allowed"}});
        let world = docs(
            &all,
            &[
                "doc:p parent doc:1",
                "doc:q parent doc:1",
                "user:a allowed doc:p",
                "user:a allowed doc:q",
                "user:b allowed doc:p",
            ],
        );
        assert_eq!(world.verdict("user:a viewer doc:1"), Verdict::Yes);
        assert_eq!(world.verdict("user:b viewer doc:1"), Verdict::No);
        assert_eq!(world.verdict("user:a viewer doc:2"), Verdict::No);
    }

    #[test]
    fn itself_nobody_and_everybody_else_mean_what_they_say() {
        let itself = docs(&json!({"self": true}), &[]);
        assert_eq!(itself.verdict("doc:1 viewer doc:1"), Verdict::Yes);
        assert_eq!(itself.verdict("doc:2 viewer doc:1"), Verdict::No);
        assert_eq!(
            docs(&json!({"nil": true}), &[]).verdict("user:a viewer doc:1"),
            Verdict::No
        );
        let not = docs(
            &json!({"not": {"computed": "banned"}}),
            &["user:b banned doc:1"],
        );
        assert_eq!(not.verdict("user:a viewer doc:1"), Verdict::Yes);
        assert_eq!(not.verdict("user:b viewer doc:1"), Verdict::No);
    }

    #[test]
    fn the_components_of_a_path_cost_no_hop() {
        let inherited = json!({"union": [{"this": true}, {"ttu": {"tupleset": "parent", "computed": "viewer"}}]});
        let path: Vec<String> = (1..100)
            .map(|i| format!("doc:{i} parent doc:{}", i - 1))
            .collect();
        let mut tuples: Vec<&str> = path.iter().map(String::as_str).collect();
        tuples.extend(["user:a viewer doc:99"]);
        let world = docs(&inherited, &tuples);
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::Yes);
        assert_eq!(world.verdict("user:b viewer doc:0"), Verdict::No);
    }

    #[test]
    fn contextual_tuples_count_for_one_evaluator_and_must_be_admitted() {
        let world = World::of_groups([tuple("group:1#member member group:0")]);
        let supposed = [tuple("user:new member group:1")];
        let mut supposing = world.at(0).supposing(&supposed).unwrap();
        assert!(ask(&mut supposing, "user:new member group:0").allows());
        assert_eq!(world.verdict("user:new member group:0"), Verdict::No);
        assert!(
            world
                .at(0)
                .supposing(&[tuple("user:* member group:1")])
                .is_err()
        );
        assert!(
            world
                .at(0)
                .supposing(&[tuple("user:a owner group:1")])
                .is_err()
        );
    }

    #[test]
    fn what_the_configuration_does_not_know_is_an_error_and_no_answer() {
        let world = World::of_groups([]);
        let mut evaluator = world.at(0);
        for (object, relation, subject) in [
            ("team:1", "member", "user:a"),
            ("group:1", "owner", "user:a"),
            ("group:1", "member", "robot:a"),
            ("group:1", "member", "group:2#owner"),
        ] {
            assert!(
                evaluator
                    .check(&p(object), &p(relation), &p(subject))
                    .is_err()
            );
        }
    }
}
