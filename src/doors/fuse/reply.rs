//! Answers on their way back through fuser.

use super::answer::{Answer, Blocks, Entry, NAME_LEN, Opened, Shown, Sized};
use super::locks::Lock;
use super::numbers::BLOCK_SIZE;
use fuser::{
    FileHandle, PollEvents, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyLock,
    ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
};

pub(super) fn done(done: Answer<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(e),
    }
}

pub(super) fn entry(entry: Answer<Entry>, reply: ReplyEntry) {
    match entry {
        Ok(e) => reply.entry_with_ttls(&e.attr_ttl, &e.name_ttl, &e.attr, e.generation),
        Err(e) => reply.error(e),
    }
}

pub(super) fn attr(shown: Answer<Shown>, reply: ReplyAttr) {
    match shown {
        Ok(shown) => reply.attr(&shown.ttl, &shown.attr),
        Err(e) => reply.error(e),
    }
}

pub(super) fn opened(opened: Answer<Opened>, reply: ReplyOpen) {
    match opened {
        Ok(o) => reply.opened(FileHandle(o.handle.0), o.flags),
        Err(e) => reply.error(e),
    }
}

pub(super) fn created(created: Answer<(Entry, Opened)>, reply: ReplyCreate) {
    match created {
        Ok((e, o)) => reply.created(
            // fuser has one here for both: the name is kept for others, too, and some may not see it.
            &e.attr_ttl.min(e.name_ttl),
            &e.attr,
            e.generation,
            FileHandle(o.handle.0),
            o.flags,
        ),
        Err(e) => reply.error(e),
    }
}

pub(super) fn bytes(bytes: Answer<impl AsRef<[u8]>>, reply: ReplyData) {
    match bytes {
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(e) => reply.error(e),
    }
}

pub(super) fn sized(sized: Answer<Sized>, reply: ReplyXattr) {
    match sized {
        Ok(Sized::Length(len)) => reply.size(len),
        Ok(Sized::Bytes(bytes)) => reply.data(&bytes),
        Err(e) => reply.error(e),
    }
}

pub(super) fn written(count: Answer<u32>, reply: ReplyWrite) {
    match count {
        Ok(n) => reply.written(n),
        Err(e) => reply.error(e),
    }
}

pub(super) fn polled(ready: Answer<PollEvents>, reply: ReplyPoll) {
    match ready {
        Ok(events) => reply.poll(events),
        Err(e) => reply.error(e),
    }
}

pub(super) fn lock(found: Answer<Lock>, reply: ReplyLock) {
    match found {
        Ok(lock) => reply.locked(lock.start, lock.end, lock.kind, lock.pid),
        Err(e) => reply.error(e),
    }
}

pub(super) fn sought(found: Answer<i64>, reply: ReplyLseek) {
    match found {
        Ok(offset) => reply.offset(offset),
        Err(e) => reply.error(e),
    }
}

pub(super) fn statfs(blocks: Answer<Blocks>, reply: ReplyStatfs) {
    match blocks {
        Ok(b) => reply.statfs(
            b.total,
            b.free,
            b.available,
            b.files,
            b.files_free,
            BLOCK_SIZE,
            NAME_LEN,
            BLOCK_SIZE,
        ),
        Err(e) => reply.error(e),
    }
}
