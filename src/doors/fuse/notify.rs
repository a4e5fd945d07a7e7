//! Tells the kernel of one mount what others changed, so that what it keeps is never wrong.

use super::numbers::Numbers;
use crate::core::Result;
use crate::fs::{Event, Notice};
use fuser::Notifier;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::mpsc::Receiver;
use std::thread;

/// Every name that the kernel keeps is asked for again when it is used next (FUSE_NOTIFY_INC_EPOCH of linux/fuse.h,
/// Linux 6.16). fuser 0.18 does not know this notice; goes when it does.
const NOTIFY_INC_EPOCH: i32 = 8;
/// A name that hardly any file has; to one that has it nothing happens.
const NO_NAME: &str = "\u{1}";
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
    numbers: Numbers,
    is_alive: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    let mut telling = Telling {
        notices: kernel.notices,
        device: File::from(kernel.device),
        numbers,
    };
    thread::Builder::new()
        .name("nexus-notify".to_owned())
        .spawn(move || {
            while let Ok(notice) = notices.recv() {
                if !is_alive() {
                    return;
                }
                telling.tell_all(&notice.events);
                // Dropping the notice is the confirmation that the kernel knows.
            }
        })?;
    Ok(())
}

struct Telling {
    notices: Notifier,
    device: File,
    numbers: Numbers,
}

impl Telling {
    fn tell_all(&mut self, events: &[Event]) {
        let closes = events.iter().any(|e| matches!(e, Event::Closed { .. }));
        let asks_anew = closes && self.ask_anew().is_ok();
        for event in events {
            if asks_anew && matches!(event, Event::Closed { .. }) {
                continue;
            }
            if let Err(e) = self.tell(event) {
                tracing::warn!(?event, "the kernel was not told of a change: {e}");
            }
        }
    }

    /// Dropping a directory's name would do as well, and takes the path away from whoever works in it (getcwd(3) fails until
    /// somebody walks there again): so only kernels that know no better are told that.
    fn ask_anew(&mut self) -> io::Result<()> {
        let header = [HEADER.to_ne_bytes(), NOTIFY_INC_EPOCH.to_ne_bytes()];
        self.device
            .write_all(&[header.concat(), vec![0; 8]].concat())
    }

    fn tell(&self, event: &Event) -> io::Result<()> {
        let number = |ino| self.numbers.number(ino);
        match event {
            Event::Entry { parent, name } | Event::Closed { parent, name } => {
                let name = OsStr::from_bytes(name.as_bytes());
                self.notices.inval_entry(number(*parent), name)
            }
            // A negative offset leaves the pages alone (fuse_reverse_inval_inode).
            Event::Attr(ino) => self.notices.inval_inode(number(*ino), -1, 0),
            Event::Data(ino) => self.notices.inval_inode(number(*ino), 0, 0),
            Event::Relisted(dir) => {
                // To forget any name waits until no listing of the directory is under way.
                self.notices
                    .inval_entry(number(*dir), OsStr::new(NO_NAME))?;
                self.notices.inval_inode(number(*dir), 0, 0)
            }
        }
    }
}
