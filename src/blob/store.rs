//! The store of blobs: reading contents, and getting bytes ready for a transaction.

use super::ahead::Ahead;
use super::cache::Cache;
use super::cas::Cas;
use super::chunk::CHUNK_MIN;
use super::content::Content;
use super::dirty::Sum;
use super::extents::index;
use super::seal::{Pins, Sealed, Sealer};
use super::spill::Pool;
use super::tree::Slice;
use super::working::Working;
use crate::core::config::Config;
use crate::core::error::fail;
use crate::core::{Error, Hash, Kind, Result};
use crate::db::{Db, Param, Value};
use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use sha2::Digest as _;
use std::sync::Arc;

/// Blobs up to this many bytes live in the database: no host file for a small file.
pub const INLINE_MAX: usize = 64 << 10;

/// Holes of a content that is hashed, in bytes at most: some ten seconds.
pub(super) const HOLES_MAX: u64 = 16 << 30;
/// Contents above this many bytes are hashed one at a time: less than a tenth of a second.
const HASHED_ALONE: u64 = 64 << 20;

/// Every blob of a data directory.
///
/// Reading may use a database connection of its own, and [`Blobs::whole_hash`] a transaction: call neither
/// while holding one.
pub struct Blobs {
    pub(super) db: Arc<dyn Db>,
    pub(super) cas: Arc<Cas>,
    pub(super) cache: Arc<Cache>,
    pub(super) pins: Arc<Pins>,
    pub(super) pool: Arc<Pool>,
    /// Counted by its holders: one a stream.
    pub(super) streams: Arc<()>,
    pub(super) ahead: Ahead,
    /// Memory that what was written takes, of all working copies.
    pub(super) dirty: Sum,
    /// Held by who reads a large content to hash it.
    pub(super) hashing: Mutex<()>,
}

impl Blobs {
    /// Opens the store, creating its directories and removing what an earlier run left unfinished.
    pub fn open(config: &Config, db: Arc<dyn Db>) -> Result<Self> {
        Ok(Self {
            db,
            cas: Arc::new(Cas::open(config.cas(), config.open_files)?),
            cache: Arc::new(Cache::new(config.content_cache)),
            pins: Arc::default(),
            pool: Arc::new(Pool::open(config.work(), config.open_files)?),
            streams: Arc::default(),
            ahead: Ahead::default(),
            dirty: Sum::default(),
            hashing: Mutex::default(),
        })
    }

    /// Reads up to `len` bytes at `offset`, fewer at the end. Bytes within one blob are not copied.
    pub fn read(&self, content: &Content, offset: u64, len: usize) -> Result<Bytes> {
        let len = content.size().saturating_sub(offset).min(len as u64);
        self.read_ahead(content, offset, offset + len)?;
        let first = self.part(content, offset, len)?;
        if first.len() as u64 == len {
            return Ok(first);
        }
        let mut out = BytesMut::with_capacity(index(len));
        out.extend_from_slice(&first);
        while (out.len() as u64) < len {
            let at = out.len() as u64;
            out.extend_from_slice(&self.part(content, offset + at, len - at)?);
        }
        Ok(out.freeze())
    }

    /// Computes the SHA-256 of all bytes. A tree is read once and its answer remembered; large ones are read one after the other.
    /// Fails with `TooLarge` where more than 16 GiB are holes: they cost nobody anything to make.
    pub fn whole_hash(&self, content: &Content) -> Result<Hash> {
        self.hash_whole(content, || Ok(self.hashing.lock()))
    }

    /// The same for who must not wait: fails with `Busy` while another large content is being read.
    pub fn whole_hash_at_once(&self, content: &Content) -> Result<Hash> {
        let busy = || Error::new(Kind::Busy, "another large file is being hashed: ask again");
        self.hash_whole(content, || self.hashing.try_lock().ok_or_else(busy))
    }

    fn hash_whole<'a>(
        &self,
        content: &Content,
        turn: impl FnOnce() -> Result<MutexGuard<'a, ()>>,
    ) -> Result<Hash> {
        let (root, size) = match content {
            Content::Tree { root, size, .. } => (root, *size),
            Content::Empty => return Ok(Hash::of(b"")),
            Content::Blob { hash, .. } => return Ok(*hash),
        };
        if let Some(known) = self.remembered(root)? {
            return Ok(known);
        }
        if is_mostly_holes(content) {
            return fail(
                Kind::TooLarge,
                format!("a file with more than {HOLES_MAX} bytes of holes is not hashed"),
            );
        }
        let _turn = (size > HASHED_ALONE).then(turn).transpose()?;
        // Whoever had the turn may have read the same.
        if let Some(known) = self.remembered(root)? {
            return Ok(known);
        }
        let hash = self.hash_tree(content, size)?;
        // The answer is right without being remembered.
        if let Err(e) = self.remember(root, &hash) {
            tracing::warn!(%root, "cannot remember the hash of a tree: {}", e.chain());
        }
        Ok(hash)
    }

    /// Prepares an immutable content outside a working copy: a symlink's target, an upload.
    pub fn seal_bytes(&self, bytes: &[u8]) -> Result<Sealed> {
        if bytes.len() > CHUNK_MIN {
            let mut working = Working::new(Content::Empty);
            working.write(self, 0, bytes)?;
            return working.seal(self);
        }
        let mut sealer = Sealer::new(self);
        let content = sealer.put_whole(bytes)?;
        Ok(sealer.finish(content))
    }

    /// Brings the files of all blobs to the disk.
    pub fn sync(&self) -> Result<()> {
        self.cas.sync()
    }

    /// Notes that a record is about to name these blobs.
    pub fn name(&self, hashes: &[Hash]) {
        self.cas.unsynced.name(hashes);
    }

    /// Brings the files of all blobs that records name to the disk. Whoever makes records or rows durable calls it first; what
    /// somebody writes that is named by nothing yet is not waited for.
    pub fn sync_named(&self) -> Result<()> {
        self.cas.sync_named()
    }

    /// Brings what is left over to the disk, while no large file is being written, so that it keeps no descriptors: chunks that
    /// were stored beside a write and that no record came to name. Called every second or so.
    pub fn tend(&self) -> Result<()> {
        let streamed = Arc::strong_count(&self.streams) > 1;
        if streamed || self.cas.unsynced.is_empty() {
            return Ok(());
        }
        self.cas.sync()
    }

    /// Says whether each of these blobs is a file with the bytes that its name promises: after a power cut, one that was
    /// not synced may be gone, short or empty. Reads all of them, and the next [`Blobs::sync`] syncs them, for whoever wrote
    /// them may have died before; not for blobs that are rows.
    pub fn present(&self, hashes: &[Hash]) -> Result<bool> {
        for hash in hashes {
            if !self.cas.holds(hash)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets every cached blob.
    pub fn drop_cache(&self) {
        self.cache.clear();
    }

    /// Counts the bytes that the cache holds.
    pub fn cache_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Gives a blob's bytes, from the cache or verified from disk.
    pub(super) fn blob(&self, hash: &Hash, len: u64) -> Result<Bytes> {
        let bytes = self.cache.get_or(hash, || self.load(hash, Some(len)))?;
        of_length(bytes, hash, len)
    }

    /// Reads a blob from disk and verifies it. Without a length it is looked for in the database first.
    pub(super) fn load(&self, hash: &Hash, len: Option<u64>) -> Result<Bytes> {
        let inline = match len {
            Some(len) if len > INLINE_MAX as u64 => None,
            _ => self.load_row(hash)?,
        };
        let (found, place) = match inline {
            Some(bytes) => (Some(bytes), "table blobs".to_owned()),
            None => (self.cas.read(hash)?.map(Bytes::from), Cas::name(hash)),
        };
        let found = found.ok_or_else(|| missing(hash))?;
        verified(hash, Some(found)).map_err(|e| e.context(place))
    }

    /// Fails with `Corrupt` where what is remembered as the SHA-256 of a tree's bytes is not. Reads them only then, and trusts
    /// them: [`Blobs::check`] tells of these.
    pub(super) fn check_whole(&self, root: &Hash, content: &Content) -> Result<()> {
        let Some(known) = self.remembered(root)? else {
            return Ok(());
        };
        // An older version hashed them.
        if is_mostly_holes(content) {
            return Ok(());
        }
        if self.hash_tree(content, content.size())? == known {
            return Ok(());
        }
        let message = format!("the row of {root} in table whole_hashes is damaged: delete it");
        fail(Kind::Corrupt, message)
    }

    fn remembered(&self, root: &Hash) -> Result<Option<Hash>> {
        let known = "SELECT hash FROM whole_hashes WHERE root = $1";
        let rows = self.db.read()?.query(known, &[root.into()])?;
        let read = rows.first().map(|row| Hash::from_slice(row.bytes(0)?));
        let named = |e: Error| e.context(format_args!("the row of {root} in table whole_hashes"));
        read.transpose().map_err(named)
    }

    fn remember(&self, root: &Hash, hash: &Hash) -> Result<()> {
        let insert = "INSERT INTO whole_hashes (root, hash) VALUES ($1, $2)
            ON CONFLICT (root) DO NOTHING";
        let mut tx = self.db.begin()?;
        tx.execute(insert, &[root.into(), hash.into()])?;
        tx.commit()
    }

    /// The bytes of a blob that has no file.
    fn load_row(&self, hash: &Hash) -> Result<Option<Bytes>> {
        // Before the database: a pin goes only when the row is there.
        if let Some(bytes) = self.pins.inline(hash) {
            return Ok(Some(bytes));
        }
        let rows = self.db.glance()?.query(
            "SELECT data FROM blobs WHERE hash = $1",
            &[Param::from(hash)],
        )?;
        match rows
            .into_iter()
            .next()
            .and_then(|row| row.0.into_iter().next())
        {
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.into())),
            // A file, whose row may be on its way.
            Some(_) | None => Ok(None),
        }
    }

    /// Reads from one blob or hole: at most `len` bytes, at least one unless at the end.
    fn part(&self, content: &Content, offset: u64, len: u64) -> Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let leaf = self.leaf_at(content, offset)?;
        let len = len.min(leaf.end() - offset);
        match leaf.slice {
            None => Ok(vec![0; index(len)].into()),
            Some(slice) => self.slice(slice.part(offset - leaf.start, len)),
        }
    }

    /// Gives a range of a blob, from the cache or verified from disk.
    pub(super) fn slice(&self, slice: Slice) -> Result<Bytes> {
        let bytes = self.blob(&slice.hash, slice.of)?;
        Ok(bytes.slice(index(slice.from)..index(slice.from + slice.len)))
    }

    /// Hashes without filling the cache: a large file passes through once.
    fn hash_tree(&self, content: &Content, size: u64) -> Result<Hash> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut hasher = sha2::Sha256::new();
        let mut at = 0;
        while at < size {
            let leaf = self.leaf_at(content, at)?;
            if let Some(slice) = leaf.slice {
                hasher.update(self.passing(slice)?);
            } else {
                let mut left = leaf.len;
                while left > 0 {
                    let n = left.min(ZEROS.len() as u64);
                    hasher.update(&ZEROS[..index(n)]);
                    left -= n;
                }
            }
            at = leaf.end();
        }
        Ok(Hash(hasher.finalize().into()))
    }

    /// Gives a range of a blob without keeping the blob, unless others will want the rest of it.
    fn passing(&self, slice: Slice) -> Result<Bytes> {
        if slice.len < slice.of || self.cache.get(&slice.hash).is_some() {
            return self.slice(slice);
        }
        let bytes = self.load(&slice.hash, Some(slice.of))?;
        of_length(bytes, &slice.hash, slice.of)
    }
}

fn is_mostly_holes(content: &Content) -> bool {
    content.size().saturating_sub(content.held()) > HOLES_MAX
}

pub(super) fn of_length(bytes: Bytes, hash: &Hash, len: u64) -> Result<Bytes> {
    if bytes.len() as u64 == len {
        return Ok(bytes);
    }
    fail(
        Kind::Corrupt,
        format!("blob {hash} has {} bytes, not {len}", bytes.len()),
    )
}

/// Turns what was read of a blob into bytes that are what its name says.
pub(super) fn verified(hash: &Hash, found: Option<impl Into<Bytes>>) -> Result<Bytes> {
    let bytes: Bytes = found.ok_or_else(|| missing(hash))?.into();
    if Hash::of(&bytes) == *hash {
        return Ok(bytes);
    }
    fail(
        Kind::Corrupt,
        format!("blob {hash} does not match its hash"),
    )
}

fn missing(hash: &Hash) -> Error {
    Error::new(Kind::Corrupt, format!("blob {hash} is missing"))
}
