//! Moments of the past.

use super::Command;
use super::context::{Context, path_of};
use crate::core::{Result, Text};
use crate::fs;
use crate::history::resolve_when;
use crate::history::snapshot::resolve_when_at;
use serde::{Deserialize, Serialize};

/// Finds the moment that a word means: `10m-ago`, `yesterday`, `2026-11-22T10:00`, `op:8123`, a snapshot's name. With a path, a
/// snapshot has to be of a directory that it is in, or that is in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    pub when: String,
    #[serde(default)]
    pub path: Option<Text>,
}

/// A moment: what the tree was when an operation was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub op: u64,
    /// When that was: RFC 3339, UTC.
    pub time: String,
}

impl From<fs::Moment> for Moment {
    fn from(at: fs::Moment) -> Self {
        Self {
            op: at.op.0,
            time: at.time.to_string(),
        }
    }
}

impl Command for When {
    const NAME: &'static str = "moment";
    type Reply = Moment;

    fn run(self, cx: &mut Context<'_>) -> Result<Moment> {
        let (engine, word) = (cx.engine(), &self.when);
        let found = match &self.path {
            Some(path) => resolve_when_at(engine, cx.caller, word, &path_of(path)?),
            None => resolve_when(engine, cx.caller, word),
        };
        found.map(Moment::from)
    }
}
