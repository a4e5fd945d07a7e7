//! verify: that log, tree and blobs agree, down to the last byte. Also what there is and what it takes (df).

use super::check::{PAGE, Report, each_row};
use super::engine::Engine;
use super::horizon::verify_horizon;
use super::ledger::Ledger;
use super::lineage::Lineage;
use super::namespace::admin;
use super::receipt::verify_chain;
use super::traces::Traces;
use crate::blob::Content;
use crate::core::{Caller, Op, Result};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::tenant::Head;
use crate::meta::{Horizon, Horizons, Tenant, horizon, node, tenant};
use std::collections::HashSet;

/// What the files would take, and what the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the sizes of all present files, in bytes.
    pub logical_bytes: u64,
    /// Bytes of all blobs, the past's included.
    pub stored_bytes: u64,
    pub files: u64,
    pub blobs: u64,
}

impl Engine {
    /// Proves log, tree and blobs, reading every byte past the caches; administrators only. `progress` hears how many
    /// contents are done.
    pub fn verify(&self, caller: &Caller, progress: &mut dyn FnMut(u64)) -> Result<Report> {
        let mut report = self.fsck(caller)?;
        let mut tx = self.store.read()?;
        let tenants = tenant::tenants(&mut *tx)?;
        let horizons = report.note(horizon::all(&mut *tx)).unwrap_or_default();
        for t in &tenants {
            let horizon = horizons.get(&t.id);
            verify_log(&mut *tx, t, horizon, &mut report)?;
            verify_horizon(&mut *tx, t, horizon, &mut report);
        }
        let fits = Lineage {
            tx: &mut *tx,
            tenants: &tenants,
            horizons: &horizons,
            report: &mut report,
        }
        .verify();
        report.note(fits);
        for blob in self.blobs.missized()? {
            report.problem(format!(
                "blob {blob}: its row says another size than it has"
            ));
        }
        let mut seen = HashSet::new();
        let read = each_content(&mut *tx, &horizons, &mut report, &mut |content, report| {
            report.checked += 1;
            progress(report.checked);
            for damage in self.blobs.check(content, &mut seen) {
                report.problem(damage.error.chain());
            }
        });
        report.note(read);
        Ok(report)
    }

    /// Tells logical and stored bytes; administrators only.
    pub fn df(&self, caller: &Caller) -> Result<Usage> {
        admin(caller)?;
        let rows = self.store.read()?.query(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), CAST(COUNT(*) AS BIGINT) FROM nodes WHERE kind = 1",
            &[],
        )?;
        let (logical_bytes, files) = match rows.first() {
            Some(row) => (row.uint(0)?, row.uint(1)?),
            None => (0, 0),
        };
        let stored = self.blobs.usage()?;
        Ok(Usage {
            logical_bytes,
            stored_bytes: stored.stored_bytes,
            files,
            blobs: stored.blobs,
        })
    }
}

/// Walks the whole log of a tenant, and holds against it what each operation left.
fn verify_log(
    tx: &mut dyn Tx,
    of: &Tenant,
    horizon: Option<&Horizon>,
    report: &mut Report,
) -> Result<()> {
    let (mut traces, mut ledger) = (Traces::new(of, horizon), Ledger::default());
    let (start, mut readable) = (Head::default(), true);
    let whole = verify_chain(tx, of, start, report, &mut |tx, record, report| {
        ledger.follow(record);
        // Of a database that answers no more the first word is enough.
        if readable {
            let looked = traces.verify(tx, record, report);
            readable = report.note(looked).is_some();
        }
    })?;
    // A log with holes says nothing of all there is.
    if whole {
        let held = ledger.verify(tx, of, report);
        report.note(held);
    }
    Ok(())
}

/// Visits the content of every node, present and past, but what is forgotten.
pub(super) fn each_content(
    tx: &mut dyn Tx,
    horizons: &Horizons,
    report: &mut Report,
    visit: &mut dyn FnMut(&Content, &mut Report),
) -> Result<()> {
    for tense in [Tense::Present, Tense::Past] {
        let page = |after: &(u64, u64)| node::page(tx, tense, *after, PAGE);
        each_row((0, 0), page, |(_, ended), row| match row {
            Ok(node) => {
                let ended = (tense == Tense::Past).then_some(Op(*ended));
                let horizon = horizons.get(&node.tenant);
                if !horizon.is_some_and(|h| h.hides(node.began, ended)) {
                    visit(&node.content, report);
                }
            }
            // fsck has told of present rows already.
            Err(e) if tense == Tense::Past => report.problem(format!("in the past: {}", e.chain())),
            Err(_) => {}
        })?;
    }
    Ok(())
}
