//! Guards on rows that are read at the start: what a disk did to one is found, and it is never taken for true.

use crate::fs::tests::principals::{TENANT, boss, populate};
use crate::fs::tests::relations::{define, relate};
use crate::fs::tests::*;

/// A flip in each table, and what the report calls the row.
const FLIPS: [(&str, &str); 7] = [
    (
        "UPDATE users SET uid = uid + 1 WHERE name = 'bob'",
        "user \"bob\"",
    ),
    ("UPDATE agents SET isolated = 0", "agent \"coder\""),
    (
        "UPDATE groups SET description = 'b' WHERE name = 'developers'",
        "group \"developers\"",
    ),
    (
        "UPDATE members SET member = member + 1 WHERE member = (SELECT MAX(member) FROM members)",
        "the membership of",
    ),
    (
        "UPDATE api_keys SET expires = 1 WHERE description IS NULL",
        "key ",
    ),
    ("UPDATE tuples SET relation = 'owner'", "relationship "),
    ("UPDATE object_types SET definition = '{}'", "type \"doc\""),
];

fn world() -> World {
    let w = World::new();
    populate(&w);
    define(
        &w,
        &boss(),
        "doc: {relations: {viewer: {rewrite: {this: true}, types: [{type: user}]}, owner: {rewrite: {this: true}}}}",
    );
    relate(&w, &boss(), "user:bob viewer doc:1").unwrap();
    w
}

fn run(w: &World, sql: &str) {
    let mut tx = w.engine().store().begin().unwrap();
    assert!(tx.execute(sql, &[]).unwrap() > 0, "{sql}");
    tx.commit().unwrap();
}

/// Opens the store as it is now; gives what keeps it from opening.
fn reopened(w: &mut World) -> Result<()> {
    w.engine = None;
    let config = Config::new(w.dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    w.engine = Some(Arc::new(Engine::new(config, db, Clock::System)?));
    Ok(())
}

#[test]
fn a_row_that_was_damaged_is_found_by_verify_and_stops_the_start() {
    for (sql, what) in FLIPS {
        let mut w = world();
        w.assert_sound();
        run(&w, sql);
        let found = w
            .engine()
            .verify(&boss(), &mut |_| Ok(()))
            .unwrap()
            .problems;
        let named = |p: &String| p.contains(what) && p.contains("is damaged");
        assert!(found.iter().any(named), "{sql}: {found:?}");
        let refused = reopened(&mut w).unwrap_err();
        assert_eq!(refused.kind(), Kind::Corrupt);
        assert!(named(&refused.to_string()), "{sql}: {refused}");
    }
}

#[test]
fn rows_of_an_earlier_version_get_their_guards_at_the_start_and_only_then() {
    let mut w = world();
    let tables = ["users", "agents", "groups", "members", "api_keys", "tuples"];
    let unguard = |w: &World| tables.map(|t| run(w, &format!("UPDATE {t} SET sum = 0")));
    unguard(&w);
    run(&w, "DELETE FROM counters WHERE name = 'guarded'");
    reopened(&mut w).unwrap();
    w.assert_sound();
    assert_eq!(w.engine().users(TENANT).unwrap().len(), 2);
    unguard(&w);
    assert_eq!(reopened(&mut w).unwrap_err().kind(), Kind::Corrupt);
}
