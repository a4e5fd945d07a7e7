//! Running a command, and what of it goes into the log beside its effect.

use super::{Command, Context};
use crate::core::{Error, Kind, Result, Text};
use crate::meta::Request;
use serde::Serialize;

/// Runs a command.
pub fn run<C: Command>(command: C, cx: &mut Context<'_>) -> Result<C::Reply> {
    let body = to_json(&command)?;
    run_logged(command, cx, &body)
}

/// Runs a command. What only an administrator's word allowed, and what was refused as not the caller's to give, goes into
/// the log.
pub(super) fn run_logged<C: Command>(
    command: C,
    cx: &mut Context<'_>,
    body: &[u8],
) -> Result<C::Reply> {
    let done = command.run(cx);
    let engine = cx.engine();
    if let Err(refused) = &done
        && refused.kind() == Kind::NotPermitted
    {
        engine.write_refusal(cx.caller, (C::NAME, &asked(body)), refused)?;
    }
    engine.write_bypasses()?;
    done
}

/// The fields of a request that say what it was about; no others, for these go into the log.
const TOLD: [&str; 15] = [
    "path", "from", "to", "subject", "relation", "object", "group", "member", "of", "user",
    "agent", "owner", "tenant", "entry", "mode",
];
/// How much of each, in characters.
const TOLD_MAX: usize = 256;

fn asked(body: &[u8]) -> Request {
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let told = TOLD.iter().filter_map(|key| {
        let text: Text = serde_json::from_value(said.get(key)?.clone()).ok()?;
        let text = text.to_string().chars().take(TOLD_MAX).collect();
        Some(((*key).to_owned(), text))
    });
    told.collect()
}

/// Serialises a request or a reply.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| {
        Error::new(Kind::Io, "a request or reply cannot be written as JSON").caused_by(e)
    })
}
