//! The one caller of a mount with a single identity, as the principals are now.

use crate::core::{Caller, Result};
use crate::fs::Engine;
use parking_lot::RwLock;

/// The caller, and the principals' revision that it was last confirmed at.
pub(super) struct Single(RwLock<(u64, Caller)>);

impl Single {
    /// Fails when the agent is somebody else's.
    pub(super) fn new(engine: &Engine, made: &Caller) -> Result<Self> {
        if let (Some(tenant), Some(agent)) = (made.tenant, &made.agent) {
            engine.acting(tenant, made.user_id, agent)?;
        }
        let revision = engine.principals_revision();
        Ok(Self(RwLock::new((revision, engine.confirm(made)))))
    }

    pub(super) fn caller(&self, engine: &Engine) -> Caller {
        // Asked first: what changes from here on is confirmed the next time.
        let revision = engine.principals_revision();
        {
            let known = self.0.read();
            if known.0 == revision {
                return known.1.clone();
            }
        }
        let mut known = self.0.write();
        *known = (revision, engine.confirm(&known.1));
        known.1.clone()
    }
}
