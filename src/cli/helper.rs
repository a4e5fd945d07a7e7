//! `mount.fuse.nexus`: the helper that mount(8) calls for `fuse.nexus`, as `mount.fuse.nexus DATA_DIR DIR -o …`.
//!
//! A link of that name in /sbin to `nexus` is the helper. In fstab(5):
//! `/var/lib/nexus  /mnt/nexus  fuse.nexus  identity=os,allow_other,nofail  0  0`

use super::mount;
use super::place::Place;
use crate::core::{Result, Text};
use crate::doors::daemon::MountRequest;
use crate::doors::fuse;
use clap::Parser;
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
    fuse::clear_stale(&helper.dir)?;
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
    mount::ask(
        &Place::at(std::path::absolute(helper.spec)?),
        &request,
        false,
    )
}
