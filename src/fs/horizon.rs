//! What of the past is forgotten, told to who asks for it.
//!
//! The one place that judges it. Whoever reads rows of the past asks here when he has read them: rows go only after the
//! horizon has moved (see `forget`), so what is remembered then was whole when it was read.

use super::check::Report;
use super::engine::Engine;
use super::past::Moment;
use crate::core::{Error, Kind, Op, Result, TenantId, error::fail};
use crate::db::Tx;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{Horizon, OpKind, Record, Tenant};
use std::sync::Arc;

impl Engine {
    /// What of a tenant's past is kept.
    pub fn horizon(&self, tenant: TenantId) -> Result<Arc<Horizon>> {
        Ok(self.home(tenant)?.horizon.clone())
    }

    /// Fails with `NotFound` where the tree of a moment was forgotten.
    pub fn remembers(&self, at: Moment) -> Result<()> {
        let horizon = self.horizon(at.tenant)?;
        if horizon.has_moment(at.op) {
            return Ok(());
        }
        fail(Kind::NotFound, self.forgotten(at.tenant, &horizon)?)
    }

    /// Fails with `NotFound` where an operation of a tenant, or an older one of several, is too old to be undone.
    pub fn can_undo(&self, tenant: TenantId, oldest: Op) -> Result<()> {
        let horizon = self.horizon(tenant)?;
        if oldest >= horizon.oldest() {
            return Ok(());
        }
        if oldest == Op(0) {
            return fail(Kind::NotFound, "no operation 0: the first is 1");
        }
        let why = self.forgotten(tenant, &horizon)?;
        let message = format!(
            "operation {oldest} cannot be undone any more: {why}; the oldest that can be is {}",
            horizon.oldest()
        );
        Err(Error::new(Kind::NotFound, message))
    }

    /// What to say where something was forgotten.
    pub fn forgotten(&self, tenant: TenantId, horizon: &Horizon) -> Result<String> {
        let when = self.store.time_of(tenant, horizon.by)?;
        let when = when.map_or_else(|| "some day".to_owned(), |(_, time)| time.to_string());
        Ok(format!(
            "history before operation {} was forgotten on {when}",
            horizon.oldest()
        ))
    }
}

/// Holds a horizon against the log: the newest operation that forgot something moved it where it is.
pub(super) fn verify_horizon(
    tx: &mut dyn Tx,
    of: &Tenant,
    horizon: Option<&Horizon>,
    report: &mut Report,
) {
    let query = Query {
        kinds: vec![OpKind::Forget],
        ..Query::default()
    };
    let Some(found) = report.note(page(tx, of.id, &query, Cursor::NEWEST, 1)) else {
        return;
    };
    let told = found.first().map(|(record, _)| (said(record), record.op));
    let is = horizon.map(|h| (h.upto, h.by));
    if told.unwrap_or_default() != is.unwrap_or_default() {
        report.problem(format!(
            "tenant {}: its horizon is not the one that the log tells of",
            of.name
        ));
    }
}

/// Where an operation moved the horizon.
fn said(record: &Record) -> Op {
    Op(record.details()["horizon"].as_u64().unwrap_or_default())
}
