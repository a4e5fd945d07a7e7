//! Processes that are told what to lock, and two mounts for them.

use crate::shell::wait;
use crate::world::World;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that does what it is told, a line at a time, and says what came of it.
pub(super) struct Actor {
    pub(super) child: Child,
    pub(super) input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(super) pid: i32,
    /// Has a byte for each signal that was handled.
    heard: PathBuf,
}

/// Far above what any answer here takes on a slow, busy machine.
const ANSWER_MAX_SECONDS: i64 = 100;
/// How often the daemon is asked at most whether somebody waits.
const LOOKS_MAX: usize = 1000;

const PROGRAM: &str = r#"
import errno, fcntl, os, signal, struct, sys, threading
R, W, U = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
KINDS = {R: "R", W: "W", U: "U"}
FORM = "hhqqi4x"
fds = {}

class Caught(Exception): pass
def caught(*_): raise Caught()
signal.signal(signal.SIGUSR1, caught)
# What was handled can be read by others, while a call goes on.
heard, hears = os.pipe()
signal.signal(signal.SIGUSR2, lambda *_: None)
os.set_blocking(hears, False)
signal.set_wakeup_fd(hears, warn_on_full_buffer=False)
print(heard, flush=True)

def opens(name, path, flags=os.O_RDWR):
    fds[name] = os.open(path, flags)
    return "ok"
def closes(name):
    os.close(fds.pop(name))
    return "ok"
def called(command, name, kind, start, length):
    try:
        return struct.unpack(FORM, fcntl.fcntl(fds[name], command, struct.pack(FORM, kind, 0, start, length, 0)))
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    except Caught:
        return "caught"
def done(said):
    return said if isinstance(said, str) else "ok"
def sets(name, kind, start=0, length=0):
    return done(called(fcntl.F_SETLK, name, kind, start, length))
def waits(name, kind, start=0, length=0):
    return done(called(fcntl.F_SETLKW, name, kind, start, length))
def gets(name, kind, start=0, length=0):
    said = called(fcntl.F_GETLK, name, kind, start, length)
    return said if isinstance(said, str) else " ".join([KINDS[said[0]], *map(str, said[2:])])
def ofd_sets(name, kind, start=0, length=0):
    return done(called(37, name, kind, start, length))
def ofd_waits(name, kind, start=0, length=0):
    return done(called(38, name, kind, start, length))
def forks():
    """A child that keeps whatever is open until it is killed."""
    pid = os.fork()
    if pid == 0:
        os.close(0); os.close(1)
        while True: signal.pause()
    return pid
def kills(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "ok"
def aside(call):
    """Has another thread do it."""
    def work():
        print(call(), flush=True)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread.native_id

print(os.getpid(), flush=True)
while True:
    try:
        line = sys.stdin.readline()
    except Caught:
        continue
    if not line:
        break
    said = eval(line)
    print(said, flush=True)
"#;

impl Actor {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["/usr/bin/python3", "-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut actor = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            pid: 0,
            heard: PathBuf::new(),
        };
        let heard = actor.answer();
        actor.pid = actor.answer().parse().unwrap();
        actor.heard = format!("/proc/{}/fd/{heard}", actor.pid).into();
        actor
    }

    /// One who works in a directory.
    pub(super) fn at(dir: &Path) -> Self {
        Self::start(Command::new("env").current_dir(dir))
    }

    /// One who works for an agent, in the workspace of the mount that `nexus run` makes.
    pub(super) fn in_run(world: &World) -> Self {
        let run = ["run", "--agent", "fixer", "--"];
        Self::start(world.command(&run).current_dir(world.workspace()))
    }

    pub(super) fn tell(&mut self, words: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{words}").unwrap();
    }

    #[track_caller]
    pub(super) fn answer(&mut self) -> String {
        if self.output.buffer().is_empty() {
            let mut fds = [PollFd::new(self.output.get_ref(), PollFlags::IN)];
            let bound = Timespec {
                tv_sec: ANSWER_MAX_SECONDS,
                tv_nsec: 0,
            };
            assert!(poll(&mut fds, Some(&bound)).unwrap() > 0, "no answer");
        }
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(super) fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.answer()
    }

    /// Asks what has to wait, and waits until it does.
    #[track_caller]
    pub(super) fn begins(&mut self, world: &World, words: &str) {
        let before = waiting(world);
        self.tell(words);
        until_waiting(world, before + 1);
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }

    /// Waits until the process has handled a signal.
    pub(super) fn handles(&self, signal: Signal) {
        let mut heard = File::open(&self.heard).unwrap();
        let mut byte = [0];
        while i32::from(byte[0]) != signal.as_raw() {
            heard.read_exact(&mut byte).unwrap();
        }
    }

    /// What proc_pid_stat(5) calls its state.
    pub(super) fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.chars().next().unwrap()
    }

    /// Waits until a signal has killed it; one of ours on the host.
    #[track_caller]
    pub(super) fn dies_of(mut self, signal: Signal) {
        self.signal(signal);
        let status = wait(&mut self.child).unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()));
    }

    /// Lets it end as programs do.
    #[track_caller]
    pub(super) fn ends(mut self) {
        drop(self.input.take());
        assert!(wait(&mut self.child).unwrap().success());
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How many requests wait for a lock.
pub(super) fn waiting(world: &World) -> u64 {
    world.ctl(&["stats"])["lock_waits"].as_u64().unwrap()
}

/// Waits until so many requests wait for a lock.
#[track_caller]
pub(super) fn until_waiting(world: &World, wanted: u64) {
    let mut looks = std::iter::repeat_with(|| waiting(world)).take(LOOKS_MAX);
    assert!(looks.any(|n| n == wanted), "not {wanted} wait");
}

/// Two mounts of one store, with a file `f` of 100 bytes; the workspaces of both.
pub(super) fn two_mounts() -> (World, PathBuf, PathBuf) {
    let world = World::new();
    let other = world.host("other");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    fs::write(world.path("f"), [b'x'; 100]).unwrap();
    let (here, there) = (world.workspace(), other.join("workspace"));
    (world, here, there)
}

/// One on each of two mounts, with the file open as `f`.
pub(super) fn two() -> (World, Actor, Actor) {
    let (world, here, there) = two_mounts();
    let [one, other] = [here, there].map(|dir| {
        let mut actor = Actor::at(&dir);
        assert_eq!(actor.ask("opens('f', 'f')"), "ok");
        actor
    });
    (world, one, other)
}
