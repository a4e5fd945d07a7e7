//! Which CPUs there may be: the kernel keeps one queue for each.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs;
use std::io;

const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// The CPUs of a machine, as far as this process is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cpus {
    /// Those that our threads may be bound to.
    pub ours: Vec<u16>,
    /// Those that are not there now, or closed to us; who asks may still run on one.
    pub others: Vec<u16>,
}

impl Cpus {
    pub(super) fn find() -> io::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let text = fs::read_to_string(POSSIBLE)?;
        let count =
            count(&text).ok_or_else(|| io::Error::other(format!("{POSSIBLE}: {text:?}")))?;
        let is_ours = |cpu: &u16| allowed.is_set(usize::from(*cpu)).unwrap_or(false);
        let (ours, others) = (0..count).partition(is_ours);
        Ok(Self { ours, others })
    }
}

/// The set of one CPU.
pub(super) fn only(cpu: u16) -> nix::Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(usize::from(cpu))?;
    Ok(set)
}

/// How many CPUs a list like `0-3` or `0-1,4` reaches to.
fn count(text: &str) -> Option<u16> {
    let last = text.trim().rsplit([',', '-']).next()?;
    last.parse::<u16>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_reaches_to_its_last() {
        assert_eq!(count("0-1\n"), Some(2));
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count("0-1,4\n"), Some(5));
        assert_eq!(count("\n"), None);
        assert_eq!(count("0-65535"), None);
    }

    #[test]
    fn every_possible_cpu_is_ours_or_another() {
        let cpus = Cpus::find().unwrap();
        assert!(!cpus.ours.is_empty());
        let mut all = [cpus.ours, cpus.others].concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..u16::try_from(all.len()).unwrap()));
    }
}
