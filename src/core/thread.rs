//! Threads of our own: those that answer are to get a CPU at once, those that work for long may wait for one.

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::io;
use std::thread::{Builder, JoinHandle};

/// How long a thread that answers keeps a CPU, in nanoseconds; an answer takes less. Who wants short turns gets them soon: Linux
/// from 6.12 on runs who wakes with a shorter turn at once, others when the turn of who runs is over, some milliseconds (sched(7)).
const SHORT: u64 = 100_000;
/// The length that everybody has.
const USUAL: u64 = 0;

/// Gives this thread, and those that it starts plainly, short turns.
pub fn answer_soon() {
    take_turns_of(SHORT);
}

/// Starts a thread that may run wherever the process may, for as long as is usual. Started plainly, it would share the one CPU
/// that a thread answering requests is bound to, and push it aside.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // The process's number is its first thread's, which nobody binds.
        let freed = sched_getaffinity(Pid::this())
            .and_then(|all| sched_setaffinity(Pid::from_raw(0), &all));
        if let Err(e) = freed {
            tracing::debug!("a thread stays on its CPU: {e}");
        }
        take_turns_of(USUAL);
        work();
    })
}

fn take_turns_of(nanoseconds: u64) {
    let set = scheduled().and_then(|now| {
        // Whoever has given the process another policy knows what for.
        if now.sched_policy != libc::SCHED_OTHER.cast_unsigned() {
            return Ok(());
        }
        schedule(&libc::sched_attr {
            sched_runtime: nanoseconds,
            ..now
        })
    });
    if let Err(e) = set {
        tracing::debug!("a thread has turns of the usual length: {e}");
    }
}

/// How this thread is scheduled (sched_getattr(2)).
#[allow(
    unsafe_code,
    reason = "no crate wraps the call; it writes to what it is given, of that size"
)]
fn scheduled() -> io::Result<libc::sched_attr> {
    let mut now = libc::sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let size = size_of_val(&now);
    match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, size, 0) } {
        0 => Ok(now),
        _ => Err(io::Error::last_os_error()),
    }
}

#[allow(
    unsafe_code,
    reason = "no crate wraps the call; it reads what it is given"
)]
fn schedule(as_told: &libc::sched_attr) -> io::Result<()> {
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *as_told, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::CpuSet;

    #[test]
    fn a_thread_of_ours_does_not_take_the_short_turns_of_its_maker() {
        let turn = || scheduled().unwrap().sched_runtime;
        let usual = std::thread::spawn(turn).join().unwrap();
        let maker = move || {
            answer_soon();
            let plain = std::thread::spawn(turn).join().unwrap();
            let (tell, told) = std::sync::mpsc::channel();
            let ours = spawn("usual", move || tell.send(turn()).unwrap());
            ours.unwrap().join().unwrap();
            (turn(), plain, told.recv().unwrap())
        };
        let (short, plain, ours) = std::thread::spawn(maker).join().unwrap();
        // Before Linux 6.12 turns have no length of their own, and this says 0.
        assert!([usual, SHORT].contains(&short));
        assert_eq!((plain, ours), (short, usual));
    }

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
