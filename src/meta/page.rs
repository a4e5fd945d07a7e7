//! Pages of rows for checks: the key of each, and the row or what is wrong with it.

use crate::core::Result;
use crate::db::{Row, Tx};

pub type Page<K, T> = Vec<(K, Result<T>)>;

/// The key of a row of the past that has a name: its node or directory, the name, and the operation that ended it.
pub type PastKey = (u64, Vec<u8>, u64);

/// Says of a row that cannot be read which one it is: its table, and the first `keys` of its columns.
pub(super) fn naming<T>((table, keys): (&str, usize), row: &Row, read: Result<T>) -> Result<T> {
    read.map_err(|e| e.context(row.name_in(table, keys)))
}

/// Reads a page of a table with `sql`, which takes the parts of the key and a limit, and has the key's first two parts in its
/// first columns and the last in the column `ended`.
pub(super) fn of_past<T>(
    tx: &mut dyn Tx,
    (table, sql, ended): (&str, &str, usize),
    after: &PastKey,
    limit: u32,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Page<PastKey, T>> {
    let (first, name, last) = after;
    let rows = tx.query(
        sql,
        &[
            (*first).into(),
            name.as_slice().into(),
            (*last).into(),
            limit.into(),
        ],
    )?;
    rows.iter()
        .map(|row| {
            let of = (table, 2);
            let key = || Ok((row.uint(0)?, row.bytes(1)?.to_vec(), row.uint(ended)?));
            Ok((naming(of, row, key())?, naming(of, row, read(row))))
        })
        .collect()
}
