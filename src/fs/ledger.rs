//! Whether what is said outside the tree is what the log tells: relationships, principals, memberships, keys, types, snapshots.
//!
//! The sum in each record is over the tree. Of these each record names those that came and went, and the log is never
//! thinned: read from its beginning it says which rows there are.

use super::check::Report;
use crate::core::{Op, Result};
use crate::db::Tx;
use crate::meta::{OpKind, Record, Tenant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A row outside the tree, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Relationship(u64),
    Principal(u64),
    /// A group and a member.
    Membership(u64, u64),
    Key(u64),
    Type(u64),
    Snapshot(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relationship(id) => write!(f, "relationship {id}"),
            Self::Principal(id) => write!(f, "principal {id}"),
            Self::Membership(group, member) => write!(f, "the membership of {member} in {group}"),
            Self::Key(id) => write!(f, "key {id}"),
            Self::Type(id) => write!(f, "object type {id}"),
            Self::Snapshot(name) => write!(f, "snapshot {name:?}"),
        }
    }
}

/// What the log has told up to some operation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// With the operation that brought each.
    items: BTreeMap<Item, Op>,
}

impl Ledger {
    /// Takes over the next operation of a tenant.
    pub(super) fn follow(&mut self, record: &Record) {
        use OpKind as K;
        let said = record.details();
        let tuples = |key: &str| each(&said[key], |v| Some(Item::Relationship(id(v)?)));
        let (mut went, mut came) = (tuples("grants"), tuples("granted"));
        went.extend(each(&said["left"], membership));
        came.extend(each(&said["joined"], membership));
        match record.kind {
            K::Grant => {
                went.extend(tuples("replaced"));
                came.extend(tuples("tuple"));
            }
            K::Revoke => went.extend(tuples("tuple")),
            K::User | K::UserCreate | K::AgentCreate | K::GroupCreate => {
                came.extend(said["id"].as_u64().map(Item::Principal));
            }
            K::UserDelete | K::AgentDelete | K::GroupDelete => {
                went.extend(each(&said["principals"], principal));
                went.extend(each(&said["keys"], |v| Some(Item::Key(id(v)?))));
                went.extend(each(&said["members"], membership));
            }
            K::GroupAdd => came.extend(membership(&said)),
            K::GroupRemove => went.extend(membership(&said)),
            K::KeyCreate => came.extend(said["key"].as_u64().map(Item::Key)),
            K::KeyRevoke => went.extend(each(&said["keys"], |v| Some(Item::Key(id(v)?)))),
            K::TypeSet => came.extend(each(&said["types"], |v| Some(Item::Type(id(v)?)))),
            K::TypeDelete => {
                went.extend(each(&said["replaced_types"], |v| Some(Item::Type(id(v)?))));
            }
            K::SnapshotCreate => came.extend(record.note().map(Item::Snapshot)),
            K::SnapshotDelete => went.extend(record.note().map(Item::Snapshot)),
            // The default tenant's log tells of others.
            K::TenantDelete if said["went"]["tenant"] == json!(record.tenant) => {
                self.items
                    .retain(|item, _| matches!(item, Item::Snapshot(_)));
            }
            K::Forget => went.extend(each(&said["snapshots"], snapshot)),
            _ => {}
        }
        for item in went {
            self.items.remove(&item);
        }
        self.items
            .extend(came.into_iter().map(|item| (item, record.op)));
    }

    /// Holds what the whole log has told against the rows.
    pub(super) fn verify(
        mut self,
        tx: &mut dyn Tx,
        of: &Tenant,
        report: &mut Report,
    ) -> Result<()> {
        for item in stored(tx, of)? {
            report.checked += 1;
            if self.items.remove(&item).is_none() {
                report.problem(format!(
                    "tenant {}: {item} is there, and no operation made it",
                    of.name
                ));
            }
        }
        for (item, op) in self.items {
            report.problem(format!(
                "tenant {}: {item} is missing, which operation {op} made",
                of.name
            ));
        }
        Ok(())
    }
}

/// The items that rows of a tenant are, damaged or not: that others tell.
fn stored(tx: &mut dyn Tx, of: &Tenant) -> Result<BTreeSet<Item>> {
    type Numbered = fn(u64) -> Item;
    const NUMBERED: [(&str, Numbered); 6] = [
        ("tuples", Item::Relationship),
        // Those of the first version have no number until the next start.
        ("users", Item::Principal),
        ("agents", Item::Principal),
        ("groups", Item::Principal),
        ("api_keys", Item::Key),
        ("object_types", Item::Type),
    ];
    let mut all = BTreeSet::new();
    for (table, item) in NUMBERED {
        let sql = format!("SELECT id FROM {table} WHERE tenant = $1 AND id > 0");
        for row in tx.query(&sql, &[of.id.into()])? {
            all.insert(item(row.uint(0)?));
        }
    }
    let sql = "SELECT group_id, member FROM members WHERE tenant = $1";
    for row in tx.query(sql, &[of.id.into()])? {
        all.insert(Item::Membership(row.uint(0)?, row.uint(1)?));
    }
    let sql = "SELECT name FROM snapshots WHERE tenant = $1";
    for row in tx.query(sql, &[of.id.into()])? {
        all.insert(Item::Snapshot(row.text(0)?.to_owned()));
    }
    Ok(all)
}

/// What a record says of one or of several.
fn each(said: &Value, item: impl Fn(&Value) -> Option<Item>) -> Vec<Item> {
    match said {
        Value::Array(all) => all.iter().filter_map(item).collect(),
        one => item(one).into_iter().collect(),
    }
}

fn id(said: &Value) -> Option<u64> {
    said["id"].as_u64()
}

/// A user, agent or group, under the word for its kind.
fn principal(said: &Value) -> Option<Item> {
    let of_kind = said.as_object()?.values().next()?;
    Some(Item::Principal(id(of_kind)?))
}

fn membership(said: &Value) -> Option<Item> {
    let (group, member) = (said["group"].as_u64()?, said["member"].as_u64()?);
    Some(Item::Membership(group, member))
}

fn snapshot(said: &Value) -> Option<Item> {
    Some(Item::Snapshot(said["name"].as_str()?.to_owned()))
}
