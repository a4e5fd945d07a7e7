//! The store as a whole: figures, space, checks.

use super::Command;
use super::context::{Context, Progress};
use super::receipt::Receipt;
use crate::core::{Kind, Result, error::fail};
use crate::facts::Stats;
use crate::fs::check::Report;
use serde::{Deserialize, Serialize};

/// Shows figures of the running engine; to all but administrators none that tell of others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowStats {}

impl Command for ShowStats {
    const NAME: &'static str = "stats";
    type Reply = Stats;

    fn run(self, cx: &mut Context<'_>) -> Result<Stats> {
        Stats::of(cx.engine(), cx.caller)
    }
}

/// Tells what the files would take, and what the store takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Df {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Space {
    pub logical_bytes: u64,
    pub stored_bytes: u64,
    /// Logical bytes a stored byte.
    pub ratio: f64,
    pub files: u64,
    pub blobs: u64,
}

impl Command for Df {
    const NAME: &'static str = "df";
    type Reply = Space;

    fn run(self, cx: &mut Context<'_>) -> Result<Space> {
        let usage = cx.engine().df(cx.caller)?;
        Ok(Space {
            logical_bytes: usage.logical_bytes,
            stored_bytes: usage.stored_bytes,
            ratio: ratio(usage.logical_bytes, usage.stored_bytes),
            files: usage.files,
            blobs: usage.blobs,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(logical: u64, stored: u64) -> f64 {
    if stored == 0 {
        1.0
    } else {
        (logical as f64 / stored as f64 * 1000.0).round() / 1000.0
    }
}

/// What a check found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checked {
    pub clean: bool,
    pub checked: u64,
    pub problems: Vec<String>,
}

impl Checked {
    /// Adds what is wrong with the database's file to what a check of its rows found, or could not get past.
    fn with_file(cx: &Context<'_>, report: Result<Report>) -> Result<Self> {
        let mut checked = match report {
            Err(e) if matches!(e.kind(), Kind::Corrupt | Kind::Io) => Self {
                clean: false,
                checked: 0,
                problems: vec![e.chain()],
            },
            report => report?.into(),
        };
        match cx.nexus.db.integrity_check() {
            Ok(found) => checked.problems.extend(found),
            Err(e) => checked.problems.push(e.chain()),
        }
        checked.clean = checked.problems.is_empty();
        Ok(checked)
    }
}

impl From<Report> for Checked {
    fn from(r: Report) -> Self {
        Self {
            clean: r.problems.is_empty(),
            checked: r.checked,
            problems: r.problems,
        }
    }
}

/// Checks that the rows make a tree, and the one the log tells of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fsck {}

impl Command for Fsck {
    const NAME: &'static str = "fsck";
    type Reply = Checked;

    fn run(self, cx: &mut Context<'_>) -> Result<Checked> {
        let report = cx.engine().fsck(cx.caller);
        Checked::with_file(cx, report)
    }
}

/// Proves log, tree and blobs, reading every byte. With receipts, that the log still has their operations and that log and
/// tree follow from them, without reading contents.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Receipt>,
}

impl Command for Verify {
    const NAME: &'static str = "verify";
    type Reply = Checked;

    fn run(self, cx: &mut Context<'_>) -> Result<Checked> {
        if !self.from.is_empty() {
            let receipts: Result<Vec<_>> = self.from.iter().map(Receipt::read).collect();
            return Ok(cx.engine().verify_receipts(cx.caller, &receipts?)?.into());
        }
        let tell = &mut *cx.tell;
        let engine = &cx.nexus.engine;
        let report = engine.verify(cx.caller, &mut |done| {
            tell(Progress { done });
        });
        Checked::with_file(cx, report)
    }
}

/// Forgets what is cached, so that the next reads come from the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheDrop {}

impl Command for CacheDrop {
    const NAME: &'static str = "cache-drop";
    type Reply = super::files::Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Self::Reply> {
        if !cx.caller.admin {
            return fail(Kind::NotPermitted, "only an administrator drops caches");
        }
        cx.engine().drop_caches();
        Ok(super::files::Done {})
    }
}
