//! Whom a list lets in, and that it is whole whatever reads it.

use super::owners::{ANNA, BERT, village};
use crate::shell::{Said, python, run, sh};
use crate::world::World;
use std::path::Path;
use std::process::Command;

/// Is neither of them and in none of their groups.
const CARA: u32 = 21_003;

/// Runs a command as somebody of a group, and of another perhaps.
fn as_member(uid: u32, gid: u32, other: Option<u32>, dir: &Path, words: &[&str]) -> Said {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
    match other {
        Some(gid) => command.args(["--groups", &gid.to_string()]),
        None => command.arg("--clear-groups"),
    };
    run(command.args(words).current_dir(dir))
}

/// After xfstests generic/099: the first entry that speaks of somebody decides, groups together, and the mask limits all but owner
/// and others.
#[test]
fn each_entry_of_a_list_lets_in_whom_it_is_about() {
    let Some(world) = village() else { return };
    world.ctl(&["user", "create", "cara", "--uid", &CARA.to_string()]);
    let dir = world.path("t");
    sh(&dir, "cp /bin/true f; chown 21001:21002 f");
    // The owner, of her own group; the group; by another group; somebody else.
    let who = [
        (ANNA, ANNA, None),
        (BERT, BERT, None),
        (BERT, CARA, Some(BERT)),
        (CARA, CARA, None),
    ];
    for (list, lets_in) in [
        ("u::rx,g::-,o::-", [true, false, false, false]),
        ("u::-,g::rx,o::-", [false, true, true, false]),
        ("u::-,g::-,o::rx", [false, false, false, true]),
        (
            "u::-,g::-,o::-,u:21002:rx,m::rwx",
            [false, true, true, false],
        ),
        (
            "u::-,g::-,o::-,g:21002:rx,m::rwx",
            [false, true, true, false],
        ),
        (
            "u::-,g::-,o::-,u:21003:rx,m::rwx",
            [false, false, false, true],
        ),
        ("u::-,g::-,o::-,g:21002:rx,m::w", [false; 4]),
        ("u::-,g::-,o::-,u:21002:rx,m::w", [false; 4]),
        ("u::-,g::rx,o::-,u:21003:rx,m::w", [false; 4]),
        (
            "u::-,g::-,o::-,u:21002:rx,m::rx",
            [false, true, true, false],
        ),
        // The owner is not looked for further down, nor is who is named.
        (
            "u::-,g::rwx,o::rwx,u:21001:rwx,m::rwx",
            [false, true, true, true],
        ),
        (
            "u::-,g::rwx,o::rwx,u:21002:-,m::rwx",
            [false, false, false, true],
        ),
        // Of groups any will do; who is in one has not what others have.
        (
            "u::-,g::-,o::-,g:21003:rx,m::rx",
            [false, false, true, true],
        ),
        ("u::-,g::-,o::rwx,m::rx,g:21003:-", [false; 4]),
    ] {
        sh(&dir, &format!("setfacl --set {list} f"));
        for ((uid, gid, other), may) in who.into_iter().zip(lets_in) {
            let said = as_member(uid, gid, other, &dir, &["./f"]);
            assert_eq!(said.ok(), may, "{list}: {uid}, {gid}, {other:?}: {said:?}");
        }
    }
    world.is_sound();
}

/// After xfstests generic/099: what the modes are told, the lists are, and nobody needs a right to read a list.
#[test]
fn lists_and_modes_are_told_of_each_other() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    let list = || sh(&dir, "getfacl --omit-header f | xargs");
    sh(
        &dir,
        "umask 022; touch f; chown 21001:21002 f; setfacl --set u::r,g::rwx,o::rw f",
    );
    assert_eq!(sh(&dir, "stat -c %a f").trim(), "476");
    sh(&dir, "chmod u+w f");
    assert_eq!(list().trim(), "user::rw- group::rwx other::rw-");
    sh(&dir, "setfacl --set u::-,g::-,o::- f");
    let told = as_member(BERT, BERT, None, &dir, &["getfacl", "--omit-header", "f"]);
    assert!(told.must().contains("other::---"));
    // A list that a directory hands on holds whatever the umask; without it, that holds.
    sh(
        &dir,
        "umask 0; mkdir d; setfacl --set u::rwx,g::rwx,o::rwx,d:u::r-x,d:g::r--,d:o::- d; touch d/f; umask 722; touch d/g; setfacl -k d; touch d/h",
    );
    let modes = sh(&dir, "stat -c %a d/f d/g d/h | xargs");
    assert_eq!(modes.trim(), "440 440 44");
    world.is_sound();
}

/// After xfstests generic/105: root needs no x in the list of a directory.
#[test]
fn root_goes_through_a_directory_whose_list_has_no_x() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    sh(
        &dir,
        "mkdir -m 600 d; chown 21001 d; echo > d/f; setfacl -m u:21001:r d; ls -l d/f; echo > d/g",
    );
    as_member(ANNA, ANNA, None, &dir, &["stat", "d/f"]).must_fail();
}

/// After xfstests generic/444.
#[test]
fn a_directory_with_a_list_hands_setgid_on_to_whoever_makes_one_in_it() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    sh(
        &dir,
        "mkdir d; setfacl -d -m u:21002:rwx d; chown 21001:21001 d; chmod 2755 d",
    );
    for (gid, name) in [(ANNA, "d/one"), (BERT, "d/two")] {
        as_member(ANNA, gid, None, &dir, &["mkdir", name]).must();
        let made = sh(&dir, &format!("stat -c '%A %g' {name}"));
        assert_eq!(made.trim(), "drwxrwsr-x 21001");
    }
}

/// After xfstests generic/529: no room is too small to say so.
#[test]
fn the_names_of_attributes_fit_the_room_or_are_refused() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "mkdir d; setfacl -m u:21001:rx,d:u:21001:rx d; setfattr -n user.note -v x d",
    );
    let script = r#"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
names = sorted(os.listxattr("d"))
assert names == ["system.posix_acl_access", "system.posix_acl_default", "user.note"], names
needed = sum(len(n) + 1 for n in names)
assert libc.listxattr(b"d", None, 0) == needed
for room in range(1, needed + 8):
    buffer = ctypes.create_string_buffer(b"\xaa" * 256, 256)
    got = libc.listxattr(b"d", buffer, room)
    if room < needed: assert (got, ctypes.get_errno()) == (-1, errno.ERANGE), (room, got)
    else: assert got == needed, (room, got)
    assert buffer.raw[max(room, 0):] == b"\xaa" * (256 - room), room
"#;
    python(&dir, script);
}

/// Defines `inside(words)`, which runs a command as the root of a user namespace, who is 21001 outside.
const INSIDE: &str = r#"
import ctypes, os
def inside(*words):
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        assert ctypes.CDLL(None).unshare(0x10000000) == 0
        os.write(ready[1], b"x"), os.read(go[0], 1)
        os.setgroups([]), os.setresgid(0, 0, 0), os.setresuid(0, 0, 0)
        os.execvp(words[0], words)
    os.read(ready[0], 1)
    for kind in ["uid", "gid"]:
        with open(f"/proc/{child}/{kind}_map", "w") as map: map.write("0 21001 1000")
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
"#;

/// After xfstests generic/318: a list has the numbers of whoever reads it.
#[test]
fn lists_are_written_and_read_in_user_namespaces() {
    let Some(world) = village() else { return };
    let dir = world.path("t");
    let inside = |words: &str| python(&dir, &format!("{INSIDE}inside({words})"));
    let squeezed = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    sh(
        &dir,
        "touch f; chown 21001:21001 f; setfacl -m u:21002:rw,g:21002:r f",
    );
    inside("'setfacl', '-m', 'u:0:rx,g:1:x', 'f'");
    for _ in 0..2 {
        assert_eq!(
            squeezed(sh(&dir, "getfacl --omit-header -n f")),
            "user::rw- user:21001:r-x user:21002:rw- group::r-- group:21002:--x mask::rwx other::r--"
        );
        assert_eq!(
            squeezed(inside("'getfacl', '--omit-header', '-n', 'f'")),
            "user::rw- user:0:r-x user:1:rw- group::r-- group:1:--x mask::rwx other::r--"
        );
        world.kill();
        world.restart();
    }
    world.is_sound();
}
