//! What a decision costs: `cargo test --release --lib speed -- --ignored --nocapture`. Prints, and asserts nothing.

use super::mkdir;
use crate::access::{Right, Rights};
use crate::fs::grant::To;
use crate::fs::tests::principals::{boss, make, subject};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::*;
use std::time::Duration;

const DIRS: usize = 4000;
const FILES: usize = 20_000;
const USERS: usize = 200;
const GRANTS: usize = 1000;

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

fn town() -> Town {
    let w = World::new();
    let mut n = Numbers(1);
    let people: Vec<_> = (0..USERS).map(|u| make(&w, &format!("u{u}"))).collect();
    for g in 0..50 {
        w.engine()
            .create_group(&boss(), &format!("g{g}"), None)
            .unwrap();
    }
    for g in 1..50 {
        let inner = subject(&format!("group:g{g}"));
        w.engine()
            .add_member(&boss(), &format!("g{}", g / 2), &inner)
            .unwrap();
    }
    for u in 0..USERS {
        let user = subject(&format!("u{u}"));
        w.engine()
            .add_member(&boss(), &format!("g{}", n.index(50)), &user)
            .unwrap();
    }
    let mut dirs = vec![mkdir(&w, &boss(), "/workspace/top")];
    for d in 0..DIRS {
        // Most hang from a recent one, so that the tree is deep.
        let near = dirs
            .len()
            .saturating_sub(1 + n.index(400))
            .min(dirs.len() - 1);
        let made = w
            .engine()
            .mkdir(&boss(), dirs[near], &name(&format!("d{d}")), 0o750);
        dirs.push(made.unwrap().ino);
    }
    let mut files = Vec::new();
    for f in 0..FILES {
        let dir = dirs[n.index(u32::try_from(dirs.len()).unwrap())];
        let kind = crate::meta::FileKind::File;
        let made = w
            .engine()
            .mknod(&boss(), dir, &name(&format!("f{f}")), kind, 0o640, 0);
        files.push(made.unwrap().ino);
    }
    for _ in 0..GRANTS {
        let to = match n.index(2) {
            0 => format!("u{}", n.index(200)),
            _ => format!("group:g{}", n.index(50)),
        };
        let (at, role) = (dirs[n.index(4001)], ["can_read", "can_write"][n.index(2)]);
        w.engine()
            .grant(&boss(), at, role, &To::One(subject(&to)), None)
            .unwrap();
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
    let t = town();
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
    println!(
        "warm, one user over 2,000 files: p50 {} ns, p99 {} ns",
        passes[100], passes[198]
    );
    let weighed = timed(|| some.iter().for_each(|f| keep(&t.rights(who, *f))));
    println!(
        "the same, all rights and no refusal: {} ns",
        each(weighed, some.len())
    );
    let nodes = timed(|| {
        for file in some {
            keep(&t.w.engine().node(*file).unwrap());
        }
    });
    println!("of which the node itself: {} ns", each(nodes, some.len()));
    let pairs: Vec<_> = (0..100_000)
        .map(|_| (&t.people[n.index(200)], t.files[n.index(20_000)]))
        .collect();
    let uniform = || timed(|| pairs.iter().for_each(|(u, f)| keep(&t.check(u, *f))));
    println!(
        "uniform, first: {} ns, then {} ns",
        each(uniform(), pairs.len()),
        each(uniform(), pairs.len())
    );
    let cold = t.people.iter().map(|u| {
        t.w.engine().policy.forget_callers();
        timed(|| keep(&t.check(u, t.files[5])))
    });
    println!("cold user: {} ns", each(cold.sum(), t.people.len()));
    publishes(&t);
    filters(&t, who);
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
        let kind = crate::meta::FileKind::File;
        t.w.engine()
            .mknod(&boss(), big, &name(&format!("f{f}")), kind, 0o640, 0)
            .unwrap();
    }
    t.w.engine()
        .grant(&boss(), big, "can_read", &To::Everyone, None)
        .unwrap();
    let entries = t.w.engine().list(&boss(), big).unwrap();
    let dir = t.w.engine().node(big).unwrap();
    let sight = t.w.engine().sight(who, &dir, Right::Read).unwrap();
    for _ in 0..3 {
        let mut ground = t.w.engine().ground_in(who, &dir).unwrap();
        let filter = timed(|| {
            let mut seen = |e: &&crate::fs::DirEntry| {
                t.w.engine()
                    .sees(who, &sight, &mut ground, &e.node)
                    .unwrap()
            };
            assert_eq!(entries.iter().filter(&mut seen).count(), 10_000);
        });
        println!("filter of 10,000 names: {} us", filter.as_micros());
    }
}
