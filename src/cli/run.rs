//! `nexus run`: a command and all that it starts act as an agent, whatever they do.
//!
//! The daemon makes a mount for the agent, and the command gets a mount namespace (mount_namespaces(7)) in which that one
//! stands in the place of every other mount of the store, and nothing in the place of its data directory. So there is no
//! path, socket or file through which a process of the tree acts as anybody else; leaving the tree (setsid(2), a double
//! fork) changes nothing.

use super::client::Socket;
use super::place::Place;
use crate::api::{Asked, Peer};
use crate::core::{Error, Kind, Result, Text, error::fail};
use crate::doors::control::UmountRequest;
use crate::doors::daemon::{IdentityKind, MountInfo, MountRequest, Mounts, Unmounted};
use clap::Args;
use nix::mount::{MsFlags, mount as mount_fs};
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The command, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What `nexus run` starts itself with: where its mount stands, what it hides, and the command.
#[derive(Debug, Args)]
pub(super) struct Inside {
    #[arg(long)]
    own: PathBuf,
    #[arg(long)]
    hidden: Vec<PathBuf>,
    #[arg(long)]
    over: Vec<PathBuf>,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

pub(super) fn run(place: &Place, args: RunArgs) -> Result<()> {
    if place.agent().is_none() && place.session().is_none() {
        return fail(
            Kind::Invalid,
            "say whose work it is: --agent NAME, --session NAME, or both",
        );
    }
    let daemon = Socket::connect(&place.socket()?, Asked::default())?;
    let all: Mounts = daemon.post("/daemon/mounts", &())?;
    let wanted = place.tenant.as_deref().unwrap_or("default");
    let Some(like) = all.mounts.iter().find(|m| m.tenant == wanted) else {
        return fail(
            Kind::NotFound,
            format!("tenant {wanted:?} is mounted nowhere: `nexus mount DIR` first"),
        );
    };
    let own = own_directory()?;
    let request = request(place, like, &own);
    let made: Result<MountInfo> = daemon.post("/daemon/mount", &request);
    let ended = made.and_then(|_| inside(place, &all.mounts, &own, args.command));
    let gone = UmountRequest {
        dir: text(&own),
        lazy: true,
    };
    let taken_away: Result<Unmounted> = daemon.post("/daemon/umount", &gone);
    std::fs::remove_dir(&own).ok();
    let ended = ended?;
    taken_away?;
    std::process::exit(code(ended));
}

/// A directory of this user's for the agent's mount.
fn own_directory() -> Result<PathBuf> {
    let template = std::env::temp_dir().join("nexus-run-XXXXXX");
    nix::unistd::mkdtemp(&template).map_err(|e| failed("make a directory", &template, e))
}

fn request(place: &Place, like: &MountInfo, own: &Path) -> MountRequest {
    MountRequest {
        dir: text(own),
        tenant: place.tenant.clone(),
        user: like.user.clone(),
        agent: place.agent(),
        session: place.session(),
        read_only: like.read_only,
        identity: IdentityKind::Single,
        ..MountRequest::default()
    }
}

/// Runs the command in a process of its own, which enters the namespace.
fn inside(
    place: &Place,
    mounts: &[MountInfo],
    own: &Path,
    command: Vec<OsString>,
) -> Result<ExitStatus> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("inside").arg("--own").arg(own);
    child.arg("--hidden").arg(place.data_dir()?);
    for mount in mounts {
        child
            .arg("--over")
            .arg(OsString::from_vec(mount.dir.0.clone()));
    }
    let names = [
        ("NEXUS_AGENT", place.agent()),
        ("NEXUS_SESSION", place.session()),
    ];
    for (name, value) in names {
        if let Some(value) = value {
            child.env(name, value);
        }
    }
    Ok(child.arg("--").args(command).status()?)
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
    for over in &args.over {
        bind(&args.own, over)?;
    }
    args.hidden.iter().try_for_each(|dir| hide(dir))?;
    // The same path, on the agent's mount now.
    std::env::set_current_dir(here)?;
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

fn bind(what: &Path, over: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount_fs(Some(what), over, None::<&str>, flags, None::<&str>)
        .map_err(|e| failed("put the agent's mount over", over, e))
}

/// Puts an empty directory over one.
fn hide(dir: &Path) -> Result<()> {
    let (kind, options) = (Some("tmpfs"), Some("size=4k,mode=555"));
    mount_fs(Some("none"), dir, kind, MsFlags::MS_RDONLY, options)
        .map_err(|e| failed("hide", dir, e))
}

fn failed(what: &str, dir: &Path, e: nix::errno::Errno) -> Error {
    Error::from(std::io::Error::from(e)).context(format!("cannot {what} {}", dir.display()))
}

fn text(dir: &Path) -> Text {
    Text(dir.as_os_str().as_bytes().to_vec())
}

fn code(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map_or(1, |n| BY_SIGNAL + n);
    status.code().unwrap_or_else(by_signal)
}
