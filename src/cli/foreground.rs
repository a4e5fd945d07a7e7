//! A command that is waited for, as system(3) waits: what the terminal sends is the command's to answer.

use crate::core::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, ExitStatus};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// Runs a command to its end. SIGINT and SIGQUIT, which a terminal sends to it too, do not end us before; SIGTERM and SIGHUP
/// are passed on. What is ignored when we start stays so, for both (nohup(1)).
pub(super) fn run(command: &mut Command) -> Result<ExitStatus> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build()?.block_on(async {
        // Before the command is there, so that none is missed. It starts with handlers of its own (execve(2)).
        let mut ended = signal(SignalKind::child())?;
        let mut interrupt = heard(Signal::SIGINT)?;
        let mut quit = heard(Signal::SIGQUIT)?;
        let mut terminate = heard(Signal::SIGTERM)?;
        let mut hang_up = heard(Signal::SIGHUP)?;
        let mut child = command.spawn()?;
        loop {
            // Not reaped yet, it is the child that has this number.
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            tokio::select! {
                _ = ended.recv() => {}
                () = came(&mut interrupt) => {}
                () = came(&mut quit) => {}
                () = came(&mut terminate) => pass_on(&child, Signal::SIGTERM),
                () = came(&mut hang_up) => pass_on(&child, Signal::SIGHUP),
            }
        }
    })
}

/// Hears a signal instead of being ended by it, unless it is ignored.
fn heard(wanted: Signal) -> Result<Option<Signals>> {
    if is_ignored(wanted) {
        return Ok(None);
    }
    Ok(Some(signal(SignalKind::from_raw(wanted as i32))?))
}

async fn came(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

fn pass_on(child: &Child, signal: Signal) {
    if let Err(e) = kill(Pid::from_raw(child.id().cast_signed()), signal) {
        tracing::debug!("{signal}: {e}");
    }
}

/// Whether we were started with a signal ignored (proc_pid_status(5)).
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}
