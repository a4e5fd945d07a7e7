//! `POST /daemon/lend`: a mount for as long as the connection lasts. One line says where it is; then the answer goes on, without
//! a word, until the client has enough or is gone.

use super::daemon::{Shared, parse};
use super::reply::{Refusal, blocking};
use super::who::Connection;
use crate::api::to_json;
use crate::core::{Kind, Result};
use crate::doors::daemon::{Daemon, LendRequest, Lent};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Ends a mount that was lent, with the connection at the latest.
struct Loan {
    daemon: Arc<Daemon>,
    dir: PathBuf,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let (daemon, dir) = (self.daemon.clone(), std::mem::take(&mut self.dir));
        let end = move || match daemon.umount(&dir, true) {
            Err(e) if e.kind() != Kind::NotFound => tracing::error!("{}", e.chain()),
            _ => {}
        };
        // Without a runtime the daemon is at its end, and takes away every mount itself.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(end);
        }
    }
}

pub(super) async fn lend(
    State(daemon): Shared,
    ConnectInfo(from): ConnectInfo<Connection>,
    body: Bytes,
) -> std::result::Result<Response, Refusal> {
    // Whoever hangs up meanwhile has borrowed nothing.
    let lent = blocking(move || {
        let request: LendRequest = parse(&body)?;
        let lent = daemon.lend(&from.peer()?, &request)?;
        let dir = PathBuf::from(OsStr::from_bytes(&lent.dir.0));
        Ok((line(&lent)?, Loan { daemon, dir }))
    });
    let (line, loan) = lent.await?;
    let lines = futures_util::stream::unfold((Some(line), loan), |(line, loan)| async {
        let Some(line) = line else {
            return std::future::pending().await;
        };
        Some((Ok::<_, Infallible>(line), (None, loan)))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(lent: &Lent) -> Result<Vec<u8>> {
    let mut line = to_json(lent)?;
    line.push(b'\n');
    Ok(line)
}
