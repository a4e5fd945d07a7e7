//! `nexus run`: a command and all that it starts act as an agent, whatever they do.
//!
//! The daemon lends a mount for the agent, and the command gets a mount namespace (mount_namespaces(7)) in which that one
//! stands in the place of every other mount of the store, and nothing in the place of its data directory and its sockets.
//! Leaving the tree (setsid(2), a double fork) changes nothing.

use super::client::Socket;
use super::foreground;
use super::label;
use super::place::Place;
use crate::api::Asked;
use crate::core::{Kind, Result, Text, error::fail};
use crate::doors::control::UmountRequest;
use crate::doors::daemon::{LendRequest, Lent, Unmounted};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The command, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(super) fn run(place: &Place, args: RunArgs) -> Result<()> {
    if place.agent().is_none() && place.session().is_none() {
        return fail(
            Kind::Invalid,
            "say whose work it is: --agent NAME, --session NAME, or both",
        );
    }
    let (place, socket) = place.found()?;
    let daemon = Socket::connect(&socket, Asked::default())?;
    let request = LendRequest {
        cwd: Text(std::env::current_dir()?.as_os_str().as_bytes().to_vec()),
        tenant: place.tenant.clone(),
        agent: place.agent(),
        session: place.session(),
    };
    let (lent, held) = daemon.hold::<Lent>("/daemon/lend", &request)?;
    if let Some(name) = request.agent.filter(|_| !lent.binds) {
        label::tell(&name);
    }
    let ended = foreground::run(&mut inside(&place, &lent, args.command)?);
    let returned = give_back(&socket, &lent);
    drop(held);
    let ended = ended?;
    returned?;
    std::process::exit(code(ended));
}

/// Ends the loan and waits for it. Where the daemon hears us no more, it ends with our connection.
fn give_back(socket: &Path, lent: &Lent) -> Result<()> {
    let gone = UmountRequest {
        dir: lent.dir.clone(),
        lazy: true,
    };
    let returned = Socket::connect(socket, Asked::default())
        .and_then(|daemon| daemon.post::<Unmounted>("/daemon/umount", &gone));
    match returned {
        Err(e) if !matches!(e.kind(), Kind::Denied | Kind::NotFound | Kind::Unavailable) => Err(e),
        _ => Ok(()),
    }
}

/// The command in a process of its own, which enters the namespace.
fn inside(place: &Place, lent: &Lent, command: Vec<OsString>) -> Result<Command> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("inside").arg("--own").arg(path(&lent.dir));
    for hidden in &lent.hidden {
        child.arg("--hidden").arg(path(hidden));
    }
    for device in &lent.devices {
        child.arg("--device").arg(device.to_string());
    }
    if lent.binds {
        child.arg("--confine");
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
    child.arg("--").args(command);
    Ok(child)
}

fn path(text: &Text) -> &OsStr {
    OsStr::from_bytes(&text.0)
}

fn code(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map_or(1, |n| BY_SIGNAL + n);
    status.code().unwrap_or_else(by_signal)
}
