//! Reading while the database takes no more, because its disk is full: what waits is applied for the reader alone, in a
//! transaction that never ends in a commit.
//!
//! Such readers come one after the other, each in the place of the one writer; nothing else is applied meanwhile. A reader that
//! asks for another read before his ends waits for a moment and is told that the disk is full.

use super::apply::apply;
use super::store::Shared;
use crate::core::{Error, Kind, Result, error::fail};
use crate::db::{Param, Row, Tx};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// How long a reader waits for the one before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether somebody reads so.
#[derive(Default)]
pub(super) struct Turn {
    is_taken: Mutex<bool>,
    left: Condvar,
}

impl Turn {
    /// Waits for the turn; fails with `full` where another reader keeps it.
    fn take(&self, full: Error) -> Result<Taken<'_>> {
        let mut is_taken = self.is_taken.lock();
        while *is_taken {
            if self.left.wait_for(&mut is_taken, PATIENCE).timed_out() && *is_taken {
                return Err(full);
            }
        }
        *is_taken = true;
        Ok(Taken(self))
    }

    pub(super) fn is_taken(&self) -> bool {
        *self.is_taken.lock()
    }
}

struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.is_taken.lock() = false;
        self.0.left.notify_one();
    }
}

impl Shared {
    /// A read that sees what waits, though the database does not take it. Whoever applies has gone before it, or finds the turn
    /// taken: nobody who holds something waits for this reader.
    pub(super) fn read_ahead(&self, full: Error) -> Result<Box<dyn Tx + '_>> {
        let turn = self.ahead.take(full)?;
        let _one = self.applying.lock();
        let waiting = self.pending.read().oldest(usize::MAX);
        let mut tx = self.db.begin()?;
        let edits = waiting.iter().flat_map(|(_, edits)| &edits.list);
        apply(&mut *tx, edits).map_err(|e| self.told(e))?;
        Ok(Box::new(Ahead { tx, _turn: turn }))
    }

    /// A full disk by the name under which whoever is told can find it.
    pub(super) fn told(&self, e: Error) -> Error {
        match e.kind() {
            Kind::NoSpace => self.full().caused_by(e),
            _ => e,
        }
    }

    /// How many bytes the database needs to take what waits: it writes pages, of which a row changes a part, and keeps the former
    /// ones for a while. Never less than a few MiB.
    fn missing(&self) -> usize {
        (self.pending.read().weight() * 2).next_multiple_of(1 << 20) + (4 << 20)
    }

    pub(super) fn full(&self) -> Error {
        let message = format!(
            "no space left on device on {}: free {} MiB or more there, outside of Nexus, or run `nexusctl gc`, for which some room is kept as \
             long as there is a file `reserve`",
            self.dir.display(),
            self.missing() >> 20
        );
        Error::new(Kind::NoSpace, message)
    }
}

/// The read. What it sees goes with it, before the turn does.
struct Ahead<'a> {
    tx: Box<dyn Tx + 'a>,
    _turn: Taken<'a>,
}

impl Tx for Ahead<'_> {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.tx.query(sql, params)
    }

    fn execute(&mut self, _: &str, _: &[Param<'_>]) -> Result<u64> {
        fail(Kind::NoSpace, "the disk is full, and this is read only")
    }

    fn commit(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Blobs;
    use crate::core::Config;
    use crate::db::{Counters, Db, Sqlite};
    use crate::meta::{Edit, Edits, Store, tenant};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A database on a disk that can be full: then nothing is committed.
    struct Filling {
        db: Sqlite,
        is_full: AtomicBool,
    }

    struct Change<'a> {
        tx: Box<dyn Tx + 'a>,
        of: &'a Filling,
    }

    impl Tx for Change<'_> {
        fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
            self.tx.query(sql, params)
        }

        fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
            self.tx.execute(sql, params)
        }

        fn commit(self: Box<Self>) -> Result<()> {
            if self.of.is_full.load(Ordering::Acquire) {
                return fail(Kind::NoSpace, "database cannot commit");
            }
            self.tx.commit()
        }
    }

    impl Db for Filling {
        fn read(&self) -> Result<Box<dyn Tx + '_>> {
            self.db.read()
        }

        fn glance(&self) -> Result<Box<dyn Tx + '_>> {
            self.db.glance()
        }

        fn begin(&self) -> Result<Box<dyn Tx + '_>> {
            let tx = self.db.begin()?;
            Ok(Box::new(Change { tx, of: self }))
        }

        fn sync(&self) -> Result<()> {
            self.db.sync()
        }

        fn migrate(&self) -> Result<()> {
            self.db.migrate()
        }

        fn counters(&self) -> Counters {
            self.db.counters()
        }
    }

    #[test]
    fn on_a_full_disk_what_waits_is_read_and_what_cannot_be_is_told_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        let db = Arc::new(Filling {
            db: Sqlite::open(&config.database()).unwrap(),
            is_full: AtomicBool::new(false),
        });
        db.migrate().unwrap();
        let blobs = Arc::new(Blobs::open(&config, db.clone()).unwrap());
        let store = Store::open(db.clone(), blobs, &config.journal()).unwrap();
        db.is_full.store(true, Ordering::Release);
        store.commit(Edits::from_iter([Edit::Ids(8192)])).unwrap();
        let stored = |tx: &mut dyn Tx| tenant::counter(tx, "id").unwrap();
        let before = stored(&mut *db.read().unwrap());
        assert_ne!(before, 8192);
        for _ in 0..2 {
            let mut read = store.read().unwrap();
            assert_eq!(stored(&mut *read), 8192);
            read.execute("DELETE FROM tenants", &[]).unwrap_err();
            // Nobody waits for ever for his own turn.
            let again = store.read().map(drop).unwrap_err();
            assert_eq!(again.kind(), Kind::NoSpace);
            read.commit().unwrap();
        }
        let told = store.settle().unwrap_err();
        let place = format!("no space left on device on {}", dir.path().display());
        assert_eq!(told.kind(), Kind::NoSpace);
        assert!(told.message().starts_with(&place), "{told}");
        assert!(told.message().contains(": free 5 MiB"), "{told}");
        assert_eq!(stored(&mut *db.read().unwrap()), before);
        db.is_full.store(false, Ordering::Release);
        store.settle().unwrap();
        assert_eq!(stored(&mut *db.read().unwrap()), 8192);
    }
}
