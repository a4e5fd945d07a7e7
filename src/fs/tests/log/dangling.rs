//! Relationships whose node, principal or type somebody has deleted behind the engine's back, and what nobody gave.

use crate::fs::To;
use crate::fs::tests::principals::{boss, populate, subject};
use crate::fs::tests::relations::{DOCS, define, relate};
use crate::fs::tests::*;

/// A statement, and what `fsck` says of a relationship after it.
fn said_after(w: &mut World, statement: &str) -> Vec<String> {
    w.engine().settle().unwrap();
    let db = Sqlite::open(&w.dir.path().join("nexus.db")).unwrap();
    let mut tx = db.begin().unwrap();
    tx.execute(statement, &[]).unwrap();
    tx.commit().unwrap();
    let problems = w.engine().fsck(&boss()).unwrap().problems;
    let of_tuples = |p: &String| p.starts_with("relationship");
    problems.into_iter().filter(of_tuples).collect()
}

fn names(id: u64, what: &str) -> Vec<String> {
    vec![format!(
        "relationship {id} names {what}, which does not exist"
    )]
}

#[test]
fn a_relationship_that_names_nothing_is_told() {
    let world = || {
        let w = World::new();
        let alice = populate(&w);
        define(&w, &boss(), DOCS);
        let ino = w.write(&alice, "/workspace/f", b"f").unwrap();
        let give = |to: &To| w.engine().grant(&boss(), ino, "can_read", to, None);
        give(&To::Everyone).unwrap();
        let of_bob = give(&To::One(subject("bob"))).unwrap();
        let at = |text: &str| relate(&w, &boss(), text).unwrap().id;
        at("user:* viewer folder:f");
        let of_group = at("group:everybody#member viewer folder:f");
        let of_folder = at("folder:f parent doc:1");
        assert_eq!(w.engine().fsck(&boss()).unwrap().problems, [""; 0]);
        (w, ino, of_bob, [of_group, of_folder])
    };
    let (mut w, _, tuple, _) = world();
    let bob = tuple.subject_id.clone();
    let said = said_after(&mut w, &format!("DELETE FROM users WHERE id = {bob}"));
    assert_eq!(said, names(tuple.id, &format!("user {bob}")));
    let (mut w, _, _, [of_group, _]) = world();
    let said = said_after(&mut w, "DELETE FROM groups WHERE name = 'everybody'");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(&format!("relationship {of_group} names group ")));
    let (mut w, ino, tuple, _) = world();
    let said = said_after(&mut w, &format!("DELETE FROM nodes WHERE ino = {ino}"));
    assert_eq!(said.len(), 2);
    assert_eq!(said[1..], names(tuple.id, &format!("node {ino}")));
    let (mut w, _, _, [_, of_folder]) = world();
    let said = said_after(&mut w, "DELETE FROM object_types WHERE name = 'doc'");
    assert_eq!(said, names(of_folder, "doc 1"));
}

#[test]
fn a_relationship_that_nobody_gave_is_told() {
    let mut w = World::new();
    let alice = populate(&w);
    let ino = w.write(&alice, "/workspace/f", b"f").unwrap();
    let to = To::One(subject("bob"));
    let given = w.engine().grant(&boss(), ino, "can_read", &to, None);
    let id = given.unwrap().id;
    w.assert_sound();
    let forged = format!("UPDATE tuples SET id = {} WHERE id = {id}", id + 1000);
    said_after(&mut w, &forged);
    let problems = w
        .engine()
        .verify(&boss(), &mut |_| Ok(()))
        .unwrap()
        .problems;
    for told in [
        format!(
            "relationship {} is there, and no operation made it",
            id + 1000
        ),
        format!("relationship {id} is missing, which operation"),
    ] {
        assert!(problems.iter().any(|p| p.contains(&told)), "{problems:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let mut w = World::new();
    let alice = populate(&w);
    w.write(&alice, "/workspace/f", b"f").unwrap();
    said_after(&mut w, "ALTER TABLE xattrs_past RENAME TO elsewhere");
    let problems = w
        .engine()
        .verify(&boss(), &mut |_| Ok(()))
        .unwrap()
        .problems;
    assert!(problems[0].contains("xattrs_past"), "{problems:?}");
}
