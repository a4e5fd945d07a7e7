//! Who may see the past: whom the present lets, and of what is gone, whom it let last.

use super::{head, names, then, world};
use crate::core::{Caller, Kind, Op};
use crate::fs::tests::permissions::{closed, give, ino, mkdir, rename, unlink};
use crate::fs::tests::principals::{boss, make};
use crate::fs::tests::{World, name, path};
use crate::fs::{Access, OpenFlags, SetAttr};

/// Alice's directory `/workspace/d` of mode 0755, with a file, and bob.
fn two() -> (World, Caller, Caller) {
    let w = world();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    mkdir(&w, &alice, "/workspace/d");
    w.write(&alice, "/workspace/d/f", b"text").unwrap();
    chmod(&w, &alice, "/workspace/d", 0o755);
    chmod(&w, &alice, "/workspace/d/f", 0o644);
    (w, alice, bob)
}

fn chmod(w: &World, who: &Caller, at: &str, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine().setattr(who, ino(w, at), &set, None).unwrap();
}

fn rmdir(w: &World, who: &Caller, at: &str) {
    let at = path(at);
    let (dir, name) = w.engine().resolve_parent(who, &at).unwrap();
    w.engine().rmdir(who, dir, name).unwrap();
}

/// Whether somebody reads a file as it was, by path; by a number that somebody else has looked up, he never reads more.
#[track_caller]
fn reads(w: &World, who: &Caller, op: Op, at: &str) -> bool {
    let at = then(op, at);
    let by_path = w.read(who, &at);
    let number = w.engine().resolve(&boss(), &path(&at)).unwrap().ino;
    let by_number = w.engine().open(who, number, OpenFlags::new(Access::Read));
    if by_path.is_ok() {
        by_number.unwrap();
        return true;
    }
    closed(by_path);
    closed(by_number);
    false
}

#[test]
fn what_is_revoked_is_revoked_in_the_past_at_the_next_call() {
    let (w, alice, bob) = two();
    chmod(&w, &alice, "/workspace/d", 0o700);
    let id = give(&w, &alice, "/workspace/d", "can_read", "bob");
    let op = head(&w);
    w.write(&alice, "/workspace/d/f", b"newer").unwrap();
    assert!(reads(&w, &bob, op, "/workspace/d/f"));
    let at = format!("/workspace/d/.at/op:{op}");
    assert_eq!(names(&w, &bob, &at).unwrap(), ["f"]);
    let dir = w.engine().resolve(&bob, &path(&at)).unwrap().ino;
    w.engine().revoke(&alice, id).unwrap();
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    closed(names(&w, &bob, &at));
    // By numbers that he has looked up before.
    closed(w.engine().lookup(&bob, dir, &name("f")));
    closed(w.engine().opendir(&bob, dir));
    assert!(reads(&w, &alice, op, "/workspace/d/f"));
}

#[test]
fn what_is_granted_today_is_granted_in_the_past() {
    let (w, alice, bob) = two();
    chmod(&w, &alice, "/workspace/d", 0o700);
    let op = head(&w);
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    give(&w, &alice, "/workspace/d/f", "can_read", "bob");
    assert!(reads(&w, &bob, op, "/workspace/d/f"));
    // He sees the way and nothing beside it, in the past as in the present.
    w.write(&alice, "/workspace/d/g", b"x").unwrap();
    let op = head(&w);
    assert_eq!(names(&w, &bob, &then(op, "/workspace/d")).unwrap(), ["f"]);
    closed(w.read(&bob, &then(op, "/workspace/d/g")));
}

#[test]
fn a_mode_that_was_narrowed_narrows_the_past() {
    let (w, alice, bob) = two();
    let op = head(&w);
    assert!(reads(&w, &bob, op, "/workspace/d/f"));
    chmod(&w, &alice, "/workspace/d/f", 0o600);
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    // Removing it afterwards does not open its past.
    unlink(&w, &alice, "/workspace/d/f").unwrap();
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    assert!(reads(&w, &alice, op, "/workspace/d/f"));
}

#[test]
fn what_is_gone_from_an_open_directory_is_read_by_whom_it_let() {
    let (w, alice, bob) = two();
    let op = head(&w);
    unlink(&w, &alice, "/workspace/d/f").unwrap();
    rmdir(&w, &alice, "/workspace/d");
    assert!(reads(&w, &bob, op, "/workspace/d/f"));
    assert_eq!(names(&w, &bob, &then(op, "/workspace/d")).unwrap(), ["f"]);
}

/// semantics.md §6: "what is gone is judged as it was last."
#[test]
fn a_secret_below_a_private_directory_stays_hidden_when_all_is_removed() {
    let (w, alice, bob) = two();
    mkdir(&w, &alice, "/workspace/d/private");
    mkdir(&w, &alice, "/workspace/d/private/deep");
    w.write(&alice, "/workspace/d/private/deep/secret", b"s")
        .unwrap();
    chmod(&w, &alice, "/workspace/d/private", 0o700);
    let op = head(&w);
    let secret = "/workspace/d/private/deep/secret";
    assert!(!reads(&w, &bob, op, secret));
    unlink(&w, &alice, secret).unwrap();
    assert!(!reads(&w, &bob, op, secret));
    rmdir(&w, &alice, "/workspace/d/private/deep");
    rmdir(&w, &alice, "/workspace/d/private");
    assert!(!reads(&w, &bob, op, secret));
    closed(names(&w, &bob, &then(op, "/workspace/d/private")));
    closed(names(&w, &bob, &then(op, "/workspace/d/private/deep")));
    unlink(&w, &alice, "/workspace/d/f").unwrap();
    rmdir(&w, &alice, "/workspace/d");
    assert!(!reads(&w, &bob, op, secret));
    assert!(reads(&w, &alice, op, secret));
}

#[test]
fn a_boundary_and_a_deny_hold_when_what_they_are_on_is_gone() {
    let (w, alice, bob) = two();
    let e = w.engine();
    chmod(&w, &alice, "/workspace/d", 0o700);
    give(&w, &alice, "/workspace/d", "can_read", "bob");
    for dir in ["bound", "denied"] {
        mkdir(&w, &alice, &format!("/workspace/d/{dir}"));
        chmod(&w, &alice, &format!("/workspace/d/{dir}"), 0o700);
        w.write(&alice, &format!("/workspace/d/{dir}/f"), b"s")
            .unwrap();
        chmod(&w, &alice, &format!("/workspace/d/{dir}/f"), 0o600);
    }
    let open = head(&w);
    assert!(reads(&w, &bob, open, "/workspace/d/bound/f"));
    e.restrict(&alice, ino(&w, "/workspace/d/bound"), true)
        .unwrap();
    let deny = crate::access::acl::AclEntry {
        who: crate::access::acl::AclWho::User(bob.uid),
        deny: true,
        rights: 0,
    };
    for of in [crate::fs::AclOf::Itself, crate::fs::AclOf::Below] {
        let at = ino(&w, "/workspace/d/denied");
        e.set_acl_entry(&alice, at, of, deny).unwrap();
    }
    for dir in ["bound", "denied"] {
        let (dir, file) = (
            format!("/workspace/d/{dir}"),
            format!("/workspace/d/{dir}/f"),
        );
        assert!(!reads(&w, &bob, open, &file), "{file}");
        unlink(&w, &alice, &file).unwrap();
        assert!(!reads(&w, &bob, open, &file), "{file}");
        rmdir(&w, &alice, &dir);
        assert!(!reads(&w, &bob, open, &file), "{file}");
        assert!(reads(&w, &alice, open, &file), "{file}");
    }
}

#[test]
fn a_grant_above_reaches_what_is_gone_and_a_grant_on_it_went_with_it() {
    let (w, alice, bob) = two();
    chmod(&w, &alice, "/workspace/d", 0o700);
    mkdir(&w, &alice, "/workspace/d/sub");
    w.write(&alice, "/workspace/d/sub/g", b"x").unwrap();
    give(&w, &alice, "/workspace/d/sub", "can_read", "bob");
    let op = head(&w);
    assert!(reads(&w, &bob, op, "/workspace/d/sub/g"));
    unlink(&w, &alice, "/workspace/d/sub/g").unwrap();
    assert!(reads(&w, &bob, op, "/workspace/d/sub/g"));
    rmdir(&w, &alice, "/workspace/d/sub");
    assert!(!reads(&w, &bob, op, "/workspace/d/sub/g"));
    give(&w, &alice, "/workspace/d", "can_read", "bob");
    assert!(reads(&w, &bob, op, "/workspace/d/sub/g"));
}

#[test]
fn what_moved_out_of_a_granted_directory_is_judged_where_it_is() {
    let (w, alice, bob) = two();
    chmod(&w, &alice, "/workspace/d", 0o700);
    give(&w, &alice, "/workspace/d", "can_read", "bob");
    mkdir(&w, &alice, "/workspace/mine");
    chmod(&w, &alice, "/workspace/mine", 0o700);
    w.write(&alice, "/workspace/d/stays", b"x").unwrap();
    let op = head(&w);
    assert!(reads(&w, &bob, op, "/workspace/d/f"));
    rename(&w, &alice, "/workspace/d/f", "/workspace/mine/f").unwrap();
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    assert_eq!(
        names(&w, &bob, &then(op, "/workspace/d")).unwrap(),
        ["stays"]
    );
    // Nor when it is removed there, or its directory is.
    unlink(&w, &alice, "/workspace/mine/f").unwrap();
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    rmdir(&w, &alice, "/workspace/mine");
    assert!(!reads(&w, &bob, op, "/workspace/d/f"));
    assert_eq!(
        names(&w, &bob, &then(op, "/workspace/d")).unwrap(),
        ["stays"]
    );
    assert!(reads(&w, &alice, op, "/workspace/d/f"));
}

#[test]
fn what_came_from_a_private_directory_is_found_where_it_was_by_nobody_else() {
    let (w, alice, bob) = two();
    mkdir(&w, &alice, "/workspace/mine");
    chmod(&w, &alice, "/workspace/mine", 0o700);
    w.write(&alice, "/workspace/mine/f", b"x").unwrap();
    chmod(&w, &alice, "/workspace/mine/f", 0o644);
    let op = head(&w);
    rename(&w, &alice, "/workspace/mine/f", "/workspace/d/g").unwrap();
    assert!(w.read(&bob, "/workspace/d/g").is_ok());
    closed(w.read(&bob, &then(op, "/workspace/mine/f")));
}

#[test]
fn namespaces_that_are_not_for_somebody_were_not_for_him() {
    let (w, alice, _) = two();
    let op = head(&w);
    let told = names(&w, &alice, &then(op, "/")).unwrap();
    assert!(told.contains(&"workspace".to_owned()) && !told.contains(&"system".to_owned()));
    let system = w.engine().resolve(&alice, &path(&then(op, "/system")));
    assert_eq!(system.unwrap_err().kind(), Kind::NotFound);
    assert!(
        names(&w, &boss(), &then(op, "/"))
            .unwrap()
            .contains(&"system".to_owned())
    );
}
