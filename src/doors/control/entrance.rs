//! The way in for others than the owner: the same requests, but nobody has so many connections that none is left for the rest.

use axum::serve::Listener;
use nix::unistd::geteuid;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// How many connections one user has at most, and all together: fewer than the threads that requests may block.
const USERS_MAX: usize = 64;
const ALL_MAX: usize = 256;
/// How long to wait when the kernel gives no connection, for want of descriptors perhaps.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Entrance {
    socket: UnixListener,
    seats: Arc<Seats>,
}

impl Entrance {
    pub(super) fn at(socket: UnixListener) -> Self {
        Self {
            socket,
            seats: Arc::default(),
        }
    }
}

impl Listener for Entrance {
    type Io = UnixStream;
    /// None is our own.
    type Addr = Option<Arc<Seat>>;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let stream = match self.socket.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!("the socket for others: {e}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(peer) = stream.peer_cred() else {
                continue;
            };
            if let Some(seat) = Seats::take(&self.seats, peer.uid()) {
                return (stream, Some(Arc::new(seat)));
            }
            tracing::debug!(uid = peer.uid(), "has too many connections");
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(None)
    }
}

/// How many connections each user has.
#[derive(Debug, Default)]
struct Seats(Mutex<HashMap<u32, usize>>);

/// The place of a connection: free again when nothing that was asked there is under way any more.
#[derive(Debug)]
pub(super) struct Seat {
    uid: u32,
    seats: Arc<Seats>,
}

impl Seats {
    /// The owner and root find a place always.
    fn take(seats: &Arc<Self>, uid: u32) -> Option<Seat> {
        let mut taken = seats.0.lock();
        let all: usize = taken.values().sum();
        let mine = taken.entry(uid).or_default();
        let is_trusted = uid == 0 || uid == geteuid().as_raw();
        if !is_trusted && (*mine >= USERS_MAX || all >= ALL_MAX) {
            return None;
        }
        *mine += 1;
        Some(Seat {
            uid,
            seats: seats.clone(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        if let Some(mine) = taken.get_mut(&self.uid) {
            *mine -= 1;
        }
        taken.retain(|_, n| *n > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places_and_the_owner_finds_one() {
        let seats = Arc::<Seats>::default();
        let full = |uid| std::iter::from_fn(|| Seats::take(&seats, uid)).collect::<Vec<_>>();
        let first = full(70_001);
        assert_eq!(first.len(), USERS_MAX);
        let rest: Vec<_> = (70_002..70_100).map(full).collect();
        assert_eq!(
            rest.iter().map(Vec::len).sum::<usize>(),
            ALL_MAX - USERS_MAX
        );
        for trusted in [0, geteuid().as_raw()] {
            assert!(Seats::take(&seats, trusted).is_some());
        }
        drop(first);
        assert!(Seats::take(&seats, 70_001).is_some());
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let seats = Arc::<Seats>::default();
        drop(Seats::take(&seats, 70_001));
        assert!(seats.0.lock().is_empty());
    }
}
