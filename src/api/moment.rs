//! Moments of the past.

use super::Command;
use super::context::Context;
use crate::core::Result;
use crate::fs;
use crate::history::resolve_when;
use serde::{Deserialize, Serialize};

/// Finds the moment that a word means: `10m-ago`, `yesterday`, `2026-11-22T10:00`, `op:8123`, a snapshot's name.
#[derive(Debug, Serialize, Deserialize)]
pub struct When {
    pub when: String,
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
        resolve_when(cx.engine(), cx.caller, &self.when).map(Moment::from)
    }
}
