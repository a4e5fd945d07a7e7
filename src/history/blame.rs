//! Blame: whose each line of a text is.

use super::patch::{Origin, lines, origins, text};
use super::versions::{Version, is_beginning, stages};
use crate::core::{Caller, FsPath, Kind, Result, error::fail};
use crate::fs::Engine;
use bytes::Bytes;
use std::collections::btree_map::{BTreeMap, Entry};

/// How many versions are compared; lines that are older are the first one's of them.
const VERSIONS_MAX: usize = 1000;

/// A line and the version that brought it.
#[derive(Debug, Clone)]
pub struct Line {
    /// With its end.
    pub text: Bytes,
    /// The number of the version.
    pub version: u64,
}

/// Tells of each line of the file at a path which of its versions brought it, and what those are. A version that only empties the
/// file for the next one of the same author takes no line from anybody. Takes read permission. Fails with `Unsupported` where
/// the newest version is no text, or too large a one.
pub fn blame(
    engine: &Engine,
    caller: &Caller,
    path: &FsPath,
) -> Result<(BTreeMap<u64, Version>, Vec<Line>)> {
    let all = stages(engine, caller, path)?;
    let mut known: Option<(Bytes, Vec<usize>)> = None;
    let first = all.len().saturating_sub(VERSIONS_MAX);
    for (index, stage) in all.iter().enumerate().skip(first) {
        if is_beginning(engine, caller, stage, all.get(index + 1))? {
            continue;
        }
        let Some(now) = text(engine.blobs(), &stage.node.content)? else {
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
    let mut versions = BTreeMap::new();
    let mut told = Vec::with_capacity(whose.len());
    for (line, index) in lines(&text).zip(whose) {
        let stage = &all[index];
        if let Entry::Vacant(new) = versions.entry(stage.number) {
            new.insert(stage.told(engine, caller)?);
        }
        told.push(Line {
            text: text.slice_ref(line),
            version: stage.number,
        });
    }
    Ok((versions, told))
}
