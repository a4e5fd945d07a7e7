//! The daemon's mounts: made, shown, taken away.

use super::remembered;
use super::request::{Bound, MountInfo, Pending, Standing, Status, bind};
use crate::core::{Error, Kind, MountId, Result, Text, Time, error::fail};
use crate::doors::fuse::{self, Mounted};
use crate::facts::VERSION;
use crate::fs::Engine;
use crate::nexus::Nexus;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;

/// A running daemon.
pub struct Daemon {
    pub nexus: Nexus,
    mounts: Mutex<BTreeMap<PathBuf, Live>>,
    next: AtomicU32,
    started: Time,
    stop: Notify,
}

struct Live {
    mounted: Mounted,
    standing: Standing,
    since: Time,
}

/// What an unmount found open and brought to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmounted {
    pub pending: Pending,
}

impl Daemon {
    pub fn new(nexus: Nexus) -> Self {
        let started = nexus.engine.clock().now();
        Self {
            nexus,
            mounts: Mutex::default(),
            next: AtomicU32::new(1),
            started,
            stop: Notify::new(),
        }
    }

    /// Makes a mount; one that stands exactly so already is left alone.
    pub fn mount(&self, standing: &Standing) -> Result<MountInfo> {
        let dir = standing.dir();
        self.may_mount(&dir)?;
        let engine = &self.nexus.engine;
        let options = standing.options(engine)?;
        let standing = Standing {
            bound: bound(engine, &options.identity)?,
            shows: Some(options.tenant),
            ..standing.clone()
        };
        let mut mounts = self.mounts.lock();
        if let Some(live) = mounts.get(&dir).filter(|l| l.mounted.is_alive()) {
            if live.standing == standing {
                return Ok(self.info(live));
            }
            let message = format!("{} is mounted already, with other options", dir.display());
            return fail(Kind::Exists, message);
        }
        let id = MountId(self.next.fetch_add(1, Ordering::Relaxed));
        let live = Live {
            mounted: fuse::mount(engine.clone(), id, options)?,
            standing,
            since: engine.clock().now(),
        };
        remembered::remember(&*self.nexus.db, &live.standing)?;
        let info = self.info(&live);
        mounts.insert(dir, live);
        Ok(info)
    }

    fn may_mount(&self, dir: &Path) -> Result<()> {
        let shown = dir.display();
        if !dir.is_absolute() {
            return fail(
                Kind::Invalid,
                format!("mount point {shown} must be an absolute path"),
            );
        }
        if self.nexus.engine.config().data_dir.starts_with(dir) {
            let message = format!("a mount at {shown} would hide the data directory it comes from");
            return fail(Kind::Invalid, message);
        }
        Ok(())
    }

    /// Makes the mounts again that stood when the last daemon died. One that fails is told of and kept in mind, but not that of
    /// a tenant which was deleted.
    pub fn remount(&self) -> Result<()> {
        for mut standing in remembered::all(&*self.nexus.db)? {
            if standing.is_orphan(&self.nexus.engine) {
                tracing::info!(dir = %standing.dir().display(), "its tenant was deleted: not mounted again");
                remembered::forget(&*self.nexus.db, &standing.dir())?;
                continue;
            }
            self.bind_tenant(&mut standing)?;
            match self.mount(&standing) {
                Ok(_) => tracing::info!(dir = %standing.dir().display(), "mounted again"),
                Err(e) => {
                    tracing::error!(dir = %standing.dir().display(), "not mounted again: {}", e.chain());
                }
            }
        }
        Ok(())
    }

    /// Notes which tenant a mount of an earlier version of Nexus is for, even where it cannot be made now.
    fn bind_tenant(&self, standing: &mut Standing) -> Result<()> {
        if standing.shows.is_some() {
            return Ok(());
        }
        standing.shows = standing.tenant(&self.nexus.engine).ok();
        remembered::remember(&*self.nexus.db, standing)
    }

    /// Takes a mount away, `lazy` even while it is in use, and brings everything pending to the store.
    pub fn umount(&self, dir: &Path, lazy: bool) -> Result<Unmounted> {
        let mut mounts = self.mounts.lock();
        let Some(live) = mounts.get(dir) else {
            return fail(
                Kind::NotFound,
                format!("{} is not mounted here", dir.display()),
            );
        };
        let (files, handles) = self.nexus.engine.open_on(live.mounted.id());
        let pending = Pending { files, handles };
        if !lazy {
            live.mounted.unmount()?;
        }
        // Dropped, a mount that is still there is detached, and what was open on it is closed: nothing of other mounts is.
        drop(mounts.remove(dir));
        drop(mounts);
        remembered::forget(&*self.nexus.db, dir)?;
        self.nexus.engine.sync()?;
        Ok(Unmounted { pending })
    }

    /// Takes every mount away. With `force` also those in use; otherwise fails with `Busy` at the first of them.
    pub fn umount_all(&self, force: bool) -> Result<()> {
        let dirs: Vec<_> = self.mounts.lock().keys().cloned().collect();
        for dir in dirs {
            match self.umount(&dir, false) {
                Err(e) if force && e.kind() == Kind::Busy => self.umount(&dir, true)?,
                other => other?,
            };
        }
        Ok(())
    }

    /// Forgets mounts that somebody else has taken away.
    pub(super) fn reap(&self) -> Result<()> {
        let mut mounts = self.mounts.lock();
        let gone: Vec<_> = mounts
            .iter()
            .filter(|(_, l)| !l.mounted.is_alive())
            .map(|(d, _)| d.clone())
            .collect();
        for dir in gone {
            tracing::info!(dir = %dir.display(), "was unmounted from outside");
            mounts.remove(&dir);
            remembered::forget(&*self.nexus.db, &dir)?;
        }
        Ok(())
    }

    pub fn mounts(&self) -> Vec<MountInfo> {
        self.mounts
            .lock()
            .values()
            .filter(|live| live.mounted.is_alive())
            .map(|live| self.info(live))
            .collect()
    }

    fn info(&self, live: &Live) -> MountInfo {
        let options = live.mounted.options();
        let request = &live.standing.request;
        let tenants = self.nexus.engine.tenants();
        let tenant = tenants.into_iter().find(|t| t.id == options.tenant);
        let user = match &options.identity {
            fuse::Identity::Single { user, .. } => Some(user.name.clone()),
            fuse::Identity::Os { .. } => None,
        };
        MountInfo {
            dir: request.dir.clone(),
            tenant: tenant.map(|t| t.name).unwrap_or_default(),
            user,
            agent: request.agent.clone(),
            session: request.session.clone(),
            identity: request.identity,
            read_only: options.read_only,
            allow_other: options.allow_other,
            since: live.since.to_string(),
        }
    }

    pub fn pending(&self) -> Pending {
        let engine = &self.nexus.engine;
        Pending {
            files: engine.pending_files() as u64,
            handles: engine.open_handles() as u64,
        }
    }

    pub fn status(&self) -> Status {
        let config = self.nexus.engine.config();
        let up = self.nexus.engine.clock().now().0 - self.started.0;
        Status {
            running: true,
            pid: Some(std::process::id()),
            version: VERSION.to_owned(),
            data_dir: Text(config.data_dir.as_os_str().as_bytes().to_vec()),
            socket: Text(config.socket().as_os_str().as_bytes().to_vec()),
            uptime_s: u64::try_from(up / 1_000_000_000).unwrap_or(0),
            mounts: self.mounts(),
            pending: self.pending(),
        }
    }

    /// Ends the daemon, soon.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits until the daemon is to end.
    pub async fn stopped(&self) {
        self.stop.notified().await;
    }

    /// Leaves everything in order: no mounts, nothing pending, the database in one file.
    pub fn close(&self) -> Result<()> {
        self.umount_all(true)?;
        let files = self.nexus.engine.settle()?;
        if files > 0 {
            tracing::info!(files, "wrote down what was pending");
        }
        match self.nexus.db.checkpoint() {
            // A request that is still being answered reads; the log is replayed at the next start.
            Err(e) if e.kind() == Kind::Unavailable => Ok(()),
            other => other.map_err(|e: Error| e.context("closing")),
        }
    }
}

fn bound(engine: &Engine, identity: &fuse::Identity) -> Result<Option<Bound>> {
    match identity {
        fuse::Identity::Single { user, agent, .. } => {
            bind(engine, user, agent.as_deref()).map(Some)
        }
        fuse::Identity::Os { .. } => Ok(None),
    }
}
