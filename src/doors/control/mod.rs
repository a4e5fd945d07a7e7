//! The control door: HTTP on a Unix socket. Commands are JSON (`POST /api/NAME`), file bytes are streamed beside them
//! (`GET` and `PUT /files/PATH`), the daemon itself answers under `/daemon/`.
//!
//! The kernel says who is at the other end; what a request says of itself is for administrators and the log.

mod commands;
mod daemon;
mod files;
mod peer_groups;
pub mod percent;
mod reply;
mod who;

pub use daemon::{ShutdownRequest, UmountRequest};

use crate::core::Result;
use crate::doors::daemon::Daemon;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

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

/// Answers until the daemon is told to stop.
pub async fn serve(listener: UnixListener, daemon: Arc<Daemon>) -> Result<()> {
    let (told, stopping) = tokio::sync::watch::channel(());
    let service = router(daemon.clone()).into_make_service_with_connect_info::<who::Connection>();
    let mut graceful = stopping.clone();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is the same news.
        graceful.changed().await.ok();
    });
    let end = async {
        daemon.stopped().await;
        drop(told);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = end => Ok(()),
    }
}

fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/api/{command}", post(commands::run))
        .route("/files/{*path}", get(files::get).put(files::put))
        .route("/daemon/status", any(daemon::status))
        .route("/daemon/mounts", any(daemon::mounts))
        .route("/daemon/mount", post(daemon::mount))
        .route("/daemon/umount", post(daemon::umount))
        .route("/daemon/shutdown", post(daemon::shutdown))
        .fallback(reply::no_route)
        .layer(DefaultBodyLimit::max(COMMAND_MAX))
        .with_state(daemon)
}
