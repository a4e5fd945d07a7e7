//! Which process asked: the kernel names a thread, the log names its process.
//!
//! Every record needs the answer, and making `/proc/PID/status` costs the kernel more than a small transaction costs us. So
//! the `comm` files of processes seen lately stay open: reading one again says what the process is called now, and fails
//! once it is gone (ESRCH), even when another has its number by then.

use crate::core::Caller;
use lru::LruCache;
use parking_lot::Mutex;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;

/// How many threads are remembered; each keeps one or two files open.
const SEEN_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// Room for a command name: the kernel gives 15 bytes and a line end.
const COMM_MAX: usize = 64;

/// The threads that asked lately.
pub(super) struct Processes(Mutex<LruCache<u32, Seen>>);

struct Seen {
    thread: File,
    pid: u32,
    /// The process's first thread, when another one asked: the process is called what that one is called.
    first: Option<File>,
}

impl Default for Processes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(SEEN_MAX)))
    }
}

impl Processes {
    /// The process number and command name for the log. A process that is gone keeps its number and shows as `?`.
    pub(super) fn of(&self, caller: &Caller) -> (u32, String) {
        if let Some(comm) = &caller.comm {
            return (caller.pid, comm.to_string());
        }
        let mut seen = self.0.lock();
        if let Some(known) = seen.get(&caller.pid)
            && let Ok(comm) = known.comm()
        {
            return (known.pid, comm);
        }
        seen.pop(&caller.pid);
        let found = Seen::find(caller.pid).and_then(|new| Ok((new.comm()?, new)));
        let Ok((comm, new)) = found else {
            return (caller.pid, "?".to_owned());
        };
        let pid = new.pid;
        seen.put(caller.pid, new);
        (pid, comm)
    }
}

impl Seen {
    fn find(tid: u32) -> io::Result<Self> {
        let thread = open(tid)?;
        let pid = process_of(tid)?;
        let first = if pid == tid { None } else { Some(open(pid)?) };
        Ok(Self { thread, pid, first })
    }

    /// Reads the name anew: execve(2) changes it. Fails when the thread is gone.
    fn comm(&self) -> io::Result<String> {
        let own = read(&self.thread)?;
        self.first.as_ref().map_or(Ok(own), read)
    }
}

fn open(tid: u32) -> io::Result<File> {
    File::open(format!("/proc/{tid}/comm"))
}

fn read(comm: &File) -> io::Result<String> {
    let mut buffer = [0; COMM_MAX];
    let len = comm.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..len])
        .trim_end()
        .to_owned())
}

/// The process that a thread belongs to (proc_pid_status(5), `Tgid`).
fn process_of(thread: u32) -> io::Result<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("Tgid:"));
    line.and_then(|l| l.trim().parse().ok())
        .ok_or_else(|| io::Error::other("a process status without Tgid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::TenantId;
    use std::process::{Command, Stdio};

    fn caller(pid: u32) -> Caller {
        Caller {
            pid,
            comm: None,
            ..Caller::engine(TenantId(1))
        }
    }

    #[test]
    fn a_thread_is_logged_as_its_process() {
        let thread = nix::unistd::gettid().as_raw().cast_unsigned();
        let seen = Processes::default();
        let first = seen.of(&caller(thread));
        assert_eq!(first.0, std::process::id());
        assert!(!first.1.is_empty() && first.1 != "?");
        assert_eq!(seen.of(&caller(thread)), first);
    }

    #[test]
    fn a_process_is_called_what_it_became_and_then_it_is_gone() {
        let seen = Processes::default();
        let script = "read go; exec cat";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let who = caller(child.id());
        // The child is `sh` once it has asked for its line; before that it may still have our name.
        let mut input = child.stdin.take().unwrap();
        let before = seen.of(&who);
        assert_eq!(before.0, child.id());
        io::Write::write_all(&mut input, b"go\nx").unwrap();
        let mut output = child.stdout.take().unwrap();
        io::Read::read_exact(&mut output, &mut [0]).unwrap();
        assert_eq!(seen.of(&who), (child.id(), "cat".to_owned()));
        drop(input);
        child.wait().unwrap();
        assert_eq!(seen.of(&who), (child.id(), "?".to_owned()));
    }
}
