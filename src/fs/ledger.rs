//! Whether what is said outside the tree is what the log tells: relationships, principals, memberships, keys, types, snapshots,
//! settings of namespaces.
//!
//! The sum in each record is over the tree. Of these each record names those that came and went, and how the row was that
//! came; the log is never thinned: read from its beginning it says which rows there are, and what they are.

use super::check::Report;
use super::seed::standard;
use crate::access::namespace::NAMESPACES;
use crate::core::{Op, Result};
use crate::db::Tx;
use crate::meta::sum::Guarded;
use crate::meta::tenant::{GroupRule, namespaces};
use crate::meta::tuple::Tuple;
use crate::meta::{Member, Namespace, ObjectType, OpKind, Record, Snapshot, Tenant};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// A row with its guard, which stands for all of its fields; `None` where the record is of a version that did not say.
type Row = (Item, Option<i64>);

/// What the log has told up to some operation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// With the operation that brought each, and the guard that it had then.
    items: BTreeMap<Item, (Op, Option<i64>)>,
    /// The operation that set each namespace, and to what; `None` where the record does not say.
    settings: BTreeMap<String, (Op, Option<Namespace>)>,
}

impl Ledger {
    /// Takes over the next operation of a tenant.
    pub(super) fn follow(&mut self, record: &Record) {
        use OpKind as K;
        let said = record.details();
        let tuples = |key: &str| each(&said[key], relationship);
        let keys = || each(&said["keys"], |v| numbered(Item::Key, v));
        let (mut went, mut came) = (tuples("grants"), tuples("granted"));
        went.extend(each(&said["left"], |v| membership(record, v)));
        came.extend(each(&said["joined"], |v| membership(record, v)));
        match record.kind {
            K::Init => self.settings = first_settings(record.op),
            K::Namespace => self.set(record, &said),
            K::Grant => {
                went.extend(tuples("replaced"));
                came.extend(tuples("tuple"));
            }
            K::Revoke => went.extend(tuples("tuple")),
            K::User | K::UserCreate | K::AgentCreate | K::GroupCreate => {
                came.extend(numbered(Item::Principal, &said));
            }
            K::UserDelete | K::AgentDelete | K::GroupDelete => {
                went.extend(each(&said["principals"], principal));
                went.extend(keys());
                went.extend(each(&said["members"], |v| membership(record, v)));
            }
            K::GroupAdd => came.extend(membership(record, &said)),
            K::GroupRemove => went.extend(membership(record, &said)),
            K::KeyCreate => {
                let key = said["key"].as_u64().map(Item::Key);
                came.extend(key.map(|key| (key, said["sum"].as_i64())));
            }
            K::KeyRevoke => went.extend(keys()),
            K::TypeSet => came.extend(each(&said["types"], object_type)),
            K::TypeDelete => went.extend(each(&said["replaced_types"], object_type)),
            K::SnapshotCreate => came.extend(snapshot(record, &said["snapshot"])),
            K::SnapshotDelete => went.extend(snapshot(record, &said["snapshot"])),
            // The default tenant's log tells of others.
            K::TenantDelete if said["went"]["tenant"] == json!(record.tenant) => {
                self.settings.clear();
                self.items
                    .retain(|item, _| matches!(item, Item::Snapshot(_)));
            }
            K::Forget => went.extend(each(&said["snapshots"], |v| snapshot(record, v))),
            _ => {}
        }
        for (item, _) in went {
            self.items.remove(&item);
        }
        let came = came.into_iter();
        self.items
            .extend(came.map(|(item, guard)| (item, (record.op, guard))));
    }

    fn set(&mut self, record: &Record, said: &Value) {
        let name = record.path_text();
        let name = name.trim_start_matches('/').to_owned();
        let set = || {
            let mask = u32::try_from(said["to"]["mask"].as_u64()?).ok()?;
            let group = GroupRule::from_name(said["to"]["group"].as_str()?).ok()?;
            let name = name.clone();
            Some(Namespace { name, mask, group })
        };
        self.settings.insert(name.clone(), (record.op, set()));
    }

    /// Holds what the whole log has told against the rows.
    pub(super) fn verify(
        mut self,
        tx: &mut dyn Tx,
        of: &Tenant,
        report: &mut Report,
    ) -> Result<()> {
        let title = format!("tenant {}", of.name);
        for (item, guard) in stored(tx, of)? {
            report.checked += 1;
            match self.items.remove(&item) {
                None => report.problem(format!(
                    "{title}: {item} is there, and no operation made it"
                )),
                Some((op, Some(made))) if guard != Some(made) => {
                    report.problem(format!("{title}: {item} is not as operation {op} made it"));
                }
                Some(_) => {}
            }
        }
        for (item, (op, _)) in self.items {
            report.problem(format!(
                "{title}: {item} is missing, which operation {op} made"
            ));
        }
        for now in namespaces(tx, of.id)? {
            report.checked += 1;
            let name = &now.name;
            match self.settings.remove(name) {
                None => report.problem(format!(
                    "{title}: settings of /{name} are there, and no operation made them"
                )),
                Some((op, Some(set))) if set != now => report.problem(format!(
                    "{title}: the settings of /{name} are not what operation {op} made them"
                )),
                Some(_) => {}
            }
        }
        for name in self.settings.keys() {
            report.problem(format!("{title}: the settings of /{name} are missing"));
        }
        Ok(())
    }
}

/// What a tenant's namespaces begin with.
fn first_settings(op: Op) -> BTreeMap<String, (Op, Option<Namespace>)> {
    let all = NAMESPACES.iter().map(standard);
    all.map(|ns| (ns.name.clone(), (op, Some(ns)))).collect()
}

/// The rows of a tenant with their guards, damaged or not: that others tell.
fn stored(tx: &mut dyn Tx, of: &Tenant) -> Result<BTreeMap<Item, Option<i64>>> {
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
    let mut all = BTreeMap::new();
    for (table, item) in NUMBERED {
        let sql = format!("SELECT id, sum FROM {table} WHERE tenant = $1 AND id > 0");
        for row in tx.query(&sql, &[of.id.into()])? {
            all.insert(item(row.uint(0)?), row.int(1).ok());
        }
    }
    let sql = "SELECT group_id, member, sum FROM members WHERE tenant = $1";
    for row in tx.query(sql, &[of.id.into()])? {
        let item = Item::Membership(row.uint(0)?, row.uint(1)?);
        all.insert(item, row.int(2).ok());
    }
    let sql = "SELECT name, sum FROM snapshots WHERE tenant = $1";
    for row in tx.query(sql, &[of.id.into()])? {
        all.insert(Item::Snapshot(row.text(0)?.to_owned()), row.int(1).ok());
    }
    Ok(all)
}

/// What a record says of one or of several.
fn each(said: &Value, row: impl Fn(&Value) -> Option<Row>) -> Vec<Row> {
    match said {
        Value::Array(all) => all.iter().filter_map(row).collect(),
        one => row(one).into_iter().collect(),
    }
}

/// A row that is told by its number and its guard.
fn numbered(item: fn(u64) -> Item, said: &Value) -> Option<Row> {
    Some((item(said["id"].as_u64()?), said["sum"].as_i64()))
}

/// The guard of a row that a record has as a whole.
fn guard_of<T: Guarded + DeserializeOwned>(said: &Value) -> Option<i64> {
    let row: T = serde_json::from_value(said.clone()).ok()?;
    Some(row.guard())
}

fn relationship(said: &Value) -> Option<Row> {
    Some((
        Item::Relationship(said["id"].as_u64()?),
        guard_of::<Tuple>(said),
    ))
}

fn object_type(said: &Value) -> Option<Row> {
    Some((
        Item::Type(said["id"].as_u64()?),
        guard_of::<ObjectType>(said),
    ))
}

/// A user, agent or group, under the word for its kind.
fn principal(said: &Value) -> Option<Row> {
    numbered(Item::Principal, said.as_object()?.values().next()?)
}

fn membership(record: &Record, said: &Value) -> Option<Row> {
    let (group, member) = (said["group"].as_u64()?, said["member"].as_u64()?);
    let row = json!({ "tenant": record.tenant, "group": group, "member": member });
    Some((Item::Membership(group, member), guard_of::<Member>(&row)))
}

/// A snapshot, as a whole or by what the record is noted by.
fn snapshot(record: &Record, said: &Value) -> Option<Row> {
    let name = said["name"].as_str().map(str::to_owned);
    let name = name.or_else(|| record.note())?;
    Some((Item::Snapshot(name), guard_of::<Snapshot>(said)))
}
