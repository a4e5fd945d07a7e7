//! Time comes from here and nowhere else.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 UTC, as stored in every table.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    pub fn from_parts(secs: i64, nanos: u32) -> Self {
        Self(
            secs.saturating_mul(1_000_000_000)
                .saturating_add(i64::from(nanos)),
        )
    }

    pub fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    pub fn nanos(self) -> u32 {
        u32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or(0)
    }

    pub fn to_system(self) -> SystemTime {
        let ns = Duration::from_nanos(self.0.unsigned_abs());
        if self.0 >= 0 {
            UNIX_EPOCH + ns
        } else {
            UNIX_EPOCH - ns
        }
    }

    /// Converts; a time outside what 64 bits of nanoseconds hold is clamped.
    pub fn from_system(t: SystemTime) -> Self {
        match t.duration_since(UNIX_EPOCH) {
            Ok(d) => Self(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
            Err(e) => Self(i64::try_from(e.duration().as_nanos()).map_or(i64::MIN, |n| -n)),
        }
    }
}

impl fmt::Display for Time {
    /// Shows the time as RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => write!(f, "{t:.9}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// A time that only goes forward, whatever a clock does: what has ended once has ended for good.
#[derive(Debug, Default)]
pub struct Latest(AtomicI64);

impl Latest {
    /// The later one of `now` and the latest there was.
    pub fn pass(&self, now: Time) -> Time {
        Time(self.0.fetch_max(now.0, Ordering::AcqRel).max(now.0))
    }
}

/// The wall clock, or a clock that a test holds in its hand.
#[derive(Debug, Default)]
pub enum Clock {
    #[default]
    System,
    Manual(AtomicI64),
}

impl Clock {
    pub fn manual(start: Time) -> Self {
        Self::Manual(AtomicI64::new(start.0))
    }

    /// Moves a manual clock; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(t) = self {
            t.fetch_add(
                i64::try_from(by.as_nanos()).unwrap_or(i64::MAX),
                Ordering::Relaxed,
            );
        }
    }

    /// Sets a manual clock; does nothing to the system's.
    pub fn set(&self, to: Time) {
        if let Self::Manual(t) = self {
            t.store(to.0, Ordering::Relaxed);
        }
    }

    pub fn now(&self) -> Time {
        match self {
            #[allow(
                clippy::disallowed_methods,
                reason = "the one place that asks the system"
            )]
            Self::System => Time::from_system(SystemTime::now()),
            Self::Manual(t) => Time(t.load(Ordering::Relaxed)),
        }
    }
}
