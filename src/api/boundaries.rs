//! Boundaries: where grants from above end.

use super::Command;
use super::context::{Context, Done, found_at};
use crate::core::{FsPath, Ino, Result, Text};
use serde::{Deserialize, Serialize};

/// Makes a boundary of a directory: grants from above end there, the owner's do not. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacRestrict {
    pub path: Text,
}

impl Command for RebacRestrict {
    const NAME: &'static str = "rebac-restrict";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, true);
        done.map_err(|e| e.context(path))?;
        cx.durable(Done {})
    }
}

/// Takes a boundary away: grants from above hold again. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacUnrestrict {
    pub path: Text,
}

impl Command for RebacUnrestrict {
    const NAME: &'static str = "rebac-unrestrict";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, false);
        done.map_err(|e| e.context(path))?;
        cx.durable(Done {})
    }
}

fn place(cx: &Context<'_>, path: &Text) -> Result<(FsPath, Ino)> {
    let (path, node) = found_at(cx, path)?;
    Ok((path, node.ino))
}
