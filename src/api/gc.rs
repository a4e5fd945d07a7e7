//! gc: room in the store, from what nothing refers to and from what is to be forgotten.

use super::Command;
use super::context::Context;
use super::expiry::ago;
use crate::core::{Kind, Result, error::fail};
use crate::fs::{Forgetting, Keep};
use serde::{Deserialize, Serialize};

/// Finds blobs that nothing refers to and takes them away. With a span forgets what is older than it before that: a tree is kept
/// when it was there within the span, and with `keep_snapshots` when a snapshot names it; without, older snapshots go, too. For
/// administrators.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gc {
    /// `90d`, `12h`, `1y`.
    pub keep_within: Option<String>,
    pub keep_snapshots: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Garbage {
    pub blobs: u64,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<Forgotten>,
}

/// What a tenant forgot, or would.
#[derive(Debug, Serialize, Deserialize)]
pub struct Forgotten {
    pub tenant: String,
    /// The oldest operation whose tree is kept; 0 where nothing was ever forgotten.
    pub horizon: u64,
    /// The operation that moved it; none where it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<u64>,
    /// Former states of nodes, names and attributes.
    pub rows: u64,
    /// What the forgotten contents of files came to; how much of that the store has free now is told for all tenants together.
    pub bytes: u64,
    /// Snapshots that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
}

impl From<Forgetting> for Forgotten {
    fn from(f: Forgetting) -> Self {
        Self {
            tenant: f.tenant,
            horizon: f.horizon.0,
            op: f.op.map(|op| op.0),
            rows: f.rows,
            bytes: f.bytes,
            snapshots: f.snapshots,
        }
    }
}

impl Command for Gc {
    const NAME: &'static str = "gc";
    type Reply = Garbage;

    fn run(self, cx: &mut Context<'_>) -> Result<Garbage> {
        let engine = cx.engine();
        let Some(span) = &self.keep_within else {
            if self.keep_snapshots {
                return fail(
                    Kind::Invalid,
                    "nothing is forgotten without a span to keep: say --keep-within",
                );
            }
            let found = engine.with_room(|| engine.gc(cx.caller, !self.dry_run))?;
            return Ok(Garbage {
                blobs: found.blobs,
                bytes: found.bytes,
                forgotten: Vec::new(),
            });
        };
        let keep = Keep {
            since: ago(engine.clock().now(), span)?,
            snapshots: self.keep_snapshots,
        };
        let thinned = engine.with_room(|| engine.forget(cx.caller, keep, self.dry_run))?;
        let forgotten = thinned.tenants.into_iter().map(Forgotten::from);
        cx.durable(Garbage {
            blobs: thinned.freed.blobs,
            bytes: thinned.freed.bytes,
            forgotten: forgotten.collect(),
        })
    }
}
