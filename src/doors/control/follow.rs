//! `POST /follow/NAME`: a command as JSON, answered for as long as the client listens, with lines: `{"reply":…}` each time
//! something came, and now and then when nothing did; `{"error":…}` at the end of one that failed. The answer ends when the client
//! takes nothing for a while: he asks again, for what comes behind the last line.

use super::commands::{Lines, heard, last_line, line, lines};
use super::reply::{Refusal, blocking};
use super::who::Connection;
use crate::api::Context;
use crate::api::follow::{Answer, Following, follow};
use crate::core::{Caller, Result};
use crate::doors::daemon::Daemon;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio::sync::mpsc::error::TrySendError;

/// Answers that may wait for the client: while he takes none, the next one gathers what comes.
const QUEUE: usize = 1;
/// For how long one waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// One who follows something.
struct Follower {
    daemon: Arc<Daemon>,
    connection: Connection,
    headers: HeaderMap,
    following: Following,
}

pub(super) async fn run(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Response, Refusal> {
    let follower = Follower {
        following: follow(&name, &body)?,
        daemon,
        connection,
        headers,
    };
    // Whoever may not ask is told so by the status.
    let follower = blocking(move || follower.caller().map(|_| follower)).await?;
    let (sender, receiver) = channel(QUEUE);
    tokio::spawn(async move {
        if let Err(e) = follower.follow(&sender).await {
            sender.send_timeout(last_line(Err(e)), PATIENCE).await.ok();
        }
    });
    Ok(lines(receiver))
}

impl Follower {
    /// Who it is by now.
    fn caller(&self) -> Result<Caller> {
        self.connection.caller(&self.daemon, &self.headers)
    }

    async fn follow(mut self, lines: &Lines) -> Result<()> {
        loop {
            let told = lines.clone();
            let (follower, left) = blocking(move || {
                let left = self.tell(&told)?;
                Ok((self, left))
            })
            .await?;
            self = follower;
            let Some(left) = left else { return Ok(()) };
            // No thread waits for a client who takes nothing.
            let sent = lines.send_timeout(line("reply", &left.json), PATIENCE);
            if sent.await.is_err() || left.is_last {
                return Ok(());
            }
        }
    }

    /// Tells what comes until the client takes no more, and gives back what he did not; nothing at the end.
    fn tell(&mut self, lines: &Lines) -> Result<Option<Answer>> {
        loop {
            let caller = self.caller()?;
            let mut cx = Context {
                nexus: &self.daemon.nexus,
                caller: &caller,
                tell: &mut |_| heard(lines),
            };
            let answer = (self.following)(&mut cx)?;
            match lines.try_send(line("reply", &answer.json)) {
                Ok(()) if answer.is_last => return Ok(None),
                Ok(()) => {}
                Err(TrySendError::Full(_)) => return Ok(Some(answer)),
                Err(TrySendError::Closed(_)) => return Ok(None),
            }
        }
    }
}
