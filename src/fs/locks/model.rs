//! Random calls of the table against a model that knows, of each byte, who has it how.

use super::held::{LockKind, Owner, Payer, Want};
use super::pending::Pending;
use super::table::{LOCKS_MAX, Table, WAITS_MAX};
use super::wait::{Due, Wait};
use crate::core::{HandleId, Ino, Kind, MountId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};

const BYTES: u64 = 12;
const OWNERS: u64 = 5;
const FILES: u64 = 2;
/// Handles 0 to 4 are one owner's each, the others anybody's.
const HANDLES: u64 = 7;

#[derive(Debug, Clone)]
enum Call {
    Take(Ino, u64, Range<u64>, LockKind, u64),
    Wait(Ino, u64, Range<u64>, LockKind, u64),
    Give(Ino, u64, Range<u64>),
    GiveAll(Ino, u64),
    Close(Ino, u64),
    Forget(MountId),
    Signal(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let range = (0..BYTES, 1..BYTES).prop_map(|(start, len)| start..start + len);
    let kind = prop_oneof![Just(LockKind::Shared), Just(LockKind::Exclusive)];
    let ino = (1..=FILES).prop_map(Ino);
    let ask = (ino.clone(), 0..OWNERS, range.clone(), kind, 0..HANDLES);
    prop_oneof![
        5 => ask.clone().prop_map(|(i, o, r, k, h)| Call::Take(i, o, r, k, h)),
        5 => ask.prop_map(|(i, o, r, k, h)| Call::Wait(i, o, r, k, h)),
        4 => (ino.clone(), 0..OWNERS, range).prop_map(|(i, o, r)| Call::Give(i, o, r)),
        1 => (ino.clone(), 0..OWNERS).prop_map(|(i, o)| Call::GiveAll(i, o)),
        1 => (ino, 0..HANDLES).prop_map(|(i, h)| Call::Close(i, h)),
        1 => (1..=2_u32).prop_map(|m| Call::Forget(MountId(m))),
        1 => (0..4_usize).prop_map(Call::Signal),
    ]
}

/// Owners are of two mounts in turn.
fn owner(n: u64) -> Owner {
    Owner {
        mount: Some(MountId(u32::try_from(n % 2).unwrap() + 1)),
        key: n,
    }
}

fn want(n: u64, range: &Range<u64>, kind: LockKind, handle: u64) -> Want {
    Want {
        range: range.clone(),
        kind,
        is_mapped: false,
        handle: HandleId(handle),
        pid: u32::try_from(n).unwrap(),
        payer: Payer {
            mount: owner(n).mount,
            uid: 1,
        },
    }
}

fn wait(
    ino: Ino,
    n: u64,
    want: Want,
    blocker: Owner,
    reply: impl FnOnce(Option<Kind>) + Send + 'static,
) -> Wait {
    Wait {
        ino,
        owner: owner(n),
        want,
        blocker,
        thread: 0,
        is_suspect: false,
        reply: Box::new(move |said| reply(said.err().map(|e| e.kind()))),
    }
}

/// Somebody who waits, as the model knows him.
struct Waiting {
    ino: Ino,
    owner: Owner,
    want: Want,
}

/// What a wait came to.
type Told = (u64, Option<Kind>);

#[derive(Default)]
struct Model {
    bytes: BTreeMap<(Ino, u64, Owner), (LockKind, u64)>,
    waiting: BTreeMap<u64, Waiting>,
}

impl Model {
    fn blockers(&self, ino: Ino, of: Owner, want: &Want) -> BTreeSet<Owner> {
        let met = self.bytes.iter().filter(|((i, byte, owner), (kind, _))| {
            let is_alone = *kind == LockKind::Exclusive || want.kind == LockKind::Exclusive;
            *i == ino && *owner != of && want.range.contains(byte) && is_alone
        });
        met.map(|((_, _, owner), _)| *owner).collect()
    }

    fn take(&mut self, ino: Ino, owner: Owner, want: &Want) {
        for byte in want.range.clone() {
            let how = (want.kind, want.handle.0);
            self.bytes.insert((ino, byte, owner), how);
        }
    }

    /// Whether somebody of `from` waits, through whomever, for `to`.
    fn leads(&self, from: &BTreeSet<Owner>, to: Owner) -> bool {
        let (mut met, mut todo) = (BTreeSet::new(), Vec::from_iter(from.clone()));
        while let Some(at) = todo.pop() {
            if met.insert(at) {
                let his = self.waiting.values().filter(|w| w.owner == at);
                todo.extend(his.flat_map(|w| self.blockers(w.ino, w.owner, &w.want)));
            }
        }
        met.contains(&to)
    }

    /// Follows what was answered, in this order.
    fn follow(&mut self, (number, said): Told, signalled: Option<u64>, gone: Option<MountId>) {
        let w = &self.waiting[&number];
        let blockers = self.blockers(w.ino, w.owner, &w.want);
        let can_be = match said {
            None => blockers.is_empty(),
            Some(Kind::Deadlock) => self.leads(&blockers, w.owner),
            Some(Kind::Interrupted) => signalled == Some(number),
            Some(Kind::Unavailable) => w.owner.mount == gone,
            Some(other) => panic!("{other:?}"),
        };
        assert!(can_be, "{said:?} to {number}");
        let w = self.waiting.remove(&number).unwrap();
        if said.is_none() {
            self.take(w.ino, w.owner, &w.want);
        }
    }
}

/// A table and a model, called alike.
struct Pair {
    table: Table,
    model: Model,
    answers: (Sender<Told>, Receiver<Told>),
    signalled: Option<u64>,
    gone: Option<MountId>,
}

impl Pair {
    fn new() -> Self {
        Self {
            table: Table::default(),
            model: Model::default(),
            answers: channel(),
            signalled: None,
            gone: None,
        }
    }

    fn take(&mut self, ino: Ino, n: u64, want: &Want) {
        let mut due = Due::default();
        let taken = self.table.take(ino, owner(n), want, &mut due);
        let is_free = self.model.blockers(ino, owner(n), want).is_empty();
        assert_eq!(taken.is_ok(), is_free);
        if is_free {
            self.model.take(ino, owner(n), want);
        }
        due.send();
    }

    fn wait(&mut self, ino: Ino, n: u64, want: Want) {
        let blocker = self.table.blocker(ino, owner(n), &want);
        let Some(blocker) = blocker else {
            return self.take(ino, n, &want);
        };
        let blockers = self.model.blockers(ino, owner(n), &want);
        assert!(blockers.contains(&blocker));
        // The table counts alike.
        let number = self.table.next_wait();
        let tell = self.answers.0.clone();
        let tell = move |said| tell.send((number, said)).unwrap();
        let mut due = Due::default();
        let asked = wait(ino, n, want.clone(), blocker, tell);
        let given = self.table.wait(asked, &mut due);
        due.send();
        if given.is_none() {
            assert_eq!(
                self.answers.1.try_recv(),
                Ok((number, Some(Kind::Deadlock)))
            );
            assert!(self.model.leads(&blockers, owner(n)));
            return;
        }
        assert_eq!(given, Some(number));
        let owner = owner(n);
        let waiting = Waiting { ino, owner, want };
        self.model.waiting.insert(number, waiting);
    }

    fn call(&mut self, call: Call) {
        (self.signalled, self.gone) = (None, None);
        let mut due = Due::default();
        let bytes = &mut self.model.bytes;
        match call {
            Call::Take(ino, n, range, kind, handle) => {
                self.take(ino, n, &want(n, &range, kind, handle));
            }
            Call::Wait(ino, n, range, kind, handle) => {
                self.wait(ino, n, want(n, &range, kind, handle));
            }
            Call::Give(ino, n, range) => {
                bytes
                    .retain(|(i, byte, o), _| (*i, *o) != (ino, owner(n)) || !range.contains(byte));
                let given = self.table.give_back(ino, owner(n), &range, &mut due);
                given.unwrap();
            }
            Call::GiveAll(ino, n) => {
                bytes.retain(|(i, _, o), _| (*i, *o) != (ino, owner(n)));
                self.table.give_all_back(ino, owner(n), &mut due);
            }
            Call::Close(ino, handle) => {
                bytes.retain(|(i, ..), (_, by)| (*i, *by) != (ino, handle));
                self.table.close(ino, HandleId(handle), &mut due);
            }
            Call::Forget(mount) => {
                self.gone = Some(mount);
                bytes.retain(|(_, _, o), _| o.mount != Some(mount));
                self.table.forget(mount, &mut due);
            }
            Call::Signal(nth) => {
                self.signalled = self.model.waiting.keys().nth(nth).copied();
                let number = self.signalled.unwrap_or(u64::MAX);
                if let Some(wait) = self.table.seen(number, Pending::Signal) {
                    due.add(wait.reply, crate::core::error::fail(Kind::Interrupted, ""));
                }
            }
        }
        due.send();
        while let Ok(told) = self.answers.1.try_recv() {
            self.model.follow(told, self.signalled, self.gone);
        }
        self.is_alike();
    }

    fn is_alike(&self) {
        assert_eq!(self.table.waiting(), self.model.waiting.len());
        for w in self.model.waiting.values() {
            let blockers = self.model.blockers(w.ino, w.owner, &w.want);
            assert!(!blockers.is_empty(), "somebody was forgotten");
        }
        // Somebody who has nothing finds what the model has, byte by byte.
        for ino in (1..=FILES).map(Ino) {
            for byte in 0..2 * BYTES {
                for kind in [LockKind::Shared, LockKind::Exclusive] {
                    let ask = want(90, &(byte..byte + 1), kind, 0);
                    let expected = self.model.blockers(ino, owner(90), &ask);
                    let found = self.table.in_the_way(ino, owner(90), &ask);
                    assert_eq!(found.is_some(), !expected.is_empty());
                    if let Some((kind, range, pid)) = found {
                        let whose = owner(pid.into());
                        assert!(expected.contains(&whose) && range.contains(&byte));
                        let has = |byte| self.model.bytes.get(&(ino, byte, whose)).map(|h| h.0);
                        assert!(range.clone().all(|byte| has(byte) == Some(kind)));
                        let before = range.start.checked_sub(1).and_then(has);
                        assert!(before != Some(kind) && has(range.end) != Some(kind));
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_table_does_what_the_model_does(calls in prop::collection::vec(call(), 1..60)) {
        let mut pair = Pair::new();
        for call in calls {
            pair.call(call);
        }
        for n in 0..OWNERS {
            for ino in (1..=FILES).map(Ino) {
                pair.call(Call::GiveAll(ino, n));
            }
        }
        // Whoever was granted something meanwhile.
        for mount in [1, 2, 1].map(MountId) {
            pair.call(Call::Forget(mount));
        }
        prop_assert!(pair.table.is_empty());
    }
}

const FILE: Ino = Ino(1);

fn shared(n: u64, range: Range<u64>) -> Want {
    want(n, &range, LockKind::Shared, n)
}

#[test]
fn a_user_has_so_many_locks_and_no_more_and_takes_none_from_others() {
    let mut table = Table::default();
    let mut due = Due::default();
    let most = u64::try_from(LOCKS_MAX).unwrap();
    for n in 0..most {
        let every_other = shared(0, 2 * n..2 * n + 1);
        table.take(FILE, owner(0), &every_other, &mut due).unwrap();
    }
    let one_more = shared(0, 2 * most..2 * most + 1);
    let kind = |said: crate::core::Result<()>| said.unwrap_err().kind();
    assert_eq!(
        kind(table.take(FILE, owner(0), &one_more, &mut due)),
        Kind::NoLocks
    );
    // On another mount there is room, and what needs no more room is given, and given back.
    let elsewhere = shared(1, one_more.range.clone());
    table.take(FILE, owner(1), &elsewhere, &mut due).unwrap();
    let joined = shared(0, 0..3);
    table.take(FILE, owner(0), &joined, &mut due).unwrap();
    table.take(FILE, owner(0), &one_more, &mut due).unwrap();
    let within = 1..2;
    assert_eq!(
        kind(table.give_back(FILE, owner(0), &within, &mut due)),
        Kind::NoLocks
    );
    table.give_back(FILE, owner(0), &(0..3), &mut due).unwrap();
    table.give_all_back(FILE, owner(0), &mut due);
    table.give_all_back(FILE, owner(1), &mut due);
    assert!(table.is_empty());
}

/// Asks to wait; gives what hears the answer.
fn begin(table: &mut Table, n: u64, want: Want, blocker: u64) -> Receiver<Option<Kind>> {
    let (tell, told) = channel();
    let mut due = Due::default();
    let tell = move |said| {
        tell.send(said).ok();
    };
    table.wait(wait(FILE, n, want, owner(blocker), tell), &mut due);
    due.send();
    told
}

#[test]
fn so_many_of_a_user_wait_and_no_more() {
    let mut table = Table::default();
    let mut due = Due::default();
    let alone = |n| want(n, &(0..9), LockKind::Exclusive, n);
    table.take(FILE, owner(0), &alone(0), &mut due).unwrap();
    let mut asks = |n: u64| begin(&mut table, n, alone(n), 0).try_recv().ok();
    for n in 0..u64::try_from(WAITS_MAX).unwrap() {
        assert_eq!(asks(2 * n + 1), None);
    }
    assert_eq!(asks(1), Some(Some(Kind::NoLocks)));
    assert_eq!(asks(2), None, "on another mount there is room");
    table.forget(MountId(1), &mut due);
    table.forget(MountId(2), &mut due);
    assert!(table.is_empty());
}

#[test]
fn of_two_who_want_alone_what_they_share_the_second_is_told_and_the_first_goes_on() {
    let mut table = Table::default();
    let mut due = Due::default();
    for n in [0, 1] {
        let both = shared(n, 0..4);
        table.take(FILE, owner(n), &both, &mut due).unwrap();
    }
    let alone = |n| want(n, &(0..4), LockKind::Exclusive, n);
    let first = begin(&mut table, 0, alone(0), 1);
    let second = begin(&mut table, 1, alone(1), 0);
    assert_eq!(second.try_recv(), Ok(Some(Kind::Deadlock)));
    assert!(first.try_recv().is_err());
    table.give_all_back(FILE, owner(1), &mut due);
    due.send();
    assert_eq!(first.try_recv(), Ok(None));
}

#[test]
fn a_signal_that_may_be_anothers_counts_when_it_is_there_twice() {
    let mut table = Table::default();
    let mut due = Due::default();
    let all = want(0, &(0..9), LockKind::Exclusive, 0);
    table.take(FILE, owner(0), &all, &mut due).unwrap();
    let number = table.next_wait();
    drop(begin(&mut table, 1, all, 0));
    let mut seen = |pending| table.seen(number, pending).is_some();
    assert!(!seen(Pending::Perhaps) && !seen(Pending::Nothing));
    assert!(!seen(Pending::Perhaps) && seen(Pending::Perhaps));
}

#[test]
fn memory_is_shared_on_one_mount_only() {
    let mut table = Table::default();
    let mut due = Due::default();
    let mut take = |n: u64| {
        let mapped = Want {
            is_mapped: true,
            ..shared(n, 0..1)
        };
        table.take(FILE, owner(n), &mapped, &mut due).is_ok()
    };
    // 0 and 2 are on one mount, 1 is on another.
    assert_eq!([0, 1, 2].map(&mut take), [true, false, true]);
}
