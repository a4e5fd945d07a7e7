//! The truth of every explored vertex for one subject, in three values.
//!
//! Without negation, what is true is the least fixpoint: a cycle supports nothing by itself. With negation it is the
//! well-founded model (Van Gelder, Ross, Schlipf 1991), found by alternating fixpoints: a lower bound in which whatever
//! is cut or negates something possible is false, an upper bound in which it is true. What lies between is unknown.
//!
//! Promise: a vertex has one value per question. No value is derived from the way it was reached, so none can be
//! remembered though a cycle or a limit had cut it.

use super::answer::{Answer, Cut, Verdict};
use super::facts::Facts;
use super::graph::{Formula, Graph, Vertex};
use super::names::Subj;

/// How often the bounds are tightened. They are sound after every round; what is still between them then is unknown.
const ROUNDS_MAX: usize = 100;

/// Who is asked for; nobody at all when both are absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) subject: Option<Subj>,
    /// The wildcard that covers the subject.
    pub(super) wildcard: Option<Subj>,
}

/// How a subject is related to a vertex, without looking further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    /// The subject that a tuple of the vertex names: the one asked for, or its wildcard.
    pub(super) named: Option<Subj>,
    /// The subject is the object of the vertex.
    pub(super) object: bool,
    /// The subject is the vertex.
    pub(super) vertex: bool,
}

/// In which round a vertex became true; 0 for never.
pub(super) type Ranks = Vec<u32>;

/// The values of all vertices for one subject.
#[derive(Debug)]
pub(super) struct Solution {
    pub(super) matches: Vec<Match>,
    /// What is true, by the round in which it became so: a vertex is supported by vertices of lower ranks.
    pub(super) yes: Ranks,
    /// What is not false.
    maybe: Ranks,
}

/// The part of some ranks that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'s> {
    pub(super) ranks: &'s [u32],
    pub(super) below: u32,
}

impl View<'_> {
    fn has(self, at: usize) -> bool {
        (1..self.below).contains(&self.ranks[at])
    }
}

impl Solution {
    pub(super) fn new(facts: &Facts<'_>, graph: &Graph<'_>, asked: Asked) -> Self {
        let matches = graph.vertices.iter().map(|v| Match::new(facts, v, asked));
        let mut solution = Self {
            matches: matches.collect(),
            yes: vec![0; graph.vertices.len()],
            maybe: Vec::new(),
        };
        for _ in 0..ROUNDS_MAX {
            solution.maybe = solution.least(graph, &solution.yes, true);
            let yes = solution.least(graph, &solution.maybe, false);
            let settled = !graph.negates || count(&yes) == count(&solution.yes);
            solution.yes = yes;
            if settled {
                break;
            }
        }
        solution
    }

    /// The answer to the question, which is the first vertex.
    pub(super) fn answer(&self, graph: &Graph<'_>) -> Answer {
        let verdict = match (self.yes.first(), self.maybe.first()) {
            (Some(1..), _) => Verdict::Yes,
            (_, Some(0)) => Verdict::No,
            _ => Verdict::Unknown,
        };
        let unknown = verdict == Verdict::Unknown;
        let cut = unknown.then(|| graph.cut.unwrap_or(Cut::Paradox));
        Answer { verdict, cut }
    }

    /// The least fixpoint, what is negated being read from `opposite` and what is cut being `cut`.
    fn least(&self, graph: &Graph<'_>, opposite: &[u32], cut: bool) -> Ranks {
        let mut ranks = vec![0; graph.vertices.len()];
        let mut waiting: Vec<usize> = (0..ranks.len()).collect();
        let mut round = 0;
        while !waiting.is_empty() {
            round += 1;
            let own = View::all(&ranks);
            let follows = |&at: &usize| {
                let formula = graph.vertices[at].formula.as_ref();
                let holds = |f| self.holds(f, at, own, View::all(opposite), cut);
                ranks[at] == 0 && (self.matches[at].vertex || formula.map_or(cut, holds))
            };
            let risen: Vec<usize> = waiting.iter().copied().filter(follows).collect();
            for &at in &risen {
                ranks[at] = round;
            }
            waiting = dependents(graph, &risen);
        }
        ranks
    }

    /// Whether a formula of a vertex holds. Under a negation the two views and the value of a cut change places.
    pub(super) fn holds(
        &self,
        formula: &Formula<'_>,
        at: usize,
        own: View<'_>,
        opposite: View<'_>,
        cut: bool,
    ) -> bool {
        let holds = |part: &Formula<'_>| self.holds(part, at, own, opposite, cut);
        let fails = |part: &Formula<'_>| !self.holds(part, at, opposite, own, !cut);
        match formula {
            Formula::Never => false,
            Formula::Cut => cut,
            Formula::Itself => self.matches[at].object,
            Formula::Direct => self.matches[at].named.is_some(),
            Formula::Step(step) => own.has(step.to),
            Formula::Any(all) => all.iter().any(holds),
            Formula::All(all) => all.iter().all(holds),
            Formula::But(base, subtract) => holds(base) && fails(subtract),
            Formula::Not(part) => fails(part),
        }
    }

    /// Whether a formula of a vertex is true, supported by vertices that became true before `below` only.
    pub(super) fn is_true(&self, formula: &Formula<'_>, at: usize, below: u32) -> bool {
        let own = View {
            ranks: &self.yes,
            below,
        };
        self.holds(formula, at, own, View::all(&self.maybe), false)
    }
}

impl<'s> View<'s> {
    fn all(ranks: &'s [u32]) -> Self {
        let below = u32::MAX;
        Self { ranks, below }
    }
}

impl Match {
    fn new(facts: &Facts<'_>, vertex: &Vertex<'_>, asked: Asked) -> Self {
        let names = |&s: &Subj| facts.holds(vertex.key, vertex.def, s);
        let object = vertex.key.object;
        Self {
            named: asked
                .subject
                .filter(names)
                .or_else(|| asked.wildcard.filter(names)),
            object: asked.subject == Some(Subj::One(object)),
            vertex: matches!(asked.subject, Some(Subj::Set(o, _)) if o == object)
                && facts.userset(vertex.key) == asked.subject,
        }
    }
}

fn count(ranks: &[u32]) -> usize {
    ranks.iter().filter(|&&rank| rank > 0).count()
}

/// The vertices that may have become true because these have.
fn dependents(graph: &Graph<'_>, risen: &[usize]) -> Vec<usize> {
    let all = risen.iter().flat_map(|&at| &graph.vertices[at].dependents);
    let mut all: Vec<usize> = all.copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::fixture::{World, ask, but, computed, docs};
    use super::*;
    use serde_json::json;

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
                vertices,
                tuples,
                ..Limits::default()
            };
            ask(&mut world.within(limits), "user:u viewer doc:1").verdict
        };
        assert_eq!(ask_within(2, 5), Verdict::No);
        for (tuples, vertices) in [(0, 5), (1, 5), (2, 4), (2, 3), (2, 1)] {
            assert_eq!(ask_within(tuples, vertices), Verdict::Unknown);
        }
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
}
