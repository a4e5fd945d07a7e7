//! Verified blobs in memory.

use super::chunk::CHUNK_MAX;
use crate::core::{Hash, Result};
use bytes::Bytes;
use quick_cache::sync::{Cache as Map, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// A shard keeps nothing larger than itself: each must hold some of the largest chunks.
const SHARD_MIN: u64 = 8 * CHUNK_MAX as u64;
const SHARDS_MAX: u64 = 16;
const TYPICAL_BLOB: u64 = 16 << 10;
/// What an entry costs beside its bytes.
const ENTRY_COST: u64 = 128;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Hash, Bytes> for ByBytes {
    fn weight(&self, _: &Hash, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + ENTRY_COST
    }
}

pub(super) struct Cache(Map<Hash, Bytes, ByBytes>);

impl Cache {
    pub(super) fn new(capacity: u64) -> Self {
        let shards = (capacity / SHARD_MIN).clamp(1, SHARDS_MAX);
        let entries = (capacity / TYPICAL_BLOB).max(1);
        let mut options = OptionsBuilder::new();
        options
            .shards(super::extents::index(shards))
            .weight_capacity(capacity);
        options.estimated_items_capacity(super::extents::index(entries));
        Self(match options.build() {
            Ok(o) => Map::with_options(
                o,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Map::with_weighter(1, capacity, ByBytes),
        })
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<Bytes> {
        self.0.get(hash)
    }

    /// Gives the blob, loading it once for all who ask at the same time.
    pub(super) fn get_or(
        &self,
        hash: &Hash,
        load: impl FnOnce() -> Result<Bytes>,
    ) -> Result<Bytes> {
        self.0.get_or_insert_with(hash, load)
    }

    pub(super) fn insert(&self, hash: Hash, bytes: Bytes) {
        self.0.insert(hash, bytes);
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_chunk_fits_and_the_capacity_holds() {
        let cache = Cache::new(64 << 20);
        for n in 0..40_u8 {
            let bytes = Bytes::from(vec![n; CHUNK_MAX]);
            let hash = Hash::of(&[n]);
            cache.insert(hash, bytes);
            assert!(cache.get(&hash).is_some(), "chunk {n} was not kept");
            assert!(cache.bytes() <= 64 << 20);
        }
    }

    #[test]
    fn a_failed_load_is_tried_again() {
        let cache = Cache::new(1 << 20);
        let hash = Hash::of(b"x");
        let failing = || crate::core::error::fail(crate::core::Kind::Io, "no");
        assert!(cache.get_or(&hash, failing).is_err());
        assert_eq!(
            cache
                .get_or(&hash, || Ok(Bytes::from_static(b"x")))
                .unwrap(),
            "x"
        );
    }
}
