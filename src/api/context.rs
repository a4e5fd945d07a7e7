//! What a command runs in.

use crate::core::{Caller, FsPath, Kind, Result, TenantId, Text};
use crate::fs::{Engine, Found};
use crate::meta::Roster;
use crate::nexus::Nexus;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far long work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
}

/// The reply of a command that has nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// The answer to a yes-or-no question about a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub granted: bool,
}

/// Hears how far long work has come, and says whether anybody waits for its end still.
pub type Tell<'a> = dyn FnMut(Progress) -> bool + 'a;

/// The store, who asks, and whom to tell how far it has come.
pub struct Context<'a> {
    pub nexus: &'a Nexus,
    pub caller: &'a Caller,
    pub tell: &'a mut Tell<'a>,
}

impl Context<'_> {
    pub fn engine(&self) -> &Arc<Engine> {
        &self.nexus.engine
    }

    pub fn tenant(&self) -> Result<TenantId> {
        let none = || self.caller.stranger(Kind::NotFound);
        self.caller.tenant.ok_or_else(none)
    }

    /// The principals of the caller's tenant.
    pub fn roster(&self) -> Result<Arc<Roster>> {
        self.engine().roster(self.tenant()?)
    }

    /// Makes what the command did survive a power cut (semantics.md §5: an API write is durable when it returns).
    pub fn durable<T>(&self, done: T) -> Result<T> {
        self.engine().sync().map(|()| done)
    }
}

/// Parses a path of a request and finds what is there; a link at its end is followed.
pub fn found_at(cx: &Context<'_>, text: &Text) -> Result<(FsPath, Found)> {
    let path = path_of(text)?;
    let found = cx.engine().resolve(cx.caller, &path)?;
    Ok((path, found))
}

/// Parses a path of a request.
pub fn path_of(text: &Text) -> Result<FsPath> {
    FsPath::parse(&text.0)
}
