//! API keys: who shows one is the user or agent that it was made for.

use super::Command;
use super::context::{Context, Done};
use crate::core::{Error, KeyId, Kind, Result, Time};
use crate::meta::{Key, Subject};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct KeyInfo {
    pub id: u64,
    /// Whom it proves: `user:alice`, `agent:coder`.
    pub of: String,
    pub description: Option<String>,
    pub created: String,
    pub expires: Option<String>,
    pub expired: bool,
}

impl KeyInfo {
    fn of(key: &Key, of: &Subject, now: Time) -> Self {
        Self {
            id: key.id.0,
            of: of.to_string(),
            description: key.description.clone(),
            created: key.created.to_string(),
            expires: key.expires.map(|t| t.to_string()),
            expired: key.is_expired(now),
        }
    }
}

/// Makes a key of a user (`alice`) or an agent (`agent:coder`).
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyCreate {
    pub of: String,
    #[serde(default)]
    pub description: Option<String>,
    /// How long it is good for: `90d`, `12h`, `1y`; otherwise until it is revoked.
    #[serde(default)]
    pub expires: Option<String>,
}

/// The one time that a key is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewKey {
    pub key: String,
    #[serde(flatten)]
    pub about: KeyInfo,
}

impl Command for KeyCreate {
    const NAME: &'static str = "key-create";
    type Reply = NewKey;

    fn run(self, cx: &mut Context<'_>) -> Result<NewKey> {
        let of: Subject = self.of.parse()?;
        let now = cx.engine().latest();
        let expires = self.expires.as_deref().map(|span| after(now, span));
        let description = self.description.as_deref();
        let (made, key) =
            cx.engine()
                .create_key(cx.caller, &of, description, expires.transpose()?)?;
        let about = KeyInfo::of(&made, &of, now);
        cx.durable(NewKey { key, about })
    }
}

/// Lists keys, of one principal or of all: of everybody for an administrator, for others their own and their agents'.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyList {
    #[serde(default)]
    pub of: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Keys {
    pub keys: Vec<KeyInfo>,
}

impl Command for KeyList {
    const NAME: &'static str = "key-list";
    type Reply = Keys;

    fn run(self, cx: &mut Context<'_>) -> Result<Keys> {
        let wanted: Option<Subject> = self.of.as_deref().map(str::parse).transpose()?;
        let now = cx.engine().latest();
        let mut known = cx.engine().keys(cx.caller)?;
        known.retain(|(_, of)| wanted.as_ref().is_none_or(|w| w == of));
        let infos = known.iter().map(|(key, of)| KeyInfo::of(key, of, now));
        Ok(Keys {
            keys: infos.collect(),
        })
    }
}

/// Ends a key, from the next request on.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyRevoke {
    pub id: u64,
}

impl Command for KeyRevoke {
    const NAME: &'static str = "key-revoke";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        cx.engine().revoke_key(cx.caller, KeyId(self.id))?;
        cx.durable(Done {})
    }
}

/// The time that lies a span of words after another.
fn after(now: Time, words: &str) -> Result<Time> {
    let wrong = |e: jiff::Error| {
        Error::new(
            Kind::Invalid,
            format!("expiry {words:?}: say how long from now, as in 90d, 12h or 1y"),
        )
        .caused_by(e)
    };
    let span: Span = words.parse().map_err(wrong)?;
    let now = Timestamp::from_nanosecond(i128::from(now.0)).map_err(wrong)?;
    let end = now.to_zoned(TimeZone::UTC).checked_add(span);
    Ok(Time::from_system(end.map_err(wrong)?.timestamp().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    #[test]
    fn an_expiry_is_a_span_from_now() {
        assert_eq!(after(Time(5), "90d").unwrap(), Time(5 + 90 * DAY));
        assert_eq!(after(Time(0), "36h").unwrap(), Time(DAY + DAY / 2));
        assert_eq!(after(Time(0), "1y").unwrap(), Time(365 * DAY));
    }

    #[test]
    fn what_is_no_span_is_refused_with_an_example() {
        for words in ["", "soon", "90", "-", "99999y"] {
            let refused = after(Time(0), words).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
            assert!(refused.message().contains("90d"), "{words}");
        }
    }
}
