//! Makes the kernel let go of a mount that nobody will answer any more ("Aborting a filesystem connection" in
//! Documentation/filesystems/fuse/fuse.rst).

use super::mountinfo::Point;
use crate::core::{Error, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::minor;
use nix::unistd::geteuid;
use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel has a directory for each connection, if that file system (fusectl) is mounted.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// Fails all that was asked of a mount, and all that will be. What a daemon that lives has not stored is lost with that: the
/// caller knows that it is dead. For who made the mount, and for root.
pub fn abort(point: &Point) -> Result<()> {
    let done = match fs::write(format!("{CONTROL}/{}/abort", minor(point.device)), "1") {
        Err(e) if e.kind() == io::ErrorKind::NotFound && geteuid().is_root() => force(&point.dir),
        done => done,
    };
    done.map_err(|e| Error::from(e).context(format!("abort {}", point.dir.display())))
}

/// The same by the mount point: an unmount that is forced aborts before it looks whether the mount is in use (umount(2)).
fn force(dir: &Path) -> io::Result<()> {
    match umount2(dir, MntFlags::MNT_FORCE | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EBUSY) => Ok(()),
        done => Ok(done?),
    }
}
