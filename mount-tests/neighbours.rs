//! Users of one mount and files of each other's: what is linked, held open, filled with names, and told of who is in which group.

use crate::guests::{ALICE, BOB, said, town};
use crate::shell::Said;
use crate::world::World;
use std::process::{Command, Stdio};

/// A process that starts as root and becomes somebody: `become(uid)`.
const BECOMES: &str = r"
import os, subprocess, sys
def become(uid):
    os.setgroups([]), os.setresgid(uid, uid, 0), os.setresuid(uid, uid, 0)
def again_root():
    os.setresuid(0, 0, 0), os.setresgid(0, 0, 0)
def tried(f):
    try: return f()
    except OSError as e: return os.strerror(e.errno)
os.chdir(sys.argv[1])
";

fn python(world: &World, text: &str) -> Said {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", &format!("{BECOMES}{text}")]);
    command.arg(world.workspace()).stdin(Stdio::null());
    world.furnish(&mut command);
    crate::shell::run(command.env("NEXUSCTL", world.host("bin").join("nexusctl")))
}

/// A kernel asks of a file on a mount no more than for set-id bits before it makes a link (fs.protected_hardlinks).
#[test]
fn a_link_to_a_file_of_somebody_else_takes_reading_and_writing_it() {
    let Some(world) = town() else { return };
    said(
        &world,
        ALICE,
        "umask 077; for f in closed shown setid open; do echo hers > $f; done; chmod 644 shown; chmod 4777 setid; chmod 666 open
         for f in granted readable; do echo hers > $f; done
         nexus rebac grant user bob file granted --relation can_write
         nexus rebac grant user bob file readable --relation can_read",
    )
    .must();
    for refused in ["closed", "shown", "setid", "readable"] {
        let told = said(&world, BOB, &format!("ln {refused} {refused}.l")).must_fail();
        assert!(
            told.contains("Operation not permitted"),
            "{refused}: {told}"
        );
        assert!(!world.path(format!("{refused}.l")).exists());
    }
    for linked in ["open", "granted"] {
        said(&world, BOB, &format!("ln {linked} {linked}.l")).must();
    }
    // What is her own she links as she likes.
    said(&world, ALICE, "ln closed closed.h; ln setid setid.h").must();
    world.is_sound();
}

/// semantics.md §2: "A user, agent or group that is deleted takes its keys and memberships along, and is nobody from the next system call on"
#[test]
fn what_a_deleted_user_has_open_on_a_mount_is_closed_to_him() {
    let Some(world) = town() else { return };
    let text = r#"
become(2002)
with open("his", "w") as f: f.write("before")
fd = os.open("his", os.O_RDWR)
assert os.pread(fd, 6, 0) == b"before"
again_root()
subprocess.run([os.environ["NEXUSCTL"], "user", "delete", "bob"], check=True, stdout=subprocess.DEVNULL)
become(2002)
print(tried(lambda: os.pread(fd, 6, 0)))
print(tried(lambda: os.pwrite(fd, b"after", 0)))
print(tried(lambda: os.close(fd)))
"#;
    let told = python(&world, text).must();
    assert_eq!(told, "Permission denied\nPermission denied\nNone\n");
    let his = std::fs::read_to_string(world.path("his")).unwrap();
    assert_eq!(his, "before");
    world.is_sound();
}

/// As a service does that opens its log and gives up its rights, and a shell that redirects.
#[test]
fn who_is_no_user_writes_through_what_a_user_opened_for_him() {
    let Some(world) = town() else { return };
    let text = r#"
become(2001)
fd = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
again_root()
become(2003)
print(os.write(fd, b"said"), tried(lambda: os.close(fd)))
print(tried(lambda: os.open("log", os.O_WRONLY)))
"#;
    let told = python(&world, text).must();
    assert!(told.starts_with("4 None\n"), "{told}");
    assert_eq!(said(&world, ALICE, "cat log").must(), "said");
    let made = world.log(&["--kind", "create,write"]);
    assert!(
        made.iter().all(|record| record["user"] == "alice"),
        "{made:?}"
    );
    world.is_sound();
}

/// What nobody can list nobody can copy (listxattr(2), E2BIG).
#[test]
fn a_file_with_as_many_attributes_as_it_takes_is_listed_and_copied() {
    let Some(world) = town() else { return };
    let text = r#"
open("full", "w").close()
n = 0
def fill():
    global n
    while True:
        os.setxattr("full", f"user.{n:0240}", b"")
        n += 1
print(tried(fill), len(os.listxattr("full")) == n > 200)
"#;
    assert_eq!(
        python(&world, text).must(),
        "No space left on device True\n"
    );
    // A list has a name, too, and finds room.
    let listed = ["setfacl", "user:alice:r--", "/workspace/full"];
    world.nexus(&listed).must();
    let copied = r#"
subprocess.run(["cp", "-a", "full", "copy"], check=True)
print(len(os.listxattr("copy")) - len(os.listxattr("full")), "system.posix_acl_access" in os.listxattr("full"))
"#;
    assert_eq!(
        python(&world, copied).must(),
        "0 True
"
    );
}

/// The log and `rebac changes` tell of the same.
#[test]
fn who_was_in_a_group_is_told_to_whom_it_concerns_on_a_mount() {
    let Some(world) = town() else { return };
    for words in [
        "group create secret",
        "agent create coder --owner alice",
        "group add secret alice",
        "group add secret agent:coder",
        "group remove secret alice",
    ] {
        world.ctl(&words.split(' ').collect::<Vec<_>>());
    }
    for ask in ["nexus rebac changes", "nexus log", "nexus log --json"] {
        let (his, hers) = (
            said(&world, BOB, ask).must(),
            said(&world, ALICE, ask).must(),
        );
        assert!(!his.contains("secret"), "{ask}: {his}");
        assert!(hers.contains("secret"), "{ask}: {hers}");
    }
    let show = "nexusctl group show secret";
    assert!(!said(&world, BOB, show).must().contains("coder"));
    assert!(said(&world, ALICE, show).must().contains("agent:coder"));
    let listed = world.nexus(&["admin", "list-groups"]).must();
    assert_eq!(listed, "Groups:\n  - secret\n");
    world.nexus(&["admin", "delete-user", "bob"]).must();
    assert!(!world.nexus(&["admin", "list-users"]).must().contains("bob"));
}
