//! On what a subject has a relation: the check, asked for every object that a walk from the subject reaches.
//!
//! Promise: the walk may reach too much, never too little; `check` alone decides what is listed.

use super::answer::{Cut, Listing, Verdict};
use super::check::{Decision, Evaluator};
use super::facts::Key;
use super::name::{Relation, TypeName};
use super::names::{Obj, Subj};
use super::schema::Rewrite;
use super::solve::Asked;
use super::tuple::{ObjectRef, Subject};
use crate::core::Result;
use std::collections::{BTreeSet, HashSet};

impl<'a> Evaluator<'a> {
    /// Lists the objects of a type on which a subject has a relation.
    pub fn list_objects(
        &mut self,
        kind: &TypeName,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Listing<ObjectRef>> {
        self.facts.schema.relation(kind, relation)?;
        let asked = self.asked(subject)?;
        let (candidates, mut cut) = self.reached_from(asked, kind);
        let mut found = BTreeSet::new();
        let mut work = 0;
        for object in candidates {
            if work >= self.limits.work {
                cut = Some(Cut::Work);
                break;
            }
            let Some(place) = self.facts.key(object, relation.as_str()) else {
                continue;
            };
            let Decision { graph, answer, .. } = self.decide(place, asked);
            work += graph.vertices.len();
            cut = cut.or(answer.cut);
            if answer.verdict == Verdict::Yes {
                found.extend(self.facts.object_name(object).cloned());
            }
        }
        Ok(Listing {
            found: found.into_iter().collect(),
            cut,
        })
    }

    /// The objects of a type whose relations may hold for a subject.
    fn reached_from(&self, asked: Asked, kind: &TypeName) -> (BTreeSet<Obj>, Option<Cut>) {
        let types = self.facts.schema.types().values();
        let mut rewrites = types.flat_map(|t| t.relations.values()).map(|d| &d.rewrite);
        let limit = self.limits.candidates;
        let (reached, full) = if rewrites.any(opens) {
            let all: BTreeSet<Obj> = self.facts.objects_of(kind).take(limit).collect();
            let full = all.len() >= limit;
            (all, full)
        } else {
            let all = self.walk(asked);
            let full = all.len() >= limit;
            (all.into_iter().map(|key| key.object).collect(), full)
        };
        let of_kind = |o: &Obj| self.facts.object_name(*o).is_some_and(|o| o.kind == *kind);
        let reached = reached.into_iter().filter(of_kind).collect();
        (reached, full.then_some(Cut::Work))
    }

    /// Every vertex that can be reached against the direction of evaluation.
    fn walk(&self, asked: Asked) -> HashSet<Key<'a>> {
        let mut reached = HashSet::new();
        let mut waiting = self.first(asked);
        while let Some(key) = waiting.pop() {
            if reached.len() >= self.limits.candidates {
                break;
            }
            if reached.insert(key) {
                waiting.extend(self.next(key));
            }
        }
        reached
    }

    /// The vertices that a subject has without looking further.
    fn first(&self, asked: Asked) -> Vec<Key<'a>> {
        let named = [asked.subject, asked.wildcard].into_iter().flatten();
        let mut first: Vec<Key<'a>> = named.flat_map(|s| self.facts.objects(s)).collect();
        match asked.subject {
            Some(Subj::Set(object, relation)) => {
                let relation = self.facts.relation_name(relation);
                let key = relation.and_then(|r| self.facts.key(object, r.as_str()));
                first.extend(key.map(|(key, _)| key));
            }
            Some(Subj::One(object)) => first.extend(self.relations_where(object, is_itself)),
            Some(Subj::All(_)) | None => {}
        }
        first
    }

    /// The vertices that may follow from one: relations of the same object that compute it, what its userset is named
    /// on, and what leads to its object by a tupleset.
    fn next(&self, key: Key<'a>) -> Vec<Key<'a>> {
        let relation = key.relation;
        let mut next = self.relations_where(key.object, |r| mentions(r, relation));
        let userset = self.facts.userset(key).into_iter();
        next.extend(userset.flat_map(|s| self.facts.objects(s)));
        for tupleset in self.facts.objects(Subj::One(key.object)) {
            next.extend(
                self.relations_where(tupleset.object, |r| follows(r, tupleset.relation, relation)),
            );
        }
        next
    }

    fn relations_where(&self, object: Obj, fits: impl Fn(&Rewrite) -> bool) -> Vec<Key<'a>> {
        let kind = self.facts.object_name(object).map(|o| &o.kind);
        let def = kind.and_then(|kind| self.facts.schema.types().get(kind));
        let relations = def.into_iter().flat_map(|def| &def.relations);
        let fitting = relations.filter(|(_, def)| fits(&def.rewrite));
        fitting
            .map(|(relation, _)| Key { object, relation })
            .collect()
    }
}

/// Whether a rewrite can let in somebody whom no tuple names.
fn opens(rewrite: &Rewrite) -> bool {
    matches!(rewrite, Rewrite::Not(_)) || rewrite.parts().any(opens)
}

fn is_itself(rewrite: &Rewrite) -> bool {
    matches!(rewrite, Rewrite::Itself) || rewrite.parts().any(is_itself)
}

fn mentions(rewrite: &Rewrite, relation: &Relation) -> bool {
    matches!(rewrite, Rewrite::Computed(r) if r == relation)
        || rewrite.parts().any(|part| mentions(part, relation))
}

fn follows(rewrite: &Rewrite, by: &Relation, relation: &Relation) -> bool {
    let hit = match rewrite {
        Rewrite::Ttu(ttu) | Rewrite::TtuAll(ttu) => {
            ttu.tupleset == *by && ttu.computed == *relation
        }
        Rewrite::This
        | Rewrite::Computed(_)
        | Rewrite::Union(_)
        | Rewrite::Intersection(_)
        | Rewrite::Exclusion { .. }
        | Rewrite::Nil
        | Rewrite::Itself
        | Rewrite::Not(_) => false,
    };
    hit || rewrite.parts().any(|part| follows(part, by, relation))
}
