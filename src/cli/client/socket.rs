//! The daemon behind its socket: HTTP/1.1 without threads. Each request has a connection of its own, for none is kept
//! open for who asks nothing, as a command does whose output waits for a pager. Who follows something asks again at once, and
//! on the same one.

use super::next_piece;
use crate::api::stream::{Onto, Written};
use crate::api::{Asked, Command, Failure, Progress, to_json};
use crate::cli::session;
use crate::core::{Error, Kind, Result};
use crate::doors::control::percent;
use crate::doors::daemon::lingers;
use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(in crate::cli) struct Socket {
    runtime: Runtime,
    path: PathBuf,
    asked: Asked,
    /// The connection of who follows something; none while he waits for an answer.
    kept: RefCell<Option<SendRequest<Body>>>,
    keeps: Cell<bool>,
}

impl Socket {
    /// Finds the daemon; fails with `Unavailable` when nobody answers there.
    pub(in crate::cli) fn connect(path: &Path, asked: Asked) -> Result<Self> {
        // Without a socket there is nothing to start a runtime for.
        if !path.try_exists().unwrap_or(true) {
            return Err(nobody(path));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(dial(path))?;
        Ok(Self {
            runtime,
            path: path.to_owned(),
            asked,
            kept: RefCell::default(),
            keeps: Cell::default(),
        })
    }

    /// Asks on one connection from now on, as far as the daemon leaves it open.
    pub(super) fn keep(&self) {
        self.keeps.set(true);
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        self.asked.tenant.as_deref()
    }

    pub(super) fn call<C: Command>(&self, command: &C) -> Result<C::Reply> {
        self.post(&format!("/api/{}", C::NAME), command)
    }

    /// Posts JSON and reads JSON.
    pub(in crate::cli) fn post<R: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<R> {
        let response = self.send(
            self.request(Method::POST, path)
                .body(full(to_json(request)?)),
        )?;
        let body = self
            .runtime
            .block_on(response.into_body().collect())
            .map_err(broken)?;
        parse(&body.to_bytes())
    }

    /// Posts JSON and reads a line of JSON. The answer goes on: what it is about lasts until what is held is dropped.
    pub(in crate::cli) fn hold<R: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<(R, Held)> {
        let sent = self.request(Method::POST, path);
        let mut body = self.send(sent.body(full(to_json(request)?)))?.into_body();
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let Some(frame) = self.runtime.block_on(body.frame()) else {
                break;
            };
            line.extend_from_slice(&frame.map_err(broken)?.into_data().unwrap_or_default());
        }
        Ok((parse(&line)?, Held(body)))
    }

    pub(super) fn call_telling<C: Command>(
        &self,
        command: &C,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<C::Reply> {
        let request = self.request(Method::POST, &format!("/api/{}", C::NAME));
        let request = request.header(header::ACCEPT, "application/x-ndjson");
        let mut body = self
            .send(request.body(full(to_json(command)?)))?
            .into_body();
        let mut pending = Vec::new();
        loop {
            let Some(frame) = self.runtime.block_on(body.frame()) else {
                return Err(Error::new(
                    Kind::Unavailable,
                    "the daemon went away at its work",
                ));
            };
            pending.extend_from_slice(&frame.map_err(broken)?.into_data().unwrap_or_default());
            while let Some(end) = pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                match parse::<Line>(&line)? {
                    Line::Progress(p) => tell(p),
                    Line::Reply(r) => return serde_json::from_value(r).map_err(garbled),
                    Line::Error(e) => return Err(Failure { error: e }.into()),
                }
            }
        }
    }

    pub(super) fn read(
        &self,
        path: &[u8],
        version: Option<u64>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let which = version.map_or(String::new(), |n| format!("?version={n}"));
        let address = format!("/files{}{which}", percent::encode(path));
        let request = self.request(Method::GET, &address);
        let mut body = self.send(request.body(full(Vec::new())))?.into_body();
        while let Some(frame) = self.runtime.block_on(body.frame()) {
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                out.write_all(&data)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(
        &self,
        path: &[u8],
        mut input: Box<dyn Read + Send>,
        onto: Onto,
        parents: bool,
    ) -> Result<Written> {
        let append = u8::from(onto == Onto::Append);
        let address = format!(
            "/files{}?append={append}&parents={}",
            percent::encode(path),
            u8::from(parents)
        );
        // Nobody is kept waiting for the input to begin.
        let first = next_piece(&mut input)?;
        let request = self.request(Method::PUT, &address);
        let response = self.send(request.body(upload(first, input)))?;
        let body = self
            .runtime
            .block_on(response.into_body().collect())
            .map_err(broken)?;
        parse(&body.to_bytes())
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "nexus");
        let said = [
            ("x-nexus-tenant", self.asked.tenant.clone()),
            ("x-nexus-agent", self.asked.agent.clone()),
            ("x-nexus-session", self.asked.session.clone()),
            ("x-nexus-umask", self.asked.umask.map(|u| format!("{u:o}"))),
        ];
        for (name, value) in said {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
    }

    fn send(&self, request: hyper::http::Result<Request<Body>>) -> Result<Response<Incoming>> {
        let request = request.map_err(|e| Error::new(Kind::Invalid, e.to_string()).caused_by(e))?;
        self.runtime.block_on(async {
            let (sender, response) = self.answer(request).await?;
            if response.status().is_success() {
                if self.keeps.get() {
                    self.kept.replace(Some(sender));
                }
                return Ok(response);
            }
            let status = response.status();
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(broken)?
                .to_bytes();
            Err(serde_json::from_slice::<Failure>(&body).map_or_else(
                |_| Error::new(Kind::Io, format!("the daemon answered {status}")),
                Error::from,
            ))
        })
    }
}

impl Socket {
    /// Sends a request on the connection that was kept, or on a new one.
    async fn answer(
        &self,
        request: Request<Body>,
    ) -> Result<(SendRequest<Body>, Response<Incoming>)> {
        let mut request = request;
        let kept = self.kept.take();
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                // The daemon has closed it meanwhile; nothing was sent.
                Err(mut e) => match e.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(e.into_error())),
                },
            }
        }
        let (mut sender, connection) = handshake(TokioIo::new(dial(&self.path).await?))
            .await
            .map_err(broken)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((sender, response))
    }
}

/// An answer that is not at its end.
pub(in crate::cli) struct Held(#[allow(dead_code, reason = "held, not read")] Incoming);

/// A line of a long answer.
#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Progress(Progress),
    Reply(serde_json::Value),
    Error(crate::api::failure::Wrong),
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes))
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body that is read as it is sent. Reading blocks; this client has nothing else to do meanwhile.
fn upload(first: Vec<u8>, input: Box<dyn Read + Send>) -> Body {
    let pieces = unfold((Some(first), input), |(first, mut input)| async {
        match first.map_or_else(|| next_piece(&mut input), Ok) {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => Some((Ok(Frame::data(Bytes::from(piece))), (None, input))),
            Err(e) => Some((Err(e), (None, input))),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(garbled)
}

fn garbled(e: serde_json::Error) -> Error {
    Error::new(
        Kind::Version,
        "the daemon's answer is not understood: is it of another version?",
    )
    .caused_by(e)
}

fn broken(e: hyper::Error) -> Error {
    Error::new(Kind::Unavailable, "the connection to the daemon broke").caused_by(e)
}

async fn dial(path: &Path) -> Result<UnixStream> {
    let dialled = UnixStream::connect(path).await;
    let dialled = dialled.map_err(|e| unreached(path, e))?;
    let daemon = dialled.peer_cred().ok().and_then(|peer| peer.pid());
    if daemon.is_some_and(lingers) {
        return Err(nobody(path));
    }
    Ok(dialled)
}

fn nobody(path: &Path) -> Error {
    // No daemon is to be started there, either.
    if let Some(hidden) = path.parent().and_then(session::hides) {
        return Error::new(Kind::NotFound, hidden);
    }
    Error::new(
        Kind::Unavailable,
        format!("no daemon answers at {}", path.display()),
    )
}

fn unreached(path: &Path, e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => nobody(path).caused_by(e),
        io::ErrorKind::PermissionDenied => Error::new(
            Kind::Denied,
            format!(
                "the daemon at {} takes commands of its owner alone until the store is mounted with --identity os, \
                 and then of those who work below that mount",
                path.display()
            ),
        )
        .caused_by(e),
        _ => Error::from(e).context(format!("socket {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// A daemon that answers so many requests on each connection, and closes it then.
    fn daemon(path: &Path, answers: &'static [usize]) -> JoinHandle<io::Result<()>> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            // Who looks whether somebody is there says nothing.
            drop(listener.accept()?);
            for many in answers {
                let (mut stream, _) = listener.accept()?;
                // A request that comes on another connection is none here.
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                for _ in 0..*many {
                    let (mut asked, mut byte) = (Vec::new(), [0]);
                    while !asked.ends_with(b"\r\n\r\n{}") {
                        stream.read_exact(&mut byte)?;
                        asked.push(byte[0]);
                    }
                    stream.write_all(ANSWER)?;
                }
            }
            Ok(())
        })
    }

    #[test]
    fn who_follows_asks_on_one_connection_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        for (n, (keeps, answers)) in [(true, &[3][..]), (true, &[1, 2]), (false, &[1, 1, 1])]
            .into_iter()
            .enumerate()
        {
            let path = dir.path().join(n.to_string());
            let daemon = daemon(&path, answers);
            let socket = Socket::connect(&path, Asked::default()).unwrap();
            if keeps {
                socket.keep();
            }
            for _ in 0..3 {
                let said: Value = socket.post("/api/x", &json!({})).unwrap();
                assert_eq!(said, json!({}));
            }
            daemon.join().unwrap().unwrap();
        }
    }
}
