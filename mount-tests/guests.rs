//! Who works on a mount of several users and is no administrator: what he may ask the daemon, and how he finds it.

use crate::shell::{Said, run, sh};
use crate::world::{NEXUS, NEXUSCTL, World, detach, needs_root};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

pub(crate) const ALICE: u32 = 2001;
pub(crate) const BOB: u32 = 2002;
/// Has no user in the store.
const STRANGER: u32 = 2003;

/// A multi-user mount and two users, who know where it is mounted and nothing else.
pub(crate) fn town() -> Option<World> {
    if !needs_root() {
        return None;
    }
    let world = World::with(&["--identity", "os", "--allow-other"]);
    for (name, uid) in [("alice", ALICE), ("bob", BOB)] {
        world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
    }
    for program in [NEXUS, NEXUSCTL] {
        world.install(program);
    }
    fs::set_permissions(world.workspace(), Permissions::from_mode(0o1777)).unwrap();
    Some(world)
}

/// A script of somebody, in a directory.
fn in_dir(world: &World, uid: u32, dir: &Path, text: &str) -> Command {
    let mut command = Command::new("setpriv");
    let id = uid.to_string();
    let text = format!("PATH={}:$PATH; {text}", world.host("bin").display());
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command
        .args(["bash", "-ec", &text])
        .current_dir(dir)
        .env("HOME", "/nonexistent")
        .env_remove("NEXUS_DATA_DIR")
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null());
    command
}

pub(crate) fn said(world: &World, uid: u32, text: &str) -> Said {
    run(&mut in_dir(world, uid, &world.workspace(), text))
}

fn runtime(world: &World) -> PathBuf {
    fs::read_link(world.data().join("runtime")).unwrap()
}

#[test]
fn an_owner_who_is_no_administrator_reads_the_log_undoes_restores_and_shares() {
    let Some(world) = town() else { return };
    let alice = |text: &str| said(&world, ALICE, text);
    alice("umask 077; nexus write plan one; nexus write plan two").must();
    let log = alice("nexus log plan").must();
    assert!(log.contains("create") && log.contains("alice"), "{log}");
    assert!(alice("nexus versions plan").must().lines().count() > 2);
    alice("nexus undo --last --yes").must();
    assert_eq!(alice("cat plan").must(), "one");
    alice("nexus restore plan --version 2; test $(cat plan) = two").must();
    // Bob sees nothing of it until she says so, which she may and he may not.
    let bob = |text: &str| said(&world, BOB, text);
    bob("cat plan").must_fail();
    bob("nexus cat plan").must_fail();
    bob("nexus rebac grant user bob file plan --relation can_read").must_fail();
    bob("nexus undo --user alice --yes").must_fail();
    alice("nexus rebac grant user bob file plan --relation can_read").must();
    assert_eq!(bob("cat plan; nexus cat plan").must(), "twotwo");
    alice("nexus why bob read plan").must();
    alice("nexus rebac revoke user bob file plan --relation can_read").must();
    bob("cat plan").must_fail();
    // From elsewhere a path below the mount says which store is meant.
    let (elsewhere, plan) = (Path::new("/"), world.path("plan"));
    let cat = format!("nexus cat {}", plan.display());
    assert_eq!(
        run(&mut in_dir(&world, ALICE, elsewhere, &cat)).must(),
        "two"
    );
    world.is_sound();
}

#[test]
fn a_kernel_keeps_no_set_id_bits_that_a_write_took() {
    let Some(world) = town() else { return };
    let bob = |text: &str| said(&world, BOB, text).must();
    for write in [
        "os.pwrite(f, b\"x\", 0)",
        "os.posix_fallocate(f, 0, 1 << 20)",
        "os.copy_file_range(os.open(\"other\", 0), f, 3)",
    ] {
        sh(
            &world.workspace(),
            "echo tool > tool; chmod 4777 tool; stat tool; echo more > other; chmod 644 other",
        );
        assert_eq!(bob("stat -c %a tool"), "4777\n");
        bob(&format!(
            "python3 -c 'import os; f = os.open(\"tool\", os.O_RDWR); {write}'"
        ));
        assert_eq!(bob("stat -c %a tool"), "777\n", "{write}");
        fs::remove_file(world.path("tool")).unwrap();
    }
}

/// No kernel says for whom it writes a page of a memory map back.
#[test]
fn what_is_written_through_a_memory_map_has_the_name_of_who_did_it() {
    let Some(world) = town() else { return };
    let mapped = r#"
import mmap, os
with open("mapped", "r+b") as f, mmap.mmap(f.fileno(), 3) as m:
    m[:] = b"two"
"#;
    let bob = |text: &str| said(&world, BOB, text).must();
    bob(&format!("echo -n one > mapped; python3 -c '{mapped}'"));
    assert_eq!(bob("cat mapped"), "two");
    let logged = bob("nexus log mapped --json");
    let written: Vec<Value> = logged
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = written.last().unwrap();
    let told = [&last["user"], &last["uid"], &last["command"]].map(ToString::to_string);
    let [user, uid, command] = told.each_ref().map(String::as_str);
    assert_eq!((user, uid), ("\"bob\"", "2002"), "{last}");
    assert!(command.contains("python3"), "{last}");
    bob("nexus undo --last --yes");
    assert_eq!(bob("cat mapped"), "one");
}

#[test]
fn who_is_nobody_here_learns_nothing_and_who_is_no_administrator_commands_nothing() {
    let Some(world) = town() else { return };
    said(&world, ALICE, "umask 077; echo one > plan").must();
    let stranger = |text: &str| {
        let text = format!("S=--socket={}; {text}", world.socket().display());
        run(&mut in_dir(&world, STRANGER, Path::new("/"), &text)).must_fail()
    };
    let told = stranger("nexus $S log");
    assert!(told.contains("is no user here"), "{told}");
    stranger("nexus $S cat /workspace/plan");
    stranger("nexus $S ls /workspace");
    stranger("nexus $S --tenant default log");
    for command in ["status", "umount .", "mount /"] {
        stranger(&format!("nexus $S {command}"));
        said(&world, ALICE, &format!("nexus {command}")).must_fail();
    }
    assert_eq!(world.mounts(), 1);
    // Nothing of the store itself has been opened to anybody.
    for path in [world.data().to_owned(), world.data().join("control.sock")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_crowd_on_the_socket_leaves_room_for_everybody_else() {
    let Some(world) = town() else { return };
    let hold = "import os, socket, sys, time\nos.setuid(int(sys.argv[2]))\nheld = []\n\
                for _ in range(300):\n  s = socket.socket(socket.AF_UNIX); s.settimeout(240); s.connect(sys.argv[1]); held.append(s)\n\
                closed = [s for s in held[64:] if s.recv(1) == b'']\nprint(len(closed), flush=True)\nsys.stdin.read()";
    let mut crowd = Command::new("python3");
    crowd.args(["-c", hold]).arg(world.socket());
    crowd.arg(STRANGER.to_string());
    crowd.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut crowd = crowd.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(crowd.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line.trim(), (300 - 64).to_string());
    said(&world, ALICE, "nexus log").must();
    world.nexus(&["log"]).must();
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
}

#[test]
fn the_socket_for_others_is_there_while_a_mount_for_others_is() {
    let Some(world) = town() else { return };
    let first = runtime(&world);
    let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&first), 0o711);
    // A daemon that was killed leaves nothing behind that the next one does not clear.
    world.kill();
    world.restart();
    let second = runtime(&world);
    assert!(!first.exists() && second.exists());
    said(&world, ALICE, "nexus log").must();
    let other = world.host("mine");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    world
        .nexus(&["umount", world.root().to_str().unwrap()])
        .must();
    assert_eq!(mode(&second), 0o700, "nobody else works here any more");
    UnixStream::connect(second.join("control.sock")).unwrap();
    world.shutdown();
    assert!(!second.exists() && fs::read_link(world.data().join("runtime")).is_err());
}

#[test]
fn what_a_killed_daemon_left_is_swept_by_the_next_of_the_same_user() {
    let Some(world) = town() else { return };
    let (left, link) = (runtime(&world), world.data().join("runtime"));
    let lives = town().unwrap();
    world.kill();
    // Nothing tells of it any more.
    fs::remove_file(link).unwrap();
    let next = town().unwrap();
    assert!(!left.exists());
    for world in [lives, next] {
        UnixStream::connect(runtime(&world).join("control.sock")).unwrap();
    }
}

#[test]
fn a_copy_of_a_data_directory_is_no_danger_to_the_daemon_of_the_first() {
    let Some(world) = town() else { return };
    let copy = world.host("copy");
    symlink(runtime(&world), copy.join("runtime")).unwrap();
    let other = World::at(copy);
    other.start();
    UnixStream::connect(runtime(&world).join("control.sock")).unwrap();
}

#[test]
fn who_may_not_enter_is_told_what_would_let_him() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    world.install(NEXUS);
    assert!(fs::read_link(world.data().join("runtime")).is_err());
    let shared = world.host("shared");
    let mount = ["mount", shared.to_str().unwrap(), "--allow-other"];
    world.nexus(&mount).must();
    let told = run(&mut in_dir(&world, ALICE, &shared, "nexus log")).must_fail();
    assert!(told.contains("--identity os"), "{told}");
    let told = format!("NEXUS_DATA_DIR={} nexus log", world.data().display());
    let told = run(&mut in_dir(&world, ALICE, Path::new("/"), &told)).must_fail();
    assert!(told.contains("below a mount"), "{told}");
    assert!(told.contains(shared.to_str().unwrap()), "{told}");
}

/// What is asked below a mount is asked of its store, and a wrong path of none makes none.
#[test]
fn a_store_is_found_by_the_mount_and_made_by_no_question() {
    let world = World::new();
    fs::write(world.path("n.txt"), "here").unwrap();
    let home = world.host("home");
    let ask = |dir: &Path, words: &[&str]| {
        let mut command = world.command(words);
        command.current_dir(dir).env("HOME", &home);
        run(command.env_remove("NEXUS_DATA_DIR"))
    };
    let below = world.workspace();
    assert_eq!(ask(&below, &["cat", "n.txt"]).must(), "here");
    assert!(ask(&below, &["log"]).must().contains("n.txt"));
    ask(&below, &["undo", "--last", "--yes"]).must();
    let n = world.path("n.txt");
    ask(Path::new("/"), &["log", n.to_str().unwrap()]).must();
    for words in [
        &["log"][..],
        &["why", "alice", "read", "/workspace/n.txt"],
        &["undo", "--last", "--yes"],
        &["write", "/workspace/x", "y"],
        &["--data-dir", home.join("typo").to_str().unwrap(), "ls", "/"],
    ] {
        let told = ask(Path::new("/"), words);
        assert_eq!(told.status.code(), Some(2), "{words:?}: {told:?}");
        assert!(told.err.contains("no store at"), "{told:?}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    ask(Path::new("/"), &["init"]).must();
    ask(Path::new("/"), &["write", "/workspace/x", "y"]).must();
    assert_eq!(ask(Path::new("/"), &["cat", "/workspace/x"]).must(), "y");
}

/// On the mount of a tenant that tenant is meant.
#[test]
fn a_mount_says_which_tenant_is_meant() {
    let world = World::new();
    let acme = world.host("acme");
    world.ctl(&["tenant", "create", "acme"]);
    world
        .nexus(&["mount", acme.to_str().unwrap(), "--tenant", "acme"])
        .must();
    fs::write(acme.join("workspace/theirs"), "acme").unwrap();
    let mut command = world.command(&["cat", "theirs"]);
    command.current_dir(acme.join("workspace"));
    assert_eq!(run(command.env_remove("NEXUS_DATA_DIR")).must(), "acme");
    let mut command = world.command(&["--json", "--tenant", "default", "log"]);
    command.current_dir(acme.join("workspace"));
    let told = run(command.env_remove("NEXUS_DATA_DIR")).must();
    let first: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(first["tenant"], "default");
    detach(&acme);
}

/// Whoever has agents starts them, on the mount that everybody works on; nobody starts those of others, but administrators.
#[test]
fn an_owner_of_agents_who_is_no_administrator_runs_them() {
    let Some(world) = town() else { return };
    said(
        &world,
        ALICE,
        "umask 077; mkdir src; echo no > secret; nexusctl agent create coder --isolated",
    )
    .must();
    said(
        &world,
        ALICE,
        "nexus rebac grant agent coder file src --relation can_write",
    )
    .must();
    let work = "nexus run --agent coder -- sh -c 'cd src; echo made > it; cat ../secret'";
    let told = said(&world, ALICE, work).must_fail();
    assert!(told.contains("../secret"), "{told}");
    assert_eq!(said(&world, ALICE, "cat src/it").must(), "made\n");
    let log = world.log(&["--agent", "coder"]);
    let made = log
        .iter()
        .find(|r| r["path"] == "/workspace/src/it")
        .unwrap();
    assert_eq!(
        (&made["user"], &made["uid"]),
        (&"alice".into(), &ALICE.into())
    );
    let refused = said(&world, BOB, "nexus run --agent coder -- true").must_fail();
    assert!(refused.contains("another user"), "{refused}");
    // An administrator does so for her.
    let script = "cd src; echo too > it";
    let mut root = world.command(&["run", "--agent", "coder", "--", "sh", "-c", script]);
    run(root.current_dir(world.workspace())).must();
    assert_eq!(said(&world, ALICE, "cat src/it").must(), "too\n");
    assert_eq!(world.mounts(), 1);
    let stranger = format!(
        "nexus --socket={} run --session s -- true",
        world.socket().display()
    );
    run(&mut in_dir(&world, STRANGER, Path::new("/"), &stranger)).must_fail();
    world.is_sound();
}

/// What is lent to one is closed to everybody else, though they may search the directory that it is in.
#[test]
fn a_mount_that_is_lent_is_for_whoever_asked_for_it() {
    let Some(world) = town() else { return };
    said(&world, ALICE, "umask 077; echo hers > secret").must();
    let mut hers = in_dir(
        &world,
        ALICE,
        &world.workspace(),
        "nexus run --session s -- sh -c 'echo ready; read go'",
    );
    let mut hers = hers
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(hers.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let lent = runtime(&world).join("run-1/mount");
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounted
        .lines()
        .find(|l| l.contains(lent.to_str().unwrap()))
        .unwrap();
    assert!(line.contains("nosuid") && line.contains("nodev"), "{line}");
    let look = format!("cat {}/workspace/secret", lent.display());
    assert_eq!(
        run(&mut in_dir(&world, ALICE, Path::new("/"), &look)).must(),
        "hers\n"
    );
    run(&mut in_dir(&world, BOB, Path::new("/"), &look)).must_fail();
    let take = format!(
        "curl -sS --unix-socket {} -d '{{\"dir\":\"{}\",\"lazy\":true}}' http://nexus/daemon/umount",
        world.socket().display(),
        lent.display()
    );
    let told = run(&mut in_dir(&world, BOB, Path::new("/"), &take)).must();
    assert!(told.contains("only the owner"), "{told}");
    assert_eq!(world.mounts(), 2);
    drop(hers.stdin.take());
    hers.wait().unwrap();
    assert_eq!(world.mounts(), 1);
}

#[test]
fn who_is_nobody_any_more_follows_nothing() {
    let Some(world) = town() else { return };
    let text = "exec timeout 60 nexus watch --json 2>&1";
    let mut watch = in_dir(&world, ALICE, &world.workspace(), text);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // When it has begun to follow is not known from outside.
    let mut first = || lines.next().unwrap().unwrap();
    let line = thread::scope(|s| {
        let first = s.spawn(&mut first);
        while !first.is_finished() {
            said(&world, BOB, "date +%N > told").must();
        }
        first.join().unwrap()
    });
    assert!(line.contains("/workspace/told"), "{line}");
    world.ctl(&["user", "delete", "alice"]);
    said(&world, BOB, "echo secret > untold").must();
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let ended = watch.wait().unwrap().code();
    assert!(ended != Some(0) && ended != Some(124), "{ended:?} {rest:?}");
    assert!(rest.iter().all(|l| !l.contains("untold")), "{rest:?}");
}
