//! Inside of a session of `nexus run`, which puts an empty directory that nobody can write over the data directory.

use crate::core::config;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::{ReadDir, read_dir};
use std::path::Path;

/// What to tell who asks in a session for the store that it hides; nothing anywhere else.
pub(super) fn hides(dir: &Path) -> Option<String> {
    let is_empty = |mut names: ReadDir| names.next().is_none();
    // An empty directory that is to become a store can be written.
    let is_read_only = || statvfs(dir).is_ok_and(|v| v.flags().contains(FsFlags::ST_RDONLY));
    let is_hidden = config::env("NEXUS_SESSION").is_some()
        && read_dir(dir).is_ok_and(is_empty)
        && is_read_only();
    is_hidden.then(|| {
        let dir = dir.display();
        format!("this session of `nexus run` hides the store at {dir}: ask from outside of it")
    })
}
