//! Rows of principals: those of the first version, and those that somebody damaged.

mod guards;

use super::principals::{TENANT, boss, populate};
use super::*;
use crate::core::{PrincipalId, Time};
use crate::meta::principal::Unnumbered;
use crate::meta::{Edit, Edits};

#[test]
fn users_of_the_first_version_get_numbers_at_the_start() {
    let mut w = World::new();
    let old = |name: &str, uid| Unnumbered {
        tenant: TENANT,
        name: name.to_owned(),
        uid,
        gid: uid,
        full_name: None,
        email: None,
    };
    // One in the database, and one that only the journal has.
    for (name, uid) in [("ann", 5001), ("ben", 5002)] {
        let mut edits = Edits::default();
        edits.push(Edit::User(old(name, uid), Time(7)));
        w.engine().store().commit(edits).unwrap();
        if name == "ann" {
            w.engine().store().settle().unwrap();
        }
    }
    for _ in 0..2 {
        w.crash();
        let found = w.engine().users(TENANT).unwrap();
        let shown: Vec<_> = found.iter().map(|u| (u.name.as_str(), u.uid)).collect();
        assert_eq!(shown, [("ann", 5001), ("ben", 5002)]);
        assert!(found.iter().all(|u| u.id > PrincipalId(15)));
        assert!(found[0].id != found[1].id);
        assert_eq!(found[0].created, Time(7));
        w.assert_sound();
    }
}

#[test]
fn fsck_finds_who_refers_to_nobody() {
    for (sql, wanted) in [
        ("DELETE FROM users WHERE name = 'alice'", "has no owner"),
        ("DELETE FROM users WHERE name = 'bob'", "is not there"),
        ("DELETE FROM agents", "is nobody's"),
        (
            "DELETE FROM groups WHERE name = 'developers'",
            "is not there",
        ),
    ] {
        let w = World::new();
        populate(&w);
        w.assert_sound();
        let mut tx = w.engine().store().begin().unwrap();
        assert_eq!(tx.execute(sql, &[]).unwrap(), 1);
        tx.commit().unwrap();
        let found = w.engine().fsck(&boss()).unwrap().problems;
        assert!(found.iter().any(|p| p.contains(wanted)), "{sql}: {found:?}");
    }
}
