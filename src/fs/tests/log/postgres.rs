//! The past on the other database: statements that ask for many rows at once are written for both.

use super::missing::people;
use super::town::{change_again, change_much};
use crate::core::{Op, Time};
use crate::db::{Postgres, server::Server};
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::*;
use crate::fs::{Keep, Moment};
use crate::meta::tuple;

/// Every path below a directory as it was, as an administrator sees it.
fn listed(e: &Engine, at: Moment, dir: Ino, above: &str, all: &mut Vec<String>) {
    let mut after = 0;
    loop {
        let page = e.list_at(&boss(), at, dir, after).unwrap();
        let Some(last) = page.last() else { return };
        after = last.cookie;
        for entry in page {
            let path = format!("{above}/{}", entry.name);
            assert_eq!(e.path_at(at, entry.node.ino).unwrap().to_string(), path);
            e.xattrs_at(at, entry.node.ino).unwrap();
            if entry.node.is_dir() {
                listed(e, at, entry.node.ino, &path, all);
            }
            all.push(path);
        }
    }
}

fn tree_at(e: &Engine, op: Op) -> Vec<String> {
    let at = e.moment_of(&boss(), op).unwrap();
    let mut all = vec![];
    listed(e, at, e.root(&boss()).unwrap(), "", &mut all);
    all
}

#[test]
fn what_was_done_is_shown_proved_and_forgotten_on_postgresql() {
    let server = Server::start();
    let db = Postgres::connect(&server.database("past")).unwrap();
    let w = World::over(Arc::new(db));
    let (alice, e) = (people(&w), w.engine());
    change_much(&w, &alice, "one");
    let one = e.resolve(&alice, &path("/workspace/one")).unwrap().ino;
    e.create_snapshot(&alice, one, "kept", None).unwrap();
    let then = e.head(TENANT).unwrap();
    let before = tree_at(e, then);
    assert!(before.len() > 10, "{before:?}");
    change_again(&w, &alice, "one");
    let head = e.head(TENANT).unwrap();
    assert_ne!(tree_at(e, head), before);
    assert_eq!(tree_at(e, then), before);
    let nodes: Vec<_> = (0..=e.next_ino().0).map(Ino).collect();
    let mut tx = e.store().read().unwrap();
    let on_files = e.grants(&boss(), |_| true).unwrap();
    let found = tuple::on(&mut *tx, TENANT, &nodes).unwrap();
    drop(tx);
    assert!(found.len() > 1 && found.iter().all(|t| on_files.iter().any(|g| **g == *t)));
    w.assert_sound();
    e.create_tenant(&boss(), "acme").unwrap();
    e.delete_tenant(&boss(), "acme").unwrap();
    w.assert_sound();
    let now = Time(e.clock().now().0 + 1);
    let keep = Keep {
        since: now,
        snapshots: true,
    };
    assert_eq!(e.forget(&boss(), keep, false).unwrap().tenants.len(), 2);
    assert_eq!(tree_at(e, then), before);
    w.assert_sound();
}
