//! Who waits until which mount's kernel knows what was changed, and when waiting would never end.
//!
//! A kernel takes a notice in once it gets a lock that some request of its own may hold. Where that request has to be told to
//! another mount, whose kernel waits for one of that mount's requests, the two would wait for each other for ever. So one of
//! them gives up: only where the mount that it waits for waits for its own in turn, and has taken nothing in for a while.
//!
//! That cannot be made exact: no kernel says which of its requests a notice waits for, nor which locks a request holds. A
//! circle of mounts is known, a circle of requests is not; where there is one of mounts, that nothing moves is all there is
//! to tell them apart by. Whoever gives up answers before the other kernel knows, which does as soon as the request that was in
//! its way has ended. Without a circle every mount gets round to it, provided that nobody waits here while he holds a lock that
//! requests wait for.

use crate::core::MountId;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a mount that waits for us in turn may take nothing in until it counts as one that never will.
const CIRCLE_MAX: Duration = Duration::from_millis(100);
/// The same of any mount: one whose kernel is held up by something else, or that is going away.
const STUCK_MAX: Duration = Duration::from_secs(5);

/// Notices on their way, and who waits for them.
#[derive(Default)]
pub(super) struct Waits {
    known: Mutex<Known>,
    /// Something was taken in, or somebody has given up.
    moved: Condvar,
}

#[derive(Default)]
struct Known {
    last: u64,
    /// Notices that nobody has taken in yet.
    open: HashSet<u64>,
    /// How many notices each mount has taken in.
    taken: HashMap<MountId, u64>,
    /// How many requests of the first mount wait for the second.
    waiting: HashMap<(MountId, MountId), usize>,
    /// Mounts that were waited for in vain, and have taken nothing in since.
    stuck: HashSet<MountId>,
}

/// A notice on its way to a mount. Dropping it says that it was taken in, or never will be.
#[derive(Debug)]
pub(super) struct Errand {
    number: u64,
    target: MountId,
    waits: Arc<Waits>,
}

impl Drop for Errand {
    fn drop(&mut self) {
        let mut known = self.waits.known.lock();
        known.open.remove(&self.number);
        known.stuck.remove(&self.target);
        *known.taken.entry(self.target).or_default() += 1;
        self.waits.moved.notify_all();
    }
}

/// A notice that somebody waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    number: u64,
    target: MountId,
}

impl Errand {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            number: self.number,
            target: self.target,
        }
    }
}

impl std::fmt::Debug for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waits").finish_non_exhaustive()
    }
}

impl Waits {
    /// A notice for a mount.
    pub(super) fn errand(self: &Arc<Self>, target: MountId) -> Errand {
        let mut known = self.known.lock();
        known.last += 1;
        let number = known.last;
        known.open.insert(number);
        Errand {
            number,
            target,
            waits: self.clone(),
        }
    }

    /// Forgets what is known of a mount that is gone.
    pub(super) fn forget(&self, gone: MountId) {
        let mut known = self.known.lock();
        known.taken.remove(&gone);
        known.stuck.remove(&gone);
    }

    /// Waits until all of these are taken in, on behalf of a request of `origin`, if it came through a mount.
    pub(super) fn wait(&self, origin: Option<MountId>, all: &[Wanted]) {
        if all.is_empty() {
            return;
        }
        let edge = |wanted: &Wanted| origin.map(|origin| (origin, wanted.target));
        let mut known = self.known.lock();
        for edge in all.iter().filter_map(edge) {
            known.begins(edge);
        }
        for wanted in all {
            let mut idle = Duration::ZERO;
            while known.open.contains(&wanted.number) {
                let taken = known.taken_by(wanted.target);
                let stands = |known: &mut Known| {
                    known.open.contains(&wanted.number) && known.taken_by(wanted.target) == taken
                };
                let waited = self.moved.wait_while_for(&mut known, stands, CIRCLE_MAX);
                if !waited.timed_out() {
                    idle = Duration::ZERO;
                    continue;
                }
                idle += CIRCLE_MAX;
                if known.is_in_vain(origin, wanted.target, idle) {
                    let target = wanted.target.0;
                    tracing::warn!("mount {target} did not confirm that it forgot stale entries");
                    break;
                }
            }
            if let Some(edge) = edge(wanted) {
                known.ends(edge);
            }
        }
    }
}

impl Known {
    fn taken_by(&self, mount: MountId) -> u64 {
        self.taken.get(&mount).copied().unwrap_or(0)
    }

    fn begins(&mut self, edge: (MountId, MountId)) {
        *self.waiting.entry(edge).or_default() += 1;
    }

    fn ends(&mut self, edge: (MountId, MountId)) {
        if let Some(requests) = self.waiting.get_mut(&edge) {
            *requests -= 1;
            if *requests == 0 {
                self.waiting.remove(&edge);
            }
        }
    }

    /// Whether to wait no longer for a mount that has taken nothing in for so long.
    fn is_in_vain(&mut self, origin: Option<MountId>, target: MountId, idle: Duration) -> bool {
        if idle >= STUCK_MAX {
            self.stuck.insert(target);
        }
        self.stuck.contains(&target) || origin.is_some_and(|origin| self.leads(target, origin))
    }

    /// Whether requests of a mount wait for another one, or for one that waits for it.
    fn leads(&self, from: MountId, to: MountId) -> bool {
        let (mut met, mut todo) = (HashSet::from([from]), vec![from]);
        while let Some(at) = todo.pop() {
            for (_, next) in self.waiting.keys().filter(|(waiter, _)| *waiter == at) {
                if *next == to {
                    return true;
                }
                if met.insert(*next) {
                    todo.push(*next);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::thread;

    const A: MountId = MountId(1);
    const B: MountId = MountId(2);
    const C: MountId = MountId(3);

    /// Waits on another thread; gives the notice, and what says that the wait is over.
    fn waits(waits: &Arc<Waits>, origin: MountId, target: MountId) -> (Errand, Receiver<()>) {
        let errand = waits.errand(target);
        let (wanted, waits) = (errand.wanted(), waits.clone());
        let (tell, over) = channel();
        thread::spawn(move || {
            waits.wait(Some(origin), &[wanted]);
            tell.send(()).unwrap();
        });
        (errand, over)
    }

    /// Whether somebody waits still, when he would long have given up if there were a circle.
    fn waits_on(over: &Receiver<()>) -> bool {
        over.recv_timeout(CIRCLE_MAX * 5) == Err(RecvTimeoutError::Timeout)
    }

    #[test]
    fn a_slow_mount_is_waited_for_where_it_does_not_wait_itself() {
        let all = Arc::<Waits>::default();
        let (errand, over) = waits(&all, A, B);
        // Somebody else's wait is no circle.
        let (other, others) = waits(&all, B, C);
        assert!(waits_on(&over) && waits_on(&others));
        drop(errand);
        over.recv().unwrap();
        drop(other);
        others.recv().unwrap();
        assert!(all.known.lock().waiting.is_empty() && all.known.lock().open.is_empty());
    }

    #[test]
    fn of_those_that_wait_for_each_other_one_gives_up_and_the_others_wait_on() {
        let all = Arc::<Waits>::default();
        let (errands, overs): (Vec<_>, Vec<_>) = [(A, B), (B, C), (C, A)]
            .map(|(origin, target)| waits(&all, origin, target))
            .into_iter()
            .unzip();
        while overs.iter().all(|over| over.try_recv().is_err()) {
            thread::yield_now();
        }
        let open: Vec<_> = overs.iter().filter(|over| waits_on(over)).collect();
        assert_eq!(open.len(), 2);
        drop(errands);
        for over in open {
            over.recv().unwrap();
        }
    }

    #[test]
    fn a_mount_that_was_waited_for_in_vain_is_so_again_until_it_moves() {
        let mut known = Known::default();
        assert!(!known.is_in_vain(Some(A), B, CIRCLE_MAX));
        assert!(known.is_in_vain(None, B, STUCK_MAX));
        assert!(known.is_in_vain(Some(A), B, CIRCLE_MAX));
        let all = Arc::<Waits>::default();
        *all.known.lock() = known;
        drop(all.errand(B));
        assert!(!all.known.lock().is_in_vain(Some(A), B, CIRCLE_MAX));
    }
}
