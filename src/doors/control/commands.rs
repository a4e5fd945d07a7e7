//! `POST /api/NAME`: a command as JSON. With `Accept: application/x-ndjson` the answer is lines, `{"progress":…}` as
//! the work goes on and `{"reply":…}` or `{"error":…}` at its end.

use super::reply::{Refusal, blocking, json};
use super::who::Connection;
use crate::api::context::Tell;
use crate::api::{self, Context, Failure, Progress, to_json};
use crate::core::{Caller, Result};
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
    let work = move |tell: &mut Tell<'_>| {
        // Whoever leaves before his work is done has it still.
        let _at_work = &connection;
        dispatch(&daemon, &caller, &name, &body, tell)
    };
    if wants_lines {
        return Ok(lines(work));
    }
    // Given up with this future, when the client leaves.
    let waiting = Arc::new(());
    let there = Arc::downgrade(&waiting);
    let done = blocking(move || work(&mut |_| there.strong_count() > 0)).await;
    drop(waiting);
    Ok(json(done?))
}

fn dispatch(
    daemon: &Daemon,
    caller: &Caller,
    name: &str,
    body: &[u8],
    tell: &mut Tell<'_>,
) -> Result<Vec<u8>> {
    let mut cx = Context {
        nexus: &daemon.nexus,
        caller,
        tell,
    };
    api::dispatch(name, &mut cx, body)
}

fn lines(work: impl Fn(&mut Tell<'_>) -> Result<Vec<u8>> + Send + 'static) -> Response {
    let (sender, receiver) = channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut tell = |p: Progress| {
            tell_progress(&sender, p);
            !sender.is_closed()
        };
        let done = work(&mut tell);
        // A client that has gone away does not want to know.
        sender.blocking_send(last_line(done)).ok();
    });
    (
        [(header::CONTENT_TYPE, LINES)],
        Body::from_stream(stream(receiver)),
    )
        .into_response()
}

fn tell_progress(sender: &Sender<Vec<u8>>, progress: Progress) {
    if let Ok(json) = to_json(&progress) {
        sender.try_send(line("progress", &json)).ok();
    }
}

fn last_line(done: Result<Vec<u8>>) -> Vec<u8> {
    match done {
        Ok(reply) => line("reply", &reply),
        Err(e) => {
            tracing::debug!("{}", e.chain());
            let wrong = Failure::from(&e).error;
            line("error", &to_json(&wrong).unwrap_or_default())
        }
    }
}

fn line(key: &str, json: &[u8]) -> Vec<u8> {
    [b"{\"", key.as_bytes(), b"\":", json, b"}\n"].concat()
}

fn stream(
    receiver: Receiver<Vec<u8>>,
) -> impl futures_util::Stream<Item = std::result::Result<Vec<u8>, Infallible>> {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|line| (Ok(line), receiver))
    })
}
