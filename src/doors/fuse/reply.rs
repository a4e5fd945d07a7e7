//! Replies that need nothing but the result: what went well in the kernel's form, what did not as its errno.

use super::errno::{self, report};
use super::numbers::BLOCK_SIZE;
use crate::core::{Error, Kind, Result};
use crate::fs::StatFs;
use fuser::{Errno, ReplyData, ReplyEmpty, ReplyLseek, ReplyStatfs, ReplyWrite, ReplyXattr};

/// The longest name (NAME_MAX).
const NAME_LEN: u32 = 255;

/// Answers a call that gives nothing back.
pub(super) fn done(call: &'static str, done: Result<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(report(call, &e)),
    }
}

pub(super) fn bytes(call: &'static str, bytes: Result<impl AsRef<[u8]>>, reply: ReplyData) {
    match bytes {
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(e) => reply.error(report(call, &e)),
    }
}

/// Answers getxattr(2) and listxattr(2): with room for nothing, the length is the answer.
pub(super) fn sized(call: &'static str, bytes: Result<Vec<u8>>, room: u32, reply: ReplyXattr) {
    match bytes {
        Ok(bytes) => match u32::try_from(bytes.len()) {
            Ok(len) if room == 0 => reply.size(len),
            Ok(len) if len <= room => reply.data(&bytes),
            _ => reply.error(errno::of(Kind::Range)),
        },
        Err(e) => reply.error(report(call, &e)),
    }
}

/// Answers how many bytes went.
pub(super) fn written(call: &'static str, count: Result<u64>, reply: ReplyWrite) {
    let too_many = |e| Error::new(Kind::TooLarge, "more bytes than a reply can say").caused_by(e);
    match count.and_then(|n| u32::try_from(n).map_err(too_many)) {
        Ok(n) => reply.written(n),
        Err(e) => reply.error(report(call, &e)),
    }
}

/// Answers lseek(2), for which "behind the end" is ENXIO and not ERANGE.
pub(super) fn sought(found: Result<u64>, reply: ReplyLseek) {
    match found.map(i64::try_from) {
        Ok(Ok(offset)) => reply.offset(offset),
        Ok(Err(_)) => reply.error(Errno::EOVERFLOW),
        Err(e) if e.kind() == Kind::Range => reply.error(Errno::ENXIO),
        Err(e) => reply.error(report("lseek", &e)),
    }
}

/// Answers statfs(2), in blocks.
pub(super) fn statfs(space: &StatFs, reply: ReplyStatfs) {
    let blocks = |bytes: u64| bytes / u64::from(BLOCK_SIZE);
    reply.statfs(
        blocks(space.total),
        blocks(space.free),
        blocks(space.available),
        space.files,
        space.files_free,
        BLOCK_SIZE,
        NAME_LEN,
        BLOCK_SIZE,
    );
}
