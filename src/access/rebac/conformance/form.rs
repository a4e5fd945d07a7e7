//! The form of a policy test.

use crate::access::rebac::document::invalid;
use crate::core::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Features that a case can require and that are not here: such a case is skipped.
const UNSUPPORTED: [&str; 1] = ["condition"];

/// Keys of a step that are for people.
const COMMENTS: [&str; 6] = ["comment", "description", "id", "name", "note", "origin"];

/// Keys of a step that belong to the question rather than to the operation.
const CIRCUMSTANCES: [&str; 5] = ["context", "contextual_tuples", "depth", "now", "error"];

/// A case: steps that run in order on a store of their own.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) id: String,
    #[serde(default)]
    pub(super) requires: Vec<String>,
    pub(super) steps: Vec<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    /// Replaces the configuration; tuples stay.
    Schema {
        types: Value,
        #[serde(default)]
        conditions: Map<String, Value>,
        #[serde(default)]
        expect: Option<Word>,
    },
    Write {
        tuples: Vec<Value>,
        #[serde(default)]
        expect: Option<Word>,
    },
    Delete {
        tuples: Vec<Value>,
        #[serde(default)]
        expect: Option<Word>,
    },
    Check {
        object: String,
        relation: String,
        subject: String,
        expect: Expected,
    },
    ListObjects {
        subject: String,
        relation: String,
        #[serde(rename = "type")]
        kind: String,
        expect: ExpectedList,
    },
    ListSubjects {
        object: String,
        relation: String,
        filters: Vec<String>,
        expect: ExpectedList,
    },
}

/// What comes with a question.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Circumstances {
    #[serde(default)]
    pub(super) contextual_tuples: Vec<Value>,
    /// The number of hops that may be followed.
    #[serde(default)]
    pub(super) depth: Option<usize>,
    /// The time to judge expiry by.
    #[serde(default)]
    pub(super) now: Option<String>,
    /// Values for conditions; there are none.
    #[serde(default, rename = "context")]
    _context: Option<Value>,
    /// The kind of error that others report.
    #[serde(default, rename = "error")]
    _error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    Error,
    Unknown,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Expected {
    Bool(bool),
    Word(Word),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ExpectedList {
    All(Vec<String>),
    Word(Word),
}

impl Case {
    /// The feature for whose absence the case is skipped.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        let required = |feature: &&&str| self.requires.iter().any(|r| r == **feature);
        UNSUPPORTED.iter().find(required).copied()
    }
}

/// Reads a step and what comes with it. Any other key is a mistake.
pub(super) fn step(mut step: Map<String, Value>) -> Result<(Step, Circumstances)> {
    step.retain(|key, _| !COMMENTS.contains(&key.as_str()));
    let mut with = Map::new();
    for key in CIRCUMSTANCES {
        with.extend(step.remove_entry(key));
    }
    let step: Step = serde_json::from_value(Value::Object(step)).map_err(invalid)?;
    let with: Circumstances = serde_json::from_value(Value::Object(with)).map_err(invalid)?;
    let question = match &step {
        Step::Check { .. } | Step::ListObjects { .. } | Step::ListSubjects { .. } => true,
        Step::Schema { .. } | Step::Write { .. } | Step::Delete { .. } => false,
    };
    if question || with.asks_nothing() {
        return Ok((step, with));
    }
    Err(Error::new(
        Kind::Invalid,
        "contextual tuples, depth and time belong to questions",
    ))
}

impl Circumstances {
    fn asks_nothing(&self) -> bool {
        self.contextual_tuples.is_empty() && self.depth.is_none() && self.now.is_none()
    }
}
