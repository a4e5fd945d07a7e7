//! The daemon's mounts: made, shown, taken away.

use super::request::{Bound, IdentityKind, MountInfo, Pending, Standing, Status, bind};
use super::runtime::{self, Runtime};
use super::{burial, remembered};
use crate::core::{Error, Kind, MountId, Result, Text, Time, error::fail};
use crate::doors::fuse::{self, MountOptions, Mounted};
use crate::facts::VERSION;
use crate::fs::Engine;
use crate::nexus::Nexus;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::UnixListener;
use tokio::sync::Notify;

/// A running daemon.
pub struct Daemon {
    pub nexus: Nexus,
    mounts: Mutex<BTreeMap<PathBuf, Live>>,
    next: AtomicU32,
    started: Time,
    stop: Notify,
    pub(super) runtime: Runtime,
}

struct Live {
    mounted: Arc<Mounted>,
    standing: Standing,
    since: Time,
    term: Term,
}

/// How long a mount is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    /// Until it is unmounted: the next daemon makes it again.
    Lasting,
    /// As long as the command that it was lent to.
    Lent,
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
            runtime: Runtime::of(nexus.engine.config()),
            nexus,
            mounts: Mutex::default(),
            next: AtomicU32::new(1),
            started,
            stop: Notify::new(),
        }
    }

    /// Makes a mount; one that stands exactly so already is left alone.
    pub fn mount(&self, standing: &Standing) -> Result<MountInfo> {
        self.stand(standing, Term::Lasting)
    }

    pub(super) fn stand(&self, standing: &Standing, term: Term) -> Result<MountInfo> {
        let dir = standing.dir();
        self.may_mount(&dir)?;
        let engine = &self.nexus.engine;
        let options = MountOptions {
            // Who is not root is lent it for a user namespace of his own.
            is_alone: term == Term::Lent && standing.os_uid != 0,
            ..standing.options(engine)?
        };
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
            mounted: Arc::new(fuse::mount(engine.clone(), id, options)?),
            standing,
            since: engine.clock().now(),
            term,
        };
        if term == Term::Lasting {
            remembered::remember(&*self.nexus.db, &live.standing)?;
        }
        let info = self.info(&live);
        mounts.insert(dir, live);
        self.changed(&mounts);
        Ok(info)
    }

    fn changed(&self, mounts: &BTreeMap<PathBuf, Live>) {
        self.admit(mounts);
        let text = |dir: &Path| Text(dir.as_os_str().as_bytes().to_vec());
        let all = mounts
            .iter()
            .map(|(dir, l)| (l.mounted.device(), text(dir)));
        if let Err(e) = burial::note(self.nexus.engine.config(), all.collect()) {
            tracing::warn!("the next daemon cannot know what is mounted: {}", e.chain());
        }
    }

    /// Lets others ask the daemon while they have a mount to work on.
    fn admit(&self, mounts: &BTreeMap<PathBuf, Live>) {
        let for_many = |l: &Live| l.standing.request.identity == IdentityKind::Os;
        let done = if mounts.values().any(for_many) {
            self.runtime.open()
        } else {
            self.runtime.shut()
        };
        if let Err(e) = done {
            tracing::error!("others cannot ask the daemon: {}", e.chain());
        }
    }

    /// Waits for the socket that others than the owner enter by. For the control door, once.
    pub async fn entrance(&self) -> Result<UnixListener> {
        Ok(UnixListener::from_std(self.runtime.opened().await)?)
    }

    fn may_mount(&self, dir: &Path) -> Result<()> {
        let shown = dir.display();
        if !dir.is_absolute() {
            return fail(
                Kind::Invalid,
                format!("mount point {shown} must be an absolute path"),
            );
        }
        let data_dir = &self.nexus.engine.config().data_dir;
        // The mount point comes without links.
        let real = data_dir.canonicalize().unwrap_or_else(|_| data_dir.clone());
        let either = |has: fn(&Path, &Path) -> bool| has(data_dir, dir) || has(&real, dir);
        if either(|data, dir| data.starts_with(dir)) {
            let message = format!("a mount at {shown} would hide the data directory it comes from");
            return fail(Kind::Invalid, message);
        }
        if either(|data, dir| dir.starts_with(data)) {
            let message =
                format!("{shown} is in the data directory that it would show: mount it elsewhere");
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
        let standing = self.mounts.lock().get(dir).map(|l| l.mounted.clone());
        let Some(mounted) = standing else {
            return fail(
                Kind::NotFound,
                format!("{} is not mounted here", dir.display()),
            );
        };
        let (files, handles) = self.nexus.engine.open_on(mounted.id());
        let pending = Pending { files, handles };
        if !lazy {
            // It may wait for requests under way; whoever asks for other mounts does not wait with it.
            mounted.unmount()?;
        }
        let mut mounts = self.mounts.lock();
        let is_it = mounts
            .get(dir)
            .is_some_and(|l| l.mounted.id() == mounted.id());
        let gone = is_it.then(|| mounts.remove(dir)).flatten();
        self.changed(&mounts);
        drop(mounts);
        // Dropped, a mount that is still there is detached, and what was open on it is closed: nothing of other mounts is.
        drop(mounted);
        match gone.map(|live| live.term) {
            Some(Term::Lent) => runtime::give_back(dir),
            Some(Term::Lasting) => remembered::forget(&*self.nexus.db, dir)?,
            // Somebody else was faster, and another mount may stand there.
            None => {}
        }
        self.nexus.engine.sync()?;
        Ok(Unmounted { pending })
    }

    /// Takes every mount away. With `force` also those in use; otherwise fails with `Busy` at the first of them.
    pub fn umount_all(&self, force: bool) -> Result<()> {
        let dirs: Vec<_> = self.mounts.lock().keys().cloned().collect();
        for dir in dirs {
            if force {
                self.take_away(&dir)?;
            } else {
                self.umount(&dir, false)?;
            }
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
            self.changed(&mounts);
            remembered::forget(&*self.nexus.db, &dir)?;
        }
        Ok(())
    }

    pub fn mounts(&self) -> Vec<MountInfo> {
        self.shown(|_| true)
    }

    /// Those that were not lent.
    pub(super) fn lasting(&self) -> Vec<MountInfo> {
        self.shown(|live| live.term == Term::Lasting)
    }

    /// The numbers (st_dev) of the mounts that an OS user may enter: the kernel lets nobody but its owner into one that is not
    /// for others (fuse(4)).
    pub(super) fn devices(&self, uid: u32) -> Vec<u64> {
        let mounts = self.mounts.lock();
        let open = mounts.values().filter(|live| {
            let options = live.mounted.options();
            let for_all = options.is_for_all();
            live.term == Term::Lasting && (for_all || live.standing.os_uid == uid)
        });
        open.map(|live| live.mounted.device()).collect()
    }

    fn shown(&self, wanted: impl Fn(&Live) -> bool) -> Vec<MountInfo> {
        let mounts = self.mounts.lock();
        let alive = mounts.values().filter(|live| live.mounted.is_alive());
        alive.filter(|l| wanted(l)).map(|l| self.info(l)).collect()
    }

    /// Whether a mount was lent to an OS user.
    pub fn is_lent_to(&self, dir: &Path, uid: u32) -> bool {
        let mounts = self.mounts.lock();
        let lent = mounts.get(dir).filter(|live| live.term == Term::Lent);
        lent.is_some_and(|live| live.standing.os_uid == uid)
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
            binds: live.standing.bound.is_some_and(|b| b.agent.is_some()),
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

    /// Leaves everything in order: no mounts, nothing pending, the database in one file. What fails keeps nothing else from
    /// being done; the first failure is told.
    pub fn close(&self) -> Result<()> {
        let dirs: Vec<_> = self.mounts.lock().keys().cloned().collect();
        let mut done = Ok(());
        for dir in dirs {
            done = done.and(self.take_away(&dir));
        }
        self.runtime.clear();
        // Each is done, whatever came of those before it.
        let (settled, written) = (self.settle(), self.checkpoint());
        done.and(settled).and(written)
    }

    /// Takes a mount away, in use or not.
    fn take_away(&self, dir: &Path) -> Result<()> {
        let done = match self.umount(dir, false) {
            Err(e) if e.kind() == Kind::Busy => self.umount(dir, true),
            other => other,
        };
        done.map(drop)
    }

    fn settle(&self) -> Result<()> {
        let files = self.nexus.engine.settle()?;
        if files > 0 {
            tracing::info!(files, "wrote down what was pending");
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<()> {
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
