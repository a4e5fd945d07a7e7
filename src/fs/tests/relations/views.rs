//! The tables of the architecture document as views, on both databases.

use super::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::db::{Db, Postgres, Row, Value, server::Server};
use crate::fs::{AclOf, To};

fn shown(rows: &[Row]) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Text(s) => s.clone(),
        Value::Bytes(b) => format!("{b:?}"),
    };
    let line = |row: &Row| row.0.iter().map(text).collect::<Vec<_>>().join(" ");
    rows.iter().map(line).collect()
}

fn views_show_what_was_said(db: Arc<dyn Db>) {
    let w = World::over(db);
    let alice = make(&w, "alice");
    let bob = make(&w, "bob").user_id.unwrap().0;
    define(&w, &boss(), DOCS);
    let file = w.write(&alice, "/workspace/f", b"x").unwrap();
    let to = To::One(subject("bob"));
    let e = w.engine();
    e.grant(&alice, file, "owner", &to, None).unwrap();
    e.grant(&alice, file, "owner", &to, Some(Time(i64::MAX)))
        .unwrap();
    let on_doc = give(&w, "user:bob reader doc:1");
    e.revoke(&boss(), on_doc).unwrap();
    let entry = |who, deny, rights| AclEntry { who, deny, rights };
    e.set_acl_entry(&alice, file, AclOf::Itself, entry(AclWho::User(7), true, 5))
        .unwrap();
    e.set_acl_entry(
        &alice,
        file,
        AclOf::Itself,
        entry(AclWho::Group(8), false, 6),
    )
    .unwrap();
    let (dir, name) = (w.workspace(), name("f"));
    let ask = |sql: &str| shown(&w.engine().store().read().unwrap().query(sql, &[]).unwrap());
    let sql = "SELECT path_id, entry_type, identifier, permissions, deny, is_default FROM acl_entries ORDER BY identifier";
    assert_eq!(
        ask(sql),
        [
            format!("{file} user 7 r-x 1 0"),
            format!("{file} group 8 rw- 0 0")
        ]
    );
    e.unlink(&alice, dir, &name).unwrap();
    assert_eq!(ask(sql), [] as [String; 0]);
    let sql = "SELECT object_type, config LIKE '{\"relations\":%' FROM rebac_namespaces ORDER BY namespace_id";
    assert_eq!(ask(sql), ["doc 1", "folder 1"]);
    let sql = "SELECT change_type, subject_type, subject_id, relation, object_type, object_id FROM rebac_changelog \
               ORDER BY change_id, tuple_id";
    let on_file = format!("user {bob} owner file {file}");
    let on_doc = format!("user {bob} reader doc 1");
    let wanted = [
        format!("grant {on_file}"),
        format!("revoke {on_file}"),
        format!("grant {on_file}"),
        format!("grant {on_doc}"),
        format!("revoke {on_doc}"),
        format!("revoke {on_file}"),
    ];
    assert_eq!(ask(sql), wanted);
    w.assert_sound();
}

#[test]
fn the_documented_tables_can_be_queried_on_both_databases() {
    let dir = tempfile::tempdir().unwrap();
    views_show_what_was_said(Arc::new(
        Sqlite::open(&dir.path().join("nexus.db")).unwrap(),
    ));
    let server = Server::start();
    views_show_what_was_said(Arc::new(
        Postgres::connect(&server.database("views")).unwrap(),
    ));
}
