//! Flipped bits in the database: whatever they change in tree, past, log or blobs is located.
//!
//! `NEXUS_BIT_FLIPS` says how many (200).

use crate::db::Row;
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::*;
use crate::fs::{Keep, RenameMode};

/// Tables whose rows `verify` answers for, and what of them: access times are nobody's word, and a database may reckon
/// with a blob's row that nothing refers to.
const TABLES: [(&str, &str); 10] = [
    ("tenants", "id, op, hash, state, horizon, forgot"),
    ("snapshots", "*"),
    ("log", "*"),
    (
        "nodes",
        "ino, tenant, kind, mode, uid, gid, nlink, size, rdev, mtime, ctime, btime, content, version, parent, began",
    ),
    (
        "nodes_past",
        "ino, ended, tenant, kind, mode, uid, gid, nlink, size, rdev, mtime, ctime, btime, content, version, parent, began",
    ),
    ("entries", "*"),
    ("entries_past", "*"),
    ("xattrs", "*"),
    ("xattrs_past", "*"),
    ("blobs", "*"),
];

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

fn rows(db: &Sqlite) -> Result<Vec<Vec<Row>>> {
    let mut tx = db.read()?;
    let all = TABLES.iter().map(|(table, columns)| {
        let sql = format!("SELECT {columns} FROM {table} NOT INDEXED");
        let mut rows = tx.query(&sql, &[])?;
        rows.sort_by_key(|row| format!("{row:?}"));
        Ok(rows)
    });
    all.collect()
}

/// What is found to be wrong with a store, and what its rows are.
pub(super) fn look(dir: &std::path::Path) -> Result<(Vec<String>, Vec<Vec<Row>>)> {
    let config = Config::new(dir);
    let db = Arc::new(Sqlite::open(&config.database())?);
    db.migrate()?;
    let engine = Engine::new(config, db.clone(), Clock::System)?;
    let mut problems = engine.verify(&boss(), &mut |_| {})?.problems;
    problems.extend(db.integrity_check()?);
    Ok((problems, rows(&db)?))
}

/// Puts another database in the place of a closed store's.
pub(super) fn put(dir: &std::path::Path, database: &[u8]) {
    for rest in ["nexus.db-wal", "nexus.db-shm"] {
        std::fs::remove_file(dir.join(rest)).ok();
    }
    std::fs::write(dir.join("nexus.db"), database).unwrap();
}

/// Closes a store that is sound; its database.
pub(super) fn closed(w: &mut World) -> Vec<u8> {
    w.engine().settle().unwrap();
    w.engine = None;
    let file = w.dir.path().join("nexus.db");
    Sqlite::open(&file).unwrap().checkpoint().unwrap();
    std::fs::read(&file).unwrap()
}

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
#[test]
fn whatever_a_flipped_bit_changes_is_located() {
    let w = World::new();
    fill(&w);
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

fn assert_located(mut w: World) {
    let whole = closed(&mut w);
    let (problems, sound) = look(w.dir.path()).unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let flips = crate::core::config::env("NEXUS_BIT_FLIPS").map_or(200, |n| n.parse().unwrap());
    let (mut located, mut harmless) = (0, 0);
    for n in 0..flips {
        let [at, bit]: [u64; 2] = std::array::from_fn(|i| random(n * 2 + i as u64));
        let at = usize::try_from(at % whole.len() as u64).unwrap();
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (bit % 8);
        put(w.dir.path(), &flipped);
        match look(w.dir.path()) {
            Ok((problems, found)) if problems.is_empty() => {
                let differs = TABLES.iter().zip(found.iter().zip(&sound));
                let differs: Vec<_> = differs.filter(|(_, (a, b))| a != b).collect();
                let tables: Vec<_> = differs.iter().map(|((table, _), _)| table).collect();
                assert!(
                    tables.is_empty(),
                    "byte {at}: nothing is said of {tables:?}"
                );
                harmless += 1;
            }
            Ok(_) | Err(_) => located += 1,
        }
    }
    println!(
        "{located} located, {harmless} changed nothing of {} bytes",
        whole.len()
    );
    assert!(located > 0);
}

/// splitmix64
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
