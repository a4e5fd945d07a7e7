//! Tells the kernel of one mount what others changed, so that what it keeps is never wrong.

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
use std::thread;

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

/// Follows notices on a thread of its own until the engine stops sending or the mount is gone. Never on a thread that
/// answers requests: the kernel holds locks while it invalidates, and may wait for an answer to let go of them.
pub(super) fn follow(
    notices: Receiver<Notice>,
    kernel: Kernel,
    (numbers, past): (Numbers, Arc<Past>),
    is_alive: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    let mut telling = Telling {
        notices: kernel.notices,
        device: File::from(kernel.device),
        numbers,
        past,
    };
    // Nothing is kept yet; a kernel that does not know what it is told says so.
    let forgets = telling.ask_anew().is_ok();
    telling.past.can_be_forgotten(forgets);
    let is_mute = is_mute();
    thread::Builder::new()
        .name("nexus-notify".to_owned())
        .spawn(move || {
            while let Ok(notice) = notices.recv() {
                if !is_alive() {
                    return;
                }
                if !is_mute {
                    telling.tell_all(&notice.events);
                }
                // Dropping the notice is the confirmation that the kernel knows.
            }
        })?;
    Ok(())
}

/// Whether kernels are to be told nothing, as the daemon's environment says: with it tests show that they would notice. Of debug
/// builds alone.
fn is_mute() -> bool {
    cfg!(debug_assertions) && config::env(MUTE).is_some()
}

struct Telling {
    notices: Notifier,
    device: File,
    numbers: Numbers,
    past: Arc<Past>,
}

impl Telling {
    fn tell_all(&mut self, events: &[Event]) {
        let closes = |e: &Event| matches!(e, Event::Closed { .. } | Event::Moved { .. });
        let asks_anew = events.iter().any(closes) && self.ask_anew().is_ok();
        for event in events {
            if asks_anew && closes(event) {
                continue;
            }
            if let Err(e) = self.tell(event) {
                tracing::warn!(?event, "the kernel was not told of a change: {e}");
            }
        }
        // A listing that was answered before has put names into the kernel that it takes for new ones until it was waited for.
        if asks_anew
            && events
                .iter()
                .any(|e| matches!(e, Event::Relisted(_) | Event::Shut(_)))
            && let Err(e) = self.ask_anew()
        {
            tracing::warn!("the kernel was not told of a change: {e}");
        }
    }

    /// Dropping a directory's name would do as well, and takes the path away from whoever works in it (getcwd(3) fails until
    /// somebody walks there again): so only kernels that know no better are told that.
    fn ask_anew(&mut self) -> io::Result<()> {
        let header = [HEADER.to_ne_bytes(), NOTIFY_INC_EPOCH.to_ne_bytes()];
        self.device
            .write_all(&[header.concat(), vec![0; 8]].concat())
    }

    fn tell(&mut self, event: &Event) -> io::Result<()> {
        let number = |ino| self.numbers.number(ino);
        match event {
            Event::Entry { parent, name }
            | Event::Closed { parent, name }
            | Event::Moved { parent, name } => {
                let name = OsStr::from_bytes(name.as_bytes());
                self.notices.inval_entry(number(*parent), name)
            }
            // A negative offset leaves the pages alone (fuse_reverse_inval_inode).
            Event::Attr(ino) => self.notices.inval_inode(number(*ino), -1, 0),
            Event::Data(ino) => self.notices.inval_inode(number(*ino), 0, 0),
            Event::Relisted(dir) | Event::Shut(dir) => self.relist(*dir),
            Event::Past(_) => self.forget_the_past(),
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
    fn forget_the_past(&mut self) -> io::Result<()> {
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
