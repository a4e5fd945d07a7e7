//! Ways in. At that for others than the owner nobody has so many connections that none is left for the rest.

use nix::unistd::geteuid;
use parking_lot::Mutex;
use std::collections::HashMap;
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
    /// Where places are counted.
    seats: Option<Arc<Seats>>,
}

impl Entrance {
    /// The owner's own.
    pub(super) fn own(socket: UnixListener) -> Self {
        Self {
            socket,
            seats: None,
        }
    }

    /// The one for everybody; `is_user` says whether a uid is some user's.
    pub(super) fn at(
        socket: UnixListener,
        is_user: impl Fn(u32) -> bool + Send + Sync + 'static,
    ) -> Self {
        let seats = Some(Arc::new(Seats::new(is_user)));
        Self { socket, seats }
    }

    /// The next connection, and its place where these are counted.
    pub(super) async fn accept(&mut self) -> (UnixStream, Option<Seat>) {
        loop {
            let stream = match self.socket.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!("a control socket: {e}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(seats) = &self.seats else {
                return (stream, None);
            };
            let Ok(peer) = stream.peer_cred() else {
                continue;
            };
            if let Some(seat) = Seats::take(seats, peer.uid()) {
                return (stream, Some(seat));
            }
            tracing::debug!(uid = peer.uid(), "has too many connections");
        }
    }
}

#[cfg(test)]
impl Entrance {
    pub(super) fn seats(&self) -> Option<Arc<Seats>> {
        self.seats.clone()
    }
}

/// How many connections each user has. All who are no users count as one.
pub(super) struct Seats {
    taken: Mutex<HashMap<Option<u32>, usize>>,
    is_user: Box<dyn Fn(u32) -> bool + Send + Sync>,
}

/// The place of a connection: free again when nothing that was asked there is under way any more.
pub(super) struct Seat {
    user: Option<u32>,
    seats: Arc<Seats>,
}

impl Seats {
    fn new(is_user: impl Fn(u32) -> bool + Send + Sync + 'static) -> Self {
        Self {
            taken: Mutex::default(),
            is_user: Box::new(is_user),
        }
    }

    #[cfg(test)]
    pub(super) fn are_free(&self) -> bool {
        self.taken.lock().is_empty()
    }

    /// The owner and root find a place always.
    fn take(seats: &Arc<Self>, uid: u32) -> Option<Seat> {
        let is_trusted = uid == 0 || uid == geteuid().as_raw();
        let user = (is_trusted || (seats.is_user)(uid)).then_some(uid);
        let mut taken = seats.taken.lock();
        let all: usize = taken.values().sum();
        let mine = taken.entry(user).or_default();
        if !is_trusted && (*mine >= USERS_MAX || all >= ALL_MAX) {
            return None;
        }
        *mine += 1;
        Some(Seat {
            user,
            seats: seats.clone(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(mine) = taken.get_mut(&self.user) {
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
        let seats = Arc::new(Seats::new(|_| true));
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
    fn all_who_are_no_users_have_the_places_of_one() {
        let seats = Arc::new(Seats::new(|uid| uid == 70_001));
        let strangers: Vec<_> = (80_000..90_000)
            .filter_map(|uid| Seats::take(&seats, uid))
            .collect();
        assert_eq!(strangers.len(), USERS_MAX);
        let user: Vec<_> = std::iter::from_fn(|| Seats::take(&seats, 70_001)).collect();
        assert_eq!(user.len(), USERS_MAX);
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let seats = Arc::new(Seats::new(|_| false));
        drop(Seats::take(&seats, 70_001));
        assert!(seats.are_free());
    }
}
