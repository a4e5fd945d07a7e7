//! verify: that log, tree and blobs agree, down to the last byte. Also what there is and what it takes (df).

use super::check::{PAGE, Report, each_row};
use super::engine::Engine;
use super::horizon::verify_horizon;
use super::ledger::Ledger;
use super::lineage::Lineage;
use super::namespace::admin;
use super::receipt::verify_chain;
use super::tenancy::verify_tenants;
use super::traces::Traces;
use crate::core::{Caller, Op, Result};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::tenant::Head;
use crate::meta::{Horizon, Horizons, Node, Tenant, draft, horizon, node, numbers, tenant};
use std::collections::HashSet;

/// What the files would take, and what the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the sizes of all present files of tenants that there are, in bytes.
    pub logical_bytes: u64,
    /// Bytes of all blobs, the past's included.
    pub stored_bytes: u64,
    pub files: u64,
    pub blobs: u64,
}

impl Engine {
    /// Proves log, tree and blobs, reading every byte past the caches; administrators only. `progress` hears how many
    /// contents are done; where it fails, nothing more is read and its error is the answer.
    pub fn verify(
        &self,
        caller: &Caller,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Report> {
        let mut report = self.fsck(caller)?;
        let mut tx = self.store.read()?;
        let tenants = tenant::tenants(&mut *tx)?;
        let horizons = report.note(horizon::all(&mut *tx)).unwrap_or_default();
        for t in &tenants {
            progress(0)?;
            let horizon = horizons.get(&t.id);
            let walked = verify_log(&mut *tx, t, horizon, &mut report);
            if report.note(walked) != Some(true) {
                tx = self.store.read()?;
            }
            verify_horizon(&mut *tx, t, horizon, &mut report);
        }
        let walked = verify_tenants(&mut *tx, &tenants, &mut report);
        if report.note(walked).is_none() {
            tx = self.store.read()?;
        }
        for wrong in report.note(numbers::verify(&mut *tx)).unwrap_or_default() {
            report.problem(wrong);
        }
        verify_drafts(&mut *tx, &mut report);
        if let Some(lost) = self.store.lost() {
            report.problem(lost);
        }
        let fits = Lineage {
            tx: &mut *tx,
            tenants: &tenants,
            horizons: &horizons,
            report: &mut report,
        }
        .verify();
        if report.note(fits).is_none() {
            tx = self.store.read()?;
        }
        let missized = report.note(self.blobs.missized());
        for blob in missized.unwrap_or_default() {
            report.problem(format!(
                "blob {blob}: its row says another size than it has"
            ));
        }
        let (mut seen, mut go_on) = (HashSet::new(), Ok(()));
        let read = each_content(&mut *tx, &horizons, &mut report, &mut |node, report| {
            if go_on.is_ok() {
                go_on = progress(report.checked + 1);
            }
            if go_on.is_err() {
                return;
            }
            report.checked += 1;
            for damage in self.blobs.check(&node.content, &mut seen) {
                let what = damage.error.chain();
                report.problem(format!("node {}: {what}", node.ino));
            }
        });
        report.note(read);
        go_on.map(|()| report)
    }

    /// Tells logical and stored bytes; administrators only.
    pub fn df(&self, caller: &Caller) -> Result<Usage> {
        admin(caller)?;
        let (files, logical_bytes) = tenant::files(&mut *self.store.read()?)?;
        let stored = self.blobs.usage()?;
        Ok(Usage {
            logical_bytes,
            stored_bytes: stored.stored_bytes,
            files,
            blobs: stored.blobs,
        })
    }
}

/// Tells what a recovery had to set aside.
fn verify_drafts(tx: &mut dyn Tx, report: &mut Report) {
    for (id, ino) in report.note(draft::aside(tx)).unwrap_or_default() {
        report.problem(format!(
            "node {ino}: what was synced of it before a crash is lost, for row ({id}) of table drafts is damaged, or one \
             before it: write the file again, then delete the row"
        ));
    }
}

/// Walks the whole log of a tenant, and holds against it what each operation left. Whether the log is whole and everything could
/// be read.
fn verify_log(
    tx: &mut dyn Tx,
    of: &Tenant,
    horizon: Option<&Horizon>,
    report: &mut Report,
) -> Result<bool> {
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
        readable &= report.note(held).is_some();
    }
    Ok(whole && readable)
}

/// Visits every node with its content, present and past, but what is forgotten.
pub(super) fn each_content(
    tx: &mut dyn Tx,
    horizons: &Horizons,
    report: &mut Report,
    visit: &mut dyn FnMut(&Node, &mut Report),
) -> Result<()> {
    for tense in [Tense::Present, Tense::Past] {
        let page = |after: &(u64, u64)| node::page(tx, tense, *after, PAGE);
        each_row((0, 0), page, |(_, ended), row| match row {
            Ok(node) => {
                let ended = (tense == Tense::Past).then_some(Op(*ended));
                let horizon = horizons.get(&node.tenant);
                if !horizon.is_some_and(|h| h.hides(node.began, ended)) {
                    visit(&node, report);
                }
            }
            // fsck has told of present rows already.
            Err(e) if tense == Tense::Past => report.problem(format!("in the past: {}", e.chain())),
            Err(_) => {}
        })?;
    }
    Ok(())
}
