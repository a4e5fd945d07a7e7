//! The engine's state, and how it reads the present.

use super::alike::Open;
use super::audit::Audit;
use super::events::Events;
use super::forget::Thinning;
use super::gone::Graveyard;
use super::handle::Files;
use super::home::Tenants;
use super::locks::Locks;
use super::memory::Memory;
use super::policy::Policy;
use super::process::Processes;
use super::relations::Relations;
use super::reserve::Reserve;
use super::revision::Revision;
use super::transient::Transient;
use super::view::{View, Views};
use crate::blob::Blobs;
use crate::core::{Clock, Config, Error, Ino, Kind, Latest, Name, Result, Time};
use crate::db::Db;
use crate::meta::cache::{Cache, Place};
use crate::meta::{Edit, Entry, Node, Store, Xattr, guards, numbers};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers below this are never given to nodes: 1 and 2 are `.` and `..` in readdir.
pub(super) const FIRST_ID: u64 = 16;
/// How many numbers are reserved at a time; what a crash leaves unused is skipped.
const ID_BLOCK: u64 = 4096;

/// A filesystem over a database and a blob store. Shared by every door.
pub struct Engine {
    pub(super) store: Store,
    pub(super) blobs: Arc<Blobs>,
    pub(super) cache: Cache,
    pub(super) clock: Clock,
    /// What grants and keys expire by.
    pub(super) latest: Latest,
    pub(super) config: Config,
    /// One change at a time; see `commit`.
    pub(super) turn: Mutex<()>,
    pub(super) transient: Arc<Transient>,
    pub(super) files: Files,
    pub(super) locks: Arc<Locks>,
    pub(super) tenants: Tenants,
    pub(super) policy: Policy,
    pub(super) graveyard: Graveyard,
    pub(super) open: Open,
    pub(super) memory: Memory,
    pub(super) audit: Audit,
    pub(super) relations: Relations,
    pub(super) events: Events,
    /// Another one after each change by which something of the past may be judged otherwise.
    pub(super) rejudged: Revision,
    pub(super) views: Views,
    pub(super) processes: Processes,
    /// Held while a content that a table has is taken up by something open; see `sweep`.
    pub(super) borrowing: RwLock<()>,
    /// Rows of the past that are on their way out; one administrator forgets at a time.
    pub(super) thinning: Mutex<Thinning>,
    pub(super) reserve: Reserve,
    /// Access times not yet written down (relatime: lazily, without an operation).
    pub(super) atimes: Mutex<HashMap<Ino, Time>>,
    /// The next number to give out.
    ids: AtomicU64,
}

impl Engine {
    /// Builds the engine over a migrated database and makes sure the default tenant exists.
    pub fn new(config: Config, db: Arc<dyn Db>, clock: Clock) -> Result<Self> {
        let blobs = Arc::new(Blobs::open(&config, db.clone())?);
        let store = Store::open(db, blobs.clone(), &config.journal())?;
        let first = numbers::next(&mut *store.read()?)?.max(FIRST_ID);
        let transient = Arc::<Transient>::default();
        let engine = Self {
            store,
            blobs,
            cache: Cache::new(config.node_cache),
            clock,
            latest: Latest::default(),
            config,
            turn: Mutex::new(()),
            files: Files::new(transient.clone()),
            locks: Arc::default(),
            transient,
            tenants: Tenants::default(),
            policy: Policy::default(),
            graveyard: Graveyard::default(),
            open: Open::default(),
            memory: Memory::default(),
            audit: Audit::default(),
            relations: Relations::default(),
            events: Events::default(),
            rejudged: Revision::default(),
            views: Views::default(),
            processes: Processes::default(),
            borrowing: RwLock::default(),
            thinning: Mutex::default(),
            reserve: Reserve::default(),
            atimes: Mutex::default(),
            ids: AtomicU64::new(first),
        };
        engine.fill_guards()?;
        engine.seed()?;
        engine.recover_drafts()?;
        engine.load_thinning()?;
        Ok(engine)
    }

    /// Guards what an earlier version wrote without, once.
    fn fill_guards(&self) -> Result<()> {
        if guards::complete(&mut *self.store.read()?)? {
            return Ok(());
        }
        let mut tx = self.store.begin()?;
        guards::fill(&mut *tx)?;
        tx.commit()
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time that expiry is judged by: it never goes back, not behind what the log has either.
    pub fn latest(&self) -> Time {
        self.latest.pass(self.clock.now())
    }

    /// What is committed: rows and log.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes everything that has been done so far survive a power cut.
    pub fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn events(&self) -> &Events {
        &self.events
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Registers the computed subtrees; once, while Nexus is put together.
    pub fn set_views(&self, views: Vec<Box<dyn View>>) {
        self.views.set(views);
    }

    /// The name of the view that hangs in every directory.
    pub fn everywhere(&self) -> Option<Name> {
        self.views.everywhere()
    }

    /// Forgets what can be read again, to free memory or to read cold.
    pub fn drop_caches(&self) {
        self.cache.clear();
        self.memory.clear();
        self.blobs.drop_cache();
    }

    /// Brings files that are being created to the tables, so that the log has them.
    pub fn settle_files(&self) -> Result<()> {
        self.settle_births(None)
    }

    /// A number for a node that somebody is going to bring.
    pub fn fresh_ino(&self) -> Ino {
        Ino(self.next_id())
    }

    /// Gives out a number that was never given out before.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// What the next new node will be numbered at least: all that there are have smaller numbers.
    pub fn next_ino(&self) -> Ino {
        Ino(self.ids.load(Ordering::SeqCst))
    }

    /// What a change has to say about numbers: all that it may have taken, and some to come, are reserved.
    pub(super) fn ids_taken(&self) -> Edit {
        let next = self.ids.load(Ordering::Relaxed);
        Edit::Ids((next / ID_BLOCK + 1) * ID_BLOCK)
    }

    /// The node's stored state: what was committed, or what is not in the tables yet or any more but still open.
    pub(super) fn node(&self, ino: Ino) -> Result<Arc<Node>> {
        if let Some(node) = self.transient.node(ino) {
            return Ok(node);
        }
        if let Some(node) = self.stored_node(ino)? {
            return Ok(node);
        }
        // Between the two looks its last name may have gone: what is open is now among the transient.
        self.transient.node(ino).ok_or_else(|| no_node(ino))
    }

    pub(super) fn stored_node(&self, ino: Ino) -> Result<Option<Arc<Node>>> {
        if let Some(known) = self.cache.node(ino) {
            return Ok(known);
        }
        let began = self.cache.reading();
        let found = self.store.node(ino)?;
        self.cache.fill_node(began, ino, found.clone());
        Ok(found)
    }

    /// All extended attributes of a node, by name.
    pub(super) fn xattrs(&self, ino: Ino) -> Result<Arc<[Arc<Xattr>]>> {
        if let Some(known) = self.cache.xattrs(ino) {
            return Ok(known);
        }
        if self.transient.birth(ino).is_some() {
            // Whoever gives it one brings it to the tables first.
            return Ok(Arc::new([]));
        }
        let began = self.cache.reading();
        let all: Arc<[_]> = self.store.xattrs(ino)?.into();
        self.cache.fill_xattrs(began, ino, all.clone());
        Ok(all)
    }

    /// What a name stands for, files that are still being created included.
    pub(super) fn child(&self, parent: Ino, name: &Name) -> Result<Option<Ino>> {
        let place = Place {
            parent,
            name: name.clone(),
        };
        if let Some(ino) = self.transient.child(&place) {
            return Ok(Some(ino));
        }
        Ok(self.stored_entry(place)?.map(|e| e.ino))
    }

    pub(super) fn stored_entry(&self, place: Place) -> Result<Option<Arc<Entry>>> {
        if let Some(known) = self.cache.entry(&place) {
            return Ok(known);
        }
        let began = self.cache.reading();
        if self.cache.is_absent(&place) {
            return Ok(None);
        }
        let found = self.store.entry(&place)?;
        self.cache.fill_entry(began, place, found.clone());
        Ok(found)
    }

    /// One place where a node has a name; `None` for a tenant's root and for what has no name any more.
    pub(super) fn place(&self, ino: Ino) -> Result<Option<Arc<Place>>> {
        if let Some(place) = self.transient.place(ino).or_else(|| self.cache.place(ino)) {
            return Ok(Some(place));
        }
        let began = self.cache.reading();
        let Some(found) = self.store.name_of(ino)? else {
            return Ok(None);
        };
        let place = Place {
            parent: found.parent,
            name: found.name.clone(),
        };
        self.cache.fill_entry(began, place.clone(), Some(found));
        Ok(Some(Arc::new(place)))
    }

    /// Writes down what waits: files created and left open, access times; goes on with what a crash interrupted. Called by the
    /// daemon every second or so.
    pub fn housekeep(&self) -> Result<()> {
        let old = Time(self.clock.now().0 - 1_000_000_000);
        self.retire_grants();
        self.retry_unsealed();
        // Each of them, whatever comes of the others.
        let done = [
            self.settle_births(Some(old)),
            self.blobs.tend(),
            self.write_bypasses(),
            self.write_repeats(),
            self.thin_on(),
            self.write_atimes(),
            self.keep_room(),
        ];
        done.into_iter().collect()
    }

    /// Brings everything open to the tables, for a clean shutdown; returns how many files had something pending.
    pub fn settle(&self) -> Result<usize> {
        let pending = self.flush_all()?;
        let done = [
            self.settle_births(None),
            self.write_bypasses(),
            self.write_all_repeats(None),
            self.write_atimes(),
            self.store.close(),
        ];
        done.into_iter().collect::<Result<()>>()?;
        Ok(pending)
    }

    fn write_atimes(&self) -> Result<()> {
        // None of them is written behind a change that has set another.
        let _turn = self.turn.lock();
        let atimes = std::mem::take(&mut *self.atimes.lock());
        if atimes.is_empty() {
            return Ok(());
        }
        let edits = atimes.into_iter().map(|(ino, at)| Edit::Atime(ino, at));
        self.store.commit(edits.collect())
    }
}

pub(super) fn no_node(ino: Ino) -> Error {
    Error::new(
        Kind::NotFound,
        format!("node {ino} does not exist any more"),
    )
}
