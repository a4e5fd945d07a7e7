//! Who is at the other end of the socket.

use super::entrance::Seat;
use super::peer_groups::peer_groups;
use crate::api::{self, Asked, Peer};
use crate::core::{Caller, Error, Kind, Result};
use crate::doors::daemon::Daemon;
use crate::meta::Request;
use axum::http::HeaderMap;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use tokio::net::UnixStream;

/// A connection. Whoever works for it has it, so that it counts among its user's as long as the work lasts.
#[derive(Clone)]
pub(super) struct Connection {
    /// What the kernel says; `None` when it does not say.
    peer: Option<Peer>,
    _seat: Option<Arc<Seat>>,
}

fn peer(socket: &UnixStream) -> io::Result<Peer> {
    let who = socket.peer_cred()?;
    Ok(Peer {
        uid: who.uid(),
        gid: who.gid(),
        groups: peer_groups(socket.as_raw_fd())?,
        pid: who.pid().map_or(0, i32::cast_unsigned),
    })
}

impl Connection {
    pub(super) fn of(stream: &UnixStream, seat: Option<Seat>) -> Self {
        Self {
            peer: peer(stream).ok(),
            _seat: seat.map(Arc::new),
        }
    }

    pub(super) fn peer(&self) -> Result<Peer> {
        let unknown = || Error::new(Kind::Denied, "the kernel does not say who you are");
        self.peer.clone().ok_or_else(unknown)
    }

    /// The caller of a request.
    pub(super) fn caller(&self, daemon: &Daemon, headers: &HeaderMap) -> Result<Caller> {
        api::local(&daemon.nexus, &self.peer()?, &asked(headers)?)
    }

    /// The peer, if it may command the daemon itself.
    pub(super) fn administrator(&self, daemon: &Daemon, headers: &HeaderMap) -> Result<Peer> {
        let caller = self.caller(daemon, headers)?;
        if caller.admin {
            return self.peer();
        }
        let refused = Error::new(
            Kind::NotPermitted,
            "only the owner of the data directory, or root, commands the daemon",
        );
        let engine = &daemon.nexus.engine;
        engine.write_refusal(&caller, ("daemon", &Request::default()), &refused)?;
        Err(refused)
    }
}

fn asked(headers: &HeaderMap) -> Result<Asked> {
    let umask = text(headers, "x-nexus-umask")?;
    let umask = umask
        .as_deref()
        .map(|u| u32::from_str_radix(u, 8))
        .transpose();
    Ok(Asked {
        tenant: text(headers, "x-nexus-tenant")?,
        agent: text(headers, "x-nexus-agent")?,
        session: text(headers, "x-nexus-session")?,
        umask: umask.map_err(|e| {
            Error::new(Kind::Invalid, "header x-nexus-umask: write it in octal").caused_by(e)
        })?,
    })
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let value = headers
        .get(name)
        .map(|v| v.to_str().map(str::to_owned))
        .transpose();
    value.map_err(|e| Error::new(Kind::Invalid, format!("header {name} is not text")).caused_by(e))
}
