//! Commands: a struct, a reply, `run()`. The table below opens every door to them.

pub mod acls;
mod caller;
mod run;
pub mod context;
pub mod failure;
pub mod files;
pub mod log;
pub mod regrouped;
pub mod undo;
pub mod redo;
pub mod trash;
pub mod moment;
pub mod versions;
pub mod snapshots;
pub mod principals;
pub mod agents;
pub mod groups;
pub mod keys;
mod level;
mod expiry;
mod object;
pub mod grants;
pub mod boundaries;
pub mod types;
pub mod checks;
pub mod holders;
pub mod why;
pub mod who;
pub mod reasons;
pub mod changes;
pub mod follow;
pub mod owners;
pub mod remove;
pub mod copy;
pub mod receipt;
pub mod store;
pub mod gc;
pub mod stream;
pub mod grep;
#[cfg(test)]
mod tests;

pub use caller::{Asked, Peer, label, local, os_user, own_user};
pub use context::{Context, Progress, Tell};
pub use failure::Failure;
pub use object::On;
pub use run::{run, to_json};

use crate::core::{Error, Kind, Result, error::fail};
use serde::{Serialize, de::DeserializeOwned};

/// Something a client can ask for: a struct with a reply, the same through every door.
pub trait Command: Serialize + DeserializeOwned {
    /// The last part of its address: `POST /api/NAME`.
    const NAME: &'static str;
    type Reply: Serialize + DeserializeOwned;

    fn run(self, cx: &mut Context<'_>) -> Result<Self::Reply>;
}

macro_rules! commands {
    ($($command:ty,)*) => {
        /// What the commands are called.
        #[cfg(test)]
        const NAMES: &[&str] = &[$(<$command as Command>::NAME,)*];

        /// Runs the command of this name: JSON in, JSON out.
        pub fn dispatch(name: &str, cx: &mut Context<'_>, body: &[u8]) -> Result<Vec<u8>> {
            match name {
                $(<$command as Command>::NAME => answer::<$command>(cx, body),)*
                _ => fail(Kind::NotFound, format!("no command {name:?}")),
            }
        }
    };
}

commands! {
    files::List,
    files::Info,
    files::Mkdir,
    files::Move,
    grep::Grep,
    remove::Remove,
    copy::Copy,
    log::Log,
    undo::Undo,
    undo::Restore,
    redo::Redo,
    trash::TrashList,
    trash::TrashRestore,
    trash::TrashEmpty,
    moment::When,
    versions::Versions,
    versions::Blame,
    versions::Diff,
    log::LogSummary,
    receipt::LogHead,
    snapshots::SnapshotCreate,
    snapshots::SnapshotList,
    snapshots::SnapshotShow,
    snapshots::SnapshotDelete,
    principals::TenantCreate,
    principals::TenantList,
    principals::TenantDelete,
    principals::UserCreate,
    principals::UserList,
    principals::UserShow,
    principals::UserDelete,
    agents::AgentCreate,
    agents::AgentList,
    agents::AgentDelete,
    groups::GroupCreate,
    groups::GroupList,
    groups::GroupShow,
    groups::GroupCheck,
    groups::GroupAdd,
    groups::GroupRemove,
    groups::GroupDelete,
    keys::KeyCreate,
    keys::KeyList,
    keys::KeyRevoke,
    grants::RebacGrant,
    grants::RebacRevoke,
    grants::RebacList,
    boundaries::RebacRestrict,
    boundaries::RebacUnrestrict,
    types::RebacTypeSet,
    types::RebacTypeList,
    types::RebacTypeShow,
    types::RebacTypeDelete,
    checks::RebacCheck,
    checks::RebacCheckMany,
    holders::RebacExpand,
    holders::RebacSubjects,
    holders::RebacObjects,
    why::Why,
    who::Who,
    reasons::RebacWhy,
    changes::RebacChanges,
    owners::Chmod,
    owners::Chown,
    owners::Chgrp,
    principals::NamespaceSet,
    principals::NamespaceList,
    acls::AclGet,
    acls::AclSet,
    store::ShowStats,
    store::Df,
    store::Fsck,
    store::Verify,
    gc::Gc,
    store::CacheDrop,
}

fn answer<C: Command>(cx: &mut Context<'_>, body: &[u8]) -> Result<Vec<u8>> {
    to_json(&run::run_logged(parse::<C>(body)?, cx, body)?)
}

fn parse<C: Command>(body: &[u8]) -> Result<C> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|e| Error::new(Kind::Invalid, format!("{}: {e}", C::NAME)).caused_by(e))
}
