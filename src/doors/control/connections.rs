//! Connections: each is answered until its client leaves, or keeps a place that others wait for and asks for nothing.

use super::entrance::Entrance;
use super::who::Connection;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use futures_util::{Stream, StreamExt as _, stream::unfold};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long a client may take for what it has begun to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the connection, or the last answer, to the end of a request's header.
    head: Duration,
    /// For the rest of a command.
    command: Duration,
    /// For the next bytes of an upload.
    upload: Duration,
}

impl Patience {
    /// With those who have places to share. The owner's connections may be silent for as long as they like.
    pub(super) const OTHERS: Self = Self {
        head: Duration::from_secs(30),
        command: Duration::from_secs(30),
        upload: Duration::from_mins(15),
    };
}

/// Answers who comes in, until that is to stop; then those who are in get the answers they wait for.
pub(super) async fn answer(
    mut entrance: Entrance,
    router: Router,
    patience: Option<Patience>,
    mut stopping: watch::Receiver<()>,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, seat) = tokio::select! {
            come = entrance.accept() => come,
            // An error means that the sender is gone, which is the same news.
            _ = stopping.changed() => break,
        };
        let connection = Connection::of(&stream, seat);
        let answers = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = listened(request, patience);
            let who = ConnectInfo(connection.clone());
            request.extensions_mut().insert(who);
            answers.call(request)
        });
        let talk = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.map(|p| p.head))
            .serve_connection(TokioIo::new(stream), service);
        let talk = graceful.watch(talk);
        tokio::spawn(async {
            if let Err(e) = talk.await {
                tracing::debug!("a connection ended: {e}");
            }
        });
    }
    drop(entrance);
    graceful.shutdown().await;
}

/// A request whose body ends with an error when it takes too long.
fn listened(request: Request<Incoming>, patience: Option<Patience>) -> Request<Body> {
    let Some(patience) = patience.filter(|_| !request.body().is_end_stream()) else {
        return request.map(Body::new);
    };
    let (first, rest) = if request.method() == Method::PUT {
        (patience.upload, Some(patience.upload))
    } else {
        (patience.command, None)
    };
    let until = Instant::now() + first;
    request.map(|body| Body::from_stream(timely(body, until, rest)))
}

/// The bytes of a body up to a moment, which each of them puts off where there is a `grace`.
fn timely(
    body: Incoming,
    until: Instant,
    grace: Option<Duration>,
) -> impl Stream<Item = io::Result<Bytes>> {
    // A refused upload is asked for more at its end.
    let pieces = unfold(Some((body, until)), move |state| async move {
        let (mut body, until) = state?;
        match timeout_at(until, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Err(e))) => Some((Err(io::Error::other(e)), None)),
            Ok(Some(Ok(frame))) => {
                let until = grace.map_or(until, |grace| Instant::now() + grace);
                // Trailers say nothing to us.
                let data = frame.into_data().unwrap_or_default();
                Some((Ok(data), Some((body, until))))
            }
            Err(late) => Some((Err(io::Error::new(io::ErrorKind::TimedOut, late)), None)),
        }
    });
    pieces.fuse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{post, put};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    const NEVER: Duration = Duration::from_hours(1);
    const AT_ONCE: Duration = Duration::from_millis(1);

    /// Says some of a request, and what is answered up to the connection's end, if that comes by itself.
    async fn say(patience: Patience, pieces: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let entrance = Entrance::at(UnixListener::bind(&path).unwrap(), |_| true);
        let seats = entrance.seats().unwrap();
        let router = Router::new()
            .route("/api/a", post(|body: Bytes| async { body }))
            .route("/files/f", put(|body: Bytes| async { body }));
        let (_told, stopping) = watch::channel(());
        tokio::spawn(answer(entrance, router, Some(patience), stopping));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(seats.are_free(), "{told}");
        told
    }

    #[tokio::test]
    async fn who_does_not_say_all_of_a_request_loses_his_place() {
        let endless = Patience {
            head: NEVER,
            command: NEVER,
            upload: NEVER,
        };
        let head = Patience {
            head: AT_ONCE,
            ..endless
        };
        for half in ["", "P", "POST /api/a HTTP/1.1\r\nHost: n\r\n"] {
            assert_eq!(say(head, &[half]).await, "");
        }
        let command = Patience {
            command: AT_ONCE,
            ..endless
        };
        let upload = Patience {
            upload: AT_ONCE,
            ..endless
        };
        for (patience, begin) in [(command, "POST /api/a"), (upload, "PUT /files/f")] {
            let half = "HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\r\nhalf";
            let told = say(patience, &[&format!("{begin} {half}")]).await;
            assert!(told.starts_with("HTTP/1.1 400"), "{told}");
        }
    }

    #[tokio::test]
    async fn an_upload_takes_the_time_it_takes() {
        let patience = Patience {
            head: NEVER,
            command: Duration::ZERO,
            upload: NEVER,
        };
        let head =
            "PUT /files/f HTTP/1.1\r\nHost: n\r\nConnection: close\r\nContent-Length: 6\r\n\r\n";
        let told = say(patience, &[head, "ab", "cd", "ef"]).await;
        assert!(
            told.starts_with("HTTP/1.1 200") && told.ends_with("abcdef"),
            "{told}"
        );
    }
}
