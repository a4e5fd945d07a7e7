//! The working copy of a file that is open, which all its handles share.

use crate::blob::{Content, Working};
use crate::core::{Caller, Ino, Time};
use crate::meta::Node;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// The working copy of a node that is open, and what has to be known about it without waiting for it.
pub(super) struct OpenFile {
    pub ino: Ino,
    pub state: Mutex<Writing>,
    pub dirty: AtomicBool,
    pub(super) size: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) mtime: AtomicI64,
    /// Handles that may write: while there is one, a change of length belongs to its session.
    pub(super) writers: AtomicUsize,
    /// Whether anybody has asked for a lock: whoever closes it from now on is to say so.
    pub(super) locked: AtomicBool,
    /// Whether those who lock it share memory through it; found out by the first of them.
    pub(super) is_mapped: OnceLock<bool>,
    /// Bytes of its unsealed writes that are durable already, as drafts; changed under `state`.
    drafted: AtomicU64,
}

/// A write session under way.
pub(super) struct Writing {
    pub working: Working,
    /// Who wrote last: the name on the version that will come of it.
    pub writer: Option<Caller>,
}

impl OpenFile {
    pub(super) fn new(node: &Node) -> Self {
        let content = if node.is_file() {
            node.content.clone()
        } else {
            Content::Empty
        };
        Self {
            ino: node.ino,
            state: Mutex::new(Writing {
                working: Working::new(content),
                writer: None,
            }),
            dirty: AtomicBool::new(false),
            size: AtomicU64::new(node.size),
            held: AtomicU64::new(node.held()),
            mtime: AtomicI64::new(node.mtime.0),
            writers: AtomicUsize::new(0),
            locked: AtomicBool::new(false),
            is_mapped: OnceLock::new(),
            drafted: AtomicU64::new(0),
        }
    }

    /// Makes the working copy's size and time visible to getattr.
    pub(super) fn wrote(&self, working: &Working, at: Time) {
        self.size.store(working.size(), Ordering::Release);
        self.held.store(working.held(), Ordering::Release);
        self.mtime.store(at.0, Ordering::Release);
        self.dirty.store(true, Ordering::Release);
    }

    /// Takes over what the file was made from outside. Nothing of it is being written.
    pub(super) fn go_on_from(&self, node: &Node, writing: &mut Writing) {
        self.size.store(node.size, Ordering::Release);
        self.held.store(node.held(), Ordering::Release);
        self.mtime.store(node.mtime.0, Ordering::Release);
        writing.working = Working::new(node.content.clone());
    }

    /// Whoever makes something else of the file now has to wait for what is written to it.
    pub(super) fn begins(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Nothing came of it.
    pub(super) fn is_as_it_was(&self) {
        self.dirty.store(false, Ordering::Release);
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Whether somebody has the file open for writing, and will seal what is changed now.
    pub(super) fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) > 0
    }

    pub(super) fn drafted(&self) -> u64 {
        self.drafted.load(Ordering::Acquire)
    }

    pub(super) fn draft(&self, bytes: u64) {
        self.drafted.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn undraft(&self) {
        self.drafted.store(0, Ordering::Release);
    }

    pub(super) fn mtime(&self) -> Time {
        Time(self.mtime.load(Ordering::Acquire))
    }
}
