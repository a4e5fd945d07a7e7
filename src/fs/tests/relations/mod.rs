//! Types of a tenant's own, end to end in the engine: defined, given, asked about, kept.

mod types;
mod give;
mod ask;
mod charge;
mod worlds;
mod views;

use super::principals::{TENANT, boss, make, subject};
use super::*;
use crate::access::rebac::{self, Definitions, Format, Verdict};
use crate::core::Time;
use crate::meta::tuple::Tuple;

/// Folders and documents in them, as a tenant may want them.
pub(super) const DOCS: &str = "
folder:
  relations:
    owner: {rewrite: {this: true}, types: [{type: user}, {type: agent}, {type: group, relation: member}]}
    viewer:
      rewrite: {union: [{this: true}, {computed: owner}]}
      types: [{type: user}, {type: user, wildcard: true}, {type: agent}, {type: group, relation: member}]
doc:
  relations:
    parent: {rewrite: {this: true}, types: [{type: folder}]}
    owner:
      rewrite: {union: [{this: true}, {ttu: {tupleset: parent, computed: owner}}]}
      types: [{type: user}, {type: agent}, {type: group, relation: member}]
    banned: {rewrite: {this: true}, types: [{type: user}]}
    reader:
      rewrite: {union: [{this: true}, {computed: owner}, {ttu: {tupleset: parent, computed: viewer}}]}
      types: [{type: user}, {type: user, wildcard: true}, {type: agent}, {type: group, relation: member}]
    viewer: {rewrite: {exclusion: {base: {computed: reader}, subtract: {computed: banned}}}}
";

fn definitions(types: &str) -> Definitions {
    let lines: Vec<String> = types.lines().map(|l| format!("  {l}")).collect();
    Format::Yaml
        .read(&format!("types:\n{}\n", lines.join("\n")))
        .unwrap()
}

#[track_caller]
pub(super) fn define(w: &World, by: &Caller, types: &str) {
    w.engine().set_types(by, definitions(types)).unwrap();
}

/// `"subject relation object"` as a tuple.
fn said(text: &str) -> rebac::Tuple {
    let words: Vec<&str> = text.split(' ').collect();
    let [subject, relation, object] = words[..] else {
        panic!("{text:?} has not three words");
    };
    rebac::Tuple::new(
        object.parse().unwrap(),
        relation.parse().unwrap(),
        subject.parse().unwrap(),
    )
}

pub(super) fn relate(w: &World, by: &Caller, text: &str) -> Result<Arc<Tuple>> {
    w.engine().relate(by, &said(text))
}

#[track_caller]
fn give(w: &World, text: &str) -> u64 {
    relate(w, &boss(), text).unwrap().id
}

fn verdict(w: &World, by: &Caller, text: &str) -> Result<Verdict> {
    let asked = said(text);
    let inquiry = w.engine().inquire(by)?;
    let answer = inquiry.check(&asked.object, &asked.relation, &asked.subject)?;
    assert_eq!(answer.cut.is_some(), answer.verdict == Verdict::Unknown);
    Ok(answer.verdict)
}

#[track_caller]
fn asks(w: &World, text: &str) -> Verdict {
    verdict(w, &boss(), text).unwrap()
}

/// A world with documents, alice and bob.
fn docs() -> (World, Caller, Caller) {
    let w = World::new();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    define(&w, &boss(), DOCS);
    (w, alice, bob)
}

fn all(w: &World) -> Vec<Arc<Tuple>> {
    w.engine().grants(&boss(), |_| true).unwrap()
}
