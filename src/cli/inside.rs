//! The inner half of `nexus run`: enters a mount namespace, makes it the agent's, and becomes the command.

use super::{inherited, mounted};
use crate::api::Peer;
use crate::core::{Error, Kind, Result, error::fail};
use caps::{CapSet, Capability};
use clap::Args;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount as mount_fs};
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What would let root undo the namespace or look past it (capabilities(7)): at mounts, other processes, the kernel's memory,
/// disks, and files by handle. Files, owners, users and the network stay root's.
const TAKEN: [Capability; 11] = [
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SYS_MODULE,
    Capability::CAP_SYS_RAWIO,
    Capability::CAP_SYS_BOOT,
    Capability::CAP_MKNOD,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_CHECKPOINT_RESTORE,
];

/// What `nexus run` starts itself with: where its mount stands, the numbers of those that it covers, what it hides, and the command.
#[derive(Debug, Args)]
pub(super) struct Inside {
    #[arg(long)]
    own: PathBuf,
    #[arg(long)]
    hidden: Vec<PathBuf>,
    #[arg(long)]
    device: Vec<u64>,
    /// Root, too, is to be unable to undo it
    #[arg(long)]
    confine: bool,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// Enters the namespace and becomes the command.
pub(super) fn enter(args: &Inside) -> Result<()> {
    let here = std::env::current_dir()?;
    let Peer { uid, gid, .. } = Peer::myself();
    let mut flags = CloneFlags::CLONE_NEWNS;
    if uid != 0 {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|e| failed("get a mount namespace for", &args.own, e))?;
    if uid != 0 {
        // Who one is stays the same; only then may one mount in the new namespace (user_namespaces(7)).
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    make_private()?;
    // Held before anything is covered: what is refused later is refused by the place that was to be covered. The agent itself
    // may not even search its mount.
    let own = hold(&args.own)?;
    // The kernel's list: a mount may have been moved since it was made, and be mounted elsewhere, too.
    for over in mounted::of_devices(&args.device) {
        bind(&own, &over, args.confine)?;
    }
    for dir in &args.hidden {
        if args.confine && matches!(dir.try_exists(), Ok(false)) {
            return fail(
                Kind::NotFound,
                format!(
                    "{} is gone, and so nothing hides it: was it moved?",
                    dir.display()
                ),
            );
        }
        for way in mounted::ways_to(dir) {
            hide(&way)?;
        }
    }
    inherited::close_ways_out(&args.device)?;
    // The same path, on the agent's mount now.
    std::env::set_current_dir(&here).map_err(|e| {
        Error::from(e).context(format!("the agent cannot start in {}", here.display()))
    })?;
    if args.confine && uid == 0 {
        confine()?;
    }
    let Some((program, rest)) = args.command.split_first() else {
        return fail(Kind::Invalid, "no command");
    };
    let refused = Command::new(program).args(rest).exec();
    Err(Error::from(refused).context(program.display()))
}

/// What is mounted here from now on is seen nowhere else.
fn make_private() -> Result<()> {
    let root = Path::new("/");
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount_fs(None::<&str>, root, None::<&str>, flags, None::<&str>)
        .map_err(|e| failed("keep mounts to themselves below", root, e))
}

fn hold(dir: &Path) -> Result<File> {
    let place = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(dir);
    place.map_err(|e| Error::from(e).context(format!("the agent's mount {}", dir.display())))
}

fn bind(what: &File, over: &Path, strict: bool) -> Result<()> {
    let what = PathBuf::from(format!("/proc/self/fd/{}", what.as_raw_fd()));
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    let done = mount_fs(Some(&what), over, None::<&str>, flags, None::<&str>);
    covered(done, strict).map_err(|e| failed("put the agent's mount over", over, e))
}

/// Puts an empty directory over one.
fn hide(dir: &Path) -> Result<()> {
    let (kind, options) = (Some("tmpfs"), Some("size=4k,mode=555"));
    let done = mount_fs(Some("none"), dir, kind, MsFlags::MS_RDONLY, options);
    // Whoever cannot reach it is kept out of it by who owns what is in it.
    covered(done, false).map_err(|e| failed("hide", dir, e))
}

/// What another mount covers leads nowhere. What cannot be reached now may be opened while the command runs: an agent whose
/// rights bind does not start then.
fn covered(done: nix::Result<()>, strict: bool) -> nix::Result<()> {
    match done {
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EACCES) if !strict => Ok(()),
        other => other,
    }
}

/// Gives up what root has over others, for good: also what runs set-id programs (execve(2)) gets none of it back.
fn confine() -> Result<()> {
    for cap in TAKEN {
        // An older kernel knows not all of them.
        if caps::has_cap(None, CapSet::Bounding, cap).unwrap_or(false) {
            caps::drop(None, CapSet::Bounding, cap).map_err(kept)?;
        }
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        let mut left = caps::read(None, set).map_err(kept)?;
        left.retain(|cap| !TAKEN.contains(cap));
        caps::set(None, set, &left).map_err(kept)?;
    }
    Ok(())
}

fn kept(e: caps::errors::CapsError) -> Error {
    Error::new(Kind::NotPermitted, "root cannot be confined here").caused_by(e)
}

fn failed(what: &str, dir: &Path, e: Errno) -> Error {
    Error::from(std::io::Error::from(e)).context(format!("cannot {what} {}", dir.display()))
}
