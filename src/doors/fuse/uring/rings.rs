//! All the rings of one mount.

use super::cpus::Cpus;
use super::worker::{Duty, Worker};
use crate::doors::fuse::door::Door;
use crate::doors::fuse::session::TRANSFER_MAX;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

const PARAMETER: &str = "/sys/module/fuse/parameters/enable_uring";
/// How many requests of one CPU may be answered at once: what waits for a disk must not hold up the others.
const THREADS: usize = 4;

/// Whether this kernel offers FUSE over `io_uring`: it can be compiled out, and is off until an administrator allows it.
pub(in crate::doors::fuse) fn is_enabled() -> bool {
    fs::read_to_string(PARAMETER).is_ok_and(|value| value.trim() == "Y")
}

/// Threads that stand ready, each with its ring, before the kernel is told that there are rings: it then waits for them.
pub(in crate::doors::fuse) struct Rings {
    orders: Vec<Sender<Order>>,
    said: Receiver<io::Result<()>>,
}

struct Order {
    device: Arc<OwnedFd>,
    door: Arc<Door>,
}

impl Rings {
    pub(in crate::doors::fuse) fn prepare() -> io::Result<Self> {
        let (say, said) = mpsc::channel();
        let mut orders = Vec::new();
        for duty in duties(&Cpus::find()?) {
            let (order, ordered) = mpsc::channel();
            let say = say.clone();
            thread::Builder::new()
                .name("nexus-ring".to_owned())
                .spawn(move || work(&duty, &say, &ordered))?;
            orders.push(order);
        }
        let rings = Self { orders, said };
        rings.all_said()?;
        Ok(rings)
    }

    /// Takes over the requests of a connection that has agreed to it. Failing, the kernel goes on through `/dev/fuse`.
    pub(in crate::doors::fuse) fn start(
        self,
        device: &Arc<OwnedFd>,
        door: &Arc<Door>,
    ) -> io::Result<()> {
        for order in &self.orders {
            // One descriptor for all: until a ring has been asked for, and refused, the kernel lets no request through.
            let (device, door) = (device.clone(), door.clone());
            // Whoever does not hear it has said why.
            drop(order.send(Order { device, door }));
        }
        self.all_said()
    }

    fn all_said(&self) -> io::Result<()> {
        for _ in &self.orders {
            let said = self.said.recv();
            said.unwrap_or_else(|_| Err(io::Error::other("a thread of the mount is gone")))?;
        }
        Ok(())
    }
}

/// Several threads for each CPU; and for those that ours cannot be on, as many for all of them together.
fn duties(cpus: &Cpus) -> Vec<Duty> {
    let own = cpus.ours.iter().map(|cpu| Duty {
        cpu: Some(*cpu),
        queues: vec![*cpu],
    });
    let rest = (!cpus.others.is_empty()).then(|| Duty {
        cpu: None,
        queues: cpus.others.clone(),
    });
    own.chain(rest)
        .flat_map(|duty| std::iter::repeat_n(duty, THREADS))
        .collect()
}

/// A thread's life: a ring, then the order to use it, then requests.
fn work(duty: &Duty, say: &Sender<io::Result<()>>, ordered: &Receiver<Order>) {
    let mut worker = match Worker::new(duty, TRANSFER_MAX as usize) {
        Ok(worker) => worker,
        Err(e) => return drop(say.send(Err(e))),
    };
    drop(say.send(Ok(())));
    let Ok(Order { device, door }) = ordered.recv() else {
        return;
    };
    let registered = worker.register(&device);
    let is_registered = registered.is_ok();
    drop(say.send(registered));
    if is_registered {
        worker.run(&device, &door);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_has_several_threads_and_those_of_absent_cpus_share_theirs() {
        let cpus = Cpus {
            ours: vec![0, 1],
            others: vec![2, 3],
        };
        let duties = duties(&cpus);
        assert_eq!(duties.len(), 3 * THREADS);
        let on = |cpu| duties.iter().filter(|d| d.cpu == cpu).count();
        assert_eq!(
            (on(Some(0)), on(Some(1)), on(None)),
            (THREADS, THREADS, THREADS)
        );
        let shared = duties.iter().find(|d| d.cpu.is_none()).unwrap();
        assert_eq!(shared.queues, [2, 3]);
    }
}
