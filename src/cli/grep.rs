//! `nexus grep`.

use super::at::At;
use super::client::Client;
use super::exit;
use super::output;
use super::place::Place;
use crate::api::grep::{Grep, Match, Matches};
use crate::api::to_json;
use crate::core::{Result, Text};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;

/// As `grep -rn`; the exit code is 0 where something was found, 1 where nothing was, 2 after trouble.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(super) struct GrepArgs {
    /// A regular expression, in the syntax of Rust's `regex`
    pattern: String,
    /// Files, and directories with all below them
    #[arg(default_value = "/")]
    paths: Vec<OsString>,
    /// Capitals or not
    #[arg(short, long)]
    ignore_case: bool,
    /// PATTERN is a text
    #[arg(short = 'F', long)]
    fixed_strings: bool,
    /// Only the names of files
    #[arg(short = 'l', long, conflicts_with = "count")]
    files_with_matches: bool,
    /// Only how many lines of each file
    #[arg(short, long)]
    count: bool,
    /// Lines of each file at most
    #[arg(
        short,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..),
        allow_negative_numbers = true
    )]
    max_count: Option<u64>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(place: &Place, args: &GrepArgs) -> Result<()> {
    let mut end = End::default();
    {
        let client = place.client()?;
        for path in &args.paths {
            let path = args.at.find(&client, path);
            match path.and_then(|path| search(place, &client, args, path, &mut end)) {
                Err(e) if exit::is_closed_pipe(&e) => return Ok(()),
                Err(e) => end.trouble(&exit::told(&e)),
                Ok(()) => {}
            }
        }
        // Closed here: nothing is, where a program exits.
    }
    match end {
        End {
            has_trouble: true, ..
        } => std::process::exit(2),
        End {
            has_found: true, ..
        } => Ok(()),
        End { .. } => std::process::exit(1),
    }
}

/// What the exit code tells.
#[derive(Default)]
struct End {
    has_found: bool,
    has_trouble: bool,
}

impl End {
    fn trouble(&mut self, what: &str) {
        self.has_trouble = true;
        eprintln!("nexus grep: {}", exit::without_at(what));
    }
}

fn search(
    place: &Place,
    client: &Client,
    args: &GrepArgs,
    path: Text,
    end: &mut End,
) -> Result<()> {
    let prefix = args.at.prefix(&path);
    let mut asked = Grep {
        pattern: args.pattern.clone(),
        path,
        ignore_case: args.ignore_case,
        fixed: args.fixed_strings,
        // A name is told once.
        limit: (args.files_with_matches.then_some(1)).or(args.max_count),
        binary_lines: args.count,
        from: None,
    };
    let mut count = Count::default();
    loop {
        let page: Matches = client.call(asked.clone())?;
        for mut unread in page.unread {
            unread.path.0.drain(..prefix);
            end.trouble(&format!("{}: {}", unread.path, unread.why));
        }
        let mut out = Vec::new();
        for mut found in page.found {
            end.has_found = true;
            found.path.0.drain(..prefix);
            if args.count {
                count.add(place, &found.path, &mut out)?;
            } else {
                out.extend(shown(place, args, &found)?);
            }
        }
        if page.next.is_none() {
            count.tell(place, &mut out)?;
            return output::raw(&out);
        }
        output::raw(&out)?;
        asked.from = page.next;
    }
}

fn shown(place: &Place, args: &GrepArgs, found: &Match) -> Result<Vec<u8>> {
    let Match {
        path, line, text, ..
    } = found;
    if place.json {
        return Ok([&to_json(found)?[..], b"\n"].concat());
    }
    if args.files_with_matches {
        return Ok([&path.0[..], b"\n"].concat());
    }
    if *line == 0 {
        return Ok([&path.0[..], b": binary file matches\n"].concat());
    }
    let line = format!(":{line}:");
    let end = if found.is_cut { " […]\n" } else { "\n" };
    Ok([&path.0[..], line.as_bytes(), &text.0, end.as_bytes()].concat())
}

/// The lines of the file that is being looked at.
#[derive(Default)]
struct Count {
    path: Text,
    lines: u64,
}

impl Count {
    fn add(&mut self, place: &Place, path: &Text, out: &mut Vec<u8>) -> Result<()> {
        if self.path != *path {
            self.tell(place, out)?;
            (self.path, self.lines) = (path.clone(), 0);
        }
        self.lines += 1;
        Ok(())
    }

    fn tell(&self, place: &Place, out: &mut Vec<u8>) -> Result<()> {
        let Self { path, lines } = self;
        if *lines == 0 {
            return Ok(());
        }
        if place.json {
            out.extend(to_json(&json!({ "path": path, "lines": lines }))?);
        } else {
            out.extend_from_slice(&path.0);
            out.extend(format!(":{lines}").bytes());
        }
        out.push(b'\n');
        Ok(())
    }
}
