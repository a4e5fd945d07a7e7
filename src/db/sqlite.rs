//! SQLite: one file, one writer, a few readers, all in write-ahead mode.
//!
//! A commit writes to the log beside the file (`-wal`) without waiting for the disk: it survives the death of the
//! process. [`Db::sync`] makes it survive a power cut, once for all who wait.

mod damage;
mod readers;
mod tx;
mod wal;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

#[cfg(test)]
pub(crate) use self::readers::READERS_MAX;
use self::readers::Readers;
use self::tx::SqliteTx;
use super::counters::Tally;
use super::group_sync::{GroupSync, Past};
use super::owner;
use super::{Counters, Db, Tx, migrate};
use crate::core::error::fail;
use crate::core::{Error, Kind, Result};

const STATEMENTS_CACHED: usize = 256;

/// 4 KiB pages keep a small change small in the log; a 64 KiB blob is a chain of 16. [`Sqlite::tend`] checkpoints beside
/// the writer. Only when that does not keep up, after 64 MiB of log, the writer waits for one itself; the log file
/// shrinks back to that after a burst.
const WRITER: &str =
    "PRAGMA page_size = 4096; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;
    PRAGMA mmap_size = 0; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 16000;
    PRAGMA journal_size_limit = 67108864;";
/// A checkpoint syncs the log before it writes to the file, and the file after that.
const KEEPER: &str =
    "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024;";
/// Transactions after which a checkpoint is worth its two syncs; one has many changes in it.
const CHECKPOINT_AFTER: u64 = 50;
/// How much of what is wrong with a file one error says.
const DAMAGE_TOLD: usize = 8;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection that moves the log into the file, and how many changes there were when it last did.
struct Keeper {
    conn: Connection,
    done: u64,
}

/// A database in one file.
pub struct Sqlite {
    writer: Mutex<Connection>,
    readers: Readers,
    keeper: Mutex<Keeper>,
    /// Opened for [`Db::sync`] alone. Never open the main file or `-shm` here: closing any descriptor of a file drops
    /// all of the process's POSIX locks on it (fcntl(2)), SQLite's included. `-wal` carries no locks.
    wal: File,
    group: GroupSync,
    tally: Tally,
}

impl Sqlite {
    /// Opens the file, making it when there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |e: Error| e.context(format_args!("database {}", path.display()));
        Self::open_file(path).map_err(|e| match e.kind() {
            // It reads nothing else to open it.
            Kind::Corrupt => named(e.context("the head of the file or its schema is damaged")),
            _ => named(e),
        })
    }

    fn open_file(path: &Path) -> Result<Self> {
        match owner::make_file(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e.into()),
            _ => {}
        }
        let writer = connect(path, WRITER)?;
        let mode: String = writer
            .query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))
            .map_err(|e| failure("open", e))?;
        if mode != "wal" {
            return fail(
                Kind::Unsupported,
                format!("no write-ahead log here (mode {mode})"),
            );
        }
        // The first read makes the `-wal` file. It stays the same file while the writer is open.
        writer
            .query_row("SELECT COUNT(*) FROM sqlite_master", (), |_| Ok(()))
            .map_err(|e| failure("open", e))?;
        let path = path.canonicalize()?;
        let mut wal = OsString::from(&path);
        wal.push("-wal");
        let wal = OpenOptions::new().read(true).write(true).open(wal)?;
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(Self {
            writer: Mutex::new(writer),
            keeper: Mutex::new(Keeper {
                conn: connect(&path, KEEPER)?,
                done: 0,
            }),
            readers: Readers::new(path),
            wal,
            group: GroupSync::default(),
            tally: Tally::default(),
        })
    }

    /// Reads the whole file and names what is wrong with it, and where; empty when nothing is.
    pub fn integrity_check(&self) -> Result<Vec<String>> {
        let reader = self.readers.take()?;
        damage::find(&reader)
    }

    /// Says of an error that damage to the file may have caused where that is.
    pub fn locate(&self, e: Error) -> Error {
        if !matches!(e.kind(), Kind::Corrupt | Kind::Io) {
            return e;
        }
        let found = self.integrity_check();
        let mut found = found.unwrap_or_else(|e| vec![e.chain()]);
        found.truncate(DAMAGE_TOLD);
        if found.is_empty() {
            return e;
        }
        e.context(found.join("; "))
    }

    /// Moves what it can from the log into the file, without making the writer or readers wait, once enough has gathered.
    /// Called every second or so: what is moved here the writer need not move, and what a crash leaves to recover is less.
    pub fn tend(&self) -> Result<()> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.tally.now().changes;
        if changes - keeper.done < CHECKPOINT_AFTER {
            return Ok(());
        }
        // Ours first: it knows whether an earlier sync of the log failed, and a checkpoint must not build on that.
        self.sync()?;
        let moved = keeper
            .conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        moved
            .inspect_err(|_| self.group.distrust())
            .map_err(|e| failure("checkpoint", e))?;
        keeper.done = changes;
        Ok(())
    }

    /// Moves everything from the log into the file and empties the log: the file alone is then the database.
    pub fn checkpoint(&self) -> Result<()> {
        // One checkpoint at a time: the second would be told that the database is busy.
        let _keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = self.lock();
        let busy: bool = writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
            .map_err(|e| failure("checkpoint", e))?;
        if busy {
            return fail(
                Kind::Unavailable,
                "cannot checkpoint the database: it is being read",
            );
        }
        Ok(())
    }

    fn sync_log(&self, past: Past) -> Result<()> {
        self.tally.sync();
        if past == Past::Failed {
            // Nobody adds frames meanwhile.
            let writer = self.lock();
            let frames: i64 = writer
                .query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1))
                .map_err(|e| failure("measure its log", e))?;
            wal::rewrite(&self.wal, u64::try_from(frames).unwrap_or(0))?;
        }
        Ok(self.wal.sync_data()?)
    }

    /// A thread that panicked with the writer in hand has rolled back on its way out.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Db for Sqlite {
    fn read(&self) -> Result<Box<dyn Tx + '_>> {
        self.tally.read();
        Ok(Box::new(SqliteTx::start(
            self.readers.take()?,
            "BEGIN DEFERRED",
            &self.tally,
        )?))
    }

    fn glance(&self) -> Result<Box<dyn Tx + '_>> {
        self.tally.read();
        // Busy also when this very thread is in the midst of a change.
        Ok(match self.writer.try_lock() {
            Ok(writer) => Box::new(SqliteTx::single(writer, &self.tally)),
            Err(_) => Box::new(SqliteTx::single(self.readers.take()?, &self.tally)),
        })
    }

    fn begin(&self) -> Result<Box<dyn Tx + '_>> {
        self.tally.change();
        Ok(Box::new(SqliteTx::start(
            self.lock(),
            "BEGIN IMMEDIATE",
            &self.tally,
        )?))
    }

    /// Syncs the log file only, and that is enough: recovery reads the log's frames, each checksummed and salted, up to
    /// the last whole commit. A frame leaves the log only by a checkpoint, which syncs the log before it writes to the
    /// main file, and the main file before the log is written over (synchronous=NORMAL, sqlite.org/wal.html).
    fn sync(&self) -> Result<()> {
        let ticket = self.group.ticket();
        self.group
            .wait(ticket, |past| self.sync_log(past))
            .map_err(|e| e.context("cannot sync the database"))
    }

    fn migrate(&self) -> Result<()> {
        migrate::migrate_sqlite(&mut self.lock())
    }

    fn counters(&self) -> Counters {
        self.tally.now()
    }
}

fn connect(path: &Path, settings: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch(settings)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        Ok(conn)
    };
    open().map_err(|e| failure("open", e))
}

pub(super) fn failure(what: &str, e: rusqlite::Error) -> Error {
    Error::new(kind_of(&e), format!("database cannot {what}")).caused_by(e)
}

/// What the caller can do about it.
pub(super) fn kind_of(e: &rusqlite::Error) -> Kind {
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::NoSpace,
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => Kind::Unavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
        Some(ErrorCode::ReadOnly) => Kind::ReadOnly,
        Some(ErrorCode::ConstraintViolation) => Kind::Conflict,
        Some(ErrorCode::TooBig) => Kind::TooLarge,
        // The disk below failed, or the statement is wrong: nothing the caller can do.
        _ => Kind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, Sqlite) {
        let dir = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&dir.path().join("test.db")).unwrap();
        db.migrate().unwrap();
        (dir, db)
    }

    fn put(db: &Sqlite, hash: &[u8], data: &[u8]) -> Result<()> {
        let mut tx = db.begin()?;
        let size = data.len() as u64;
        tx.execute(
            "INSERT INTO blobs (hash, size, data) VALUES ($1, $2, $3)",
            &[hash.into(), size.into(), data.into()],
        )?;
        tx.commit()
    }

    #[test]
    fn a_full_disk_is_no_space_and_the_next_change_works() {
        let (_dir, db) = fresh();
        let pages: i64 = db
            .lock()
            .query_row("PRAGMA page_count", (), |row| row.get(0))
            .unwrap();
        let limit = |n: i64| {
            db.lock()
                .query_row(&format!("PRAGMA max_page_count = {n}"), (), |row| {
                    row.get::<_, i64>(0)
                })
                .unwrap()
        };
        limit(pages);
        assert_eq!(
            put(&db, b"a", &vec![1; 65536]).unwrap_err().kind(),
            Kind::NoSpace
        );
        assert!(
            db.lock().is_autocommit(),
            "the writer was left inside a transaction"
        );
        limit(pages + 1000);
        put(&db, b"a", &vec![1; 65536]).unwrap();
    }

    #[test]
    fn more_readers_than_connections_wait_for_each_other() {
        let (_dir, db) = fresh();
        let mut held: Vec<_> = (0..READERS_MAX).map(|_| db.read().unwrap()).collect();
        std::thread::scope(|s| {
            let late = s.spawn(|| db.read().unwrap().query("SELECT 1", &[]).unwrap().len());
            drop(held.pop());
            assert_eq!(late.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_sound_file_has_no_complaints_and_a_damaged_one_has() {
        let (dir, db) = fresh();
        for i in 0..50u8 {
            put(&db, &[i; 32], &[i; 5000]).unwrap();
        }
        assert_eq!(db.integrity_check().unwrap(), Vec::<String>::new());
        db.checkpoint().unwrap();
        drop(db);
        let file = dir.path().join("test.db");
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        let answer = Sqlite::open(&file).unwrap().integrity_check();
        let found = answer.map_or_else(|e| e.kind() == Kind::Corrupt, |lines| !lines.is_empty());
        assert!(found, "8 KiB of garbage went unnoticed");
    }

    #[test]
    fn a_checkpoint_leaves_the_log_empty() {
        let (dir, db) = fresh();
        put(&db, b"a", b"b").unwrap();
        let wal = dir.path().join("test.db-wal");
        assert!(wal.metadata().unwrap().len() > 0);
        db.checkpoint().unwrap();
        assert_eq!(wal.metadata().unwrap().len(), 0);
        put(&db, b"c", b"d").unwrap();
        assert!(
            wal.metadata().unwrap().len() > 0,
            "the log is another file now: sync misses it"
        );
    }

    #[test]
    fn the_log_is_moved_into_the_file_while_a_change_is_under_way() {
        let (dir, db) = fresh();
        let len = || dir.path().join("test.db").metadata().unwrap().len();
        let before = len();
        for n in 0..CHECKPOINT_AFTER {
            put(&db, &n.to_le_bytes(), &[7; 2000]).unwrap();
        }
        assert_eq!(len(), before, "the writer moved it");
        let change = db.begin().unwrap();
        db.tend().unwrap();
        change.commit().unwrap();
        assert!(len() > before + CHECKPOINT_AFTER * 2000, "{} bytes", len());
        let moved = len();
        put(&db, b"one more", &vec![7; 60_000]).unwrap();
        db.tend().unwrap();
        assert_eq!(len(), moved, "one change is not worth two syncs");
    }

    #[test]
    fn something_else_is_not_opened_as_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("letter.txt");
        std::fs::write(&file, [b'x'; 4096]).unwrap();
        let Err(refused) = Sqlite::open(&file) else {
            panic!("opened a letter")
        };
        assert_eq!(refused.kind(), Kind::Corrupt);
        assert!(refused.message().contains("letter.txt"), "{refused}");
    }
}
