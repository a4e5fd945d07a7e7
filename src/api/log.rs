//! The log.

use super::Command;
use super::context::{Context, path_of};
use crate::core::{Op, Result, Text};
use crate::facts::{Filter, LogPage, log};
use crate::fs::Stream;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest a request waits for the log to grow.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// Reads the log: the newest records, or the first `after` an operation. With `wait_ms` and nothing after it yet,
/// waits for the log to grow.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    #[serde(default)]
    pub path: Option<Text>,
    #[serde(default)]
    pub after: Option<u64>,
    #[serde(default)]
    pub before: Option<u64>,
    #[serde(default = "usual")]
    pub limit: u32,
    #[serde(default)]
    pub wait_ms: u64,
}

fn usual() -> u32 {
    100
}

impl Command for Log {
    const NAME: &'static str = "log";
    type Reply = LogPage;

    fn run(self, cx: &mut Context<'_>) -> Result<LogPage> {
        let path = self.path.as_ref().map(path_of).transpose()?;
        if let Some(after) = self.after.filter(|_| self.wait_ms > 0) {
            let patience = Duration::from_millis(self.wait_ms).min(WAIT_MAX);
            let tenant = cx.tenant()?;
            if cx.engine().head(tenant)?.0 <= after {
                cx.engine()
                    .events()
                    .wait_log(tenant, Stream::All, Op(after), patience);
            }
        }
        let filter = Filter {
            path,
            after: self.after,
            before: self.before,
            limit: self.limit,
        };
        log::read(cx.engine(), cx.caller, &filter)
    }
}
