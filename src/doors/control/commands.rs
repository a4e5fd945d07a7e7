//! `POST /api/NAME`: a command as JSON. With `Accept: application/x-ndjson` the answer is lines, `{"progress":…}` as
//! the work goes on and `{"reply":…}` or `{"error":…}` at its end.

use super::reply::{Refusal, blocking, json};
use super::who::Connection;
use crate::api::{self, Context, Failure, Progress, Tell, to_json};
use crate::core::{Caller, Kind, Result, error::fail};
use crate::doors::daemon::Daemon;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const LINES: &str = "application/x-ndjson";
/// Lines that may wait for the client; what does not fit of the progress is left out.
const QUEUE: usize = 16;

/// Where lines of an answer go.
pub(super) type Lines = Sender<Vec<u8>>;

pub(super) async fn run(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Response, Refusal> {
    let wants_lines = headers.get(header::ACCEPT).is_some_and(|v| v == LINES);
    let (asking, from) = (daemon.clone(), connection.clone());
    let caller = blocking(move || from.caller(&asking, &headers)).await?;
    let work = move |tell: Tell<'_>| {
        // Whoever leaves before his work is done has it until it is told so.
        let _at_work = &connection;
        dispatch(&daemon, &caller, &name, &body, tell)
    };
    let (sender, receiver) = channel(QUEUE);
    if wants_lines {
        tokio::task::spawn_blocking(move || {
            let done = work(&mut |p| tell_progress(&sender, p));
            // A client that has gone away does not want to know.
            sender.blocking_send(last_line(done)).ok();
        });
        return Ok(lines(receiver));
    }
    let done = blocking(move || work(&mut |_| heard(&sender))).await;
    // It went with us if the client left.
    drop(receiver);
    Ok(json(done?))
}

/// Fails when the client has gone away.
pub(super) fn heard(sender: &Lines) -> Result<()> {
    if sender.is_closed() {
        return fail(Kind::Unavailable, "whoever asked has gone away");
    }
    Ok(())
}

fn dispatch(
    daemon: &Daemon,
    caller: &Caller,
    name: &str,
    body: &[u8],
    tell: Tell<'_>,
) -> Result<Vec<u8>> {
    let mut cx = Context {
        nexus: &daemon.nexus,
        caller,
        tell,
    };
    api::dispatch(name, &mut cx, body)
}

/// An answer of lines, which ends with them.
pub(super) fn lines(receiver: Receiver<Vec<u8>>) -> Response {
    let body = Body::from_stream(stream(receiver));
    ([(header::CONTENT_TYPE, LINES)], body).into_response()
}

fn tell_progress(sender: &Lines, progress: Progress) -> Result<()> {
    heard(sender)?;
    sender.try_send(line("progress", &to_json(&progress)?)).ok();
    Ok(())
}

pub(super) fn last_line(done: Result<Vec<u8>>) -> Vec<u8> {
    match done {
        Ok(reply) => line("reply", &reply),
        Err(e) => {
            tracing::debug!("{}", e.chain());
            let wrong = Failure::from(&e).error;
            line("error", &to_json(&wrong).unwrap_or_default())
        }
    }
}

pub(super) fn line(key: &str, json: &[u8]) -> Vec<u8> {
    [b"{\"", key.as_bytes(), b"\":", json, b"}\n"].concat()
}

fn stream(
    receiver: Receiver<Vec<u8>>,
) -> impl futures_util::Stream<Item = std::result::Result<Vec<u8>, Infallible>> {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|line| (Ok(line), receiver))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_hears_that_its_client_has_gone_away() {
        let (sender, receiver) = channel(1);
        let progress = Progress { done: 1 };
        for _ in 0..3 {
            tell_progress(&sender, progress).unwrap();
        }
        let body = Body::from_stream(stream(receiver));
        tell_progress(&sender, progress).unwrap();
        drop(body);
        let refused = tell_progress(&sender, progress).unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
    }
}
