//! Starting a daemon and waiting until it answers.

use super::client::Socket;
use super::daemon::Report;
use super::place::Place;
use crate::api::{Asked, Failure};
use crate::core::{Error, Kind, Result, config};
use crate::db::owner;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often, and how long apart, a start is tried while another process has the store open.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// What a daemon logs when `NEXUS_LOG` does not say.
const LOGGED: &str = "info,refinery_core=warn,fuser=warn";

pub(super) fn log_of(data_dir: &Path) -> PathBuf {
    data_dir.join("daemon.log")
}

/// Connects to the daemon of a store, starting one when none runs.
pub(super) fn ensure(place: &Place, supervise: bool) -> Result<Socket> {
    let socket = place.own_socket()?;
    let mut tries = 0;
    loop {
        match Socket::connect(&socket, Asked::default()) {
            Err(e) if e.kind() == Kind::Unavailable => {}
            answered => return answered,
        }
        match spawn(&place.data_dir()?, supervise) {
            // A command that is done soon, or a daemon that answers soon.
            Err(e) if e.kind() == Kind::Busy && tries < TRIES => tries += 1,
            Err(e) => return Err(e),
            Ok(()) => return Socket::connect(&socket, Asked::default()),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Starts a daemon; returns when it answers, or with the reason why it does not.
fn spawn(data_dir: &Path, supervise: bool) -> Result<()> {
    let log = log_of(data_dir);
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("daemon")
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--detach", "--report"]);
    if supervise {
        command.arg("--supervise");
    }
    let level = config::env("NEXUS_LOG").unwrap_or_else(|| LOGGED.to_owned());
    let child = command
        .env("NEXUS_LOG", level)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(open_log(data_dir, &log)?)
        .spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout {
        BufReader::new(out).read_line(&mut line)?;
    }
    match serde_json::from_str(&line) {
        Ok(Report::Ready { .. }) => Ok(()),
        Ok(Report::Error(wrong)) => Err(Failure { error: wrong }.into()),
        Err(e) => {
            let message = format!("the daemon died while it started: see {}", log.display());
            Err(Error::new(Kind::Io, message).caused_by(e))
        }
    }
}

fn open_log(data_dir: &Path, log: &Path) -> Result<File> {
    let at = |e: std::io::Error| {
        Error::from(e).context(format!("data directory {}", data_dir.display()))
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(at)?;
    let made = match owner::open_file(log) {
        Ok(_) => OpenOptions::new().append(true).open(log),
        refused => refused,
    };
    made.map_err(|e| Error::from(e).context(format!("log {}", log.display())))
}
