//! verify: that log, tree and blobs agree, down to the last byte. Also what there is and what it takes (df), and
//! what nothing refers to any more (gc).

use super::check::{PAGE, Report, each_row};
use super::engine::Engine;
use super::namespace::admin;
use crate::blob::Content;
use crate::core::{Caller, Hash, Op, Result};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::{Tenant, log, node, tenant};
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
        for t in tenant::tenants(&mut *tx)? {
            verify_log(&mut *tx, &t, &mut report)?;
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

/// Walks the chain of hashes from the first record to the head.
fn verify_log(tx: &mut dyn Tx, t: &Tenant, report: &mut Report) -> Result<()> {
    let head = tenant::head(tx, t.id)?;
    let (mut op, mut hash, mut state) = (Op(0), Hash([0; 32]), 0);
    loop {
        let Some(page) = report.note(log::after(tx, t.id, op, PAGE)) else {
            return Ok(());
        };
        if page.is_empty() {
            break;
        }
        for (record, stored) in page {
            report.checked += 1;
            if record.op.0 != op.0 + 1 {
                report.problem(format!(
                    "tenant {}: operations {} to {} are missing",
                    t.name,
                    op.0 + 1,
                    record.op.0 - 1
                ));
            } else if record.chain(&hash) != stored {
                report.problem(format!(
                    "tenant {}: operation {} was altered, or the one before it",
                    t.name, record.op
                ));
            }
            (op, hash, state) = (record.op, stored, record.state);
        }
    }
    if (op, hash, state) != (head.op, head.hash, head.state) {
        report.problem(format!(
            "tenant {}: the log ends at operation {op}, its head is {}",
            t.name, head.op
        ));
    }
    Ok(())
}
