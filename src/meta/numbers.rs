//! Numbers that are given out once and never again: of nodes, principals, keys, tuples, types and drafts.

use super::tenant::counter;
use crate::core::Result;
use crate::db::Tx;

/// The counter of all of them.
const COUNTER: &str = "id";
/// Tables with such numbers, and the columns.
const NUMBERED: [(&str, &str); 9] = [
    ("nodes", "ino"),
    ("nodes_past", "ino"),
    ("tuples", "id"),
    ("users", "id"),
    ("agents", "id"),
    ("groups", "id"),
    ("api_keys", "id"),
    ("object_types", "id"),
    ("drafts", "id"),
];
/// How far behind its counter a number may be for somebody to have lost the counter rather than the number.
const LOST_MAX: u64 = 1 << 40;

/// The first number that was not given out. A counter that is behind what there is does not count.
pub fn next(tx: &mut dyn Tx) -> Result<u64> {
    let counted = counter(tx, COUNTER)?;
    let behind = behind(tx)?.into_iter().map(|(_, number)| number + 1);
    let lost = behind.filter(|next| *next < counted.saturating_add(LOST_MAX));
    Ok(lost.fold(counted, u64::max))
}

/// What is wrong with the counter.
pub fn verify(tx: &mut dyn Tx) -> Result<Vec<String>> {
    let counted = counter(tx, COUNTER)?;
    let told = |(table, number)| {
        format!(
            "counter {COUNTER:?}, in table counters, is at {counted}, and there is row ({number}) of table {table}"
        )
    };
    Ok(behind(tx)?.into_iter().map(told).collect())
}

/// The highest number of each table that has one from the counter on.
fn behind(tx: &mut dyn Tx) -> Result<Vec<(&'static str, u64)>> {
    let counted = counter(tx, COUNTER)?;
    let mut behind = Vec::new();
    for (table, column) in NUMBERED {
        let sql = format!("SELECT COALESCE(MAX({column}), 0) FROM {table} WHERE {column} > 0");
        for row in tx.query(&sql, &[])? {
            let highest = row.uint(0)?;
            if highest > 0 && highest >= counted {
                behind.push((table, highest));
            }
        }
    }
    Ok(behind)
}
