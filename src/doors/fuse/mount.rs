//! Making a mount and taking it away.

use super::caller::{Callers, Identity};
use super::company::Company;
use super::door::{Door, LISTS};
use super::filesystem::ByFuser;
use super::health::{Health, health};
use super::notify::{self, Kernel};
use super::numbers::Numbers;
use super::options::MountOptions;
use super::readahead;
use super::transport;
use super::uring::Rings;
use crate::core::{Caller, Error, Kind, MountId, Result, error::fail};
use crate::fs::Engine;
use fuser::{BackgroundSession, Config, Session};
use lru::LruCache;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::unistd::geteuid;
use parking_lot::{Condvar, Mutex};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long an unmount waits for the last requests.
const END_MAX: Duration = Duration::from_secs(10);
const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";

/// A live mount. Dropping it takes it out of the tree; whoever still has a file open on it keeps that file.
pub struct Mounted {
    id: MountId,
    options: MountOptions,
    end: Arc<End>,
    /// What the machine knows its file system by (st_dev).
    device: u64,
}

/// Whether the kernel has let go of a mount.
#[derive(Debug, Default)]
pub(super) struct End {
    reached: Mutex<bool>,
    changed: Condvar,
}

impl End {
    pub(super) fn reached(&self) {
        *self.reached.lock() = true;
        self.changed.notify_all();
    }

    fn is_reached(&self) -> bool {
        *self.reached.lock()
    }

    fn wait(&self, patience: Option<Duration>) -> bool {
        let mut reached = self.reached.lock();
        match patience {
            Some(p) => {
                self.changed.wait_while_for(&mut reached, |r| !*r, p);
            }
            None => self.changed.wait_while(&mut reached, |r| !*r),
        }
        *reached
    }
}

/// Mounts a tenant's tree; returns when the mount answers.
pub fn mount(engine: Arc<Engine>, id: MountId, mut options: MountOptions) -> Result<Mounted> {
    let config = options.config(geteuid().is_root())?;
    owner_may_enter(&options, &config)?;
    clear_stale(&options.dir)?;
    options.dir = mount_point(&options.dir)?;
    let rings = transport::rings(options.transport()?)?;
    let door = Arc::new(door(engine, id, &options)?);
    let (end, numbers, past) = (door.end.clone(), door.numbers.clone(), door.past.clone());
    // Subscribed before the kernel can ask: nothing it learns goes stale unnoticed.
    let ended = Arc::downgrade(&end);
    let is_alive = move || ended.upgrade().is_some_and(|end| !end.is_reached());
    let shown = (options.tenant, id);
    let notices = door.engine.enter(shown, past.looks.clone(), is_alive)?;
    let (session, device) = connect(&door, rings, &options, &config)?;
    let alive = end.clone();
    let mut mounted = Mounted {
        id,
        options,
        end,
        device: 0,
    };
    let kernel = Kernel {
        notices: session.notifier(),
        device,
    };
    // Dropped, fuser 0.18 unmounts by path even when its own mount is gone and another stands there: its is_mounted takes
    // POLLERR for "mounted". We unmount ourselves; what stays behind is one descriptor of a dead connection.
    std::mem::forget(session);
    notify::follow(notices, kernel, (numbers, past), move || {
        !alive.is_reached()
    })?;
    mounted.device = mounted.options.dir.metadata()?.dev();
    if let Err(e) = readahead::raise(mounted.device) {
        // Slower, and all there is for who is not root.
        tracing::debug!("the kernel's read-ahead stays as it is: {e}");
    }
    tracing::info!(id = id.0, dir = %mounted.options.dir.display(), "mounted");
    Ok(mounted)
}

/// Makes the mount and lets requests in.
fn connect(
    door: &Arc<Door>,
    rings: Option<Rings>,
    options: &MountOptions,
    config: &Config,
) -> Result<(BackgroundSession, OwnedFd)> {
    let failed = |e| not_mounted(options, e);
    let by_fuser = ByFuser {
        door: door.clone(),
        rings: rings.is_some(),
    };
    let session = Session::new(by_fuser, &options.dir, config).map_err(failed)?;
    door.notices.get_or_init(|| session.notifier());
    let device = || session.as_fd().try_clone_to_owned().map_err(failed);
    let own = device()?;
    if let Some(rings) = rings {
        transport::take_over(rings, &Arc::new(device()?), door, options.transport()?)?;
    }
    Ok((session.spawn().map_err(failed)?, own))
}

impl Mounted {
    pub fn id(&self) -> MountId {
        self.id
    }

    /// What the machine knows its file system by (st_dev).
    pub fn device(&self) -> u64 {
        self.device
    }

    pub fn options(&self) -> &MountOptions {
        &self.options
    }

    /// Whether the kernel still has the mount; false too when somebody else unmounted it.
    pub fn is_alive(&self) -> bool {
        !self.end.is_reached()
    }

    /// Waits until the mount is gone, whoever takes it away.
    pub fn wait(&self) {
        self.end.wait(None);
    }

    /// Takes the mount away and waits until the kernel has let go; fails with `Busy` while something on it is in use.
    pub fn unmount(&self) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        detach(&self.options.dir, When::Unused)?;
        if self.end.wait(Some(END_MAX)) {
            return Ok(());
        }
        let dir = self.options.dir.display();
        fail(
            Kind::Busy,
            format!("{dir} is unmounted, but requests are still under way"),
        )
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_alive()
            && let Err(e) = detach(&self.options.dir, When::Now)
        {
            tracing::warn!("{}", e.chain());
        }
    }
}

/// Takes away what a daemon that died left at `dir`: a mount that answers every call with ENOTCONN. Fails with `Busy` where one does
/// not answer at all.
pub fn clear_stale(dir: &Path) -> Result<()> {
    match health(dir) {
        Health::Good => Ok(()),
        Health::Gone => {
            tracing::info!(dir = %dir.display(), "clearing a mount whose daemon is gone");
            detach(dir, When::Now)
        }
        Health::Silent => {
            let dir = dir.display();
            let message = format!(
                "what is mounted at {dir} does not answer: if its daemon is gone, `umount -f {dir}` makes the kernel let go of it"
            );
            fail(Kind::Busy, message)
        }
    }
}

/// Takes what is mounted at `dir` out of the tree, without asking it anything: somebody else's might not answer.
pub fn discard(dir: &Path) -> Result<()> {
    detach(dir, When::Now)
}

/// When a mount leaves the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Unused,
    Now,
}

fn detach(dir: &Path, when: When) -> Result<()> {
    if !geteuid().is_root() {
        return detach_as_user(dir, when);
    }
    let flags = match when {
        When::Unused => MntFlags::UMOUNT_NOFOLLOW,
        When::Now => MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH,
    };
    umount2(dir, flags).map_err(|errno| match errno {
        Errno::EBUSY => in_use(dir),
        other => Error::from(io::Error::from(other)).context(format!("unmount {}", dir.display())),
    })
}

/// Only the helper may unmount for somebody who is not root (fusermount3(1)).
fn detach_as_user(dir: &Path, when: When) -> Result<()> {
    let mut command = Command::new(HELPER);
    command.arg("-u");
    if when == When::Now {
        command.arg("-z");
    }
    let out = command
        .arg("--")
        .arg(dir)
        .output()
        .map_err(|e| no_helper(&e))?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    if said.contains("busy") {
        return Err(in_use(dir));
    }
    fail(Kind::Io, format!("unmount {}: {said}", dir.display()))
}

fn in_use(dir: &Path) -> Error {
    let dir = dir.display();
    Error::new(
        Kind::Busy,
        format!("{dir} is in use: `fuser -vm {dir}` shows by whom"),
    )
}

/// Checks that there is a directory to mount on, and gives its absolute path.
fn mount_point(dir: &Path) -> Result<PathBuf> {
    let at = |e: io::Error| Error::from(e).context(format!("mount point {}", dir.display()));
    let path = dir.canonicalize().map_err(at)?;
    if path.metadata().map_err(at)?.is_dir() {
        return Ok(path);
    }
    fail(
        Kind::NotDirectory,
        format!("mount point {} is not a directory", dir.display()),
    )
}

/// The kernel lets nobody in but who mounts, unless others are allowed: a mount for somebody else would be closed to him.
fn owner_may_enter(options: &MountOptions, config: &Config) -> Result<()> {
    let us = geteuid().as_raw();
    match options.identity {
        Identity::Single { os_uid, .. }
            if os_uid != us && config.acl == fuser::SessionACL::Owner =>
        {
            fail(
                Kind::NotPermitted,
                format!("the daemon runs as uid {us}: a mount for uid {os_uid} needs allow_other"),
            )
        }
        Identity::Single { .. } | Identity::Os { .. } => Ok(()),
    }
}

fn door(engine: Arc<Engine>, id: MountId, options: &MountOptions) -> Result<Door> {
    let root = engine.root(&Caller::engine(options.tenant))?;
    let numbers = match &options.identity {
        Identity::Single {
            user,
            os_uid,
            os_gid,
            ..
        } => {
            let gid = user.group_of((*os_uid, *os_gid));
            Numbers::exchanging(root, (user.uid, *os_uid), (gid, *os_gid))
        }
        Identity::Os { .. } => Numbers::plain(root),
    };
    let callers = Callers::new(engine.clone(), options.tenant, id, &options.identity)?;
    let alone = match &options.identity {
        Identity::Single {
            user,
            os_uid,
            os_gid,
            ..
        } if options.is_alone => {
            let gid = user.group_of((*os_uid, *os_gid));
            Some(Company::new([gid, callers.tenant_gid()]))
        }
        Identity::Single { .. } | Identity::Os { .. } => None,
    };
    Ok(Door {
        everywhere: engine.everywhere(),
        engine,
        callers,
        numbers,
        alone,
        lists: Mutex::new(LruCache::new(LISTS)),
        past: Arc::default(),
        lists_past: options.lists_past()?,
        end: Arc::default(),
        notices: OnceLock::new(),
    })
}

/// Says what to do about a mount that failed.
fn not_mounted(options: &MountOptions, e: io::Error) -> Error {
    let dir = options.dir.display();
    if !Path::new(DEVICE).exists() {
        let advice =
            "load it with `modprobe fuse`, or start the container with `--device /dev/fuse`";
        return Error::new(Kind::Unavailable, format!("{dir}: no {DEVICE}: {advice}")).caused_by(e);
    }
    if !geteuid().is_root() && e.kind() == io::ErrorKind::NotFound {
        return no_helper(&e);
    }
    if !geteuid().is_root()
        && OpenOptions::new()
            .read(true)
            .write(true)
            .open(DEVICE)
            .is_err()
    {
        let advice = "root makes it so with `chmod 666 /dev/fuse`";
        return Error::new(
            Kind::Unavailable,
            format!("{DEVICE} is not open to you: {advice}"),
        )
        .caused_by(e);
    }
    let said = e.to_string();
    if said.contains("user_allow_other") {
        let advice = "allow_other needs a line `user_allow_other` in /etc/fuse.conf";
        return Error::new(Kind::NotPermitted, advice).caused_by(e);
    }
    Error::new(
        Kind::Unavailable,
        format!("cannot mount on {dir}: {}", said.trim()),
    )
    .caused_by(e)
}

fn no_helper(e: &io::Error) -> Error {
    let advice = "install the package fuse3, or mount as root";
    Error::new(
        Kind::Unavailable,
        format!("{HELPER} is needed and does not run ({e}): {advice}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_mount_point_is_a_directory_that_exists() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert_eq!(mount_point(&file).unwrap_err().kind(), Kind::NotDirectory);
        assert_eq!(
            mount_point(&dir.path().join("no")).unwrap_err().kind(),
            Kind::NotFound
        );
        assert!(mount_point(dir.path()).is_ok());
    }

    #[test]
    fn nothing_stale_is_nothing_to_clear() {
        let dir = tempfile::tempdir().unwrap();
        assert!(clear_stale(dir.path()).is_ok());
        assert!(clear_stale(&dir.path().join("no")).is_ok());
    }
}
