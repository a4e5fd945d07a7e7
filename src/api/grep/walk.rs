//! The files below a directory, in the order of their paths.

use super::{Unread, unread};
use crate::api::context::Context;
use crate::api::stream::Reading;
use crate::core::{FsPath, Result};
use crate::fs::{DirEntry, Found};
use std::vec::IntoIter;

/// A way through a tree, which may begin in its midst.
pub(super) struct Walk {
    /// Where it begins, if that is a file.
    file: Option<(FsPath, Found)>,
    /// Directories that it is in, and what is left of each.
    within: Vec<(FsPath, IntoIter<DirEntry>)>,
    from: Option<FsPath>,
}

impl Walk {
    /// Begins at a path, and passes by what comes before `from`.
    pub(super) fn new(cx: &Context<'_>, top: FsPath, from: Option<FsPath>) -> Result<Self> {
        let found = cx.engine().resolve(cx.caller, &top)?;
        let (mut file, mut within) = (None, Vec::new());
        if found.is_dir() {
            let listed = list(cx, &found).map_err(|e| e.context(&top))?;
            within.push((top, listed));
        } else {
            file = Some((top, found));
        }
        Ok(Self { file, within, from })
    }

    /// The next file, opened, or why it cannot be; tells of the directories on the way that cannot be listed.
    pub(super) fn next(
        &mut self,
        cx: &Context<'_>,
        refused: &mut Vec<Unread>,
    ) -> Result<Option<(FsPath, Result<Reading>)>> {
        if let Some((path, file)) = self.file.take() {
            let opened = Reading::of_node(cx.engine(), cx.caller, &file);
            return Ok(Some((path, opened)));
        }
        while let Some((dir, left)) = self.within.last_mut() {
            let Some(entry) = left.next() else {
                self.within.pop();
                continue;
            };
            let path = dir.join(entry.name);
            if self
                .from
                .as_ref()
                .is_some_and(|from| is_before(&path, from))
            {
                continue;
            }
            if entry.node.is_dir() {
                match list(cx, &entry.node) {
                    Ok(listed) => self.within.push((path, listed)),
                    Err(e) => refused.push(unread(&path, e)?),
                }
            } else if entry.node.is_file() {
                let opened = Reading::of_node(cx.engine(), cx.caller, &entry.node);
                return Ok(Some((path, opened)));
            }
        }
        Ok(None)
    }
}

fn list(cx: &Context<'_>, dir: &Found) -> Result<IntoIter<DirEntry>> {
    let mut all = cx.engine().list(cx.caller, dir.ino)?;
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(all.into_iter())
}

/// Whether a path, with all below it, comes before another.
fn is_before(path: &FsPath, other: &FsPath) -> bool {
    let (own, other) = (path.names(), other.names());
    own < &other[..own.len().min(other.len())]
}
