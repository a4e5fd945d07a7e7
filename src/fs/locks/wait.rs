//! Somebody who waits for a lock.

use super::held::{Owner, Want};
use crate::core::{Ino, Result};

/// Called once with the answer, on whatever thread has it: it must not wait.
pub type Reply = Box<dyn FnOnce(Result<()>) + Send>;

/// Answers to send once the table is not held any more: each goes to another request.
#[must_use]
#[derive(Default)]
pub(super) struct Due(Vec<(Reply, Result<()>)>);

/// A request that waits.
pub(super) struct Wait {
    pub ino: Ino,
    pub owner: Owner,
    pub want: Want,
    /// One of those who are in the way. Whenever he moves, this one is tried again.
    pub blocker: Owner,
    /// The thread that asks, which signals interrupt.
    pub thread: u32,
    /// Whether a signal that may be another thread's was seen the last time.
    pub is_suspect: bool,
    pub reply: Reply,
}

impl Due {
    pub(super) fn add(&mut self, reply: Reply, answer: Result<()>) {
        self.0.push((reply, answer));
    }

    pub(super) fn send(self) {
        for (reply, answer) in self.0 {
            reply(answer);
        }
    }
}
