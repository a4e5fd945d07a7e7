//! What the log is told once an hour, and how often the same was done again.
//!
//! Promise: of what is done again none goes uncounted, however many do it at the same time; and it costs no more than to find out
//! that it was told.

use crate::core::{Op, TenantId, Time};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::cell::RefCell;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Hours since 1970.
pub(super) type Hour = i64;

const HOUR: i64 = 3_600_000_000_000;

pub(super) fn hour(at: Time) -> Hour {
    at.0.div_euclid(HOUR)
}

/// What was done for the first time in an hour, and how often again.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The record of the first time, once that is written.
    first: OnceLock<(TenantId, Op)>,
    /// How often it was done since, as far as no record says so.
    times: AtomicU64,
    last: AtomicI64,
}

/// How often something was done beside what the log has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeats {
    pub tenant: TenantId,
    /// The record of the first time.
    pub first: Op,
    pub times: u64,
    pub last: Time,
}

impl Told {
    /// Says which record tells of the first time.
    pub(super) fn by(&self, tenant: TenantId, op: Op) {
        self.first.get_or_init(|| (tenant, op));
    }

    fn again(&self, now: Time) {
        self.last.store(now.0, Relaxed);
        self.times.fetch_add(1, Relaxed);
    }

    /// Takes what no record says; whoever cannot write it gives it back.
    pub(super) fn take(&self) -> Option<Repeats> {
        let (tenant, first) = *self.first.get()?;
        let times = self.times.swap(0, Relaxed);
        (times > 0).then(|| Repeats {
            tenant,
            first,
            times,
            last: Time(self.last.load(Relaxed)),
        })
    }

    /// Whether it is told in the log of a tenant.
    pub(super) fn is_of(&self, tenant: TenantId) -> bool {
        self.place().is_some_and(|(of, _)| of == tenant)
    }

    pub(super) fn give_back(&self, repeats: &Repeats) {
        self.times.fetch_add(repeats.times, Relaxed);
    }

    /// Where it stands in the log.
    fn place(&self) -> Option<(TenantId, Op)> {
        self.first.get().copied()
    }
}

/// What was told of the things done in an hour, each under its key: a bounded number of them.
pub(super) struct Tally<K> {
    most: usize,
    told: Cache<(K, Hour), Arc<Told>>,
    /// Those that nobody finds any more, and whose count may be in no record.
    over: Mutex<Vec<Arc<Told>>>,
    /// The hour that was not over when it was looked last.
    hour: AtomicI64,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            told: Cache::new(most),
            over: Mutex::default(),
            hour: AtomicI64::default(),
        }
    }

    /// Counts what was told in this hour; says whether it was.
    pub(super) fn again(&self, what: K, now: Time) -> bool {
        let told = self.told.get(&(what, hour(now)));
        if let Some(told) = &told {
            told.again(now);
        }
        told.is_some()
    }

    /// Remembers as told what is new in this hour: who gets something back tells it, and by which record. Counts it else.
    pub(super) fn begin(&self, what: K, now: Time) -> Option<Arc<Told>> {
        let key = (what, hour(now));
        // Of two that begin the same at once one comes second.
        let mut over = self.over.lock();
        if let Some(told) = self.told.get(&key) {
            told.again(now);
            return None;
        }
        let (new, mut gone) = (Arc::<Told>::default(), [None, None]);
        self.told.insert_with_lifecycle(key, new.clone(), &mut gone);
        let gone = gone.into_iter().flatten();
        self.keep(&mut over, gone.map(|(_, told)| told));
        Some(new)
    }

    /// Takes back that it was told: the record could not be written.
    pub(super) fn forget(&self, what: K, now: Time) {
        self.told.remove(&(what, hour(now)));
    }

    /// Gives what is counted no more: its hour is over, or it had to make room. The oldest records first.
    pub(super) fn over(&self, now: Time) -> Vec<Arc<Told>> {
        let hour = hour(now);
        let mut over = self.over.lock();
        if self.hour.swap(hour, Relaxed) != hour {
            let gone = RefCell::new(Vec::new());
            self.told.retain(|(_, of), told| {
                if *of != hour {
                    gone.borrow_mut().push(told.clone());
                }
                *of == hour
            });
            self.keep(&mut over, gone.into_inner());
        }
        // Who found one before it went may be about to count in it.
        let (mut free, mut held) = (Vec::new(), Vec::new());
        for mut told in over.drain(..) {
            match Arc::get_mut(&mut told) {
                Some(_) => free.push(told),
                None => held.push(told),
            }
        }
        *over = held;
        free.sort_by_key(|told| told.place());
        free
    }

    /// Gives all that is counted, over or not; the oldest records first.
    pub(super) fn all(&self) -> Vec<Arc<Told>> {
        // In the order in which they go: what makes room meanwhile is found twice rather than never.
        let mut all: Vec<_> = self.told.iter().map(|(_, told)| told).collect();
        all.extend(self.over.lock().iter().cloned());
        all.sort_by_key(|told| told.place());
        all
    }

    /// Takes back what could not be written.
    pub(super) fn put_back(&self, told: impl IntoIterator<Item = Arc<Told>>) {
        self.keep(&mut self.over.lock(), told);
    }

    /// Keeps what has a count, or may get one from whoever has found it, as long as there is room: where nothing can be written
    /// any more, the disk is full.
    fn keep(&self, over: &mut Vec<Arc<Told>>, gone: impl IntoIterator<Item = Arc<Told>>) {
        let (mut lost, before) = (0, over.len());
        for told in gone {
            let times = told.times.load(Relaxed);
            if times == 0 && Arc::strong_count(&told) == 1 {
                continue;
            }
            if over.len() < self.most {
                over.push(told);
            } else {
                lost += times;
            }
        }
        if lost > 0 {
            tracing::warn!(
                before,
                "{lost} accesses or refusals that were told once are in no record"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const TENANT: TenantId = TenantId(1);

    fn noon(hours: i64) -> Time {
        Time((12 + hours) * HOUR + 5)
    }

    /// How often all of them were done again, as far as that was not taken before.
    fn taken(told: &[Arc<Told>]) -> u64 {
        let repeats = told.iter().filter_map(|told| told.take());
        repeats.map(|repeats| repeats.times).sum()
    }

    #[test]
    fn what_has_to_make_room_is_over_with_its_count() {
        let tally = Tally::of(64);
        let (mut firsts, mut over) = (0, Vec::new());
        for what in 0..1000_u32 {
            for _ in 0..3 {
                if tally.again(what, noon(0)) {
                    continue;
                }
                let told = tally.begin(what, noon(0)).unwrap();
                told.by(TENANT, Op(u64::from(what) + 1));
                firsts += 1;
            }
            over.append(&mut tally.over(noon(0)));
        }
        assert!(over.len() >= 1000 - 64, "{}", over.len());
        let rest = tally.all();
        assert!(rest.len() <= 64, "{}", rest.len());
        assert_eq!(firsts + taken(&over) + taken(&rest), 3000);
        assert_eq!(taken(&tally.all()), 0);
    }

    #[test]
    fn what_cannot_be_written_waits_in_bounded_room() {
        let tally = Tally::of(64);
        for what in 0..1000_u32 {
            let told = tally.begin(what, noon(0)).unwrap();
            told.by(TENANT, Op(u64::from(what) + 1));
            tally.again(what, noon(0));
        }
        let over = tally.over(noon(0));
        assert_eq!(over.len(), 64);
        let first = over[0].take().unwrap();
        over[0].give_back(&first);
        tally.put_back(over);
        let over = tally.over(noon(0));
        assert_eq!(over[0].take(), Some(first));
        assert_eq!(taken(&over), 63);
    }

    #[test]
    fn nothing_is_over_while_somebody_may_count_in_it() {
        let tally = Tally::of(64);
        let told = tally.begin("it", noon(0)).unwrap();
        told.by(TENANT, Op(7));
        let found = tally.told.get(&("it", hour(noon(0)))).unwrap();
        drop(told);
        assert!(tally.over(noon(1)).is_empty());
        found.again(noon(0));
        drop(found);
        let over = tally.over(noon(1));
        let repeats = Repeats {
            tenant: TENANT,
            first: Op(7),
            times: 1,
            last: noon(0),
        };
        assert_eq!(over[0].take(), Some(repeats));
    }

    #[test]
    fn many_at_once_are_counted_to_the_last() {
        const EACH: u64 = 20_000;
        // There is room for what waits: that is another matter.
        let tally = Tally {
            most: usize::MAX,
            ..Tally::of(64)
        };
        let told = AtomicU64::default();
        let write = |over: Vec<Arc<Told>>| told.fetch_add(taken(&over), Relaxed);
        thread::scope(|scope| {
            for n in 0..4 {
                let (tally, told) = (&tally, &told);
                scope.spawn(move || {
                    for i in 0..EACH {
                        let now = noon((i / 1000).cast_signed());
                        let what = (n + i) % 100;
                        if tally.again(what, now) {
                            continue;
                        }
                        if let Some(new) = tally.begin(what, now) {
                            new.by(TENANT, Op(1));
                            told.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
            scope.spawn(|| {
                for n in 0..1000 {
                    write(tally.over(noon(n % 20)));
                }
            });
        });
        write(tally.over(noon(1000)));
        write(tally.all());
        assert_eq!(told.into_inner(), 4 * EACH);
    }
}
