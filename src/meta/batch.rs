//! Asking about many nodes: one statement for some hundred of them.

use crate::core::{Ino, Result};
use crate::db::{Param, Row, Tx};

/// How many nodes a statement asks about: few lengths, so that few statements are prepared.
const SIZES: [usize; 4] = [1, 16, 64, 256];
/// No node has it: it fills a statement up.
const NOBODY: Ino = Ino(0);

/// Runs the statement that `sql` makes of placeholders for nodes, with the parameters `before` them, for each of `of` once,
/// and gives each row to `take`.
pub(super) fn ask(
    tx: &mut dyn Tx,
    before: &[Param<'_>],
    of: &[Ino],
    sql: impl Fn(&[String]) -> String,
    take: impl FnMut(&mut Row) -> Result<()>,
) -> Result<()> {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.dedup();
    let of: Vec<_> = of.into_iter().map(Param::from).collect();
    ask_each(tx, before, (&of, NOBODY.into()), sql, take)
}

/// The same of any values, with one that fills a statement up and answers nothing more.
pub(super) fn ask_each(
    tx: &mut dyn Tx,
    before: &[Param<'_>],
    (of, nobody): (&[Param<'_>], Param<'_>),
    sql: impl Fn(&[String]) -> String,
    mut take: impl FnMut(&mut Row) -> Result<()>,
) -> Result<()> {
    for some in of.chunks(SIZES[SIZES.len() - 1]) {
        let fits = SIZES.iter().find(|size| **size >= some.len());
        let size = *fits.unwrap_or(&some.len());
        let filled = some.iter().copied().chain(std::iter::repeat(nobody));
        let params: Vec<_> = before.iter().copied().chain(filled.take(size)).collect();
        let places: Vec<_> = (0..size)
            .map(|i| format!("${}", before.len() + 1 + i))
            .collect();
        for mut row in tx.query(&sql(&places), &params)? {
            take(&mut row)?;
        }
    }
    Ok(())
}

/// A table of one column, `asked (ino)`, that has the nodes: for statements that look for one row of each.
pub(super) fn table(places: &[String]) -> String {
    let rows: Vec<_> = places
        .iter()
        .map(|place| format!("(CAST({place} AS BIGINT))"))
        .collect();
    format!("WITH asked (ino) AS (VALUES {})", rows.join(","))
}
