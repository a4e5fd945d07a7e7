//! The daemon's life: open the store, bring mounts back, answer, leave everything in order.

use crate::api;
use crate::core::{Config, Error, Kind, Result, thread};
use crate::doors::control;
use crate::doors::daemon::{Daemon, bury, housekeep};
use crate::nexus::Nexus;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Threads for requests on the socket; what blocks has threads of its own.
const THREADS: usize = 2;
/// Descriptors that suffice whatever users do: twice what connections, blobs on their way to the disk, work files and names of
/// processes come to at most.
const DESCRIPTORS: u64 = 2048;

/// Runs a daemon on a data directory until it is told to stop. `ready` is called when everything answers.
pub fn run(config: Config, ready: impl FnOnce(&Daemon) -> Result<()>) -> Result<()> {
    // Nothing that the daemon makes on the host is anybody else's business.
    umask(Mode::from_bits_truncate(0o077));
    let config = match raise_open_files() {
        Some(most) => config.with_descriptors(most),
        None => config,
    };
    thread::answer_soon();
    let socket = config.socket();
    let nexus = open(config)?;
    first_user(&nexus)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let listener = control::bind(&socket)?;
    let daemon = Arc::new(Daemon::new(nexus));
    let served = live(&runtime, listener, &daemon, ready);
    notify(NotifyState::Stopping);
    let closed = daemon.close();
    if let Err(e) = std::fs::remove_file(&socket) {
        tracing::warn!("socket {}: {e}", socket.display());
    }
    tracing::info!("stopped");
    // A request that waits for the log need not be waited for.
    runtime.shutdown_background();
    served.and(closed)
}

/// Opens the store. Where the last daemon has it open still, and is dead, that one is buried first.
fn open(config: Config) -> Result<Nexus> {
    match Nexus::open(config.clone()) {
        Err(e) if e.kind() == Kind::Busy => {
            bury(&config)?;
            Nexus::open(config)
        }
        opened => opened,
    }
}

fn live(
    runtime: &Runtime,
    listener: UnixListener,
    daemon: &Arc<Daemon>,
    ready: impl FnOnce(&Daemon) -> Result<()>,
) -> Result<()> {
    daemon.remount()?;
    stop_on_signals(daemon)?;
    let server = runtime.spawn(control::serve(listener, daemon.clone()));
    let (_end, ended) = channel();
    let house = Arc::downgrade(daemon);
    thread::spawn("housekeeping", move || housekeep(&house, &ended))?;
    ready(daemon)?;
    notify(NotifyState::Ready);
    tracing::info!(pid = std::process::id(), "ready");
    runtime
        .block_on(server)
        .map_err(|e| Error::new(Kind::Io, "the control socket failed").caused_by(e))?
}

/// Takes as many descriptors as we may have, and tells how many these are.
fn raise_open_files() -> Option<u64> {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| {
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        Ok(most)
    });
    match raised {
        Ok(most) => {
            if most < DESCRIPTORS {
                tracing::warn!("may have {most} files open only: many users need {DESCRIPTORS}");
            }
            Some(most)
        }
        Err(e) => {
            tracing::warn!("cannot raise the number of open files: {e}");
            None
        }
    }
}

/// Makes sure that a user named after the OS user exists.
fn first_user(nexus: &Nexus) -> Result<()> {
    let tenant = nexus.engine.tenant("default")?.id;
    if nexus
        .engine
        .user_of_uid(tenant, geteuid().as_raw())
        .is_none()
    {
        api::own_user(&nexus.engine, tenant, geteuid().as_raw())?;
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(THREADS).enable_all().build()?)
}

fn stop_on_signals(daemon: &Arc<Daemon>) -> Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let daemon = daemon.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                daemon.stop();
            }
        });
    }
    Ok(())
}

/// Tells systemd, where there is one (sd_notify(3)).
fn notify(state: NotifyState<'_>) {
    if let Err(e) = sd_notify::notify(&[state]) {
        tracing::debug!("sd_notify: {e}");
    }
}
