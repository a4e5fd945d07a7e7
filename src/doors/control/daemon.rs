//! `/daemon/…`: the daemon itself.

use super::reply::{Refusal, blocking, reply};
use super::who::Connection;
use crate::core::{Error, Kind, Result, Text};
use crate::doors::daemon::{Daemon, MountRequest, Mounts, Standing};
use crate::facts::Whoami;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

type Answer = std::result::Result<Response, Refusal>;
pub(super) type Shared = State<Arc<Daemon>>;
type From = ConnectInfo<Connection>;

/// Takes a mount away.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UmountRequest {
    pub dir: Text,
    /// Even while it is in use: it vanishes from the tree now, and for those who have it open when they are done.
    #[serde(default)]
    pub lazy: bool,
}

/// Ends the daemon; with `force` even while a mount is in use.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownRequest {
    #[serde(default)]
    pub force: bool,
}

pub(super) async fn status(
    State(daemon): Shared,
    ConnectInfo(from): From,
    headers: HeaderMap,
) -> Answer {
    let told = blocking(move || {
        from.administrator(&daemon, &headers)?;
        Ok(daemon.status())
    });
    reply(&told.await?)
}

/// An administrator sees every mount, others those of their tenant.
pub(super) async fn mounts(
    State(daemon): Shared,
    ConnectInfo(from): From,
    headers: HeaderMap,
) -> Answer {
    let told = blocking(move || {
        let caller = from.caller(&daemon, &headers)?;
        let tenant = Whoami::of(&daemon.nexus.engine, &caller).tenant;
        let mut mounts = daemon.mounts();
        mounts.retain(|m| caller.admin || Some(&m.tenant) == tenant.as_ref());
        Ok(Mounts { mounts })
    });
    reply(&told.await?)
}

pub(super) async fn mount(
    State(daemon): Shared,
    ConnectInfo(from): From,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let mounted = blocking(move || {
        let peer = from.administrator(&daemon, &headers)?;
        let request: MountRequest = parse(&body)?;
        daemon.mount(&Standing {
            request,
            os_uid: peer.uid,
            os_gid: peer.gid,
            bound: None,
            shows: None,
        })
    });
    reply(&mounted.await?)
}

pub(super) async fn umount(
    State(daemon): Shared,
    ConnectInfo(from): From,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let gone = blocking(move || {
        let request: UmountRequest = parse(&body)?;
        let dir = Path::new(OsStr::from_bytes(&request.dir.0));
        // What somebody was lent he may give back.
        if !daemon.is_lent_to(dir, from.peer()?.uid) {
            from.administrator(&daemon, &headers)?;
        }
        daemon.umount(dir, request.lazy)
    });
    reply(&gone.await?)
}

pub(super) async fn shutdown(
    State(daemon): Shared,
    ConnectInfo(from): From,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let told = blocking(move || {
        from.administrator(&daemon, &headers)?;
        let request: ShutdownRequest = parse(&body)?;
        let status = daemon.status();
        daemon.umount_all(request.force)?;
        daemon.stop();
        Ok(status)
    });
    reply(&told.await?)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|e| Error::new(Kind::Invalid, format!("request: {e}")).caused_by(e))
}
