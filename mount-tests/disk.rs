//! A disk that can lose its power: a FUSE filesystem in memory that knows what was synced.
//!
//! The model is a filesystem with ordered metadata, as harsh as POSIX allows:
//! - Bytes and sizes of a file survive once the file is synced. Of what was written since, any subset of pages may.
//! - Names survive once their directory is synced. The changes of names are one queue for the whole disk: syncing a
//!   directory keeps the queue up to that directory's last change, and a cut keeps a random part from the front.
//! - Syncing a file says nothing about its name.
//! - A sync of a file that fails is reported once to each descriptor that was open, and what was written is lost from
//!   the disk, not from the cache: the next sync has nothing to do and succeeds (fsync(2), errseq in the kernel).
//!
//! Files named `*-shm` are memory: they are written when the kernel likes, so they do not count and never fail.

use fuser::{Errno, FileType};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::dice::Dice;

const PAGE: usize = 4096;
pub(crate) const ROOT: u64 = 1;

type Names = BTreeMap<(u64, OsString), u64>;
type NameChange = Vec<((u64, OsString), Option<u64>)>;

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::Resize(size) => data.resize(*size, 0),
            Self::Write { at, bytes } => {
                data.resize(data.len().max(at + bytes.len()), 0);
                data[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// The parts of a change that a disk writes, or does not, as a whole.
    fn pages(self) -> Vec<Self> {
        let Self::Write { at, bytes } = self else {
            return vec![self];
        };
        let (mut pages, mut from) = (Vec::new(), 0);
        while from < bytes.len() {
            let to = bytes.len().min(from + PAGE - (at + from) % PAGE);
            pages.push(Self::Write {
                at: at + from,
                bytes: bytes[from..to].to_vec(),
            });
            from = to;
        }
        pages
    }
}

pub(crate) struct Inode {
    pub(crate) kind: FileType,
    pub(crate) mode: u16,
    pub(crate) owner: (u32, u32),
    pub(crate) data: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Syncs that failed.
    losses: u64,
    memory: bool,
}

/// When the disk fails, and how: counted in operations that change it.
enum Trouble {
    None,
    /// From that operation on, nothing works and nothing changes.
    Cut(u64),
    /// That operation, and no other, fails.
    Fail {
        at: u64,
        errno: i32,
        fired: bool,
    },
}

pub(crate) struct State {
    pub(crate) inodes: HashMap<u64, Inode>,
    pub(crate) names: Names,
    synced: Names,
    unsynced: Vec<NameChange>,
    /// How many losses of its file each open descriptor knows of.
    known: HashMap<u64, u64>,
    next: u64,
    count: u64,
    trouble: Trouble,
}

impl State {
    fn empty() -> Self {
        let mut state = Self {
            inodes: HashMap::new(),
            names: Names::new(),
            synced: Names::new(),
            unsynced: Vec::new(),
            known: HashMap::new(),
            next: ROOT,
            count: 0,
            trouble: Trouble::None,
        };
        state.add(FileType::Directory, 0o755, (0, 0));
        state
    }

    pub(crate) fn add(&mut self, kind: FileType, mode: u32, owner: (u32, u32)) -> u64 {
        let (ino, data) = (self.next, Vec::new());
        let mode = u16::try_from(mode & 0o7777).unwrap();
        let synced = Vec::new();
        self.inodes.insert(
            ino,
            Inode {
                kind,
                mode,
                owner,
                data,
                synced,
                unsynced: Vec::new(),
                losses: 0,
                memory: false,
            },
        );
        self.next += 1;
        ino
    }

    /// Opens a file: gives a number for the descriptor.
    pub(crate) fn open(&mut self, ino: u64) -> u64 {
        let handle = self.next;
        self.next += 1;
        self.known.insert(handle, self.inodes[&ino].losses);
        handle
    }

    pub(crate) fn close(&mut self, handle: u64) {
        self.known.remove(&handle);
    }

    /// Counts an operation on a file.
    pub(crate) fn strike_file(&mut self, ino: u64) -> Result<(), Errno> {
        if self.inodes[&ino].memory {
            self.powered()
        } else {
            self.strike()
        }
    }

    pub(crate) fn find(&self, parent: u64, name: &OsStr) -> Option<u64> {
        self.names.get(&(parent, name.to_owned())).copied()
    }

    pub(crate) fn is_empty(&self, dir: u64) -> bool {
        !self.names.keys().any(|(parent, _)| *parent == dir)
    }

    /// Counts an operation that changes the disk, unless trouble comes with it.
    pub(crate) fn strike(&mut self) -> Result<(), Errno> {
        self.count += 1;
        match &mut self.trouble {
            Trouble::Cut(at) if self.count >= *at => Err(Errno::EIO),
            Trouble::Fail { at, errno, fired } if self.count >= *at && !*fired => {
                *fired = true;
                Err(Errno::from_i32(*errno))
            }
            _ => Ok(()),
        }
    }

    /// Reading fails only without power.
    pub(crate) fn powered(&self) -> Result<(), Errno> {
        match self.trouble {
            Trouble::Cut(at) if self.count >= at => Err(Errno::EIO),
            _ => Ok(()),
        }
    }

    pub(crate) fn rename_all(&mut self, change: NameChange) {
        for ((_, name), ino) in &change {
            if let Some(inode) = ino.and_then(|ino| self.inodes.get_mut(&ino)) {
                inode.memory = name.as_encoded_bytes().ends_with(b"-shm");
            }
        }
        apply(&mut self.names, &change);
        self.unsynced.push(change);
    }

    pub(crate) fn write(&mut self, ino: u64, at: usize, bytes: &[u8]) {
        self.change(
            ino,
            Change::Write {
                at,
                bytes: bytes.to_vec(),
            },
        );
    }

    pub(crate) fn resize(&mut self, ino: u64, size: usize) {
        self.change(ino, Change::Resize(size));
    }

    fn change(&mut self, ino: u64, change: Change) {
        let inode = self.inodes.get_mut(&ino).unwrap();
        change.apply(&mut inode.data);
        inode.unsynced.push(change);
    }

    pub(crate) fn sync_file(&mut self, ino: u64, handle: u64) -> Result<(), Errno> {
        let struck = self.strike_file(ino);
        let inode = self.inodes.get_mut(&ino).unwrap();
        let waiting = std::mem::take(&mut inode.unsynced);
        if let Err(e) = struck {
            inode.losses += 1;
            self.known.insert(handle, inode.losses);
            return Err(e);
        }
        for change in waiting {
            change.apply(&mut inode.synced);
        }
        match self.known.insert(handle, inode.losses) {
            Some(known) if known < inode.losses => Err(Errno::EIO),
            _ => Ok(()),
        }
    }

    pub(crate) fn sync_names(&mut self, dir: u64) {
        let touches = |change: &NameChange| change.iter().any(|((parent, _), _)| *parent == dir);
        let keep = self
            .unsynced
            .iter()
            .rposition(touches)
            .map_or(0, |last| last + 1);
        for change in self.unsynced.drain(..keep) {
            apply(&mut self.synced, &change);
        }
    }

    /// The disk as it is found when the power is back.
    fn after_cut(&mut self, dice: &mut Dice) -> String {
        let kept = dice.index(self.unsynced.len() + 1);
        let mood = dice.below(4);
        for change in &self.unsynced[..kept] {
            apply(&mut self.synced, change);
        }
        for inode in self.inodes.values_mut() {
            for page in inode.unsynced.drain(..).flat_map(Change::pages) {
                let survives = match mood {
                    0 => false,
                    1 => true,
                    _ => dice.one_in(2),
                };
                if survives {
                    page.apply(&mut inode.synced);
                }
            }
            inode.data.clone_from(&inode.synced);
        }
        let names = self.unsynced.len();
        self.unsynced.clear();
        self.names = self.synced.clone();
        self.trouble = Trouble::None;
        self.count = 0;
        format!("the cut kept {kept} of {names} changes of names, mood {mood}")
    }
}

fn apply(names: &mut Names, change: &NameChange) {
    for (key, ino) in change {
        match ino {
            Some(ino) => names.insert(key.clone(), *ino),
            None => names.remove(key),
        };
    }
}

/// The disk's memory, shared between the test and the filesystem that serves it.
#[derive(Clone)]
pub(crate) struct Platter(Arc<Mutex<State>>);

impl Platter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::empty())))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many operations have changed the disk, or tried to.
    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Lets the power fail with the `n`th operation from now on that changes the disk.
    pub(crate) fn cut_after(&self, n: u64) -> String {
        let mut state = self.lock();
        state.trouble = Trouble::Cut(state.count + n);
        String::new()
    }

    /// Lets the `n`th operation from now on fail, once.
    pub(crate) fn fail_once(&self, n: u64, errno: i32) -> String {
        let mut state = self.lock();
        state.trouble = Trouble::Fail {
            at: state.count + n,
            errno,
            fired: false,
        };
        String::new()
    }

    /// Whether the trouble that was ordered has come.
    pub(crate) fn has_fired(&self) -> bool {
        matches!(self.lock().trouble, Trouble::Fail { fired: true, .. })
    }

    /// Ends the trouble; tells whether it came.
    pub(crate) fn calm(&self) -> bool {
        let trouble = std::mem::replace(&mut self.lock().trouble, Trouble::None);
        matches!(trouble, Trouble::Fail { fired: true, .. })
    }

    pub(crate) fn forget_unsynced(&self, dice: &mut Dice) -> String {
        self.lock().after_cut(dice)
    }
}
