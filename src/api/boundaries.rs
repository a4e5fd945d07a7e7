//! Boundaries: where grants from above end.

use super::Command;
use super::context::{Context, found_at};
use crate::core::{FsPath, Ino, Result, Text};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bounded {
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// Makes a boundary of a directory: grants from above end there, the owner's do not. For owners and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacRestrict {
    pub path: Text,
}

impl Command for RebacRestrict {
    const NAME: &'static str = "rebac-restrict";
    type Reply = Bounded;

    fn run(self, cx: &mut Context<'_>) -> Result<Bounded> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, true);
        let changed = done.map_err(|e| e.context(path))?;
        cx.durable(Bounded { changed })
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
    type Reply = Bounded;

    fn run(self, cx: &mut Context<'_>) -> Result<Bounded> {
        let (path, ino) = place(cx, &self.path)?;
        let done = cx.engine().restrict(cx.caller, ino, false);
        let changed = done.map_err(|e| e.context(path))?;
        cx.durable(Bounded { changed })
    }
}

fn place(cx: &Context<'_>, path: &Text) -> Result<(FsPath, Ino)> {
    let (path, node) = found_at(cx, path)?;
    Ok((path, node.ino))
}
