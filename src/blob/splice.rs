//! Replacing ranges of a content: only the nodes on the way to them are written anew.

use super::content::Content;
use super::seal::Sealer;
use super::tree::{FANOUT, Part, Slice, encode, parts};
use crate::core::error::fail;
use crate::core::{Kind, Result};

/// Leaves in place of the bytes `start..end` of the old content. Both lie on boundaries of its leaves. Where
/// `start == end`, which only the end of the content may be, the leaves are appended.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) leaves: Vec<Part>,
}

impl Edit {
    /// Adds a leaf, as a part of the last one where it goes on there.
    pub(super) fn push(&mut self, part: Part) {
        match (self.leaves.last_mut(), part) {
            (Some(Part::Slice(last)), Part::Slice(next)) if last.meets(&next) => {
                last.len += next.len;
            }
            (Some(Part::Hole { len: last }), Part::Hole { len }) => *last += len,
            _ => self.leaves.push(part),
        }
    }
}

/// Applies edits, which are sorted and do not overlap, and gives the content of `size` bytes that results.
pub(super) fn splice(
    sealer: &mut Sealer<'_>,
    base: &Content,
    edits: &[Edit],
    size: u64,
) -> Result<Content> {
    let (old, mut depth) = match base {
        Content::Empty => (vec![], 1),
        Content::Blob { hash, size } => (vec![Part::Slice(Slice::whole(*hash, *size))], 1),
        Content::Tree { root, depth, .. } => (read_node(sealer, root)?, *depth),
    };
    let mut splicer = Splicer {
        sealer,
        edits,
        total: base.size(),
    };
    let mut level = splicer.rewrite(&old, depth, 0)?;
    if level.iter().map(Part::len).sum::<u64>() != size {
        return fail(
            Kind::Corrupt,
            format!("a changed tree does not have {size} bytes"),
        );
    }
    // A root with one child is that child.
    if let ([Part::Node { .. }], true) = (&level[..], depth > 1) {
        depth -= 1;
    } else {
        level = splicer.group(&level)?;
    }
    while level.len() > 1 {
        level = splicer.group(&level)?;
        depth += 1;
    }
    match level.first() {
        Some(Part::Node { hash, held, .. }) => Ok(Content::Tree {
            root: *hash,
            depth,
            size,
            held: *held,
        }),
        _ => Ok(Content::Empty),
    }
}

struct Splicer<'a, 'b> {
    sealer: &'a mut Sealer<'b>,
    edits: &'a [Edit],
    total: u64,
}

impl Splicer<'_, '_> {
    /// Gives the parts that come in place of a node's, which begin at `start`.
    fn rewrite(&mut self, old: &[Part], depth: u8, start: u64) -> Result<Vec<Part>> {
        let mut out = Vec::with_capacity(old.len());
        let mut at = start;
        for part in old {
            let end = at + part.len();
            match part {
                Part::Slice(_) | Part::Hole { .. } => match self.edit_over(at) {
                    None => out.push(*part),
                    Some(edit) if edit.start == at => out.extend_from_slice(&edit.leaves),
                    Some(_) => {}
                },
                Part::Node { .. } if self.swallowed(at, end) => {}
                Part::Node { hash, .. } if self.touched(at, end) && depth > 1 => {
                    let below = read_node(self.sealer, hash)?;
                    let below = self.rewrite(&below, depth - 1, at)?;
                    out.extend(self.group(&below)?);
                }
                Part::Node { .. } => out.push(*part),
            }
            at = end;
        }
        if depth == 1 && at == self.total {
            out.extend(
                self.appended()
                    .into_iter()
                    .flat_map(|edit| edit.leaves.iter().copied()),
            );
        }
        Ok(out)
    }

    /// Writes nodes over the parts, as evenly filled as can be.
    fn group(&mut self, parts: &[Part]) -> Result<Vec<Part>> {
        let nodes = parts.len().div_ceil(FANOUT);
        let fill = parts.len().div_ceil(nodes.max(1)).max(1);
        let mut out = Vec::with_capacity(nodes);
        for parts in parts.chunks(fill) {
            let hash = self.sealer.put(&encode(parts))?;
            out.push(Part::Node {
                hash,
                len: parts.iter().map(Part::len).sum(),
                held: parts.iter().map(Part::held).sum(),
            });
        }
        Ok(out)
    }

    fn edit_over(&self, at: u64) -> Option<&Edit> {
        self.edits[self.first_after(at)..]
            .first()
            .filter(|edit| edit.start <= at)
    }

    fn touched(&self, start: u64, end: u64) -> bool {
        let inside = self.edits[self.first_after(start)..]
            .first()
            .is_some_and(|edit| edit.start < end);
        inside || (end == self.total && self.appended().is_some())
    }

    /// Says whether an edit that began before a node takes all of it.
    fn swallowed(&self, start: u64, end: u64) -> bool {
        self.edit_over(start)
            .is_some_and(|edit| edit.start < start && edit.end >= end)
    }

    fn appended(&self) -> Option<&Edit> {
        self.edits.last().filter(|edit| edit.start == self.total)
    }

    fn first_after(&self, at: u64) -> usize {
        self.edits.partition_point(|edit| edit.end <= at)
    }
}

fn read_node(sealer: &Sealer<'_>, hash: &crate::core::Hash) -> Result<Vec<Part>> {
    parts(&sealer.blobs.node(hash)?).collect()
}
