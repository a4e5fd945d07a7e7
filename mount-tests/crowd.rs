//! Somebody who has more files open, and written to, than the daemon may have descriptors.

use crate::shell::{run, sh};
use crate::world::{World, needs_root};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// What the daemon may have open. It needs about half of that for itself.
const DESCRIPTORS: u32 = 256;
/// The share of work files.
const WORK_FILES: usize = 32;
const CROWDER: u32 = 21_001;
const OTHER: u32 = 21_002;

/// Writes a little to many files after writing so much to some that no memory is left, says so, and writes to all of them again,
/// reads, closes and checks them, each when it is told to.
const CROWDS: &str = r#"
import hashlib, os, sys
MIB, SMALL, LARGE = 1 << 20, 400, 132
uid = int(sys.argv[1])
os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
def text(i): return bytes([i % 251]) * (MIB - 1 if i < LARGE else 12 << 10)
def both(i): return text(i) + bytes(10_000) + b"end"
files = [(i, os.open(f"t/crowd/{i}", os.O_RDWR | os.O_CREAT, 0o644)) for i in range(LARGE + SMALL)]
def writes():
    for i, fd in files: assert os.pwrite(fd, text(i), 0) == len(text(i))
def appends():
    for i, fd in files: assert os.pwrite(fd, b"end", len(text(i)) + 10_000) == 3
    for i, fd in files:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(fd, 2 * MIB, 0) == both(i)
def closes():
    for i, fd in files: os.close(fd)
    for i, fd in files:
        sum = hashlib.sha256(both(i)).hexdigest()
        assert os.getxattr(f"t/crowd/{i}", "user.nexus.hash").decode() == sum, i
for step in writes, appends, closes:
    step()
    print("done", flush=True)
    sys.stdin.readline()
"#;

struct Crowder {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Crowder {
    /// Begins, and waits until everything is written.
    fn new(world: &World) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", CROWDS, &CROWDER.to_string()]);
        command.current_dir(world.workspace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut crowder = Self { child, answers };
        crowder.has_done();
        crowder
    }

    fn goes_on(&mut self) {
        self.child.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
        self.has_done();
    }

    fn has_done(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Crowder {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn village() -> Option<World> {
    if !needs_root() {
        return None;
    }
    let world = World::of_descriptors(DESCRIPTORS).for_many_users();
    for (name, uid) in [("crowder", CROWDER), ("other", OTHER)] {
        world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
    }
    sh(&world.workspace(), "mkdir -m 777 t/crowd");
    Some(world)
}

fn work_files(world: &World) -> usize {
    fs::read_dir(world.data().join("work")).unwrap().count()
}

/// The daemon's descriptors of work files, and all.
fn descriptors(world: &World) -> (usize, usize) {
    let pid = world.daemon().as_raw_nonzero();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets: Vec<_> = open
        .filter_map(|fd| fs::read_link(fd.path()).ok())
        .collect();
    let work = world.data().join("work");
    let of_work = targets.iter().filter(|target| target.starts_with(&work));
    (of_work.count(), targets.len())
}

/// Everybody else works on.
fn all_goes_on(world: &World) {
    let text = "umask 077; echo little > t/other; head -c 3000000 /dev/zero > t/more; sync t/more; grep -q little t/other";
    let id = OTHER.to_string();
    let mut other = Command::new("setpriv");
    other.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    run(other
        .args(["bash", "-ec", text])
        .current_dir(world.workspace()))
    .must();
    let listed = world.nexus(&["ls", "/workspace/t"]).must();
    assert!(listed.contains("more"), "{listed}");
    world.ctl(&["status"]);
    sh(&world.workspace(), "rm t/other t/more");
    let (of_work, all) = descriptors(world);
    println!("{of_work} of {all} descriptors are work files'");
    assert!(
        of_work <= WORK_FILES + 8,
        "{of_work}: one more for each thread that uses one"
    );
    assert!(all < DESCRIPTORS as usize, "{all}");
}

#[test]
fn who_writes_to_more_files_than_there_are_descriptors_keeps_nobody_from_working() {
    let Some(world) = village() else { return };
    let mut crowder = Crowder::new(&world);
    assert!(work_files(&world) > DESCRIPTORS as usize);
    all_goes_on(&world);
    crowder.goes_on();
    all_goes_on(&world);
    crowder.goes_on();
    assert!(work_files(&world) <= 8, "spares only");
    drop(crowder);
    world.is_sound();
    world.shutdown();
    // Whoever ends last may be a thread that has them still; the next start removes them.
    assert!(work_files(&world) <= 8, "spares only");
    world.start();
    assert_eq!(work_files(&world), 0);
}

#[test]
fn a_start_after_a_crash_removes_the_work_files() {
    let Some(world) = village() else { return };
    let crowder = Crowder::new(&world);
    world.kill();
    drop(crowder);
    assert!(work_files(&world) > DESCRIPTORS as usize);
    world.restart();
    assert_eq!(work_files(&world), 0);
    world.is_sound();
}
