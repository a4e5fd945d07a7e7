//! Getting bytes ready for a transaction.

use super::content::Content;
use super::store::{Blobs, INLINE_MAX};
use super::stream::Chunk;
use crate::core::{Hash, Result};
use crate::db::{Param, Tx};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that one seal hands to the database at most; small blobs beyond it become files.
const INLINE_SUM_MAX: usize = 4 << 20;

/// Bytes that are ready for a change to refer to: large blobs are files already, on the disk after [`Blobs::sync`], small
/// ones travel with the change.
/// While it or its pins live, no sweep removes its blobs.
pub struct Sealed {
    pub content: Content,
    rows: Vec<BlobRow>,
    pinned: Arc<Pinned>,
}

/// A blob as the database is to have it: its bytes when they are small, else a note that they are a file under `cas/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlobRow {
    hash: Hash,
    size: u64,
    inline: Option<Bytes>,
}

impl BlobRow {
    /// Writes the row unless the blob is stored already.
    pub fn store(&self, tx: &mut dyn Tx) -> Result<()> {
        let insert = "INSERT INTO blobs (hash, size, data) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING";
        let data = self.inline.as_deref().map_or(Param::Null, Param::Bytes);
        tx.execute(insert, &[Param::from(&self.hash), self.size.into(), data])?;
        Ok(())
    }

    /// The blob, when its bytes are a file.
    pub fn file(&self) -> Option<Hash> {
        self.inline.is_none().then_some(self.hash)
    }

    /// Bytes that travel in the row.
    pub fn inline_len(&self) -> usize {
        self.inline.as_ref().map_or(0, Bytes::len)
    }
}

impl Sealed {
    /// The rows that the database has to get with whatever refers to the content.
    pub fn rows(&self) -> &[BlobRow] {
        &self.rows
    }

    /// What keeps its blobs readable and safe from sweeps until the database has the rows.
    pub fn pinned(&self) -> Arc<Pinned> {
        Arc::clone(&self.pinned)
    }
}

/// Collects the blobs of one seal.
pub(super) struct Sealer<'a> {
    pub(super) blobs: &'a Blobs,
    rows: Vec<BlobRow>,
    inline_sum: usize,
    pinned: Pinned,
}

impl<'a> Sealer<'a> {
    pub(super) fn new(blobs: &'a Blobs) -> Self {
        Self {
            blobs,
            rows: Vec::new(),
            inline_sum: 0,
            pinned: Pinned::new(&blobs.pins),
        }
    }

    /// Stores one blob, once.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Hash> {
        let hash = Hash::of(bytes);
        // Pinned first: whatever is then found in place stays in place.
        if !self.pinned.add(hash) {
            return Ok(hash);
        }
        let fits = bytes.len() <= INLINE_MAX && self.inline_sum + bytes.len() <= INLINE_SUM_MAX;
        let inline = if fits {
            self.inline_sum += bytes.len();
            let bytes = Bytes::copy_from_slice(bytes);
            self.blobs.cache.insert(hash, bytes.clone());
            self.pinned.keep(&hash, &bytes);
            Some(bytes)
        } else {
            self.blobs.cas.add(&hash, bytes)?;
            None
        };
        self.rows.push(BlobRow {
            hash,
            size: bytes.len() as u64,
            inline,
        });
        Ok(hash)
    }

    /// Takes over a chunk that was stored while it was written, or stores it now.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<Hash> {
        let hash = chunk.hash();
        if self.pinned.add(hash) {
            chunk.store(&self.blobs.cas)?;
            self.rows.push(BlobRow {
                hash,
                size: chunk.len,
                inline: None,
            });
        }
        Ok(hash)
    }

    /// Stores a whole small content as one blob.
    pub(super) fn put_whole(&mut self, bytes: &[u8]) -> Result<Content> {
        if bytes.is_empty() {
            return Ok(Content::Empty);
        }
        Ok(Content::Blob {
            hash: self.put(bytes)?,
            size: bytes.len() as u64,
        })
    }

    pub(super) fn finish(self, content: Content) -> Sealed {
        Sealed {
            content,
            rows: self.rows,
            pinned: Arc::new(self.pinned),
        }
    }
}

/// The blobs that seals refer to and the database may not have yet.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<Held>);

/// Pinned blobs, and all that were since somebody began to watch.
#[derive(Debug, Default)]
pub(super) struct Held {
    pins: HashMap<Hash, Pin>,
    watched: HashSet<Hash>,
    watchers: u32,
}

/// How often a blob is pinned, and its bytes when no file has them.
#[derive(Debug, Default)]
pub(super) struct Pin {
    count: u32,
    inline: Option<Bytes>,
}

impl Pins {
    /// Holds the pins still: none comes or goes while the guard lives.
    pub(super) fn hold(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a blob that is on its way to the database.
    pub(super) fn inline(&self, hash: &Hash) -> Option<Bytes> {
        self.hold().pins.get(hash)?.inline.clone()
    }
}

impl Held {
    /// Whether something refers to a blob, or came to while it was looked for what does.
    pub(super) fn has(&self, hash: &Hash) -> bool {
        self.pins.contains_key(hash) || self.watched.contains(hash)
    }

    fn pin(&mut self, hash: Hash) {
        self.pins.entry(hash).or_default().count += 1;
        if self.watchers > 0 {
            self.watched.insert(hash);
        }
    }
}

/// While it lives every blob that is pinned is remembered: what a sweep has not found referred to may be by now.
#[derive(Debug)]
pub struct Watch(Arc<Pins>);

impl Watch {
    pub(super) fn begin(pins: &Arc<Pins>) -> Self {
        let mut held = pins.hold();
        held.watchers += 1;
        let pinned: Vec<Hash> = held.pins.keys().copied().collect();
        held.watched.extend(pinned);
        Self(Arc::clone(pins))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut held = self.0.hold();
        held.watchers -= 1;
        if held.watchers == 0 {
            held.watched = HashSet::new();
        }
    }
}

/// Blobs that no sweep takes while this lives.
#[derive(Debug)]
pub struct Pinned {
    pins: Arc<Pins>,
    hashes: HashSet<Hash>,
}

impl Pinned {
    pub(super) fn new(pins: &Arc<Pins>) -> Self {
        Self {
            pins: Arc::clone(pins),
            hashes: HashSet::new(),
        }
    }

    /// Pins a blob; false when this seal had pinned it before.
    pub(super) fn add(&mut self, hash: Hash) -> bool {
        let new = self.hashes.insert(hash);
        if new {
            self.pins.hold().pin(hash);
        }
        new
    }

    /// Keeps the bytes of a pinned blob readable.
    fn keep(&self, hash: &Hash, bytes: &Bytes) {
        if let Some(pin) = self.pins.hold().pins.get_mut(hash) {
            pin.inline = Some(bytes.clone());
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut held = self.pins.hold();
        for hash in &self.hashes {
            if let Some(pin) = held.pins.get_mut(hash) {
                pin.count -= 1;
                if pin.count == 0 {
                    held.pins.remove(hash);
                }
            }
        }
    }
}
