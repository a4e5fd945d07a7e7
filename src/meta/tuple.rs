//! Relationship tuples: subject, relation, object (Zanzibar's words).

use super::page::naming;
use super::sum::{Guarded, Summer};
use crate::core::{Ino, PrincipalId, Result, TenantId, Time};
use crate::db::{Row, Tx};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The type of objects that are nodes.
pub const FILE: &str = "file";
/// The type of objects that are groups.
pub const GROUP: &str = "group";
/// The relation of who is in a group to it.
pub const MEMBER: &str = "member";
/// A subject that stands for everybody of its type.
pub const EVERYBODY: &str = "*";
/// Stands for everybody among those whom grants may name; lower than every number that is given.
pub const ANYBODY: PrincipalId = PrincipalId(0);
/// The types of subjects that are principals.
pub const PRINCIPALS: [&str; 3] = ["user", "agent", "group"];

/// A stored tuple. Numbers of nodes and principals are written in decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    pub id: u64,
    pub tenant: TenantId,
    pub object_type: String,
    pub object_id: String,
    pub relation: String,
    pub subject_type: String,
    pub subject_id: String,
    /// The relation that makes a userset of the subject; empty for the subject itself.
    pub subject_relation: String,
    pub created: Time,
    pub expires: Option<Time>,
}

impl Tuple {
    /// Whether its object is a node, and not an object of a type of the tenant's own.
    pub fn is_of_file(&self) -> bool {
        self.object_type == FILE
    }

    /// The node that it is about, if its object is one.
    pub fn ino(&self) -> Option<Ino> {
        let number = self.is_of_file().then(|| self.object_id.parse().ok());
        let number = number.flatten();
        number.map(Ino)
    }

    /// The group that it is about, if its object is one.
    pub fn group(&self) -> Option<PrincipalId> {
        let number = (self.object_type == GROUP).then(|| self.object_id.parse().ok());
        number.flatten().map(PrincipalId)
    }

    /// The principal that it names, if its subject is one.
    pub fn principal(&self) -> Option<PrincipalId> {
        let is_one = PRINCIPALS.contains(&self.subject_type.as_str());
        let number = is_one.then(|| self.subject_id.parse().ok()).flatten();
        number.map(PrincipalId)
    }

    /// Whether it names one of `who`, which is sorted, or everybody and that is among them.
    pub fn names(&self, who: &[PrincipalId]) -> bool {
        match self.principal() {
            Some(id) => who.binary_search(&id).is_ok(),
            None => self.is_for_everybody() && who.first() == Some(&ANYBODY),
        }
    }

    /// Whether its subject is everybody of a type of principals.
    pub fn is_for_everybody(&self) -> bool {
        self.subject_id == EVERYBODY && PRINCIPALS.contains(&self.subject_type.as_str())
    }

    /// To the instant of its end it holds, and not from then on.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Whether it says the same of the same, whatever its number and times.
    pub fn says_as(&self, other: &Self) -> bool {
        self.tenant == other.tenant && self.words() == other.words()
    }

    /// What it says of what: a tenant has each of these once.
    pub fn words(&self) -> [&str; 6] {
        [
            &self.object_type,
            &self.object_id,
            &self.relation,
            &self.subject_type,
            &self.subject_id,
            &self.subject_relation,
        ]
    }
}

impl Guarded for Tuple {
    fn guard(&self) -> i64 {
        Summer::new("tuples")
            .int(self.id)
            .int(self.tenant.0.into())
            .bytes(self.object_type.as_bytes())
            .bytes(self.object_id.as_bytes())
            .bytes(self.relation.as_bytes())
            .bytes(self.subject_type.as_bytes())
            .bytes(self.subject_id.as_bytes())
            .bytes(self.subject_relation.as_bytes())
            .time(self.created)
            .opt_time(self.expires)
            .sum()
    }

    fn what(&self) -> String {
        format!("relationship {}, in table tuples,", self.id)
    }
}

/// The tuples that a record of the log tells of, one or several; what cannot be read as one is left out.
pub fn told(said: &Value) -> Vec<Arc<Tuple>> {
    let one = |v: &Value| Tuple::deserialize(v).ok().map(Arc::new);
    match said {
        Value::Array(all) => all.iter().filter_map(one).collect(),
        single => one(single).into_iter().collect(),
    }
}

const SELECT: &str = "SELECT id, tenant, object_type, object_id, relation, subject_type, subject_id, subject_relation, \
                      created, expires, sum FROM tuples";

/// Takes the texts out of a row: there may be millions.
fn from_row(row: &mut Row) -> Result<Tuple> {
    Ok(Tuple {
        id: row.uint(0)?,
        tenant: TenantId(row.u32(1)?),
        object_type: row.take_text(2)?,
        object_id: row.take_text(3)?,
        relation: row.take_text(4)?,
        subject_type: row.take_text(5)?,
        subject_id: row.take_text(6)?,
        subject_relation: row.take_text(7)?,
        created: Time(row.int(8)?),
        expires: row.opt_int(9)?.map(Time),
    })
}

/// One page of the tuples of all tenants: those after a number, each with its own verdict.
pub fn page(tx: &mut dyn Tx, after: u64, limit: u32) -> Result<super::Page<u64, Tuple>> {
    let sql = format!("{SELECT} WHERE id > $1 ORDER BY id LIMIT $2");
    let rows = tx.query(&sql, &[after.into(), limit.into()])?;
    let of = ("tuples", 1);
    let verdict = |row: &mut Row| {
        let read = from_row(row).and_then(|tuple| Ok((tuple, row.int(10)?)));
        let (tuple, guard) = naming(of, row, read)?;
        tuple.guarded_by(guard)
    };
    rows.into_iter()
        .map(|mut row| Ok((naming(of, &row, row.uint(0))?, verdict(&mut row))))
        .collect()
}

/// The tuples on some nodes of a tenant, the oldest first.
pub fn on(tx: &mut dyn Tx, tenant: TenantId, nodes: &[Ino]) -> Result<Vec<Tuple>> {
    let sql = |places: &[String]| {
        let texts: Vec<_> = places
            .iter()
            .map(|place| format!("CAST(CAST({place} AS BIGINT) AS TEXT)"))
            .collect();
        let texts = texts.join(",");
        format!("{SELECT} WHERE tenant = $1 AND object_type = '{FILE}' AND object_id IN ({texts})")
    };
    let mut found = Vec::new();
    super::batch::ask(tx, &[tenant.into()], nodes, sql, |row| {
        found.push(from_row(row)?.guarded_by(row.int(10)?)?);
        Ok(())
    })?;
    found.sort_by_key(|tuple| tuple.id);
    Ok(found)
}

/// The tuple that says what another one says: that itself, one with another number, or none.
pub fn twin(tx: &mut dyn Tx, of: &Tuple) -> Result<Option<Tuple>> {
    let sql = format!(
        "{SELECT} WHERE tenant = $1 AND object_type = $2 AND object_id = $3 AND relation = $4 AND subject_type = $5 \
         AND subject_id = $6 AND subject_relation = $7"
    );
    let words = of.words().into_iter().map(Into::into);
    let params: Vec<_> = std::iter::once(of.tenant.into()).chain(words).collect();
    let found = tx.query(&sql, &params)?.into_iter().next();
    let read = |mut row: Row| from_row(&mut row)?.guarded_by(row.int(10)?);
    found.map(read).transpose()
}

/// Writes the guards of all rows anew, as those of an earlier version need it.
pub(super) fn guard_all(tx: &mut dyn Tx) -> Result<()> {
    for mut row in tx.query(SELECT, &[])? {
        let tuple = from_row(&mut row)?;
        let params = [tuple.guard().into(), tuple.id.into()];
        tx.execute("UPDATE tuples SET sum = $1 WHERE id = $2", &params)?;
    }
    Ok(())
}

pub fn put(tx: &mut dyn Tx, t: &Tuple) -> Result<()> {
    tx.execute(
        "INSERT INTO tuples (id, tenant, object_type, object_id, relation, subject_type, subject_id, subject_relation, \
         created, expires, sum) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        &[
            t.id.into(),
            t.tenant.into(),
            t.object_type.as_str().into(),
            t.object_id.as_str().into(),
            t.relation.as_str().into(),
            t.subject_type.as_str().into(),
            t.subject_id.as_str().into(),
            t.subject_relation.as_str().into(),
            t.created.into(),
            t.expires.into(),
            t.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete(tx: &mut dyn Tx, id: u64) -> Result<()> {
    tx.execute("DELETE FROM tuples WHERE id = $1", &[id.into()])?;
    Ok(())
}
