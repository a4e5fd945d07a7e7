//! The log.

use super::Command;
use super::context::{Context, Progress, path_of};
use super::follow::Follow;
use crate::core::{Error, Kind, Op, Result, Text, error::fail};
use crate::facts::{Filter, LogPage, Summary, log, summary};
use crate::fs::Stream;
use crate::history::{When, resolve_when};
use crate::meta::OpKind;
use crate::meta::log_query::Query;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest a request waits for the log to grow.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long who follows it waits for a sign of life, in milliseconds.
pub(super) const WAIT_MS: u64 = 20_000;

/// Which operations are asked for: all conditions that are set have to hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// What concerns this path and what is below it.
    pub path: Option<Text>,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub command: Option<String>,
    /// Of any of these kinds.
    pub kinds: Vec<String>,
    /// A time or `op:N`: from then on.
    pub since: Option<String>,
    /// A time or `op:N`: up to then.
    pub until: Option<String>,
    /// The first and the last operation, themselves included.
    pub first: Option<u64>,
    pub last: Option<u64>,
}

impl Wanted {
    /// Reads the words of a request, as of now; fails with `Invalid` or `NotFound` on those that mean nothing.
    pub(super) fn query(&self, cx: &Context<'_>) -> Result<Query> {
        let mut query = Query {
            path: self.path.as_ref().map(path_of).transpose()?,
            user: self.user.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
            command: self.command.clone(),
            kinds: kinds(&self.kinds)?,
            first: self.first.map(Op),
            last: self.last.map(Op),
            ..Query::default()
        };
        let now = cx.engine().clock().now();
        if let Some(word) = &self.since {
            match When::read(word, now)? {
                Some(When::Op(op)) => query.first = query.first.max(Some(op)),
                Some(When::Time(time)) => query.since = Some(time),
                Some(When::Now) => query.since = Some(now),
                None => {
                    let behind = Op(resolve_when(cx.engine(), cx.caller, word)?.op.0 + 1);
                    query.first = query.first.max(Some(behind));
                }
            }
        }
        if let Some(word) = &self.until {
            let upto = |op| query.last.into_iter().chain([op]).min();
            match When::read(word, now)? {
                Some(When::Op(op)) => query.last = upto(op),
                Some(When::Time(time)) => query.until = Some(time),
                Some(When::Now) => {}
                None => query.last = upto(resolve_when(cx.engine(), cx.caller, word)?.op),
            }
        }
        Ok(query)
    }
}

/// Reads the names of kinds, each once: every one of them is looked for in every record.
fn kinds(names: &[String]) -> Result<Vec<OpKind>> {
    let there_are = OpKind::names().count();
    if names.len() > there_are {
        let message = format!(
            "{} kinds of operations, and there are {there_are}",
            names.len()
        );
        return fail(Kind::Invalid, message);
    }
    let mut kinds = Vec::new();
    for kind in names.iter().map(kind) {
        let kind = kind?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

fn kind(name: &String) -> Result<OpKind> {
    let unknown = || {
        let all: Vec<_> = OpKind::names().collect();
        let message = format!("no kind of operation is {name:?}: say {}", all.join(", "));
        Error::new(Kind::Invalid, message)
    };
    OpKind::named(name).ok_or_else(unknown)
}

/// Reads the log: the newest records, or the first `after` an operation. With `wait_ms` and nothing after it yet,
/// waits for the log to grow.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(flatten)]
    pub wanted: Wanted,
    #[serde(default)]
    pub after: Option<u64>,
    #[serde(default)]
    pub before: Option<u64>,
    #[serde(default = "usual")]
    pub limit: u32,
    #[serde(default)]
    pub wait_ms: u64,
}

fn usual() -> u32 {
    100
}

impl Command for Log {
    const NAME: &'static str = "log";
    type Reply = LogPage;

    fn run(self, cx: &mut Context<'_>) -> Result<LogPage> {
        let query = self.wanted.query(cx)?;
        if let Some(after) = self.after.filter(|_| self.wait_ms > 0) {
            let patience = Duration::from_millis(self.wait_ms).min(WAIT_MAX);
            let tenant = cx.tenant()?;
            if cx.engine().log_end(tenant)?.0 <= after {
                cx.engine()
                    .events()
                    .wait_log(tenant, Stream::All, Op(after), patience);
            }
        }
        let filter = Filter {
            query,
            after: self.after,
            before: self.before,
            limit: self.limit,
        };
        log::read(cx.engine(), cx.caller, &filter)
    }
}

impl Follow for Log {
    fn go_on(&mut self, answer: &LogPage) -> bool {
        (self.after, self.before) = (Some(answer.last), None);
        // Of nothing at a time it would never come on.
        (self.limit, self.wait_ms) = (self.limit.max(1), WAIT_MS);
        self.wanted.last.is_none_or(|last| answer.last < last)
    }
}

/// Adds up the operations that fit: who, what, how many, where, by which commands, from when to when.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSummary {
    #[serde(flatten)]
    pub wanted: Wanted,
}

impl Command for LogSummary {
    const NAME: &'static str = "log-summary";
    type Reply = Summary;

    fn run(self, cx: &mut Context<'_>) -> Result<Summary> {
        let query = self.wanted.query(cx)?;
        let engine = cx.engine().clone();
        summary::of(&engine, cx.caller, &query, |done| {
            (cx.tell)(Progress { done })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_counts_once_and_there_are_no_more_than_there_are() {
        let said = |names: &[&str]| kinds(&names.iter().map(|n| (*n).into()).collect::<Vec<_>>());
        let once = said(&["write", "grant", "write"]).unwrap();
        assert_eq!(once, [OpKind::Write, OpKind::Grant]);
        let all: Vec<_> = OpKind::names().collect();
        assert_eq!(said(&all).unwrap().len(), all.len());
        let many = vec!["write"; all.len() + 1];
        assert_eq!(said(&many).unwrap_err().kind(), Kind::Invalid);
    }
}
