//! Group commit: callers that wait for the disk at the same time share one sync.
//!
//! A sync covers what was written before it started. A caller that arrives while one runs therefore needs the next one,
//! and waits for at most two.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::core::error::fail;
use crate::core::{Error, Kind, Result};

#[derive(Debug, Default)]
struct Progress {
    started: u64,
    finished: u64,
    failed: bool,
}

/// Runs syncs one at a time and lets waiting callers share them.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    progress: Mutex<Progress>,
    finished: Condvar,
}

/// The number of the first sync that covers everything its holder wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl GroupSync {
    /// Names the sync that covers everything written before this call.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(
            self.progress
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .started
                + 1,
        )
    }

    /// Returns once the ticket's sync has finished, running `sync` itself when nobody else does.
    ///
    /// After one failure every call fails: the kernel reports a lost write once, forgets the pages and would call the
    /// next sync of the same file a success (fsync(2), "fsyncgate").
    pub(super) fn wait(&self, ticket: Ticket, sync: impl Fn() -> io::Result<()>) -> Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while progress.finished < ticket.0 {
            if progress.failed {
                return fail(
                    Kind::Io,
                    "an earlier sync of the database failed: restart to recover",
                );
            }
            if progress.started > progress.finished {
                progress = self
                    .finished
                    .wait(progress)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.started += 1;
            drop(progress);
            let outcome = sync();
            progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            self.finished.notify_all();
            if let Err(e) = outcome {
                // `finished` stays behind: nobody's ticket is ever honoured again.
                progress.failed = true;
                return Err(Error::new(Kind::Io, "cannot sync the database").caused_by(e));
            }
            progress.finished = progress.started;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::sync::mpsc;

    #[test]
    fn callers_that_arrive_during_a_sync_share_the_next_one() {
        let group = GroupSync::default();
        let ran = AtomicU64::new(0);
        let count = || {
            ran.fetch_add(1, SeqCst);
            Ok(())
        };
        let (running, is_running) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        std::thread::scope(|s| {
            let leader = group.ticket();
            let (group, released) = (&group, Mutex::new(released));
            s.spawn(move || {
                let slow = || {
                    running.send(()).unwrap();
                    released.lock().unwrap().recv().unwrap();
                    count()
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
            let count = || {
                ran.fetch_add(1, SeqCst);
                Ok(())
            };
            group.wait(group.ticket(), count).unwrap();
        }
        assert_eq!(ran.load(SeqCst), 3);
    }

    #[test]
    fn after_a_failed_sync_no_later_one_claims_success() {
        let group = GroupSync::default();
        let broken = || Err(io::Error::other("gone"));
        assert_eq!(
            group.wait(group.ticket(), broken).unwrap_err().kind(),
            Kind::Io
        );
        assert_eq!(
            group.wait(group.ticket(), || Ok(())).unwrap_err().kind(),
            Kind::Io
        );
    }
}
