//! What is on disk, noted in a file beside the segments: whoever cuts one cuts the mark at its end, too.

use super::record::{HEADER, Lsn, parse};
use super::seal::Seal;
use crate::core::Result;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file `synced`: one mark, written over and over, and never waited for.
#[derive(Debug)]
pub(super) struct Notes {
    file: File,
}

impl Notes {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(dir.join("synced"))?;
        Ok(Self { file })
    }

    pub(super) fn write(&self, mark: &[u8]) {
        if let Err(e) = self.file.write_all_at(mark, 0) {
            tracing::debug!("a note beside the journal is not written: {e}");
        }
    }

    /// The newest record that was on disk when something was noted last; 0 where nothing is, or nothing that can be read.
    pub(super) fn read(&self, seal: Seal) -> Lsn {
        let mut mark = [0; HEADER];
        match self.file.read_exact_at(&mut mark, 0) {
            Ok(()) => parse(seal, &mark).map_or(Lsn(0), |(header, _)| header.synced),
            Err(_) => Lsn(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Journal;
    use super::*;
    use crate::core::Kind;
    use std::fs;
    use std::ops::ControlFlow;

    /// What a journal recovers to behind `applied`: how many records, and whether it was cut; or why it does not.
    fn recovered(dir: &Path, applied: Lsn) -> Result<(usize, bool)> {
        let journal = Journal::open(dir)?;
        let mut found = 0;
        journal.recover(applied, &mut |_, _, _| {
            found += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, journal.was_cut()))
    }

    /// A journal with three records, two of them synced; the number before them.
    fn synced(dir: &Path) -> Lsn {
        let journal = Journal::open(dir).unwrap();
        let start = Lsn(1 << 32);
        journal.restart(start).unwrap();
        for n in 0..3 {
            if n == 2 {
                journal
                    .sync(|| Ok(()), || panic!("no sync has failed"))
                    .unwrap();
            }
            journal.append(b"a change").unwrap().unwrap();
        }
        start
    }

    #[test]
    fn a_segment_that_is_cut_before_what_was_synced_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let start = synced(dir.path());
        let segment = dir.path().join("a");
        let whole = fs::read(&segment).unwrap();
        assert_eq!(recovered(dir.path(), start).unwrap(), (3, false));
        for (records, applied) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            fs::write(&segment, &whole[..records * 40]).unwrap();
            let e = recovered(dir.path(), Lsn(start.0 + applied)).unwrap_err();
            assert_eq!(e.kind(), Kind::Corrupt);
            let missing = start.0 + 1 + (records as u64).max(applied);
            let told = e
                .message()
                .contains(&format!("change {missing:#x} was on disk"));
            assert!(told, "{e}");
        }
        // The database has what was synced.
        for len in [0, 40, 80, 90] {
            fs::write(&segment, &whole[..len]).unwrap();
            let kept = recovered(dir.path(), Lsn(start.0 + 2)).unwrap();
            assert_eq!(kept, (0, false));
        }
        fs::remove_file(&segment).unwrap();
        assert!(recovered(dir.path(), start).is_err());
        assert_eq!(recovered(dir.path(), Lsn(start.0 + 2)).unwrap(), (0, false));
    }

    #[test]
    fn a_journal_that_is_gone_with_its_notes_was_cut_unless_its_store_was_closed() {
        let dir = tempfile::tempdir().unwrap();
        let start = synced(dir.path());
        for (applied, was_cut) in [(start.0 + 1, true), (start.0, false), (0, false)] {
            fs::remove_dir_all(dir.path()).unwrap();
            let found = recovered(dir.path(), Lsn(applied)).unwrap();
            assert_eq!(found, (0, was_cut));
        }
    }

    #[test]
    fn a_database_that_is_older_than_its_journal_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let start = synced(dir.path());
        let e = recovered(dir.path(), Lsn(start.0 - 1)).unwrap_err();
        assert!(e.message().contains("older than its journal"), "{e}");
    }
}
