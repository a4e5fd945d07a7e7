//! Who tells a kernel: one thread at a time, and another one when the kernel keeps that waiting.

use super::{Lock, Step, Telling};
use crate::core::Result;
use crate::fs::Notice;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// How long a kernel may wait for one directory until all names are asked for anew instead.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same of a kernel that cannot ask anew: it keeps what is wrong, and whoever changed it is answered all the same.
const PATIENCE_OF_OLD: Duration = Duration::from_secs(5);
/// How many threads the kernel may keep waiting; with so many, it is told nothing that it might wait for.
const KEPT_MAX: usize = 256;

/// What all threads of one mount share.
struct Relay {
    notices: Mutex<Receiver<Notice>>,
    telling: Telling,
    is_alive: Box<dyn Fn() -> bool + Send + Sync>,
    state: Mutex<State>,
    /// There is something to watch.
    begun: Condvar,
}

#[derive(Default)]
struct State {
    /// Whose turn it is: a thread that was left behind had an earlier one.
    turn: u64,
    /// How many steps have begun.
    count: u64,
    under_way: Option<UnderWay>,
    /// What threads that were left behind wait for, and whether something was told without waiting since they began to.
    kept: HashMap<Lock, bool>,
    /// Whether the one who watches has nothing to do.
    is_idle: bool,
    is_over: bool,
}

/// A notice that is being told. Dropping it is the confirmation that the kernel knows.
struct UnderWay {
    _notice: Notice,
    steps: Vec<Step>,
    at: usize,
}

impl UnderWay {
    /// What the kernel may be waiting for.
    fn lock(&self) -> Option<Lock> {
        self.steps.get(self.at).and_then(Step::lock)
    }
}

impl State {
    /// The next step of the notice under way, and whether it is to be told without waiting; confirms the notice when there is
    /// none.
    fn next_step(&mut self) -> Option<(Step, bool)> {
        self.count += 1;
        let step = self.under_way.as_ref().and_then(|on| on.steps.get(on.at));
        let Some(step) = step.cloned() else {
            self.under_way = None;
            return None;
        };
        let is_crowded = self.kept.len() >= KEPT_MAX;
        let at_once = step
            .lock()
            .is_some_and(|lock| match self.kept.get_mut(&lock) {
                Some(missed) => {
                    *missed = true;
                    true
                }
                None => is_crowded,
            });
        Some((step, at_once))
    }
}

/// Follows notices on threads of its own until the engine stops sending or the mount is gone.
pub(super) fn follow(
    notices: Receiver<Notice>,
    telling: Telling,
    is_alive: Box<dyn Fn() -> bool + Send + Sync>,
) -> Result<()> {
    let relay = Arc::new(Relay {
        notices: Mutex::new(notices),
        telling,
        is_alive,
        state: Mutex::default(),
        begun: Condvar::new(),
    });
    relay.start("nexus-notify", |relay| relay.work(0))?;
    relay.start("nexus-watch", Relay::watch)
}

impl Relay {
    fn start(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Result<()> {
        let relay = self.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || work(&relay))?;
        Ok(())
    }

    /// Tells what is left of the notice under way, and one after the other from then on.
    fn work(&self, turn: u64) {
        let mut next = self.state.lock().next_step();
        loop {
            while let Some((step, at_once)) = next {
                self.tell(&step, at_once);
                let mut state = self.state.lock();
                if state.turn != turn {
                    drop(state);
                    return step.lock().map_or((), |lock| self.make_up(lock));
                }
                if let Some(on) = &mut state.under_way {
                    on.at += 1;
                }
                next = state.next_step();
            }
            let notice = self.notices.lock().recv();
            let mut state = self.state.lock();
            let notice = notice.ok().filter(|_| (self.is_alive)());
            state.is_over = notice.is_none();
            state.under_way = notice.map(|notice| UnderWay {
                steps: self.telling.steps(&notice.events),
                _notice: notice,
                at: 0,
            });
            if state.is_idle {
                self.begun.notify_one();
            }
            if state.is_over {
                return;
            }
            next = state.next_step();
        }
    }

    fn tell(&self, step: &Step, at_once: bool) {
        let told = if at_once {
            self.telling.tell_at_once(step)
        } else {
            self.telling.tell(step)
        };
        if let Err(e) = told {
            tracing::warn!(?step, "the kernel was not told of a change: {e}");
        }
    }

    /// Makes up for what was told without waiting, now that the kernel waits no longer.
    fn make_up(&self, lock: Lock) {
        loop {
            if let Some(missed) = self.state.lock().kept.get_mut(&lock) {
                *missed = false;
            }
            if let Err(e) = self.telling.make_up(lock) {
                tracing::warn!(?lock, "the kernel was not told of a change: {e}");
            }
            let mut state = self.state.lock();
            if state.kept.get(&lock) != Some(&true) {
                state.kept.remove(&lock);
                return;
            }
        }
    }

    /// Leaves the thread that tells behind when the kernel keeps it waiting.
    fn watch(self: &Arc<Self>) {
        let mut state = self.state.lock();
        while !state.is_over {
            if state.under_way.is_none() {
                state.is_idle = true;
                self.begun.wait(&mut state);
                state.is_idle = false;
                continue;
            }
            let count = state.count;
            let patience = if self.telling.asks_anew {
                PATIENCE
            } else {
                PATIENCE_OF_OLD
            };
            self.begun.wait_for(&mut state, patience);
            let on = state.under_way.as_ref().filter(|_| state.count == count);
            let Some(lock) = on.and_then(UnderWay::lock) else {
                continue;
            };
            if state.kept.len() >= KEPT_MAX || state.kept.contains_key(&lock) {
                continue;
            }
            let turn = state.turn + 1;
            match self.start("nexus-notify", move |relay| relay.work(turn)) {
                Ok(()) => {
                    tracing::warn!(?lock, "who lists it lets the kernel forget no name of it");
                    state.turn = turn;
                    state.kept.insert(lock, true);
                }
                Err(e) => tracing::warn!("nobody else to tell the kernel of changes: {e}"),
            }
        }
    }
}
