//! Tells the kernel of one mount what others changed, so that what it keeps is never wrong.

use super::numbers::Numbers;
use crate::core::Result;
use crate::fs::{Event, Notice};
use fuser::Notifier;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::mpsc::Receiver;
use std::thread;

/// Follows notices on a thread of its own until the engine stops sending or the mount is gone. Never on a thread that
/// answers requests: the kernel holds locks while it invalidates, and may wait for an answer to let go of them.
pub(super) fn follow(
    notices: Receiver<Notice>,
    kernel: Notifier,
    numbers: Numbers,
    is_alive: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    thread::Builder::new()
        .name("nexus-notify".to_owned())
        .spawn(move || {
            while let Ok(notice) = notices.recv() {
                if !is_alive() {
                    return;
                }
                for event in &notice.events {
                    if let Err(e) = tell(&kernel, &numbers, event) {
                        tracing::warn!(?event, "the kernel was not told of a change: {e}");
                    }
                }
                // Dropping the notice is the confirmation that the kernel knows.
            }
        })?;
    Ok(())
}

fn tell(kernel: &Notifier, numbers: &Numbers, event: &Event) -> io::Result<()> {
    match event {
        Event::Entry { parent, name }
        | Event::Closed { parent, name }
        | Event::Moved { parent, name } => {
            kernel.inval_entry(numbers.number(*parent), OsStr::from_bytes(name.as_bytes()))
        }
        // A negative offset leaves the pages alone (fuse_reverse_inval_inode).
        Event::Attr(ino) => kernel.inval_inode(numbers.number(*ino), -1, 0),
        Event::Data(ino) => kernel.inval_inode(numbers.number(*ino), 0, 0),
    }
}
