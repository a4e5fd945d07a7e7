//! A parent that starts its child again when it dies, so that mounts come back by themselves.

use crate::core::{Clock, Error, Kind, Result, error::fail};
use crate::doors::daemon::lingers;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether the child is dead and cannot end, which no wait(2) tells; twice in a row it is so.
const LOOK: Duration = Duration::from_secs(1);
/// A child that lived this long starts over with the shortest delay.
const HEALTHY: Duration = Duration::from_mins(1);
/// A first start that ends by itself this soon is a mistake to tell, not a crash to mend.
const STARTED: Duration = Duration::from_secs(10);

/// Runs `arguments` with this program until it ends well or we are told to stop. `first` is for the first start only.
pub(super) fn run(arguments: &[OsString], first: Option<&OsStr>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut delay = Duration::ZERO;
    let mut only_once = first;
    let mut starts = 0;
    loop {
        let born = Clock::System.now();
        let child = spawn(arguments, only_once.take())?;
        if first.is_some() && starts == 0 {
            // The child has the pipe now; its end has to be seen when the child dies.
            nix::unistd::dup2_stdout(std::io::stderr()).map_err(std::io::Error::from)?;
        }
        starts += 1;
        let ended = runtime.block_on(watch(child))?;
        let lived =
            Duration::from_nanos(u64::try_from(Clock::System.now().0 - born.0).unwrap_or(0));
        let cause = match ended {
            Ended::Told => return Ok(()),
            Ended::Died(status) if status.success() => return Ok(()),
            Ended::Died(status) if starts == 1 && lived < STARTED && status.code().is_some() => {
                return fail(Kind::Io, format!("the daemon did not start: {status}"));
            }
            Ended::Died(status) => cause(status),
            Ended::Lingers => "killed, it cannot end".to_owned(),
        };
        delay = if lived > HEALTHY {
            Duration::ZERO
        } else {
            (delay * 2).clamp(DELAY_MIN, DELAY_MAX)
        };
        tracing::error!("the daemon died ({cause}); it starts again in {delay:?}");
        if runtime.block_on(pause(delay))? {
            return Ok(());
        }
    }
}

fn spawn(arguments: &[OsString], first: Option<&OsStr>) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command
        .args(arguments)
        .args(first)
        .stdin(Stdio::null())
        .spawn()?)
}

fn cause(status: ExitStatus) -> String {
    status
        .signal()
        .map_or_else(|| status.to_string(), |n| format!("signal {n}"))
}

enum Ended {
    /// By itself.
    Died(ExitStatus),
    /// It is dead, and some thread of it is not: the next one sees to that.
    Lingers,
    /// Because we were told to stop.
    Told,
}

/// Waits for the child's end; passes on the signals that end us.
async fn watch(mut child: Child) -> Result<Ended> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let mut told = false;
    let (tell, mut end) = oneshot::channel();
    // A thread of its own: nothing waits for it where the child cannot end.
    thread::Builder::new()
        .name("nexus-wait".to_owned())
        .spawn(move || tell.send(child.wait()))?;
    let mut lingered = false;
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    loop {
        tokio::select! {
            status = &mut end => {
                let status = status.map_err(|e| Error::new(Kind::Io, "waiting for the daemon").caused_by(e))??;
                return Ok(if told { Ended::Told } else { Ended::Died(status) });
            }
            () = tokio::time::sleep(LOOK) => {
                let lingers = lingers(pid.as_raw());
                if lingers && lingered {
                    return Ok(if told { Ended::Told } else { Ended::Lingers });
                }
                lingered = lingers;
                continue;
            }
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        told = true;
        // It may be gone already, which is what we want.
        kill(pid, Signal::SIGTERM).ok();
    }
}

/// Waits; true when we were told to stop meanwhile.
async fn pause(delay: Duration) -> Result<bool> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(tokio::select! {
        () = tokio::time::sleep(delay) => false,
        _ = term.recv() => true,
        _ = int.recv() => true,
    })
}
