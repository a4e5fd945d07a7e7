//! `.at`: in every directory, the same directory at other moments.
//!
//! `DIR/.at/WHEN` is DIR as it was then, read-only, with all that was below it, and no other `.at` in it. Nothing is kept
//! for what is looked at but the moment: a number in the view is a seat (see `seats`) and a node's own number.

use super::seats::{Seat, Seats};
use super::snapshot;
use super::when::{When, operation, resolve_when};
use crate::access::Right;
use crate::core::{Caller, Error, Ino, Kind, Name, Result, error::fail};
use crate::fs::view::{Hung, Item, Listed};
use crate::fs::{DirEntry, Engine, Moment, View};
use crate::meta::{Node, Xattr};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Where the number of a seat stands in an item's number; below it is the node's. Seat 0 is `.at` itself.
const SEAT_SHIFT: u32 = 40;
/// Where the names that `.at` lists are counted from: doors have numbers of their own below it.
const COOKIES: u64 = 16;

/// The view behind `.at`.
pub struct At {
    engine: Weak<Engine>,
    seats: Mutex<Seats>,
}

impl At {
    /// Makes the view of an engine that will own it.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            seats: Mutex::default(),
        }
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        let engine = self.engine.upgrade();
        engine.ok_or_else(|| Error::new(Kind::Unavailable, "the store is closing"))
    }

    /// The seat that an item belongs to, `None` for `.at` itself. To another tenant it does not exist.
    fn seat(&self, caller: &Caller, id: u64) -> Result<Option<Seat>> {
        let number = u32::try_from(id >> SEAT_SHIFT).unwrap_or(u32::MAX);
        if number == 0 {
            return Ok(None);
        }
        let seat = self.seats.lock().seat(number)?;
        if caller.tenant == Some(seat.at.tenant) {
            return Ok(Some(seat));
        }
        fail(Kind::NotFound, format!("no item {id} in .at"))
    }

    /// A node as it was, with numbers of the view.
    fn stored(&self, seat: &Seat, id: u64, node: &Node) -> Result<Item> {
        let parent = if !node.is_dir() {
            0
        } else if is_entrance(seat, node.ino.0) {
            // Above the directory that was entered is the `.at` it was found in.
            seat.base.0
        } else {
            let up = self.engine()?.parent_at(seat.at, node.ino)?;
            up.map_or(0, |up| id & !mask() | up.0)
        };
        Ok(numbered(id, Ino(parent), node))
    }

    /// What `.at` lists: the snapshots in which the directory was, as far as the caller may see them.
    fn snapshots(&self, caller: &Caller, dir: Ino, after: u64) -> Result<Vec<Listed>> {
        self.may_enter(caller, dir)?;
        let engine = self.engine()?;
        let mut listed = Vec::new();
        for (cookie, (name, at)) in (COOKIES..).zip(snapshot::found_in(&engine, caller, dir)?) {
            if cookie <= after {
                continue;
            }
            match engine.getattr_at(caller, at, dir) {
                Ok(node) => {
                    let id = self.enter(at, dir);
                    let item = self.stored(&Seat { at, base: dir }, id, &node)?;
                    listed.push(Listed {
                        cookie,
                        name,
                        id,
                        item,
                    });
                }
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(listed)
    }

    /// The number of a directory at a moment, entered by its own `.at`.
    fn enter(&self, at: Moment, dir: Ino) -> u64 {
        let seat = self.seats.lock().number(Seat { at, base: dir });
        (u64::from(seat) << SEAT_SHIFT) | dir.0
    }

    /// Fails unless the caller may still search the directory whose `.at` this is.
    fn may_enter(&self, caller: &Caller, dir: Ino) -> Result<()> {
        let engine = self.engine()?;
        engine.getattr(caller, dir)?;
        engine.may_still(caller, dir, Right::Execute)
    }

    /// The same where an item is what a word shows, to which kernels go without asking.
    fn may_pass(&self, caller: &Caller, seat: &Seat, id: u64) -> Result<()> {
        if is_entrance(seat, id) {
            return self.may_enter(caller, seat.base);
        }
        Ok(())
    }
}

/// Whether an item is what a word shows: the directory whose `.at` was entered.
fn is_entrance(seat: &Seat, id: u64) -> bool {
    node_of(id) == seat.base
}

/// A node with its number in the view, and that of the directory it is in.
fn numbered(id: u64, parent: Ino, node: &Node) -> Item {
    Item::Stored(Arc::new(Node {
        ino: Ino(id),
        parent,
        ..node.clone()
    }))
}

/// What was found in a directory of the view, with its number there.
fn in_dir(dir: u64, found: &Node) -> (u64, Item) {
    let id = dir & !mask() | found.ino.0;
    let parent = if found.is_dir() { Ino(dir) } else { Ino(0) };
    (id, numbered(id, parent, found))
}

/// The stored node behind a number: itself, or what `.at` shows. Fails with `Unsupported` for what is computed.
pub(super) fn stored(engine: &Engine, ino: Ino) -> Result<Ino> {
    if !engine.is_in_view(ino) {
        return Ok(ino);
    }
    if engine.is_computed(ino) {
        return fail(Kind::Unsupported, "this is computed and has no history");
    }
    Ok(node_of(ino.0))
}

/// Whether a word that was found means the same moment for as long as it means one.
fn stays(at: &At, word: &str) -> bool {
    let now = at.engine().map(|engine| engine.clock().now());
    match now.and_then(|now| When::read(word, now)) {
        Ok(Some(When::Op(_)) | None) => true,
        Ok(Some(When::Now | When::Time(_))) | Err(_) => false,
    }
}

fn mask() -> u64 {
    (1 << SEAT_SHIFT) - 1
}

fn node_of(id: u64) -> Ino {
    Ino(id & mask())
}

impl View for At {
    fn name(&self) -> &'static str {
        ".at"
    }

    fn hung(&self) -> Hung {
        Hung::Everywhere
    }

    fn item(&self, caller: &Caller, id: u64) -> Result<Item> {
        let engine = self.engine()?;
        let Some(seat) = self.seat(caller, id)? else {
            engine.getattr(caller, node_of(id))?;
            return Ok(Item::Directory(Vec::new()));
        };
        self.may_pass(caller, &seat, id)?;
        let node = engine.getattr_at(caller, seat.at, node_of(id))?;
        self.stored(&seat, id, &node)
    }

    fn child(&self, caller: &Caller, id: u64, name: &Name) -> Result<(u64, Item)> {
        let (engine, dir) = (self.engine()?, node_of(id));
        if let Some(seat) = self.seat(caller, id)? {
            let found = engine.lookup_at(caller, seat.at, dir, name)?;
            return Ok(in_dir(id, &found));
        }
        self.may_enter(caller, dir)?;
        let word = name.to_string();
        let at = resolve_when(&engine, caller, &word)?;
        snapshot::belongs(&engine, caller, &word, dir)?;
        let node = engine.getattr_at(caller, at, dir)?;
        let id = self.enter(at, dir);
        let item = self.stored(&Seat { at, base: dir }, id, &node)?;
        Ok((id, item))
    }

    fn page(&self, caller: &Caller, id: u64, after: u64) -> Result<Vec<Listed>> {
        let Some(seat) = self.seat(caller, id)? else {
            return self.snapshots(caller, node_of(id), after);
        };
        let page = self
            .engine()?
            .list_at(caller, seat.at, node_of(id), after)?;
        let listed = |e: DirEntry| {
            let (id, item) = in_dir(id, &e.node);
            Listed {
                cookie: e.cookie,
                name: e.name,
                id,
                item,
            }
        };
        Ok(page.into_iter().map(listed).collect())
    }

    fn allows(&self, caller: &Caller, id: u64, right: Right) -> Result<()> {
        let engine = self.engine()?;
        match self.seat(caller, id)? {
            Some(seat) => engine.may_at(caller, seat.at, node_of(id), right),
            None if matches!(right, Right::Write | Right::Own) => {
                fail(Kind::ReadOnly, "the past cannot be changed")
            }
            None => self.may_enter(caller, node_of(id)),
        }
    }

    fn xattrs(&self, caller: &Caller, id: u64) -> Result<Vec<Arc<Xattr>>> {
        let Some(seat) = self.seat(caller, id)? else {
            return Ok(Vec::new());
        };
        let engine = self.engine()?;
        self.may_pass(caller, &seat, id)?;
        engine.getattr_at(caller, seat.at, node_of(id))?;
        engine.xattrs_at(seat.at, node_of(id))
    }

    fn generation(&self, id: u64) -> u64 {
        let number = u32::try_from(id >> SEAT_SHIFT).unwrap_or(0);
        self.seats.lock().generation(number)
    }

    /// What a moment shows stays. Of the words for one, an operation's number does, and a snapshot's name until that is deleted, which
    /// an event tells; times move on, and what is no moment yet may become one.
    fn keeps_name(&self, dir: u64, name: &[u8]) -> bool {
        self.lasts(dir) || std::str::from_utf8(name).is_ok_and(|word| stays(self, word))
    }

    fn is_for_all(&self, dir: u64, name: &Name) -> Result<bool> {
        let engine = self.engine()?;
        if dir >> SEAT_SHIFT != 0 {
            let number = u32::try_from(dir >> SEAT_SHIFT).unwrap_or(u32::MAX);
            let seat = self.seats.lock().seat(number)?;
            return engine.looked_alike(seat.at, node_of(dir), name);
        }
        Ok(engine.is_open(node_of(dir))? && engine.word_is_for_all(node_of(dir), name)?)
    }

    fn is_common(&self, dir: u64, name: &Name) -> bool {
        !self.lasts(dir) && operation(&name.to_string()).is_some()
    }

    fn is_entrance(&self, id: u64) -> bool {
        let number = u32::try_from(id >> SEAT_SHIFT).unwrap_or(0);
        let seat = self.seats.lock().seat(number);
        seat.is_ok_and(|seat| is_entrance(&seat, id))
    }

    fn lasts(&self, id: u64) -> bool {
        id >> SEAT_SHIFT != 0
    }
}
