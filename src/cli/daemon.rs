//! `nexus daemon`: the process behind the mounts, started by `nexus mount` or a service manager.

use super::place::Place;
use super::supervise;
use crate::api::Failure;
use crate::api::failure::Wrong;
use crate::core::{Error, Result};
use crate::doors::serve;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;

#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// Leave the terminal and the directory it was started in
    #[arg(long)]
    detach: bool,
    /// Print one line of JSON when it answers, or when it cannot
    #[arg(long)]
    report: bool,
    /// Start it again when it dies
    #[arg(long)]
    supervise: bool,
}

/// The line that a starting daemon prints for whoever started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    Ready { pid: u32 },
    Error(Wrong),
}

pub(super) fn run(place: &Place, args: &DaemonArgs) -> Result<()> {
    let config = place.config()?;
    if args.detach {
        nix::unistd::setsid().map_err(std::io::Error::from)?;
        std::env::set_current_dir("/")?;
    }
    if args.supervise {
        let base = [
            "daemon".into(),
            "--data-dir".into(),
            config.data_dir.into_os_string(),
        ];
        return supervise::run(&base, args.report.then_some(OsStr::new("--report")));
    }
    let ready = Report::Ready {
        pid: std::process::id(),
    };
    let report = |line| if args.report { say(line) } else { Ok(()) };
    let served = serve::run(config, |_| report(&ready));
    if let Err(e) = &served {
        let mut wrong = Failure::from(e).error;
        wrong.message = super::exit::told(e);
        report(&Report::Error(wrong))?;
    }
    served
}

/// Prints the line and lets go of the pipe; what is printed later goes to the log.
fn say(report: &Report) -> Result<()> {
    let said = super::output::json(report);
    nix::unistd::dup2_stdout(std::io::stderr())
        .map_err(|e| Error::from(std::io::Error::from(e)))?;
    if let Err(e) = said {
        // Whoever started us has gone; we stay.
        tracing::warn!("nobody to report to: {e}");
    }
    Ok(())
}
