//! Whether the rows of tenants are what the logs tell: each log and each node has its tenant, and each tenant the name, the
//! root and the group that it was made with.

use super::check::Report;
use super::namespace::gid_of;
use super::principals::DEFAULT;
use crate::core::{Op, Result, TenantId, Time};
use crate::db::Tx;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::tenant::{self, born};
use crate::meta::{OpKind, Tenant, log};
use std::collections::BTreeMap;

/// Who makes the first tenant tells nobody of it.
const FIRST: TenantId = TenantId(1);

/// Holds every tenant there is against its log, and the one that tells of the others.
pub(super) fn verify_tenants(
    tx: &mut dyn Tx,
    tenants: &[Tenant],
    report: &mut Report,
) -> Result<()> {
    for id in tenant::logged(tx)? {
        if !tenants.iter().any(|t| t.id == id) {
            report.problem(format!(
                "tenant {}, in table tenants, is missing, and its log is there",
                id.0
            ));
        }
    }
    let names = told_names(tx)?;
    for of in tenants {
        for what in wrong_with(tx, of, &names)? {
            let (id, name) = (of.id.0, &of.name);
            report.problem(format!(
                "tenant {name}: {what}, in row ({id}) of table tenants"
            ));
        }
    }
    Ok(())
}

fn wrong_with(
    tx: &mut dyn Tx,
    of: &Tenant,
    names: &BTreeMap<u64, String>,
) -> Result<Vec<&'static str>> {
    let mut wrong = Vec::new();
    let given = match names.get(&u64::from(of.id.0)) {
        Some(name) if of.is_gone() => Some(tenant::buried_name(name, of.id)),
        Some(name) => Some(name.clone()),
        None if of.id == FIRST => Some(DEFAULT.to_owned()),
        // The record is of a version that told nobody.
        None => None,
    };
    if given.is_some_and(|name| name != of.name) {
        wrong.push("its name is another one than it was made with");
    }
    if of.gid != gid_of(of.id) {
        wrong.push("its group is another one than it was made with");
    }
    let (created, first) = (born(tx, of.id)?, log::at(tx, of.id, Op(1))?);
    // Where that is missing, the walk along the log says so.
    let Some((first, _)) = first.filter(|(first, _)| first.kind == OpKind::Init) else {
        return Ok(wrong);
    };
    if first.ino != of.root {
        wrong.push("its root is another one than operation 1 made");
    }
    if created.is_some_and(|at: Time| at != first.time) {
        wrong.push("it was not made when operation 1 made it");
    }
    Ok(wrong)
}

/// What tenants were called when they were made, as far as the first one's log tells.
fn told_names(tx: &mut dyn Tx) -> Result<BTreeMap<u64, String>> {
    let query = Query {
        kinds: vec![OpKind::TenantCreate],
        ..Query::default()
    };
    let mut names = BTreeMap::new();
    let mut at = Cursor::OLDEST;
    loop {
        let some = page(tx, FIRST, &query, at, super::check::PAGE)?;
        let Some((last, _)) = some.last() else {
            return Ok(names);
        };
        at = at.moved(last.op);
        for (record, _) in &some {
            let name = record.subject();
            let name = name.and_then(|s| Some(s.strip_prefix("tenant:")?.to_owned()));
            if let (Some(id), Some(name)) = (record.details()["tenant"].as_u64(), name) {
                names.insert(id, name);
            }
        }
    }
}
