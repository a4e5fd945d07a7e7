//! Room on the disk that is kept for gc, which has to write before it can free anything: on a full disk it gives that up.
//!
//! It is taken where there is plenty, so a small disk has none, and kept again once there is plenty again. Nobody else is held off
//! while it is free: a disk that is being filled all the time is full again.

use super::engine::Engine;
use crate::core::{Error, Kind, Result};
use crate::db::owner::make_file;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;
use std::fs;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that are kept: what the database needs for what waits, as a rule, and for the deletions.
const ROOM: i64 = 16 << 20;
/// Free bytes with fewer of which none are kept.
const PLENTY: i64 = 4 * ROOM;

/// Whether it is kept, or cannot be.
#[derive(Default)]
pub(super) struct Reserve(AtomicBool);

impl Engine {
    /// Runs what frees room on the disk; where that is full, once more with the room that is kept for it.
    pub fn with_room<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        match work() {
            Err(e) if e.kind() == Kind::NoSpace && self.give_room()? => work(),
            done => done,
        }
    }

    /// Whether there was some to give up.
    fn give_room(&self) -> Result<bool> {
        match fs::remove_file(self.config.reserve()) {
            Ok(()) => {
                tracing::warn!("the disk is full: gc has the room that was kept for it");
                self.reserve.0.store(false, Ordering::Relaxed);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::from(e).context("room for gc")),
        }
    }

    /// Keeps room where there is plenty, once.
    pub(super) fn keep_room(&self) -> Result<()> {
        if self.reserve.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        let at = |e: std::io::Error| Error::from(e).context("room for gc");
        let disk = statvfs(self.config.data_dir.as_path()).map_err(|e| at(e.into()))?;
        if disk.blocks_available().saturating_mul(disk.fragment_size()) < PLENTY.unsigned_abs() {
            return Ok(());
        }
        let path = self.config.reserve();
        match make_file(&path) {
            Ok(file) => {
                // A disk that promises no room has none to give.
                if fallocate(&file, FallocateFlags::empty(), 0, ROOM).is_err() {
                    fs::remove_file(&path).map_err(at)?;
                }
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(at(e)),
        }
        self.reserve.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}
