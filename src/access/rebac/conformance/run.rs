//! Runs a case and compares what is answered with what is expected.

use super::form::{self, Case, Circumstances, Expected, ExpectedList, Step, Word};
use crate::access::rebac::document::invalid;
use crate::access::rebac::tuple::moment;
use crate::access::rebac::{
    Answer, Cut, Evaluator, Limits, Listing, Schema, Store, SubjectFilter, Tuple, Verdict,
};
use crate::core::{Kind, Result, Time, error::fail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How a case went.
pub(super) struct Run {
    /// Questions that were answered as expected.
    pub(super) assertions: usize,
    /// The first step that went wrong, from 1, and how.
    pub(super) failure: Option<(usize, String)>,
}

/// Runs the steps of a case up to the first that goes wrong.
pub(super) fn run(case: &Case, now: Time) -> Run {
    let mut world = World {
        schema: Schema::default(),
        store: Store::new(),
        now,
    };
    let mut assertions = 0;
    for (number, step) in (1..).zip(&case.steps) {
        match form::step(step.clone()).and_then(|(step, with)| world.step(step, &with)) {
            Ok(asserted) => assertions += usize::from(asserted),
            Err(e) => {
                let failure = Some((number, e.message().to_owned()));
                return Run {
                    assertions,
                    failure,
                };
            }
        }
    }
    Run {
        assertions,
        failure: None,
    }
}

struct World {
    schema: Schema,
    store: Store,
    now: Time,
}

impl World {
    /// Runs a step; says whether it asserted something.
    fn step(&mut self, step: Step, with: &Circumstances) -> Result<bool> {
        match step {
            Step::Schema {
                types,
                conditions,
                expect,
            } => {
                let form = json!({"types": types, "conditions": conditions});
                done(read(form).map(|schema| self.schema = schema), expect)
            }
            Step::Write { tuples, expect } => done(self.write(tuples), expect),
            Step::Delete { tuples, expect } => done(self.delete(tuples), expect),
            Step::Check {
                object,
                relation,
                subject,
                expect,
            } => {
                let answer = self.check([&object, &relation, &subject], with);
                let what = format!("check {subject} {relation} of {object}");
                checked(answer, &expect).map_err(|e| e.context(what))
            }
            Step::ListObjects {
                subject,
                relation,
                kind,
                expect,
            } => {
                let found = self.list_objects([&kind, &relation, &subject], with);
                let what = format!("list {kind} objects with {subject} {relation}");
                listed(found, &expect).map_err(|e| e.context(what))
            }
            Step::ListSubjects {
                object,
                relation,
                filters,
                expect,
            } => {
                let found = self.list_subjects([&object, &relation], &filters, with);
                let what = format!("list {} with {relation} of {object}", filters.join(", "));
                listed(found, &expect).map_err(|e| e.context(what))
            }
        }
    }

    /// Stores all the tuples or none.
    fn write(&mut self, tuples: Vec<Value>) -> Result<()> {
        let tuples: Vec<Tuple> = tuples.into_iter().map(read).collect::<Result<_>>()?;
        tuples.iter().try_for_each(|t| self.schema.admits(t))?;
        for tuple in &tuples {
            self.store.insert(tuple);
        }
        Ok(())
    }

    fn delete(&mut self, tuples: Vec<Value>) -> Result<()> {
        let tuples: Vec<Tuple> = tuples.into_iter().map(read).collect::<Result<_>>()?;
        for tuple in &tuples {
            self.store.delete(tuple);
        }
        Ok(())
    }

    fn evaluator(&self, with: &Circumstances) -> Result<Evaluator<'_>> {
        let now = with.now.as_deref().map_or(Ok(self.now), moment)?;
        let supposed = with.contextual_tuples.iter().cloned().map(read);
        let supposed: Vec<Tuple> = supposed.collect::<Result<_>>()?;
        let mut limits = Limits::default();
        limits.hops = with.depth.unwrap_or(limits.hops);
        let evaluator = Evaluator::new(&self.schema, &self.store, now);
        evaluator.limited(limits).supposing(&supposed)
    }

    fn check(
        &self,
        [object, relation, subject]: [&str; 3],
        with: &Circumstances,
    ) -> Result<Answer> {
        let mut evaluator = self.evaluator(with)?;
        evaluator.check(&object.parse()?, &relation.parse()?, &subject.parse()?)
    }

    fn list_objects(
        &self,
        [kind, relation, subject]: [&str; 3],
        with: &Circumstances,
    ) -> Result<Listing<String>> {
        let mut evaluator = self.evaluator(with)?;
        let found = evaluator.list_objects(&kind.parse()?, &relation.parse()?, &subject.parse()?);
        found.map(in_words)
    }

    fn list_subjects(
        &self,
        [object, relation]: [&str; 2],
        filters: &[String],
        with: &Circumstances,
    ) -> Result<Listing<String>> {
        let filters = filters.iter().map(|f| f.parse());
        let filters: Vec<SubjectFilter> = filters.collect::<Result<_>>()?;
        let mut evaluator = self.evaluator(with)?;
        let found = evaluator.list_subjects(&object.parse()?, &relation.parse()?, &filters);
        found.map(in_words)
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(invalid)
}

fn in_words<T: ToString>(Listing { found, cut }: Listing<T>) -> Listing<String> {
    let found = found.into_iter().map(|t| t.to_string()).collect();
    Listing { found, cut }
}

fn unexpected<T>(expected: &str, got: &str) -> Result<T> {
    fail(Kind::Invalid, format!("expected {expected}, got {got}"))
}

/// A change went as expected; says whether anything was expected.
fn done(result: Result<()>, expect: Option<Word>) -> Result<bool> {
    match (result, expect) {
        (Ok(()), None) => Ok(false),
        (Err(_), Some(Word::Error)) => Ok(true),
        (Err(e), None) => Err(e),
        (Ok(()), Some(_)) => unexpected("an error", "none"),
        (Err(_), Some(Word::Unknown)) => unexpected("unknown", "an error"),
    }
}

/// Whether others report an error where we answer that we do not know. A paradox is no such case: it is a refusal.
fn is_error(cut: Option<Cut>) -> bool {
    match cut {
        Some(Cut::Hops | Cut::Work) => true,
        Some(Cut::Paradox) | None => false,
    }
}

fn checked(result: Result<Answer>, expect: &Expected) -> Result<bool> {
    let fits = match (&result, expect) {
        (Ok(a), Expected::Bool(true)) => a.verdict == Verdict::Yes,
        (Ok(a), Expected::Bool(false)) => a.verdict != Verdict::Yes && !is_error(a.cut),
        (Ok(a), Expected::Word(Word::Unknown)) => a.verdict == Verdict::Unknown,
        (Ok(a), Expected::Word(Word::Error)) => is_error(a.cut),
        (Err(_), Expected::Word(Word::Error)) => true,
        (Err(_), Expected::Bool(_) | Expected::Word(Word::Unknown)) => false,
    };
    if fits {
        return Ok(true);
    }
    let expected = match expect {
        Expected::Bool(yes) => yes.to_string(),
        Expected::Word(word) => word.text().to_owned(),
    };
    unexpected(
        &expected,
        &got(result.map(|a| (a.verdict.to_string(), a.cut))),
    )
}

fn listed(result: Result<Listing<String>>, expect: &ExpectedList) -> Result<bool> {
    let fits = match (&result, expect) {
        (Ok(l), ExpectedList::All(all)) => set(&l.found) == set(all) && !is_error(l.cut),
        (Ok(l), ExpectedList::Word(Word::Error)) => is_error(l.cut),
        (Ok(l), ExpectedList::Word(Word::Unknown)) => l.cut.is_some(),
        (Err(_), ExpectedList::Word(Word::Error)) => true,
        (Err(_), ExpectedList::All(_) | ExpectedList::Word(Word::Unknown)) => false,
    };
    if fits {
        return Ok(true);
    }
    let expected = match expect {
        ExpectedList::All(all) => format!("{:?}", set(all)),
        ExpectedList::Word(word) => word.text().to_owned(),
    };
    let found = result.map(|l| (format!("{:?}", set(&l.found)), l.cut));
    unexpected(&expected, &got(found))
}

fn got(result: Result<(String, Option<Cut>)>) -> String {
    match result {
        Ok((answer, None)) => answer,
        Ok((answer, Some(cut))) => format!("{answer} ({cut})"),
        Err(e) => format!("an error: {e}"),
    }
}

fn set(all: &[String]) -> BTreeSet<&str> {
    all.iter().map(String::as_str).collect()
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Error => "an error",
            Self::Unknown => "unknown",
        }
    }
}
