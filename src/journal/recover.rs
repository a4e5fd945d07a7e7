//! Reading the journal after a crash.

use super::record::{ALIGN, Header, Lsn, parse, size};
use super::redo::Visit;
use crate::core::{Kind, Result, error::fail};

/// Visits the records after `applied`, in order; see [`super::Journal::recover`].
pub(super) fn scan(mut segments: [&[u8]; 2], applied: Lsn, visit: &mut Visit<'_>) -> Result<Lsn> {
    let first = |s: &[u8]| parse(s).map(|(h, _)| h.lsn);
    if first(segments[1]).is_some_and(|b| first(segments[0]).is_none_or(|a| b < a)) {
        segments.swap(0, 1);
    }
    let mut last = applied;
    let mut rest = [segments[0]; 2];
    for (segment, rest) in segments.iter().zip(&mut rest) {
        let Some(behind) = run(segment, &mut last, visit)? else {
            return Ok(last);
        };
        *rest = behind;
    }
    // Something newer that was written when `missing` was on disk already: that is damage, not a crash.
    let missing = last.next();
    let same_run =
        |h: &Header| h.lsn > missing && h.lsn < missing.next_run() && h.synced >= missing;
    for rest in rest {
        let found = (0..rest.len())
            .step_by(ALIGN)
            .any(|at| parse(&rest[at..]).is_some_and(|(h, _)| same_run(&h)));
        if found {
            return fail(
                Kind::Corrupt,
                format!(
                    "the journal is damaged: record {:#x} is gone, and later ones are not",
                    missing.0
                ),
            );
        }
    }
    Ok(last)
}

/// Visits the records of one segment that follow `last`; returns what is behind the last sound one, `None` when `visit` ended it.
fn run<'a>(mut bytes: &'a [u8], last: &mut Lsn, visit: &mut Visit<'_>) -> Result<Option<&'a [u8]>> {
    let mut before = None;
    while let Some((header, payload)) = parse(bytes) {
        if before.is_some_and(|b: Lsn| header.lsn != b.next()) {
            break;
        }
        if header.lsn == last.next() {
            if visit(header.lsn, payload)?.is_break() {
                return Ok(None);
            }
            *last = header.lsn;
        } else if header.lsn > *last {
            break;
        }
        before = Some(header.lsn);
        bytes = bytes.get(size(payload.len())..).unwrap_or_default();
    }
    Ok(Some(bytes))
}
