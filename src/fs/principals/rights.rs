//! Who may change whom.

use crate::core::{Caller, FsPath, Kind, PrincipalId, Result, error::fail};
use crate::fs::Engine;
use crate::fs::commit::Change;
use crate::fs::home::Home;
use crate::meta::OpKind;
use std::sync::Arc;

/// Whether the caller decides about what belongs to a user: an administrator does, and the user himself. An agent does
/// not, even of that user: it could give itself what it was not given.
pub(super) fn is_master(caller: &Caller, owner: PrincipalId) -> bool {
    caller.admin || (caller.user_id == Some(owner) && caller.agent.is_none())
}

pub(super) fn master(caller: &Caller, owner: PrincipalId) -> Result<()> {
    if is_master(caller, owner) {
        return Ok(());
    }
    fail(
        Kind::NotPermitted,
        "only the user it belongs to, or an administrator, may do this, and no agent",
    )
}

impl Engine {
    /// The caller's tenant.
    pub(in crate::fs) fn own_home(&self, caller: &Caller) -> Result<Arc<Home>> {
        match caller.tenant {
            Some(tenant) => self.home(tenant),
            None => Err(caller.stranger(Kind::NotFound)),
        }
    }

    /// Gives out a number for a principal.
    pub(super) fn next_principal(&self) -> PrincipalId {
        PrincipalId(self.next_id())
    }
}

impl Change<'_> {
    /// Ends an operation on principals with its record.
    pub(in crate::fs) fn record_of(&mut self, home: &Home, kind: OpKind, undo: &serde_json::Value) {
        self.record(kind, home.tenant.root, &FsPath::default(), None, undo);
    }
}
