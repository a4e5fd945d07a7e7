//! The tree that a large content is: nodes of parts, the leaves being ranges of blobs and holes.
//!
//! A node is a blob: a version byte, then for each part its kind (1 byte), its length in bytes of content
//! (8, little-endian), what there is to know of its kind (8) and its hash (32; zeros for a hole). Of a range that is where it
//! begins in its blob (4) and the blob's size (4), of a node how much of it is not holes. Nodes are shared between contents
//! like chunks are.

use super::content::Content;
use super::store::Blobs;
use crate::core::error::fail;
use crate::core::{Error, Hash, Kind, Result};
use bytes::Bytes;

/// Parts of a node at most.
pub(super) const FANOUT: usize = 128;
/// No content that fits into 63 bits needs more.
const DEPTH_MAX: u8 = 16;
const VERSION: u8 = 1;
const PART: usize = 49;
const SLICE: u8 = 0;
const HOLE: u8 = 1;
const NODE: u8 = 2;

// A full node fits into the database.
const _: () = assert!(PART * FANOUT < super::INLINE_MAX);

/// What a node lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Slice(Slice),
    Hole { len: u64 },
    Node { hash: Hash, len: u64, held: u64 },
}

/// A range of a blob: all of a chunk, what is left of one, or one patch among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) hash: Hash,
    pub(super) from: u64,
    pub(super) len: u64,
    /// The blob's size.
    pub(super) of: u64,
}

impl Slice {
    pub(super) fn whole(hash: Hash, len: u64) -> Self {
        Self {
            hash,
            from: 0,
            len,
            of: len,
        }
    }

    /// Gives `len` bytes of it from `from` on, which must lie within.
    pub(super) fn part(self, from: u64, len: u64) -> Self {
        Self {
            from: self.from + from,
            len,
            ..self
        }
    }

    /// Whether `next` goes on in the same blob where this ends.
    pub(super) fn meets(&self, next: &Self) -> bool {
        (self.hash, self.of, self.from + self.len) == (next.hash, next.of, next.from)
    }
}

/// A range of a blob, or a hole, and where in the content it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) start: u64,
    pub(super) len: u64,
    /// `None` for a hole.
    pub(super) slice: Option<Slice>,
}

impl Leaf {
    pub(super) fn end(&self) -> u64 {
        self.start + self.len
    }
}

impl Part {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Slice(Slice { len, .. }) | Self::Hole { len } | Self::Node { len, .. } => *len,
        }
    }

    /// Counts the bytes that are not in holes.
    pub(super) fn held(&self) -> u64 {
        match self {
            Self::Slice(slice) => slice.len,
            Self::Hole { .. } => 0,
            Self::Node { held, .. } => *held,
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (len, rest) = rest.split_first_chunk::<8>()?;
        let (more, hash) = rest.split_first_chunk::<8>()?;
        let (len, more) = (u64::from_le_bytes(*len), u64::from_le_bytes(*more));
        let (from, of) = (more & u64::from(u32::MAX), more >> 32);
        let hash = Hash(hash.try_into().ok()?);
        match *kind {
            SLICE if from.checked_add(len)? <= of => Some(Self::Slice(Slice {
                hash,
                from,
                len,
                of,
            })),
            HOLE if more == 0 => Some(Self::Hole { len }),
            NODE => Some(Self::Node {
                hash,
                len,
                held: more,
            }),
            _ => None,
        }
    }
}

pub(super) fn encode(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + PART * parts.len());
    out.push(VERSION);
    for part in parts {
        let (kind, more, hash) = match part {
            // Both fit into 32 bits: no blob of a tree is larger than a chunk.
            Part::Slice(slice) => (SLICE, slice.of << 32 | slice.from, slice.hash.0),
            Part::Hole { .. } => (HOLE, 0, [0; 32]),
            Part::Node { hash, held, .. } => (NODE, *held, hash.0),
        };
        out.push(kind);
        out.extend_from_slice(&part.len().to_le_bytes());
        out.extend_from_slice(&more.to_le_bytes());
        out.extend_from_slice(&hash);
    }
    out
}

/// Reads a node's parts one by one: a search needs not all of them.
pub(super) fn parts(node: &[u8]) -> impl Iterator<Item = Result<Part>> + '_ {
    let (version, body) = node.split_first().unwrap_or((&0, &[]));
    let whole = *version == VERSION && body.len().is_multiple_of(PART);
    let unreadable = || Error::new(Kind::Corrupt, "a tree node cannot be read");
    let refused = (!whole).then(|| Err(unreadable()));
    let body = if whole { body } else { &[] };
    let decoded = body
        .chunks(PART)
        .map(move |b| Part::decode(b).ok_or_else(unreadable));
    refused.into_iter().chain(decoded)
}

impl Blobs {
    /// Finds the leaf that holds `offset`, which must lie within the content.
    pub(super) fn leaf_at(&self, content: &Content, offset: u64) -> Result<Leaf> {
        match content {
            Content::Blob { hash, size } if offset < *size => Ok(Leaf {
                start: 0,
                len: *size,
                slice: Some(Slice::whole(*hash, *size)),
            }),
            Content::Tree {
                root, size, held, ..
            } if offset < *size => self.descend(
                Part::Node {
                    hash: *root,
                    len: *size,
                    held: *held,
                },
                offset,
            ),
            _ => fail(
                Kind::Range,
                format!("offset {offset} is past the end of the content"),
            ),
        }
    }

    pub(super) fn node(&self, hash: &Hash) -> Result<Bytes> {
        self.cache.get_or(hash, || self.load(hash, None))
    }

    fn descend(&self, root: Part, offset: u64) -> Result<Leaf> {
        let mut start = 0;
        let mut part = root;
        for _ in 0..=DEPTH_MAX {
            match part {
                Part::Slice(slice) => {
                    return Ok(Leaf {
                        start,
                        len: slice.len,
                        slice: Some(slice),
                    });
                }
                Part::Hole { len } => {
                    return Ok(Leaf {
                        start,
                        len,
                        slice: None,
                    });
                }
                Part::Node { hash, .. } => {
                    (start, part) = child_at(&self.node(&hash)?, start, offset)
                        .map_err(|e| e.context(format!("tree node {hash}")))?;
                }
            }
        }
        fail(Kind::Corrupt, format!("a tree is deeper than {DEPTH_MAX}"))
    }
}

/// Finds the part that holds `offset` in a node that begins at `start`.
fn child_at(node: &[u8], mut start: u64, offset: u64) -> Result<(u64, Part)> {
    for part in parts(node) {
        let part = part?;
        let end = start.saturating_add(part.len());
        if offset < end {
            return Ok((start, part));
        }
        start = end;
    }
    fail(Kind::Corrupt, "it is shorter than its parent says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_survives_its_stored_form() {
        let hash = Hash::of(b"x");
        let node = [
            Part::Slice(Slice::whole(hash, 5)),
            Part::Slice(Slice::whole(hash, 9).part(2, 4)),
            Part::Hole { len: 1 << 40 },
            Part::Node {
                hash,
                len: 9,
                held: 5,
            },
        ];
        let read: Vec<Part> = parts(&encode(&node)).map(Result::unwrap).collect();
        assert_eq!(read, node);
    }

    #[test]
    fn an_unreadable_node_is_corrupt() {
        let good = encode(&[Part::Hole { len: 1 }]);
        let mut kind = good.clone();
        kind[1] = 7;
        let beyond = encode(&[Part::Slice(Slice::whole(Hash::of(b"x"), 5).part(3, 3))]);
        let mut held = good.clone();
        held[1 + 9] = 1;
        for bad in [
            &[][..],
            &[9],
            &good[..good.len() - 1],
            &kind,
            &beyond,
            &held,
        ] {
            let error = parts(bad).find_map(Result::err).expect("an error");
            assert_eq!(error.kind(), Kind::Corrupt);
        }
    }
}
