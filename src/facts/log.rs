//! The log as people and programs read it.
//!
//! A caller sees records of its own, and those whose paths `ls` would show it. Whom a grant was for is told to those whom
//! it names, and to owners.

use super::stats::tenant_name;
use crate::core::{Caller, Error, FsPath, Kind, Op, Result, TenantId, Text};
use crate::fs::Engine;
use crate::meta::Record;
use crate::meta::log_query::{Cursor, Query, page};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How many records one answer holds at most.
pub const RECORDS_MAX: u32 = 10_000;
const PAGE: u32 = 1000;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub op: u64,
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    pub kind: String,
    pub path: Text,
    /// Where a rename, an exchange or a hard link went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path2: Option<Text>,
    /// Whom an operation on principals was about: `user:alice`, `group:developers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Why something was refused, or which right only an administrator had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What a relationship was to that is no path: `doc:readme`; or the types that were defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    pub tenant: String,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub uid: u32,
    pub pid: u32,
    pub command: String,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this path or something below it.
    pub path: Option<FsPath>,
    /// Only newer ones: the oldest of them, up to `limit`. Without it, the newest.
    pub after: Option<u64>,
    /// Only older ones.
    pub before: Option<u64>,
    pub limit: u32,
}

/// An answer, oldest record first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    pub records: Vec<LogLine>,
    /// The newest operation looked at: ask for what is `after` it next.
    pub last: u64,
}

/// Reads the log of the caller's tenant.
pub fn read(engine: &Engine, caller: &Caller, filter: &Filter) -> Result<LogPage> {
    let Some(tenant) = caller.tenant else {
        return Err(Error::new(
            Kind::NotFound,
            "without a tenant there is no log",
        ));
    };
    let mut reader = Reader {
        engine,
        caller,
        tenant,
        name: tenant_name(engine, caller).unwrap_or_default(),
        filter,
        limit: filter.limit.min(RECORDS_MAX) as usize,
        listed: HashMap::new(),
        found: Vec::new(),
    };
    let last = match filter.after {
        Some(after) => reader.forwards(Op(after))?,
        None => reader.backwards()?,
    };
    Ok(LogPage {
        records: reader.found,
        last,
    })
}

struct Reader<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    name: String,
    filter: &'a Filter,
    limit: usize,
    /// Paths already asked about.
    listed: HashMap<Vec<u8>, bool>,
    found: Vec<LogLine>,
}

impl Reader<'_> {
    fn forwards(&mut self, mut at: Op) -> Result<u64> {
        // Before the first look: what is committed meanwhile was not looked at.
        let head = self.engine.head(self.tenant)?;
        loop {
            let records = self.page(Cursor::After(at))?;
            for record in &records {
                if self.found.len() == self.limit {
                    return Ok(at.0);
                }
                at = record.op;
                self.take(record);
            }
            if records.len() < PAGE as usize {
                return Ok(at.max(head).0);
            }
        }
    }

    fn backwards(&mut self) -> Result<u64> {
        let head = self.engine.head(self.tenant)?;
        let mut at = Op(self.filter.before.unwrap_or(u64::MAX).min(head.0 + 1));
        let last = at.0.saturating_sub(1);
        while self.found.len() < self.limit {
            let records = self.page(Cursor::Before(at))?;
            for record in &records {
                at = record.op;
                if self.found.len() < self.limit {
                    self.take(record);
                }
            }
            if records.len() < PAGE as usize {
                break;
            }
        }
        self.found.reverse();
        Ok(last)
    }

    fn page(&self, from: Cursor) -> Result<Vec<Record>> {
        let query = Query {
            path: self.filter.path.clone(),
            last: self
                .filter
                .before
                .map(|before| Op(before.saturating_sub(1))),
            ..Query::default()
        };
        let mut tx = self.engine.store().read()?;
        let found = page(&mut *tx, self.tenant, &query, from, PAGE)?;
        Ok(found.into_iter().map(|(record, _)| record).collect())
    }

    fn take(&mut self, record: &Record) {
        if self.may_see(record) {
            let line = self.line(record);
            self.found.push(line);
        }
    }

    fn may_see(&mut self, record: &Record) -> bool {
        if self.caller.admin || self.is_own(record) {
            return true;
        }
        let paths = std::iter::once(&record.path).chain(record.path2.as_ref());
        paths.into_iter().all(|path| self.is_listed(path))
    }

    /// An isolated agent has no more part in what its owner did than in what it may do.
    fn is_own(&self, record: &Record) -> bool {
        let by_agent = record.author.agent.as_deref() == self.caller.agent.as_deref();
        record.author.uid == self.caller.uid && (by_agent || !self.caller.isolated)
    }

    fn is_listed(&mut self, path: &[u8]) -> bool {
        let (engine, caller) = (self.engine, self.caller);
        let known = self.listed.entry(path.to_vec());
        *known.or_insert_with_key(|path| {
            let path = FsPath::parse(path);
            path.and_then(|path| engine.lists(caller, &path))
                .unwrap_or(false)
        })
    }

    /// Whom a record is about, for those who may know of such a grant.
    fn subject(&self, record: &Record) -> Option<String> {
        let told = self.caller.admin || self.is_own(record);
        let subject = record.subject()?;
        let may_know = || self.engine.may_know_of(self.caller, &subject, record.ino);
        (told || may_know().unwrap_or(false)).then_some(subject)
    }

    fn line(&self, r: &Record) -> LogLine {
        LogLine {
            op: r.op.0,
            time: r.time.to_string(),
            kind: r.kind.name().to_owned(),
            path: Text(r.path.clone()),
            path2: r.path2.clone().map(Text),
            subject: self.subject(r),
            note: r.note(),
            object: r.object(),
            tenant: self.name.clone(),
            user: r.author.user.clone(),
            agent: r.author.agent.clone(),
            session: r.author.session.clone(),
            uid: r.author.uid,
            pid: r.author.pid,
            command: r.author.comm.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_has_the_documented_keys() {
        let line = LogLine {
            op: 1,
            time: crate::core::Time(0).to_string(),
            kind: "write".into(),
            path: "/workspace/a".into(),
            path2: None,
            subject: None,
            note: None,
            object: None,
            tenant: "default".into(),
            user: Some("ann".into()),
            agent: None,
            session: None,
            uid: 1000,
            pid: 7,
            command: "vim".into(),
        };
        let json = serde_json::to_value(&line).unwrap();
        for key in "op time kind path tenant user agent session uid pid command".split(' ') {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["time"], "1970-01-01T00:00:00.000000000Z");
    }
}
