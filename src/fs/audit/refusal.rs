//! Commands that were refused to somebody because they are not his to give.
//!
//! Promise: whoever asks, however often and for whatever, the log grows by a bounded number of records an hour, and all that was
//! refused is accounted for.

use super::REMEMBERED;
use super::tally::{Hour, Tally, hour};
use crate::core::{Caller, Error, FsPath, Hash, Kind, PrincipalId, Result, TenantId};
use crate::fs::engine::Engine;
use crate::meta::{OpKind, Request};
use quick_cache::sync::Cache;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many different requests that are refused to a user in an hour are told one by one. He may ask for anything, in sessions
/// of any name.
const REFUSALS: u32 = 100;

/// Whose command was refused, agents that are no principals being his own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    tenant: TenantId,
    uid: u32,
    agent: Option<PrincipalId>,
}

/// What was refused to somebody.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// As what agent, in which session, and the command with all that it asked for.
    One(Option<Arc<str>>, Option<Arc<str>>, Hash),
    /// What came after so many others in the hour.
    More,
}

/// What was written down of refusals.
pub(super) struct Refusals {
    pub(super) told: Tally<(Asker, Asked)>,
    /// How many different requests were refused to a user and all that act for him in an hour: he makes agents as he likes.
    requests: Cache<(TenantId, u32, Hour), Arc<AtomicU32>>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            told: Tally::of(REMEMBERED),
            requests: Cache::new(REMEMBERED),
        }
    }
}

impl Refusals {
    /// Whether as much was refused to somebody in an hour as is told one by one, and this is more.
    fn are_many(&self, whose: Asker, hour: Hour) -> bool {
        let key = (whose.tenant, whose.uid, hour);
        let new = || Ok::<_, Infallible>(Arc::default());
        let Ok(requests) = self.requests.get_or_insert_with(&key, new);
        let next = |n: u32| (n < REFUSALS).then_some(n + 1);
        requests.fetch_update(Relaxed, Relaxed, next).is_err()
    }
}

impl Engine {
    /// Writes down that a command, and what it asked for, was refused to somebody because it is not his to give; once a session
    /// and hour, so that who asks again and again does not fill the log.
    pub fn write_refusal(
        &self,
        caller: &Caller,
        (command, asked): (&str, &Request),
        why: &Error,
    ) -> Result<()> {
        let (Kind::NotPermitted, Some(tenant)) = (why.kind(), caller.tenant) else {
            return Ok(());
        };
        let whose = Asker {
            tenant,
            uid: caller.uid,
            agent: caller.agent_id,
        };
        let now = self.clock.now();
        let said = Hash::of(json!([command, asked]).to_string().as_bytes());
        let one = Asked::One(caller.agent.clone(), caller.session.clone(), said);
        let mut refusal = (whose, one);
        if self.audit.refused.told.again(refusal.clone(), now) {
            return Ok(());
        }
        let mut undo = json!({ "subject": command, "note": why.message(), "asked": asked });
        let mut caller = caller.clone();
        if self.audit.refused.are_many(whose, hour(now)) {
            refusal.1 = Asked::More;
            undo["others"] = true.into();
            // Of whichever session they are, and of agents that are but a name.
            caller.session = None;
            caller.agent = caller.agent.filter(|_| caller.agent_id.is_some());
        }
        let root = self.root(&caller)?;
        let Some(told) = self.audit.refused.told.begin(refusal.clone(), now) else {
            return Ok(());
        };
        let at = (root, &FsPath::default());
        let written = self.tell_first(&caller, OpKind::Refused, at, &undo, &told);
        if written.is_err() {
            self.audit.refused.told.forget(refusal, now);
        }
        written
    }
}
