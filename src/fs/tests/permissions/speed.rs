//! What a decision costs: `cargo test --release --lib speed -- --ignored --nocapture`. Prints, and asserts nothing.
//! With `NEXUS_TOWN=50` the town is as large as a company: a million files, ten thousand users, thirty thousand grants. There what
//! costs is waiting for memory, so figures are printed as reads of it, too: one takes from 80 to 400 ns on machines that are for rent.

use super::mkdir;
use super::naive::Naive;
use crate::access::{Right, Rights};
use crate::fs::grant::To;
use crate::fs::tests::principals::{boss, make, subject};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::*;
use crate::meta::FileKind;
use crate::meta::tuple::{self, FILE, Tuple};
use std::time::Duration;

/// A town of this many times 2,000 directories, 20,000 files, 200 users, 20 groups and 600 grants.
#[allow(clippy::disallowed_methods, reason = "a benchmark's size")]
fn size() -> u32 {
    let asked = std::env::var("NEXUS_TOWN").ok();
    asked.map_or(1, |n| n.parse().unwrap())
}

struct Town {
    w: World,
    dirs: Vec<Ino>,
    files: Vec<Ino>,
    people: Vec<Caller>,
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(f: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    f();
    start.elapsed()
}

fn keep<T>(result: &T) {
    std::hint::black_box(result);
}

/// Nanoseconds of one among `n`.
fn each(took: Duration, n: usize) -> u128 {
    took.as_nanos() / n as u128
}

/// Memory that no cache of a processor holds, each line naming the next: all of it in one circle without an order.
struct Lines(Vec<[u32; 16]>);

/// How many lines of 64 bytes, and how many of them are read to know how long one takes.
const LINES: u32 = 4 << 20;
const READS: usize = 100_000;

impl Lines {
    fn new() -> Self {
        let (mut order, mut n) = ((0..LINES).collect::<Vec<_>>(), Numbers(3));
        for last in (1..LINES).rev() {
            order.swap(last as usize, n.index(last));
        }
        let mut lines = vec![[0; 16]; LINES as usize];
        for two in order.windows(2) {
            lines[two[0] as usize][0] = two[1];
        }
        lines[order[LINES as usize - 1] as usize][0] = order[0];
        Self(lines)
    }

    /// What one read takes, in nanoseconds: from a place where the last one did not come by.
    fn read(&self, from: u32) -> u128 {
        let circle = || (0..READS).fold(from, |at, _| self.0[at as usize][0]);
        each(timed(|| keep(&circle())), READS)
    }

    /// A figure, in nanoseconds and in reads.
    fn say(&self, what: &str, figure: u128) {
        let read = self.read(u32::try_from(figure % u128::from(LINES)).unwrap());
        let tenths = 10 * figure / read.max(1);
        println!(
            "{what}: {figure} ns, {}.{} reads of {read} ns",
            tenths / 10,
            tenths % 10
        );
    }
}

fn town() -> Town {
    let (w, mut n, k) = (World::new(), Numbers(1), size());
    let (users, groups) = (200 * k, 20 * k);
    let people: Vec<_> = (0..users).map(|u| make(&w, &format!("u{u}"))).collect();
    let e = w.engine();
    for g in 0..groups {
        e.create_group(&boss(), &format!("g{g}"), None).unwrap();
    }
    let join = |group: u32, member: String| {
        let member = subject(&member);
        e.add_member(&boss(), &format!("g{group}"), &member)
            .unwrap();
    };
    // Five levels deep at most.
    for g in 1..groups {
        join(g / 4, format!("group:g{g}"));
    }
    for u in 0..users {
        join(n.below(groups), format!("u{u}"));
    }
    // Each in any of those before: as deep as the logarithm of their number.
    let mut dirs = vec![mkdir(&w, &boss(), "/workspace/top")];
    for d in 1..2000 * k {
        let made = e.mkdir(&boss(), dirs[n.index(d)], &name(&format!("d{d}")), 0o750);
        dirs.push(made.unwrap().ino);
    }
    let mut files = Vec::new();
    for f in 0..20_000 * k {
        let (dir, name) = (dirs[n.index(2000 * k)], name(&format!("f{f}")));
        let made = e.mknod(&boss(), dir, &name, FileKind::File, 0o640, 0);
        files.push(made.unwrap().ino);
    }
    for _ in 0..600 * k {
        let to = match n.index(2) {
            0 => format!("u{}", n.below(users)),
            _ => format!("group:g{}", n.below(groups)),
        };
        let (at, role) = (
            dirs[n.index(2000 * k)],
            ["can_read", "can_write"][n.index(2)],
        );
        let to = To::One(subject(&to));
        e.grant(&boss(), at, role, &to, None).unwrap();
    }
    Town {
        w,
        dirs,
        files,
        people,
    }
}

impl Town {
    fn check(&self, who: &Caller, file: Ino) -> bool {
        let node = self.w.engine().node(file).unwrap();
        self.w.engine().may(who, &node, Right::Read).is_ok()
    }

    fn rights(&self, who: &Caller, file: Ino) -> Rights {
        let node = self.w.engine().node(file).unwrap();
        self.w.engine().standing(who, &node).unwrap().allowed()
    }
}

#[test]
#[ignore = "a measurement"]
fn the_speed_of_decisions() {
    let (t, lines) = (town(), Lines::new());
    let mut n = Numbers(7);
    let some = &t.files[..2000];
    let who = &t.people[3];
    let all = |files: &[Ino]| {
        let allowed = files.iter().filter(|f| t.check(who, **f)).count();
        std::hint::black_box(allowed);
    };
    println!(
        "first pass, one user: {} ns",
        each(timed(|| all(some)), some.len())
    );
    let mut passes: Vec<_> = (0..200)
        .map(|_| each(timed(|| all(some)), some.len()))
        .collect();
    passes.sort_unstable();
    lines.say("warm, one user over 2,000 files, p50", passes[100]);
    lines.say("the same, p99", passes[198]);
    at_hand(&t, &lines, who, some);
    parts(&t, who, some);
    let pairs: Vec<_> = (0..100_000)
        .map(|_| {
            (
                &t.people[n.index(200 * size())],
                t.files[n.index(20_000 * size())],
            )
        })
        .collect();
    // As an open is asked about: its name was just looked up.
    let uniform = || {
        let asked = pairs.chunks(1000).map(|pairs| {
            for (_, file) in pairs {
                keep(&t.w.engine().node(*file).unwrap());
            }
            timed(|| pairs.iter().for_each(|(u, f)| keep(&t.check(u, *f))))
        });
        each(asked.sum(), pairs.len())
    };
    lines.say("uniform, first", uniform());
    let ours = uniform();
    lines.say("uniform, then", ours);
    beside_the_plain_way(&t, &pairs, ours);
    let some_people = &t.people[..200];
    let cold = some_people.iter().map(|u| {
        t.w.engine().policy.forget_callers();
        timed(|| keep(&t.check(u, t.files[5])))
    });
    lines.say("cold user", each(cold.sum(), some_people.len()));
    publishes(&t);
    filters(&t, who);
}

/// The uniform checks as they are made without an index: the first answers are the same, and how much longer it takes to find.
fn beside_the_plain_way(t: &Town, pairs: &[(&Caller, Ino)], ours: u128) {
    let naive = Naive::of(&t.w, &t.dirs, &t.files);
    let may = |(who, file): &(&Caller, Ino)| naive.may_read(who.user_id.unwrap(), *file);
    for pair in &pairs[..1000] {
        assert_eq!(may(pair), t.check(pair.0, pair.1));
    }
    let took = each(
        timed(|| pairs.iter().for_each(|pair| keep(&may(pair)))),
        pairs.len(),
    );
    let hundredths = 100 * ours / took.max(1);
    println!("the same by a plain walk: {took} ns, of which ours is {hundredths} %");
}

/// The same of nodes that are at hand, as they are where a system call is judged: it has fetched the node for other reasons, too.
fn at_hand(t: &Town, lines: &Lines, who: &Caller, files: &[Ino]) {
    let e = t.w.engine();
    let nodes: Vec<_> = files.iter().map(|file| e.node(*file).unwrap()).collect();
    let all = || {
        for node in &nodes {
            keep(&e.may(who, node, Right::Read).is_ok());
        }
    };
    let mut passes: Vec<_> = (0..200).map(|_| each(timed(all), nodes.len())).collect();
    passes.sort_unstable();
    lines.say("the same of nodes at hand, p50", passes[100]);
    lines.say("p99", passes[198]);
}

/// The shortest of 200 passes, in nanoseconds of one among `n`: what it costs where nobody else has the processor.
fn shortest(n: usize, pass: impl Fn()) -> u128 {
    let passes = (0..200).map(|_| each(timed(&pass), n));
    passes.min().unwrap_or_default()
}

fn parts(t: &Town, who: &Caller, files: &[Ino]) {
    let e = t.w.engine();
    let print = |what: &str, one: &dyn Fn(Ino)| {
        let took = shortest(files.len(), || files.iter().for_each(|file| one(*file)));
        println!("  {what}: {took} ns");
    };
    println!("the shortest passes over them:");
    print("a decision", &|file| keep(&t.check(who, file)));
    print("all rights", &|file| keep(&t.rights(who, file)));
    print("the node", &|file| keep(&e.node(file).unwrap()));
    print("its place", &|file| keep(&e.place(file).unwrap()));
    print("who asks", &|_| keep(&e.reached_by(who).unwrap()));
    print("what was said about it", &|file| {
        keep(&e.policy.domain(file));
    });
    let dirs: Vec<_> = files
        .iter()
        .map(|file| e.place(*file).unwrap().unwrap().parent)
        .collect();
    let chains = || dirs.iter().for_each(|dir| keep(&e.chain(*dir).unwrap()));
    println!("  what lies above: {} ns", shortest(dirs.len(), chains));
    let nodes: Vec<_> = files.iter().map(|file| e.node(*file).unwrap()).collect();
    let grounds = || {
        for node in &nodes {
            keep(&e.ground(who, node).unwrap());
        }
    };
    println!("  all of that: {} ns", shortest(nodes.len(), grounds));
}

fn publishes(t: &Town) {
    let to = To::One(subject("u3"));
    let publish = timed(|| {
        for at in &t.dirs[..200] {
            t.w.engine()
                .grant(&boss(), *at, "can_execute", &to, None)
                .unwrap();
        }
    });
    println!("a grant, its record and all: {} ns", each(publish, 200));
}

fn filters(t: &Town, who: &Caller) {
    let big = mkdir(&t.w, &boss(), "/workspace/big");
    for f in 0..10_000 {
        let kind = FileKind::File;
        t.w.engine()
            .mknod(&boss(), big, &name(&format!("f{f}")), kind, 0o640, 0)
            .unwrap();
    }
    t.w.engine()
        .grant(&boss(), big, "can_read", &To::Everyone, None)
        .unwrap();
    let entries = t.w.engine().list(&boss(), big).unwrap();
    let dir = t.w.engine().node(big).unwrap();
    let filter = || {
        let mut look = t.w.engine().look(who, &dir, Right::Read).unwrap();
        let mut seen = |e: &&crate::fs::DirEntry| look.sees(&e.node).unwrap();
        assert_eq!(entries.iter().filter(&mut seen).count(), 10_000);
    };
    println!(
        "filter of 10,000 names, the first time: {} us",
        timed(filter).as_micros()
    );
    println!("filter of 10,000 names: {} us", shortest(1, filter) / 1000);
}

/// How many tuples a start has to read.
const LOADED: u64 = 1_000_000;

#[test]
#[ignore = "a measurement"]
fn the_speed_of_a_start_with_a_million_tuples() {
    let mut w = World::new();
    let start = |w: &mut World| timed(|| w.crash());
    let dirs: Vec<_> = (0..1000)
        .map(|d| mkdir(&w, &boss(), &format!("/workspace/d{d}")))
        .collect();
    let before = start(&mut w);
    let mut tx = w.engine().store().begin().unwrap();
    for id in 1..=LOADED {
        let tuple = Tuple {
            id,
            tenant: TenantId(1),
            object_type: FILE.into(),
            object_id: dirs[usize::try_from(id % 1000).unwrap()].0.to_string(),
            relation: "viewer-of".into(),
            subject_type: "user".into(),
            subject_id: (id / 1000 + 100).to_string(),
            subject_relation: String::new(),
            created: crate::core::Time(0),
            expires: None,
        };
        tuple::put(&mut *tx, &tuple).unwrap();
    }
    tx.commit().unwrap();
    let after = start(&mut w);
    assert_eq!(
        w.engine().tuples(TenantId(1), |_| true).len() as u64,
        LOADED
    );
    println!("a start: {before:?}; with {LOADED} tuples {after:?}");
}
