//! Who has what on objects of own types: checks and lists, all from the graph of one moment.
//!
//! Anybody may ask about himself and his groups; about others it takes ownership of the object, and of the objects of somebody
//! else an administrator. What the evaluator cannot find out is *unknown*, and who may not be told is refused.

use super::graph::Graph;
use super::names::{named, named_object, numbered};
use crate::access::Reach;
use crate::access::rebac::{
    self, Answer, Evaluator, Gap, Listing, ObjectRef, Principals, Relation, Subject, SubjectFilter,
    TypeName, Verdict, canonical, canonical_tuple,
};
use crate::core::{Caller, Kind, PrincipalId, Result, Time, error::fail};
use crate::fs::Engine;
use crate::meta::Roster;
use crate::meta::tuple::{PRINCIPALS, Tuple};
use std::cell::Cell;
use std::sync::Arc;

/// Questions of one caller. Subjects are principals by name, and objects.
pub struct Inquiry<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    roster: Arc<Roster>,
    graph: Arc<Graph>,
    /// Whom the caller may ask about: himself and his groups.
    own: Reach,
    now: Time,
    effort: Cell<usize>,
}

/// Why an answer is what it is, as far as whoever asked may know.
#[derive(Debug)]
pub struct Reasons {
    pub answer: Answer,
    /// From the object to the subject: why it is yes, or what excludes.
    pub chain: Vec<rebac::Tuple>,
    /// How many more there are, about what the asker may not see.
    pub untold: usize,
    /// What stands between a no and a yes; nothing where that is somewhere else.
    pub gap: Option<Gap>,
    /// Tuples that are over and without whose end it would be yes, as far as he may know of them.
    pub ended: Vec<rebac::Tuple>,
}

impl Engine {
    /// Begins to ask: every answer will be of this moment.
    pub fn inquire<'a>(&'a self, caller: &'a Caller) -> Result<Inquiry<'a>> {
        let home = self.own_home(caller)?;
        Ok(Inquiry {
            engine: self,
            caller,
            roster: home.roster.clone(),
            graph: self.relations.graph(home.tenant.id).unwrap_or_default(),
            own: self.reached_by(caller)?,
            now: self.latest(),
            effort: Cell::new(0),
        })
    }
}

impl Inquiry<'_> {
    /// Whether a subject has a relation on an object.
    pub fn check(
        &self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Answer> {
        Engine::known(&self.graph, &object.kind)?;
        let subject = numbered(&self.roster, subject)?;
        if !self.is_own(&subject) {
            self.may_ask(object)?;
        }
        let relation = canonical(&self.graph.schema, &object.kind, relation);
        let mut evaluator = self.evaluator();
        let (answer, took) = evaluator.check_counting(object, &relation, &subject)?;
        self.effort.set(self.effort.get() + took);
        Ok(answer)
    }

    /// What all checks so far took, in objects and tuples that were looked at.
    pub fn effort(&self) -> usize {
        self.effort.get()
    }

    /// Why a subject has a relation on an object, or has not; for who may ask whether. Of the tuples on the way only those are
    /// told that the caller may know of, by name.
    pub fn explain(
        &self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Reasons> {
        // Fails for who may not ask.
        self.check(object, relation, subject)?;
        let subject = numbered(&self.roster, subject)?;
        let relation = canonical(&self.graph.schema, &object.kind, relation);
        let why = self.evaluator().explain(object, &relation, &subject)?;
        let mut told = Vec::new();
        let all = why.chain.len();
        for tuple in why.chain {
            if self.may_tell(&tuple)? {
                told.extend(self.named(tuple));
            }
        }
        let names = |of: &ObjectRef| {
            let is_of = |t: &rebac::Tuple| {
                let (Subject::Object(by) | Subject::Userset(by, _)) = &t.subject else {
                    return t.object == *of;
                };
                t.object == *of || by == of
            };
            of == object || told.iter().any(is_of)
        };
        let gap = why.gap.and_then(|gap| {
            let of = named_object(&self.roster, gap.object().clone())?;
            names(&of).then(|| gap.of(of))
        });
        let ended = match why.answer.verdict {
            Verdict::No => self.ended(object, &relation, &subject)?,
            Verdict::Yes | Verdict::Unknown => Vec::new(),
        };
        Ok(Reasons {
            answer: why.answer,
            untold: all - told.len(),
            chain: told,
            gap,
            ended,
        })
    }

    /// The tuples that are over among those by which it would be yes if none ended.
    fn ended(
        &self,
        object: &ObjectRef,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Vec<rebac::Tuple>> {
        let mut ever = Evaluator::new(&self.graph.schema, &self.graph.store, Time(i64::MIN));
        let why = ever.explain(object, relation, subject)?;
        if why.answer.verdict != Verdict::Yes {
            return Ok(Vec::new());
        }
        let is_over = |t: &rebac::Tuple| t.expires.is_some_and(|end| end <= self.now);
        let mut over = Vec::new();
        for tuple in why.chain.into_iter().filter(is_over) {
            if self.may_tell(&tuple)? {
                over.extend(self.named(tuple));
            }
        }
        Ok(over)
    }

    /// Who is in a group everybody may know.
    fn may_tell(&self, tuple: &rebac::Tuple) -> Result<bool> {
        if self.caller.admin || PRINCIPALS.contains(&tuple.object.kind.as_str()) {
            return Ok(true);
        }
        match self.graph.twin(tuple.clone()) {
            Some(stored) => self.engine.knows(self.caller, stored),
            None => Ok(false),
        }
    }

    fn named(&self, tuple: rebac::Tuple) -> Option<rebac::Tuple> {
        let subject = named(&self.roster, tuple.subject)?;
        let object = named_object(&self.roster, tuple.object)?;
        Some(rebac::Tuple {
            object,
            subject,
            ..tuple
        })
    }

    /// Whoever has a relation on an object, users and what gives it to them, or users alone.
    pub fn expand(
        &self,
        object: &ObjectRef,
        relation: &Relation,
        whom: Principals,
    ) -> Result<Listing<Subject>> {
        let relation = self.asked_of_all(object, relation)?;
        let found = self.evaluator().expand(object, &relation, whom)?;
        Ok(self.shown(found))
    }

    /// The subjects of some kinds that have a relation on an object.
    pub fn subjects(
        &self,
        object: &ObjectRef,
        relation: &Relation,
        filters: &[SubjectFilter],
    ) -> Result<Listing<Subject>> {
        let relation = self.asked_of_all(object, relation)?;
        let found = self.evaluator().list_subjects(object, &relation, filters)?;
        Ok(self.shown(found))
    }

    /// The objects of a type on which a subject has a relation.
    pub fn objects(
        &self,
        kind: &TypeName,
        relation: &Relation,
        subject: &Subject,
    ) -> Result<Listing<ObjectRef>> {
        Engine::known(&self.graph, kind)?;
        let subject = numbered(&self.roster, subject)?;
        if !self.caller.admin && !self.is_own(&subject) {
            let message = "only an administrator may ask what others have";
            return fail(Kind::NotPermitted, message);
        }
        let relation = canonical(&self.graph.schema, kind, relation);
        self.evaluator().list_objects(kind, &relation, &subject)
    }

    /// The tuple that says so, if there is one and the caller may know of it.
    pub fn tuple(&self, said: &rebac::Tuple) -> Result<Option<Arc<Tuple>>> {
        Engine::known(&self.graph, &said.object.kind)?;
        let named = canonical_tuple(&self.graph.schema, said.clone());
        let subject = numbered(&self.roster, &named.subject)?;
        let found = self.graph.twin(rebac::Tuple { subject, ..named });
        match found {
            Some(tuple) if self.engine.knows(self.caller, tuple)? => Ok(Some(tuple.clone())),
            Some(_) | None => Ok(None),
        }
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.graph.schema, &self.graph.store, self.now)
    }

    fn asked_of_all(&self, object: &ObjectRef, relation: &Relation) -> Result<Relation> {
        Engine::known(&self.graph, &object.kind)?;
        self.may_ask(object)?;
        Ok(canonical(&self.graph.schema, &object.kind, relation))
    }

    fn may_ask(&self, object: &ObjectRef) -> Result<()> {
        if self.caller.admin || self.engine.owns(self.caller, &self.graph, object)? {
            return Ok(());
        }
        let message = format!(
            "only an owner of {object}, or an administrator, may ask what others have on it"
        );
        fail(Kind::NotPermitted, message)
    }

    /// Whether the caller asks about himself, his groups or everybody, in which he is.
    fn is_own(&self, subject: &Subject) -> bool {
        let (Subject::Object(object) | Subject::Userset(object, _)) = subject else {
            return PRINCIPALS.contains(&subject.kind().as_str());
        };
        let number = object.id.as_str().parse().map(PrincipalId);
        let is_principal = PRINCIPALS.contains(&object.kind.as_str());
        is_principal && number.is_ok_and(|id| self.own.binary_search(&id).is_ok())
    }

    /// What was found, by name; who is gone has nothing.
    fn shown(&self, found: Listing<Subject>) -> Listing<Subject> {
        let names = found.found.into_iter();
        let mut names: Vec<Subject> = names.filter_map(|s| named(&self.roster, s)).collect();
        names.sort();
        Listing {
            found: names,
            ..found
        }
    }
}
