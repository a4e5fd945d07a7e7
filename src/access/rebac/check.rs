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
        Ok(self.check_counting(object, relation, subject)?.0)
    }

    /// The same, with what it took: vertices and tuples that were looked at.
    pub fn check_counting(
        &mut self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<(Answer, usize)> {
        let place = self.place(object, relation)?;
        let asked = self.asked(subject)?;
        let decision = self.decide(place, asked);
        Ok((decision.answer, decision.graph.work()))
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
    use super::super::fixture::{World, ask, but, computed, docs, p, tuple};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tuple_ends_with_the_second_it_says() {
        let second = 1_000_000_000;
        let world = World::of_groups([tuple("user:u member group:0").until(Time(5 * second))]);
        let verdict = |now: i64| ask(&mut world.at(now), "user:u member group:0").verdict;
        assert_eq!(verdict(4 * second), Verdict::Yes);
        assert_eq!(verdict(5 * second - 1), Verdict::Yes);
        assert_eq!(verdict(5 * second), Verdict::No);
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
