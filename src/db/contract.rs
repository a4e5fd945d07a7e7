//! What every database behind the seam promises. A new one adds its setup here and no new case.

use super::{Db, Param, Postgres, Row, Sqlite, Tx, Value, server::Server};
use crate::core::{Kind, Result};

type Case = (&'static str, fn(&dyn Db));

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn(&dyn Db))),*] };
}

const CASES: &[Case] = cases![
    values_of_every_type_come_back_as_they_went_in,
    placeholders_bind_by_number_in_any_order,
    a_value_too_many_or_too_few_is_invalid,
    truth_values_and_sums_are_numbers,
    a_dropped_transaction_leaves_nothing,
    a_thread_that_panics_in_a_transaction_leaves_nothing,
    after_a_failed_statement_a_transaction_is_over,
    a_commit_that_fails_leaves_nothing_and_the_next_works,
    on_conflict_updates_and_returning_answers,
    a_read_changes_nothing,
    a_glance_changes_nothing_and_sees_what_was_committed,
    a_reader_sees_one_state_while_a_writer_commits,
    two_threads_that_increment_a_counter_lose_nothing,
    migrating_twice_changes_nothing,
    a_newer_schema_is_refused_and_left_alone,
    after_a_sync_the_data_is_there,
    views_can_be_queried,
    statements_are_counted,
];

fn run(cases: &[Case], fresh: impl Fn(&str, &dyn Fn(&dyn Db))) {
    for (name, case) in cases {
        eprintln!("{name}");
        fresh(name, &|db| {
            // Two daemons may start on one empty database at the same time.
            std::thread::scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| db.migrate().unwrap());
                }
            });
            case(db);
        });
    }
}

#[test]
fn sqlite_keeps_the_contract() {
    run(CASES, |_, case| {
        let dir = tempfile::tempdir().unwrap();
        case(&Sqlite::open(&dir.path().join("nexus.db")).unwrap());
    });
}

#[test]
fn postgres_keeps_the_contract() {
    let server = Server::start();
    run(CASES, |name, case| {
        // PostgreSQL cuts names at 63 bytes.
        case(&Postgres::connect(&server.database(name)).unwrap());
    });
}

fn change<T>(db: &dyn Db, work: impl FnOnce(&mut dyn Tx) -> Result<T>) -> Result<T> {
    let mut tx = db.begin()?;
    let answer = work(&mut *tx)?;
    tx.commit()?;
    Ok(answer)
}

fn ask(db: &dyn Db, sql: &str, params: &[Param]) -> Vec<Row> {
    db.read().unwrap().query(sql, params).unwrap()
}

const PUT: &str = "INSERT INTO counters (name, value) VALUES ($1, $2)";
const GET: &str = "SELECT value FROM counters WHERE name = $1";

fn put(db: &dyn Db, name: &str, value: i64) {
    change(db, |tx| tx.execute(PUT, &[name.into(), value.into()])).unwrap();
}

fn get(tx: &mut dyn Tx, name: &str) -> Option<i64> {
    tx.query(GET, &[name.into()])
        .unwrap()
        .first()
        .map(|row| row.int(0).unwrap())
}

fn values_of_every_type_come_back_as_they_went_in(db: &dyn Db) {
    let all: Vec<u8> = (0..=255).collect();
    let bytes: [(&[u8], Option<&[u8]>); 4] = [
        (b"", Some(b"")),
        (b"\xff\x00", Some(&all)),
        (b"42", Some(b"7")),
        (b"n", None),
    ];
    for (hash, data) in bytes {
        let sql = "INSERT INTO blobs (hash, size, data) VALUES ($1, $2, $3)";
        let params = [hash.into(), Param::Int(i64::MIN), data.into()];
        assert_eq!(change(db, |tx| tx.execute(sql, &params)).unwrap(), 1);
        let found = ask(
            db,
            "SELECT hash, size, data FROM blobs WHERE hash = $1",
            &[hash.into()],
        );
        let data = data.map_or(Value::Null, |d| Value::Bytes(d.to_vec()));
        assert_eq!(
            found,
            [Row(vec![
                Value::Bytes(hash.to_vec()),
                Value::Int(i64::MIN),
                data
            ])]
        );
    }
    let texts = [
        ("", Some("")),
        ("42", Some("007")),
        ("żółw 🐢", Some("'; --")),
        ("n", None),
    ];
    for (uid, (name, full)) in (0i64..).zip(texts) {
        let sql = "INSERT INTO users (tenant, name, uid, gid, full_name, created)
                   VALUES ($1, $2, $3, $4, $5, $1)";
        let params = [
            Param::Int(1),
            name.into(),
            uid.into(),
            Param::Int(i64::MAX),
            full.into(),
        ];
        change(db, |tx| tx.execute(sql, &params)).unwrap();
        let sql = "SELECT name, gid, full_name FROM users WHERE name = $1";
        let full = full.map_or(Value::Null, |f| Value::Text(f.to_owned()));
        let wanted = Row(vec![
            Value::Text(name.to_owned()),
            Value::Int(i64::MAX),
            full,
        ]);
        assert_eq!(ask(db, sql, &[name.into()]), [wanted]);
    }
    let nul = change(db, |tx| tx.execute(PUT, &["a\0b".into(), Param::Int(0)]));
    assert_eq!(nul.unwrap_err().kind(), Kind::Invalid, "text with a NUL");
}

fn placeholders_bind_by_number_in_any_order(db: &dyn Db) {
    let sql = "INSERT INTO counters (value, name) VALUES ($2, $1)";
    change(db, |tx| tx.execute(sql, &["a".into(), Param::Int(5)])).unwrap();
    let sql = "SELECT $3, name FROM counters
               WHERE value = $2 AND name = $1 AND value > CAST($4 AS BIGINT) AND name = $1";
    let params = ["a".into(), Param::Int(5), "x".into(), Param::Int(4)];
    let wanted = Row(vec![
        Value::Text("x".to_owned()),
        Value::Text("a".to_owned()),
    ]);
    assert_eq!(ask(db, sql, &params), [wanted]);
}

fn a_value_too_many_or_too_few_is_invalid(db: &dyn Db) {
    for params in [&[][..], &[Param::Text("a"), Param::Int(1)]] {
        let refused = db.read().unwrap().query(GET, params).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
    }
}

fn truth_values_and_sums_are_numbers(db: &dyn Db) {
    put(db, "a", 1 << 40);
    put(db, "b", 1 << 40);
    let sql = "SELECT COUNT(*), CAST(SUM(value) AS BIGINT), EXISTS (SELECT 1 FROM blobs), 1 < 2
               FROM counters WHERE value > $1 LIMIT $2";
    let wanted = Row([2, 1 << 41, 0, 1].map(Value::Int).to_vec());
    assert_eq!(ask(db, sql, &[Param::Int(0), Param::Int(1)]), [wanted]);
}

fn a_dropped_transaction_leaves_nothing(db: &dyn Db) {
    let mut tx = db.begin().unwrap();
    tx.execute(PUT, &["a".into(), Param::Int(1)]).unwrap();
    assert_eq!(get(&mut *tx, "a"), Some(1), "a change sees itself");
    drop(tx);
    assert_eq!(get(&mut *db.begin().unwrap(), "a"), None);
    assert_eq!(get(&mut *db.read().unwrap(), "a"), None);
}

fn a_thread_that_panics_in_a_transaction_leaves_nothing(db: &dyn Db) {
    let panicked = std::thread::scope(|s| {
        let work = s.spawn(|| {
            let mut tx = db.begin().unwrap();
            tx.execute(PUT, &["a".into(), Param::Int(1)]).unwrap();
            panic!("the panic of this test");
        });
        work.join().is_err()
    });
    assert!(panicked);
    assert_eq!(get(&mut *db.begin().unwrap(), "a"), None);
    put(db, "a", 2);
}

fn after_a_failed_statement_a_transaction_is_over(db: &dyn Db) {
    put(db, "a", 1);
    let mut tx = db.begin().unwrap();
    tx.execute(PUT, &["b".into(), Param::Int(1)]).unwrap();
    let twice = tx.execute(PUT, &["a".into(), Param::Int(2)]);
    assert_eq!(twice.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(
        tx.query(GET, &["a".into()]).unwrap_err().kind(),
        Kind::Conflict
    );
    assert_eq!(tx.commit().unwrap_err().kind(), Kind::Conflict);
    assert_eq!(get(&mut *db.read().unwrap(), "b"), None);

    let mut tx = db.begin().unwrap();
    let missing = tx.execute(
        "INSERT INTO counters (name, value) VALUES ($1, NULL)",
        &["c".into()],
    );
    assert_eq!(missing.unwrap_err().kind(), Kind::Conflict, "NOT NULL");
}

fn a_commit_that_fails_leaves_nothing_and_the_next_works(db: &dyn Db) {
    change(db, |tx| {
        tx.execute("CREATE TABLE parents (id BIGINT PRIMARY KEY)", &[])?;
        tx.execute(
            "CREATE TABLE children (parent BIGINT NOT NULL REFERENCES parents (id)
             DEFERRABLE INITIALLY DEFERRED)",
            &[],
        )
    })
    .unwrap();
    let mut tx = db.begin().unwrap();
    tx.execute(
        "INSERT INTO children (parent) VALUES ($1)",
        &[Param::Int(7)],
    )
    .unwrap();
    assert_eq!(tx.commit().unwrap_err().kind(), Kind::Conflict);
    put(db, "a", 1);
    assert_eq!(ask(db, "SELECT parent FROM children", &[]), []);
}

fn on_conflict_updates_and_returning_answers(db: &dyn Db) {
    let upsert = "INSERT INTO counters (name, value) VALUES ($1, $2)
                  ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
                  RETURNING value";
    let add = |n: i64| change(db, |tx| tx.query(upsert, &["a".into(), n.into()])).unwrap();
    assert_eq!(add(3), [Row(vec![Value::Int(3)])]);
    assert_eq!(add(4), [Row(vec![Value::Int(7)])]);
    let ignore = "INSERT INTO counters (name, value) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    assert_eq!(
        change(db, |tx| tx.execute(ignore, &["a".into()])).unwrap(),
        0
    );
    let sql = "UPDATE counters SET value = 9";
    assert_eq!(change(db, |tx| tx.execute(sql, &[])).unwrap(), 1);
    let sql = "DELETE FROM counters WHERE name = $1 RETURNING value";
    assert_eq!(
        change(db, |tx| tx.query(sql, &["a".into()])).unwrap(),
        [Row(vec![Value::Int(9)])]
    );
}

fn a_read_changes_nothing(db: &dyn Db) {
    let refused = db
        .read()
        .unwrap()
        .execute(PUT, &["a".into(), Param::Int(1)]);
    assert_eq!(refused.unwrap_err().kind(), Kind::ReadOnly);
    assert_eq!(get(&mut *db.read().unwrap(), "a"), None);
}

fn a_glance_changes_nothing_and_sees_what_was_committed(db: &dyn Db) {
    let refused = db
        .glance()
        .unwrap()
        .execute(PUT, &["a".into(), Param::Int(1)]);
    assert_eq!(refused.unwrap_err().kind(), Kind::ReadOnly);
    put(db, "a", 2);
    assert_eq!(get(&mut *db.glance().unwrap(), "a"), Some(2));
    // In the midst of a change of the same thread too, of which it sees nothing.
    let mut tx = db.begin().unwrap();
    tx.execute("UPDATE counters SET value = 3", &[]).unwrap();
    assert_eq!(get(&mut *db.glance().unwrap(), "a"), Some(2));
    tx.commit().unwrap();
    assert_eq!(get(&mut *db.glance().unwrap(), "a"), Some(3));
}

fn a_reader_sees_one_state_while_a_writer_commits(db: &dyn Db) {
    put(db, "a", 1);
    put(db, "b", 1);
    let mut early = db.read().unwrap();
    assert_eq!(get(&mut *early, "a"), Some(1));
    change(db, |tx| tx.execute("UPDATE counters SET value = 2", &[])).unwrap();
    assert_eq!(get(&mut *early, "b"), Some(1));
    assert_eq!(get(&mut *db.read().unwrap(), "b"), Some(2));
    early.commit().unwrap();
}

/// The retry loop that [`Db::begin`] asks of its callers.
fn increment(db: &dyn Db, times: usize) {
    const ATTEMPTS_MAX: usize = 1000;
    for _ in 0..times {
        let done = (0..ATTEMPTS_MAX).any(|_| {
            let step = change(db, |tx| {
                let n = tx.query(GET, &["n".into()])?[0].int(0)? + 1;
                tx.execute(
                    "UPDATE counters SET value = $1 WHERE name = 'n'",
                    &[n.into()],
                )
            });
            match step {
                Ok(_) => true,
                Err(e) if e.kind() == Kind::Conflict => false,
                Err(e) => panic!("{e:?}"),
            }
        });
        assert!(done, "{ATTEMPTS_MAX} conflicts in a row");
    }
}

fn two_threads_that_increment_a_counter_lose_nothing(db: &dyn Db) {
    put(db, "n", 0);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| increment(db, 50));
        }
    });
    assert_eq!(get(&mut *db.read().unwrap(), "n"), Some(100));
}

const HISTORY: &str = "SELECT version, name, checksum FROM refinery_schema_history";

fn migrating_twice_changes_nothing(db: &dyn Db) {
    put(db, "a", 1);
    let before = ask(db, HISTORY, &[]);
    db.migrate().unwrap();
    assert_eq!(ask(db, HISTORY, &[]), before);
    assert_eq!(get(&mut *db.read().unwrap(), "a"), Some(1));
}

fn a_newer_schema_is_refused_and_left_alone(db: &dyn Db) {
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                 VALUES (9999, 'future', '2026-01-01T00:00:00Z', '1')";
    change(db, |tx| tx.execute(newer, &[])).unwrap();
    let before = ask(db, HISTORY, &[]);
    let refused = db.migrate().unwrap_err();
    assert_eq!(refused.kind(), Kind::Version);
    assert!(refused.message().contains("9999") && refused.message().contains("upgrade nexus"));
    assert_eq!(ask(db, HISTORY, &[]), before);
}

fn after_a_sync_the_data_is_there(db: &dyn Db) {
    db.sync().unwrap();
    put(db, "a", 1);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| db.sync().unwrap());
        }
    });
    assert_eq!(get(&mut *db.read().unwrap(), "a"), Some(1));
}

fn views_can_be_queried(db: &dyn Db) {
    let sql =
        "INSERT INTO log (tenant, op, time, kind, ino, path, uid, pid, comm, undo, state, hash)
               VALUES (1, 2, 3, 'mkdir', 4, $1, 0, 0, '', '{}', 0, $1)";
    change(db, |tx| tx.execute(sql, &[Param::Bytes(b"/x")])).unwrap();
    let found = ask(
        db,
        "SELECT id, operation_type, file_path FROM operations",
        &[],
    );
    let wanted = [
        Value::Int(2),
        Value::Text("mkdir".to_owned()),
        Value::Bytes(b"/x".to_vec()),
    ];
    assert_eq!(found, [Row(wanted.to_vec())]);
}

fn statements_are_counted(db: &dyn Db) {
    let before = db.counters();
    put(db, "a", 1);
    get(&mut *db.read().unwrap(), "a");
    let after = db.counters();
    assert_eq!(after.statements - before.statements, 2);
    assert_eq!(
        (after.changes - before.changes, after.reads - before.reads),
        (1, 1)
    );
}
