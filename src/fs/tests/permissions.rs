//! Grants on nodes: each pitfall that others fell into (permissions.md §4), and that we do not.

mod paths;
mod game;
mod tree;
mod words;
mod proof;
mod model;
mod moves;
mod carried;
mod names;
mod people;
mod speed;
mod naive;
mod budget;
pub(crate) mod time;

use super::principals::{boss, make, subject};
use super::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::access::{Right, Rights};
use crate::core::Time;
use crate::fs::grant::To;
use crate::fs::{AclOf, Obstacle, RenameMode};
use crate::meta::log;

/// Gives a role on a path; says the tuple's number.
#[track_caller]
pub(crate) fn give(w: &World, by: &Caller, at: &str, role: &str, to: &str) -> u64 {
    give_until(w, by, at, (role, to), None).unwrap()
}

/// Refused, or not even found: where something was said, who has no right sees nothing.
#[track_caller]
pub(crate) fn closed<T: std::fmt::Debug>(result: Result<T>) {
    let kind = result.unwrap_err().kind();
    assert!(matches!(kind, Kind::Denied | Kind::NotFound), "{kind:?}");
}

pub(crate) fn give_until(
    w: &World,
    by: &Caller,
    at: &str,
    (role, to): (&str, &str),
    expires: Option<Time>,
) -> Result<u64> {
    let to = match to {
        "*" => To::Everyone,
        name => To::One(subject(name)),
    };
    let made = w.engine().grant(by, ino(w, at), role, &to, expires)?;
    Ok(made.id)
}

/// The node at a path, whoever may see it.
#[track_caller]
pub(crate) fn ino(w: &World, at: &str) -> Ino {
    w.engine().resolve_link(&boss(), &path(at)).unwrap().ino
}

#[track_caller]
pub(crate) fn mkdir(w: &World, who: &Caller, at: &str) -> Ino {
    let target = path(at);
    let (dir, name) = w.engine().resolve_parent(who, &target).unwrap();
    w.engine().mkdir(who, dir, name, 0o755).unwrap().ino
}

/// A world with alice's directories and, in each of some, her file `f`.
pub(super) fn with(dirs: &[&str]) -> (World, Caller, Caller) {
    let w = World::new();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    for dir in dirs {
        let at = format!("/workspace/{dir}");
        mkdir(&w, &alice, &at);
        w.write(&alice, &format!("{at}/f"), dir.as_bytes()).unwrap();
    }
    (w, alice, bob)
}

pub(super) fn rights(w: &World, who: &Caller, at: Ino) -> Rights {
    let node = w.engine().node(at).unwrap();
    w.engine().standing(who, &node).unwrap().allowed()
}

pub(crate) fn rename(w: &World, who: &Caller, from: &str, to: &str) -> Result<()> {
    let (e, from, to) = (w.engine(), path(from), path(to));
    let from = e.resolve_parent(who, &from)?;
    e.rename(who, from, e.resolve_parent(who, &to)?, RenameMode::Replace)
}

pub(crate) fn unlink(w: &World, who: &Caller, at: &str) -> Result<()> {
    let at = path(at);
    let (dir, name) = w.engine().resolve_parent(who, &at)?;
    w.engine().unlink(who, dir, name)
}

fn link(w: &World, who: &Caller, from: &str, to: &str) -> Result<()> {
    let (e, to) = (w.engine(), path(to));
    let (dir, name) = e.resolve_parent(&boss(), &to)?;
    e.link(who, ino(w, from), dir, name).map(drop)
}

pub(crate) fn list(w: &World, who: &Caller, at: &str) -> Result<Vec<String>> {
    let listed = w
        .engine()
        .list(who, w.engine().resolve(who, &path(at))?.ino)?;
    Ok(listed.iter().map(|e| e.name.to_string()).collect())
}

#[test]
fn a_moved_node_keeps_its_own_grants_and_takes_its_new_parents() {
    let (mut w, alice, bob) = with(&["a", "b", "a/x"]);
    let (carol, dave) = (make(&w, "carol"), make(&w, "dave"));
    give(&w, &alice, "/workspace/a", "can_read", "bob");
    give(&w, &alice, "/workspace/a/x", "can_read", "carol");
    give(&w, &alice, "/workspace/b", "can_read", "dave");
    assert!(w.read(&bob, "/workspace/a/x/f").is_ok());
    closed(w.read(&dave, "/workspace/a/x/f"));
    rename(&w, &alice, "/workspace/a/x", "/workspace/b/x").unwrap();
    for _ in 0..2 {
        closed(w.read(&bob, "/workspace/b/x/f"));
        assert!(w.read(&carol, "/workspace/b/x/f").is_ok());
        assert!(w.read(&dave, "/workspace/b/x/f").is_ok());
        assert_eq!(list(&w, &carol, "/workspace/b").unwrap(), ["x"]);
        w.crash();
    }
    w.assert_sound();
}

#[test]
fn a_granted_file_is_found_where_it_was_moved_to() {
    let (w, alice, bob) = with(&["a", "b"]);
    give(&w, &alice, "/workspace/a/f", "can_write", "bob");
    assert_eq!(list(&w, &bob, "/workspace/a").unwrap(), ["f"]);
    rename(&w, &alice, "/workspace/a/f", "/workspace/b/g").unwrap();
    refused(list(&w, &bob, "/workspace/a"), Kind::Denied);
    assert_eq!(list(&w, &bob, "/workspace/b").unwrap(), ["g"]);
    assert_eq!(w.read(&bob, "/workspace/b/g").unwrap(), b"a");
}

#[test]
fn a_move_between_directories_takes_write_on_both() {
    let (w, alice, bob) = with(&["a"]);
    mkdir(&w, &bob, "/workspace/mine");
    give(&w, &alice, "/workspace/a/f", "can_write", "bob");
    refused(
        rename(&w, &bob, "/workspace/a/f", "/workspace/mine/f"),
        Kind::Denied,
    );
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    rename(&w, &bob, "/workspace/a/f", "/workspace/mine/f").unwrap();
}

#[test]
fn what_takes_a_files_place_does_not_take_its_grants() {
    let (w, alice, bob) = with(&["a"]);
    w.write(&alice, "/workspace/a/s", b"secret").unwrap();
    give(&w, &alice, "/workspace/a/f", "can_read", "bob");
    rename(&w, &alice, "/workspace/a/s", "/workspace/a/f").unwrap();
    closed(w.read(&bob, "/workspace/a/f"));
    assert_eq!(w.engine().grants(&boss(), |_| true).unwrap(), []);
    w.assert_sound();
}

#[test]
fn what_is_made_again_under_a_name_starts_with_no_grants() {
    let (mut w, alice, bob) = with(&["a"]);
    give(&w, &alice, "/workspace/a/f", "owner", "bob");
    let before = w.engine().head(TenantId(1)).unwrap();
    unlink(&w, &alice, "/workspace/a/f").unwrap();
    let log = log::after(
        &mut *w.engine().store().read().unwrap(),
        TenantId(1),
        before,
        1,
    );
    let undo = &log.unwrap()[0].0.undo;
    assert!(
        undo.contains("\"relation\":\"owner\""),
        "what went is recorded: {undo}"
    );
    w.write(&alice, "/workspace/a/f", b"new").unwrap();
    for _ in 0..2 {
        assert!(w.read(&bob, "/workspace/a/f").is_err());
        assert_eq!(w.engine().grants(&boss(), |_| true).unwrap(), []);
        w.crash();
    }
}

#[test]
fn what_has_no_name_any_more_is_granted_to_nobody() {
    let (w, alice, _) = with(&["a"]);
    let file = ino(&w, "/workspace/a/f");
    let handle = w.engine().open(&alice, file, OpenFlags::new(Access::Read));
    unlink(&w, &alice, "/workspace/a/f").unwrap();
    let to = To::One(subject("bob"));
    assert!(
        w.engine()
            .grant(&alice, file, "can_read", &to, None)
            .is_err()
    );
    assert!(w.engine().restrict(&alice, file, true).is_err());
    assert_eq!(
        w.engine().read(handle.unwrap(), 0, 9).unwrap().as_ref(),
        b"a"
    );
}

#[test]
fn a_file_has_names_in_one_domain_only() {
    let (w, alice, bob) = with(&["secret", "mine", "mine/sub"]);
    link(&w, &alice, "/workspace/mine/f", "/workspace/secret/g").unwrap();
    give(&w, &alice, "/workspace/secret", "can_read", "bob");
    refused(
        link(&w, &alice, "/workspace/secret/f", "/workspace/mine/l"),
        Kind::CrossDevice,
    );
    link(&w, &alice, "/workspace/secret/f", "/workspace/secret/l").unwrap();
    let moved = rename(&w, &alice, "/workspace/secret/l", "/workspace/mine/l");
    refused(moved, Kind::CrossDevice);
    unlink(&w, &alice, "/workspace/secret/l").unwrap();
    rename(&w, &alice, "/workspace/secret/f", "/workspace/mine/l").unwrap();
    closed(w.read(&bob, "/workspace/mine/l"));
    // What was said about the file itself is the same under every name.
    give(&w, &alice, "/workspace/mine/l", "can_read", "bob");
    link(&w, &alice, "/workspace/mine/l", "/workspace/mine/sub/l").unwrap();
    unlink(&w, &alice, "/workspace/mine/l").unwrap();
    assert!(w.read(&bob, "/workspace/mine/sub/l").is_ok());
    w.assert_sound();
}

#[test]
fn a_symbolic_link_opens_nothing() {
    let (w, alice, bob) = with(&["a"]);
    let home = mkdir(&w, &bob, "/workspace/home");
    w.engine()
        .symlink(&bob, home, &name("l"), b"../a/f")
        .unwrap();
    closed(w.read(&bob, "/workspace/home/l"));
    let id = give(&w, &alice, "/workspace/a/f", "can_read", "bob");
    assert!(w.read(&bob, "/workspace/home/l").is_ok());
    w.engine().revoke(&alice, id).unwrap();
    closed(w.read(&bob, "/workspace/home/l"));
}

#[test]
fn only_the_way_to_a_deep_grant_is_shown() {
    let (w, alice, bob) = with(&["a", "a/b", "a/b/c", "a/other"]);
    give(&w, &alice, "/workspace/a/b/c", "can_read", "bob");
    assert_eq!(list(&w, &bob, "/workspace/a").unwrap(), ["b"]);
    assert_eq!(list(&w, &bob, "/workspace/a/b").unwrap(), ["c"]);
    assert_eq!(list(&w, &bob, "/workspace/a/b/c").unwrap(), ["f"]);
    assert_eq!(w.read(&bob, "/workspace/a/b/c/f").unwrap(), b"a/b/c");
    closed(w.read(&bob, "/workspace/a/f"));
}

#[test]
fn a_deny_ends_the_way_to_what_lies_deeper() {
    let (w, alice, bob) = with(&["a", "a/b", "a/b/c"]);
    give(&w, &alice, "/workspace/a/b/c", "can_read", "bob");
    assert!(w.read(&bob, "/workspace/a/b/c/f").is_ok());
    let deny = AclEntry {
        who: AclWho::User(bob.uid),
        deny: true,
        rights: 0,
    };
    let b = ino(&w, "/workspace/a/b");
    let set = w.engine().set_acl_entry(&alice, b, AclOf::Itself, deny);
    set.unwrap();
    closed(w.read(&bob, "/workspace/a/b/c/f"));
    assert_eq!(list(&w, &bob, "/workspace/a").unwrap(), [""; 0]);
    closed(list(&w, &bob, "/workspace/a/b"));
    let why = w.engine().explain(
        &alice,
        &subject("bob"),
        ino(&w, "/workspace/a/b/c/f"),
        Right::Read,
    );
    assert_eq!(why.unwrap().obstacle, Some(Obstacle::Deny(b)));
}

#[test]
fn what_is_hidden_answers_every_call_as_what_is_absent_does() {
    let (w, alice, bob) = with(&["a", "a/b"]);
    give(&w, &alice, "/workspace/a/b", "can_write", "bob");
    for name in ["f", "absent"] {
        let at = format!("/workspace/a/{name}");
        refused(w.read(&bob, &at), Kind::NotFound);
        refused(unlink(&w, &bob, &at), Kind::NotFound);
        refused(rename(&w, &bob, &at, "/workspace/a/b/x"), Kind::NotFound);
    }
}

/// Bob may make names in alice's directory `a`, in which `f` and `d` are hidden from him: by a boundary, and by a deny.
fn with_hidden() -> (World, Caller, Caller) {
    let (w, alice, bob) = with(&["a", "a/d"]);
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    w.write(&bob, "/workspace/a/new", b"new").unwrap();
    let e = w.engine();
    e.restrict(&alice, ino(&w, "/workspace/a/f"), true).unwrap();
    let deny = AclEntry {
        who: AclWho::User(bob.uid),
        deny: true,
        rights: 0,
    };
    let d = ino(&w, "/workspace/a/d");
    e.set_acl_entry(&alice, d, AclOf::Itself, deny).unwrap();
    assert_eq!(list(&w, &bob, "/workspace/a").unwrap(), ["new"]);
    (w, alice, bob)
}

/// semantics.md §3: "A namespace or name that a context may not see does not exist for it."
#[test]
fn what_is_hidden_is_not_replaced() {
    let (w, alice, bob) = with_hidden();
    unlink(&w, &alice, "/workspace/a/d/f").unwrap();
    mkdir(&w, &bob, "/workspace/a/dir");
    let (e, a) = (w.engine(), ino(&w, "/workspace/a"));
    for (from, to) in [("new", "f"), ("dir", "d")] {
        let (from, to) = (&name(from), &name(to));
        for mode in [
            RenameMode::Replace,
            RenameMode::NoReplace,
            RenameMode::Exchange,
        ] {
            refused(e.rename(&bob, (a, from), (a, to), mode), Kind::Denied);
        }
    }
    assert_eq!(w.read(&alice, "/workspace/a/f").unwrap(), b"a");
    assert_eq!(list(&w, &boss(), "/workspace/a").unwrap().len(), 4);
    w.assert_sound();
}

#[test]
fn every_call_that_makes_a_name_answers_alike_where_a_hidden_one_is() {
    let (w, _, bob) = with_hidden();
    let (e, a) = (w.engine(), ino(&w, "/workspace/a"));
    for hidden in ["f", "d"] {
        let (name, at) = (&name(hidden), &format!("/workspace/a/{hidden}"));
        refused(e.mkdir(&bob, a, name, 0o755), Kind::Denied);
        let made = e.mknod(&bob, a, name, crate::meta::FileKind::Fifo, 0o644, 0);
        refused(made, Kind::Denied);
        refused(e.symlink(&bob, a, name, b"new"), Kind::Denied);
        refused(link(&w, &bob, "/workspace/a/new", at), Kind::Denied);
        for exclusive in [false, true] {
            let flags = OpenFlags {
                exclusive,
                ..writing()
            };
            refused(e.create(&bob, a, name, 0o644, flags), Kind::Denied);
        }
    }
    refused(e.mkdir(&bob, a, &name("new"), 0o755), Kind::Exists);
}

#[test]
fn who_may_write_a_file_may_remove_it_though_its_directory_is_but_a_way() {
    let (w, alice, bob) = with(&["a"]);
    give(&w, &alice, "/workspace/a/f", "can_write", "bob");
    unlink(&w, &bob, "/workspace/a/f").unwrap();
    w.assert_sound();
}

#[test]
fn a_boundary_ends_grants_from_above_but_not_the_owners() {
    let (mut w, alice, bob) = with(&["a", "a/b"]);
    let carol = make(&w, "carol");
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    give(&w, &alice, "/workspace/a", "owner", "carol");
    assert!(w.read(&bob, "/workspace/a/b/f").is_ok());
    w.engine()
        .restrict(&alice, ino(&w, "/workspace/a/b"), true)
        .unwrap();
    for _ in 0..2 {
        assert!(w.read(&bob, "/workspace/a/b/f").is_err());
        assert!(
            !list(&w, &bob, "/workspace/a")
                .unwrap()
                .contains(&"b".to_owned())
        );
        assert!(w.read(&carol, "/workspace/a/b/f").is_ok());
        w.crash();
    }
    w.engine()
        .restrict(&alice, ino(&w, "/workspace/a/b"), false)
        .unwrap();
    assert!(w.read(&bob, "/workspace/a/b/f").is_ok());
    w.assert_sound();
}

/// permissions.md §4: "unknown, error, missing table: refuse and say so"
#[test]
fn what_cannot_be_read_stops_the_start() {
    for sql in [
        "ALTER TABLE tuples RENAME COLUMN expires TO ends",
        "DROP TABLE tuples",
        "UPDATE xattrs SET value = x'7b' WHERE name = CAST('nexus.restricted' AS BLOB)",
    ] {
        let (mut w, alice, _) = with(&["a"]);
        give(&w, &alice, "/workspace/a", "can_read", "bob");
        w.engine()
            .restrict(&alice, ino(&w, "/workspace/a"), true)
            .unwrap();
        w.engine().settle().unwrap();
        w.engine = None;
        let config = Config::new(w.dir.path());
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        let mut tx = db.begin().unwrap();
        tx.execute(sql, &[]).unwrap();
        tx.commit().unwrap();
        assert!(Engine::new(config, db, Clock::System).is_err(), "{sql}");
    }
}
