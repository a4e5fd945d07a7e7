//! A thread with a ring of its own, answering what comes in its slots.

use super::cpus;
use super::late::Late;
use super::slot::Slot;
use crate::doors::fuse::door::Door;
use io_uring::squeue::Entry128;
use io_uring::{IoUring, cqueue};
use nix::sched::sched_setaffinity;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// What the ring says when there are answers that come late, instead of a slot's place.
const BELL: usize = usize::MAX;
/// How many entries a ring has at least.
const RING_MIN: usize = 8;

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
    payload: usize,
    /// Slots that the kernel has: neither refused by it nor waiting for an answer.
    live: usize,
    /// Where answers come that were not there at their slots' turn; made for the first of them.
    late: Option<Late>,
    is_listening: bool,
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
        let size = slots.len().max(RING_MIN).next_power_of_two();
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(size)?;
        Ok(Self {
            ring,
            live: slots.len(),
            slots,
            payload,
            late: None,
            is_listening: false,
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

    /// Answers until the connection ends. What waits for an answer then gets none: nobody asks any more.
    pub(super) fn run(mut self, device: &OwnedFd, door: &Door) {
        while self.live > 0 {
            if let Err(e) = self.step(device.as_raw_fd(), door) {
                tracing::error!("a ring of the mount broke: {e}");
                return;
            }
        }
    }

    /// Sends the last answer and takes the next request.
    fn step(&mut self, device: RawFd, door: &Door) -> io::Result<()> {
        let Some(done) = self.next()? else {
            return Ok(());
        };
        let index = usize::try_from(done.user_data()).unwrap_or(BELL);
        if index == BELL {
            return self.send_late(device);
        }
        if done.result() < 0 {
            let said = io::Error::from_raw_os_error(-done.result());
            tracing::debug!("a slot of the mount ends: {said}");
            self.live -= 1;
            return Ok(());
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(io::Error::other(format!("no slot {index}")));
        };
        let late = &mut self.late;
        slot.answer(door, || match late {
            Some(late) => Ok(late.reply(index)),
            None => Ok(late.insert(Late::new()?).reply(index)),
        });
        if slot.is_waiting {
            return self.replace(device, index);
        }
        let entry = slot.commit(device);
        self.push(entry, index)
    }

    /// Lets another slot take the place of one that waits, so that the kernel has as many as before.
    fn replace(&mut self, device: RawFd, waiting: usize) -> io::Result<()> {
        self.live -= 1;
        let queue = self.slots[waiting].queue;
        let serves = |slot: &Slot| slot.queue == queue && !slot.is_waiting;
        if !self.slots.iter().any(serves) {
            let slot = Slot::new(queue, self.payload);
            let entry = slot.register(device);
            self.slots.push(slot);
            self.live += 1;
            self.push(entry, self.slots.len() - 1)?;
        }
        self.listen()
    }

    /// Sends the answers that have come.
    fn send_late(&mut self, device: RawFd) -> io::Result<()> {
        self.is_listening = false;
        let Some(late) = &mut self.late else {
            return Ok(());
        };
        for (index, answer) in late.take()? {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.put(answer);
                let entry = slot.commit(device);
                self.live += 1;
                self.push(entry, index)?;
            }
        }
        self.listen()
    }

    /// Listens for answers while any slot waits for one.
    fn listen(&mut self) -> io::Result<()> {
        let is_wanted = self.slots.iter().any(|slot| slot.is_waiting);
        if let Some(late) = self
            .late
            .as_ref()
            .filter(|_| is_wanted && !self.is_listening)
        {
            let entry = late.listen();
            self.is_listening = true;
            self.push(entry, BELL)?;
        }
        Ok(())
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
        // kernel hands it back; or a descriptor, of a pipe.
        let mut push = || unsafe { self.ring.submission().push(&entry) };
        if push().is_ok() {
            return Ok(());
        }
        self.ring.submit()?;
        #[allow(unsafe_code, reason = "as above")]
        // SAFETY: as above.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| io::Error::other("more entries than slots"))
    }
}
