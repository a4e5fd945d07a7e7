//! What a file's bytes are, as the `content` column of a node holds it.

use crate::core::error::fail;
use crate::core::{Hash, Kind, Result};
use serde::{Deserialize, Serialize};

const EMPTY: u8 = 0;
const BLOB: u8 = 1;
const TREE: u8 = 2;

/// The immutable bytes of a file.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Content {
    #[default]
    Empty,
    Blob {
        hash: Hash,
        size: u64,
    },
    /// A tree of chunks and holes; at depth 1 the root's parts are leaves.
    Tree {
        root: Hash,
        depth: u8,
        size: u64,
        /// Bytes in chunks: what is not holes.
        held: u64,
    },
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Blob { size, .. } | Self::Tree { size, .. } => *size,
        }
    }

    /// Counts the bytes that are not in holes.
    pub fn held(&self) -> u64 {
        match self {
            Self::Empty | Self::Blob { .. } => self.size(),
            Self::Tree { held, .. } => *held,
        }
    }

    /// Gives the SHA-256 of all bytes where it is known without reading them: not of a tree.
    pub fn whole_hash(&self) -> Option<Hash> {
        match self {
            Self::Empty => Some(Hash::of(b"")),
            Self::Blob { hash, .. } => Some(*hash),
            Self::Tree { .. } => None,
        }
    }

    /// Writes the stored form: a tag, then size (little-endian), bytes held and depth (of a tree) and hash.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Empty => vec![EMPTY],
            Self::Blob { hash, size } => [&[BLOB][..], &size.to_le_bytes(), &hash.0].concat(),
            Self::Tree {
                root,
                depth,
                size,
                held,
            } => {
                let (size, held) = (size.to_le_bytes(), held.to_le_bytes());
                [&[TREE][..], &size, &held, &[*depth], &root.0].concat()
            }
        }
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes == [EMPTY] {
            return Ok(Self::Empty);
        }
        if let Some((&[tag, ref size @ ..], rest)) = bytes.split_first_chunk::<9>() {
            let size = u64::from_le_bytes(*size);
            match (tag, rest) {
                (BLOB, hash) if hash.len() == 32 => {
                    return Ok(Self::Blob {
                        hash: Hash::from_slice(hash)?,
                        size,
                    });
                }
                (TREE, rest) => {
                    if let Some((held, [depth, root @ ..])) = rest.split_first_chunk::<8>()
                        && root.len() == 32
                    {
                        return Ok(Self::Tree {
                            root: Hash::from_slice(root)?,
                            depth: *depth,
                            size,
                            held: u64::from_le_bytes(*held),
                        });
                    }
                }
                _ => {}
            }
        }
        fail(
            Kind::Corrupt,
            format!("content of {} bytes cannot be read", bytes.len()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_survives_its_stored_form() {
        let hash = Hash::of(b"x");
        for content in [
            Content::Empty,
            Content::Blob { hash, size: 1 },
            Content::Tree {
                root: hash,
                depth: 3,
                size: 1 << 40,
                held: 4096,
            },
        ] {
            assert_eq!(Content::decode(&content.encode()).unwrap(), content);
        }
    }

    #[test]
    fn a_damaged_stored_form_is_refused() {
        let whole = Content::Tree {
            root: Hash::of(b"x"),
            depth: 1,
            size: 7,
            held: 7,
        }
        .encode();
        for bytes in [
            &[][..],
            &[9],
            &whole[..whole.len() - 1],
            &[&whole[..], &[0]].concat(),
        ] {
            assert_eq!(Content::decode(bytes).unwrap_err().kind(), Kind::Corrupt);
        }
    }
}
