//! The log as people and programs read it: which records, and what of each. Who may read one is decided by
//! [`Reader`](crate::fs::Reader).

use super::stats::tenant_name;
use crate::core::{Caller, Error, Kind, Op, Result, Text};
use crate::fs::{Engine, Reader};
use crate::meta::log_query::{Cursor, Query, look, page};
use crate::meta::{Particulars, Record};
use serde::{Deserialize, Serialize};
use std::io;

/// How many records one answer holds at most.
pub const RECORDS_MAX: u32 = 10_000;
/// How many bytes of JSON one answer has, but for its last record: a path may take 24 KiB of them.
const TEXT_MAX: usize = 4 << 20;
/// How many records one answer looks at: there may be many that the reader may not see.
const LOOKED_MAX: usize = 20_000;
/// How many are read at a time.
const PAGE_MIN: u32 = 64;
const PAGE_MAX: u32 = 1000;

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
    /// What exactly was granted, joined, listed or refused.
    #[serde(flatten)]
    pub particulars: Particulars,
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
    pub query: Query,
    /// Only newer ones: the oldest of them, up to `limit`. Without it, the newest.
    pub after: Option<u64>,
    /// Only older ones.
    pub before: Option<u64>,
    pub limit: u32,
}

/// An answer, oldest record first: all that the reader may see from operation `first` to operation `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    pub records: Vec<LogLine>,
    /// The oldest operation looked at: ask for what is `before` it next. There is nothing before 1.
    pub first: u64,
    /// The newest operation looked at: ask for what is `after` it next.
    pub last: u64,
}

/// Reads the log of the caller's tenant.
pub fn read(engine: &Engine, caller: &Caller, filter: &Filter) -> Result<LogPage> {
    let reading = Reading::new(engine, caller, filter)?;
    match filter.after {
        Some(after) => reading.forwards(Op(after)),
        None => reading.backwards(),
    }
}

/// How many bytes something is as JSON.
pub(super) fn length(told: &impl Serialize) -> Result<usize> {
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, told)
        .map_err(|e| Error::new(Kind::Io, "a line cannot be written as JSON").caused_by(e))?;
    Ok(counted.0)
}

struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a page of a reader's log, whether he may see it or not.
pub(super) fn page_of(
    engine: &Engine,
    reader: &Reader<'_>,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Result<Vec<Record>> {
    if let Some(found) = recent(engine, reader, query, from, limit) {
        return Ok(found);
    }
    // Judging needs the database, too, so the connection is given back first: there are few.
    let mut tx = engine.store().read()?;
    let found = page(&mut *tx, reader.tenant(), query, from, limit)?;
    Ok(found.into_iter().map(|(record, _)| record).collect())
}

/// The same of what the database does not have yet; `None` where it has to be asked.
fn recent(
    engine: &Engine,
    reader: &Reader<'_>,
    query: &Query,
    from: Cursor,
    limit: u32,
) -> Option<Vec<Record>> {
    match from {
        Cursor::After(op) => engine.store().recent(reader.tenant(), op, query, limit),
        Cursor::Before(_) => None,
    }
}

/// What comes after some records.
enum Next {
    /// More of them.
    Page,
    /// Perhaps more, behind an operation up to which there are none.
    Behind(Op),
    Nothing,
}

/// One answer being made.
struct Reading<'a> {
    engine: &'a Engine,
    reader: Reader<'a>,
    tenant: String,
    query: Query,
    limit: usize,
    before: Option<Op>,
    looked_at: usize,
    /// Bytes of what was found.
    text: usize,
    found: Vec<LogLine>,
}

impl<'a> Reading<'a> {
    fn new(engine: &'a Engine, caller: &'a Caller, filter: &Filter) -> Result<Self> {
        let before = filter.before.map(|op| Op(op.saturating_sub(1)));
        let mut query = filter.query.clone();
        query.last = before.into_iter().chain(query.last).min();
        query.reaching = true;
        Ok(Self {
            engine,
            reader: Reader::new(engine, caller)?,
            tenant: tenant_name(engine, caller).unwrap_or_default(),
            query,
            limit: filter.limit.min(RECORDS_MAX) as usize,
            before,
            looked_at: 0,
            text: 0,
            found: Vec::new(),
        })
    }

    fn forwards(mut self, after: Op) -> Result<LogPage> {
        // Before the first look: what is committed meanwhile was not looked at, or could not be judged yet.
        let end = self.engine.log_end(self.reader.tenant())?;
        self.query.last = Some(self.query.last.map_or(end, |last| last.min(end)));
        let (at, is_end) = self.fill(Cursor::After(after))?;
        let last = if is_end { at.max(end) } else { at };
        Ok(self.answer(Op(after.0.saturating_add(1)), last))
    }

    fn backwards(mut self) -> Result<LogPage> {
        let end = self.engine.log_end(self.reader.tenant())?;
        let last = self.before.unwrap_or(end).min(end);
        let (at, is_end) = self.fill(Cursor::Before(Op(last.0.saturating_add(1))))?;
        self.found.reverse();
        Ok(self.answer(if is_end { Op(1) } else { at }, last))
    }

    /// Takes records until the answer is full, there are no more, or a look at the log ended without enough of them: who asks for
    /// what is rare gets an answer in time, and asks again. Gives the last operation looked at, and whether it is the end.
    fn fill(&mut self, mut at: Cursor) -> Result<(Op, bool)> {
        while !self.is_full() {
            let (records, next) = self.page(at)?;
            for record in &records {
                if self.is_full() {
                    return Ok((at.op(), false));
                }
                self.take(record)?;
                at = at.moved(record.op);
            }
            match next {
                Next::Page => {}
                Next::Behind(op) => return Ok((op, false)),
                Next::Nothing => return Ok((at.op(), true)),
            }
        }
        Ok((at.op(), false))
    }

    fn is_full(&self) -> bool {
        let looked_at = self.looked_at + self.reader.effort();
        self.found.len() >= self.limit || self.text >= TEXT_MAX || looked_at >= LOOKED_MAX
    }

    /// The next records that fit, and what comes after them.
    fn page(&self, from: Cursor) -> Result<(Vec<Record>, Next)> {
        let missing = u32::try_from(self.limit - self.found.len()).unwrap_or(PAGE_MAX);
        let limit = missing.clamp(PAGE_MIN, PAGE_MAX);
        let ended = |records: &Vec<Record>| records.len() < limit as usize;
        if let Some(records) = recent(self.engine, &self.reader, &self.query, from, limit) {
            let next = if ended(&records) {
                Next::Nothing
            } else {
                Next::Page
            };
            return Ok((records, next));
        }
        let mut tx = self.engine.store().read()?;
        let found = look(&mut *tx, self.reader.tenant(), &self.query, from, limit)?;
        let records: Vec<_> = found
            .records
            .into_iter()
            .map(|(record, _)| record)
            .collect();
        let next = match found.upto {
            Some(op) => Next::Behind(op),
            None if ended(&records) => Next::Nothing,
            None => Next::Page,
        };
        Ok((records, next))
    }

    fn take(&mut self, record: &Record) -> Result<()> {
        self.looked_at += 1;
        if self.reader.tells(&self.query, record)? {
            let line = self.line(record);
            self.text += length(&line)?;
            self.found.push(line);
        }
        Ok(())
    }

    fn answer(self, first: Op, last: Op) -> LogPage {
        LogPage {
            records: self.found,
            first: first.0,
            last: last.0,
        }
    }

    fn line(&self, r: &Record) -> LogLine {
        LogLine {
            op: r.op.0,
            time: r.time.to_string(),
            kind: r.kind.name().to_owned(),
            path: Text(r.path.clone()),
            path2: r.path2.clone().map(Text),
            subject: r.subject(),
            note: r.note(),
            object: r.object(),
            particulars: r.particulars(),
            tenant: self.tenant.clone(),
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
mod tests;
