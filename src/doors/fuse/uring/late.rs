//! Answers that come when it is not their slots' turn: left here by whoever has them, for the thread that the slots belong to.

use crate::doors::fuse::answer::Answer;
use crate::doors::fuse::door::Door;
use crate::fs::Reply;
use bytes::Bytes;
use io_uring::opcode::PollAdd;
use io_uring::squeue::Entry128;
use io_uring::types::Fd;
use parking_lot::Mutex;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

/// How much of the bell's ringing is taken off at a time.
const RINGS_MAX: usize = 64;

/// What a thread that waits in its ring hears.
pub(super) struct Late {
    left: Arc<Left>,
    heard: PipeReader,
}

struct Left {
    /// Slots and their answers.
    answers: Mutex<Vec<(usize, Answer<Bytes>)>>,
    bell: PipeWriter,
}

impl Late {
    pub(super) fn new() -> io::Result<Self> {
        let (heard, bell) = io::pipe()?;
        let answers = Mutex::default();
        Ok(Self {
            left: Arc::new(Left { answers, bell }),
            heard,
        })
    }

    /// What leaves the answer for a slot here.
    pub(super) fn reply(&self, slot: usize) -> Reply {
        let left = self.left.clone();
        Box::new(move |said| left.put(slot, Door::waited(said).map(|()| Bytes::new())))
    }

    /// Asks the ring to say when there is something.
    pub(super) fn listen(&self) -> Entry128 {
        let readable = libc::POLLIN.cast_unsigned().into();
        PollAdd::new(Fd(self.heard.as_raw_fd()), readable)
            .build()
            .into()
    }

    /// Takes what is here, after the ring has said so.
    pub(super) fn take(&mut self) -> io::Result<Vec<(usize, Answer<Bytes>)>> {
        let _rings = self.heard.read(&mut [0; RINGS_MAX])?;
        Ok(std::mem::take(&mut *self.left.answers.lock()))
    }
}

impl Left {
    fn put(&self, slot: usize, answer: Answer<Bytes>) {
        let mut answers = self.answers.lock();
        let is_first = answers.is_empty();
        answers.push((slot, answer));
        drop(answers);
        // Rung once for all that is taken together, so that the pipe is never full.
        if is_first && let Err(e) = (&self.bell).write_all(&[1]) {
            tracing::error!("an answer of the mount is lost: {e}");
        }
    }
}
