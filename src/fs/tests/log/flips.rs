//! Flipped bits in the database: whatever they change in tree, past, log or blobs is located.
//!
//! A flip is located when somebody is told the row that it changed, or the page that it is in; in a page of an index, the
//! index. The head of the file is its own place. What nothing is said of must have changed no row. `NEXUS_BIT_FLIPS` says
//! how many (200).

use super::missing::people;
use super::rows::{TABLES, differing, has, rows, unreadable};
use super::town::change_much;
use crate::core::Op;
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::*;
use crate::fs::{Keep, RenameMode};
use std::collections::BTreeMap;
use std::path::Path;

const PAGE: usize = 4096;
/// The head of the file, on its first page.
const HEAD: usize = 100;

/// A tree with a past.
fn fill(w: &World) {
    let e = w.engine();
    let workspace = w.workspace();
    for n in 0..40_u8 {
        let (p, other) = (format!("/workspace/f{n}"), format!("g{n}"));
        let ino = w.write(&alice(), &p, &vec![n; 700]).unwrap();
        w.write(&alice(), &p, &vec![n; 900]).unwrap();
        e.setxattr(&alice(), ino, b"user.k", &[n; 20], SetMode::Any)
            .unwrap();
        if n % 2 == 0 {
            e.setxattr(&alice(), ino, b"user.k", &[n; 30], SetMode::Any)
                .unwrap();
            let (from, to) = (name(&format!("f{n}")), name(&other));
            e.rename(
                &alice(),
                (workspace, &from),
                (workspace, &to),
                RenameMode::Replace,
            )
            .unwrap();
        }
        if n % 5 == 0 {
            let gone = name(&if n % 2 == 0 { other } else { format!("f{n}") });
            e.unlink(&alice(), workspace, &gone).unwrap();
        }
    }
}

/// What is found to be wrong with a store, as `nexusctl verify` tells it, or why it does not open.
pub(super) fn look(dir: &Path) -> Vec<String> {
    let config = Config::new(dir);
    let db = match Sqlite::open(&config.database()) {
        Ok(db) => Arc::new(db),
        Err(e) => return vec![e.chain()],
    };
    let opened = db
        .migrate()
        .and_then(|()| Engine::new(config, db.clone(), Clock::System));
    let looked = opened.and_then(|engine| Ok(engine.verify(&boss(), &mut |_| Ok(()))?.problems));
    match looked {
        Ok(mut problems) => {
            let found = db.integrity_check();
            problems.extend(found.unwrap_or_else(|e| vec![e.chain()]));
            problems
        }
        Err(e) => vec![db.locate(e).chain()],
    }
}

/// Puts another database in the place of a closed store's.
pub(super) fn put(dir: &Path, database: &[u8]) {
    for rest in ["nexus.db-wal", "nexus.db-shm"] {
        std::fs::remove_file(dir.join(rest)).ok();
    }
    // A store that was closed has all in its database, and a newer journal would not fit it.
    std::fs::remove_dir_all(dir.join("journal")).ok();
    std::fs::write(dir.join("nexus.db"), database).unwrap();
}

/// Closes a store that is sound; its database.
pub(super) fn closed(w: &mut World) -> Vec<u8> {
    w.engine().store().close().unwrap();
    w.engine = None;
    let file = w.dir.path().join("nexus.db");
    Sqlite::open(&file).unwrap().checkpoint().unwrap();
    std::fs::read(&file).unwrap()
}

/// The table or index that each page is of, and whether it is an index.
fn pages(dir: &Path) -> BTreeMap<usize, (String, bool)> {
    let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
    let sql = "SELECT d.pageno, d.name, CASE WHEN s.type = 'index' THEN 1 ELSE 0 END FROM dbstat AS d \
               LEFT JOIN sqlite_schema AS s ON s.name = d.name";
    let rows = db.read().unwrap().query(sql, &[]).unwrap();
    let read = |row: &crate::db::Row| {
        let page = usize::try_from(row.uint(0).unwrap()).unwrap();
        (
            page,
            (row.text(1).unwrap().to_owned(), row.int(2).unwrap() == 1),
        )
    };
    rows.iter().map(read).collect()
}

/// Words of which a problem has one, if it is about the page that a byte is in.
fn place(at: usize, pages: &BTreeMap<usize, (String, bool)>) -> Vec<String> {
    let page = at / PAGE + 1;
    // A tree is named by its first page.
    let mut words = vec![format!("page {page}"), format!("tree {page}")];
    match pages.get(&page) {
        Some((name, true)) => words.push(name.clone()),
        Some((name, _)) if name == "sqlite_schema" => words.push("schema".to_owned()),
        // Their rows are few, and are told by their table.
        Some((name, _)) if !TABLES.iter().any(|t| t.name == name) => words.push(name.clone()),
        Some(_) | None => {}
    }
    if at < HEAD {
        words.push("database".to_owned());
    }
    words
}

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
#[test]
fn whatever_a_flipped_bit_changes_is_located() {
    let w = World::new();
    let alice = people(&w);
    fill(&w);
    change_much(&w, &alice, "one");
    assert_located(w);
}

#[test]
fn so_it_is_when_some_of_the_past_is_forgotten() {
    let w = World::new();
    let e = w.engine();
    fill(&w);
    let named = e.create_snapshot(&alice(), w.workspace(), "kept", None);
    fill(&w);
    let old = e.store().time_of(TENANT, e.head(TENANT).unwrap()).unwrap();
    fill(&w);
    let keep = Keep {
        since: old.unwrap().1,
        snapshots: true,
    };
    let done = e.forget(&boss(), keep, false).unwrap();
    assert!(done.tenants[0].rows > 50 && named.is_ok());
    assert_located(w);
}

#[test]
fn an_operation_that_stands_behind_a_later_one_is_told() {
    let mut w = World::new();
    fill(&w);
    let op = 60_u8;
    let at = w
        .engine()
        .store()
        .time_of(TENANT, Op(op.into()))
        .unwrap()
        .unwrap();
    let mut whole = closed(&mut w);
    // The key of the row ends with its number, and its time is behind that.
    let key = [&[op][..], &at.1.0.to_be_bytes()].concat();
    let found = whole.windows(key.len()).position(|bytes| bytes == key);
    whole[found.unwrap()] ^= 32;
    put(w.dir.path(), &whole);
    let told = look(w.dir.path());
    let wanted = "operation 28 stands behind operation 59";
    assert!(
        told.iter().any(|problem| problem.contains(wanted)),
        "{told:?}"
    );
}

fn assert_located(mut w: World) {
    let whole = closed(&mut w);
    let dir = w.dir.path();
    put(dir, &whole);
    let pages = pages(dir);
    assert_eq!(look(dir), Vec::<String>::new());
    let sound = rows(dir).unwrap();
    let flips = crate::core::config::env("NEXUS_BIT_FLIPS").map_or(200, |n| n.parse().unwrap());
    let (mut located, mut harmless, mut lost) = (0, 0, Vec::new());
    for n in 0..flips {
        let [at, bit]: [u64; 2] = std::array::from_fn(|i| random(n * 2 + i as u64));
        let at = usize::try_from(at % whole.len() as u64).unwrap();
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (bit % 8);
        put(dir, &flipped);
        let problems = look(dir);
        let changed = rows(dir).map(|found| differing(&sound, &found));
        if problems.is_empty() && changed.as_ref().is_ok_and(Vec::is_empty) {
            harmless += 1;
            continue;
        }
        let changed = changed.unwrap_or_else(|_| unreadable(dir, &sound));
        let mut words = [place(at, &pages), changed].concat();
        // A row is named by as much of its key as finds it.
        let shorter = |word: &String| {
            let (name, _) = word.split_once(')')?;
            Some(format!("{})", name.rsplit_once(", ")?.0))
        };
        words.extend(
            words
                .iter()
                .filter(|w| w.starts_with("row ("))
                .filter_map(shorter)
                .collect::<Vec<_>>(),
        );
        if problems
            .iter()
            .any(|p| words.iter().any(|word| has(p, word)))
        {
            located += 1;
        } else {
            let of = pages.get(&(at / PAGE + 1));
            lost.push(format!(
                "byte {at}, bit {}, of {of:?}: {words:?}: {problems:#?}",
                bit % 8
            ));
        }
    }
    println!(
        "{located} located, {harmless} changed nothing of {} bytes",
        whole.len()
    );
    assert!(
        lost.is_empty(),
        "{} are lost: {}",
        lost.len(),
        lost.join("\n")
    );
    assert!(located > 0);
}

/// splitmix64
pub(super) fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
