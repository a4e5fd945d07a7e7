//! A thread with a ring of its own, answering what comes in its slots.

use super::cpus;
use super::slot::Slot;
use crate::doors::fuse::door::Door;
use io_uring::squeue::Entry128;
use io_uring::{IoUring, cqueue};
use nix::sched::sched_setaffinity;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// What a worker serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duty {
    /// The CPU to stay on: that of whoever asks.
    pub cpu: Option<u16>,
    pub queues: Vec<u16>,
}

pub(super) struct Worker {
    // Dropped before the memory that the kernel knows through it.
    ring: IoUring<Entry128, cqueue::Entry>,
    slots: Vec<Slot>,
    /// What came while the slots were registered.
    early: Vec<cqueue::Entry>,
}

impl Worker {
    /// Makes the ring of the calling thread, which alone may use it.
    pub(super) fn new(duty: &Duty, payload: usize) -> io::Result<Self> {
        if let Some(cpu) = duty.cpu {
            sched_setaffinity(Pid::from_raw(0), &cpus::only(cpu)?)?;
        }
        let slots: Vec<_> = duty.queues.iter().map(|q| Slot::new(*q, payload)).collect();
        let size = u32::try_from(slots.len().next_power_of_two()).unwrap_or(u32::MAX);
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(size)?;
        Ok(Self {
            ring,
            slots,
            early: Vec::new(),
        })
    }

    /// Registers all slots; fails with what the kernel says against one of them.
    pub(super) fn register(&mut self, device: &OwnedFd) -> io::Result<()> {
        for index in 0..self.slots.len() {
            let entry = self.slots[index].register(device.as_raw_fd());
            self.push(entry, index)?;
        }
        self.ring.submit()?;
        // Refusals come at once; a request may be here already too.
        self.early.extend(self.ring.completion());
        match self.early.iter().find(|done| done.result() < 0) {
            Some(refused) => Err(io::Error::from_raw_os_error(-refused.result())),
            None => Ok(()),
        }
    }

    /// Answers until the connection ends.
    pub(super) fn run(mut self, device: &OwnedFd, door: &Door) {
        let mut live = self.slots.len();
        while live > 0 {
            match self.step(device.as_raw_fd(), door) {
                Ok(true) => {}
                Ok(false) => live -= 1,
                Err(e) => {
                    tracing::error!("a ring of the mount broke: {e}");
                    return;
                }
            }
        }
    }

    /// Sends the last answer and takes the next request; says whether its slot goes on.
    fn step(&mut self, device: RawFd, door: &Door) -> io::Result<bool> {
        let Some(done) = self.next()? else {
            return Ok(true);
        };
        let index = usize::try_from(done.user_data()).unwrap_or(usize::MAX);
        if done.result() < 0 {
            let said = io::Error::from_raw_os_error(-done.result());
            tracing::debug!("a slot of the mount ends: {said}");
            return Ok(false);
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(io::Error::other(format!("no slot {index}")));
        };
        slot.answer(door);
        let entry = slot.commit(device);
        self.push(entry, index)?;
        Ok(true)
    }

    /// One at a time, so that each answer leaves before the next request is begun.
    fn next(&mut self) -> io::Result<Option<cqueue::Entry>> {
        if let Some(early) = self.early.pop() {
            return Ok(Some(early));
        }
        match self.ring.submit_and_wait(1) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => drop(other?),
        }
        Ok(self.ring.completion().next())
    }

    fn push(&mut self, entry: Entry128, index: usize) -> io::Result<()> {
        let entry = entry.user_data(index as u64);
        #[allow(unsafe_code, reason = "the kernel writes to what the entry names")]
        // SAFETY: it names the memory of a slot, which lives as long as the ring, and which nobody else looks at until the
        // kernel hands it back.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| io::Error::other("more entries than slots"))
    }
}
