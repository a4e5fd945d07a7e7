//! Why an answer is what it is: the tuples that decided, or the first thing that is missing.
//!
//! An explanation names objects and subjects on the way. Whoever shows it to the one refused leaves out what that one
//! may not see.

use super::answer::{Answer, Verdict};
use super::check::{Decision, Evaluator};
use super::graph::{Formula, Step};
use super::name::Relation;
use super::names::Subj;
use super::tuple::{ObjectRef, Subject, Tuple};
use crate::core::Result;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;

/// How many vertices are searched for what stands in the way, which also bounds the depth of the search.
const SEARCHED_MAX: usize = 256;

/// An answer with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub answer: Answer,
    /// The tuples that decided, from the object to the subject: why it is yes, or what excludes.
    pub chain: Vec<Tuple>,
    /// What stands between a no and a yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// What stands between a no and a yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// No tuple leads from the relation of this object to the subject.
    Missing {
        object: ObjectRef,
        relation: Relation,
    },
    /// The subject would have the relation of this object, and is excluded from it by the chain.
    Excluded {
        object: ObjectRef,
        relation: Relation,
    },
}

impl Evaluator<'_> {
    /// Answers a check and says why.
    pub fn explain(
        &mut self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Explanation> {
        let place = self.place(object, relation)?;
        let asked = self.asked(subject)?;
        let decision = self.decide_fully(place, asked);
        let mut trace = Trace::new(self, &decision);
        let gap = match decision.answer.verdict {
            Verdict::Yes => {
                trace.support(vec![0]);
                None
            }
            Verdict::No => trace.gap(0),
            Verdict::Unknown => None,
        };
        Ok(Explanation {
            answer: decision.answer,
            chain: trace.chain,
            gap,
        })
    }
}

/// Walks back from an answer to its reasons.
struct Trace<'d, 'a> {
    evaluator: &'d Evaluator<'a>,
    decision: &'d Decision<'a>,
    chain: Vec<Tuple>,
    seen: HashSet<usize>,
}

impl<'d, 'a> Trace<'d, 'a> {
    fn new(evaluator: &'d Evaluator<'a>, decision: &'d Decision<'a>) -> Self {
        Self {
            evaluator,
            decision,
            chain: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Collects the tuples that make these vertices true.
    fn support(&mut self, mut waiting: Vec<usize>) {
        let mut supported = HashSet::new();
        while let Some(at) = waiting.pop() {
            let formula = self.decision.graph.vertices[at].formula.as_ref();
            let rank = self.decision.solution.yes[at];
            if let Some(formula) = formula.filter(|_| supported.insert(at)) {
                let mut next = Vec::new();
                self.support_formula(formula, at, rank, &mut next);
                waiting.extend(next.into_iter().rev());
            }
        }
    }

    /// Collects the tuples of one vertex that make a formula true, and the vertices they lead to. Only vertices that
    /// became true earlier count as a reason, so the reasons have an end.
    fn support_formula(
        &mut self,
        formula: &'d Formula<'a>,
        at: usize,
        below: u32,
        next: &mut Vec<usize>,
    ) {
        match formula {
            Formula::Direct => {
                let named = self.decision.solution.matches[at].named;
                let relation = self.decision.graph.vertices[at].key.relation;
                self.chain
                    .extend(named.and_then(|s| self.tuple(at, relation, s)));
            }
            Formula::Step(Step { to, by }) => {
                self.chain
                    .extend(by.and_then(|(relation, s)| self.tuple(at, relation, s)));
                next.push(*to);
            }
            Formula::Any(all) => {
                let is_true = |part: &&Formula<'_>| self.decision.solution.is_true(part, at, below);
                if let Some(part) = all.iter().find(is_true) {
                    self.support_formula(part, at, below, next);
                }
            }
            Formula::All(all) => {
                for part in all {
                    self.support_formula(part, at, below, next);
                }
            }
            Formula::But(base, _) => self.support_formula(base, at, below, next),
            Formula::Never | Formula::Cut | Formula::Itself | Formula::Not(_) => {}
        }
    }

    /// Finds what is missing at a vertex that is false.
    fn gap(&mut self, at: usize) -> Option<Gap> {
        let formula = self.decision.graph.vertices[at].formula.as_ref()?;
        if self.seen.len() >= SEARCHED_MAX || !self.seen.insert(at) {
            return None;
        }
        let gap = self.gap_in(formula, at);
        gap.or_else(|| self.named(at, |object, relation| Gap::Missing { object, relation }))
    }

    /// Finds what is missing more closely than "no tuple of this vertex": an exclusion, or an operand that fails.
    fn gap_in(&mut self, formula: &'d Formula<'a>, at: usize) -> Option<Gap> {
        let is_true = |part| self.decision.solution.is_true(part, at, u32::MAX);
        match formula {
            Formula::But(base, subtract) if is_true(base) => self.excluded(subtract, at),
            Formula::Not(part) => self.excluded(part, at),
            Formula::But(base, _) => self.gap_in(base, at),
            Formula::All(all) => {
                let part = all.iter().find(|part| !is_true(part))?;
                self.gap_in(part, at)
            }
            Formula::Any(all) => {
                let mut gaps = all.iter().filter_map(|part| self.gap_in(part, at));
                gaps.find(Gap::is_exclusion)
            }
            Formula::Step(Step { to, by: None }) => self.gap(*to),
            Formula::Step(Step { to, by: Some(_) }) => self.gap(*to).filter(Gap::is_exclusion),
            Formula::Direct | Formula::Never | Formula::Cut | Formula::Itself => None,
        }
    }

    /// Collects why a subject is excluded from a vertex.
    fn excluded(&mut self, by: &'d Formula<'a>, at: usize) -> Option<Gap> {
        let mut next = Vec::new();
        self.support_formula(by, at, u32::MAX, &mut next);
        self.support(next);
        self.named(at, |object, relation| Gap::Excluded { object, relation })
    }

    fn named(&self, at: usize, gap: impl Fn(ObjectRef, Relation) -> Gap) -> Option<Gap> {
        let key = self.decision.graph.vertices[at].key;
        let object = self.evaluator.facts.object_name(key.object)?;
        Some(gap(object.clone(), key.relation.clone()))
    }

    fn tuple(&self, at: usize, relation: &Relation, subject: Subj) -> Option<Tuple> {
        let facts = &self.evaluator.facts;
        let object = self.decision.graph.vertices[at].key.object;
        let (key, _) = facts.key(object, relation.as_str())?;
        Some(Tuple {
            object: facts.object_name(object)?.clone(),
            relation: relation.clone(),
            subject: facts.subject_name(subject)?,
            expires: facts.expiry(key, subject),
        })
    }
}

impl Gap {
    /// The object at which it is.
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Missing { object, .. } | Self::Excluded { object, .. } => object,
        }
    }

    /// The same of an object by another name.
    pub fn of(self, object: ObjectRef) -> Self {
        match self {
            Self::Missing { relation, .. } => Self::Missing { object, relation },
            Self::Excluded { relation, .. } => Self::Excluded { object, relation },
        }
    }

    fn is_exclusion(&self) -> bool {
        matches!(self, Self::Excluded { .. })
    }
}

impl fmt::Display for Explanation {
    /// One line for the answer, one for each reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.answer.verdict)?;
        if let Some(cut) = self.answer.cut {
            write!(f, ": {cut}")?;
        }
        match &self.gap {
            Some(Gap::Missing { object, relation }) => {
                write!(f, ": nothing leads to {relation} of {object}")?;
            }
            Some(Gap::Excluded { object, relation }) => {
                write!(f, ": excluded from {relation} of {object}")?;
            }
            None => {}
        }
        self.chain.iter().try_for_each(|t| write!(f, "\n  {t}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{World, p, tuple};
    use super::*;
    use serde_json::json;

    fn world(tuples: &[&str]) -> World {
        let users = json!([{"type": "user"}, {"type": "group", "relation": "member"}]);
        let stored = json!({"rewrite": {"this": true}, "types": users});
        let inherit = json!({"union": [{"this": true}, {"ttu": {"tupleset": "parent", "computed": "reader"}}]});
        World::new(
            &json!({"user": {}, "group": {"relations": {"member": stored}}, "doc": {"relations": {
                "banned": stored, "cleared": stored,
                "parent": {"rewrite": {"this": true}, "types": [{"type": "doc"}]},
                "reader": {"rewrite": inherit, "types": users},
                "viewer": {"rewrite": {"exclusion": {"base": {"computed": "reader"}, "subtract": {"computed": "banned"}}}},
                "insider": {"rewrite": {"intersection": [{"computed": "viewer"}, {"computed": "cleared"}]}},
            }}}),
            tuples,
        )
    }

    fn explain(world: &World, question: &str) -> Explanation {
        let asked = tuple(question);
        let mut evaluator = world.at(0);
        evaluator
            .explain(&asked.object, &asked.relation, &asked.subject)
            .unwrap()
    }

    const TUPLES: [&str; 5] = [
        "doc:p parent doc:1",
        "group:g#member reader doc:p",
        "user:a member group:g",
        "user:b member group:g",
        "user:b banned doc:1",
    ];

    #[test]
    fn a_yes_names_the_tuples_from_the_object_to_the_subject() {
        let why = explain(&world(&TUPLES), "user:a viewer doc:1");
        let expected = TUPLES[..3].iter().map(|t| tuple(t)).collect::<Vec<_>>();
        assert_eq!((why.chain.clone(), why.gap.clone()), (expected, None));
        let told = "yes\n  doc:p is parent of doc:1\n  group:g#member is reader of doc:p\n  user:a is member of group:g";
        assert_eq!(why.to_string(), told);
    }

    #[test]
    fn a_no_by_exclusion_names_what_excludes() {
        let why = explain(&world(&TUPLES), "user:b insider doc:1");
        assert_eq!(why.chain, [tuple("user:b banned doc:1")]);
        let (object, relation) = (p("doc:1"), p("viewer"));
        assert_eq!(why.gap, Some(Gap::Excluded { object, relation }));
    }

    #[test]
    fn a_no_names_the_first_thing_that_is_missing() {
        let missing = |question| match explain(&world(&TUPLES), question).gap {
            Some(Gap::Missing { object, relation }) => format!("{relation} of {object}"),
            gap => panic!("{gap:?}"),
        };
        assert_eq!(missing("user:a insider doc:1"), "cleared of doc:1");
        assert_eq!(missing("user:c viewer doc:1"), "reader of doc:1");
        assert_eq!(missing("user:a reader doc:2"), "reader of doc:2");
    }

    #[test]
    fn a_proof_through_a_ring_has_an_end_and_no_tuple_twice() {
        let ring = [
            "group:b#member member group:a",
            "group:a#member member group:b",
            "group:c#member member group:b",
            "user:u member group:c",
        ];
        let why = explain(
            &World::of_groups(ring.iter().map(|t| tuple(t))),
            "user:u member group:a",
        );
        let expected = [ring[0], ring[2], ring[3]].map(tuple);
        assert_eq!(why.chain, expected);
    }
}
