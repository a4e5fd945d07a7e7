//! `nexus doctor`: what has to be right for a mount, with the cure for what is not.

use super::client::Socket;
use super::place::Place;
use super::{exit, mounted, output, session};
use crate::api::Asked;
use crate::core::{Config, Kind, Result, config, error::fail};
use crate::doors::daemon::Status;
use crate::doors::fuse::{self, Health};
use crate::nexus::Nexus;
use nix::unistd::{AccessFlags, access, geteuid};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::path::Path;

/// Less room than this, in bytes, and writes will soon fail.
const ROOM_MIN: u64 = 256 << 20;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    pass: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

fn pass(check: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        check,
        pass: true,
        found: found.into(),
        cure: None,
    }
}

fn bad(check: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding {
        check,
        pass: false,
        found: found.into(),
        cure: Some(cure.into()),
    }
}

pub(super) fn run(place: &Place) -> Result<()> {
    let config = place.config()?;
    if let Some(hidden) = session::hides(&config.data_dir) {
        return fail(Kind::NotFound, hidden);
    }
    let mut all = vec![device(), helper(), allow_other()];
    all.extend(stale_mounts());
    all.extend([
        directory(&config.data_dir),
        room(&config.data_dir),
        store(config),
    ]);
    for finding in &all {
        if place.json {
            output::json(finding)?;
            continue;
        }
        let verdict = if finding.pass { "PASS" } else { "FAIL" };
        let cure = finding
            .cure
            .as_ref()
            .map_or(String::new(), |c| format!(" -- {c}"));
        output::line(format!(
            "{verdict}  {}: {}{cure}",
            finding.check, finding.found
        ))?;
    }
    match all.iter().filter(|f| !f.pass).count() {
        0 => Ok(()),
        n => fail(
            Kind::Unavailable,
            format!("{n} of {} checks failed", all.len()),
        ),
    }
}

fn device() -> Finding {
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => pass("/dev/fuse", "can be opened"),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bad(
            "/dev/fuse",
            "does not exist",
            "run `modprobe fuse`; in a container, pass the device in",
        ),
        Err(e) => bad(
            "/dev/fuse",
            e.to_string(),
            "`chmod 666 /dev/fuse` as root, as Debian has it",
        ),
    }
}

fn helper() -> Finding {
    let found = config::env("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join("fusermount3"))
            .find(|p| p.is_file())
    });
    match found {
        Some(at) => pass("fusermount3", at.display().to_string()),
        None if geteuid().is_root() => pass("fusermount3", "not installed; root does not need it"),
        None => bad("fusermount3", "not found", "install the package fuse3"),
    }
}

fn allow_other() -> Finding {
    let text = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if text.lines().any(|l| l.trim() == "user_allow_other") {
        return pass("/etc/fuse.conf", "user_allow_other is set");
    }
    let found = "user_allow_other is not set: --allow-other and --identity os are for root only";
    pass("/etc/fuse.conf", found)
}

/// Every mount of ours that does not answer; one line when there is none.
fn stale_mounts() -> Vec<Finding> {
    let found: Vec<_> = mounted::all().iter().filter_map(|dir| stale(dir)).collect();
    if found.is_empty() {
        vec![pass("stale mounts", "none")]
    } else {
        found
    }
}

fn stale(dir: &Path) -> Option<Finding> {
    let health = fuse::health(dir);
    let dir = dir.display();
    match health {
        Health::Good => None,
        Health::Gone => Some(bad(
            "stale mount",
            format!("{dir}: its daemon is gone"),
            format!("`nexus umount {dir}`, or mount there again"),
        )),
        Health::Silent => Some(bad(
            "silent mount",
            format!("{dir} does not answer"),
            format!(
                "let its daemon go on; if that is dead, mount there again, or `umount -f {dir}`"
            ),
        )),
    }
}

fn directory(dir: &Path) -> Finding {
    let shown = dir.display();
    let Some(there) = dir.ancestors().find(|d| d.exists()) else {
        return bad(
            "data directory",
            format!("{shown} cannot be reached"),
            "say another with --data-dir",
        );
    };
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) if there == dir => pass("data directory", format!("{shown} can be written")),
        Ok(()) => pass(
            "data directory",
            format!("{shown} does not exist yet and can be made"),
        ),
        Err(e) => bad(
            "data directory",
            format!("{}: {}", there.display(), e.desc()),
            "make it yours, or say another with --data-dir",
        ),
    }
}

fn room(dir: &Path) -> Finding {
    let there = dir
        .ancestors()
        .find(|d| d.exists())
        .unwrap_or(Path::new("/"));
    let Ok(host) = nix::sys::statvfs::statvfs(there) else {
        return bad("disk space", "cannot be read", "look with df(1)");
    };
    let room = host.blocks_available().saturating_mul(host.fragment_size());
    let found = format!("{} free at {}", output::size(room), there.display());
    if room < ROOM_MIN {
        bad("disk space", found, "make room: writes will fail")
    } else {
        pass("disk space", found)
    }
}

/// The store itself: through its daemon, or by opening it, which also tells its version.
fn store(config: Config) -> Finding {
    let socket = config.socket();
    match Socket::connect(&socket, Asked::default())
        .and_then(|s| s.post::<Status>("/daemon/status", &()))
    {
        Ok(status) => {
            let mounts = status.mounts.len();
            return pass(
                "daemon",
                format!(
                    "process {} answers; {mounts} mounts",
                    status.pid.unwrap_or(0)
                ),
            );
        }
        Err(e) if e.kind() == Kind::Unavailable => {}
        Err(e) => {
            return bad(
                "daemon",
                exit::told(&e),
                "run this as the owner of the data directory",
            );
        }
    }
    if !config.database().exists() {
        return pass("store", "none yet; `nexus mount DIR` makes one");
    }
    match Nexus::open(config) {
        Ok(_) => pass("store", "opens; no daemon runs"),
        Err(e) if e.kind() == Kind::Busy => {
            let cure = format!(
                "a process has the lock and does not answer at {}: wait, or end it",
                socket.display()
            );
            bad("store", exit::told(&e), cure)
        }
        Err(e) if e.kind() == Kind::Version => {
            bad("store", exit::told(&e), "use the newer nexus that made it")
        }
        Err(e) => bad(
            "store",
            exit::told(&e),
            "see the log, and run `nexusctl fsck`",
        ),
    }
}
