//! Views: subtrees that are computed, not stored.
//!
//! A view hangs in a tenant's root under a name that lookup finds and readdir does not show. The engine knows this trait and
//! no view; `nexus.rs` registers them. Their node numbers have the top bit set, so they never meet stored ones.

use crate::core::{Caller, Error, Ino, Kind, Name, Result, error::fail};
use bytes::Bytes;
use std::sync::OnceLock;

const VIEW_BIT: u64 = 1 << 63;
const INDEX_SHIFT: u32 = 40;

/// One item of a view, known by a number of the view's own; 0 is its root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Directory(Vec<(Name, u64)>),
    /// Bytes made when the file is opened.
    File(Bytes),
    /// Where the link points.
    Link(Vec<u8>),
}

/// A computed subtree.
pub trait View: Send + Sync {
    /// The name it has in a tenant's root.
    fn name(&self) -> &'static str;

    /// Computes one item for this caller; `NotFound` for what does not exist or may not be seen.
    fn item(&self, caller: &Caller, id: u64) -> Result<Item>;
}

/// The views of an engine, set once while it is assembled.
#[derive(Default)]
pub(super) struct Views(OnceLock<Vec<Box<dyn View>>>);

impl Views {
    pub(super) fn set(&self, views: Vec<Box<dyn View>>) {
        if self.0.set(views).is_err() {
            tracing::error!("views were registered twice; the first stay");
        }
    }

    fn all(&self) -> &[Box<dyn View>] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    /// The root of the view of this name.
    pub(super) fn root(&self, name: &Name) -> Option<Ino> {
        let index = self
            .all()
            .iter()
            .position(|v| v.name().as_bytes() == name.as_bytes())?;
        Some(ino(index, 0))
    }

    pub(super) fn item(&self, caller: &Caller, ino: Ino) -> Result<Item> {
        let index = usize::try_from((ino.0 & !VIEW_BIT) >> INDEX_SHIFT).unwrap_or(usize::MAX);
        let Some(view) = self.all().get(index) else {
            return fail(Kind::NotFound, format!("no view {index}"));
        };
        view.item(caller, ino.0 & ((1 << INDEX_SHIFT) - 1))
    }

    pub(super) fn child(&self, caller: &Caller, dir: Ino, name: &Name) -> Result<Ino> {
        let Item::Directory(entries) = self.item(caller, dir)? else {
            return fail(Kind::NotDirectory, "not a directory");
        };
        let found = entries.iter().find(|(n, _)| n == name);
        let (_, id) = found.ok_or_else(|| Error::new(Kind::NotFound, format!("no {name}")))?;
        Ok(sibling(dir, *id))
    }
}

pub(super) fn is_view(ino: Ino) -> bool {
    ino.0 & VIEW_BIT != 0
}

fn ino(index: usize, id: u64) -> Ino {
    Ino(VIEW_BIT | ((index as u64) << INDEX_SHIFT) | id)
}

/// The number of another item of the same view.
pub(super) fn sibling(of: Ino, id: u64) -> Ino {
    Ino((of.0 >> INDEX_SHIFT << INDEX_SHIFT) | id)
}
