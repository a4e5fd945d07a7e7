//! Receipts: what the log was at some moment, to be kept elsewhere and held against it later.
//!
//! The chain of hashes proves that the log was not changed in its midst, but not that it still ends where it ended: whoever can write to
//! the database can cut the end off, or write another one that chains as well. A receipt that he has not got in his hands shows it.

use super::check::{PAGE, Report};
use super::engine::Engine;
use super::horizon::verify_horizon;
use super::namespace::admin;
use crate::core::{Caller, Hash, Kind, Op, Result, TenantId, Time, error::fail};
use crate::db::Tx;
use crate::meta::tenant::{Head, buried_name};
use crate::meta::{Record, Tenant, horizon, log, tenant};
use std::collections::BTreeSet;

/// The newest operation of a tenant, as it was once. Its hash is over it and all before it, and over the sum of the
/// tree's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The tenant's name.
    pub tenant: String,
    /// The tenant's number, which no other has after it; receipts of earlier versions have none.
    pub id: Option<TenantId>,
    pub op: Op,
    pub time: Time,
    pub hash: Hash,
    /// The sum over the tenant's present rows after the operation.
    pub state: i64,
}

impl Engine {
    /// The newest operation of the caller's tenant. A power cut does not take it any more.
    pub fn receipt(&self, caller: &Caller) -> Result<Receipt> {
        let none = || caller.stranger(Kind::NotFound);
        let id = caller.tenant.ok_or_else(none)?;
        let tenant = self.home(id)?.tenant.name.clone();
        let mut tx = self.store.read()?;
        let head = tenant::head(&mut *tx, id)?;
        let (record, _) = log::at(&mut *tx, id, head.op)?.ok_or_else(none)?;
        drop(tx);
        self.sync()?;
        Ok(Receipt {
            tenant,
            id: Some(id),
            op: head.op,
            time: record.time,
            hash: head.hash,
            state: head.state,
        })
    }

    /// Checks that the log still has the operations of receipts, that what was done up to them and since follows one from the other,
    /// and that the tree is what the log left; administrators only. Reads no contents.
    pub fn verify_receipts(&self, caller: &Caller, receipts: &[Receipt]) -> Result<Report> {
        admin(caller)?;
        let mut report = self.fsck(caller)?;
        let mut tx = self.store.read()?;
        let tenants = tenant::tenants(&mut *tx)?;
        let horizons = report.note(horizon::all(&mut *tx)).unwrap_or_default();
        let mut held = BTreeSet::new();
        for receipt in receipts {
            match whose(&mut *tx, &tenants, receipt) {
                Ok(of) => {
                    verify_receipt(&mut *tx, of, receipt, &mut report)?;
                    held.insert(of.id);
                }
                Err(e) => report.problem(e.chain()),
            }
        }
        // A receipt proves the hash that its operation has, and only the walk from the first one that the rows before it have theirs.
        for of in tenants.iter().filter(|t| held.contains(&t.id)) {
            verify_chain(
                &mut *tx,
                of,
                Head::default(),
                &mut report,
                &mut |_, _, _| {},
            )?;
            verify_horizon(&mut *tx, of, horizons.get(&of.id), &mut report);
        }
        Ok(report)
    }
}

/// The tenant that a receipt is of. Fails with `NotFound` where there is none, or it was deleted, whoever has its name now.
fn whose<'a>(tx: &mut dyn Tx, tenants: &'a [Tenant], receipt: &Receipt) -> Result<&'a Tenant> {
    let (name, op) = (&receipt.tenant, receipt.op);
    let named = tenants.iter().find(|t| t.name == *name);
    let found = match receipt.id {
        Some(id) => tenants.iter().find(|t| t.id == id),
        // Of an earlier version, of those that had the name.
        None => match buried(tx, tenants, receipt)? {
            Some(gone) => Some(gone),
            None => named,
        },
    };
    let Some(of) = found else {
        let number = receipt
            .id
            .map_or_else(String::new, |id| format!(" (number {})", id.0));
        return fail(
            Kind::NotFound,
            format!("receipt of operation {op}: there is no tenant {name}{number}"),
        );
    };
    if !of.is_gone() {
        return Ok(of);
    }
    let now = named.map_or_else(String::new, |now| {
        format!(
            "; who has the name now is another tenant (number {})",
            now.id.0
        )
    });
    fail(
        Kind::NotFound,
        format!(
            "receipt of operation {op}: tenant {name} (number {}) was deleted, and its log ends with that{now}",
            of.id.0
        ),
    )
}

/// The deleted tenant of a receipt's name whose log has its operation.
fn buried<'a>(
    tx: &mut dyn Tx,
    tenants: &'a [Tenant],
    receipt: &Receipt,
) -> Result<Option<&'a Tenant>> {
    for gone in tenants
        .iter()
        .filter(|t| t.name == buried_name(&receipt.tenant, t.id))
    {
        let found = log::at(tx, gone.id, receipt.op)?;
        if found.is_some_and(|(_, hash)| hash == receipt.hash) {
            return Ok(Some(gone));
        }
    }
    Ok(None)
}

fn verify_receipt(
    tx: &mut dyn Tx,
    of: &Tenant,
    receipt: &Receipt,
    report: &mut Report,
) -> Result<()> {
    let (name, op) = (&of.name, receipt.op);
    let head = tenant::head(tx, of.id)?;
    if head.op < op {
        let first = head.op.0 + 1;
        report.problem(format!(
            "tenant {name}: operations {first} to {op} were cut off, and what came behind them"
        ));
        return Ok(());
    }
    let Some(found) = report.note(log::at(tx, of.id, op)) else {
        return Ok(());
    };
    let Some((_, hash)) = found else {
        report.problem(format!("tenant {name}: operation {op} is missing"));
        return Ok(());
    };
    if hash != receipt.hash {
        report.problem(format!(
            "tenant {name}: operation {op} is not the one of the receipt: it was rewritten, or one before it"
        ));
    }
    Ok(())
}

/// Walks the chain of hashes from behind an operation to the head. Whether nothing was wrong with it.
pub(super) fn verify_chain(
    tx: &mut dyn Tx,
    of: &Tenant,
    mut at: Head,
    report: &mut Report,
    each: &mut dyn FnMut(&mut dyn Tx, &Record, &mut Report),
) -> Result<bool> {
    let mut whole = true;
    let (name, head) = (&of.name, tenant::head(tx, of.id)?);
    loop {
        let Some(page) = report.note(log::after(tx, of.id, at.op, PAGE)) else {
            return Ok(false);
        };
        if page.is_empty() {
            break;
        }
        for (record, hash) in page {
            report.checked += 1;
            if record.op.0 != at.op.0 + 1 {
                report.problem(format!(
                    "tenant {name}: operations {} to {} are missing",
                    at.op.0 + 1,
                    record.op.0 - 1
                ));
                whole = false;
            } else if record.chain(&at.hash) != hash {
                report.problem(format!(
                    "tenant {name}: operation {} was altered, or the one before it",
                    record.op
                ));
                whole = false;
            }
            each(tx, &record, report);
            at = Head {
                op: record.op,
                hash,
                state: record.state,
            };
        }
    }
    if at != head {
        report.problem(format!(
            "tenant {name}: the log ends at operation {}, its head is {}",
            at.op, head.op
        ));
        whole = false;
    }
    Ok(whole)
}
