//! API keys: who shows one is the user or agent that it was made for.

use super::Command;
use super::context::{Context, Done};
use super::expiry::expiry;
use crate::core::{KeyId, Result, Time};
use crate::meta::{Key, Subject};
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
#[serde(deny_unknown_fields)]
pub struct KeyCreate {
    pub of: String,
    #[serde(default)]
    pub description: Option<String>,
    /// How long it is good for (`90d`, `12h`, `1y`), or the time when it ends; otherwise until it is revoked.
    #[serde(default, alias = "expires_at")]
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
        let expires = self.expires.as_deref().map(|words| expiry(now, words));
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
#[serde(deny_unknown_fields)]
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
        if let Some(of) = wanted.filter(|_| known.is_empty()) {
            // Nobody has no keys, either.
            cx.engine().is_known(cx.caller, &of)?;
        }
        let infos = known.iter().map(|(key, of)| KeyInfo::of(key, of, now));
        Ok(Keys {
            keys: infos.collect(),
        })
    }
}

/// Ends a key, from the next request on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
