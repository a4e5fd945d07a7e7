//! Somebody lists a directory into memory that never comes: the kernel forgets no name in it until he has ended.

use super::{ANNA, BERT, as_user, setpriv, village};
use crate::shell::sh;
use crate::world::World;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// Lists a directory into a map of a file, after it has said so.
const LISTS: &str = r#"
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
directory = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
slow = os.open(sys.argv[2], os.O_RDONLY)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, 65536, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, slow, 0)
os.posix_fadvise(slow, 0, 0, os.POSIX_FADV_DONTNEED)
print("lists", flush=True)
sys.stdin.readline()
libc.syscall(ctypes.c_long(217), directory, ctypes.c_void_p(at), ctypes.c_long(65536))
"#;
/// getdents64(2) on x86-64, as `/proc/PID/syscall` begins.
const GETDENTS: &str = "217 ";
/// Where in the kernel somebody waits for a page to be read.
const WAITS: &str = "folio_wait_bit_common";

/// Somebody in the middle of listing `dir` into a file of `slow`, whose daemon has been stopped.
fn lister(dir: &Path, slow: &World, daemon: Pid) -> Child {
    fs::write(slow.path("slow"), vec![1; 65536]).unwrap();
    let slow_file = slow.path("slow");
    let (dir, file) = (dir.to_str().unwrap(), slow_file.to_str().unwrap());
    let mut lister = setpriv(BERT, &["/usr/bin/python3", "-c", LISTS, dir, file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(lister.stdout.take().unwrap());
    out.read_line(&mut said).unwrap();
    assert_eq!(said, "lists\n");
    fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
    kill_process(daemon, Signal::STOP).unwrap();
    drop(lister.stdin.take());
    let tells = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", lister.id())).unwrap();
    while !tells("syscall").starts_with(GETDENTS) || tells("wchan") != WAITS {
        assert!(!tells("status").contains("zombie"), "it has ended");
        std::thread::yield_now();
    }
    lister
}

#[test]
fn who_lists_a_directory_for_ever_keeps_nothing_else_from_anybody() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let Some(world) = village() else { return };
    let slow = World::many_users();
    slow.ctl(&["user", "create", "bert", "--uid", &BERT.to_string()]);
    let t = world.path("t");
    sh(
        &t,
        "mkdir -m 755 held; echo old > held/f; echo old > held/g; chmod 644 held/f held/g",
    );
    as_user(ANNA, &t, "cat held/f held/g; ls -l held; not stat held/new").must();
    let (held, daemon) = (t.join("held"), slow.daemon());
    let mut lister = lister(&held, &slow, daemon);
    for n in 0..3 {
        let say = |line: &str| world.nexus(&line.split(' ').collect::<Vec<_>>()).must();
        // There everybody waits, for who makes or forgets a name waits for the list, as on any filesystem.
        say(&format!("write /workspace/t/held/new{n} new"));
        say(&format!("write /workspace/t/held/f {n}"));
        // Elsewhere all goes on, and nothing is kept that is not so any more.
        say(&format!("write /workspace/t/vault/f {n}"));
        say(&format!("write /workspace/t/vault/new {n}"));
        say("chmod 0644 /workspace/t/vault/new");
        let said = as_user(ANNA, &t, "umask 022; cat vault/f vault/new").must();
        assert_eq!(said, format!("{n}{n}"));
        say("rm /workspace/t/vault/new");
        as_user(ANNA, &t, "not stat vault/new").must();
    }
    assert!(
        lister.try_wait().unwrap().is_none(),
        "nobody lists it any more"
    );
    kill_process(daemon, Signal::CONT).unwrap();
    lister.wait().unwrap();
    world.nexus(&["rm", "/workspace/t/held/g"]).must();
    assert_eq!(as_user(ANNA, &t, "ls held").must(), "f\nnew0\nnew1\nnew2\n");
    assert_eq!(as_user(ANNA, &t, "cat held/f").must(), "2");
    as_user(ANNA, &t, "not stat held/g; stat held/new1").must();
}
