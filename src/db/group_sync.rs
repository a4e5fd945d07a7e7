//! Group commit: callers that wait for the disk at the same time share one sync.
//!
//! A sync covers what was written before it started. A caller that arrives while one runs therefore needs the next one,
//! and waits for at most two.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::core::Result;

#[derive(Debug, Default)]
struct Progress {
    started: u64,
    finished: u64,
    running: bool,
    failed: bool,
}

/// Runs syncs one at a time and lets waiting callers share them.
#[derive(Debug, Default)]
pub struct GroupSync {
    progress: Mutex<Progress>,
    finished: Condvar,
}

/// The number of the first sync that covers everything its holder wrote.
#[derive(Debug, Clone, Copy)]
pub struct Ticket(u64);

/// What the syncs before left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Sound,
    /// The last one failed: what it should have covered has to be written again before a sync can mean it.
    Failed,
}

impl GroupSync {
    /// Names the sync that covers everything written before this call.
    pub fn ticket(&self) -> Ticket {
        Ticket(
            self.progress
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .started
                + 1,
        )
    }

    /// Notes that somebody else's sync failed: the next one starts from [`Past::Failed`].
    pub fn distrust(&self) {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failed = true;
    }

    /// Returns once a sync with the ticket's number or a later one has succeeded, running `sync` itself when nobody
    /// else does. One that fails fails for its caller alone; the others try again.
    pub fn wait(&self, ticket: Ticket, sync: impl Fn(Past) -> Result<()>) -> Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while progress.finished < ticket.0 {
            if progress.running {
                progress = self
                    .finished
                    .wait(progress)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.running = true;
            progress.started += 1;
            let past = if progress.failed {
                Past::Failed
            } else {
                Past::Sound
            };
            drop(progress);
            let outcome = sync(past);
            progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.running = false;
            progress.failed = outcome.is_err();
            self.finished.notify_all();
            outcome?;
            progress.finished = progress.started;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Kind, error::fail};
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::sync::mpsc;

    #[test]
    fn callers_that_arrive_during_a_sync_share_the_next_one() {
        let group = GroupSync::default();
        let ran = AtomicU64::new(0);
        let count = |_| {
            ran.fetch_add(1, SeqCst);
            Ok(())
        };
        let (running, is_running) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        std::thread::scope(|s| {
            let leader = group.ticket();
            let (group, released) = (&group, Mutex::new(released));
            s.spawn(move || {
                let slow = |past| {
                    running.send(()).unwrap();
                    released.lock().unwrap().recv().unwrap();
                    count(past)
                };
                group.wait(leader, slow).unwrap();
            });
            is_running.recv().unwrap();
            let late: Vec<Ticket> = (0..3).map(|_| group.ticket()).collect();
            release.send(()).unwrap();
            for ticket in late {
                group.wait(ticket, count).unwrap();
            }
        });
        assert_eq!(
            ran.load(SeqCst),
            2,
            "one for the leader, one for all who came while it ran"
        );
    }

    #[test]
    fn a_caller_alone_gets_a_sync_of_its_own_each_time() {
        let group = GroupSync::default();
        let ran = AtomicU64::new(0);
        for _ in 0..3 {
            let count = |_| {
                ran.fetch_add(1, SeqCst);
                Ok(())
            };
            group.wait(group.ticket(), count).unwrap();
        }
        assert_eq!(ran.load(SeqCst), 3);
    }

    #[test]
    fn a_failed_sync_fails_its_caller_and_the_next_one_knows() {
        let group = GroupSync::default();
        let broken = |_| fail(Kind::Io, "gone");
        for past in [Past::Sound, Past::Failed] {
            let seen = |p| {
                assert_eq!(p, past);
                broken(p)
            };
            let refused = group.wait(group.ticket(), seen).unwrap_err();
            assert_eq!(refused.kind(), Kind::Io);
        }
        for past in [Past::Failed, Past::Sound] {
            let mends = |p| {
                assert_eq!(p, past);
                Ok(())
            };
            group.wait(group.ticket(), mends).unwrap();
        }
    }
}
