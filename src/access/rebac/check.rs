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
    /// when more is explored.
    pub(super) fn decide(&self, (key, def): Place<'a>, asked: Asked) -> Decision<'a> {
        let mut graph = Graph::new(key, def, self.limits);
        loop {
            graph.explore_layer(&self.facts);
            let solution = Solution::new(&self.facts, &graph, asked);
            let answer = solution.answer(&graph);
            if answer.verdict != Verdict::Unknown || !graph.is_pending() {
                return Decision {
                    graph,
                    solution,
                    answer,
                };
            }
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
