//! Which operations gave the grants that stand.

use super::effects::granted;
use crate::core::{Op, Result, TenantId};
use crate::db::Tx;
use crate::meta::OpKind;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::tuple::Tuple;
use std::collections::HashMap;

/// How many records one statement reads.
const PAGE: u32 = 1000;

/// The operation that gave each of some grants last, from `first` on, of those that count, by their numbers. The records say so: by its time a grant
/// may be older than what was done before it, for a clock is set back.
pub(super) fn granted_by(
    tx: &mut dyn Tx,
    tenant: TenantId,
    first: Op,
    of: &[Tuple],
    counts: impl Fn(Op) -> bool,
) -> Result<HashMap<u64, Op>> {
    let query = Query {
        kinds: vec![OpKind::Grant, OpKind::Undo, OpKind::Restore],
        first: Some(first),
        ..Query::default()
    };
    let mut found = HashMap::new();
    let mut from = Cursor::NEWEST;
    while of.iter().any(|tuple| !found.contains_key(&tuple.id)) {
        let records = page(tx, tenant, &query, from, PAGE)?;
        for (record, _) in records.iter().filter(|(record, _)| counts(record.op)) {
            for tuple in granted(record) {
                found.entry(tuple.id).or_insert(record.op);
            }
        }
        match records.last() {
            Some((last, _)) => from = from.moved(last.op),
            None => break,
        }
    }
    Ok(found)
}
