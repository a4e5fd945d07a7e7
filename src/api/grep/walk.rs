//! The files below a directory, as readdir(3) gives them: directory by directory, in the order of their cookies.
//!
//! A place in that order is the trail of cookies that leads there. A walk that begins at one lists nothing that lies before it, and
//! misses nothing that was there all the time, whatever comes and goes meanwhile.

use super::{Unread, unread};
use crate::api::context::Context;
use crate::api::level::Level;
use crate::api::stream::Reading;
use crate::core::{FsPath, Ino, Result};
use crate::fs::Found;
use std::collections::VecDeque;

/// A way through a tree, which may begin in its midst.
pub(super) struct Walk {
    /// Where it begins, if that is a file.
    file: Option<(FsPath, Found)>,
    /// Directories that it is in.
    within: Vec<Level>,
    /// The rest of the trail to where it begins.
    from: VecDeque<u64>,
}

/// A file that was come to.
pub(super) struct Stop {
    pub path: FsPath,
    pub trail: Vec<u64>,
    /// The file, opened, or why it cannot be.
    pub file: Result<Reading>,
}

impl Walk {
    /// Begins at a path, and passes by what comes before the end of a trail.
    pub(super) fn new(cx: &Context<'_>, top: FsPath, from: Vec<u64>) -> Result<Self> {
        let found = cx.engine().resolve(cx.caller, &top)?;
        let mut walk = Self {
            file: None,
            within: Vec::new(),
            from: from.into(),
        };
        if found.is_dir() {
            walk.enter(cx, top.clone(), found.ino)
                .map_err(|e| e.context(&top))?;
        } else {
            walk.file = Some((top, found));
        }
        Ok(walk)
    }

    /// The next file; tells of the directories on the way that cannot be listed.
    pub(super) fn next(
        &mut self,
        cx: &Context<'_>,
        refused: &mut Vec<Unread>,
    ) -> Result<Option<Stop>> {
        if let Some((path, file)) = self.file.take() {
            return Ok(Some(self.stop(cx, path, &file)));
        }
        while let Some(level) = self.within.last_mut() {
            let entry = match level.next(cx) {
                Ok(Some(entry)) => entry,
                Ok(None) => {
                    self.within.pop();
                    continue;
                }
                Err(e) => {
                    refused.push(unread(&level.dir, e)?);
                    self.within.pop();
                    continue;
                }
            };
            // What the trail led to is gone.
            if entry.cookie > level.begin {
                self.from.clear();
            }
            let path = level.dir.join(entry.name);
            if entry.node.is_dir() {
                if let Err(e) = self.enter(cx, path.clone(), entry.node.ino) {
                    refused.push(unread(&path, e)?);
                }
            } else if entry.node.is_file() {
                return Ok(Some(self.stop(cx, path, &entry.node)));
            }
        }
        Ok(None)
    }

    fn enter(&mut self, cx: &Context<'_>, dir: FsPath, ino: Ino) -> Result<()> {
        let level = Level::enter(cx, dir, ino, &mut self.from)?;
        self.within.extend(level);
        Ok(())
    }

    fn stop(&self, cx: &Context<'_>, path: FsPath, file: &Found) -> Stop {
        Stop {
            path,
            trail: self.within.iter().map(|level| level.at).collect(),
            file: Reading::of_node(cx.engine(), cx.caller, file),
        }
    }
}
