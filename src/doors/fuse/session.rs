//! What is agreed with the kernel when a mount begins.

use fuser::{InitFlags, KernelConfig};
use std::io;
use std::time::Duration;

/// The largest read, write and read-ahead (`fs.fuse.max_pages_limit` is 256 pages).
pub(super) const TRANSFER_MAX: u32 = 1 << 20;
/// How many read-aheads and asynchronous requests may be under way.
const BACKGROUND_MAX: u16 = 64;

/// Asks for what the kernel offers of the features that this door is written for. Not among them: the write-back cache,
/// which would keep changes from other doors; flock(2) locks, which the kernel keeps itself for each mount; and ATOMIC_O_TRUNC,
/// with which a running program would be cut before the kernel says ETXTBSY. Who asks for `rings` must bring them: the
/// kernel lets no request through before.
pub(super) fn configure(config: &mut KernelConfig, rings: bool) -> io::Result<()> {
    let mut wanted = InitFlags::FUSE_ASYNC_READ
        | InitFlags::FUSE_BIG_WRITES
        | InitFlags::FUSE_MAX_PAGES
        | InitFlags::FUSE_PARALLEL_DIROPS
        | InitFlags::FUSE_DO_READDIRPLUS
        | InitFlags::FUSE_READDIRPLUS_AUTO
        | InitFlags::FUSE_CACHE_SYMLINKS
        | InitFlags::FUSE_HANDLE_KILLPRIV_V2
        | InitFlags::FUSE_POSIX_LOCKS
        | InitFlags::FUSE_DONT_MASK;
    if rings {
        wanted |= InitFlags::FUSE_OVER_IO_URING;
    }
    let available = wanted & config.capabilities();
    let refused = |_| io::Error::other("the kernel refuses what it offered");
    config.add_capabilities(available).map_err(refused)?;
    // Each of these answers a refusal with the nearest value that it takes.
    if let Err(nearest) = config.set_max_write(TRANSFER_MAX) {
        tracing::debug!(nearest, "max_write stays at its default");
    }
    if let Err(nearest) = config.set_max_readahead(TRANSFER_MAX) {
        tracing::debug!(nearest, "max_readahead stays at what the kernel offers");
    }
    if let Err(nearest) = config.set_max_background(BACKGROUND_MAX) {
        tracing::debug!(nearest, "max_background stays at its default");
    }
    if let Err(nearest) = config.set_time_granularity(Duration::from_nanos(1)) {
        tracing::debug!(?nearest, "time granularity stays at its default");
    }
    Ok(())
}
