//! A request on its way through the log, a page at a time, and what it has looked at in vain: there may be millions of records that do
//! not fit, or that the caller may not read.

use crate::api::context::Context;
use crate::core::{Caller, Kind, Op, Result, TenantId, error::fail};
use crate::fs::{Engine, Reader};
use crate::history::OpSet;
use crate::meta::Record;
use crate::meta::log_query::{Cursor, Query, look};

/// How many records one request of somebody who is no administrator looks at in vain: some seconds.
const VAIN_MAX: usize = 200_000;
/// What a part of the log counts in which too little fits.
const BARREN: usize = 20_000;

/// One request on its way.
pub(in crate::api) struct Search<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    tenant: TenantId,
    query: Query,
    /// Where to go on; `None` at the end.
    at: Option<Cursor>,
    limit: u32,
    reader: Reader<'a>,
    vain: usize,
    /// How many records it looks at in vain.
    pub(in crate::api) most: usize,
}

impl<'a> Search<'a> {
    /// Begins at a cursor, with pages of up to `limit` records.
    pub(in crate::api) fn new(
        cx: &'a Context<'_>,
        query: Query,
        from: Cursor,
        limit: u32,
    ) -> Result<Self> {
        Ok(Self {
            engine: cx.engine(),
            caller: cx.caller,
            tenant: cx.tenant()?,
            query,
            at: Some(from),
            limit,
            reader: Reader::new(cx.engine(), cx.caller)?,
            vain: 0,
            most: VAIN_MAX,
        })
    }

    /// Goes on with what else is asked for; what was looked at in vain still counts.
    pub(in crate::api) fn turn_to(&mut self, query: Query, from: Cursor) {
        self.query = query;
        self.at = Some(from);
    }

    /// The next records that fit, which may be none; `None` behind the last.
    pub(in crate::api) fn page(&mut self) -> Result<Option<Vec<Record>>> {
        let Some(at) = self.at else {
            return Ok(None);
        };
        // What it remembers of the tree is for a page: there may be many.
        self.vain += self.reader.effort();
        self.reader = Reader::new(self.engine, self.caller)?;
        let mut tx = self.engine.store().read()?;
        let found = look(&mut *tx, self.tenant, &self.query, at, self.limit)?;
        drop(tx);
        let records: Vec<_> = found.records.into_iter().map(|(r, _)| r).collect();
        let is_full = records.len() >= self.limit as usize;
        let last = records.last().map(|record| record.op);
        self.at = match (found.upto, last) {
            (Some(upto), _) => {
                self.vain += BARREN;
                Some(at.moved(upto))
            }
            (None, Some(last)) if is_full => Some(at.moved(last)),
            (None, _) => None,
        };
        Ok(Some(records))
    }

    /// The same, of what the caller may read.
    pub(in crate::api) fn readable(&mut self) -> Result<Option<Vec<Record>>> {
        let Some(page) = self.page()? else {
            return Ok(None);
        };
        let mut readable = Vec::with_capacity(page.len());
        for record in page {
            if self.may_read(&record)? {
                readable.push(record);
            }
        }
        Ok(Some(readable))
    }

    /// Whether the caller may read a record; one that he may not was looked at in vain.
    pub(in crate::api) fn may_read(&mut self, record: &Record) -> Result<bool> {
        let may = self.reader.may_read(record)?;
        self.vain += usize::from(!may);
        Ok(may)
    }

    /// Whether he may be told of it: of one on many nodes, that it has to do with the path that is asked for.
    pub(in crate::api) fn tells(&mut self, record: &Record) -> Result<bool> {
        self.reader.tells(&self.query, record)
    }

    /// Passes over operations of a set, on the way backwards.
    pub(in crate::api) fn leap(&mut self, over: &OpSet) {
        if let Some(Cursor::Before(at)) = self.at {
            self.at = Some(Cursor::Before(over.leap(at)));
        }
    }

    /// Counts records that were of no use.
    pub(in crate::api) fn in_vain(&mut self, records: usize) {
        self.vain += records;
    }

    /// Whether much was looked at in vain.
    pub(in crate::api) fn is_spent(&self) -> bool {
        self.vain + self.reader.effort() >= self.most
    }

    /// Where it stands: what is up to here, or from here on, was looked at.
    pub(in crate::api) fn at(&self) -> Option<Op> {
        self.at.map(Cursor::op)
    }

    /// Fails with `TooBig` where much was looked at in vain, for whoever is no administrator.
    pub(in crate::api) fn goes_on(&self) -> Result<()> {
        match self.at() {
            Some(at) if self.is_spent() && !self.caller.admin => {
                let message = format!(
                    "too much of the log does not fit or is not yours to read, and the search ended at operation {at}: narrow it \
                     with --since and --until, --session, --agent, --user or a path, or say operations by their numbers"
                );
                fail(Kind::TooBig, message)
            }
            _ => Ok(()),
        }
    }
}
