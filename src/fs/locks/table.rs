//! Who has locked what, and who waits for whom.
//!
//! Every wait stands on one lock that is really in its way: when the owner of that lock gives anything of the file back, the wait is
//! tried again, so that none is forgotten and the others are left alone.

use super::held::{Held, LockKind, Owner, Payer, Want};
use super::pending::Pending;
use super::wait::{Due, Wait};
use crate::core::{Error, HandleId, Ino, Kind, MountId, Result, error::fail};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

/// How many ranges one user may have locked, and wait for, on one mount.
pub(super) const LOCKS_MAX: usize = 8192;
/// How many of them may wait: each is a thread of his that stands still.
pub(super) const WAITS_MAX: usize = 1024;
/// How many owners are looked at to find out whether waiting would go in a circle.
const CIRCLE_MAX: usize = 1000;

/// The locks of open files, and who waits for them.
#[derive(Default)]
pub(super) struct Table {
    files: HashMap<Ino, File>,
    waits: BTreeMap<u64, Wait>,
    /// The waits of each owner: his threads may wait for several locks.
    waiting: HashMap<Owner, BTreeSet<u64>>,
    paid: HashMap<Payer, Paid>,
    /// The number of the newest wait.
    last: u64,
    /// Whether a thread looks after those who wait.
    pub is_watched: bool,
}

#[derive(Default)]
struct File {
    held: BTreeMap<Owner, Held>,
    /// In the order in which they came.
    waits: BTreeSet<u64>,
}

#[derive(Default)]
struct Paid {
    ranges: usize,
    waits: usize,
}

impl Table {
    /// Somebody whose lock excludes another, if there is one.
    pub(super) fn blocker(&self, ino: Ino, owner: Owner, want: &Want) -> Option<Owner> {
        let file = self.files.get(&ino)?;
        let others = file.held.iter().filter(|(other, _)| **other != owner);
        let excludes = |(other, held): &(&Owner, &Held)| {
            held.excludes(&want.range, kind_for(want, owner, **other))
        };
        let mut blockers = others.filter(excludes);
        blockers.next().map(|(blocker, _)| *blocker)
    }

    /// A lock that excludes another, and the process that took it.
    pub(super) fn in_the_way(
        &self,
        ino: Ino,
        owner: Owner,
        want: &Want,
    ) -> Option<(LockKind, Range<u64>, u32)> {
        let blocker = self.blocker(ino, owner, want)?;
        let held = self.held(ino, blocker)?;
        let (kind, range) = held.in_the_way(&want.range, kind_for(want, owner, blocker))?;
        Some((kind, range, held.pid))
    }

    /// Takes a lock, or fails with `Unavailable` where somebody else's is in the way.
    pub(super) fn take(
        &mut self,
        ino: Ino,
        owner: Owner,
        want: &Want,
        due: &mut Due,
    ) -> Result<()> {
        if self.blocker(ino, owner, want).is_some() {
            return fail(Kind::Unavailable, "somebody else has locked it");
        }
        self.grant(ino, owner, want)?;
        // What was held alone may be shared now.
        self.moved(ino, owner, due);
        Ok(())
    }

    /// Gives a range back. `NoLocks` where that would take more pieces than there may be.
    pub(super) fn give_back(
        &mut self,
        ino: Ino,
        owner: Owner,
        range: &Range<u64>,
        due: &mut Due,
    ) -> Result<()> {
        if self.held(ino, owner).is_some() {
            self.change(ino, owner, |held| held.give_back(range))?;
            self.moved(ino, owner, due);
        }
        Ok(())
    }

    /// Gives back all that an owner has of a file.
    pub(super) fn give_all_back(&mut self, ino: Ino, owner: Owner, due: &mut Due) {
        if let Some(file) = self.files.get_mut(&ino)
            && let Some(held) = file.held.remove(&owner)
        {
            self.pay_less(held.payer, held.len(), 0);
            self.moved(ino, owner, due);
        }
    }

    /// Gives back what was taken through a handle that is closed, whoever took it.
    pub(super) fn close(&mut self, ino: Ino, handle: HandleId, due: &mut Due) {
        let Some(file) = self.files.get_mut(&ino) else {
            return;
        };
        let mut gave = Vec::new();
        for (owner, held) in &mut file.held {
            let before = held.len();
            if held.close(handle) {
                gave.push((*owner, held.payer, before - held.len()));
            }
        }
        for (owner, payer, ranges) in gave {
            self.pay_less(payer, ranges, 0);
            self.moved(ino, owner, due);
        }
    }

    /// Ends all that came through a mount that is gone, waits included.
    pub(super) fn forget(&mut self, mount: MountId, due: &mut Due) {
        let its = |owner: &Owner| owner.mount == Some(mount);
        let waits = self.waits.iter().filter(|(_, wait)| its(&wait.owner));
        let waits: Vec<_> = waits.map(|(number, _)| *number).collect();
        for number in waits {
            if let Some(wait) = self.remove(number) {
                due.add(wait.reply, fail(Kind::Unavailable, "the mount is gone"));
            }
        }
        let owns = |(ino, file): (&Ino, &File)| {
            let owners: Vec<_> = file.held.keys().filter(|o| its(o)).copied().collect();
            (*ino, owners)
        };
        let all: Vec<_> = self.files.iter().map(owns).collect();
        for (ino, owners) in all {
            for owner in owners {
                self.give_all_back(ino, owner, due);
            }
        }
    }

    /// Lets somebody wait for whoever is in his way; gives the number of his wait. Refused, `Deadlock` where that one waits for him, he
    /// is answered.
    pub(super) fn wait(&mut self, wait: Wait, due: &mut Due) -> Option<u64> {
        if self.is_circle(wait.owner, wait.blocker) {
            due.add(wait.reply, Err(deadlock()));
            return None;
        }
        let paid = self.paid.entry(wait.want.payer).or_default();
        if paid.waits >= WAITS_MAX {
            due.add(wait.reply, Err(no_locks()));
            return None;
        }
        paid.waits += 1;
        self.last += 1;
        let number = self.last;
        let file = self.files.entry(wait.ino).or_default();
        file.waits.insert(number);
        self.waiting.entry(wait.owner).or_default().insert(number);
        self.waits.insert(number, wait);
        Some(number)
    }

    /// Takes a wait out, if it is there still.
    pub(super) fn remove(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(&number)?;
        if let Entry::Occupied(mut of) = self.waiting.entry(wait.owner) {
            of.get_mut().remove(&number);
            if of.get().is_empty() {
                of.remove();
            }
        }
        if let Some(file) = self.files.get_mut(&wait.ino) {
            file.waits.remove(&number);
        }
        self.pay_less(wait.want.payer, 0, 1);
        self.tidy(wait.ino, wait.owner);
        Some(wait)
    }

    /// Ends a wait that a signal was seen for. One that may be another thread's counts when it is still there the next time.
    pub(super) fn seen(&mut self, number: u64, pending: Pending) -> Option<Wait> {
        let wait = self.waits.get_mut(&number)?;
        let was_suspect = std::mem::replace(&mut wait.is_suspect, pending == Pending::Perhaps);
        match pending {
            Pending::Nothing => None,
            Pending::Perhaps if !was_suspect => None,
            Pending::Perhaps | Pending::Signal | Pending::Gone => self.remove(number),
        }
    }

    /// Who waits, and on which threads.
    pub(super) fn threads(&self) -> Vec<(u64, u32)> {
        let thread = |(number, wait): (&u64, &Wait)| (*number, wait.thread);
        self.waits.iter().map(thread).collect()
    }

    /// Whether nobody has anything or waits for it.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let is_paid = self.paid.is_empty() && self.waiting.is_empty();
        self.files.is_empty() && self.waits.is_empty() && is_paid
    }

    /// The number of the next wait.
    #[cfg(test)]
    pub(super) fn next_wait(&self) -> u64 {
        self.last + 1
    }

    /// How many ranges are locked.
    pub(super) fn ranges(&self) -> usize {
        self.paid.values().map(|paid| paid.ranges).sum()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waits.len()
    }

    fn held(&self, ino: Ino, owner: Owner) -> Option<&Held> {
        self.files.get(&ino)?.held.get(&owner)
    }

    fn grant(&mut self, ino: Ino, owner: Owner, want: &Want) -> Result<()> {
        let file = self.files.entry(ino).or_default();
        file.held.entry(owner).or_insert_with(|| Held::new(want));
        self.change(ino, owner, |held| held.take(want))
    }

    /// Changes what an owner has, within the bound.
    fn change(&mut self, ino: Ino, owner: Owner, change: impl Fn(&mut Held)) -> Result<()> {
        let held = self
            .files
            .get_mut(&ino)
            .and_then(|f| f.held.get_mut(&owner));
        let Some(held) = held else {
            return Ok(());
        };
        let paid = self.paid.entry(held.payer).or_default();
        let before = held.len();
        // A range in the midst of another makes three of it.
        if paid.ranges + 2 > LOCKS_MAX {
            let mut after = held.clone();
            change(&mut after);
            if after.len() > before && paid.ranges + after.len() - before > LOCKS_MAX {
                self.tidy(ino, owner);
                return Err(no_locks());
            }
        }
        change(held);
        paid.ranges = paid.ranges + held.len() - before;
        self.tidy(ino, owner);
        Ok(())
    }

    fn pay_less(&mut self, payer: Payer, ranges: usize, waits: usize) {
        if let Entry::Occupied(mut paid) = self.paid.entry(payer) {
            paid.get_mut().ranges -= ranges;
            paid.get_mut().waits -= waits;
            if paid.get().ranges + paid.get().waits == 0 {
                paid.remove();
            }
        }
    }

    /// Forgets what is empty.
    fn tidy(&mut self, ino: Ino, owner: Owner) {
        let Entry::Occupied(mut file) = self.files.entry(ino) else {
            return;
        };
        let held = &mut file.get_mut().held;
        if let Some(empty) = held.get(&owner).filter(|held| held.len() == 0) {
            let payer = empty.payer;
            held.remove(&owner);
            if let Entry::Occupied(paid) = self.paid.entry(payer)
                && paid.get().ranges + paid.get().waits == 0
            {
                paid.remove();
            }
        }
        if file.get().held.is_empty() && file.get().waits.is_empty() {
            file.remove();
        }
    }

    /// Tries those again whom an owner was in the way of, and then those whom they were.
    fn moved(&mut self, ino: Ino, owner: Owner, due: &mut Due) {
        self.tidy(ino, owner);
        let mut todo = vec![owner];
        while let Some(blocker) = todo.pop() {
            let Some(file) = self.files.get(&ino) else {
                return;
            };
            let stands =
                |number: &u64| self.waits.get(number).is_some_and(|w| w.blocker == blocker);
            let stood: Vec<_> = file.waits.iter().copied().filter(stands).collect();
            for number in stood {
                todo.extend(self.try_again(number, due));
            }
        }
    }

    /// Gives a wait its lock, or another one to stand on; says whose locks are others now.
    fn try_again(&mut self, number: u64, due: &mut Due) -> Option<Owner> {
        let wait = self.waits.get(&number)?;
        let (ino, owner) = (wait.ino, wait.owner);
        let next = self.blocker(ino, owner, &wait.want);
        if let Some(next) = next {
            if self.is_circle(owner, next) {
                let wait = self.remove(number)?;
                due.add(wait.reply, Err(deadlock()));
            } else if let Some(wait) = self.waits.get_mut(&number) {
                wait.blocker = next;
            }
            return None;
        }
        let wait = self.remove(number)?;
        let granted = self.grant(ino, owner, &wait.want);
        let is_granted = granted.is_ok();
        due.add(wait.reply, granted);
        is_granted.then_some(owner)
    }

    /// Whether somebody whom an owner is about to wait for waits for him, or for one who does.
    fn is_circle(&self, owner: Owner, blocker: Owner) -> bool {
        let (mut met, mut todo) = (HashSet::new(), vec![blocker]);
        while let Some(at) = todo.pop() {
            if at == owner {
                return true;
            }
            if met.len() < CIRCLE_MAX && met.insert(at) {
                let his = self.waiting.get(&at).into_iter().flatten();
                todo.extend(his.filter_map(|number| Some(self.waits.get(number)?.blocker)));
            }
        }
        false
    }
}

/// How a lock is asked for, as far as another owner is concerned.
fn kind_for(want: &Want, owner: Owner, other: Owner) -> LockKind {
    if want.is_mapped && owner.mount != other.mount {
        LockKind::Exclusive
    } else {
        want.kind
    }
}

fn deadlock() -> Error {
    Error::new(
        Kind::Deadlock,
        "whoever has locked it waits for a lock of the same process",
    )
}

fn no_locks() -> Error {
    Error::new(
        Kind::NoLocks,
        format!("a user has {LOCKS_MAX} locks on a mount at most, and waits for {WAITS_MAX}"),
    )
}
