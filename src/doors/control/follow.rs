//! `POST /follow/NAME`: a command as JSON, answered for as long as the client listens, with lines: `{"reply":…}` each time
//! something came, and now and then when nothing did; `{"error":…}` at the end of one that failed. The answer ends when the client
//! takes nothing for a while: he asks again, for what comes behind the last line.

use super::commands::{Lines, heard, last_line, line, lines};
use super::reply::{Refusal, blocking};
use super::who::Connection;
use crate::api::Context;
use crate::api::follow::{Following, follow};
use crate::core::{Caller, Result};
use crate::doors::daemon::Daemon;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

/// Answers that may wait for the client: while he takes none, the next one gathers what comes. With room for one beside that which is
/// being sent, the thread that made it waits for what comes next.
const QUEUE: usize = 2;
/// For how long a client may take none.
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

    /// Goes on until the client leaves, or takes nothing for a while: neither a thread nor an answer waits for him.
    async fn follow(mut self, lines: &Lines) -> Result<()> {
        while has_room(lines).await {
            let told = lines.clone();
            let (follower, goes_on) = blocking(move || {
                let goes_on = self.tell(&told)?;
                Ok((self, goes_on))
            })
            .await?;
            if !goes_on {
                break;
            }
            self = follower;
        }
        Ok(())
    }

    /// Tells what comes while there is room for it; false at the end.
    fn tell(&mut self, lines: &Lines) -> Result<bool> {
        while lines.capacity() > 0 {
            let caller = self.caller()?;
            let mut cx = Context {
                nexus: &self.daemon.nexus,
                caller: &caller,
                tell: &mut |_| heard(lines),
            };
            let answer = (self.following)(&mut cx)?;
            let sent = lines.try_send(line("reply", &answer.json));
            if sent.is_err() || answer.is_last {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Waits until the client has taken what was told. Nobody else tells him anything, so the room stays until it is used.
async fn has_room(lines: &Lines) -> bool {
    let room = timeout(PATIENCE, lines.reserve()).await;
    room.is_ok_and(|room| room.is_ok())
}
