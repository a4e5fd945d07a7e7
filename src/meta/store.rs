//! The rows as they are now: the database, and before it what was committed and is not in it yet.
//!
//! A commit is one record of the journal and some entries of a table in memory: no statement, no wait. A thread applies what has
//! gathered to the database, many changes in one transaction, so nobody waits for SQL to be able to go on. After a crash
//! the journal is applied first: one truth.

use super::ahead::Turn;
use super::apply::apply;
use super::edit::{Edit, Edits};
use super::pending::Pending;
use super::tenant::{self, Head};
use crate::blob::Blobs;
use crate::core::{Error, Kind, Result, TenantId, thread};
use crate::db::{Counters, Db, Tx};
use crate::journal::{Journal, Lsn};
use parking_lot::{Condvar, Mutex, RwLock};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The counter that says which record of the journal the database has.
const APPLIED: &str = "applied";
/// What is said of a journal that is gone.
const CUT: &str = "the journal was gone when the store was opened, and the daemon had not been stopped before: changes that only \
                   the journal had are lost, if there were any; a receipt of the log shows it";
/// Bytes of changes in one transaction: large enough to share its cost, small enough not to hold the writer for long.
const BATCH: usize = 2 << 20;
/// Changes that wait before the thread is woken early.
const GATHER: usize = 2000;
/// How long a change waits for company.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of changes that may wait: who makes more applies some first.
const WAITING_MAX: usize = 64 << 20;
/// Edits of one transaction of a recovery.
const RECOVERED: usize = 20_000;
/// Pause after the database refused a batch.
const RETRY: Duration = Duration::from_millis(500);

/// The rows of one data directory. Only the engine commits.
pub struct Store {
    shared: Arc<Shared>,
    applier: Mutex<Option<std::thread::JoinHandle<()>>>,
}

pub(super) struct Shared {
    pub(super) db: Arc<dyn Db>,
    blobs: Arc<Blobs>,
    pub(super) pending: RwLock<Pending>,
    journal: Journal,
    /// From the journal to the table in memory: one change at a time, in one order.
    gate: Mutex<()>,
    /// One batch at a time.
    pub(super) applying: Mutex<()>,
    /// Who reads what is not applied, while it cannot be.
    pub(super) ahead: Turn,
    /// The data directory, for who is told that its disk is full.
    pub(super) dir: PathBuf,
    work: Mutex<Work>,
    wake: Condvar,
}

/// What the applier is told.
#[derive(Default)]
struct Work {
    waiting: bool,
    hurry: bool,
    ended: bool,
}

/// What a store has to do still and has done, for `stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Changes committed since the store was opened.
    pub records: u64,
    /// Syncs of the journal.
    pub syncs: u64,
    /// Changes that the database does not have yet.
    pub waiting: u64,
}

impl Store {
    /// Opens the journal in `dir` and applies what the database does not have.
    pub fn open(db: Arc<dyn Db>, blobs: Arc<Blobs>, dir: &Path) -> Result<Self> {
        let journal =
            Journal::open(dir).map_err(|e| e.context(format_args!("journal {}", dir.display())))?;
        let start = recover(&*db, &blobs, &journal)?;
        if journal.was_cut() {
            tracing::error!("{CUT}");
        }
        Ok(Self {
            shared: Arc::new(Shared {
                db,
                blobs,
                pending: RwLock::new(Pending::after(start)),
                journal,
                gate: Mutex::default(),
                applying: Mutex::default(),
                ahead: Turn::default(),
                dir: dir.parent().unwrap_or(dir).to_owned(),
                work: Mutex::default(),
                wake: Condvar::new(),
            }),
            applier: Mutex::default(),
        })
    }

    /// Commits a change: when this returns, every read sees it and the death of the process loses nothing of it. An error leaves
    /// nothing of it. The caller sees to it that changes of a tenant come one after the other.
    pub fn commit(&self, edits: Edits) -> Result<()> {
        edits.check_texts()?;
        let payload = edits.encode()?;
        let waiting = self.shared.commit(&payload, edits)?;
        if waiting == 1 || waiting == GATHER {
            self.rouse(waiting == GATHER);
        }
        Ok(())
    }

    fn rouse(&self, hurry: bool) {
        let mut applier = self.applier.lock();
        if applier
            .as_ref()
            .is_none_or(std::thread::JoinHandle::is_finished)
        {
            let shared = self.shared.clone();
            match thread::spawn("nexus-apply", move || shared.run()) {
                Ok(thread) => *applier = Some(thread),
                // The change is made; whoever reads the database, or makes too many, applies what waits.
                Err(e) => tracing::error!("no thread to apply changes: {e}"),
            }
        }
        let mut work = self.shared.work.lock();
        work.waiting = true;
        work.hurry |= hurry;
        self.shared.wake.notify_one();
    }

    /// Makes everything committed so far survive a power cut. Callers that wait at the same time share one sync.
    pub fn sync(&self) -> Result<()> {
        let shared = &self.shared;
        shared
            .journal
            .sync(|| shared.blobs.sync_named(), || shared.empty_journal())
    }

    /// Brings everything committed so far to the database.
    pub fn settle(&self) -> Result<()> {
        self.shared.settle()
    }

    /// Brings everything committed so far to the database's disk: no record so far is ever applied again.
    pub fn harden(&self) -> Result<()> {
        self.shared.empty_journal().map(drop)
    }

    /// Everything to the database's disk, and the journal to its beginning: nothing is left to recover.
    pub fn close(&self) -> Result<()> {
        if self.progress().records == 0 {
            return Ok(());
        }
        let _gate = self.shared.gate.lock();
        let next = self.shared.empty_journal()?.next_run();
        write(&*self.shared.db, &[], next)?;
        self.shared.db.sync()?;
        self.shared.journal.restart(next)?;
        Ok(())
    }

    /// A read of one state of the whole database, with everything committed so far; also while its disk is full.
    pub fn read(&self) -> Result<Box<dyn Tx + '_>> {
        match self.settle() {
            Ok(()) => self.shared.db.read(),
            Err(full) if full.kind() == Kind::NoSpace => self.shared.read_ahead(full),
            Err(e) => Err(e),
        }
    }

    /// A change of the database itself, behind everything committed so far: for what is no operation.
    pub fn begin(&self) -> Result<Box<dyn Tx + '_>> {
        self.settle()?;
        self.shared.db.begin()
    }

    /// What may be lost with the journal, which somebody has removed after a crash.
    pub fn lost(&self) -> Option<&'static str> {
        self.shared.journal.was_cut().then_some(CUT)
    }

    /// What was asked of the database.
    pub fn counters(&self) -> Counters {
        self.shared.db.counters()
    }

    /// The end of a tenant's log.
    pub fn head(&self, tenant: TenantId) -> Result<Head> {
        if let Some(head) = self.shared.pending.read().head(tenant) {
            return Ok(head);
        }
        tenant::head(&mut *self.shared.db.glance()?, tenant)
    }

    pub fn progress(&self) -> Progress {
        let (records, syncs) = self.shared.journal.counts();
        Progress {
            records,
            syncs,
            waiting: self.shared.pending.read().len() as u64,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Store {
    /// Stops the thread where it stands: what is not applied is in the journal.
    fn drop(&mut self) {
        self.shared.work.lock().ended = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.applier.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that applies changes has died");
        }
    }
}

impl Shared {
    /// Applies what gathers until the store is dropped.
    fn run(&self) {
        let mut well = true;
        loop {
            {
                let mut work = self.work.lock();
                while !work.waiting && !work.ended {
                    self.wake.wait(&mut work);
                }
                if !work.ended && !work.hurry {
                    self.wake
                        .wait_for(&mut work, if well { PATIENCE } else { RETRY });
                }
                if work.ended {
                    return;
                }
                (work.waiting, work.hurry) = (false, false);
            }
            let done = self.settle_and_retire();
            match &done {
                Err(e) if well => {
                    tracing::error!("cannot apply changes, trying again: {}", e.chain());
                }
                Err(e) => tracing::debug!("cannot apply changes: {}", e.chain()),
                Ok(()) => {}
            }
            well = done.is_ok();
            if !well || self.pending.read().len() > 0 {
                self.work.lock().waiting = true;
            }
        }
    }

    fn commit(&self, payload: &[u8], edits: Edits) -> Result<usize> {
        let _gate = self.gate.lock();
        if self.pending.read().weight() > WAITING_MAX {
            self.apply_batch()?;
        }
        // Before anybody can sync the record.
        self.blobs.name(&edits.files());
        let lsn = loop {
            match self.journal.append(payload).map_err(|e| self.told(e))? {
                Some(lsn) => break lsn,
                None => drop(self.empty_journal()?),
            }
        };
        let mut pending = self.pending.write();
        pending.add(lsn, Arc::new(edits));
        Ok(pending.len())
    }

    fn settle(&self) -> Result<()> {
        let last = self.pending.read().newest();
        while self.pending.read().oldest_is_upto(last) {
            self.apply_batch()?;
        }
        Ok(())
    }

    /// Applies the oldest changes in one transaction.
    fn apply_batch(&self) -> Result<()> {
        let _one = self.applying.lock();
        if self.ahead.is_taken() {
            return Err(self.full());
        }
        self.apply_oldest().map_err(|e| self.told(e))
    }

    fn apply_oldest(&self) -> Result<()> {
        let batch = self.pending.read().oldest(BATCH);
        let Some((last, _)) = batch.last() else {
            return Ok(());
        };
        if batch.iter().any(|(_, edits)| !edits.files().is_empty()) {
            self.blobs.sync_named()?;
        }
        let mut tx = self.db.begin()?;
        apply(&mut *tx, batch.iter().flat_map(|(_, edits)| &edits.list))?;
        tenant::raise_counter(&mut *tx, APPLIED, last.0)?;
        tx.commit()?;
        self.pending.write().applied(*last);
        Ok(())
    }

    /// Applies everything, and lets go of the journal's older segment once the database has all of it on disk.
    fn settle_and_retire(&self) -> Result<()> {
        let end = self.journal.retired();
        self.settle()?;
        if let Some(end) = end {
            self.db.sync()?;
            self.journal.release(end);
        }
        Ok(())
    }

    /// Brings everything to the database's disk, so that the journal may be written over.
    fn empty_journal(&self) -> Result<Lsn> {
        let last = self.pending.read().newest();
        self.settle()?;
        // The first may only tell of trouble that is over; the second then writes again what that has lost.
        self.db.sync().or_else(|_| self.db.sync())?;
        self.journal.release(last);
        Ok(last)
    }
}

/// Applies the records that the database does not have and begins a new run. A record whose blobs a power cut took was never
/// synced, nor was any behind it: the tree ends before it. One that was on disk has lost them to damage: reading them says so.
fn recover(db: &dyn Db, blobs: &Blobs, journal: &Journal) -> Result<Lsn> {
    let applied = Lsn(tenant::counter(&mut *db.read()?, APPLIED)?);
    let mut batch: Vec<Edit> = Vec::new();
    let mut count = 0_u64;
    let last = journal.recover(applied, &mut |lsn, payload, on_disk| {
        let edits = Edits::decode(payload)?;
        if !blobs.present(&edits.files())? && !on_disk {
            return Ok(ControlFlow::Break(()));
        }
        batch.extend(edits.list);
        count += 1;
        if batch.len() >= RECOVERED {
            blobs.sync()?;
            write_anew(db, &std::mem::take(&mut batch), lsn)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if count > 0 {
        tracing::info!(changes = count, "applied what the journal had");
    }
    // Also when nothing was found: a power cut may have left later records of the last run without its first.
    let next = last.next_run();
    blobs.sync()?;
    write_anew(db, &batch, next)?;
    db.sync()?;
    journal.restart(next)?;
    Ok(next)
}

/// Writes what the journal has; fails with `Corrupt` where the database has some of it already.
fn write_anew(db: &dyn Db, edits: &[Edit], applied: Lsn) -> Result<()> {
    write(db, edits, applied).map_err(|e| match e.kind() {
        Kind::Conflict => {
            let message = format!("counter {APPLIED:?}, in table counters, is behind what the database has of the journal");
            Error::new(Kind::Corrupt, message).caused_by(e)
        }
        _ => e,
    })
}

fn write(db: &dyn Db, edits: &[Edit], applied: Lsn) -> Result<()> {
    let mut tx = db.begin()?;
    apply(&mut *tx, edits.iter())?;
    tenant::raise_counter(&mut *tx, APPLIED, applied.0)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Config, Hash, Ino, Op, Time};
    use crate::db::Sqlite;
    use crate::meta::log::Author;
    use crate::meta::log_query::Query;
    use crate::meta::{OpKind, Record};
    use std::fs;

    fn open(dir: &Path) -> Store {
        let config = Config::new(dir);
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        db.migrate().unwrap();
        let blobs = Arc::new(Blobs::open(&config, db.clone()).unwrap());
        Store::open(db, blobs, &config.journal()).unwrap()
    }

    /// Commits a reservation of numbers, and wakes nobody to apply it.
    fn reserve(store: &Store, end: u64) {
        let edits = Edits::from_iter([Edit::Ids(end)]);
        let payload = edits.encode().unwrap();
        store.shared.commit(&payload, edits).unwrap();
    }

    fn reserved(store: &Store) -> u64 {
        tenant::counter(&mut *store.read().unwrap(), "id").unwrap()
    }

    #[test]
    fn what_a_power_cut_left_of_a_run_follows_nothing_that_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal/a");
        let store = open(dir.path());
        reserve(&store, 100);
        let record = fs::read(&journal).unwrap();
        let record = (record.iter().rposition(|b| *b != 0).unwrap() + 1).next_multiple_of(8);
        store.close().unwrap();
        drop(store);
        let before = fs::read(&journal).unwrap();
        let store = open(dir.path());
        reserve(&store, 101);
        reserve(&store, 120);
        drop(store);
        // Of two records that nobody synced the second has reached the disk.
        let mut cut = fs::read(&journal).unwrap();
        cut[..record].copy_from_slice(&before[..record]);
        fs::write(&journal, cut).unwrap();
        let store = open(dir.path());
        assert_eq!(reserved(&store), 100);
        reserve(&store, 103);
        drop(store);
        assert_eq!(reserved(&open(dir.path())), 103);
    }

    #[test]
    fn numbers_that_were_reserved_stay_reserved() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        // Two callers may commit in another order than they counted in.
        for batch in [&[8192, 4096][..], &[4096]] {
            for end in batch {
                reserve(&store, *end);
            }
            assert_eq!(reserved(&store), 8192);
        }
    }

    #[test]
    fn what_was_logged_last_is_read_without_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let tenant = TenantId(1);
        for ops in [1..=1, 2..=4, 5..=5] {
            let logged = ops.map(|op| {
                let record = Record {
                    tenant,
                    op: Op(op),
                    time: Time(0),
                    kind: OpKind::Write,
                    ino: Ino(17),
                    path: b"/f".to_vec(),
                    path2: None,
                    author: Author {
                        user: None,
                        agent: None,
                        session: None,
                        uid: 0,
                        pid: 0,
                        comm: String::new(),
                    },
                    undo: "{}".to_owned(),
                    state: 0,
                };
                Edit::Log(Box::new(record), Hash::of(b""))
            });
            let edits: Edits = logged.collect();
            let payload = edits.encode().unwrap();
            store.shared.commit(&payload, edits).unwrap();
        }
        let recent = |after, limit| {
            let found = store.recent(tenant, Op(after), &Query::default(), limit)?;
            Some(found.iter().map(|record| record.op.0).collect::<Vec<_>>())
        };
        assert_eq!(recent(0, 9), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(recent(2, 2), Some(vec![3, 4]));
        assert_eq!(recent(5, 9), Some(vec![]));
        assert_eq!(store.recent(TenantId(2), Op(0), &Query::default(), 9), None);
        store.settle().unwrap();
        assert_eq!(recent(5, 9), None);
    }
}
