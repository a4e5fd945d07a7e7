//! Edits: what one change does to the rows, as the journal holds it and the database gets it.

use super::draft::Draft;
use super::log::Record;
use super::object_type::ObjectType;
use super::principal::{Key, Member, Principal, Unnumbered};
use super::snapshot::Snapshot;
use super::tenant::{Head, Namespace, Tenant};
use super::tuple::Tuple;
use super::{Entry, Node, xattr::Xattr};
use crate::blob::{BlobRow, Pinned};
use crate::core::{Error, Hash, Ino, Kind, Op, Result, TenantId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One edit. New kinds go to the end: a journal of the version before may have to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Edit {
    /// The present state of a node, new or changed.
    Node(Arc<Node>),
    /// A former state of a node and the operation that ended it, for the past.
    NodePast(Arc<Node>, Op),
    /// The node's last name went.
    NodeGone(Ino),
    /// The present meaning of a name.
    Entry(Arc<Entry>),
    /// A name lost its meaning: out of the present, into the past.
    EntryEnded(Arc<Entry>, Op),
    Xattr(Arc<Xattr>),
    XattrEnded(Arc<Xattr>, Op),
    Blob(BlobRow),
    Log(Box<Record>, Hash),
    Head(TenantId, Head),
    /// An access time: no operation, and no guard is over it.
    Atime(Ino, Time),
    /// Every number below this has been given out or reserved.
    Ids(u64),
    Tenant(Tenant, Time),
    /// As the first version made users: numbered at the next start.
    User(Unnumbered, Time),
    Namespace(TenantId, Namespace),
    /// Bytes of a file that is being written.
    Draft(Arc<Draft>),
    /// The file's drafts are part of a version now, or of nothing.
    DraftsDone(Ino),
    /// A user, agent or group, new or changed.
    Principal(Principal),
    PrincipalGone(Principal),
    Member(Member),
    MemberGone(Member),
    Key(Arc<Key>),
    KeyGone(Arc<Key>),
    /// Every uid of the tenant from here on was never given out; what is below may have been.
    Uids(TenantId, u32),
    Tuple(Arc<Tuple>),
    TupleGone(Arc<Tuple>),
    /// A type of a tenant's own, new or changed.
    ObjectType(Arc<ObjectType>),
    /// A type went; its tuples go with edits of their own.
    ObjectTypeGone(Arc<ObjectType>),
    Snapshot(Arc<Snapshot>),
    SnapshotGone(Arc<Snapshot>),
    /// What lies behind an operation of the tenant is forgotten, by the word of another.
    Horizon {
        tenant: TenantId,
        upto: Op,
        by: Op,
    },
    /// A tenant was deleted, with its principals, its relations and its settings; nodes and log stay as history.
    TenantGone(Tenant),
    /// Nodes and snapshots of a deleted tenant are forgotten; the log stays. Written by earlier versions: now rows go a little at
    /// a time, behind the horizon.
    TenantForgotten(TenantId),
}

/// How many rows of an operation on many nodes its record names one by one.
const EACH_MAX: usize = 64;

/// The edits of one change, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    pub list: Vec<Edit>,
    /// Keeps the blobs among them readable until the database has them.
    pub pins: Vec<Arc<Pinned>>,
}

impl FromIterator<Edit> for Edits {
    fn from_iter<I: IntoIterator<Item = Edit>>(edits: I) -> Self {
        Self {
            list: edits.into_iter().collect(),
            pins: Vec::new(),
        }
    }
}

impl Edits {
    pub fn push(&mut self, edit: Edit) {
        self.list.push(edit);
    }

    /// What is logged of a tenant.
    pub fn log_of(&self, tenant: TenantId) -> impl Iterator<Item = &Record> {
        self.list.iter().filter_map(move |edit| match edit {
            Edit::Log(record, _) if record.tenant == tenant => Some(&**record),
            _ => None,
        })
    }

    /// Which rows an operation begins and ends, as its record has it for `verify`: how many of each table, and each by node and
    /// name where they are few.
    pub fn rows_of(&self, op: Op) -> serde_json::Value {
        let mut rows = self.count_of(op);
        if let (Some(each), Some(fields)) = (self.each_of(op), rows.as_object_mut()) {
            fields.insert("each".to_owned(), each);
        }
        rows
    }

    /// Table, node, name and what was done to each row; `None` where they are many, or a name is no text.
    fn each_of(&self, op: Op) -> Option<serde_json::Value> {
        let (mut gone, mut each) = (BTreeSet::new(), Vec::new());
        for edit in &self.list {
            let (table, ino, name, did) = match edit {
                Edit::Node(node) if node.began == op => ("nodes", node.ino, None, "began"),
                Edit::NodeGone(ino) => {
                    gone.insert(*ino);
                    continue;
                }
                Edit::NodePast(old, at) if *at == op => ("nodes", old.ino, None, "ended"),
                Edit::Entry(e) if e.began == op => {
                    ("entries", e.ino, Some(e.name.as_bytes()), "began")
                }
                Edit::EntryEnded(e, at) if *at == op => {
                    ("entries", e.ino, Some(e.name.as_bytes()), "ended")
                }
                Edit::Xattr(x) if x.began == op => ("xattrs", x.ino, Some(&*x.name), "began"),
                Edit::XattrEnded(x, at) if *at == op => ("xattrs", x.ino, Some(&*x.name), "ended"),
                _ => continue,
            };
            let name = name.map(str::from_utf8).transpose().ok()?;
            let row = (table, ino, name, did);
            // What was changed twice was begun once.
            if !each.contains(&row) {
                each.push(row);
            }
            if each.len() > EACH_MAX {
                return None;
            }
        }
        each.retain(|(table, ino, _, did)| {
            *table != "nodes" || *did != "began" || !gone.contains(ino)
        });
        Some(serde_json::json!(each))
    }

    fn count_of(&self, op: Op) -> serde_json::Value {
        let mut new = BTreeSet::new();
        let (mut nodes, mut entries, mut xattrs) = ([0; 2], [0; 2], [0; 2]);
        for edit in &self.list {
            match edit {
                Edit::Node(node) if node.began == op => drop(new.insert(node.ino)),
                Edit::NodeGone(ino) => drop(new.remove(ino)),
                Edit::NodePast(_, ended) if *ended == op => nodes[1] += 1,
                Edit::Entry(new) if new.began == op => entries[0] += 1,
                Edit::EntryEnded(_, ended) if *ended == op => entries[1] += 1,
                Edit::Xattr(new) if new.began == op => xattrs[0] += 1,
                Edit::XattrEnded(_, ended) if *ended == op => xattrs[1] += 1,
                _ => {}
            }
        }
        nodes[0] = new.len();
        serde_json::json!({ "nodes": nodes, "entries": entries, "xattrs": xattrs })
    }

    /// The blobs among them that are files.
    pub fn files(&self) -> Vec<Hash> {
        let file = |edit: &Edit| match edit {
            Edit::Blob(row) => row.file(),
            _ => None,
        };
        self.list.iter().filter_map(file).collect()
    }

    /// Those whose state the engine keeps whole in memory: tenants, their settings, principals, snapshots and horizons.
    pub fn of_tenants(&self) -> Vec<Edit> {
        let kept = |edit: &&Edit| {
            matches!(
                edit,
                Edit::Tenant(..)
                    | Edit::Namespace(..)
                    | Edit::Principal(_)
                    | Edit::PrincipalGone(_)
                    | Edit::Member(_)
                    | Edit::MemberGone(_)
                    | Edit::Key(_)
                    | Edit::KeyGone(_)
                    | Edit::Uids(..)
                    | Edit::Snapshot(_)
                    | Edit::SnapshotGone(_)
                    | Edit::Horizon { .. }
                    | Edit::TenantGone(_)
            )
        };
        self.list.iter().filter(kept).cloned().collect()
    }

    /// Those that say something about objects of a tenant's own types, and about who is in a group, on which that may depend.
    pub fn of_relations(&self) -> Vec<Edit> {
        let says = |edit: &&Edit| match edit {
            Edit::Tuple(t) | Edit::TupleGone(t) => !t.is_of_file(),
            Edit::ObjectType(_)
            | Edit::ObjectTypeGone(_)
            | Edit::Member(_)
            | Edit::MemberGone(_)
            | Edit::PrincipalGone(_)
            | Edit::TenantGone(_) => true,
            _ => false,
        };
        self.list.iter().filter(says).cloned().collect()
    }

    /// Those that say something about nodes beyond their modes: tuples, lists, boundaries.
    pub fn of_policy(&self) -> Vec<Edit> {
        let says = |edit: &&Edit| match edit {
            Edit::Tuple(t) | Edit::TupleGone(t) => t.is_of_file(),
            Edit::Xattr(x) | Edit::XattrEnded(x, _) => x.is_own(),
            Edit::TenantGone(_) => true,
            _ => false,
        };
        self.list.iter().filter(says).cloned().collect()
    }

    /// The payload of a journal record.
    pub fn encode(&self) -> Result<Vec<u8>> {
        // Most changes fit: a buffer that grows is copied for each doubling.
        postcard::to_extend(&self.list, Vec::with_capacity(1024))
            .map_err(|e| Error::new(Kind::Io, "a change cannot be written down").caused_by(e))
    }

    pub fn decode(payload: &[u8]) -> Result<Self> {
        let list: Vec<Edit> = postcard::from_bytes(payload).map_err(|e| {
            Error::new(
                Kind::Corrupt,
                "the journal holds a change that this version cannot read",
            )
            .caused_by(e)
        })?;
        Ok(Self::from_iter(list))
    }
}
