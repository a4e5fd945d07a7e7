//! The daemon behind its socket: HTTP/1.1 without threads. Each request has a connection of its own, for none is kept
//! open for who asks nothing, as a command does whose output waits for a pager.

use super::lines::{Line, Lines};
use super::next_piece;
use crate::api::follow::Follow;
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
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
        })
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
        let mut lines = self.lines(sent.body(full(to_json(request)?)))?;
        let first = lines.next(&self.runtime)?.ok_or_else(went_away)?;
        Ok((first, Held(lines)))
    }

    pub(super) fn call_telling<C: Command>(
        &self,
        command: &C,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<C::Reply> {
        let request = self.request(Method::POST, &format!("/api/{}", C::NAME));
        let request = request.header(header::ACCEPT, "application/x-ndjson");
        let mut lines = self.lines(request.body(full(to_json(command)?)))?;
        loop {
            match lines.next(&self.runtime)?.ok_or_else(went_away)? {
                Line::Progress(p) => tell(p),
                Line::Reply(r) => return Ok(r),
                Line::Error(e) => return Err(Failure { error: e }.into()),
            }
        }
    }

    /// Asks for what comes, and for what comes behind that, until nothing can come or `each` fails.
    pub(super) fn follow<C: Follow>(
        &self,
        mut command: C,
        each: &mut dyn FnMut(&C::Reply) -> Result<()>,
    ) -> Result<()> {
        loop {
            let request = self.request(Method::POST, &format!("/follow/{}", C::NAME));
            let mut lines = self.lines(request.body(full(to_json(&command)?)))?;
            let mut next = Some(lines.next(&self.runtime)?.ok_or_else(went_away)?);
            // The daemon ends an answer that was not taken for a while.
            while let Some(line) = next {
                match line {
                    Line::Progress(_) => {}
                    Line::Reply(reply) => {
                        each(&reply)?;
                        if !command.go_on(&reply) {
                            return Ok(());
                        }
                    }
                    Line::Error(e) => return Err(Failure { error: e }.into()),
                }
                next = lines.next(&self.runtime)?;
            }
        }
    }

    fn lines(&self, request: hyper::http::Result<Request<Body>>) -> Result<Lines> {
        Ok(Lines::of(self.send(request)?.into_body()))
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
            let (mut sender, connection) = handshake(TokioIo::new(dial(&self.path).await?))
                .await
                .map_err(broken)?;
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(broken)?;
            if response.status().is_success() {
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

/// An answer that is not at its end.
pub(in crate::cli) struct Held(#[allow(dead_code, reason = "held, not read")] Lines);

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

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(garbled)
}

fn garbled(e: serde_json::Error) -> Error {
    Error::new(
        Kind::Version,
        "the daemon's answer is not understood: is it of another version?",
    )
    .caused_by(e)
}

pub(super) fn broken(e: hyper::Error) -> Error {
    Error::new(Kind::Unavailable, "the connection to the daemon broke").caused_by(e)
}

fn went_away() -> Error {
    Error::new(Kind::Unavailable, "the daemon went away at its work")
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
    use crate::api::log::{Log, Wanted};
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

    /// A daemon that gives each connection one of the answers, and tells what it was asked.
    fn daemon(path: &Path, answers: &'static [&str]) -> JoinHandle<io::Result<Vec<String>>> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            // Who looks whether somebody is there says nothing.
            drop(listener.accept()?);
            let asked = answers.iter().map(|answer| {
                let (mut stream, _) = listener.accept()?;
                let (mut asked, mut byte) = (Vec::new(), [0]);
                while !asked.ends_with(b"}") {
                    stream.read_exact(&mut byte)?;
                    asked.push(byte[0]);
                }
                write!(stream, "{HEAD}{answer}")?;
                Ok(String::from_utf8_lossy(&asked).into_owned())
            });
            asked.collect()
        })
    }

    #[test]
    fn who_follows_asks_again_behind_what_came_last() {
        const ONE: &str = "{\"reply\":{\"records\":[],\"first\":1,\"last\":1}}\n";
        const LATER: &str = "{\"reply\":{\"records\":[],\"first\":2,\"last\":2}}\n{\"reply\":{\"records\":[],\"first\":3,\"last\":4}}\n{\"reply\":0}\n";
        const REFUSED: &str = "{\"reply\":{\"records\":[],\"first\":1,\"last\":2}}\n{\"error\":{\"kind\":\"denied\",\"message\":\"no\"}}\n";
        let ends = [
            (&[ONE, LATER][..], Ok(&[1, 2, 4][..])),
            (&[REFUSED], Err((Kind::Denied, &[2][..]))),
            (&[ONE, ""], Err((Kind::Unavailable, &[1][..]))),
            (&["{\"reply\":{\"rec"], Err((Kind::Version, &[][..]))),
        ];
        let dir = tempfile::tempdir().unwrap();
        for (n, (answers, end)) in ends.into_iter().enumerate() {
            let path = dir.path().join(n.to_string());
            let daemon = daemon(&path, answers);
            let socket = Socket::connect(&path, Asked::default()).unwrap();
            let wanted = Wanted {
                last: Some(4),
                ..Wanted::default()
            };
            let all = Log {
                wanted,
                after: Some(0),
                ..Log::default()
            };
            let mut came = Vec::new();
            let done = socket.follow(all, &mut |page| {
                came.push(page.last);
                Ok(())
            });
            let (wrong, pages) = match end {
                Ok(pages) => (None, pages),
                Err((kind, pages)) => (Some(kind), pages),
            };
            assert_eq!((done.err().map(|e| e.kind()), &*came), (wrong, pages));
            let asked = daemon.join().unwrap().unwrap();
            let behind = |n: usize| asked[n].contains(&format!("\"after\":{n},"));
            assert!((0..answers.len()).all(behind), "{asked:?}");
        }
    }
}
