//! The control door: HTTP on a Unix socket. Commands are JSON (`POST /api/NAME`), file bytes are streamed beside them
//! (`GET` and `PUT /files/PATH`), the daemon itself answers under `/daemon/`.
//!
//! The kernel says who is at the other end; what a request says of itself is for administrators and the log.

mod commands;
mod daemon;
mod entrance;
mod files;
mod lend;
mod peer_groups;
pub mod percent;
mod reply;
mod who;

pub use daemon::{ShutdownRequest, UmountRequest};

use crate::core::Result;
use crate::doors::daemon::Daemon;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::routing::{any, get, post};
use axum::serve::{IncomingStream, Listener};
use entrance::Entrance;
use std::fmt::Debug;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use who::Connection;

/// The largest body of a command, in bytes.
const COMMAND_MAX: usize = 1 << 20;
/// How long requests under way may take to finish once the daemon is to end.
const GRACE: Duration = Duration::from_secs(2);

/// Takes the socket's address. The lock on the data directory is ours, so a socket that lies there is a dead one.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let at = |e: std::io::Error| {
        crate::core::Error::from(e).context(format!("socket {}", path.display()))
    };
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(at)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(at)?;
    Ok(listener)
}

/// Answers until the daemon is told to stop: the owner, and others once there is a socket for them.
pub async fn serve(listener: UnixListener, daemon: Arc<Daemon>) -> Result<()> {
    let (told, stopping) = watch::channel(());
    let owner = answer(listener, daemon.clone(), stopping.clone());
    let mut ending = stopping.clone();
    let others = async {
        tokio::select! {
            socket = daemon.entrance() => {
                answer(Entrance::at(socket?), daemon.clone(), stopping.clone()).await
            }
            _ = ending.changed() => Ok(()),
        }
    };
    let end = async {
        daemon.stopped().await;
        drop(told);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = async { tokio::try_join!(owner, others) } => ended.map(drop),
        () = end => Ok(()),
    }
}

async fn answer<L>(
    listener: L,
    daemon: Arc<Daemon>,
    mut stopping: watch::Receiver<()>,
) -> Result<()>
where
    L: Listener,
    L::Addr: Debug,
    Connection: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = router(daemon).into_make_service_with_connect_info::<Connection>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is the same news.
        stopping.changed().await.ok();
    });
    Ok(server.await?)
}

fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/api/{command}", post(commands::run))
        .route("/files/{*path}", get(files::get).put(files::put))
        .route("/daemon/status", any(daemon::status))
        .route("/daemon/mounts", any(daemon::mounts))
        .route("/daemon/mount", post(daemon::mount))
        .route("/daemon/lend", post(lend::lend))
        .route("/daemon/umount", post(daemon::umount))
        .route("/daemon/shutdown", post(daemon::shutdown))
        .fallback(reply::no_route)
        .layer(DefaultBodyLimit::max(COMMAND_MAX))
        .with_state(daemon)
}
