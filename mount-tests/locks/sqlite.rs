//! One database, used through several mounts at once.

use super::two_mounts;
use crate::shell::{python, run, wait};
use crate::world::World;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const WRITERS: usize = 2;
const ROWS: usize = 25;

const WRITE: &str = r#"
import sqlite3, sys
db = sqlite3.connect("db", timeout=200, isolation_level=None)
who, rows = int(sys.argv[1]), int(sys.argv[2])
for n in range(rows):
    db.execute("BEGIN IMMEDIATE")
    (sum,) = db.execute("SELECT value FROM total").fetchone()
    db.execute("INSERT INTO t VALUES (?, ?, randomblob(2000))", (who, n))
    db.execute("UPDATE total SET value = ?", (sum + 1,))
    db.execute("COMMIT")
db.close()
"#;

fn writer(command: &mut Command, dir: &Path, who: usize) -> Child {
    command
        .args(["/usr/bin/python3", "-c", WRITE])
        .args([who.to_string(), ROWS.to_string()])
        .current_dir(dir)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn made(dir: &Path) {
    python(
        dir,
        "import sqlite3\ndb = sqlite3.connect('db', isolation_level=None)\n\
         db.executescript('CREATE TABLE t (who INT, n INT, v BLOB); CREATE INDEX i ON t (v); CREATE TABLE total (value INT); \
         INSERT INTO total VALUES (0)')",
    );
}

#[track_caller]
fn is_whole(dir: &Path, rows: usize) {
    let said = python(
        dir,
        "import sqlite3\ndb = sqlite3.connect('db')\n\
         print(*[db.execute(q).fetchone()[0] for q in ('PRAGMA integrity_check', 'SELECT value FROM total', \
         'SELECT COUNT(DISTINCT who * 1000 + n) FROM t')])",
    );
    assert_eq!(said, format!("ok {rows} {rows}\n"));
}

#[test]
fn a_database_that_is_written_through_several_mounts_loses_nothing() {
    let (world, here, there) = two_mounts();
    made(&here);
    let run = ["run", "--agent", "fixer", "--"];
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        writers.push(writer(&mut Command::new("env"), &here, 3 * n));
        writers.push(writer(&mut Command::new("env"), &there, 3 * n + 1));
        writers.push(writer(&mut world.command(&run), &here, 3 * n + 2));
    }
    for writer in &mut writers {
        assert!(wait(writer).unwrap().success());
    }
    for dir in [&here, &there] {
        is_whole(dir, 3 * WRITERS * ROWS);
    }
    world.is_sound();
}

const SHARES: &str = r#"
import sqlite3, sys
try:
    db = sqlite3.connect("db", timeout=1, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("INSERT INTO t VALUES (1, (SELECT COUNT(*) FROM t), '')")
    db.execute("UPDATE total SET value = value + 1")
    print("written", flush=True)
    sys.stdin.readline()
    db.close()
except sqlite3.OperationalError as e:
    print("refused", flush=True)
"#;

/// semantics.md §7: "Of a database whose processes share memory by mapping a file (SQLite with a write-ahead log, LMDB), one mount has
/// the use at a time: who comes through another meanwhile finds it locked."
#[test]
fn a_database_that_shares_memory_is_locked_to_other_mounts_while_it_is_in_use() {
    let (_world, here, there) = two_mounts();
    made(&here);
    let start = |dir: &Path| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SHARES]).current_dir(dir);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        (child, said)
    };
    let mut rows = 0;
    for (one, other) in [(&here, &there), (&there, &here), (&here, &there)] {
        let (mut first, said) = start(one);
        assert_eq!(said, "written\n");
        let (mut second, said) = start(one);
        assert_eq!(said, "written\n", "on the same mount");
        let (mut third, said) = start(other);
        assert_eq!(said, "refused\n");
        rows += 2;
        for child in [&mut first, &mut second, &mut third] {
            drop(child.stdin.take());
            assert!(wait(child).unwrap().success());
        }
        is_whole(other, rows);
    }
}

/// What a writer left in the midst of a transaction, the next one on another mount takes back.
#[test]
fn a_writer_that_is_killed_leaves_a_database_that_the_other_mount_mends() {
    let (world, here, there) = two_mounts();
    made(&here);
    let dies = "import os, signal, sqlite3\ndb = sqlite3.connect('db', isolation_level=None)\n\
                db.execute('PRAGMA cache_size=1')\ndb.execute('BEGIN IMMEDIATE')\n\
                for n in range(200): db.execute('INSERT INTO t VALUES (9, ?, randomblob(2000))', (n,))\n\
                os.kill(os.getpid(), signal.SIGKILL)";
    for dir in [&there, &here, &there] {
        let said = run(Command::new("python3").args(["-c", dies]).current_dir(dir));
        assert!(!said.ok());
        let other = if *dir == here { &there } else { &here };
        is_whole(other, 0);
    }
    drop::<World>(world);
}
