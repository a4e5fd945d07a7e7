//! What an operation may cost, counted: reads of the database, records of the journal, syncs, bytes.

use crate::shell::sh;
use crate::world::World;
use serde_json::Value;
use std::fs;
use std::io::Write as _;

/// Finds a number by its key anywhere in the reply.
fn number(stats: &Value, key: &str) -> u64 {
    let found = match stats {
        Value::Object(map) => map.get(key).and_then(Value::as_u64).or_else(|| {
            map.values().find(|v| v.is_object()).and(
                map.values()
                    .filter(|v| v.is_object())
                    .find_map(|v| v.get(key)?.as_u64()),
            )
        }),
        _ => None,
    };
    found.unwrap_or_else(|| panic!("no {key} in {stats:#}"))
}

/// Work of the store between two moments.
#[derive(Debug)]
struct Cost {
    reads: u64,
    changes: u64,
    syncs: u64,
}

/// Counts what some work costs, less what counting itself costs.
fn cost(world: &World, work: impl FnOnce()) -> Cost {
    let stats = || world.ctl(&["stats"]);
    // Else what came before is applied meanwhile, and asking costs a read more afterwards: the head of the log waits no longer.
    while number(&stats(), "waiting") > 0 {}
    let (before, again) = (stats(), stats());
    work();
    let after = stats();
    let of = |key: &str| {
        let counting = number(&again, key) - number(&before, key);
        (number(&after, key) - number(&again, key)).saturating_sub(counting)
    };
    Cost {
        reads: of("reads"),
        changes: of("changes"),
        syncs: of("syncs"),
    }
}

fn stored(world: &World) -> u64 {
    let said = sh(
        world.data(),
        "du -s --block-size=1 --apparent-size cas nexus.db* journal | awk '{n += $1} END {print n}'",
    );
    said.trim().parse().unwrap()
}

#[test]
fn a_small_file_costs_one_record_and_no_host_file() {
    let world = World::new();
    fs::write(world.path("warm"), "x").unwrap();
    let host_files = || sh(world.data(), "find . -type f | wc -l");
    let before = host_files();
    let spent = cost(&world, || {
        for n in 0..100 {
            fs::write(world.path(format!("f{n}")), vec![b'x'; 4096 - n]).unwrap();
        }
    });
    println!("{spent:?}");
    // One record at close each; the rest is the daemon's own: numbers reserved, access times written down.
    assert!(spent.changes <= 110, "{spent:?}");
    assert_eq!(
        spent.syncs, 0,
        "close does not wait for the disk: {spent:?}"
    );
    assert_eq!(host_files(), before);
}

#[test]
fn a_warm_stat_costs_no_read() {
    let world = World::new();
    for n in 0..50 {
        fs::write(world.path(format!("f{n}")), "x").unwrap();
    }
    let look = || {
        for n in 0..50 {
            fs::metadata(world.path(format!("f{n}"))).unwrap();
            assert!(!world.path(format!("none{n}")).exists());
        }
    };
    look();
    let spent = cost(&world, || (0..20).for_each(|_| look()));
    // The daemon's own work between the counts is a read or two; a read for each of the 2,000 calls would show.
    assert!(spent.reads + spent.changes <= 10, "{spent:?}");
}

#[test]
fn a_warm_read_costs_no_read_of_the_database() {
    let world = World::new();
    fs::write(world.path("f"), vec![1; 500_000]).unwrap();
    let read = || assert_eq!(fs::read(world.path("f")).unwrap().len(), 500_000);
    read();
    let spent = cost(&world, || (0..20).for_each(|_| read()));
    assert!(spent.reads <= 2, "{spent:?}");
}

#[test]
fn an_append_to_a_large_file_stores_what_was_appended() {
    let world = World::new();
    sh(
        &world.workspace(),
        "head -c 100000000 /dev/urandom > big; truncate -s 1G big; echo end >> big",
    );
    let before = stored(&world);
    for _ in 0..3 {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(world.path("big"))
            .unwrap();
        file.write_all(&[b'a'; 100]).unwrap();
    }
    let grown = stored(&world).saturating_sub(before);
    assert!(grown < 3 << 20, "three appends of 100 bytes stored {grown}");
    assert_eq!(
        fs::metadata(world.path("big")).unwrap().len(),
        (1 << 30) + 4 + 300
    );
}

#[test]
fn a_copy_inside_the_mount_stores_nothing() {
    let world = World::new();
    sh(&world.workspace(), "head -c 60000000 /dev/urandom > big");
    let before = stored(&world);
    sh(
        &world.workspace(),
        "cp --reflink=auto big copy; cmp big copy; cp -r . /dev/null 2>/dev/null || true",
    );
    // semantics.md §7: "A copy inside Nexus shares bytes, and so does identical content: each blob is stored once."
    let grown = stored(&world).saturating_sub(before);
    assert!(grown < 1 << 20, "the copy stored {grown}");
    let df = world.ctl(&["df"]);
    let (logical, bytes) = (number(&df, "logical_bytes"), number(&df, "stored_bytes"));
    assert!(logical >= 120_000_000 && bytes < 75_000_000, "{df}");
}

#[test]
fn renaming_a_full_directory_costs_what_an_empty_one_costs() {
    let world = World::new();
    sh(&world.workspace(), "mkdir empty full; touch full/f{1..500}");
    let rename = |from: &str, to: &str| fs::rename(world.path(from), world.path(to)).unwrap();
    let empty = cost(&world, || rename("empty", "e2"));
    let full = cost(&world, || rename("full", "f2"));
    assert_eq!(full.changes, empty.changes);
    // Far from one for each of the 500; a few may be the end of what came before.
    assert!(full.reads < 100, "{full:?} against {empty:?}");
}

#[test]
fn fsyncs_that_wait_together_share_a_sync() {
    let world = World::new();
    let spent = cost(&world, || {
        std::thread::scope(|scope| {
            for n in 0..8 {
                let dir = world.workspace();
                scope.spawn(move || {
                    for k in 0..10 {
                        let mut file = fs::File::create(dir.join(format!("{n}-{k}"))).unwrap();
                        file.write_all(b"x").unwrap();
                        file.sync_all().unwrap();
                    }
                });
            }
        });
    });
    assert!((1..80).contains(&spent.syncs), "{spent:?}");
}
