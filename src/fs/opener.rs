//! Who opened a file: what open(2) granted him holds for as long as there is such a one.

use super::engine::Engine;
use super::events::Event;
use super::handle::{Handle, Source};
use crate::core::{Caller, Ino, Kind, PrincipalId, Result, TenantId, error::fail};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whom a handle was given to.
pub(super) struct Opener {
    tenant: Option<TenantId>,
    user: Option<PrincipalId>,
    agent: Option<PrincipalId>,
    /// The revision of principals at which he was found among them; 0 for never.
    seen: AtomicU64,
}

impl Opener {
    pub(super) fn of(caller: &Caller) -> Self {
        Self {
            tenant: caller.tenant,
            user: caller.user_id,
            agent: caller.agent_id,
            seen: AtomicU64::new(0),
        }
    }

    fn is_any_of(&self, gone: &[PrincipalId]) -> bool {
        let mut own = self.user.into_iter().chain(self.agent);
        own.any(|id| gone.contains(&id))
    }
}

impl Engine {
    /// Fails with `Denied` for a handle whose opener was deleted since, or his tenant. Costs two loads where no principal was
    /// changed meanwhile.
    pub(super) fn holds_open(&self, handle: &Handle) -> Result<()> {
        let opener = &handle.opener;
        // Before the look: a change that comes in between is met by the next one.
        let revision = self.principals_revision().wrapping_add(1);
        if opener.seen.load(Ordering::Acquire) == revision {
            return Ok(());
        }
        if let Some(tenant) = opener.tenant {
            let roster = self.roster(tenant).ok();
            let is_there = |id| roster.as_ref().is_some_and(|r| r.by_id(id).is_some());
            let mut own = opener.user.into_iter().chain(opener.agent);
            if roster.is_none() || !own.all(is_there) {
                return fail(Kind::Denied, "who opened the file was deleted");
            }
        }
        opener.seen.store(revision, Ordering::Release);
        Ok(())
    }

    /// Has every kernel drop what it keeps of files that principals who are gone have open: it would go on showing it to them.
    pub(super) fn close_to(&self, tenant: TenantId, gone: &[PrincipalId]) {
        let handles = self.files.handles.read();
        let theirs = handles.values().filter(|h| h.opener.is_any_of(gone));
        let files = theirs.filter_map(|handle| match &handle.source {
            Source::Stored(held) => Some(held.file.ino),
            Source::Computed(_) | Source::Kept(_) | Source::Feed(_) => None,
        });
        let files: BTreeSet<Ino> = files.collect();
        drop(handles);
        let events: Vec<Event> = files.into_iter().map(Event::Data).collect();
        self.events.publish(tenant, None, &events);
    }
}

impl Handle {
    /// In whose name something is done through the handle: who is nobody in the store has it from who opened it.
    pub(super) fn hand<'c>(&'c self, caller: &'c Caller) -> &'c Caller {
        match &self.writer {
            Some(writer) if caller.tenant.is_none() => writer,
            _ => caller,
        }
    }
}
