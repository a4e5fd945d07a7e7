//! Words for moments: `10m-ago`, `yesterday`, `2026-11-22T10:00`, `op:8123`.
//!
//! A time means the last operation that was done by then. Where a clock was set back, times in the log step back too; then
//! it is an operation no later than the time whose next one is later, and there may be several such.

use super::snapshot;
use crate::core::{Caller, Error, Kind, Op, Result, Time, error::fail};
use crate::fs::{Engine, Moment};
use crate::meta::log_query;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

const AGO: &str = "ago";
const OPERATION: &str = "op:";
const DAY: &str = "2026-11-22";
/// What is told to who says something else.
const FORMS: &str = "say a time (2026-11-22T10:00, 2026-11-22, 10m-ago, 2h, 3d-ago, 1w-ago, \"2 hours ago\", yesterday, today, \
     monday, now), op:N, or a snapshot's name";

/// What a word says, before anybody looks it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The present, as of when it is asked for.
    Now,
    Op(Op),
    Time(Time),
}

impl When {
    /// Reads a word; `None` when it is of none of the forms. Times without a zone are of the zone of `now`, days begin at
    /// midnight there; a day ago is 24 hours, and a day of the week the last one before today.
    pub fn parse(word: &str, now: &Zoned) -> Option<Self> {
        match word {
            "now" => return Some(Self::Now),
            "today" => return start_of(now.date(), now),
            "yesterday" => return start_of(now.date().yesterday().ok()?, now),
            _ => {}
        }
        if word.starts_with(OPERATION) {
            return operation(word).map(Self::Op);
        }
        if let Some(seconds) = ago(word) {
            let then = now
                .timestamp()
                .checked_sub(SignedDuration::from_secs(seconds));
            return Some(Self::Time(time(then.ok()?)));
        }
        if let Some(day) = weekday(word) {
            return start_of(now.date().nth_weekday(-1, day).ok()?, now);
        }
        if let Ok(at) = word.parse::<Timestamp>() {
            return Some(Self::Time(time(at)));
        }
        // A date parses a time, too, and forgets it.
        if word.len() <= DAY.len() {
            return start_of(word.parse::<Date>().ok()?, now);
        }
        let civil: DateTime = word.parse().ok()?;
        let zoned = civil.to_zoned(now.time_zone().clone()).ok()?;
        Some(Self::Time(time(zoned.timestamp())))
    }

    /// The same, in the daemon's zone.
    pub fn read(word: &str, now: Time) -> Result<Option<Self>> {
        Ok(Self::parse(word, &zoned(now)?))
    }
}

/// The operation that `op:N` names.
pub(super) fn operation(word: &str) -> Option<Op> {
    word.strip_prefix(OPERATION)?.parse().ok().map(Op)
}

/// How many seconds ago `2h`, `2h-ago`, `2 hours`, `2-hours-ago` or `2 hours ago` was.
fn ago(word: &str) -> Option<i64> {
    let between = [' ', '-'];
    let length = match word.strip_suffix(AGO) {
        Some(length) => length.strip_suffix(between)?,
        None => word,
    };
    let (count, unit) = length.split_at(length.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit.strip_prefix(between).unwrap_or(unit) {
        "s" | "second" | "seconds" => 1,
        "m" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 24 * 3600,
        "w" | "week" | "weeks" => 7 * 24 * 3600,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(seconds)
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match &*word.to_ascii_lowercase() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

fn start_of(day: Date, now: &Zoned) -> Option<When> {
    let start = day.to_zoned(now.time_zone().clone()).ok()?;
    Some(When::Time(time(start.timestamp())))
}

/// A time of the engine's: nanoseconds in 64 bits, so the far past and future are the same.
fn time(at: Timestamp) -> Time {
    let nanos = at.as_nanosecond();
    Time(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// Finds the moment that a word means to a caller: in the log of his tenant, seen from the daemon's zone. Fails with `NotFound`
/// when it is no word for one, before the first operation, or in the future.
pub fn resolve_when(engine: &Engine, caller: &Caller, word: &str) -> Result<Moment> {
    let now = engine.clock().now();
    // A snapshot may have its name from before that was a word for a time.
    if engine.snapshot(caller, word).is_ok() {
        return snapshot::moment(engine, caller, word);
    }
    match When::parse(word, &zoned(now)?) {
        Some(When::Now) => engine.last_moment(caller),
        Some(When::Op(op)) => engine.moment_of(caller, op),
        Some(When::Time(time)) if time > now => fail(
            Kind::NotFound,
            format!("{word:?} is still to come: there is no past of it"),
        ),
        Some(When::Time(time)) => last_by(engine, caller, time),
        None => match snapshot::moment(engine, caller, word) {
            Err(e) if e.kind() == Kind::NotFound => {
                fail(Kind::NotFound, format!("no moment {word:?}: {FORMS}"))
            }
            found => found,
        },
    }
}

fn zoned(now: Time) -> Result<Zoned> {
    let now = Timestamp::from_nanosecond(now.0.into()).map_err(|e| {
        Error::new(
            Kind::Unavailable,
            "the clock shows no time that can be counted from",
        )
        .caused_by(e)
    })?;
    Ok(now.to_zoned(TimeZone::system()))
}

/// A time without the fraction that it does not have.
fn whole(time: Time) -> String {
    time.to_string().replace(".000000000Z", "Z")
}

/// The last operation that was done by a time.
fn last_by(engine: &Engine, caller: &Caller, time: Time) -> Result<Moment> {
    let last = engine.last_moment(caller)?;
    if last.time <= time {
        return Ok(last);
    }
    let op = log_query::op_at(&mut *engine.store().read()?, last.tenant, time)?;
    if op == Op(0) {
        let first = engine.moment_of(caller, Op(1)).map(|first| first.time);
        let first = first.map_or_else(|_| String::new(), |time| format!(", at {}", whole(time)));
        let message = format!(
            "nothing had been done by {}: the first operation is op:1{first}",
            whole(time)
        );
        return fail(Kind::NotFound, message);
    }
    engine.moment_of(caller, op)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Option<String> {
        let now: Zoned = "2026-11-22T10:30:00+01:00[Europe/Berlin]".parse().unwrap();
        Some(match When::parse(word, &now)? {
            When::Now => "now".to_owned(),
            When::Op(op) => format!("op {op}"),
            When::Time(time) => time.to_string().replace(".000000000", ""),
        })
    }

    #[test]
    fn a_word_is_a_time_in_the_zone_of_now() {
        for (word, meant) in [
            ("now", "now"),
            ("op:8123", "op 8123"),
            ("10m-ago", "2026-11-22T09:20:00Z"),
            ("0s-ago", "2026-11-22T09:30:00Z"),
            ("2h-ago", "2026-11-22T07:30:00Z"),
            ("3d-ago", "2026-11-19T09:30:00Z"),
            ("1w-ago", "2026-11-15T09:30:00Z"),
            ("2h", "2026-11-22T07:30:00Z"),
            ("2 hours ago", "2026-11-22T07:30:00Z"),
            ("1-hour-ago", "2026-11-22T08:30:00Z"),
            ("3 days", "2026-11-19T09:30:00Z"),
            // The 22nd is a Sunday.
            ("sunday", "2026-11-14T23:00:00Z"),
            ("Monday", "2026-11-15T23:00:00Z"),
            ("saturday", "2026-11-20T23:00:00Z"),
            ("today", "2026-11-21T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-11-22T10:00", "2026-11-22T09:00:00Z"),
            ("2026-11-22T10:00:07", "2026-11-22T09:00:07Z"),
            ("2026-11-22 10:00", "2026-11-22T09:00:00Z"),
            ("2026-11-22T10:00Z", "2026-11-22T10:00:00Z"),
            ("2026-11-22T10:00:07-05:00", "2026-11-22T15:00:07Z"),
        ] {
            assert_eq!(parse(word).as_deref(), Some(meant), "{word}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for word in [
            "",
            "-ago",
            "m-ago",
            "10x-ago",
            "2hago",
            "2 hours  ago",
            "hours ago",
            "22",
            "mon",
            "-5m-ago",
            "99999999999999999999h-ago",
            "9999999999w-ago",
            "op:",
            "op:-1",
            "op:x",
            "tomorrow",
            "2026-13-01",
            "2026-11-22T25:00",
            "before-migration",
            "10\u{e9}-ago",
        ] {
            assert_eq!(parse(word), None, "{word}");
        }
    }
}
