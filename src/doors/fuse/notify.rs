//! Tells the kernel of one mount what others changed, so that what it keeps is never wrong.
//!
//! To forget a name, a kernel waits until nobody lists the directory, and whoever lists it may take as long as he likes: he
//! names the memory that the list goes to. So nothing is told on a thread that answers requests, what takes too long is left to
//! the thread that it holds up, and names are then asked for anew all over the mount, for which no kernel waits (see `relay`).

mod relay;

use super::numbers::Numbers;
use super::past::Past;
use crate::core::{Ino, Result, config};
use crate::fs::{Event, Notice};
use fuser::Notifier;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Every name that the kernel keeps is asked for again when it is used next (FUSE_NOTIFY_INC_EPOCH of linux/fuse.h,
/// Linux 6.16). fuser 0.18 does not know this notice; goes when it does.
const NOTIFY_INC_EPOCH: i32 = 8;
/// A name that hardly any file has; to one that has it nothing happens.
const NO_NAME: &str = "\u{1}";
/// Lets a daemon of a debug build tell kernels nothing.
const MUTE: &str = "NEXUS_TEST_MUTE";
/// A notice without more to say: length, code and a number that is 0 (`fuse_out_header`).
const HEADER: u32 = 16;

/// The kernel's side of one mount, to be told what it must not keep.
pub(super) struct Kernel {
    pub notices: Notifier,
    pub device: OwnedFd,
}

/// Follows notices until the engine stops sending or the mount is gone.
pub(super) fn follow(
    notices: Receiver<Notice>,
    kernel: Kernel,
    (numbers, past): (Numbers, Arc<Past>),
    is_alive: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<()> {
    let mut telling = Telling {
        notices: kernel.notices,
        device: File::from(kernel.device),
        numbers,
        past,
        asks_anew: true,
        is_mute: is_mute(),
    };
    // Nothing is kept yet; a kernel that does not know what it is told says so.
    telling.asks_anew = telling.ask_anew().is_ok();
    telling.past.can_be_forgotten(telling.asks_anew);
    relay::follow(notices, telling, Box::new(is_alive))
}

/// Whether kernels are to be told nothing, as the daemon's environment says: with it tests show that they would notice. Of debug
/// builds alone.
fn is_mute() -> bool {
    cfg!(debug_assertions) && config::env(MUTE).is_some()
}

/// What has to be told one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// That every name is to be asked for again.
    Anew,
    One(Event),
}

/// What a kernel may wait for that it is told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lock {
    /// Until a directory is not being listed.
    Directory(Ino),
    /// Until none is of the past.
    Past,
}

impl Step {
    fn lock(&self) -> Option<Lock> {
        match self {
            Self::One(
                Event::Entry { parent: dir, .. }
                | Event::Closed { parent: dir, .. }
                | Event::Moved { parent: dir, .. }
                | Event::Relisted(dir)
                | Event::Shut(dir)
                | Event::List(dir),
            ) => Some(Lock::Directory(*dir)),
            Self::One(Event::Past(_)) => Some(Lock::Past),
            Self::One(Event::Attr(_) | Event::Data(_)) | Self::Anew => None,
        }
    }
}

struct Telling {
    notices: Notifier,
    device: File,
    numbers: Numbers,
    past: Arc<Past>,
    /// Whether the kernel knows [`NOTIFY_INC_EPOCH`].
    asks_anew: bool,
    is_mute: bool,
}

impl Telling {
    /// What to tell of a notice, in this order.
    fn steps(&self, events: &[Event]) -> Vec<Step> {
        if self.is_mute {
            return Vec::new();
        }
        let closes = |e: &&Event| matches!(e, Event::Closed { .. } | Event::Moved { .. });
        let relists = |e: &Event| matches!(e, Event::Relisted(_) | Event::Shut(_));
        if !self.asks_anew || !events.iter().any(|e| closes(&e)) {
            return events.iter().cloned().map(Step::One).collect();
        }
        let others = events.iter().filter(|e| !closes(e)).cloned();
        let mut steps = vec![Step::Anew];
        steps.extend(others.map(Step::One));
        // A listing that was answered before has put names into the kernel that it takes for new ones until it was waited for.
        if events.iter().any(relists) {
            steps.push(Step::Anew);
        }
        steps
    }

    /// Dropping a directory's name would do as well, and takes the path away from whoever works in it (getcwd(3) fails until
    /// somebody walks there again): so only kernels that know no better are told that.
    fn ask_anew(&self) -> io::Result<()> {
        let header = [HEADER.to_ne_bytes(), NOTIFY_INC_EPOCH.to_ne_bytes()];
        (&self.device).write_all(&[header.concat(), vec![0; 8]].concat())
    }

    fn tell(&self, step: &Step) -> io::Result<()> {
        let number = |ino| self.numbers.number(ino);
        let Step::One(event) = step else {
            return self.ask_anew();
        };
        match event {
            Event::Entry { parent, name }
            | Event::Closed { parent, name }
            | Event::Moved { parent, name } => {
                let name = OsStr::from_bytes(name.as_bytes());
                self.notices.inval_entry(number(*parent), name)
            }
            // A negative offset leaves the pages alone (fuse_reverse_inval_inode).
            Event::Attr(ino) => self.notices.inval_inode(number(*ino), -1, 0),
            Event::Data(ino) | Event::List(ino) => self.notices.inval_inode(number(*ino), 0, 0),
            Event::Relisted(dir) | Event::Shut(dir) => self.relist(*dir),
            Event::Past(_) => self.forget_the_past(),
        }
    }

    /// The same where the kernel would wait: without that, and without the lists that somebody has open.
    fn tell_at_once(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::One(Event::List(dir)) => {
                self.notices.inval_inode(self.numbers.number(*dir), -1, 0)
            }
            Step::One(_) | Step::Anew => self.ask_anew(),
        }
    }

    /// Makes up for what was told at once, now that the kernel waits no longer.
    fn make_up(&self, lock: Lock) -> io::Result<()> {
        match lock {
            Lock::Directory(dir) => {
                self.relist(dir)?;
                self.ask_anew()
            }
            Lock::Past => self.forget_the_past(),
        }
    }

    fn relist(&self, dir: Ino) -> io::Result<()> {
        let dir = self.numbers.number(dir);
        // To forget any name waits until no listing of the directory is under way.
        self.notices.inval_entry(dir, OsStr::new(NO_NAME))?;
        self.notices.inval_inode(dir, 0, 0)
    }

    /// Names at once, and the lists of directories that are open: others are not used any more when they are opened again.
    /// Dropping the name that leads to a moment would not do: below it lives on what is in use, which the kernel finds by
    /// itself from there.
    fn forget_the_past(&self) -> io::Result<()> {
        let told = self.past.looks.begin_to_forget();
        self.ask_anew()?;
        let open = self.past.open();
        let mut relisted = Ok(());
        for dir in &open {
            relisted = relisted.and(self.relist(*dir));
        }
        if !open.is_empty() {
            // What listings under way have put there since is of before.
            self.ask_anew()?;
        }
        relisted?;
        self.past.looks.forgot(told);
        Ok(())
    }
}
