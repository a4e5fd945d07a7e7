//! Which operations of the log a command is about: options that `log` and `watch` share.

use super::client::Client;
use super::paths;
use super::place::Place;
use crate::api::log::Wanted;
use crate::core::{Error, Kind, Result, error::fail};
use clap::Args;
use std::ffi::OsString;

/// `--agent` and `--session` here say whose work is looked for, as in `undo`; elsewhere they say who acts.
#[derive(Debug, Clone, Args)]
pub(super) struct WantedArgs {
    /// Only what concerns this path and what is below it
    path: Option<OsString>,
    /// The same
    #[arg(long, value_name = "PATH", conflicts_with = "path")]
    under: Option<OsString>,
    /// Only what this user did
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only what this agent did
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only what was done in this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Only from then on: 2026-11-22T10:00, yesterday, 10m-ago, op:8123
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only up to then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only operations of these kinds: create,write,unlink,…
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only by this command, as `ps` calls it
    #[arg(long, value_name = "NAME")]
    command: Option<String>,
    /// Only these operations: N, A..B or A-B, A.. or ..B
    #[arg(long, value_name = "RANGE", value_parser = range)]
    op: Option<Range>,
}

/// The first and the last operation, themselves included.
type Range = (Option<u64>, Option<u64>);

impl WantedArgs {
    /// Numbers of operations that stand where the path may, and behind it; there is no path then.
    pub(super) fn take_numbers(&mut self, more: &[String]) -> Result<Option<String>> {
        let word = self.path.as_ref().and_then(|path| path.to_str());
        if let Some(open) = word.and_then(open_range) {
            if !more.is_empty() || self.op.is_some() {
                return fail(Kind::Invalid, "a range without an end stands alone");
            }
            self.op = Some(range(&open)?);
            self.path = None;
            return Ok(None);
        }
        let Some(first) = word.and_then(numbers) else {
            return match more.first() {
                None => Ok(None),
                Some(word) => fail(Kind::Invalid, format!("{word:?}: a path stands alone")),
            };
        };
        let mut all = vec![first];
        for word in more {
            let wrong = || {
                let message =
                    format!("{word:?} is no number of an operation: write 7, 3-9 or 3..9");
                Error::new(Kind::Invalid, message)
            };
            all.push(numbers(word).ok_or_else(wrong)?);
        }
        self.path = None;
        Ok(Some(all.join(",")))
    }

    /// The request, with a path inside the store, and the place to ask at.
    pub(super) fn asked(&self, place: &Place) -> Result<(Client, Wanted)> {
        let client = place.about_others().client()?;
        let path = self.path.as_ref().or(self.under.as_ref());
        let path = path
            .map(|path| paths::in_nexus(&client, path))
            .transpose()?;
        let (first, last) = self.op.unwrap_or_default();
        let wanted = Wanted {
            path,
            user: self.user.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
            command: self.command.clone(),
            kinds: self.kind.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            first,
            last,
        };
        Ok((client, wanted))
    }
}

/// Reads `8123`, `8120-8123`, `8120..8123`, `op:8123` and lists of them; `None` where it may be a path.
fn numbers(word: &str) -> Option<String> {
    let part = |part: &str| match part.split_once("..").or_else(|| part.split_once('-')) {
        Some((first, last)) => Some(format!("{}-{}", number(first)?, number(last)?)),
        None => number(part),
    };
    let parts = word.split(',').map(str::trim).filter(|p| !p.is_empty());
    let parts = parts.map(part);
    let parts = parts.collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.join(","))
}

/// Reads `8120..` and `..8123`, with `op:` or without; `None` where it may be a path.
fn open_range(word: &str) -> Option<String> {
    let (first, last) = word.split_once("..")?;
    match (first, last) {
        ("", "") => None,
        ("", last) => Some(format!("..{}", number(last)?)),
        (first, "") => Some(format!("{}..", number(first)?)),
        _ => None,
    }
}

fn number(word: &str) -> Option<String> {
    let digits = word.strip_prefix("op:").unwrap_or(word);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| digits.to_owned())
}

fn range(text: &str) -> Result<Range> {
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text
            .strip_prefix("op:")
            .unwrap_or(text)
            .parse()
            .map(Some)
            .map_err(|e| {
                let message = format!("{text:?} is no number of an operation");
                Error::new(Kind::Invalid, message).caused_by(e)
            }),
    };
    let ends = text.split_once("..").or_else(|| text.split_once('-'));
    let range = match ends.filter(|ends| *ends != ("", "")) {
        Some((first, last)) => (number(first)?, number(last)?),
        None => number(text).map(|one| (one, one))?,
    };
    if let (Some(first), Some(last)) = range
        && first > last
    {
        let message = format!("no operation is in {text}: say the smaller number first");
        return fail(Kind::Invalid, message);
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_operations_are_told_from_paths() {
        for (word, read) in [
            ("8123", "8123"),
            ("op:8123", "8123"),
            ("8120..8123", "8120-8123"),
            ("8120-8123,op:9", "8120-8123,9"),
            ("op:8120..op:8123", "8120-8123"),
            ("5, 6", "5,6"),
        ] {
            assert_eq!(numbers(word).as_deref(), Some(read));
        }
        for path in [
            "", "..", "./8123", "a-b", "8123.txt", "op:", "8120..", ",", "-",
        ] {
            assert_eq!(numbers(path), None, "{path}");
        }
        for (word, read) in [("8120..", "8120.."), ("..op:8123", "..8123")] {
            assert_eq!(open_range(word).as_deref(), Some(read));
        }
        for path in ["", "..", "../8123", "8123../x", "8120..8123", "...8"] {
            assert_eq!(open_range(path), None, "{path}");
        }
    }

    #[test]
    fn a_range_has_either_end_or_both() {
        assert_eq!(range("3..7").unwrap(), (Some(3), Some(7)));
        assert_eq!(range("3-7").unwrap(), (Some(3), Some(7)));
        assert_eq!(range("op:3..op:7").unwrap(), (Some(3), Some(7)));
        assert_eq!(range("3..").unwrap(), (Some(3), None));
        assert_eq!(range("..7").unwrap(), (None, Some(7)));
        assert_eq!(range("7").unwrap(), (Some(7), Some(7)));
        assert_eq!(range("3..3").unwrap(), (Some(3), Some(3)));
        for wrong in ["a..b", "1-x", "1...3", "x", "5..3", "5-3", "..", "-"] {
            assert_eq!(range(wrong).unwrap_err().kind(), Kind::Invalid, "{wrong}");
        }
    }
}
