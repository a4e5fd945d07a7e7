//! `nexus log`.

use super::client::Client;
use super::place::Place;
use super::{output, paths};
use crate::api::log::Log;
use crate::core::{Kind, Result, Text, error::fail};
use crate::facts::log::RECORDS_MAX;
use crate::facts::{LogLine, LogPage};
use clap::Args;
use std::ffi::OsString;

/// How long one request of `--follow` waits.
const WAIT_MS: u64 = 20_000;
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Only what concerns this path and what is below it
    path: Option<OsString>,
    /// Go on as the log grows
    #[arg(short, long)]
    follow: bool,
    /// How many of the newest
    #[arg(short = 'n', long, default_value_t = 100, overrides_with = "limit")]
    limit: u32,
}

pub(super) fn run(place: &Place, args: &LogArgs) -> Result<()> {
    let client = place.client()?;
    let path = args
        .path
        .as_ref()
        .map(|p| paths::in_nexus(&client, p))
        .transpose()?;
    let newest = newest(&client, path.as_ref(), args.limit)?;
    print(place, &newest.records)?;
    if args.follow {
        return follow(place, &client, path.as_ref(), newest.last);
    }
    Ok(())
}

/// The newest `limit` records, oldest first: as many answers as it takes.
fn newest(client: &Client, path: Option<&Text>, limit: u32) -> Result<LogPage> {
    let ask = |before, limit| {
        let path = path.cloned();
        client.call(Log {
            path,
            before,
            limit,
            ..Log::default()
        })
    };
    let mut all = ask(None, limit)?;
    let mut got = all.records.len();
    let mut oldest = all.records.first().map(|r| r.op);
    let mut left = limit.saturating_sub(RECORDS_MAX);
    while left > 0 && got == RECORDS_MAX as usize {
        let mut older = ask(oldest, left)?.records;
        got = older.len();
        oldest = older.first().map(|r| r.op);
        left = left.saturating_sub(RECORDS_MAX);
        older.append(&mut all.records);
        all.records = older;
    }
    Ok(all)
}

fn follow(place: &Place, client: &Client, path: Option<&Text>, mut after: u64) -> Result<()> {
    if client.socket().is_none() {
        let message = "no daemon runs, so nothing can change while this command has the store open";
        return fail(Kind::Unavailable, message);
    }
    loop {
        let path = path.cloned();
        let page = client.call(Log {
            path,
            after: Some(after),
            before: None,
            limit: PAGE,
            wait_ms: WAIT_MS,
        })?;
        print(place, &page.records)?;
        after = page.last;
    }
}

fn print(place: &Place, records: &[LogLine]) -> Result<()> {
    let mut out = Vec::new();
    for record in records {
        if place.json {
            out.extend(crate::api::to_json(record)?);
        } else {
            out.extend(line(record).into_bytes());
        }
        out.push(b'\n');
    }
    output::raw(&out)
}

fn line(r: &LogLine) -> String {
    let about = match &r.object {
        Some(object) => object.clone(),
        None => r.path.to_string(),
    };
    let path = match (&r.subject, &r.path2) {
        (Some(subject), _) if about == "/" => subject.clone(),
        (Some(subject), _) => format!("{about}: {subject}"),
        (None, Some(to)) => format!("{about} -> {to}"),
        (None, None) => about,
    };
    let note = r.note.as_ref().map_or(String::new(), |n| format!(" ({n})"));
    let who = r.user.clone().unwrap_or_else(|| format!("uid {}", r.uid));
    let agent = r.agent.as_ref().map_or(String::new(), |a| format!("+{a}"));
    let time = short(&r.time);
    format!(
        "{:>7}  {time}  {:11}  {path}{note}  {who}{agent}  {}[{}]",
        r.op, r.kind, r.command, r.pid
    )
}

/// An RFC 3339 time without its fractions: `2026-11-22 07:53:38`.
pub(super) fn short(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_second() {
        assert_eq!(
            short("2026-11-22T07:53:38.123456789Z"),
            "2026-11-22 07:53:38"
        );
        assert_eq!(short("soon"), "soon");
    }
}
