//! Blame: whose each line of a text is.

use super::patch::{Origin, lines, origins, text};
use super::versions::{Version, versions};
use crate::core::{Caller, FsPath, Kind, Result, error::fail};
use crate::fs::Engine;
use bytes::Bytes;

/// How many versions are compared; lines that are older are the first one's of them.
const VERSIONS_MAX: usize = 1000;

/// A line and the version that brought it.
#[derive(Debug, Clone)]
pub struct Line {
    /// With its end.
    pub text: Bytes,
    /// Its index among the versions.
    pub version: usize,
}

/// Tells of each line of the file at a path which of its versions brought it. Takes read permission. Fails with `Unsupported`
/// where the newest version is no text, or too large a one.
pub fn blame(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<(Vec<Version>, Vec<Line>)> {
    let all = versions(engine, caller, path)?;
    let mut known: Option<(Bytes, Vec<usize>)> = None;
    let first = all.len().saturating_sub(VERSIONS_MAX);
    for (index, version) in all.iter().enumerate().skip(first) {
        let Some(now) = text(engine.blobs(), &version.node.content)? else {
            // A version that was no text had no lines to hand on.
            known = None;
            continue;
        };
        let (before, whose) = known.unwrap_or_default();
        let whose = origins(&before, &now)
            .into_iter()
            .map(|origin| match origin {
                Origin::Kept(i) => whose.get(i).copied().unwrap_or(index),
                Origin::New => index,
            });
        known = Some((now.clone(), whose.collect()));
    }
    let Some((text, whose)) = known else {
        let message = format!("{path} is no text, or too large a one, and has no lines");
        return fail(Kind::Unsupported, message);
    };
    let line = |(line, version): (&[u8], usize)| Line {
        text: text.slice_ref(line),
        version,
    };
    let told = lines(&text).zip(whose).map(line).collect();
    Ok((all, told))
}
