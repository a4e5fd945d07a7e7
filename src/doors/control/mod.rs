//! The control door: HTTP on a Unix socket. Commands are JSON (`POST /api/NAME`, and `POST /follow/NAME` for one that is answered
//! again and again), file bytes are streamed beside them (`GET` and `PUT /files/PATH`), the daemon itself answers under `/daemon/`.
//!
//! The kernel says who is at the other end; what a request says of itself is for administrators and the log.

mod commands;
mod connections;
mod daemon;
mod entrance;
mod files;
mod follow;
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
use axum::routing::{any, get, post};
use connections::Patience;
use entrance::Entrance;
use futures_util::FutureExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;

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
    let router = router(daemon.clone());
    let own = Entrance::own(listener);
    let owner = connections::answer(own, router.clone(), None, stopping.clone()).map(Ok);
    let mut ending = stopping.clone();
    let others = async {
        tokio::select! {
            socket = daemon.entrance() => {
                let knows = daemon.clone();
                let entrance = Entrance::at(socket?, move |uid| knows.nexus.engine.is_user(uid));
                connections::answer(entrance, router, Some(Patience::OTHERS), stopping).await;
                Ok(())
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
        ended = async { tokio::try_join!(others, owner) } => ended.map(drop),
        () = end => Ok(()),
    }
}

fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/api/{command}", post(commands::run))
        .route("/follow/{command}", post(follow::run))
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
