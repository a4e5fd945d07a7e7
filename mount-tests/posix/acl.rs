//! Access control lists on a mount, read and written by the tools of the acl package.

use super::owners::{ANNA, BERT, as_user, village};
use crate::shell::sh;
use crate::world::World;
use std::fs;

#[test]
fn setfacl_and_getfacl_write_and_read_the_same_list() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "echo text > f; chmod 640 f; setfacl -m u:21001:rw,g:21002:r f",
    );
    let shown = sh(&dir, "getfacl --omit-header --numeric f");
    let expected =
        "user::rw-\nuser:21001:rw-\ngroup::r--\ngroup:21002:r--\nmask::rw-\nother::---\n";
    assert_eq!(shown.trim_end(), expected.trim_end());
    assert!(sh(&dir, "ls -l f").starts_with("-rw-rw----+"));
    let ours = world.nexus(&["getfacl", "/workspace/f"]).must();
    assert!(ours.contains("user:21001:rw-\ngroup:21002:r--"), "{ours}");
    sh(&dir, "chmod 640 f");
    assert!(sh(&dir, "getfacl f 2>/dev/null").contains("mask::r--"));
    sh(
        &dir,
        "getfacl f > list; setfacl -b f; setfacl --restore=list; rm list",
    );
    assert!(sh(&dir, "getfacl --numeric f").contains("user:21001:rw-"));
    sh(&dir, "setfacl -b f");
    assert!(sh(&dir, "ls -l f").starts_with("-rw-r----- "));
    world.restart();
    world.is_sound();
}

#[test]
fn a_directory_hands_its_default_list_on_whatever_the_umask() {
    let world = World::new();
    world.follow_posix();
    let dir = world.workspace();
    sh(
        &dir,
        "umask 077; mkdir d; setfacl -d -m u::rwx,u:21001:rwx,g::r-x,o::r-- d; echo x > d/f; mkdir d/sub; echo y > d/sub/g; mkdir plain",
    );
    let list = |name: &str| sh(&dir, &format!("getfacl --omit-header --numeric {name}"));
    let file = "user::rw-\nuser:21001:rwx\t#effective:rw-\ngroup::r-x\t#effective:r--\nmask::rw-\nother::r--";
    let squeezed = |text: String| text.trim_end().replace("\t\t", "\t").replace("\t\t", "\t");
    assert_eq!(squeezed(list("d/f")), file);
    assert!(list("d/sub").contains("default:user:21001:rwx"));
    assert_eq!(squeezed(list("d/sub/g")), file);
    assert!(sh(&dir, "stat -c %a plain").starts_with("700"));
    sh(&dir, "umask 077; setfacl -k d; echo z > d/h");
    assert!(sh(&dir, "stat -c %a d/h").starts_with("600"));
    world.is_sound();
}

#[test]
fn lists_decide_between_users() {
    let Some(world) = village() else { return };
    sh(&world.workspace(), "mkdir -m 777 lists");
    let dir = world.path("lists");
    as_user(ANNA, &dir, "echo secret > f; chmod 600 f").must();
    as_user(BERT, &dir, "cat f").must_fail();
    let why = |right| format!("getfattr --only-values -n user.nexus.why.{right} f");
    assert_eq!(as_user(BERT, &dir, &why("read")).must(), "refused: none");
    as_user(ANNA, &dir, &format!("setfacl -m u:{BERT}:r f")).must();
    assert_eq!(as_user(BERT, &dir, &why("read")).must(), "allowed: unix");
    assert_eq!(as_user(ANNA, &dir, &why("own")).must(), "allowed: unix");
    assert_eq!(as_user(BERT, &dir, "cat f").must(), "secret\n");
    as_user(BERT, &dir, "echo more >> f").must_fail();
    as_user(BERT, &dir, "setfacl -b f").must_fail();
    // A named user has what his entry says, not what others have.
    as_user(ANNA, &dir, &format!("chmod 644 f; setfacl -m u:{BERT}:- f")).must();
    as_user(BERT, &dir, "cat f").must_fail();
    as_user(ANNA, &dir, "setfacl -b f").must();
    as_user(BERT, &dir, "cat f").must();
}

#[test]
fn a_deny_beats_whatever_allows() {
    let Some(world) = village() else { return };
    sh(&world.workspace(), "mkdir -m 777 lists");
    let dir = world.path("lists");
    as_user(ANNA, &dir, "mkdir -m 755 d; echo open > d/f; chmod 666 d/f").must();
    as_user(BERT, &dir, "cat d/f").must();
    world
        .nexus(&["setfacl", "deny:user:bert:---", "/workspace/lists/d/f"])
        .must();
    as_user(BERT, &dir, "cat d/f").must_fail();
    as_user(BERT, &dir, "getfattr -n user.nexus.why.read d/f").must_fail();
    assert_eq!(as_user(BERT, &dir, "ls d").must(), "");
    as_user(ANNA, &dir, "cat d/f").must();
    world
        .nexus(&[
            "setfacl",
            "deny:user:bert:---",
            "/workspace/lists/d/f",
            "--remove",
        ])
        .must();
    as_user(BERT, &dir, "cat d/f").must();
    // What a directory's default list denies is denied in all that is below, also what was there before.
    world
        .nexus(&["setfacl", "default:deny:user:bert:-w-", "/workspace/lists"])
        .must();
    as_user(BERT, &dir, "cat d/f").must();
    as_user(BERT, &dir, "echo more >> d/f").must_fail();
    let said = world.nexus(&["getfacl", "/workspace/lists"]).must();
    assert!(said.ends_with("default:deny:user:bert:-w-\n"), "{said}");
    assert_eq!(fs::read_to_string(dir.join("d/f")).unwrap(), "open\n");
    world.is_sound();
}

/// Kernels forget what they know of a directory whose list changes, and not that somebody works in it.
#[test]
fn whoever_works_in_a_directory_stays_there_when_its_list_changes() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        "mkdir -p a/b; cd a/b; /bin/pwd; setfacl -m u:21001:rx . ..; setfacl -dm u:21001:rx ..; /bin/pwd; chmod 700 ..; /bin/pwd",
    );
    let place = world.path("a/b");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines, [place.to_str().unwrap(); 3]);
}
