//! FUSE over io_uring (Documentation/filesystems/fuse/fuse-io-uring.rst): a queue of requests for each CPU, each request
//! answered and the next one fetched with one system call, by a thread on the CPU of whoever asks.
//!
//! fuser makes the mount, agrees with the kernel, sends notices and reads what goes on coming through `/dev/fuse`: FORGET
//! and INTERRUPT, and everything when a ring cannot be registered. The rings only take over the requests in between.

mod cpus;
mod fields;
mod encode;
mod dispatch;
mod late;
mod slot;
mod worker;
mod rings;

#[cfg(test)]
mod tests;

pub(super) use rings::{Rings, is_enabled};
