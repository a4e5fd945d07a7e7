//! The daemon's runtime directory: what processes need of the daemon that may not enter the data directory.
//!
//! It stands where the system keeps such things, and nobody but the daemon writes in it. The data directory has a link to it,
//! by which clients find the socket in it, and the next daemon what one that was killed left there.

use crate::core::config::socket_of;
use crate::core::{Config, Error, Result};
use crate::doors::fuse;
use nix::unistd::{geteuid, mkdtemp};
use parking_lot::Mutex;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use tokio::sync::Notify;

/// Where root's daemons have theirs (hier(7)); others, and where there is none, where temporary files are.
const BASE: &str = "/run";
const TEMPLATE: &str = "nexus-XXXXXX";
/// The mount point in each directory of the runtime directory.
pub(super) const POINT: &str = "mount";

/// Made when it is first needed.
pub(super) struct Runtime {
    link: PathBuf,
    made: Mutex<Option<PathBuf>>,
    /// The socket for others, until somebody listens there.
    bound: Mutex<Option<UnixListener>>,
    opened: Notify,
}

impl Runtime {
    pub(super) fn of(config: &Config) -> Self {
        let runtime = Self {
            link: config.runtime(),
            made: Mutex::default(),
            bound: Mutex::default(),
            opened: Notify::new(),
        };
        runtime.clear();
        runtime
    }

    /// The directory, made when it does not exist.
    pub(super) fn dir(&self) -> Result<PathBuf> {
        let mut made = self.made.lock();
        if let Some(dir) = &*made {
            return Ok(dir.clone());
        }
        let dir = make().map_err(|e| failed(e, Path::new(BASE)))?;
        symlink(&dir, &self.link).map_err(|e| failed(e, &self.link))?;
        *made = Some(dir.clone());
        Ok(dir)
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
            Some(dir) => {
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
        self.made.lock().take();
        let Ok(dir) = fs::read_link(&self.link) else {
            return;
        };
        match remove(&dir) {
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

fn make() -> io::Result<PathBuf> {
    let bases = geteuid().is_root().then(|| PathBuf::from(BASE));
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for base in bases.into_iter().chain([std::env::temp_dir()]) {
        match mkdtemp(&base.join(TEMPLATE)) {
            Ok(dir) => return Ok(dir),
            Err(errno) => refused = errno.into(),
        }
    }
    Err(refused)
}

/// Removes what a daemon makes there, and nothing else.
fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?.path();
        if entry == socket_of(dir) {
            fs::remove_file(&entry)?;
            continue;
        }
        let point = entry.join(POINT);
        if let Err(e) = fuse::clear_stale(&point) {
            tracing::warn!("{}", e.chain());
        }
        fs::remove_dir(&point).or_else(absent)?;
        fs::remove_dir(&entry)?;
    }
    fs::remove_dir(dir)
}

fn absent(e: io::Error) -> io::Result<()> {
    if e.kind() == io::ErrorKind::NotFound {
        return Ok(());
    }
    Err(e)
}

fn failed(e: io::Error, at: &Path) -> Error {
    Error::from(e).context(format!("runtime directory {}", at.display()))
}
