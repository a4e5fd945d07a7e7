//! Searching what files hold: beside the bytes, by whoever may read them.

mod content;
mod walk;

use self::content::{Pattern, Room};
use self::walk::{Stop, Walk};
use super::Command;
use super::context::{Context, Progress, path_of};
use crate::core::{Error, FsPath, Kind, Result, Text, error::fail};
use serde::{Deserialize, Serialize};

/// How many bytes one reply looks at, about; and how many matches it holds. A client that has left asks for no more.
const LOOKED_AT: u64 = 64 << 20;
const MATCHES: usize = 1000;
/// How many files one reply looks at.
const FILES: u64 = 10_000;

/// Searches a file, or the files below a directory in the order of readdir(3), for a regular expression (the syntax of Rust's
/// `regex`, on bytes). Links are not followed. What the caller may not see is not there; what he sees and may not read is told. One
/// page: `next` says where the next one begins.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grep {
    pub pattern: String,
    pub path: Text,
    pub ignore_case: bool,
    /// The pattern is a text.
    pub fixed: bool,
    /// How many lines of each file at most; all when there is none.
    pub limit: Option<u64>,
    /// Every line of a binary file that matches is told, for who counts them; else that there is one.
    pub binary_lines: bool,
    /// Where the last page ended.
    pub from: Option<Place>,
}

/// A place in the order of a search: files before it are done, and this one up to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub path: Text,
    /// The cookies of the entries that lead to it.
    pub trail: Vec<u64>,
    /// Bytes, and the lines that they are.
    pub offset: u64,
    pub lines: u64,
    /// Lines of it that were found.
    pub found: u64,
    /// Whether it holds what no text does.
    #[serde(default)]
    pub is_binary: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Matches {
    pub found: Vec<Match>,
    /// What could not be searched, and why.
    pub unread: Vec<Unread>,
    pub next: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub path: Text,
    /// The line's number, from 1; 0 for a binary file, whose lines are not shown.
    pub line: u64,
    /// The line without its end, up to 4 KiB of it.
    pub text: Text,
    /// Whether the line goes on.
    #[serde(default, rename = "cut", skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

impl Match {
    /// What is told of a binary file.
    fn binary(path: Text) -> Self {
        Self {
            path,
            line: 0,
            text: Text::default(),
            is_cut: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub path: Text,
    pub why: String,
}

impl Command for Grep {
    const NAME: &'static str = "grep";
    type Reply = Matches;

    fn run(self, cx: &mut Context<'_>) -> Result<Matches> {
        if self.limit == Some(0) {
            return fail(Kind::Invalid, "a limit is 1 at least");
        }
        let pattern = Pattern::new(&self)?;
        let (mut page, mut files) = (Matches::default(), 0);
        let mut room = Room {
            bytes: LOOKED_AT,
            matches: MATCHES,
        };
        let mut from = self.from;
        let begin = from.as_ref().map(|place| place.trail.clone());
        let mut walk = Walk::new(cx, path_of(&self.path)?, begin.unwrap_or_default())?;
        while let Some(Stop { path, trail, file }) = walk.next(cx, &mut page.unread)? {
            let mut place = Place::at(Text(path.to_bytes()), trail, from.take());
            files += 1;
            (cx.tell)(Progress { done: files })?;
            if room.bytes == 0 || room.matches == 0 || files > FILES {
                page.next = Some(place);
                break;
            }
            if place.found >= pattern.limit {
                continue;
            }
            let searched =
                file.and_then(|file| pattern.search(file, &mut place, &mut room, &mut page.found));
            match searched {
                Ok(true) => {}
                Ok(false) => {
                    page.next = Some(place);
                    break;
                }
                Err(e) => page.unread.push(unread(&path, e)?),
            }
        }
        Ok(page)
    }
}

impl Place {
    /// Where a file is searched from: its beginning, or where the last page ended.
    fn at(path: Text, trail: Vec<u64>, last: Option<Self>) -> Self {
        match last {
            Some(last) if last.path == path && last.trail == trail => last,
            _ => Self {
                path,
                trail,
                offset: 0,
                lines: 0,
                found: 0,
                is_binary: false,
            },
        }
    }
}

/// What a file or directory is left out for, where others can be searched nevertheless.
fn unread(path: &FsPath, e: Error) -> Result<Unread> {
    let is_its_own = matches!(
        e.kind(),
        Kind::Denied | Kind::NotPermitted | Kind::NotFound | Kind::Corrupt | Kind::TooLarge
    );
    if !is_its_own {
        return Err(e);
    }
    Ok(Unread {
        path: Text(path.to_bytes()),
        why: e.message().to_owned(),
    })
}
