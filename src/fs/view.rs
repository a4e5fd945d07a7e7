//! Views: subtrees that are computed, or stored otherwise than the present is.
//!
//! A view hangs in a tenant's root or in every directory, under a name that lookup finds and readdir does not show. The engine
//! knows this trait and no view; `nexus.rs` registers them. Their node numbers have the top bit set, so they never meet
//! stored ones. All that is in a view is read-only.

use super::feed::Feed;
use crate::access::Right;
use crate::core::{Caller, Error, Ino, Kind, Name, Result, error::fail};
use crate::meta::{Node, Xattr};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

const VIEW_BIT: u64 = 1 << 63;
/// Set in the numbers of the view that hangs in every directory.
const EVERYWHERE_BIT: u64 = 1 << 62;
/// Where the index of a view stands in the numbers of those that hang in the root.
const INDEX_SHIFT: u32 = 40;
/// The names of a computed directory are numbered from here: doors have numbers of their own below it.
const FIRST_COOKIE: u64 = super::engine::FIRST_ID;

/// One item of a view, known by a number of the view's own: of 40 bits, or of 62 where it hangs in every directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Directory(Vec<(Name, u64)>),
    /// Bytes made when the file is opened.
    File(Bytes),
    /// Bytes that come as time goes by, and how many there can be at most by now.
    Feed(u64),
    /// Where the link points.
    Link(Vec<u8>),
    /// Something stored; `ino` and `parent` are numbers of the view. Its content is read as it is asked for.
    Stored(Arc<Node>),
}

/// One name that a view lists.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Pass it as `after` to go on behind this name.
    pub cookie: u64,
    pub name: Name,
    pub id: u64,
    pub item: Item,
}

/// Where a view hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hung {
    /// In the root of each tenant; its own root directory is item 0.
    InRoot,
    /// In every directory; there its root directory is the item with the directory's number. One view at most.
    Everywhere,
}

/// A subtree beside the stored ones.
pub trait View: Send + Sync {
    fn name(&self) -> &'static str;

    fn hung(&self) -> Hung {
        Hung::InRoot
    }

    /// Finds one item for this caller; `NotFound` for what does not exist or may not be seen.
    fn item(&self, caller: &Caller, id: u64) -> Result<Item>;

    /// Opens an item whose bytes come as time goes by.
    fn feed(&self, caller: &Caller, id: u64) -> Result<Arc<dyn Feed>> {
        let _ = caller;
        fail(Kind::NotFound, format!("no feed {id}"))
    }

    /// Finds a name in a directory of the view, and what it stands for.
    fn child(&self, caller: &Caller, id: u64, name: &Name) -> Result<(u64, Item)> {
        let entries = names(self.item(caller, id)?)?;
        let found = entries.into_iter().find(|(n, _)| n == name);
        let (_, id) = found.ok_or_else(|| Error::new(Kind::NotFound, format!("no {name}")))?;
        Ok((id, self.item(caller, id)?))
    }

    /// Lists names of a directory behind the cookie `after`; none at the end.
    fn page(&self, caller: &Caller, id: u64, after: u64) -> Result<Vec<Listed>> {
        let numbered = names(self.item(caller, id)?)?
            .into_iter()
            .zip(FIRST_COOKIE..);
        let behind = numbered.filter(|(_, cookie)| *cookie > after);
        behind
            .map(|((name, id), cookie)| {
                Ok(Listed {
                    cookie,
                    name,
                    id,
                    item: self.item(caller, id)?,
                })
            })
            .collect()
    }

    /// Decides whether the caller may read an item's bytes or names, or search it; who finds an item may, usually.
    fn allows(&self, caller: &Caller, id: u64, right: Right) -> Result<()> {
        self.item(caller, id)?;
        match right {
            Right::Read | Right::Execute => Ok(()),
            Right::Write | Right::Own => read_only(),
        }
    }

    /// The extended attributes of an item, by name, those of Nexus itself included.
    fn xattrs(&self, caller: &Caller, id: u64) -> Result<Vec<Arc<Xattr>>> {
        self.item(caller, id).map(|_| Vec::new())
    }

    /// Which of the items that had this number over time it is now.
    fn generation(&self, id: u64) -> u64 {
        let _ = id;
        0
    }

    /// Whether a name that was found in a directory of the view stays what it is until an event says otherwise, so that who found
    /// it may keep it.
    fn keeps_name(&self, dir: u64, name: &[u8]) -> bool {
        let _ = (dir, name);
        false
    }

    /// Whether all users of a tenant find the same under a name in a directory of the view, or nothing, until an event says
    /// otherwise.
    fn is_for_all(&self, dir: u64, name: &Name) -> Result<bool> {
        let _ = (dir, name);
        Ok(false)
    }

    /// Whether a name in a directory of the view stands for the same for all who come there, so that it may be kept for them though
    /// some may not search the directory: who goes on is refused by what the name stands for.
    fn is_common(&self, dir: u64, name: &Name) -> bool {
        let _ = (dir, name);
        false
    }

    /// Whether an item may stand under such a name: its attributes are not for all who come to it.
    fn is_entrance(&self, id: u64) -> bool {
        let _ = id;
        false
    }

    /// Whether an item is the same for ever, so that who has seen its attributes or bytes may keep them.
    fn lasts(&self, id: u64) -> bool {
        let _ = id;
        false
    }
}

fn names(item: Item) -> Result<Vec<(Name, u64)>> {
    match item {
        Item::Directory(entries) => Ok(entries),
        Item::File(_) | Item::Feed(_) | Item::Link(_) | Item::Stored(_) => {
            fail(Kind::NotDirectory, "not a directory")
        }
    }
}

/// What every change in a view is answered with.
pub(super) fn read_only<T>() -> Result<T> {
    fail(
        Kind::ReadOnly,
        "this is a view of something else and cannot be changed",
    )
}

/// The views of an engine, set once while it is assembled.
#[derive(Default)]
pub(super) struct Views(OnceLock<Hanging>);

#[derive(Default)]
struct Hanging {
    in_root: Vec<Box<dyn View>>,
    everywhere: Option<Box<dyn View>>,
}

impl Views {
    pub(super) fn set(&self, views: Vec<Box<dyn View>>) {
        let mut all = Hanging::default();
        for view in views {
            match view.hung() {
                Hung::InRoot => all.in_root.push(view),
                Hung::Everywhere => all.everywhere = Some(view),
            }
        }
        if self.0.set(all).is_err() {
            tracing::error!("views were registered twice; the first stay");
        }
    }

    /// The root of the view of this name that hangs in a directory.
    pub(super) fn in_dir(&self, dir: &Node, name: &Name) -> Option<Ino> {
        let all = self.0.get()?;
        if all
            .everywhere
            .as_ref()
            .is_some_and(|v| is_named(&**v, name))
        {
            return Some(Ino(VIEW_BIT | EVERYWHERE_BIT | dir.ino.0));
        }
        if dir.parent != Ino(0) {
            return None;
        }
        let index = all.in_root.iter().position(|v| is_named(&**v, name))?;
        Some(Ino(VIEW_BIT | (index as u64) << INDEX_SHIFT))
    }

    /// The name of the view that hangs in every directory.
    pub(super) fn everywhere(&self) -> Option<Name> {
        let view = self.0.get()?.everywhere.as_ref()?;
        Name::new(view.name().as_bytes()).ok()
    }

    /// Whether a view hangs under this name in every directory, where nothing else can have it.
    pub(super) fn takes(&self, name: &Name) -> bool {
        let everywhere = self.0.get().and_then(|all| all.everywhere.as_ref());
        everywhere.is_some_and(|v| is_named(&**v, name))
    }

    /// The view that a number is of, and the number of the item in it.
    fn of(&self, ino: Ino) -> Result<(&dyn View, u64)> {
        let none = || Error::new(Kind::NotFound, format!("no view has number {ino}"));
        let all = self.0.get().ok_or_else(none)?;
        if ino.0 & EVERYWHERE_BIT != 0 {
            let view = all.everywhere.as_ref().ok_or_else(none)?;
            return Ok((&**view, id_of(ino)));
        }
        let index = usize::try_from((ino.0 & !VIEW_BIT) >> INDEX_SHIFT).unwrap_or(usize::MAX);
        let view = all.in_root.get(index).ok_or_else(none)?;
        Ok((&**view, id_of(ino)))
    }

    pub(super) fn item(&self, caller: &Caller, ino: Ino) -> Result<Item> {
        let (view, id) = self.of(ino)?;
        view.item(caller, id)
    }

    pub(super) fn feed(&self, caller: &Caller, ino: Ino) -> Result<Arc<dyn Feed>> {
        let (view, id) = self.of(ino)?;
        view.feed(caller, id)
    }

    pub(super) fn child(&self, caller: &Caller, dir: Ino, name: &Name) -> Result<(Ino, Item)> {
        let (view, id) = self.of(dir)?;
        let (id, item) = view.child(caller, id, name)?;
        Ok((sibling(dir, id), item))
    }

    pub(super) fn page(&self, caller: &Caller, dir: Ino, after: u64) -> Result<Vec<Listed>> {
        let (view, id) = self.of(dir)?;
        view.page(caller, id, after)
    }

    pub(super) fn allows(&self, caller: &Caller, ino: Ino, right: Right) -> Result<()> {
        let (view, id) = self.of(ino)?;
        view.allows(caller, id, right)
    }

    pub(super) fn xattrs(&self, caller: &Caller, ino: Ino) -> Result<Vec<Arc<Xattr>>> {
        let (view, id) = self.of(ino)?;
        view.xattrs(caller, id)
    }

    pub(super) fn generation(&self, ino: Ino) -> u64 {
        self.of(ino).map_or(0, |(view, id)| view.generation(id))
    }

    pub(super) fn keeps_name(&self, dir: Ino, name: &[u8]) -> bool {
        self.of(dir)
            .is_ok_and(|(view, id)| view.keeps_name(id, name))
    }

    pub(super) fn is_for_all(&self, dir: Ino, name: &Name) -> Result<bool> {
        let (view, id) = self.of(dir)?;
        view.is_for_all(id, name)
    }

    pub(super) fn is_common(&self, dir: Ino, name: &Name) -> bool {
        self.of(dir)
            .is_ok_and(|(view, id)| view.is_common(id, name))
    }

    pub(super) fn is_entrance(&self, ino: Ino) -> bool {
        self.of(ino).is_ok_and(|(view, id)| view.is_entrance(id))
    }

    pub(super) fn lasts(&self, ino: Ino) -> bool {
        self.of(ino).is_ok_and(|(view, id)| view.lasts(id))
    }
}

fn is_named(view: &dyn View, name: &Name) -> bool {
    view.name().as_bytes() == name.as_bytes()
}

pub(super) fn is_view(ino: Ino) -> bool {
    ino.0 & VIEW_BIT != 0
}

/// Whether it is the root of the view that hangs in every directory, or lies below it.
pub(super) fn is_everywhere(ino: Ino) -> bool {
    is_view(ino) && ino.0 & EVERYWHERE_BIT != 0
}

/// How many low bits of a number are the view's own.
fn width(ino: Ino) -> u32 {
    if ino.0 & EVERYWHERE_BIT != 0 {
        EVERYWHERE_BIT.trailing_zeros()
    } else {
        INDEX_SHIFT
    }
}

fn id_of(ino: Ino) -> u64 {
    ino.0 & ((1 << width(ino)) - 1)
}

/// The number of another item of the same view.
pub(super) fn sibling(of: Ino, id: u64) -> Ino {
    let width = width(of);
    Ino((of.0 >> width << width) | id)
}
