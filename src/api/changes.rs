//! How relationships came to be what they are, and what becomes of them from now on.

use super::Command;
use super::context::Context;
use super::follow::Follow;
use super::log::{WAIT_MAX, WAIT_MS};
use crate::core::{Op, Result};
use crate::facts::{Changes, changes};
use crate::fs::Stream;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Reads every grant, revoke, boundary and type behind an operation, oldest first: all for an administrator, for others what they
/// may know of. With `wait_ms` and nothing there yet, waits for something to come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacChanges {
    /// 0 is before the first.
    #[serde(default)]
    pub after: u64,
    #[serde(default = "usual")]
    pub limit: u32,
    #[serde(default)]
    pub wait_ms: u64,
}

fn usual() -> u32 {
    1000
}

impl Command for RebacChanges {
    const NAME: &'static str = "rebac-changes";
    type Reply = Changes;

    fn run(self, cx: &mut Context<'_>) -> Result<Changes> {
        let found = changes::read(cx.engine(), cx.caller, Op(self.after), self.limit)?;
        if !found.changes.is_empty() || self.wait_ms == 0 {
            return Ok(found);
        }
        let patience = Duration::from_millis(self.wait_ms).min(WAIT_MAX);
        let (tenant, last) = (cx.tenant()?, Op(found.last));
        let events = cx.engine().events();
        events.wait_log(tenant, Stream::Grants, last, patience);
        changes::read(cx.engine(), cx.caller, last, self.limit)
    }
}

impl Follow for RebacChanges {
    fn go_on(&mut self, answer: &Changes) -> bool {
        self.after = answer.last;
        (self.limit, self.wait_ms) = (self.limit.max(1), WAIT_MS);
        true
    }
}
