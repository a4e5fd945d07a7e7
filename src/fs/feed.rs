//! Files that grow by themselves: what is read of one comes as time goes by, and poll(2) tells when there is more.

use super::engine::Engine;
use super::events::Wake;
use super::handle::Source;
use crate::core::{Caller, HandleId, Op, Result, TenantId};
use bytes::Bytes;

/// One open file of this sort. Each opener has his own, which begins with what happens next.
pub trait Feed: Send + Sync {
    /// Gives up to `len` bytes at `offset`, as whoever reads may see them now; none while there are no more. Bytes are given
    /// once, in order.
    fn read(&self, caller: &Caller, offset: u64, len: usize) -> Result<Bytes>;

    /// Whether there are bytes for whoever asks; where not, the operation behind which there may be.
    fn ready(&self, caller: &Caller) -> Result<Ready>;
}

/// Whether a feed has bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    Yes,
    /// Not before the tenant's log has grown behind this operation.
    After(TenantId, Op),
}

impl Engine {
    /// Reads from an open file as [`Engine::read`] does, and from one that grows by itself as whoever reads: `who` is asked only
    /// then.
    pub fn read_as(
        &self,
        who: impl FnOnce() -> Caller,
        id: HandleId,
        offset: u64,
        len: usize,
    ) -> Result<Bytes> {
        let handle = self.files.handle(id)?;
        self.holds_open(&handle)?;
        match handle.readable()? {
            Source::Feed(feed) => feed.read(&who(), offset, len),
            other => self.read_source(other, offset, len),
        }
    }

    /// Whether an open file grows by itself, so that nobody can look for a place in it.
    pub fn is_feed(&self, id: HandleId) -> bool {
        let handle = self.files.handle(id);
        handle.is_ok_and(|handle| matches!(handle.source, Source::Feed(_)))
    }

    /// Whether a read has something to give: always, but for files that grow by themselves. Otherwise `wake` is called once, when
    /// it may have; one call a handle is waited for, the last.
    pub fn poll(
        &self,
        who: impl FnOnce() -> Caller,
        id: HandleId,
        wake: Option<Wake>,
    ) -> Result<bool> {
        let handle = self.files.handle(id)?;
        let Source::Feed(feed) = &handle.source else {
            return Ok(true);
        };
        match feed.ready(&who())? {
            Ready::Yes => Ok(true),
            Ready::After(tenant, op) => {
                if let Some(wake) = wake {
                    self.events.wake_behind(tenant, op, id, wake);
                }
                Ok(false)
            }
        }
    }
}
