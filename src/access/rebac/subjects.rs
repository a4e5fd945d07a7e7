//! Who has a relation on an object: the check, asked for every candidate.
//!
//! Promise: what is listed is exactly what `check` says yes to, among the subjects that the graph names; a list that
//! may lack something says so.

use super::answer::{Cut, Listing, Verdict};
use super::check::Evaluator;
use super::graph::Graph;
use super::name::{Relation, TypeName};
use super::names::Subj;
use super::solve::{Asked, Solution};
use super::tuple::{ObjectRef, Subject};
use crate::core::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

/// The kind of subjects to list: things of a type, or usersets of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectFilter {
    pub kind: TypeName,
    pub relation: Option<Relation>,
}

/// Whom to list as having a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principals {
    /// Users and the groups that give it to them.
    All,
    /// Users only, and whatever else contains nobody.
    Leaves,
}

impl<'a> Evaluator<'a> {
    /// Lists the subjects of some kinds that have a relation on an object. A wildcard is listed as itself, beside those
    /// whom tuples name.
    pub fn list_subjects(
        &mut self,
        object: &ObjectRef,
        relation: &Relation,
        filters: &[SubjectFilter],
    ) -> Result<Listing<Subject>> {
        let (key, def) = self.place(object, relation)?;
        for filter in filters {
            self.know(filter)?;
        }
        let mut graph = Graph::new(key, def, self.limits);
        graph.explore(&self.facts);
        let mut candidates = BTreeSet::new();
        for filter in filters {
            candidates.extend(self.unnamed(&graph, filter));
        }
        let fits = |s: &Subject| filters.iter().any(|filter| filter.fits(s));
        let named = self.named(&graph).chain(self.vertices(&graph));
        candidates.extend(named.filter(|&s| self.facts.subject_name(s).is_some_and(|s| fits(&s))));
        Ok(self.judged(&graph, candidates))
    }

    /// Lists whoever has a relation on an object.
    pub fn expand(
        &mut self,
        object: &ObjectRef,
        relation: &Relation,
        whom: Principals,
    ) -> Result<Listing<Subject>> {
        let (key, def) = self.place(object, relation)?;
        let mut graph = Graph::new(key, def, self.limits);
        graph.explore(&self.facts);
        let mut candidates = BTreeSet::new();
        for kind in self.facts.schema.types().keys() {
            let filter = SubjectFilter {
                kind: kind.clone(),
                relation: None,
            };
            candidates.extend(self.unnamed(&graph, &filter));
        }
        let wanted = |s: &Subj| whom == Principals::All || !matches!(s, Subj::Set(..));
        candidates.extend(self.named(&graph).filter(wanted));
        Ok(self.judged(&graph, candidates))
    }

    /// Holds that the configuration knows what a filter names, and gives it numbers.
    fn know(&mut self, filter: &SubjectFilter) -> Result<()> {
        match &filter.relation {
            None => self.facts.schema.kind(&filter.kind).map(drop),
            Some(relation) => {
                self.facts.schema.relation(&filter.kind, relation)?;
                self.facts.relation(relation);
                Ok(())
            }
        }
    }

    /// Subjects that may have the relation although no tuple of the graph names them: the wildcard, which also stands
    /// for everybody unnamed, and, where a negation lets everybody in, whoever is known.
    fn unnamed(&mut self, graph: &Graph<'a>, filter: &SubjectFilter) -> Vec<Subj> {
        let known = graph.opens.then(|| self.facts.objects_of(&filter.kind));
        let known: Vec<_> = known.into_iter().flatten().collect();
        match &filter.relation {
            None => {
                let wildcard = self.facts.subject(&Subject::Wildcard(filter.kind.clone()));
                let known = known.into_iter().map(Subj::One);
                known.chain([wildcard]).collect()
            }
            Some(relation) => {
                let relation = self.facts.relation(relation);
                let known = known.into_iter();
                known.map(|o| Subj::Set(o, relation)).collect()
            }
        }
    }

    /// The subjects that tuples of the graph name, and the objects of the graph.
    fn named(&self, graph: &Graph<'a>) -> impl Iterator<Item = Subj> {
        graph.vertices.iter().flat_map(|v| {
            let subjects = self.facts.subjects(v.key, v.def, Bound::Unbounded);
            subjects.chain(v.is_itself.then_some(Subj::One(v.key.object)))
        })
    }

    /// The vertices of the graph as subjects: whoever has the relation of a vertex is in the userset of that name.
    fn vertices(&self, graph: &Graph<'a>) -> impl Iterator<Item = Subj> {
        let vertices = graph.vertices.iter();
        vertices.filter_map(|v| self.facts.userset(v.key))
    }

    /// The candidates who have what the graph was explored for.
    fn judged(&mut self, graph: &Graph<'a>, candidates: BTreeSet<Subj>) -> Listing<Subject> {
        let nobody = Solution::new(&self.facts, graph, Asked::default());
        let mut cut = nobody.answer(graph).cut;
        let afford = self.limits.work / graph.vertices.len().max(1);
        let most = self.limits.candidates.min(afford);
        if candidates.len() > most {
            cut = Some(Cut::Work);
        }
        let mut found = BTreeSet::new();
        for subject in candidates.into_iter().take(most) {
            let asked = Asked {
                subject: Some(subject),
                wildcard: self.facts.wildcard_over(subject),
            };
            let answer = Solution::new(&self.facts, graph, asked).answer(graph);
            cut = cut.or(answer.cut);
            if answer.verdict == Verdict::Yes {
                found.extend(self.facts.subject_name(subject));
            }
        }
        Listing {
            found: found.into_iter().collect(),
            cut,
        }
    }
}

impl SubjectFilter {
    fn fits(&self, subject: &Subject) -> bool {
        let relation = match subject {
            Subject::Userset(_, relation) => Some(relation),
            Subject::Object(_) | Subject::Wildcard(_) => None,
        };
        *subject.kind() == self.kind && relation == self.relation.as_ref()
    }
}

impl FromStr for SubjectFilter {
    type Err = Error;

    /// Reads `user` or `group#member`.
    fn from_str(text: &str) -> Result<Self> {
        let (kind, relation) = match text.split_once('#') {
            Some((kind, relation)) => (kind, Some(relation.parse()?)),
            None => (text, None),
        };
        let kind = kind.parse()?;
        Ok(Self { kind, relation })
    }
}

impl fmt::Display for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        let relation = self.relation.iter();
        relation.into_iter().try_for_each(|r| write!(f, "#{r}"))
    }
}
