//! Threads of our own.

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that may run wherever the process may. Started plainly, it would share the one CPU that a thread
/// answering requests is bound to.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // The process's number is its first thread's, which nobody binds.
        let freed = sched_getaffinity(Pid::this())
            .and_then(|all| sched_setaffinity(Pid::from_raw(0), &all));
        if let Err(e) = freed {
            tracing::debug!("a thread stays on its CPU: {e}");
        }
        work();
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::CpuSet;

    #[test]
    fn a_thread_is_not_bound_where_its_maker_is() {
        let all = sched_getaffinity(Pid::this()).unwrap();
        let first = (0..CpuSet::count())
            .find(|n| all.is_set(*n).unwrap())
            .unwrap();
        let mine = move || {
            let mut one = CpuSet::new();
            one.set(first).unwrap();
            sched_setaffinity(Pid::from_raw(0), &one).unwrap();
            let (tell, told) = std::sync::mpsc::channel();
            let thread = spawn("free", move || {
                tell.send(sched_getaffinity(Pid::from_raw(0)).unwrap())
                    .unwrap();
            });
            thread.unwrap().join().unwrap();
            told.recv().unwrap()
        };
        assert_eq!(std::thread::spawn(mine).join().unwrap(), all);
    }
}
