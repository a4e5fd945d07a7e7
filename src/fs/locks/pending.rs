//! Whether a signal waits for a thread that waits for us (proc_pid_status(5)).
//!
//! fuser 0.18 keeps FUSE_INTERRUPT to itself, so we look. The kernel takes EINTR for "begin again", which is true only for a thread
//! that has been woken: told to any other, its system call would fail with a number that no program knows. Goes when fuser
//! hands interrupts on.

use std::fs;
use std::io;

/// What waits for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    /// A signal to the process, which another thread may be about to take.
    Perhaps,
    Signal,
    /// The thread is gone, or out of sight.
    Gone,
}

/// Looks at a thread by the number that the kernel gives it here.
pub(super) fn look(thread: u32) -> Pending {
    match fs::read_to_string(format!("/proc/{thread}/status")) {
        Ok(status) => pending_in(&status).unwrap_or(Pending::Nothing),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Pending::Gone,
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Pending::Gone,
        Err(_) => Pending::Nothing,
    }
}

/// A signal of the process goes to its first thread, unless that one blocks it; of the others nobody can say which it woke. One
/// that ends the process is every thread's own.
fn pending_in(status: &str) -> Option<Pending> {
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.strip_prefix(':').map(str::trim)
    };
    let signals = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
    let open = !signals("SigBlk")?;
    if signals("SigPnd")? & open != 0 {
        return Some(Pending::Signal);
    }
    if signals("ShdPnd")? & open == 0 {
        return Some(Pending::Nothing);
    }
    let is_only = field("Threads")? == "1";
    let is_first = field("Pid")? == field("Tgid")?;
    Some(match (is_only, is_first) {
        (true, _) => Pending::Signal,
        (false, true) => Pending::Perhaps,
        (false, false) => Pending::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: u32, threads: u32, own: u64, shared: u64, blocked: u64) -> String {
        format!(
            "Name:\tx\nTgid:\t7\nPid:\t{pid}\nThreads:\t{threads}\nSigQ:\t0/9\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t0000000000000000\n"
        )
    }

    #[test]
    fn only_a_signal_that_woke_the_thread_counts() {
        let look = |pid, threads, own, shared, blocked| {
            pending_in(&status(pid, threads, own, shared, blocked)).unwrap()
        };
        assert_eq!(look(7, 1, 0, 0, 0), Pending::Nothing);
        assert_eq!(look(7, 1, 0, 2, 0), Pending::Signal);
        assert_eq!(look(7, 1, 2, 2, 2), Pending::Nothing, "blocked");
        assert_eq!(look(8, 2, 0x100, 0, 0), Pending::Signal, "killed");
        assert_eq!(look(7, 2, 0, 2, 0), Pending::Perhaps);
        assert_eq!(look(8, 2, 0, 2, 0), Pending::Nothing);
        assert_eq!(pending_in("Name:\tx\n"), None);
    }

    #[test]
    fn a_thread_that_is_gone_is_told_from_one_that_nothing_waits_for() {
        let thread = nix::unistd::gettid().as_raw().cast_unsigned();
        assert_eq!(look(thread), Pending::Nothing);
        assert_eq!(look(0), Pending::Gone);
    }
}
