//! When something is to end: a span from now, or a time. Also how far back something is to go.

use crate::core::{Error, Kind, Result, Time, error::fail};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Reads `90d`, `12h` or `1y` from now, or a time as RFC 3339 writes it.
pub(super) fn expiry(now: Time, words: &str) -> Result<Time> {
    match words.parse::<Timestamp>() {
        Ok(end) => Ok(Time::from_system(end.into())),
        Err(_) => after(now, words),
    }
}

/// The time that lies a span of words after another.
fn after(now: Time, words: &str) -> Result<Time> {
    let wrong = |e: jiff::Error| {
        Error::new(
            Kind::Invalid,
            format!(
                "expiry {words:?}: say how long from now, as in 90d, 12h or 1y, or when, as in 2030-01-31T12:00:00Z"
            ),
        )
        .caused_by(e)
    };
    let span: Span = words.parse().map_err(wrong)?;
    if span.is_negative() {
        let message =
            format!("expiry {words:?} lies in the past: say how long from now, as in 90d");
        return fail(Kind::Invalid, message);
    }
    let now = Timestamp::from_nanosecond(i128::from(now.0)).map_err(wrong)?;
    let end = now.to_zoned(TimeZone::UTC).checked_add(span);
    Ok(Time::from_system(end.map_err(wrong)?.timestamp().into()))
}

/// The time that lies a span of words before another.
pub(super) fn ago(now: Time, words: &str) -> Result<Time> {
    let wrong = || {
        let message = format!("span {words:?}: say how long, as in 90d, 12h or 1y");
        Error::new(Kind::Invalid, message)
    };
    let span: Span = words.parse().map_err(|e| wrong().caused_by(e))?;
    if span.is_negative() {
        return Err(wrong());
    }
    let then = Timestamp::from_nanosecond(i128::from(now.0))
        .and_then(|now| now.to_zoned(TimeZone::UTC).checked_sub(span))
        .map_err(|e| wrong().caused_by(e))?;
    Ok(Time::from_system(then.timestamp().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    #[test]
    fn an_expiry_is_a_span_from_now() {
        assert_eq!(expiry(Time(5), "90d").unwrap(), Time(5 + 90 * DAY));
        assert_eq!(expiry(Time(0), "36h").unwrap(), Time(DAY + DAY / 2));
        assert_eq!(expiry(Time(0), "1y").unwrap(), Time(365 * DAY));
    }

    #[test]
    fn a_span_goes_back() {
        assert_eq!(ago(Time(100 * DAY), "90d").unwrap(), Time(10 * DAY));
        assert_eq!(ago(Time(DAY), "0s").unwrap(), Time(DAY));
        for words in ["", "-3d", "soon", "90", "99999y", "1970-01-01T00:00:00Z"] {
            let refused = ago(Time(DAY), words).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{words}");
        }
    }

    #[test]
    fn an_expiry_is_a_time_in_any_zone() {
        for words in ["1970-01-02T00:00:00Z", "1970-01-02T02:00:00+02:00"] {
            assert_eq!(expiry(Time(7), words).unwrap(), Time(DAY), "{words}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_examples() {
        for words in [
            "",
            "soon",
            "90",
            "-",
            "-1d",
            "99999y",
            "2030-01-31",
            "2030-01-31T12:00:00",
        ] {
            let refused = expiry(Time(0), words).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
            assert!(refused.message().contains("90d"), "{words}");
        }
    }
}
