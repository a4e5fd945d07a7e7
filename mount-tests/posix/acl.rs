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
    assert_eq!(as_user(BERT, &dir, &why("read")).must(), "allowed: acl");
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

/// A list that a directory begins to hand on has what its owning group has, and not the mask: else files that are made there are open
/// to the group.
#[test]
fn what_a_directory_hands_on_begins_with_the_same_words_by_either_tool() {
    let Some(world) = village() else { return };
    let dir = world.workspace();
    let mut said = Vec::new();
    for (name, own, below) in [
        ("x", "setfacl -m u:21002:rwx x", "setfacl -dm u:21002:rwx x"),
        (
            "y",
            "nexus setfacl user:bert:rwx /workspace/y",
            "nexus setfacl default:user:bert:rwx /workspace/y",
        ),
    ] {
        sh(&dir, &format!("mkdir -m 750 {name}"));
        for line in [own, below] {
            let words: Vec<_> = line.split(' ').collect();
            match words.split_first() {
                Some((&"nexus", args)) => drop(world.nexus(args).must()),
                _ => drop(sh(&dir, line)),
            }
        }
        sh(&dir, &format!("echo hi > {name}/f"));
        let lists = sh(&dir, &format!("getfacl -cn {name} {name}/f"));
        assert!(lists.contains("default:group::r-x\n"), "{lists}");
        said.push(lists);
    }
    assert_eq!(said[0], said[1]);
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

/// A list in the kernel's form, for setfattr(1): tag, permissions, number.
fn list(entries: &[(u16, u16, u32)]) -> String {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    let hex: Vec<_> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("0x{}", hex.concat())
}

const OWNER: (u16, u16, u32) = (1, 6, u32::MAX);
const GROUP: (u16, u16, u32) = (4, 4, u32::MAX);
const MASK: (u16, u16, u32) = (16, 7, u32::MAX);
const OTHER: (u16, u16, u32) = (32, 0, u32::MAX);

/// After xfstests shared/051: what acl_valid(3) refuses is refused, and changes nothing.
#[test]
fn lists_that_make_no_sense_are_refused() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "touch f; chmod 640 f");
    let ann = (2, 4, 21_001);
    for (what, entries) in [
        ("no owner", vec![GROUP, OTHER]),
        ("no group", vec![OWNER, OTHER]),
        ("no others", vec![OWNER, GROUP]),
        ("no mask", vec![OWNER, ann, GROUP, OTHER]),
        ("one user twice", vec![OWNER, ann, ann, GROUP, MASK, OTHER]),
        (
            "an unknown tag",
            vec![OWNER, GROUP, (64, 4, u32::MAX), OTHER],
        ),
        ("an unknown right", vec![(1, 8, u32::MAX), GROUP, OTHER]),
    ] {
        let value = list(&entries);
        let set =
            format!("! setfattr -n system.posix_acl_access -v {value} f 2>err; cat err; rm err");
        let refused = sh(&dir, &set);
        assert!(refused.contains("Invalid argument"), "{what}: {refused}");
        let left = sh(&dir, "stat -c %a f");
        assert_eq!(left.trim(), "640", "{what}");
    }
    let whole = list(&[OWNER, ann, GROUP, MASK, OTHER]);
    sh(
        &dir,
        &format!("setfattr -n system.posix_acl_access -v {whole} f"),
    );
    assert!(sh(&dir, "getfacl --numeric f").contains("user:21001:r--"));
    world.is_sound();
}

/// After xfstests generic/026: a list that is too long is refused whole.
#[test]
fn a_list_has_its_most_entries() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "touch f; chmod 640 f");
    let most = |users: u32| {
        let named = (0..users).map(|n| (2, 4, 30_000 + n));
        let all: Vec<_> = [OWNER].into_iter().chain(named).collect();
        list(&[&*all, &[GROUP, MASK, OTHER]].concat())
    };
    let set = |users| format!("setfattr -n system.posix_acl_access -v {} f", most(users));
    // The kernel hands a FUSE server a page of it at most; the engine takes 1024 entries.
    sh(&dir, &set(400));
    let count = "getfacl --numeric f | grep -c ^user:3";
    assert_eq!(sh(&dir, count).trim(), "400");
    sh(&dir, &format!("! {} 2>/dev/null", set(600)));
    assert_eq!(sh(&dir, count).trim(), "400");
    world.is_sound();
}

/// After xfstests generic/099, 237, 307 and 319.
#[test]
fn lists_are_set_by_owners_change_the_ctime_and_are_not_of_links() {
    let Some(world) = village() else { return };
    sh(&world.workspace(), "mkdir -m 777 lists");
    let dir = world.path("lists");
    as_user(ANNA, &dir, "echo hers > f; mkdir d; ln -s f link").must();
    let refused = as_user(BERT, &dir, &format!("setfacl -m u:{BERT}:rwx f")).must_fail();
    assert!(refused.contains("not permitted"), "{refused}");
    let ctime = || as_user(ANNA, &dir, "stat -c %z f").must();
    let before = ctime();
    as_user(ANNA, &dir, &format!("setfacl -m u:{BERT}:r f")).must();
    let set = ctime();
    assert_ne!(before, set);
    as_user(ANNA, &dir, "setfacl -b f").must();
    assert_ne!(set, ctime());
    // A link has none; through it the file gets one.
    let value = list(&[OWNER, GROUP, OTHER]);
    let on_link = format!("setfattr -h -n system.posix_acl_access -v {value} link");
    as_user(ANNA, &dir, &on_link).must_fail();
    as_user(ANNA, &dir, &format!("setfacl -m u:{BERT}:r link")).must();
    assert!(
        as_user(ANNA, &dir, "getfacl --numeric f")
            .must()
            .contains("user:21002:r--")
    );
    // Only directories hand lists on.
    as_user(ANNA, &dir, &format!("setfacl -d -m u:{BERT}:r f")).must_fail();
    // What is made in one gets its list, and a directory hands it on itself.
    as_user(
        ANNA,
        &dir,
        &format!("setfacl -d -m u:{BERT}:rwx d; mkdir d/sub"),
    )
    .must();
    let got = as_user(ANNA, &dir, "getfacl --numeric d/sub").must();
    for entry in ["\nuser:21002:rwx", "default:user:21002:rwx"] {
        assert!(got.contains(entry), "{entry}: {got}");
    }
    world.is_sound();
}

/// After xfstests generic/314 and 375.
#[test]
fn setgid_is_handed_on_with_lists_and_lost_to_strangers_of_the_group() {
    let Some(world) = village() else { return };
    sh(&world.workspace(), "mkdir -m 2777 lists; chgrp 4711 lists");
    sh(&world.workspace(), "setfacl -d -m u:21002:rwx lists");
    let dir = world.path("lists");
    as_user(ANNA, &dir, "mkdir sub").must();
    let made = as_user(ANNA, &dir, "stat -c '%g %A' sub").must();
    assert!(made.starts_with("4711 d") && made.contains('s'), "{made}");
    let file = "echo x > f; chmod 755 f; stat -c %a f";
    as_user(ANNA, &dir, file).must();
    sh(&dir, "chgrp 4711 f; chmod 2755 f");
    as_user(ANNA, &dir, "setfacl -m u:21002:rx f").must();
    let left = as_user(ANNA, &dir, "stat -c %a f").must();
    assert_eq!(left.trim(), "775", "she is not in the group");
    // Who is root may leave it.
    sh(&dir, "chmod 2755 f; setfacl -m u:21002:r f");
    assert!(sh(&dir, "stat -c %a f").starts_with('2'));
    world.is_sound();
}
