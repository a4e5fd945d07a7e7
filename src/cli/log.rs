//! `nexus log`.

use super::client::Client;
use super::place::Place;
use super::wanted::WantedArgs;
use super::{log_summary, output, watch};
use crate::api::log::{Log, LogSummary, Wanted};
use crate::core::Result;
use crate::facts::{LogLine, LogPage};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND: &str = "%Y-%m-%dT%H:%M:%S%:z";
const NANOSECOND: &str = "%Y-%m-%dT%H:%M:%S%.f%:z";

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Go on as the log grows
    #[arg(short, long, conflicts_with = "summary")]
    follow: bool,
    /// How many of the newest
    #[arg(
        short = 'n',
        long,
        default_value_t = 100,
        overrides_with = "limit",
        allow_negative_numbers = true
    )]
    limit: u32,
    /// Add up all of them instead: who, what, where, by which commands
    #[arg(long)]
    summary: bool,
}

pub(super) fn run(place: &Place, args: &LogArgs) -> Result<()> {
    let (client, wanted) = args.wanted.asked(place)?;
    if args.summary {
        let summary = client.call(LogSummary { wanted })?;
        return log_summary::print(place, &summary);
    }
    let newest = newest(&client, &wanted, args.limit)?;
    print(place, &newest.records)?;
    if newest.records.is_empty() && !args.follow {
        eprintln!("no operations");
    }
    if args.follow {
        return watch::follow(place, &client, &wanted, newest.last);
    }
    Ok(())
}

/// The newest `limit` records, oldest first: as many answers as it takes.
fn newest(client: &Client, wanted: &Wanted, limit: u32) -> Result<LogPage> {
    let ask = |before, limit| {
        client.call(Log {
            wanted: wanted.clone(),
            before,
            limit,
            ..Log::default()
        })
    };
    let mut all = ask(None, limit)?;
    loop {
        let got = u32::try_from(all.records.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(got);
        if left == 0 || all.first <= 1 {
            return Ok(all);
        }
        let mut older = ask(Some(all.first), left)?;
        older.records.append(&mut all.records);
        older.last = all.last;
        all = older;
    }
}

pub(super) fn print(place: &Place, records: &[LogLine]) -> Result<()> {
    output::each(place.json, records, line)
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

/// An RFC 3339 time in the zone of whoever asks, to the second: `2026-11-22T08:53:38+01:00`. With its offset it means the same
/// wherever it is said again.
pub(super) fn short(time: &str) -> String {
    in_zone(time, &TimeZone::system(), SECOND)
}

/// The same to the nanosecond.
pub(super) fn exact(time: &str) -> String {
    in_zone(time, &TimeZone::system(), NANOSECOND)
}

fn in_zone(time: &str, zone: &TimeZone, form: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime(form).to_string(),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::offset;

    #[test]
    fn a_time_that_is_shown_means_the_same_when_it_is_said_again() {
        let (time, tokyo) = ("2026-11-22T17:53:38.123456789Z", TimeZone::fixed(offset(9)));
        let second = in_zone(time, &tokyo, SECOND);
        assert_eq!(second, "2026-11-23T02:53:38+09:00");
        let exact = in_zone(time, &tokyo, NANOSECOND);
        assert_eq!(exact, "2026-11-23T02:53:38.123456789+09:00");
        let meant = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(meant(&exact), meant(time));
        assert_eq!(in_zone("soon", &tokyo, SECOND), "soon");
    }
}
