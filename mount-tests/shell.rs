//! Commands with a bound: one that hangs is killed and shown, instead of hanging the suite.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Far above what any command here takes on a slow, busy machine.
const BOUND_SECONDS: i64 = 240;

/// What a command said, both streams in the order of writing within each.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn ok(&self) -> bool {
        self.status.success()
    }

    /// Fails the test unless the command succeeded; gives its standard output.
    #[track_caller]
    pub(crate) fn must(self) -> String {
        let Self { status, out, err } = &self;
        assert!(self.ok(), "{status}\n--- out\n{out}\n--- err\n{err}");
        self.out
    }

    /// Fails the test if the command succeeded; gives its standard error.
    #[track_caller]
    pub(crate) fn must_fail(self) -> String {
        assert!(!self.ok(), "succeeded: {}{}", self.out, self.err);
        self.err
    }
}

/// Runs a command to its end, or kills its process group.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Said {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    // Files, not pipes: a background process that keeps them open cannot make us wait.
    let child = command
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .process_group(0);
    let mut child = child.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let ended = wait(&mut child);
    let (out, err) = (text(&mut out), text(&mut err));
    let status =
        ended.unwrap_or_else(|| panic!("hangs: {command:?}\n--- out\n{out}\n--- err\n{err}"));
    Said { status, out, err }
}

/// Waits for a child; kills its group when it passes the bound, and gives `None`.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let pid = Pid::from_child(child);
    if ends(pid) {
        return Some(child.wait().unwrap());
    }
    kill_process_group(pid, Signal::KILL).unwrap();
    child.wait().unwrap();
    None
}

/// Waits until a process has ended; `false` when it does not within the bound.
pub(crate) fn ends(pid: Pid) -> bool {
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let bound = Timespec {
        tv_sec: BOUND_SECONDS,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&bound)) {
            Ok(n) => return n > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => panic!("poll: {e}"),
        }
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Defines `not COMMAND`, which ends a script where the command succeeds: bash goes on behind `! COMMAND`, whatever came of it.
pub(crate) const NOT: &str = r#"not() { if "$@"; then echo "went: $*" >&2; exit 9; fi; }; "#;

/// A bash script that stops at the first failure, in a directory.
pub(crate) fn script(dir: &Path, text: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", text])
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

/// Runs a bash script that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn sh(dir: &Path, text: &str) -> String {
    run(&mut script(dir, text)).must()
}

/// Runs a Python script that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn python(dir: &Path, text: &str) -> String {
    let mut command = Command::new("python3");
    command
        .args(["-c", text])
        .current_dir(dir)
        .stdin(Stdio::null());
    run(&mut command).must()
}
