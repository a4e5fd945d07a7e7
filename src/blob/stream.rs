//! A large file that is written from front to back is stored while it is written.
//!
//! Once [`MEMORY`] bytes wait in memory they are cut into chunks as a seal would cut them, without a copy, and threads hash the chunks and
//! bring them to `cas/` while the next ones are written. What is left for close(2) and fsync(2) is the end of the file. A
//! chunk that could not be stored keeps its bytes in memory, and the next call that needs room, or seals, meets the error.

use super::cas::Cas;
use super::chunk::{CHUNK_AVG, CHUNK_MAX, cut};
use super::extents::index;
use super::seal::{Pinned, Pins};
use super::store::Blobs;
use crate::core::{Hash, Result, thread};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Bytes that a streamed file keeps in memory; of these at most one chunk is moved to the front.
pub(super) const MEMORY: usize = CHUNK_MAX;
/// Files that are streamed at a time; others use a work file.
pub(super) const STREAMS_MAX: usize = 8;
/// Chunks of a file that wait for a thread.
const WAITING_MAX: usize = 3;
const THREADS: usize = 2;
/// Bytes at the end of a buffer that are not looked at for a cut: there most likely is none.
const LEFT: usize = CHUNK_AVG;

/// A stored chunk, or one on its way.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) len: u64,
    /// Known before the bytes are on their way.
    hash: OnceLock<Hash>,
    /// Kept until the bytes are in a file.
    waiting: Mutex<Option<Bytes>>,
    /// No sweep takes it from the moment that it is looked for among what is stored.
    pinned: Mutex<Pinned>,
}

/// The way to the store of one file's chunks.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where the next chunk begins.
    pub(super) end: u64,
    jobs: Option<SyncSender<Arc<Chunk>>>,
    workers: Vec<JoinHandle<()>>,
    _place: Arc<()>,
}

impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Chunk {}

impl Chunk {
    fn new(pins: &Arc<Pins>, bytes: Bytes) -> Self {
        Self {
            len: bytes.len() as u64,
            hash: OnceLock::new(),
            waiting: Mutex::new(Some(bytes)),
            pinned: Mutex::new(Pinned::new(pins)),
        }
    }

    /// The bytes that wait in memory; `None` once they are in a file.
    fn waiting(&self) -> Option<Bytes> {
        self.waiting.lock().clone()
    }

    /// Reads a part of the chunk.
    pub(super) fn read(&self, blobs: &Blobs, from: u64, len: u64) -> Result<Bytes> {
        let bytes = match self.waiting() {
            Some(bytes) => bytes,
            None => blobs.blob(&self.hash(), self.len)?,
        };
        Ok(bytes.slice(index(from)..index(from + len)))
    }

    /// Gives its hash; only of a chunk that nothing has taken up yet it is computed here.
    pub(super) fn hash(&self) -> Hash {
        let compute = || Hash::of(&self.waiting().unwrap_or_default());
        *self.hash.get_or_init(compute)
    }

    /// Makes a file of it, unless it is one.
    pub(super) fn store(&self, cas: &Cas) -> Result<()> {
        let Some(bytes) = self.waiting() else {
            return Ok(());
        };
        let hash = self.hash();
        // Pinned first: what the store has already stays.
        self.pinned.lock().add(hash);
        cas.add(&hash, &bytes)?;
        *self.waiting.lock() = None;
        Ok(())
    }
}

impl Stream {
    /// Begins to stream a file from `at`; `None` while too many others are streamed.
    pub(super) fn begin(blobs: &Blobs, at: u64) -> Option<Self> {
        let place = Arc::clone(&blobs.streams);
        (Arc::strong_count(&place) <= STREAMS_MAX + 1).then_some(Self {
            end: at,
            jobs: None,
            workers: Vec::new(),
            _place: place,
        })
    }

    /// Cuts the chunks off the front of `bytes`, which begin at the stream's end, and sends them off; `sent` gets those
    /// that went, even when the next one fails.
    pub(super) fn send(
        &mut self,
        blobs: &Blobs,
        mut bytes: Bytes,
        sent: &mut Vec<Arc<Chunk>>,
    ) -> Result<()> {
        while let Some(len) = cut_surely(&bytes) {
            let front = bytes.split_to(len);
            let chunk = Arc::new(Chunk::new(&blobs.pins, front));
            self.dispatch(&blobs.cas, &chunk)?;
            self.end += chunk.len;
            sent.push(chunk);
        }
        Ok(())
    }

    /// Waits until every chunk is stored or has failed.
    pub(super) fn finish(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a thread that stores chunks panicked: the seal stores them");
            }
        }
    }

    fn dispatch(&mut self, cas: &Arc<Cas>, chunk: &Arc<Chunk>) -> Result<()> {
        if self.jobs.is_none() {
            self.jobs = Some(self.hire(cas)?);
        }
        let gone = match &self.jobs {
            Some(jobs) => jobs.send(Arc::clone(chunk)).is_err(),
            None => true,
        };
        if gone {
            // The threads ended at an error: whoever writes on meets it here, or writes past it.
            self.finish();
            chunk.store(cas)?;
        }
        Ok(())
    }

    fn hire(&mut self, cas: &Arc<Cas>) -> Result<SyncSender<Arc<Chunk>>> {
        let (jobs, todo) = sync_channel(WAITING_MAX);
        let todo = Arc::new(Mutex::new(Some(todo)));
        for _ in 0..THREADS {
            let (cas, todo) = (Arc::clone(cas), Arc::clone(&todo));
            let worker = thread::spawn("nexus-stream", move || store(&cas, &todo))?;
            self.workers.push(worker);
        }
        Ok(jobs)
    }
}

/// Finds the end of the first chunk, if no byte that comes later can change it.
fn cut_surely(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < LEFT {
        return None;
    }
    let front = &bytes[..bytes.len().min(CHUNK_MAX)];
    Some(cut(front)).filter(|end| *end < bytes.len() || *end == CHUNK_MAX)
}

/// Stores what comes; the first error ends all threads of the stream.
fn store(cas: &Cas, todo: &Mutex<Option<Receiver<Arc<Chunk>>>>) {
    let next = || todo.lock().as_ref()?.recv().ok();
    while let Some(chunk) = next() {
        if let Err(e) = chunk.store(cas) {
            tracing::warn!(
                "cannot store a chunk of a file being written: {}",
                e.chain()
            );
            *todo.lock() = None;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Working;
    use super::super::model::{MIB, Store, noise};
    use super::*;

    fn append(store: &Store, working: &mut Working, bytes: &[u8]) {
        for piece in bytes.chunks(1 << 20) {
            working.write(store, working.size(), piece).unwrap();
        }
    }

    /// What a seal that saw nothing before would make of the same bytes.
    fn cut_at_once(bytes: &[u8]) -> crate::blob::Content {
        let store = Store::new();
        let mut working = Working::default();
        // From the back, so that nothing is streamed.
        for (n, piece) in bytes.chunks(1 << 20).enumerate().rev() {
            working.write(&store, n as u64 * MIB, piece).unwrap();
        }
        store.settle(&mut working)
    }

    #[test]
    fn a_file_written_from_front_to_back_is_stored_before_it_is_sealed() {
        let store = Store::new();
        let bytes = noise(40 << 20, 1);
        let mut working = Working::default();
        append(&store, &mut working, &bytes);
        working.end_stream();
        assert!(store.files().len() > 16, "{} files", store.files().len());
        assert_eq!(
            working.read(&store, 5 * MIB, 3 << 20).unwrap(),
            bytes[5 << 20..8 << 20]
        );
        assert_eq!(store.settle(&mut working), cut_at_once(&bytes));
        store.drop_cache();
        assert_eq!(store.whole(working.base()), bytes);
    }

    #[test]
    fn what_is_changed_behind_the_stream_is_changed() {
        let store = Store::new();
        let mut bytes = noise(30 << 20, 2);
        let mut working = Working::default();
        append(&store, &mut working, &bytes[..20 << 20]);
        working.write(&store, 3 * MIB, &bytes[..5000]).unwrap();
        working.punch(9 * MIB, MIB).unwrap();
        append(&store, &mut working, &bytes[20 << 20..]);
        working.truncate(29 * MIB).unwrap();
        bytes.copy_within(..5000, 3 << 20);
        bytes[9 << 20..10 << 20].fill(0);
        bytes.truncate(29 << 20);
        assert_eq!(working.read(&store, 0, bytes.len()).unwrap(), bytes);
        store.settle(&mut working);
        assert_eq!(store.whole(working.base()), bytes);
    }

    #[test]
    fn a_file_that_grows_after_a_seal_is_streamed_again() {
        let store = Store::new();
        let bytes = noise(60 << 20, 3);
        let mut working = Working::default();
        for part in bytes.chunks(20 << 20) {
            append(&store, &mut working, part);
            store.settle(&mut working);
        }
        store.drop_cache();
        assert_eq!(store.whole(working.base()), bytes);
    }

    #[test]
    fn an_error_of_the_disk_meets_a_write_or_the_seal_and_nothing_is_lost() {
        let store = Store::new();
        let bytes = noise(60 << 20, 4);
        let tmp = store.config.cas().join("tmp");
        let mut working = Working::default();
        append(&store, &mut working, &bytes[..10 << 20]);
        // Not removed: the thread may be at work in it.
        std::fs::rename(&tmp, store.config.data_dir.join("away")).unwrap();
        let mut written = 10 << 20;
        for piece in bytes[written..].chunks(1 << 20) {
            if working.write(&store, written as u64, piece).is_err() {
                break;
            }
            written += piece.len();
        }
        assert!(written < bytes.len(), "no write met the error");
        assert!(working.seal(&store).is_err());
        std::fs::create_dir(&tmp).unwrap();
        append(&store, &mut working, &bytes[written..]);
        store.settle(&mut working);
        store.drop_cache();
        assert_eq!(store.whole(working.base()), bytes);
    }

    #[test]
    fn chunks_that_nothing_came_to_name_keep_no_descriptors() {
        let store = Store::new();
        let mut working = Working::default();
        append(&store, &mut working, &noise(20 << 20, 5));
        store.tend().unwrap();
        assert!(
            !store.cas.unsynced.is_empty(),
            "they are still being written"
        );
        working.end_stream();
        drop(working);
        store.tend().unwrap();
        assert!(store.cas.unsynced.is_empty());
    }

    #[test]
    fn more_files_than_streams_are_written_all_the_same() {
        let store = Store::new();
        let mut open: Vec<_> = (0..=STREAMS_MAX).map(|_| Working::default()).collect();
        for (n, working) in open.iter_mut().enumerate() {
            append(&store, working, &noise(9 << 20, n as u64));
        }
        for (n, working) in open.iter_mut().enumerate() {
            store.settle(working);
            assert_eq!(store.whole(working.base()), noise(9 << 20, n as u64));
        }
    }
}
