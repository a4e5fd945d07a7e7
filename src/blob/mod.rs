//! Bytes, known by their SHA-256.
//!
//! Promises: stored bytes never change; bytes that do not match their hash are never handed out; what a
//! [`Sealed`] refers to is on disk before the transaction that names it; and changing a file costs what was
//! touched, not what the file holds. Small blobs are rows of the database, large ones files under `cas/`; files
//! beyond [`CHUNK_MIN`] are trees of content-defined chunks, and patches, that share what they have in common.

mod content;
mod cas;
mod unsynced;
mod cache;
mod store;
mod ahead;
mod tree;
mod seal;
mod chunk;
mod splice;
mod compose;
mod spill;
mod stream;
mod dirty;
mod extents;
mod fresh;
mod working;
mod touched;
mod sweep;
#[cfg(test)]
mod model;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod overwrites;
#[cfg(test)]
mod crowd;

pub use chunk::CHUNK_MIN;
pub use content::Content;
pub use seal::{BlobRow, Pinned, Sealed, Watch};
pub use store::{Blobs, INLINE_MAX};
pub use sweep::{Damage, Garbage, Place, Usage};
pub use working::Working;
