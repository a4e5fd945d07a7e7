//! Processes that try one access after the other, and hold each answer against what it has to be at that moment.
//!
//! `NEXUS_HAMMER=n` makes n accesses instead of a few thousand.

use crate::dice::setting;
use nexus::core::{Clock, Time};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

const ACCESSES: u64 = 20_000;

/// How often each process says that it still tries.
pub(crate) const EVERY: u64 = 25;

/// How many accesses one of so many processes makes.
pub(crate) fn accesses(processes: u64) -> u64 {
    setting("NEXUS_HAMMER").unwrap_or(ACCESSES) / processes
}

/// The loop of those who try: `calls` one after the other, and `after` each.
pub(crate) const HAMMER: &str = r#"
import time
allowed = tries = 0
while n > 0:
    before = state[0:16]
    which, must, end = tries % len(calls), before[0], int.from_bytes(before[8:16], "little")
    begun = time.time_ns()
    try:
        calls[which]()
        went = True
    except OSError:
        went = False
    over = time.time_ns()
    allowed += went
    # What began before the end and was over after it may go either way.
    if must == 3: must = 2 if begun >= end else 1 if over < end else 0
    if must == 4: must = 0
    if state[0:16] == before and must and went != (always or must == 1):
        say("wrong", which, went, must)
    after()
    tries += 1
    # Where it takes long until something is open again, a kernel refuses the lot meanwhile.
    n -= went or before[0] < 3
    if tries % every == 0 and before[0] != 4:
        say("went", before[1])
say("allowed", allowed)
"#;

/// What has to come of an access.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Must {
    /// Something is being changed.
    Whatever,
    Go,
    Fail,
    /// Go until then, and fail if it begins later, by the clock of the machine.
    GoUntil(Time),
    /// Nothing yet: it is being opened until some time.
    Wait,
}

/// What all the processes see at once: what has to come of an access, and the number of the round.
pub(crate) struct State(File);

impl State {
    pub(crate) fn new(path: &Path) -> Self {
        let state = Self(File::create(path).unwrap());
        state.set(Must::Whatever, 0);
        state
    }

    pub(crate) fn set(&self, must: Must, round: u8) {
        let (kind, end) = match must {
            Must::Whatever => (0, 0),
            Must::Go => (1, 0),
            Must::Fail => (2, 0),
            Must::GoUntil(end) => (3, end.0),
            Must::Wait => (4, 0),
        };
        let mut all = [0; 16];
        all[..2].copy_from_slice(&[kind, round]);
        all[8..].copy_from_slice(&end.to_le_bytes());
        self.0.write_all_at(&all, 0).unwrap();
    }
}

pub(crate) fn now() -> Time {
    Clock::System.now()
}

/// Waits until the clock has passed a time.
pub(crate) fn pass(end: Time) {
    while let Ok(left @ 1..) = u64::try_from(end.0 - now().0) {
        thread::sleep(Duration::from_nanos(left));
    }
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How often what was open was closed or the other way round.
    pub(crate) changes: u64,
    /// How many accesses of each process were allowed.
    pub(crate) allowed: Vec<u64>,
    /// Answers that should have been others: the number of the call, whether it went, and what it had to.
    pub(crate) wrong: Vec<String>,
}

impl Outcome {
    /// Takes in a line of a process that is none of the rounds'.
    pub(crate) fn note(&mut self, line: &str) {
        match line.strip_prefix("allowed ") {
            Some(n) => self.allowed.push(n.parse().unwrap()),
            None => self.wrong.push(line.to_owned()),
        }
    }

    /// What was allowed that had to be refused.
    pub(crate) fn stale(&self) -> usize {
        let stale = |line: &&String| line.starts_with("wrong") && line.ends_with("True 2");
        self.wrong.iter().filter(stale).count()
    }

    #[track_caller]
    pub(crate) fn must_be_right(&self) {
        assert_eq!(self.wrong, Vec::<String>::new());
        let some = !self.allowed.is_empty() && self.allowed.iter().all(|n| *n > 0);
        assert!(self.changes > 1 && some, "{self:?}");
    }
}
