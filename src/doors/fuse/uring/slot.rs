//! Where one request at a time lies, and its answer: memory that the kernel and we take turns with.

use super::dispatch::begin;
use super::fields::{Fields, Request};
use crate::doors::fuse::answer::Answer;
use crate::doors::fuse::door::Door;
use crate::fs::Reply;
use bytes::Bytes;
use fuser::Errno;
use io_uring::opcode::UringCmd80;
use io_uring::squeue::Entry128;
use io_uring::types::Fd;
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// `fuse_uring_req_header`: two areas of this length, then `fuse_uring_ent_in_out`.
const AREA: usize = 128;
const HEADER: usize = 2 * AREA + 32;
/// In `fuse_uring_ent_in_out`: `flags`, `commit_id`, `payload_sz`.
const COMMIT_ID: usize = 8;
const PAYLOAD_LEN: usize = 16;
/// The length of `fuse_out_header`.
const OUT_HEADER: u32 = 16;

/// `FUSE_IO_URING_CMD_REGISTER` and `FUSE_IO_URING_CMD_COMMIT_AND_FETCH`.
const REGISTER: u32 = 1;
const COMMIT_AND_FETCH: u32 = 2;

/// An entry of one queue.
pub(super) struct Slot {
    pub queue: u16,
    /// Whether the answer comes later: the kernel has nothing to fill here until then.
    pub is_waiting: bool,
    header: Box<[u8; HEADER]>,
    payload: Box<[u8]>,
    /// The two above, as the kernel is told of them.
    parts: Box<[libc::iovec; 2]>,
}

impl Slot {
    /// Makes room for requests and answers of up to `payload` bytes; what is never used takes no memory.
    pub(super) fn new(queue: u16, payload: usize) -> Self {
        let mut header = Box::new([0; HEADER]);
        let mut payload = vec![0; payload].into_boxed_slice();
        let part = |bytes: &mut [u8]| libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        let parts = Box::new([part(&mut *header), part(&mut payload)]);
        Self {
            queue,
            is_waiting: false,
            header,
            payload,
            parts,
        }
    }

    /// Tells the kernel of this slot, and asks for the first request.
    pub(super) fn register(&self, device: RawFd) -> Entry128 {
        let command = UringCmd80::new(Fd(device), REGISTER)
            .cmd(self.command(0))
            .addr(Some(self.parts.as_ptr().addr() as u64));
        with_len(command.build(), self.parts.len())
    }

    /// Says that the answer lies here, and asks for the next request.
    pub(super) fn commit(&self, device: RawFd) -> Entry128 {
        let id = Fields(&self.header[2 * AREA + COMMIT_ID..]).u64();
        let command = UringCmd80::new(Fd(device), COMMIT_AND_FETCH);
        command.cmd(self.command(id.unwrap_or(0))).build()
    }

    /// `fuse_uring_cmd_req`.
    fn command(&self, commit_id: u64) -> [u8; 80] {
        let mut command = [0; 80];
        command[8..16].copy_from_slice(&commit_id.to_ne_bytes());
        command[16..18].copy_from_slice(&self.queue.to_ne_bytes());
        command
    }

    /// Has the request that lies here answered, and puts the answer in its place; or lets it wait for one that comes through
    /// `later`.
    pub(super) fn answer(&mut self, door: &Door, later: impl FnOnce() -> io::Result<Reply>) {
        let (in_out, rest) = self.header.split_at(AREA);
        let (head, entry) = rest.split_at(AREA);
        let answer = Fields(&entry[PAYLOAD_LEN..])
            .size()
            .and_then(|len| self.payload.get(..len).ok_or(Errno::EINVAL))
            .and_then(|body| Request::parse(in_out, head, body))
            .map(|request| guarded(door, request, later));
        match answer {
            Ok(None) => self.is_waiting = true,
            Ok(Some(answer)) => self.put(answer),
            Err(e) => self.put(Err(e)),
        }
    }

    /// Writes `fuse_out_header` and what follows it.
    pub(super) fn put(&mut self, answer: Answer<Bytes>) {
        self.is_waiting = false;
        let put = answer.and_then(|bytes| {
            let room = self.payload.get_mut(..bytes.len()).ok_or(Errno::EIO)?;
            room.copy_from_slice(&bytes);
            Ok(bytes.len())
        });
        let (len, error) = match put {
            Ok(len) => (u32::try_from(len).unwrap_or(0), 0),
            Err(e) => (0, -e.code()),
        };
        // `unique` stays where it was: it is the third field of both headers.
        let total = len + OUT_HEADER;
        self.header[..4].copy_from_slice(&total.to_ne_bytes());
        self.header[4..8].copy_from_slice(&error.to_ne_bytes());
        let at = 2 * AREA + PAYLOAD_LEN;
        self.header[at..at + 4].copy_from_slice(&len.to_ne_bytes());
    }
}

/// Answers EIO where we panic, as the other doors do: a thread that ended would leave its queue, and the mount with it, without
/// an answer for good. Nothing of a change is in the tables before its commit, which is one step.
fn guarded(
    door: &Door,
    request: Request<'_>,
    later: impl FnOnce() -> io::Result<Reply>,
) -> Option<Answer<Bytes>> {
    catch_unwind(AssertUnwindSafe(|| begin(door, request, later))).unwrap_or_else(|_| {
        tracing::error!("a request of the mount panicked");
        Some(Err(Errno::EIO))
    })
}

#[cfg(test)]
impl Slot {
    /// Lays a request down as the kernel does, true or not.
    pub(super) fn lay(&mut self, header: &[u8], head: &[u8], body: &[u8], body_len: u32) {
        self.header[..header.len()].copy_from_slice(header);
        self.header[AREA..AREA + head.len()].copy_from_slice(head);
        self.payload[..body.len()].copy_from_slice(body);
        let at = 2 * AREA + PAYLOAD_LEN;
        self.header[at..at + 4].copy_from_slice(&body_len.to_ne_bytes());
    }

    /// The header and the bytes that the kernel takes back.
    pub(super) fn taken(&self) -> (&[u8], &[u8]) {
        let len = Fields(&self.header[2 * AREA + PAYLOAD_LEN..]).size();
        (&self.header[..], &self.payload[..len.unwrap_or(0)])
    }
}

/// Sets the length of a command's array, for which io-uring 0.7 has no setter; goes when `UringCmd80` has one.
fn with_len(mut entry: Entry128, len: usize) -> Entry128 {
    /// `len` of `io_uring_sqe`, counted in words.
    const LEN: usize = 24 / size_of::<u32>();
    let len = u32::try_from(len).unwrap_or(0);
    #[allow(unsafe_code, reason = "the field has no setter")]
    // SAFETY: Entry128 is repr(C), 128 bytes of plain integers aligned to 8, and begins with io_uring_sqe.
    unsafe {
        ptr::from_mut(&mut entry).cast::<u32>().add(LEN).write(len);
    }
    entry
}
