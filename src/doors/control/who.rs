//! Who is at the other end of the socket.

use crate::api::{self, Asked, Peer};
use crate::core::{Caller, Error, Kind, Result};
use crate::doors::daemon::Daemon;
use crate::meta::Request;
use axum::extract::connect_info::Connected;
use axum::http::HeaderMap;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// What the kernel says of a connection's peer; `None` when it does not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection(Option<Peer>);

impl Connected<IncomingStream<'_, UnixListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|c| Peer {
            uid: c.uid(),
            gid: c.gid(),
            pid: c.pid().map_or(0, i32::cast_unsigned),
        }))
    }
}

impl Connection {
    pub(super) fn peer(self) -> Result<Peer> {
        let unknown = || Error::new(Kind::Denied, "the kernel does not say who you are");
        self.0.ok_or_else(unknown)
    }

    /// The caller of a request.
    pub(super) fn caller(self, daemon: &Daemon, headers: &HeaderMap) -> Result<Caller> {
        api::local(&daemon.nexus, &self.peer()?, &asked(headers)?)
    }

    /// The peer, if it may command the daemon itself.
    pub(super) fn administrator(self, daemon: &Daemon, headers: &HeaderMap) -> Result<Peer> {
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
