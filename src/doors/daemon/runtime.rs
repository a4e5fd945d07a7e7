//! The daemon's runtime directory: what processes need of the daemon that may not enter the data directory.
//!
//! It stands where the system keeps such things, and nobody but the daemon writes in it. The data directory has a link to it,
//! by which clients find the socket in it, and the next daemon what one that was killed left there. What was left by daemons of which
//! no data directory tells any more, the next one of the same user sweeps.

use super::claim::{self, Claim, POINT};
use crate::core::config::socket_of;
use crate::core::{Config, Error, Result};
use crate::doors::fuse;
use nix::unistd::geteuid;
use parking_lot::Mutex;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;

/// Where root's daemons have theirs (hier(7)); others, and where there is none, where temporary files are.
const BASE: &str = "/run";

/// Made when it is first needed.
pub(super) struct Runtime {
    link: PathBuf,
    made: Mutex<Option<Claim>>,
    rooms: AtomicU32,
    /// The socket for others, until somebody listens there.
    bound: Mutex<Option<UnixListener>>,
    opened: Notify,
}

impl Runtime {
    pub(super) fn of(config: &Config) -> Self {
        let runtime = Self {
            link: config.runtime(),
            made: Mutex::default(),
            rooms: AtomicU32::new(1),
            bound: Mutex::default(),
            opened: Notify::new(),
        };
        runtime.clear();
        for base in bases() {
            claim::sweep(&base);
        }
        runtime
    }

    /// The directory, made when it does not exist.
    pub(super) fn dir(&self) -> Result<PathBuf> {
        let mut made = self.made.lock();
        if let Some(claim) = &*made {
            return Ok(claim.path().to_owned());
        }
        let claim = make().map_err(|e| failed(e, Path::new(BASE)))?;
        let dir = claim.path().to_owned();
        symlink(&dir, &self.link).map_err(|e| failed(e, &self.link))?;
        *made = Some(claim);
        Ok(dir)
    }

    /// Makes a mount point in a directory of its own.
    pub(super) fn room(&self) -> Result<PathBuf> {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let point = self.dir()?.join(format!("run-{number}")).join(POINT);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&point);
        made.map_err(|e| failed(e, &point))?;
        Ok(point)
    }

    /// Lets everybody in to a socket of its own, where the kernel says who it is that asks.
    pub(super) fn open(&self) -> Result<()> {
        let dir = self.dir()?;
        let at = |e| failed(e, &dir);
        let socket = socket_of(&dir);
        if !socket.exists() {
            let listener = UnixListener::bind(&socket).map_err(at)?;
            listener.set_nonblocking(true).map_err(at)?;
            fs::set_permissions(&socket, Permissions::from_mode(0o666)).map_err(at)?;
            *self.bound.lock() = Some(listener);
            self.opened.notify_one();
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(at)
    }

    /// Keeps others out again.
    pub(super) fn shut(&self) -> Result<()> {
        match &*self.made.lock() {
            Some(claim) => {
                let dir = claim.path();
                fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|e| failed(e, dir))
            }
            None => Ok(()),
        }
    }

    /// Waits for the socket that others enter by.
    pub(super) async fn opened(&self) -> UnixListener {
        loop {
            if let Some(listener) = self.bound.lock().take() {
                return listener;
            }
            self.opened.notified().await;
        }
    }

    /// Takes the directory away, with the dead mounts of a daemon that was killed.
    pub(super) fn clear(&self) {
        let own = self.made.lock().take();
        let Ok(dir) = fs::read_link(&self.link) else {
            return;
        };
        // A data directory that was copied has the link of a daemon that lives.
        let removed = match own {
            Some(_) => claim::remove(&dir, fuse::discard),
            None => claim::take(&dir, fuse::discard).map(drop),
        };
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("runtime directory {}: {e}", dir.display());
            }
            _ => {}
        }
        if let Err(e) = fs::remove_file(&self.link) {
            tracing::warn!("{}: {e}", self.link.display());
        }
    }
}

/// Lets somebody in to a mount point, and nobody else.
pub(super) fn hand_over(point: &Path, uid: u32) -> Result<()> {
    match point.parent() {
        Some(room) if uid != geteuid().as_raw() => {
            chown(room, Some(uid), None).map_err(|e| failed(e, room))
        }
        _ => Ok(()),
    }
}

/// Takes a mount point away that nothing is mounted at any more.
pub(super) fn give_back(point: &Path) {
    let room = point.parent().unwrap_or(point);
    if let Err(e) = fs::remove_dir(point).and_then(|()| fs::remove_dir(room)) {
        tracing::warn!("runtime directory {}: {e}", room.display());
    }
}

fn bases() -> Vec<PathBuf> {
    let of_root = geteuid().is_root().then(|| PathBuf::from(BASE));
    of_root.into_iter().chain([std::env::temp_dir()]).collect()
}

fn make() -> io::Result<Claim> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for base in bases() {
        match Claim::make(&base) {
            Ok(claim) => return Ok(claim),
            Err(e) => refused = e,
        }
    }
    Err(refused)
}

fn failed(e: io::Error, at: &Path) -> Error {
    Error::from(e).context(format!("runtime directory {}", at.display()))
}
