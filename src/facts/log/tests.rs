//! Lines of the log, and many who read it while others write.

use super::*;
use crate::core::{FsPath, Ino, Kind, TenantId, error::fail};
use crate::facts::summary::of as summary;
use crate::fs::tests::principals::make;
use crate::fs::tests::{World, alice, bob, name};
use crate::fs::{RenameMode, Stream};
use crate::history::{Choice, undo};
use crate::meta::OpKind;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_line_of_the_log_has_the_documented_keys() {
    let line = LogLine {
        op: 1,
        time: crate::core::Time(0).to_string(),
        kind: "write".into(),
        path: "/workspace/a".into(),
        path2: None,
        subject: None,
        note: None,
        object: None,
        particulars: Particulars::default(),
        tenant: "default".into(),
        user: Some("ann".into()),
        agent: None,
        session: None,
        uid: 1000,
        pid: 7,
        command: "vim".into(),
    };
    let json = serde_json::to_value(&line).unwrap();
    for key in "op time kind path tenant user agent session uid pid command".split(' ') {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["time"], "1970-01-01T00:00:00.000000000Z");
}

/// Directories that are granted once, before anything is read.
const STABLE: usize = 4;
/// All directories; what is granted on the others changes all the time.
const DIRS: usize = 8;
const READERS: usize = 64;

/// Whether a directory is granted to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Granted {
    /// While a grant is being given or taken away.
    Maybe,
    Yes,
    No,
}

/// The same, with how many such notes there were before, and the newest operation then. An operation may be in the log shortly
/// before its grant is given or gone.
type Grants = Vec<(u64, u64, Granted)>;

/// A line, and how many notes there were when it was asked for and when it came.
type Told = ((u64, u64), LogLine);

struct Town {
    w: World,
    readers: Vec<Caller>,
    /// By reader and directory.
    grants: Mutex<Vec<Vec<Grants>>>,
    notes: AtomicU64,
    ended: AtomicBool,
}

fn dir(n: usize) -> String {
    format!("/workspace/d{n}")
}

impl Town {
    fn new() -> Self {
        let w = World::new();
        for n in 0..DIRS {
            let workspace = w.workspace();
            let name = name(&format!("d{n}"));
            w.engine().mkdir(&alice(), workspace, &name, 0o700).unwrap();
        }
        let readers: Vec<_> = (0..READERS).map(|n| make(&w, &format!("r{n}"))).collect();
        let town = Self {
            grants: Mutex::new(vec![vec![Grants::new(); DIRS]; READERS]),
            notes: AtomicU64::default(),
            w,
            readers,
            ended: AtomicBool::new(false),
        };
        for reader in 0..READERS {
            for n in 0..STABLE {
                if random(&mut (reader * DIRS + n)).is_multiple_of(2) {
                    town.give(reader, n);
                }
            }
        }
        town
    }

    fn at(&self, path: &str) -> Ino {
        let path = FsPath::parse(path.as_bytes()).unwrap();
        self.w.engine().resolve(&alice(), &path).unwrap().ino
    }

    fn head(&self) -> u64 {
        self.w.engine().head(TenantId(1)).unwrap().0
    }

    fn give(&self, reader: usize, n: usize) -> u64 {
        let to = format!("user:r{reader}").parse().unwrap();
        let (e, at) = (self.w.engine(), self.at(&dir(n)));
        self.note(reader, n, Granted::Maybe);
        let given = e.grant(&alice(), at, "can_read", &to, None).unwrap();
        self.note(reader, n, Granted::Yes);
        given.id
    }

    fn note(&self, reader: usize, n: usize, granted: Granted) {
        let mut grants = self.grants.lock();
        let number = self.notes.fetch_add(1, Ordering::SeqCst);
        grants[reader][n].push((number, self.head(), granted));
    }

    /// Writes, renames and removes files in all directories.
    fn work(&self, mut seed: usize) {
        for n in 0..150 {
            let in_dir = random(&mut seed) % DIRS;
            let path = format!("{}/w{seed}-{n}", dir(in_dir));
            let e = self.w.engine();
            self.w.write(&alice(), &path, b"x").unwrap();
            let (parent, from) = (self.at(&dir(in_dir)), name(&format!("w{seed}-{n}")));
            let to = name(&format!("v{seed}-{n}"));
            if random(&mut seed).is_multiple_of(2) {
                e.rename(
                    &alice(),
                    (parent, &from),
                    (parent, &to),
                    RenameMode::Replace,
                )
                .unwrap();
            } else {
                e.unlink(&alice(), parent, &from).unwrap();
            }
        }
    }

    /// Grants and revokes what may change, until the work is done.
    fn govern(&self, mut seed: usize) {
        let mut given = BTreeMap::new();
        while !self.ended.load(Ordering::Acquire) {
            let reader = random(&mut seed) % READERS;
            let n = STABLE + random(&mut seed) % (DIRS - STABLE);
            match given.remove(&(reader, n)) {
                Some(id) => {
                    self.note(reader, n, Granted::Maybe);
                    self.w.engine().revoke(&alice(), id).unwrap();
                    self.note(reader, n, Granted::No);
                }
                None => drop(given.insert((reader, n), self.give(reader, n))),
            }
        }
    }

    /// Follows the log as a client does that is slow, quick, interrupted and picked up again.
    fn follow(&self, reader: usize, mut after: u64) -> Vec<Told> {
        let (e, who, mut seed) = (self.w.engine(), &self.readers[reader], reader);
        let mut told = Vec::new();
        loop {
            let is_last = self.ended.load(Ordering::Acquire);
            let filter = Filter {
                after: Some(after),
                limit: u32::try_from(random(&mut seed) % 20 + 1).unwrap(),
                ..Filter::default()
            };
            let began = self.notes.load(Ordering::SeqCst);
            let page = read(e, who, &filter).unwrap();
            let when = (began, self.notes.load(Ordering::SeqCst));
            assert!(page.records.len() <= filter.limit as usize);
            if is_last && page.last == after {
                return told;
            }
            after = page.last;
            told.extend(page.records.into_iter().map(|line| (when, line)));
            let events = e.events();
            events.wait_log(
                TenantId(1),
                Stream::All,
                Op(after),
                Duration::from_millis(5),
            );
        }
    }

    /// The directories that a line names something in.
    fn dirs_of(line: &LogLine) -> Vec<usize> {
        let paths = [Some(&line.path), line.path2.as_ref()];
        let text = paths.into_iter().flatten().map(ToString::to_string);
        let number = |path: String| path.strip_prefix("/workspace/d")?.get(..1)?.parse().ok();
        text.filter_map(number).collect()
    }

    /// Whether what a line names was granted to a reader from when it was written on.
    fn is_due(&self, reader: usize, line: &LogLine) -> bool {
        let grants = &self.grants.lock()[reader];
        Self::dirs_of(line).into_iter().all(|n| {
            let last = grants[n].last();
            last.is_some_and(|(_, head, granted)| *head <= line.op && *granted == Granted::Yes)
        })
    }

    /// Whether what a line names may have been granted to a reader at some moment while he read.
    fn may_be_told(&self, reader: usize, ((began, ended), line): &Told) -> bool {
        let grants = &self.grants.lock()[reader];
        Self::dirs_of(line).into_iter().all(|n| {
            let first = grants[n].partition_point(|(number, ..)| number < began);
            let until = grants[n].partition_point(|(number, ..)| number < ended);
            let mut states = grants[n][first.saturating_sub(1)..until].iter();
            states.any(|(.., granted)| *granted != Granted::No)
        })
    }
}

/// splitmix64
fn random(seed: &mut usize) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// semantics.md §6: "Whoever follows the log is told each operation that he may see once, in the order of the log, wherever he
/// goes on from."
#[test]
fn of_many_readers_none_is_told_too_much_too_little_or_twice() {
    let town = Town::new();
    let before = town.head();
    let told: Vec<_> = std::thread::scope(|s| {
        let town = &town;
        let readers: Vec<_> = (0..READERS)
            .map(|reader| s.spawn(move || town.follow(reader, before)))
            .collect();
        s.spawn(|| town.govern(7));
        let writers = [1, 2].map(|n| s.spawn(move || town.work(n)));
        for writer in writers {
            writer.join().unwrap();
        }
        town.ended.store(true, Ordering::Release);
        readers.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let all = Filter {
        after: Some(before),
        limit: RECORDS_MAX,
        ..Filter::default()
    };
    let all = read(town.w.engine(), &Caller::engine(TenantId(1)), &all).unwrap();
    let work = |line: &&LogLine| !matches!(&*line.kind, "grant" | "revoke");
    let all: Vec<_> = all.records.iter().filter(work).collect();
    let mut counts = (0, 0);
    for (reader, told) in told.iter().enumerate() {
        assert!(told.is_sorted_by(|(_, a), (_, b)| a.op < b.op), "r{reader}");
        for one in told {
            let himself = format!("user:r{reader}");
            let is_his = one.1.subject.as_ref().is_none_or(|s| *s == himself);
            let is_fine = is_his && town.may_be_told(reader, one);
            assert!(is_fine, "r{reader} was told too much: {one:?}");
        }
        for line in &all {
            let is_due = town.is_due(reader, line);
            let is_told = told.binary_search_by_key(&line.op, |(_, l)| l.op).is_ok();
            assert!(is_told || !is_due, "r{reader} was not told: {line:?}");
            counts = (
                counts.0 + usize::from(is_due),
                counts.1 + usize::from(is_told),
            );
        }
    }
    println!("{} lines, {} due, {} told", all.len(), counts.0, counts.1);
    assert!(counts.0 > 1000);
    town.w.assert_sound();
}

/// Undoes all behind an operation at once.
fn undo_behind(w: &World, before: Op) -> u64 {
    w.engine().settle_files().unwrap();
    let head = w.engine().head(TenantId(1)).unwrap();
    let ops = (before.0 + 1..=head.0).map(Op).collect();
    let choice = Choice {
        ops,
        ..Choice::default()
    };
    let undone = undo(w.engine(), &alice(), &choice).unwrap();
    undone.op.unwrap().0
}

#[test]
fn the_log_of_a_path_has_what_undid_something_there() {
    let w = World::new();
    let (e, who) = (w.engine().clone(), alice());
    let boss = Caller::engine(TenantId(1));
    e.set_namespace(&boss, "workspace", Some(0o777), None)
        .unwrap();
    let bob = make(&w, "bob");
    for (dir, mode) in [("open", 0o755), ("closed", 0o700), ("other", 0o755)] {
        e.mkdir(&who, w.workspace(), &name(dir), mode).unwrap();
    }
    w.write(&who, "/workspace/open/f", b"1").unwrap();
    w.write(&who, "/workspace/closed/f", b"1").unwrap();
    e.settle_files().unwrap();
    let before = e.head(TenantId(1)).unwrap();
    w.write(&who, "/workspace/open/f", b"2").unwrap();
    w.write(&who, "/workspace/closed/f", b"2").unwrap();
    w.write(&who, "/workspace/open/new", b"new").unwrap();
    let undone = undo_behind(&w, before);
    let told = |who: &Caller, path: &str, after: Option<u64>| {
        let query = Query {
            path: FsPath::parse(path.as_bytes()).ok(),
            ..Query::default()
        };
        let filter = Filter {
            query,
            after,
            before: None,
            limit: 100,
        };
        let page = read(&e, who, &filter).unwrap();
        page.records.iter().any(|line| line.op == undone)
    };
    for settled in [false, true] {
        if settled {
            e.settle().unwrap();
        }
        for after in [None, Some(undone - 1)] {
            for (path, by_bob) in [
                ("/workspace", true),
                ("/workspace/open", true),
                ("/workspace/open/f", true),
                ("/workspace/open/new", true),
                ("/workspace/closed", false),
                ("/workspace/closed/f", false),
            ] {
                assert!(told(&who, path, after), "{path} {after:?}");
                assert_eq!(told(&bob, path, after), by_bob, "{path} {after:?}");
            }
            for path in ["/workspace/other", "/workspace/open/f/x", "/workspace/o"] {
                assert!(!told(&who, path, after), "{path} {after:?}");
            }
        }
    }
    let sum = |path: &str| {
        let query = Query {
            path: FsPath::parse(path.as_bytes()).ok(),
            kinds: vec![OpKind::Undo],
            ..Query::default()
        };
        summary(&e, &bob, &query, |_| Ok(())).unwrap().operations
    };
    assert_eq!((sum("/workspace/open"), sum("/workspace/closed")), (1, 0));
}

#[test]
fn a_sum_that_nobody_waits_for_ends() {
    let (w, mut looked_at) = (World::new(), Vec::new());
    let e = w.engine().clone();
    let left = summary(&e, &alice(), &Query::default(), |done| {
        looked_at.push(done);
        fail(Kind::Unavailable, "whoever asked has gone away")
    });
    assert_eq!(left.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(looked_at, [0]);
}

/// A page of so many operations that cost what they show, and no more for each that is hidden.
#[test]
fn what_lies_below_a_hidden_directory_costs_the_log_no_question() {
    let w = World::new();
    let workspace = w.workspace();
    let private = w.engine().mkdir(&alice(), workspace, &name("p"), 0o700);
    let private = private.unwrap().ino;
    let mut made = 0;
    let mut cost = |files: u32| {
        let begin = w.engine().head(TenantId(1)).unwrap().0;
        for _ in 0..files {
            made += 1;
            let name = name(&format!("f{made}"));
            w.engine().mkdir(&alice(), private, &name, 0o700).unwrap();
            w.engine().rmdir(&alice(), private, &name).unwrap();
        }
        w.engine().settle().unwrap();
        w.engine().drop_caches();
        let asked = || w.engine().store().counters().statements;
        let before = asked();
        let filter = Filter {
            after: Some(begin),
            limit: RECORDS_MAX,
            ..Filter::default()
        };
        let page = read(w.engine(), &bob(), &filter).unwrap();
        assert_eq!(
            (page.records, page.last),
            (Vec::new(), begin + 2 * u64::from(files))
        );
        asked() - before
    };
    let (few, many) = (cost(10), cost(300));
    assert!(many < few + 10, "{few} and {many} statements");
}

#[test]
fn a_page_ends_where_its_text_is_long_and_the_next_goes_on_there() {
    let w = World::new();
    let mut dir = w.workspace();
    // Each of these bytes is six in JSON.
    let long = name(&"\u{1}".repeat(250));
    for _ in 0..14 {
        dir = w.engine().mkdir(&alice(), dir, &long, 0o755).unwrap().ino;
    }
    let begin = w.engine().head(TenantId(1)).unwrap().0;
    for n in 0..450 {
        let name = name(&format!("d{n}"));
        w.engine().mkdir(&alice(), dir, &name, 0o755).unwrap();
    }
    let pages = |forwards: bool| {
        let (mut at, mut ops, mut pages) =
            (if forwards { begin } else { begin + 451 }, Vec::new(), 0);
        loop {
            let filter = Filter {
                after: forwards.then_some(at),
                before: (!forwards).then_some(at),
                limit: RECORDS_MAX,
                query: Query {
                    first: Some(Op(begin + 1)),
                    ..Query::default()
                },
            };
            let page = read(w.engine(), &alice(), &filter).unwrap();
            if page.records.is_empty() {
                return (ops, pages);
            }
            assert!(length(&page).unwrap() < TEXT_MAX + (64 << 10));
            pages += 1;
            ops.extend(page.records.iter().map(|r| r.op));
            at = if forwards { page.last } else { page.first };
        }
    };
    for forwards in [true, false] {
        let (mut ops, pages) = pages(forwards);
        ops.sort_unstable();
        assert!(
            ops.into_iter().eq(begin + 1..=begin + 450),
            "forwards: {forwards}"
        );
        assert!(pages > 2, "{pages} pages");
    }
}
