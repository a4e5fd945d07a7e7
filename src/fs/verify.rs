//! verify: that log, tree and blobs agree, down to the last byte. Also what there is and what it takes (df), and
//! what nothing refers to any more (gc).

use super::check::{PAGE, Report, each_row};
use super::engine::Engine;
use super::lineage::Lineage;
use super::namespace::admin;
use super::receipt::verify_chain;
use crate::blob::Content;
use crate::core::{Caller, Result};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::tenant::Head;
use crate::meta::{node, tenant};
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

/// Blobs that nothing refers to: what a crash between bytes and transaction leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreferenced {
    pub blobs: u64,
    pub bytes: u64,
}

impl Engine {
    /// Proves log, tree and blobs, reading every byte past the caches; administrators only. `progress` hears how many
    /// contents are done.
    pub fn verify(&self, caller: &Caller, progress: &mut dyn FnMut(u64)) -> Result<Report> {
        let mut report = self.fsck(caller)?;
        let mut tx = self.store.read()?;
        let tenants = tenant::tenants(&mut *tx)?;
        for t in &tenants {
            verify_chain(&mut *tx, t, Head::default(), &mut report)?;
        }
        Lineage {
            tx: &mut *tx,
            tenants: &tenants,
            report: &mut report,
        }
        .verify()?;
        for blob in self.blobs.missized()? {
            report.problem(format!(
                "blob {blob}: its row says another size than it has"
            ));
        }
        let mut seen = HashSet::new();
        each_content(&mut *tx, &mut report, &mut |content, report| {
            report.checked += 1;
            progress(report.checked);
            for damage in self.blobs.check(content, &mut seen) {
                report.problem(damage.error.chain());
            }
        })?;
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

    /// Finds blobs that nothing refers to. With `remove`, takes them away; nobody changes anything meanwhile.
    pub fn gc(&self, caller: &Caller, remove: bool) -> Result<Unreferenced> {
        admin(caller)?;
        let _turn = self.turn.lock();
        let mut contents = Vec::new();
        let mut report = Report::default();
        each_content(&mut *self.store.read()?, &mut report, &mut |content, _| {
            contents.push(content.clone());
        })?;
        if let Some(problem) = report.problems.first() {
            let message = format!("the store is damaged, so nothing is removed: {problem}");
            return crate::core::error::fail(crate::core::Kind::Corrupt, message);
        }
        let live = self.blobs.live(&mut contents.into_iter())?;
        let garbage = self.blobs.unreferenced(&live)?;
        let found = Unreferenced {
            blobs: garbage.len() as u64,
            bytes: garbage.iter().map(|g| g.size).sum(),
        };
        if remove {
            let mut tx = self.store.begin()?;
            self.blobs.remove_rows(&mut *tx, &garbage)?;
            tx.commit()?;
            self.blobs.remove_files(&garbage)?;
        }
        Ok(found)
    }
}

/// Visits the content of every node, present and past.
fn each_content(
    tx: &mut dyn Tx,
    report: &mut Report,
    visit: &mut dyn FnMut(&Content, &mut Report),
) -> Result<()> {
    for tense in [Tense::Present, Tense::Past] {
        let page = |after: &(u64, u64)| node::page(tx, tense, *after, PAGE);
        each_row((0, 0), page, |row| match row {
            Ok(node) => visit(&node.content, report),
            // fsck has told of present rows already.
            Err(e) if tense == Tense::Past => report.problem(format!("in the past: {}", e.chain())),
            Err(_) => {}
        })?;
    }
    Ok(())
}
