//! `nexus log`.

use super::client::Client;
use super::place::Place;
use super::wanted::WantedArgs;
use super::{log_summary, output, watch};
use crate::api::log::{Log, LogSummary, Wanted};
use crate::core::Result;
use crate::facts::{LogLine, LogPage};
use crate::meta::Particulars;
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
    let who = r.user.clone().unwrap_or_else(|| format!("uid {}", r.uid));
    let agent = r.agent.as_ref().map_or(String::new(), |a| format!("+{a}"));
    let session = r
        .session
        .as_ref()
        .map_or(String::new(), |s| format!("@{s}"));
    let time = short(&r.time);
    format!(
        "{:>7}  {time}  {:11}  {}  {who}{agent}{session}  {}[{}]",
        r.op,
        r.kind,
        said(r),
        r.command,
        r.pid
    )
}

/// What was done to what, and where a record counts, how often again: `user-create user=x (only …), 41 more times until …`.
fn said(r: &LogLine) -> String {
    let note = r.note.as_ref().map_or(String::new(), |n| format!(" ({n})"));
    let Particulars {
        times,
        last,
        others,
        ..
    } = &r.particulars;
    let others = match times {
        _ if !others => "",
        None => ", and what else is refused in this hour is counted",
        Some(_) => " and other requests",
    };
    let last = last.as_deref().map(short).unwrap_or_default();
    let again = times.map(|times| format!(", {} until {last}", more(times)));
    format!("{}{note}{others}{}", about(r), again.unwrap_or_default())
}

pub(super) fn more(times: u64) -> String {
    let word = if times == 1 { "time" } else { "times" };
    format!("{times} more {word}")
}

/// What was done to what: `/p: can_write to user:bob until …`, `group:developers: user:bob`, `/a -> /b`.
fn about(r: &LogLine) -> String {
    let on = match &r.object {
        Some(object) => object.clone(),
        None => r.path.to_string(),
    };
    let subject = r.subject.as_ref().map(|subject| said_of(r, subject));
    let on = match (subject, &r.path2) {
        (Some(subject), _) if on == "/" => subject,
        (Some(subject), _) => format!("{on}: {subject}"),
        (None, Some(to)) => format!("{on} -> {to}"),
        (None, None) => on,
    };
    let particulars = &r.particulars;
    let entries = particulars.entries.iter().chain(&particulars.member);
    let entries: Vec<&str> = entries.map(String::as_str).collect();
    if entries.is_empty() {
        return on;
    }
    format!("{on}: {}", entries.join(", "))
}

/// Whom it was about, with the role that came or went, or with what was asked for.
fn said_of(r: &LogLine, subject: &str) -> String {
    let particulars = &r.particulars;
    let until = particulars.expires.as_deref();
    let until = until.map_or_else(String::new, |end| format!(" until {}", short(end)));
    let asked = particulars.asked.iter();
    let asked: Vec<_> = asked.map(|(key, said)| format!(" {key}={said}")).collect();
    match &particulars.relation {
        Some(relation) if r.kind == "revoke" => format!("{relation} of {subject}"),
        Some(relation) => format!("{relation} to {subject}{until}"),
        None => format!("{subject}{}", asked.concat()),
    }
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

/// A text in which the times that stand for themselves are as whoever asks reads them: an engine knows no zone of his.
pub(super) fn in_text(text: &str) -> String {
    words_in_zone(text, &TimeZone::system())
}

fn words_in_zone(text: &str, zone: &TimeZone) -> String {
    let word = |word: &str| {
        let time = word.trim_end_matches(|c: char| c.is_ascii_punctuation() || c.is_whitespace());
        let end = &word[time.len()..];
        if time.ends_with('Z') {
            in_zone(time, zone, SECOND) + end
        } else {
            word.to_owned()
        }
    };
    text.split_inclusive(char::is_whitespace)
        .map(word)
        .collect()
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

    fn told(kind: &str, fields: &serde_json::Value) -> String {
        let mut line = serde_json::json!({
            "op": 1, "time": "", "kind": kind, "path": "/", "tenant": "default", "user": "ann", "agent": null,
            "session": null, "uid": 1, "pid": 2, "command": "vi",
        });
        let fields = fields.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(fields);
        said(&serde_json::from_value(line).unwrap())
    }

    #[test]
    fn a_line_says_what_was_granted_to_whom_who_joined_and_what_was_refused() {
        use serde_json::json;
        for (kind, fields, expected) in [
            ("unlink", json!({"path": "/a"}), "/a"),
            ("rename", json!({"path": "/a", "path2": "/b"}), "/a -> /b"),
            (
                "grant",
                json!({"path": "/p", "subject": "user:bob"}),
                "/p: user:bob",
            ),
            (
                "grant",
                json!({"path": "/p", "subject": "user:bob", "relation": "can_write", "expires": "2030", "tuple": 7}),
                "/p: can_write to user:bob until 2030",
            ),
            (
                "revoke",
                json!({"object": "group:g", "subject": "user:bob", "relation": "owner", "tuple": 7}),
                "group:g: owner of user:bob",
            ),
            (
                "group-add",
                json!({"subject": "group:g", "member": "user:bob"}),
                "group:g: user:bob",
            ),
            (
                "setacl",
                json!({"path": "/p", "entries": ["user:bob:r--", "-user:cas:rw-"]}),
                "/p: user:bob:r--, -user:cas:rw-",
            ),
            (
                "refused",
                json!({"subject": "key-create", "asked": {"of": "agent:x"}}),
                "key-create of=agent:x",
            ),
            (
                "refused",
                json!({"subject": "daemon", "note": "no", "times": 41, "last": "10:59", "first": 7}),
                "daemon (no), 41 more times until 10:59",
            ),
            (
                "bypass",
                json!({"path": "/p", "note": "read", "times": 1, "last": "10:59", "first": 7}),
                "/p (read), 1 more time until 10:59",
            ),
            (
                "refused",
                json!({"subject": "daemon", "note": "no", "others": true}),
                "daemon (no), and what else is refused in this hour is counted",
            ),
            (
                "refused",
                json!({"subject": "daemon", "note": "no", "others": true, "times": 2, "last": "10:59", "first": 7}),
                "daemon (no) and other requests, 2 more times until 10:59",
            ),
        ] {
            assert_eq!(told(kind, &fields), expected);
        }
    }

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

    #[test]
    fn a_time_in_a_message_is_in_the_zone_of_whoever_reads_it() {
        let kolkata = TimeZone::fixed(offset(5));
        for (told, read) in [
            (
                "was forgotten on 2026-11-22T17:53:38.123456789Z; the oldest",
                "was forgotten on 2026-11-22T22:53:38+05:00; the oldest",
            ),
            (
                "done by 2026-11-22T17:53:38Z:\nnothing, at 2026-11-22T17:53:39Z",
                "done by 2026-11-22T22:53:38+05:00:\nnothing, at 2026-11-22T22:53:39+05:00",
            ),
            // A name is no time.
            (
                "no /a/2026-11-22T17:53:38Z, \"Z\"",
                "no /a/2026-11-22T17:53:38Z, \"Z\"",
            ),
        ] {
            assert_eq!(words_in_zone(told, &kolkata), read);
        }
    }
}
