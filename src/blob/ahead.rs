//! Reading ahead: blobs that a reader is about to need, fetched and verified beside it.
//!
//! Nothing is kept of who reads. A read that passes a [`MARK`] is taken for one that goes on from there: of reads from front
//! to back each megabyte has one, of small ones here and there few do.

use super::cache::Cache;
use super::cas::Cas;
use super::content::Content;
use super::store::{Blobs, INLINE_MAX, verified};
use super::tree::Slice;
use crate::core::Result;
use crate::core::thread;
use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

/// Marks lie so far apart,
const STRIDE: u64 = 1 << 20;
/// and so far from the front: who looks only at the beginning of a file does not meet one.
const MARK: u64 = 256 << 10;
/// How far ahead is looked,
const AHEAD: u64 = 4 << 20;
/// and at how many leaves.
const LEAVES_MAX: usize = 64;
const THREADS: usize = 2;
/// Blobs that wait for a thread; there is no harm in forgetting one.
const WAITING_MAX: usize = 16;

/// The threads that fetch; they start with the first blob to be fetched.
#[derive(Default)]
pub(super) struct Ahead(OnceLock<Option<SyncSender<Slice>>>);

impl Blobs {
    /// Begins to fetch what comes behind a read of `offset..end`.
    pub(super) fn read_ahead(&self, content: &Content, offset: u64, end: u64) -> Result<()> {
        if passes_mark(offset, end) && matches!(content, Content::Tree { .. }) {
            for slice in self.behind(content, end)? {
                self.fetch(slice);
            }
        }
        Ok(())
    }

    /// Lists blobs that are not in the cache and hold what comes from `at` on.
    fn behind(&self, content: &Content, mut at: u64) -> Result<Vec<Slice>> {
        let mut wanted: Vec<Slice> = Vec::new();
        let end = content.size().min(at + AHEAD);
        for _ in 0..LEAVES_MAX {
            if at >= end {
                break;
            }
            let leaf = self.leaf_at(content, at)?;
            at = leaf.end();
            if let Some(slice) = leaf.slice
                && slice.of > INLINE_MAX as u64
                && wanted.last().is_none_or(|last| last.hash != slice.hash)
                && self.cache.get(&slice.hash).is_none()
            {
                wanted.push(slice);
            }
        }
        Ok(wanted)
    }

    fn fetch(&self, slice: Slice) {
        let jobs = self.ahead.0.get_or_init(|| {
            let started = start(&self.cas, &self.cache);
            started
                .inspect_err(|e| tracing::warn!("nothing is read ahead: {}", e.chain()))
                .ok()
        });
        if let Some(jobs) = jobs
            && let Err(full) = jobs.try_send(slice)
        {
            tracing::trace!("not read ahead: {full}");
        }
    }
}

fn passes_mark(offset: u64, end: u64) -> bool {
    let before = |at: u64| at.saturating_sub(MARK).div_ceil(STRIDE);
    before(offset) != before(end)
}

fn start(cas: &Arc<Cas>, cache: &Arc<Cache>) -> Result<SyncSender<Slice>> {
    let (jobs, todo) = sync_channel(WAITING_MAX);
    let todo = Arc::new(Mutex::new(todo));
    for _ in 0..THREADS {
        let (cas, cache, todo) = (Arc::clone(cas), Arc::clone(cache), Arc::clone(&todo));
        thread::spawn("nexus-ahead", move || work(&cas, &cache, &todo))?;
    }
    Ok(jobs)
}

fn work(cas: &Cas, cache: &Cache, todo: &Mutex<Receiver<Slice>>) {
    let next = || todo.lock().recv().ok();
    while let Some(slice) = next() {
        let load = || verified(&slice.hash, cas.read(&slice.hash)?);
        if let Err(e) = cache.get_or(&slice.hash, load) {
            // Who reads it meets the same error, and can say of which file.
            tracing::debug!("cannot read ahead: {}", e.chain());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{MIB, Store, noise};
    use super::*;

    #[test]
    fn reads_from_front_to_back_pass_a_mark_in_each_stride() {
        let step = 128 << 10;
        let passed: Vec<u64> = (0..4 * MIB)
            .step_by(step)
            .filter(|at| passes_mark(*at, at + step as u64))
            .collect();
        let marks: Vec<u64> = (0..4).map(|n| MARK + n * STRIDE).collect();
        assert_eq!(passed, marks);
        assert!(passes_mark(0, MARK + 1) && !passes_mark(0, MARK));
    }

    #[test]
    fn what_lies_behind_is_fetched_once() -> Result<()> {
        let store = Store::new();
        let content = store.stored(&noise(16 << 20, 1));
        store.drop_cache();
        let wanted = store.behind(&content, MIB)?;
        assert!(wanted.len() > 2, "{wanted:?}");
        assert!(wanted.iter().map(|slice| slice.len).sum::<u64>() >= AHEAD);
        store.slice(wanted[0])?;
        assert_eq!(store.behind(&content, MIB)?, wanted[1..]);
        assert_eq!(store.behind(&content, 16 * MIB)?, []);
        Ok(())
    }

    #[test]
    fn damage_that_was_met_ahead_is_told_to_the_reader() {
        let store = Store::new();
        let bytes = noise(16 << 20, 2);
        let content = store.stored(&bytes);
        let last = store.leaves(&content).pop().and_then(|leaf| leaf.slice);
        let hash = last.unwrap().hash;
        std::fs::write(store.cas.path(&hash), b"damaged").unwrap();
        store.drop_cache();
        let mut at = 0;
        let error = loop {
            match store.read(&content, at as u64, 128 << 10) {
                Ok(read) => assert_eq!(read, bytes[at..at + read.len()]),
                Err(e) => break e,
            }
            at += 128 << 10;
        };
        assert_eq!(error.kind(), crate::core::Kind::Corrupt);
        assert!(at > 10 << 20, "at {at}");
    }
}
