//! The connections that read: opened on demand, shared, never more than a few.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::connect;
use crate::core::error::fail;
use crate::core::{Kind, Result};

pub(crate) const READERS_MAX: usize = 8;
const READER_WAIT: Duration = Duration::from_secs(30);
const SETTINGS: &str = "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;
    PRAGMA cache_size = -8192;";

/// Connections for reads, opened on demand.
pub(super) struct Readers {
    path: PathBuf,
    slots: [OnceLock<Mutex<Connection>>; READERS_MAX],
    /// Slots nobody uses; the last one given back is the next one taken, so that few stay warm.
    free: Mutex<Vec<usize>>,
    freed: Condvar,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            slots: Default::default(),
            free: Mutex::new((0..READERS_MAX).rev().collect()),
            freed: Condvar::new(),
        }
    }

    pub(super) fn take(&self) -> Result<Reader<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, READER_WAIT, |free| free.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = free.pop() else {
            return fail(Kind::Unavailable, "the database has too many readers");
        };
        drop(free);
        let lease = Lease {
            readers: self,
            slot,
        };
        let conn = if let Some(conn) = self.slots[slot].get() {
            conn
        } else {
            let conn = Mutex::new(connect(&self.path, SETTINGS)?);
            self.slots[slot].get_or_init(|| conn)
        };
        Ok(Reader {
            conn: conn.lock().unwrap_or_else(PoisonError::into_inner),
            _lease: lease,
        })
    }
}

/// The right to use a slot, given back on drop.
struct Lease<'a> {
    readers: &'a Readers,
    slot: usize,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.readers
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.slot);
        self.readers.freed.notify_one();
    }
}

/// A leased connection. The fields are dropped in this order: unlocked first, then given back.
pub(super) struct Reader<'a> {
    conn: MutexGuard<'a, Connection>,
    _lease: Lease<'a>,
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}
