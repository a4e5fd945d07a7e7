//! Each column of each table changed in a row: the row is named. So it is where the guard was made to fit, which tells a
//! disk's damage from nobody's work: the log has what the row was.

use super::flips::{closed, look, put};
use super::missing::{at_work, people};
use super::rows::{TABLES, Table, has, param};
use crate::core::Time;
use crate::db::{Param, Row, Value};
use crate::fs::tests::principals::boss;
use crate::fs::tests::*;
use crate::meta::sum::Guarded as _;
use crate::meta::tenant::GroupRule;
use crate::meta::{Principal, Roster, object_type, principal, snapshot, tuple};
use std::path::Path;

fn open(dir: &Path) -> Sqlite {
    Sqlite::open(&dir.join("nexus.db")).unwrap()
}

fn execute(dir: &Path, sql: &str, params: &[Param<'_>]) {
    let db = open(dir);
    let mut tx = db.begin().unwrap();
    assert_eq!(tx.execute(sql, params).unwrap(), 1, "{sql}");
    tx.commit().unwrap();
}

/// A row in the midst of a table.
fn some(dir: &Path, of: &Table) -> Row {
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        of.columns,
        of.name,
        key(of).join(", ")
    );
    let mut all = open(dir).read().unwrap().query(&sql, &[]).unwrap();
    assert!(!all.is_empty(), "{} has rows", of.name);
    all.swap_remove(all.len() / 2)
}

fn key(of: &Table) -> Vec<&'static str> {
    of.columns.split(", ").take(of.keys).collect()
}

/// Something else of the same kind.
fn another(value: &Value) -> Value {
    match value {
        Value::Null => Value::Int(1),
        Value::Int(n) => Value::Int(n + 1_000_003),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Bytes(bytes) => {
            let mut bytes = bytes.clone();
            match bytes.last_mut() {
                Some(last) => *last ^= 0x80,
                None => bytes.push(1),
            }
            Value::Bytes(bytes)
        }
    }
}

/// Changes a column of a row; what problems may call it then.
fn change(dir: &Path, of: &Table, row: &Row, column: usize) -> Vec<String> {
    let mut changed = row.clone();
    changed.0[column] = another(&row.0[column]);
    let name = of.columns.split(", ").nth(column).unwrap();
    let keys = key(of).into_iter().enumerate();
    let keys: Vec<_> = keys.map(|(n, key)| format!("{key} = ${}", n + 2)).collect();
    let sql = format!(
        "UPDATE {} SET {name} = $1 WHERE {}",
        of.name,
        keys.join(" AND ")
    );
    let params = [&changed.0[column]].into_iter().chain(&row.0[..of.keys]);
    execute(dir, &sql, &params.map(param).collect::<Vec<_>>());
    [of.words(row), of.words(&changed)].concat()
}

/// semantics.md §6: "`nexusctl verify` proves that log, tree and blobs agree."
#[test]
fn whatever_column_of_a_row_is_changed_the_row_is_named() {
    let (mut w, _) = at_work();
    let whole = closed(&mut w);
    let dir = w.dir.path();
    put(dir, &whole);
    assert_eq!(look(dir), Vec::<String>::new());
    let mut unnamed = Vec::new();
    for table in &TABLES {
        put(dir, &whole);
        let row = some(dir, table);
        for (column, name) in table.columns.split(", ").enumerate() {
            put(dir, &whole);
            let words = change(dir, table, &row, column);
            let problems = look(dir);
            let told = |p: &String| words.iter().any(|word| has(p, word));
            if !problems.iter().any(told) {
                unnamed.push(format!("{}.{name}: {words:?}: {problems:#?}", table.name));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

/// A store of one who has something of each kind, and what somebody forges in it.
fn assert_forgery_is_named(forge: impl Fn(&mut dyn crate::db::Tx, &Roster) -> String) {
    let (mut w, _) = at_work();
    let roster = w.engine().roster(TenantId(1)).unwrap();
    closed(&mut w);
    let db = open(w.dir.path());
    let mut tx = db.begin().unwrap();
    let wanted = forge(&mut *tx, &roster);
    tx.commit().unwrap();
    drop(db);
    let problems = look(w.dir.path());
    assert!(
        problems.iter().any(|p| has(p, &wanted)),
        "{wanted}: {problems:?}"
    );
    assert!(
        problems.iter().all(|p| !p.contains("damaged")),
        "{problems:?}"
    );
}

#[test]
fn a_forged_grant_with_a_guard_that_fits_is_not_the_one_that_the_log_has() {
    for forge in [
        |t: &mut tuple::Tuple| t.relation = "owner".to_owned(),
        |t: &mut tuple::Tuple| t.expires = Some(Time(i64::MAX)),
        |t: &mut tuple::Tuple| t.created = Time(1),
    ] {
        assert_forgery_is_named(|tx, _| {
            let page = tuple::page(tx, 0, 1).unwrap();
            let mut forged = page.into_iter().next().unwrap().1.unwrap();
            forge(&mut forged);
            tuple::delete(tx, forged.id).unwrap();
            tuple::put(tx, &forged).unwrap();
            format!("relationship {} is not as operation", forged.id)
        });
    }
}

#[test]
fn so_it_is_of_principals() {
    let forge = |one: &Principal| match one {
        Principal::User(u) => Principal::User(Arc::new(crate::meta::User {
            email: Some("mallory@example.com".to_owned()),
            ..(**u).clone()
        })),
        Principal::Agent(a) => Principal::Agent(Arc::new(crate::meta::Agent {
            isolated: !a.isolated,
            ..(**a).clone()
        })),
        Principal::Group(g) => Principal::Group(Arc::new(crate::meta::Group {
            description: None,
            ..(**g).clone()
        })),
    };
    for kind in ["user:bob", "agent:coder", "group:developers"] {
        assert_forgery_is_named(|tx, roster| {
            let one = roster.named(&kind.parse().unwrap()).unwrap();
            principal::rows::delete(tx, one).unwrap();
            principal::rows::put(tx, &forge(one)).unwrap();
            format!("principal {} is not as operation", one.id().0)
        });
    }
}

#[test]
fn so_it_is_of_keys_types_and_snapshots() {
    assert_forgery_is_named(|tx, roster| {
        let key = roster.keys().next().unwrap();
        let mut forged = (**key).clone();
        forged.hash = crate::core::Hash::of(b"nxk_mallory");
        principal::rows::delete_key(tx, &forged).unwrap();
        principal::rows::put_key(tx, &forged).unwrap();
        format!("key {} is not as operation", key.id.0)
    });
    assert_forgery_is_named(|tx, _| {
        let mut forged = object_type::all(tx).unwrap().remove(0).unwrap();
        forged.created = Time(1);
        let sql = "UPDATE object_types SET created = 1, sum = $1 WHERE id = $2";
        let params = [forged.guard().into(), forged.id.into()];
        assert_eq!(tx.execute(sql, &params).unwrap(), 1);
        format!("object type {} is not as operation", forged.id)
    });
    assert_forgery_is_named(|tx, _| {
        let mut forged = snapshot::all(tx).unwrap().remove(0).unwrap();
        forged.uid += 1;
        snapshot::delete(tx, forged.tenant, &forged.name).unwrap();
        snapshot::put(tx, &forged).unwrap();
        format!("snapshot {:?} is not as operation", forged.name)
    });
}

/// A statement that changes one row, and what is said after it of a store in which a mask was set.
fn said_after(sql: &str) -> Vec<String> {
    let mut w = World::new();
    people(&w);
    w.engine()
        .set_namespace(&boss(), "shared", Some(0o755), Some(GroupRule::Keep))
        .unwrap();
    w.engine().create_tenant(&boss(), "acme").unwrap();
    w.assert_sound();
    closed(&mut w);
    execute(w.dir.path(), sql, &[]);
    look(w.dir.path())
}

#[test]
fn settings_tenants_and_counters_are_what_the_log_tells() {
    for (sql, wanted) in [
        (
            "UPDATE namespaces SET mask = 511 WHERE name = 'shared' AND tenant = 1",
            "settings of /shared",
        ),
        (
            "UPDATE namespaces SET group_of = 'tenant' WHERE name = 'workspace' AND tenant = 1",
            "settings of /workspace",
        ),
        (
            "DELETE FROM namespaces WHERE name = 'system' AND tenant = 1",
            "settings of /system are missing",
        ),
        (
            "DELETE FROM namespaces WHERE name = 'shared' AND tenant = 2",
            "settings of /shared are missing",
        ),
        (
            "UPDATE tenants SET name = 'evil' WHERE id = 2",
            "tenant evil",
        ),
        (
            "UPDATE tenants SET name = 'evil' WHERE id = 1",
            "row (1) of table tenants",
        ),
        (
            "UPDATE tenants SET gid = 7 WHERE id = 2",
            "row (2) of table tenants",
        ),
        (
            "UPDATE tenants SET created = 7 WHERE id = 2",
            "row (2) of table tenants",
        ),
        (
            "UPDATE tenants SET root = root + 1 WHERE id = 2",
            "row (2) of table tenants",
        ),
        (
            "DELETE FROM tenants WHERE id = 1",
            "row (1) of table tenants",
        ),
        (
            "DELETE FROM tenants WHERE id = 2",
            "tenant 2, in table tenants, is missing",
        ),
        ("DELETE FROM counters WHERE name = 'id'", "counter \"id\""),
        (
            "UPDATE counters SET value = 20 WHERE name = 'id'",
            "counter \"id\"",
        ),
    ] {
        let problems = said_after(sql);
        assert!(
            problems.iter().any(|p| has(p, wanted)),
            "{sql}: {problems:?}"
        );
    }
}

#[test]
fn a_counter_that_is_behind_gives_no_number_twice() {
    let mut w = World::new();
    let there = w.write(&alice(), "/workspace/f", b"f").unwrap();
    w.engine().settle().unwrap();
    let lost = "DELETE FROM counters WHERE name = 'id'";
    let mut tx = w.engine().store().begin().unwrap();
    assert_eq!(tx.execute(lost, &[]).unwrap(), 1);
    tx.commit().unwrap();
    w.crash();
    let new = w.write(&alice(), "/workspace/g", b"g").unwrap();
    assert!(new > there, "{new} after {there}");
}
