//! Looks after those who wait: a signal ends a wait, and nobody tells us of it.

use super::Locks;
use super::pending;
use super::wait::Due;
use crate::core::{Kind, error::fail, thread};
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often each who waits is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Where many wait, more seldom: a look takes a fiftieth of this.
const LOOK_SHARE: Duration = Duration::from_millis(1);

impl Locks {
    /// Starts a thread that looks while anybody waits.
    pub(super) fn watch(self: &Arc<Self>) -> io::Result<()> {
        let locks = Arc::downgrade(self);
        thread::spawn("nexus-locks", move || look_on(&locks)).map(drop)
    }

    /// Looks at all who wait, once; says how long to leave them alone now, if anybody waits.
    fn look(&self) -> Option<Duration> {
        let waits = self.0.lock().threads();
        let mut due = Due::default();
        for (number, thread) in waits {
            let seen = pending::look(thread);
            if let Some(wait) = self.0.lock().seen(number, seen) {
                due.add(wait.reply, fail(Kind::Interrupted, "a signal came"));
            }
        }
        due.send();
        let mut table = self.0.lock();
        let waiting = u32::try_from(table.waiting()).unwrap_or(u32::MAX);
        table.is_watched = waiting > 0;
        (waiting > 0).then(|| LOOK_EVERY.max(LOOK_SHARE * waiting))
    }
}

fn look_on(locks: &Weak<Locks>) {
    let mut pause = LOOK_EVERY;
    loop {
        std::thread::sleep(pause);
        let Some(next) = locks.upgrade().and_then(|locks| locks.look()) else {
            return;
        };
        pause = next;
    }
}
