//! `mount.fuse.nexus`: the helper that mount(8) calls for `fuse.nexus`, as `mount.fuse.nexus DATA_DIR DIR -o …`.
//!
//! A link of that name in /sbin to `nexus` is the helper. In fstab(5):
//! `/var/lib/nexus  /mnt/nexus  fuse.nexus  identity=os,allow_other,nofail  0  0`

use super::mount;
use super::place::Place;
use crate::core::{Result, Text};
use crate::doors::daemon::MountRequest;
use clap::Parser;
use nix::mount::MsFlags;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const NAME: &[u8] = b"mount.fuse.nexus";

/// Whether the program was called by the helper's name.
pub(super) fn is_called(program: &OsStr) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name.as_bytes() == NAME)
}

/// Mounts a store at a directory, for mount(8)
#[derive(Debug, Parser)]
#[command(name = "mount.fuse.nexus", version)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Helper {
    /// The data directory
    spec: PathBuf,
    dir: PathBuf,
    #[arg(short = 'o', value_name = "OPTION,…", value_delimiter = ',')]
    options: Vec<String>,
    /// Ignored: options that are not known are refused all the same
    #[arg(short)]
    sloppy: bool,
    /// Check everything, mount nothing
    #[arg(short)]
    fake: bool,
    #[arg(short = 'n', hide = true)]
    no_mtab: bool,
    #[arg(short, hide = true)]
    verbose: bool,
    #[arg(short = 't', hide = true)]
    kind: Option<String>,
}

pub(super) fn run(helper: Helper) -> Result<()> {
    if helper.options.iter().any(|option| option == "remount") {
        return remount(&helper.dir, &helper.options);
    }
    let place = Place::at(std::path::absolute(helper.spec)?);
    mount::free(&place, &helper.dir)?;
    let dir = helper.dir.canonicalize()?;
    let dir = Text(dir.as_os_str().as_bytes().to_vec());
    let mut request = MountRequest {
        dir,
        ..MountRequest::default()
    };
    for option in &helper.options {
        mount::take_option(&mut request, option)?;
    }
    if helper.fake {
        return Ok(());
    }
    mount::ask(&place, &request, false)
}

/// Changes the flags of a standing mount that the kernel enforces by itself: `ro`, `nosuid` and their like. mount(8) hands
/// over the options that stand, with the new ones behind them; what is not a flag stays as it is.
fn remount(dir: &Path, options: &[String]) -> Result<()> {
    let mut flags = MsFlags::MS_REMOUNT;
    for option in options {
        let (flag, on) = match option.as_str() {
            "ro" => (MsFlags::MS_RDONLY, true),
            "rw" => (MsFlags::MS_RDONLY, false),
            "nosuid" => (MsFlags::MS_NOSUID, true),
            "suid" => (MsFlags::MS_NOSUID, false),
            "nodev" => (MsFlags::MS_NODEV, true),
            "dev" => (MsFlags::MS_NODEV, false),
            "noexec" => (MsFlags::MS_NOEXEC, true),
            "exec" => (MsFlags::MS_NOEXEC, false),
            "noatime" => (MsFlags::MS_NOATIME, true),
            _ => continue,
        };
        flags.set(flag, on);
    }
    let none: Option<&str> = None;
    nix::mount::mount(none, dir, none, flags, none).map_err(std::io::Error::from)?;
    Ok(())
}
