//! Writing the log again after a sync of it failed.
//!
//! The kernel reports a lost write once and takes the pages for clean from then on: another sync would have nothing to
//! do and call that a success (fsync(2), "fsyncgate"). Only bytes that are written again will be synced. The cache still
//! has them, if it is true to itself: each frame is checked on the way (sqlite.org/fileformat2.html, section 4).

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::core::error::fail;
use crate::core::{Kind, Result};

const HEADER: usize = 32;
const FRAME: usize = 24;

/// Writes the header and the first `frames` frames back to where they are.
pub(super) fn rewrite(log: &File, frames: u64) -> Result<()> {
    if frames == 0 {
        return Ok(());
    }
    let mut header = [0; HEADER];
    log.read_exact_at(&mut header, 0)?;
    let mut sum = Sum {
        big_endian: word(&header, 0) & 1 == 1,
        state: (0, 0),
    };
    sum.add(&header[..24]);
    sum.check(&header[24..])?;
    log.write_all_at(&header, 0)?;
    let page = word(&header, 8) as usize;
    let mut frame = vec![0; FRAME + page];
    for n in 0..frames {
        let at = HEADER as u64 + n * frame.len() as u64;
        log.read_exact_at(&mut frame, at)?;
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME..]);
        sum.check(&frame[16..FRAME])?;
        log.write_all_at(&frame, at)?;
    }
    Ok(())
}

/// The checksum that runs through a log; in one, no frame can be missing or from an earlier use of the file.
struct Sum {
    big_endian: bool,
    state: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.state;
        for pair in bytes.chunks_exact(8) {
            let (first, second) = (word(pair, 0), word(pair, 4));
            let swapped = |n: u32| if self.big_endian { n } else { n.swap_bytes() };
            a = a.wrapping_add(swapped(first)).wrapping_add(b);
            b = b.wrapping_add(swapped(second)).wrapping_add(a);
        }
        self.state = (a, b);
    }

    fn check(&self, stored: &[u8]) -> Result<()> {
        if self.state == (word(stored, 0), word(stored, 4)) {
            return Ok(());
        }
        fail(
            Kind::Corrupt,
            "the database's log is not what was written to it: restart to recover",
        )
    }
}

/// A big-endian number, as the fields of a log are.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::fs::{self, OpenOptions};

    fn log_of_two_commits(dir: &std::path::Path) -> (Connection, File, u64) {
        let path = dir.join("test.db");
        let conn = Connection::open(&path).unwrap();
        let sql = "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1);";
        conn.execute_batch(sql).unwrap();
        let log = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join("test.db-wal"));
        let frames = conn
            .query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| {
                row.get::<_, i64>(1)
            })
            .unwrap();
        (conn, log.unwrap(), frames.cast_unsigned())
    }

    #[test]
    fn a_whole_log_is_written_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (_conn, log, frames) = log_of_two_commits(dir.path());
        let before = fs::read(dir.path().join("test.db-wal")).unwrap();
        assert!(frames >= 2);
        rewrite(&log, frames).unwrap();
        assert!(fs::read(dir.path().join("test.db-wal")).unwrap() == before);
    }

    #[test]
    fn a_log_that_lost_something_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (_conn, log, frames) = log_of_two_commits(dir.path());
        log.write_all_at(&[0xa5; 64], (HEADER + FRAME) as u64 + 512)
            .unwrap();
        assert_eq!(rewrite(&log, frames).unwrap_err().kind(), Kind::Corrupt);
    }
}
