//! Flipped bits beside the tables that have guards: in blobs that are files, in what was synced and not closed, in the journal.
//!
//! `NEXUS_BIT_FLIPS` says how many of each (200).

use super::flips::{look, random};
use super::rows::{has, rows};
use crate::db::Row;
use crate::fs::tests::principals::boss;
use crate::fs::tests::*;
use std::path::{Path, PathBuf};

fn flips() -> u64 {
    crate::core::config::env("NEXUS_BIT_FLIPS").map_or(200, |n| n.parse().unwrap())
}

/// A byte of so many, and a bit of it.
fn dice(n: u64, len: usize) -> (usize, u8) {
    let at = usize::try_from(random(n * 2) % len as u64).unwrap();
    (at, 1 << (random(n * 2 + 1) % 8))
}

/// A crashed store: its database and its journal.
struct Crashed {
    dir: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Crashed {
    /// Everything but what SQLite keeps beside the database, which has all.
    fn save(dir: &Path) -> Self {
        let mut files = vec![dir.join("nexus.db")];
        let journal = std::fs::read_dir(dir.join("journal")).unwrap();
        files.extend(journal.map(|file| file.unwrap().path()));
        let read = |file: PathBuf| {
            let bytes = std::fs::read(&file).unwrap();
            (file, bytes)
        };
        let files = files.into_iter().map(read).collect();
        let dir = dir.to_owned();
        Self { dir, files }
    }

    fn restore(&self) {
        for rest in ["nexus.db-wal", "nexus.db-shm"] {
            std::fs::remove_file(self.dir.join(rest)).ok();
        }
        for (file, bytes) in &self.files {
            std::fs::write(file, bytes).unwrap();
        }
    }

    fn bytes(&self, name: &str) -> (&Path, &[u8]) {
        let found = self.files.iter().find(|(file, _)| file.ends_with(name));
        let (file, bytes) = found.unwrap();
        (file, bytes)
    }
}

fn checkpoint(dir: &Path) {
    Sqlite::open(&dir.join("nexus.db"))
        .unwrap()
        .checkpoint()
        .unwrap();
}

fn cas(dir: &Path) -> Vec<PathBuf> {
    let below = |dir: PathBuf| {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap().path())
    };
    let dirs = below(dir.join("cas")).filter(|dir| !dir.ends_with("tmp"));
    dirs.flat_map(below).collect()
}

#[test]
fn a_flipped_bit_of_a_blob_names_its_file_and_its_node() {
    let mut w = World::new();
    let mut nodes = Vec::new();
    for (n, size) in [(0, 70_000), (1, 3_000_000)] {
        let bytes: Vec<_> = (0..size / 8)
            .flat_map(|at| random(n * 10_000_000 + at).to_le_bytes())
            .collect();
        let ino = w
            .write(&alice(), &format!("/workspace/f{n}"), &bytes)
            .unwrap();
        nodes.push(format!("node {ino}"));
    }
    w.engine().store().close().unwrap();
    w.engine = None;
    let dir = w.dir.path();
    assert_eq!(look(dir), Vec::<String>::new());
    let files = cas(dir);
    assert!(files.len() > 3);
    // Hashing is slow where it is not optimized.
    for n in 0..flips() / 8 {
        let file = &files[usize::try_from(n).unwrap() % files.len()];
        let whole = std::fs::read(file).unwrap();
        let (at, mask) = dice(n, whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= mask;
        std::fs::write(file, flipped).unwrap();
        let problems = look(dir);
        let name = file.strip_prefix(dir).unwrap().to_str().unwrap();
        let told = |p: &String| has(p, name) && nodes.iter().any(|node| has(p, node));
        assert!(problems.iter().any(told), "{name}: {problems:?}");
        std::fs::write(file, whole).unwrap();
    }
    assert_eq!(look(dir), Vec::<String>::new());
}

#[test]
fn a_remembered_hash_of_a_large_file_is_the_one_of_its_bytes() {
    let w = World::new();
    let ino = w
        .write(&alice(), "/workspace/f", &vec![7; 3_000_000])
        .unwrap();
    let e = w.engine();
    e.blobs.whole_hash(&e.node(ino).unwrap().content).unwrap();
    w.assert_sound();
    let mut tx = e.store().begin().unwrap();
    let sql = "UPDATE whole_hashes SET hash = root";
    assert_eq!(tx.execute(sql, &[]).unwrap(), 1);
    tx.commit().unwrap();
    let problems = e.verify(&boss(), &mut |_| Ok(())).unwrap().problems;
    let told = |p: &String| p.contains("table whole_hashes") && has(p, &format!("node {ino}"));
    assert!(problems.len() == 1 && told(&problems[0]), "{problems:?}");
}

/// Two files with two drafts each, which a crash left.
fn drafted() -> (World, Crashed) {
    let mut w = World::new();
    let e = w.engine().clone();
    for n in 0..2_u8 {
        let at = format!("/workspace/f{n}");
        let ino = w.write(&alice(), &at, b"closed").unwrap();
        let handle = e
            .open(&alice(), ino, OpenFlags::new(Access::ReadWrite))
            .unwrap();
        for piece in 0..2 {
            let bytes = vec![n * 2 + piece; 3000];
            e.write(&alice(), handle, 3000 * u64::from(piece), &bytes)
                .unwrap();
            e.fsync(&alice(), handle).unwrap();
        }
    }
    e.store().settle().unwrap();
    drop(e);
    w.engine = None;
    checkpoint(w.dir.path());
    let crashed = Crashed::save(w.dir.path());
    (w, crashed)
}

fn drafts(dir: &Path) -> Result<Vec<Row>> {
    let db = Sqlite::open(&dir.join("nexus.db"))?;
    let sql = "SELECT id, ino, body, sum FROM drafts NOT INDEXED ORDER BY id";
    db.read()?.query(sql, &[])
}

fn pages_of_drafts(dir: &Path) -> Vec<usize> {
    let db = Sqlite::open(&dir.join("nexus.db")).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'drafts'";
    let rows = db.read().unwrap().query(sql, &[]).unwrap();
    let page = |row: &Row| usize::try_from(row.uint(0).unwrap()).unwrap();
    rows.iter().map(page).collect()
}

/// semantics.md §5: "Blobs are verified against their hash when read cold, and rows against theirs: damage is EIO, never wrong bytes."
#[test]
fn a_flipped_bit_of_what_was_synced_and_not_closed_names_its_row() {
    let (w, crashed) = drafted();
    let dir = w.dir.path();
    let (pages, sound) = (pages_of_drafts(dir), drafts(dir).unwrap());
    assert_eq!(sound.len(), 4);
    assert_eq!(look(dir), Vec::<String>::new());
    crashed.restore();
    let (database, whole) = crashed.bytes("nexus.db");
    let mut named = 0;
    for n in 0..flips() {
        let (at, mask) = dice(n, pages.len() * 4096);
        let page = pages[at / 4096];
        let mut flipped = whole.to_vec();
        flipped[(page - 1) * 4096 + at % 4096] ^= mask;
        crashed.restore();
        std::fs::write(database, flipped).unwrap();
        let changed = drafts(dir);
        // Told when it is found, and as long as the row is there.
        for _ in 0..2 {
            let problems = look(dir);
            if problems.is_empty() && changed.as_ref().is_ok_and(|now| *now == sound) {
                continue;
            }
            let differs = |row: &&Row| changed.as_ref().map_or(true, |now| !now.contains(row));
            let mut words: Vec<_> = sound
                .iter()
                .filter(differs)
                .map(|row| format!("row ({}", row.0[0]))
                .collect();
            words.push(format!("page {page}"));
            // Where a page of theirs is broken no row is read, and the first that cannot be is told.
            if changed.is_err() {
                words.push("table drafts cannot be read".to_owned());
            }
            let told = problems
                .iter()
                .any(|p| words.iter().any(|word| has(p, word)));
            assert!(
                told,
                "page {page}, byte {}: {words:?}: {problems:#?}",
                at % 4096
            );
            named += 1;
        }
    }
    assert!(named > 0);
}

#[test]
fn what_was_synced_of_one_file_is_never_written_to_another() {
    let (mut w, crashed) = drafted();
    crashed.restore();
    let db = Sqlite::open(&w.dir.path().join("nexus.db")).unwrap();
    let mut tx = db.begin().unwrap();
    let sql = "UPDATE drafts SET ino = (SELECT MAX(ino) FROM drafts)";
    assert_eq!(tx.execute(sql, &[]).unwrap(), 4);
    tx.commit().unwrap();
    drop(db);
    w.crash();
    assert_eq!(w.read(&alice(), "/workspace/f1").unwrap()[..1], *b"c");
    assert_eq!(w.read(&alice(), "/workspace/f0").unwrap()[..1], *b"c");
}

/// A store whose journal has synced changes that its database has not.
fn behind() -> (World, Crashed) {
    let mut w = World::new();
    w.engine().store().settle().unwrap();
    checkpoint(w.dir.path());
    let database = std::fs::read(w.dir.path().join("nexus.db")).unwrap();
    for n in 0..5 {
        w.write(&alice(), &format!("/workspace/f{n}"), &[7; 50])
            .unwrap();
    }
    w.engine().sync().unwrap();
    w.engine = None;
    std::fs::write(w.dir.path().join("nexus.db"), database).unwrap();
    let crashed = Crashed::save(w.dir.path());
    (w, crashed)
}

/// Where the record begins that has a byte of a segment.
fn record_of(at: usize, segment: &[u8]) -> usize {
    let mut start = 0;
    loop {
        let len: [u8; 4] = segment[start + 4..start + 8].try_into().unwrap();
        let end = start + (32 + u32::from_le_bytes(len) as usize).next_multiple_of(8);
        if at < end {
            return start;
        }
        start = end;
    }
}

#[test]
fn a_flipped_bit_of_the_journal_names_segment_and_byte() {
    let (w, crashed) = behind();
    let dir = w.dir.path();
    crashed.restore();
    assert_eq!(look(dir), Vec::<String>::new());
    let sound = rows(dir).unwrap();
    let (segment, whole) = crashed.bytes("a");
    let used = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    let mut named = 0;
    for n in 0..flips() {
        let (at, mask) = dice(n, used);
        let mut flipped = whole.to_vec();
        flipped[at] ^= mask;
        crashed.restore();
        std::fs::write(segment, flipped).unwrap();
        let problems = look(dir);
        if problems.is_empty() && rows(dir).unwrap() == sound {
            continue;
        }
        let place = format!("segment a at byte {}", record_of(at, whole));
        assert!(
            problems.iter().any(|p| has(p, &place)),
            "byte {at}: {place}: {problems:#?}"
        );
        named += 1;
    }
    assert!(named > flips() / 2, "{named} of {}", flips());
}

#[test]
fn a_journal_that_is_cut_after_it_was_synced_is_told() {
    let (w, crashed) = behind();
    let dir = w.dir.path();
    let (segment, whole) = crashed.bytes("a");
    for len in [0, 32, 1000] {
        crashed.restore();
        std::fs::write(segment, &whole[..len]).unwrap();
        let problems = look(dir);
        assert!(
            problems
                .iter()
                .any(|p| p.contains("was on disk and cannot be read")),
            "{problems:?}"
        );
    }
    crashed.restore();
    std::fs::remove_file(segment).unwrap();
    assert!(look(dir)[0].contains("was on disk and cannot be read"));
    // The cure for a damaged journal, and what it costs is said.
    crashed.restore();
    std::fs::remove_dir_all(dir.join("journal")).unwrap();
    let problems = look(dir);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("the journal was gone"), "{problems:?}");
    assert_eq!(look(dir), Vec::<String>::new());
}
