//! Which process asked: the kernel names a thread, the log names its process.

use crate::core::Caller;
use std::fs;

/// The process number and command name for the log. A process that is gone keeps its number and shows as `?`.
pub(super) fn of(caller: &Caller) -> (u32, String) {
    if let Some(comm) = &caller.comm {
        return (caller.pid, comm.to_string());
    }
    let pid = process_of(caller.pid).unwrap_or(caller.pid);
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
    (
        pid,
        comm.map_or_else(|_| "?".to_owned(), |c| c.trim_end().to_owned()),
    )
}

/// The process that a thread belongs to (proc_pid_status(5), `Tgid`).
fn process_of(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::TenantId;

    #[test]
    fn a_thread_is_logged_as_its_process() {
        let thread = nix::unistd::gettid().as_raw().cast_unsigned();
        let caller = Caller {
            pid: thread,
            comm: None,
            ..Caller::engine(TenantId(1))
        };
        let (pid, comm) = of(&caller);
        assert_eq!(pid, std::process::id());
        assert!(!comm.is_empty() && comm != "?");
    }
}
