//! Which blobs are referred to, which are not, and whether they are what their names say.
//!
//! A sweep goes on beside everybody's work: [`Blobs::watch`]; [`Blobs::live`] over every content in the tables and, after
//! those were read, every content that somebody has open; [`Blobs::unreferenced`] and, some at a time, [`Blobs::remove_rows`];
//! and once those are gone from the disk, [`Blobs::remove_files`]: else a power cut brings back rows without their files.
//! What a seal has come to refer to since the watch began is left alone throughout.

use super::content::Content;
use super::seal::Watch;
use super::store::{Blobs, of_length};
use super::tree::{Part, Slice, parts};
use crate::core::error::fail;
use crate::core::{Error, Hash, Kind, Result};
use crate::db::{Param, Tx};
use std::collections::{HashMap, HashSet};

/// Rows read at a time.
const PAGE: i64 = 1000;

/// How much is stored, each blob counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub blobs: u64,
    pub stored_bytes: u64,
}

/// Where a blob's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Database,
    /// Under `cas/`, with a row that says so.
    File,
    /// Under `cas/`, and no row needs it: a crash came between the two.
    Stray,
}

/// A blob that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    pub hash: Hash,
    pub size: u64,
    pub place: Place,
}

/// A blob that is missing, unreadable or not what its name says.
#[derive(Debug)]
pub struct Damage {
    pub hash: Hash,
    pub error: Error,
}

impl Blobs {
    /// Remembers what seals come to refer to while a sweep is under way.
    pub fn watch(&self) -> Watch {
        Watch::begin(&self.pins)
    }

    /// Counts what is stored. Reads every row of the table.
    pub fn usage(&self) -> Result<Usage> {
        let sum = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs";
        let rows = self.db.read()?.query(sum, &[])?;
        let Some(row) = rows.first() else {
            return fail(Kind::Corrupt, "a count has no answer");
        };
        Ok(Usage {
            blobs: row.uint(0)?,
            stored_bytes: row.uint(1)?,
        })
    }

    /// Gathers every blob that the contents refer to, visiting what they share once.
    pub fn live(&self, roots: &mut dyn Iterator<Item = Content>) -> Result<HashSet<Hash>> {
        let mut live = HashSet::new();
        let mut nodes = Vec::new();
        for content in roots {
            match content {
                Content::Blob { hash, .. } => drop(live.insert(hash)),
                Content::Tree { root, .. } if live.insert(root) => nodes.push(root),
                Content::Empty | Content::Tree { .. } => {}
            }
            while let Some(node) = nodes.pop() {
                for part in parts(&self.load(&node, None)?) {
                    match part? {
                        Part::Slice(slice) => drop(live.insert(slice.hash)),
                        Part::Node { hash, .. } if live.insert(hash) => nodes.push(hash),
                        Part::Node { .. } | Part::Hole { .. } => {}
                    }
                }
            }
        }
        Ok(live)
    }

    /// Lists every stored blob that is not live.
    pub fn unreferenced(&self, live: &HashSet<Hash>) -> Result<Vec<Garbage>> {
        let mut garbage = Vec::new();
        let mut needed = HashSet::new();
        self.each_row(|hash, size, place| {
            if place == Place::File {
                needed.insert(hash);
            }
            if !live.contains(&hash) {
                garbage.push(Garbage { hash, size, place });
            }
        })?;
        let files = self
            .cas
            .list()?
            .into_iter()
            .filter(|(hash, _)| !needed.contains(hash));
        garbage.extend(files.map(|(hash, size)| Garbage {
            hash,
            size,
            place: Place::Stray,
        }));
        let held = self.pins.hold();
        garbage.retain(|blob| !held.has(&blob.hash));
        Ok(garbage)
    }

    /// Blobs whose rows say another size than they have: reading does not mind, counting does.
    pub fn missized(&self) -> Result<Vec<Hash>> {
        let sql = "SELECT hash FROM blobs WHERE data IS NOT NULL AND LENGTH(data) <> size ORDER BY hash LIMIT $1";
        let rows = self.db.read()?.query(sql, &[PAGE.into()])?;
        let wrong: Result<Vec<_>> = rows.iter().map(|r| Hash::from_slice(r.bytes(0)?)).collect();
        let mut wrong = wrong?;
        let files: HashMap<_, _> = self.cas.list()?.into_iter().collect();
        self.each_row(|hash, size, place| {
            let is_wrong = files.get(&hash).is_some_and(|found| *found != size);
            if place == Place::File && is_wrong {
                wrong.push(hash);
            }
        })?;
        Ok(wrong)
    }

    /// Deletes the rows of blobs that nothing refers to, in the transaction under which they were found.
    pub fn remove_rows(&self, tx: &mut dyn Tx, garbage: &[Garbage]) -> Result<u64> {
        let mut removed = 0;
        for blob in garbage {
            if blob.place == Place::Stray || self.pins.hold().has(&blob.hash) {
                continue;
            }
            removed += tx.execute(
                "DELETE FROM blobs WHERE hash = $1",
                &[Param::from(&blob.hash)],
            )?;
            tx.execute(
                "DELETE FROM whole_hashes WHERE root = $1",
                &[Param::from(&blob.hash)],
            )?;
        }
        Ok(removed)
    }

    /// Removes the files of blobs whose rows are gone, and gives how many bytes that freed.
    pub fn remove_files(&self, garbage: &[Garbage]) -> Result<u64> {
        let mut freed = 0;
        for blob in garbage.iter().filter(|blob| blob.place != Place::Database) {
            // While the pins are held no seal can come to rely on the file.
            let held = self.pins.hold();
            if !held.has(&blob.hash) && !self.needs_file(&blob.hash)? {
                self.cas.remove(&blob.hash)?;
                freed += blob.size;
            }
        }
        Ok(freed)
    }

    /// Verifies every blob of a content from disk, past the cache, and skips those in `seen`.
    pub fn check(&self, content: &Content, seen: &mut HashSet<Hash>) -> Vec<Damage> {
        let mut damage = Vec::new();
        let (part, depth) = match *content {
            Content::Empty => return damage,
            Content::Blob { hash, size } => (Part::Slice(Slice::whole(hash, size)), 0),
            Content::Tree {
                root,
                depth,
                size,
                held,
            } => (
                Part::Node {
                    hash: root,
                    len: size,
                    held,
                },
                depth,
            ),
        };
        let is_known = matches!(content, Content::Tree { root, .. } if seen.contains(root));
        let mut waiting = vec![(part, depth)];
        while let Some((part, depth)) = waiting.pop() {
            let (Part::Slice(Slice { hash, .. }) | Part::Node { hash, .. }) = part else {
                continue;
            };
            if !seen.insert(hash) {
                continue;
            }
            match self.check_part(part, depth) {
                Ok(below) => waiting.extend(below.into_iter().map(|part| (part, depth - 1))),
                Err(error) => damage.push(Damage { hash, error }),
            }
        }
        if let Content::Tree { root: hash, .. } = *content
            && !is_known
            && damage.is_empty()
            && let Err(error) = self.check_whole(&hash, content)
        {
            damage.push(Damage { hash, error });
        }
        damage
    }

    /// Verifies one blob and gives what it lists, if it is a node.
    fn check_part(&self, part: Part, depth: u8) -> Result<Vec<Part>> {
        let (hash, len, held) = match part {
            Part::Hole { .. } => return Ok(vec![]),
            Part::Slice(Slice { hash, of, .. }) => {
                of_length(self.load(&hash, Some(of))?, &hash, of)?;
                return Ok(vec![]);
            }
            Part::Node { hash, len, held } => (hash, len, held),
        };
        let below = parts(&self.load(&hash, None)?).collect::<Result<Vec<_>>>()?;
        let sum = |of: fn(&Part) -> u64| {
            below
                .iter()
                .try_fold(0_u64, |sum, part| sum.checked_add(of(part)))
        };
        let listed = sum(Part::len) == Some(len) && sum(Part::held) == Some(held);
        let level = below
            .iter()
            .all(|part| matches!(part, Part::Node { .. }) == (depth > 1));
        if !listed || !level || depth == 0 {
            return fail(
                Kind::Corrupt,
                format!("tree node {hash} is not the {len} bytes its parent lists"),
            );
        }
        Ok(below)
    }

    fn needs_file(&self, hash: &Hash) -> Result<bool> {
        let find = "SELECT size FROM blobs WHERE hash = $1 AND data IS NULL";
        Ok(!self
            .db
            .read()?
            .query(find, &[Param::from(hash)])?
            .is_empty())
    }

    fn each_row(&self, mut visit: impl FnMut(Hash, u64, Place)) -> Result<()> {
        let page = "SELECT hash, size, CAST(CASE WHEN data IS NULL THEN 1 ELSE 0 END AS BIGINT)
            FROM blobs WHERE hash > $1 ORDER BY hash LIMIT $2";
        let mut tx = self.db.read()?;
        let mut last = Vec::new();
        loop {
            let rows = tx.query(page, &[Param::Bytes(&last), PAGE.into()])?;
            let Some(end) = rows.last() else {
                return Ok(());
            };
            last = end.bytes(0)?.to_vec();
            for row in &rows {
                let place = if row.int(2)? == 1 {
                    Place::File
                } else {
                    Place::Database
                };
                visit(Hash::from_slice(row.bytes(0)?)?, row.uint(1)?, place);
            }
        }
    }
}
