//! Directories of daemons that live: each holds a lock on its own, so that one that was killed leaves what the next daemon sweeps.

use crate::core::Result;
use crate::core::config::socket_of;
use crate::doors::fuse;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{geteuid, mkdtemp};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const PREFIX: &str = "nexus-";
/// What mkdtemp(3) makes another word of.
const PLACES: &str = "XXXXXX";
/// The mount point in each directory of a claimed one.
pub(super) const POINT: &str = "mount";
/// How often a directory is made that somebody takes for one that was left.
const TRIES: usize = 100;

/// A directory that is ours until this is dropped. It stays then.
pub(super) struct Claim {
    path: PathBuf,
    /// Not where the filesystem has no locks; nobody sweeps there either.
    _lock: Option<Flock<File>>,
}

impl Claim {
    /// Makes a directory.
    pub(super) fn make(base: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let path = mkdtemp(&base.join(format!("{PREFIX}{PLACES}")))?;
            match hold(&path) {
                // It was nobody's for a moment, and is swept.
                Err(Errno::EWOULDBLOCK | Errno::ENOENT) => {}
                Err(e) => {
                    tracing::debug!("runtime directory {}: no lock: {e}", path.display());
                    return Ok(Self { path, _lock: None });
                }
                Ok(lock) if stands_at(&lock, &path) => {
                    let lock = Some(lock);
                    return Ok(Self { path, _lock: lock });
                }
                Ok(_) => {}
            }
        }
        Err(io::Error::from(io::ErrorKind::ResourceBusy))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes directories of our own that daemons left which live no more, with their dead mounts. What it cannot remove stays.
pub(super) fn sweep(base: &Path) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_name(&entry.file_name())) {
        let dir = entry.path();
        let stale = |point: &Path| fuse::clear_stale(point);
        match take(&dir, stale) {
            Ok(true) => tracing::info!("cleared {}, whose daemon is gone", dir.display()),
            Ok(false) => {}
            Err(e) => tracing::debug!("runtime directory {}: {e}", dir.display()),
        }
    }
}

/// Removes a directory unless a daemon holds it; says whether none did. `unmount` takes away what is at a mount point.
pub(super) fn take(dir: &Path, unmount: impl Fn(&Path) -> Result<()>) -> io::Result<bool> {
    let lock = match hold(dir) {
        Err(Errno::EWOULDBLOCK) => return Ok(false),
        held => held?,
    };
    // A daemon of an earlier version holds no lock.
    if !stands_at(&lock, dir) || answers(&socket_of(dir)) {
        return Ok(false);
    }
    remove(dir, unmount).map(|()| true)
}

/// Removes what a daemon makes in a directory, and the directory, and nothing else.
pub(super) fn remove(dir: &Path, unmount: impl Fn(&Path) -> Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?.path();
        if entry == socket_of(dir) {
            fs::remove_file(&entry)?;
            continue;
        }
        let point = entry.join(POINT);
        if let Err(e) = unmount(&point) {
            tracing::debug!("{}", e.chain());
        }
        // Somebody may have left something in what was lent to him; the directory itself tells then.
        fs::remove_dir(&point).ok();
        fs::remove_dir(&entry).ok();
    }
    fs::remove_dir(dir)
}

/// Locks a directory of our own, and nobody else's.
fn hold(dir: &Path) -> std::result::Result<Flock<File>, Errno> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(dir)
        .and_then(|file| Ok((file.metadata()?.uid(), file)));
    let errno = |e: io::Error| Errno::from_raw(e.raw_os_error().unwrap_or_default());
    let (owner, file) = opened.map_err(errno)?;
    if owner != geteuid().as_raw() {
        return Err(Errno::EPERM);
    }
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)
}

/// Whether a directory that was opened at a path is still there.
fn stands_at(opened: &File, path: &Path) -> bool {
    let number = |m: fs::Metadata| (m.dev(), m.ino());
    let (is, there) = (opened.metadata(), fs::symlink_metadata(path));
    matches!((is.map(number), there.map(number)), (Ok(is), Ok(there)) if is == there)
}

/// Whether anybody listens at a socket; when in doubt, somebody does. It does not wait for him.
fn answers(at: &Path) -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let asked = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .and_then(|fd| connect(fd.as_raw_fd(), &UnixAddr::new(at)?));
    !matches!(asked, Err(Errno::ECONNREFUSED | Errno::ENOENT))
}

fn is_name(name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes());
    rest.is_some_and(|r| r.len() == PLACES.len() && r.iter().all(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn what_nobody_holds_is_swept_and_what_somebody_does_stays() {
        let base = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let dir = base.path().join(name);
            fs::create_dir(&dir).unwrap();
            dir
        };
        let held = Claim::make(base.path()).unwrap();
        fs::create_dir_all(held.path().join("run-1/mount")).unwrap();
        let left = Claim::make(base.path()).unwrap().path().to_owned();
        fs::create_dir_all(left.join("run-7/mount")).unwrap();
        drop(UnixListener::bind(socket_of(&left)).unwrap());
        // Of a daemon that knows no locks.
        let older = dir("nexus-old000");
        let listens = UnixListener::bind(socket_of(&older)).unwrap();
        let others = [dir("nexus-longer0"), dir("nexus-x.x.xx"), dir("other")];
        let full = dir("nexus-full00");
        fs::create_dir(full.join("run-1")).unwrap();
        fs::write(full.join("run-1/his"), "").unwrap();
        let link = base.path().join("nexus-link00");
        symlink(dir("elsewhere"), &link).unwrap();
        sweep(base.path());
        assert!(!left.exists());
        let stay = [&others[..], &[link, full, older.clone()]].concat();
        assert!(stay.iter().all(|dir| dir.exists()), "{stay:?}");
        assert!(held.path().join("run-1/mount").exists());
        drop((held, listens));
        sweep(base.path());
        assert!(!older.exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 6);
    }

    #[test]
    fn a_directory_that_is_just_made_is_nobodys_to_sweep() {
        let base = tempfile::tempdir().unwrap();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..300 {
                        let own = Claim::make(base.path()).unwrap();
                        sweep(base.path());
                        fs::create_dir(own.path().join("run-1")).unwrap();
                    }
                });
            }
        });
        sweep(base.path());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
