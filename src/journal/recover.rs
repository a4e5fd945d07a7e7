//! Reading the journal after a crash.

use super::record::{ALIGN, Lsn, parse, size};
use super::redo::Visit;
use super::seal::Seal;
use crate::core::{Kind, Result, error::fail};

/// A sound record of the run that is recovered, and where it was found.
struct Found<'a> {
    lsn: Lsn,
    synced: Lsn,
    payload: &'a [u8],
    segment: usize,
    /// Its first byte.
    at: usize,
    /// The end of the sound record before it, which is `at` where nothing is damaged.
    after: usize,
}

/// Visits the records after `applied`, in order; see [`super::Journal::recover`]. `noted` is the newest that was on disk by what
/// was noted beside the segments.
pub(super) fn scan(
    segments: [&[u8]; 2],
    seal: Seal,
    (applied, noted): (Lsn, Lsn),
    visit: &mut Visit<'_>,
) -> Result<Lsn> {
    let mut found = Vec::new();
    for (segment, bytes) in segments.into_iter().enumerate() {
        look(segment, bytes, seal, &mut found);
    }
    let is_of_run = |lsn: Lsn| lsn > applied && lsn < applied.next_run();
    follow_from(applied, found.iter().map(|f| f.lsn).chain([noted]).max())?;
    found.retain(|f| is_of_run(f.lsn));
    found.sort_by_key(|f| f.lsn);
    let on_disk = found.iter().map(|f| f.synced);
    let on_disk = on_disk.chain([noted].into_iter().filter(|lsn| is_of_run(*lsn)));
    let on_disk = on_disk.max().unwrap_or(applied);
    let mut last = applied;
    // A mark has the number of the record that takes its place.
    for record in found.iter().filter(|f| !f.payload.is_empty()) {
        if record.lsn != last.next() {
            break;
        }
        if visit(record.lsn, record.payload, record.lsn <= on_disk)?.is_break() {
            return Ok(last);
        }
        last = record.lsn;
    }
    if last >= on_disk {
        return Ok(last);
    }
    // It was on disk when something newer was written: that is damage, not a crash.
    let (segment, at) = place(&found, last);
    let newer = found.iter().filter(|f| f.lsn > last.next());
    fail(
        Kind::Corrupt,
        format!(
            "the journal is damaged: segment {} at byte {at}: change {:#x} was on disk and cannot be read, nor can what was \
             made after it ({} changes). {}",
            super::NAMES[segment],
            last.next().0,
            newer.filter(|f| !f.payload.is_empty()).count(),
            super::CURE
        ),
    )
}

/// Fails where the journal has something of a later run than the database knows of: it has that on disk before the first
/// record of a run is written, so it is an older one, or has lost it.
fn follow_from(applied: Lsn, newest: Option<Lsn>) -> Result<()> {
    let Some(newest) = newest.filter(|newest| *newest >= applied.next_run()) else {
        return Ok(());
    };
    fail(
        Kind::Corrupt,
        format!(
            "counter \"applied\", in table counters, is at {}, and the journal has change {:#x}: the database is older than its \
             journal, or damaged. {}",
            applied.0,
            newest.0,
            super::CURE
        ),
    )
}

/// Finds every sound record of a segment.
fn look<'a>(segment: usize, bytes: &'a [u8], seal: Seal, found: &mut Vec<Found<'a>>) {
    let (mut at, mut after) = (0, 0);
    while at < bytes.len() {
        let Some((header, payload)) = parse(seal, &bytes[at..]) else {
            at += ALIGN;
            continue;
        };
        found.push(Found {
            lsn: header.lsn,
            synced: header.synced,
            payload,
            segment,
            at,
            after,
        });
        at += size(payload.len());
        after = at;
    }
}

/// Where the record after `last` should be: a segment and a byte of it.
fn place(found: &[Found<'_>], last: Lsn) -> (usize, usize) {
    let newer = found.iter().find(|f| f.lsn > last.next());
    match newer {
        Some(newer) if newer.at > 0 => (newer.segment, newer.after),
        // The first of its segment: the other one's end is damaged.
        _ => {
            let before = found.iter().find(|f| f.lsn == last);
            let end = before.map(|f| (f.segment, f.at + size(f.payload.len())));
            end.unwrap_or((1 - newer.map_or(1, |f| f.segment), 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::frame;
    use super::super::seal::PLAIN;
    use super::*;
    use crate::core::Error;
    use std::ops::ControlFlow;

    const SEAL: Seal = Seal(*b"12345678");
    /// The number before the run's first.
    const START: Lsn = Lsn(1 << 32);

    /// The `n`th of the run.
    fn nth(n: u64) -> Lsn {
        Lsn(START.0 + n)
    }

    fn put(out: &mut Vec<u8>, n: u64, synced: u64, payload: &[u8]) {
        frame(SEAL, nth(n), nth(synced), payload, out);
    }

    /// The numbers of the run that are found, and the last one's.
    fn recover(a: &[u8], b: &[u8], applied: u64) -> Result<(Vec<u64>, u64)> {
        let mut seen = vec![];
        let of = (nth(applied), Lsn(0));
        let last = scan([a, b], SEAL, of, &mut |lsn, _, _| {
            seen.push(lsn.0 - START.0);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((seen, last.0 - START.0))
    }

    fn names(e: &Error, segment: &str, at: usize) -> bool {
        let place = format!("segment {segment} at byte {at}:");
        e.kind() == Kind::Corrupt && e.message().contains(&place)
    }

    #[test]
    fn every_flipped_bit_of_what_was_on_disk_is_told_with_its_place() {
        let mut bytes = vec![];
        let mut starts = vec![];
        for n in 1..=4 {
            starts.push(bytes.len());
            put(&mut bytes, n, n - 1, &[7; 24]);
        }
        let mark = bytes.len();
        put(&mut bytes, 5, 4, b"");
        assert_eq!(recover(&bytes, &[], 0).unwrap(), (vec![1, 2, 3, 4], 4));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            for segment in [0, 1] {
                let [a, b] = [&bad[..], &[]].map(|s: &[u8]| s);
                let outcome = match segment {
                    0 => recover(a, b, 0),
                    _ => recover(b, a, 0),
                };
                if bit / 8 >= mark {
                    assert_eq!(outcome.unwrap().1, 4);
                    continue;
                }
                let hit = starts.iter().rfind(|start| **start <= bit / 8).unwrap();
                let e = outcome.unwrap_err();
                assert!(names(&e, ["a", "b"][segment], *hit), "bit {bit}: {e}");
            }
        }
    }

    #[test]
    fn damage_at_the_end_of_a_segment_is_told_from_the_other_one() {
        let (mut a, mut b) = (vec![], vec![]);
        put(&mut a, 1, 0, b"one");
        let second = a.len();
        put(&mut a, 2, 1, b"two");
        put(&mut b, 3, 2, b"three");
        assert_eq!(recover(&a, &b, 0).unwrap().1, 3);
        assert_eq!(recover(&b, &a, 0).unwrap().1, 3);
        a[second] ^= 1;
        assert!(names(&recover(&a, &b, 0).unwrap_err(), "a", second));
        assert!(names(&recover(&b, &a, 0).unwrap_err(), "b", second));
        // Nothing of the segment is left.
        assert!(names(&recover(&[], &b, 1).unwrap_err(), "a", 0));
    }

    #[test]
    fn damage_in_what_the_database_has_loses_nothing_behind_it() {
        let mut bytes = vec![];
        put(&mut bytes, 1, 0, b"one");
        put(&mut bytes, 2, 0, b"two");
        put(&mut bytes, 3, 0, b"three");
        bytes[33] ^= 1;
        assert_eq!(recover(&bytes, &[], 1).unwrap(), (vec![2, 3], 3));
    }

    #[test]
    fn what_was_not_on_disk_may_be_torn_and_ends_the_run() {
        let mut bytes = vec![];
        put(&mut bytes, 1, 0, b"one");
        let second = bytes.len();
        put(&mut bytes, 2, 1, b"two");
        put(&mut bytes, 3, 1, b"three");
        bytes[second + 33] ^= 1;
        assert_eq!(recover(&bytes, &[], 0).unwrap(), (vec![1], 1));
    }

    #[test]
    fn a_visitor_hears_what_was_on_disk_and_may_end_it() {
        let mut bytes = vec![];
        put(&mut bytes, 1, 0, b"one");
        put(&mut bytes, 2, 0, b"two");
        put(&mut bytes, 3, 1, b"three");
        let mut on_disk = vec![];
        let of = (START, Lsn(0));
        let last = scan([&bytes, &[]], SEAL, of, &mut |lsn, _, known| {
            on_disk.push(known);
            Ok(if lsn == nth(2) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        });
        assert_eq!(last.unwrap(), nth(1));
        assert_eq!(on_disk, [true, false]);
    }

    /// A user's file is in the journal as he wrote it.
    #[test]
    fn nobody_writes_records_into_his_files() {
        let mut forged = vec![];
        for n in 2..100 {
            frame(PLAIN, nth(n), nth(n), b"not a change", &mut forged);
        }
        let mut bytes = vec![];
        put(&mut bytes, 1, 0, b"one");
        let second = bytes.len();
        put(&mut bytes, 2, 0, &forged);
        bytes[second] ^= 1;
        assert_eq!(recover(&bytes, &[], 0).unwrap(), (vec![1], 1));
        // With the seal he could.
        for at in (0..forged.len()).step_by(size(12)) {
            let of = second + 32 + at;
            bytes[of..of + 4].copy_from_slice(&SEAL.0[..4]);
            bytes[of + 28..of + 32].copy_from_slice(&SEAL.0[4..]);
        }
        assert_eq!(recover(&bytes, &[], 0).unwrap().1, 99);
    }
}
