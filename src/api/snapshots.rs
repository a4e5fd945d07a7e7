//! Snapshots: names for moments of directories.

use super::Command;
use super::context::{Context, Done, path_of};
use crate::core::{Result, Text};
use crate::history::snapshot;
use crate::meta;
use serde::{Deserialize, Serialize};

/// A snapshot, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub name: String,
    /// The operation that made it.
    pub op: u64,
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// Where its directory was then; nothing where the caller cannot walk there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Text>,
    /// The node number of its directory.
    pub ino: u64,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Snapshot {
    fn of(cx: &Context<'_>, s: &meta::Snapshot) -> Result<Self> {
        let path = snapshot::path_of(cx.engine(), cx.caller, s)?;
        Ok(Self {
            name: s.name.clone(),
            op: s.op.0,
            time: s.created.to_string(),
            path: path.map(|path| Text(path.to_bytes())),
            ino: s.ino.0,
            user: s.user.clone(),
            agent: s.agent.clone(),
            uid: s.uid,
            description: s.description.clone(),
        })
    }
}

/// Gives a directory as it is now a name; takes read permission on it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotCreate {
    pub name: String,
    #[serde(default = "root")]
    pub path: Text,
    #[serde(default)]
    pub description: Option<String>,
}

fn root() -> Text {
    Text::from("/")
}

impl Command for SnapshotCreate {
    const NAME: &'static str = "snapshot_create";
    type Reply = Snapshot;

    fn run(self, cx: &mut Context<'_>) -> Result<Snapshot> {
        let path = path_of(&self.path)?;
        let named = (self.name.as_str(), self.description.as_deref());
        let made = snapshot::create(cx.engine(), cx.caller, &path, named)?;
        let told = Snapshot::of(cx, &made)?;
        cx.durable(told)
    }
}

/// Lists the snapshots of directories that the caller may see, by name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotList {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshots {
    pub snapshots: Vec<Snapshot>,
}

impl Command for SnapshotList {
    const NAME: &'static str = "snapshot_list";
    type Reply = Snapshots;

    fn run(self, cx: &mut Context<'_>) -> Result<Snapshots> {
        let all = cx.engine().snapshots(cx.caller)?;
        let told = all.iter().map(|s| Snapshot::of(cx, s));
        Ok(Snapshots {
            snapshots: told.collect::<Result<_>>()?,
        })
    }
}

/// Shows one snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotShow {
    pub name: String,
}

impl Command for SnapshotShow {
    const NAME: &'static str = "snapshot_show";
    type Reply = Snapshot;

    fn run(self, cx: &mut Context<'_>) -> Result<Snapshot> {
        let found = cx.engine().snapshot(cx.caller, &self.name)?;
        Snapshot::of(cx, &found)
    }
}

/// Deletes a name; what it stood for stays in the past. For who made it, the directory's owner, and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotDelete {
    pub name: String,
}

impl Command for SnapshotDelete {
    const NAME: &'static str = "snapshot_delete";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        cx.engine().delete_snapshot(cx.caller, &self.name)?;
        cx.durable(Done {})
    }
}
