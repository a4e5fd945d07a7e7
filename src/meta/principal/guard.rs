//! Guards on the rows of principals, memberships and keys.

use super::rows::{
    AGENTS, GROUPS, KEYS, MEMBERS, USERS, agent_from, group_from, key_from, member_from, user_from,
};
use super::{Agent, Group, Key, Member, Principal, User};
use crate::core::Result;
use crate::db::{Param, Row, Tx};
use crate::meta::sum::{Guarded, Summer};

impl Guarded for User {
    fn guard(&self) -> i64 {
        Summer::new("users")
            .int(self.id.0)
            .int(self.tenant.0.into())
            .bytes(self.name.as_bytes())
            .int(self.uid.into())
            .int(self.gid.into())
            .text(self.full_name.as_deref())
            .text(self.email.as_deref())
            .time(self.created)
            .sum()
    }

    fn what(&self) -> String {
        format!("user {:?} ({}), in table users,", self.name, self.id.0)
    }
}

impl Guarded for Agent {
    fn guard(&self) -> i64 {
        Summer::new("agents")
            .int(self.id.0)
            .int(self.tenant.0.into())
            .bytes(self.name.as_bytes())
            .int(self.owner.0)
            .int(self.isolated.into())
            .time(self.created)
            .sum()
    }

    fn what(&self) -> String {
        format!("agent {:?} ({}), in table agents,", self.name, self.id.0)
    }
}

impl Guarded for Group {
    fn guard(&self) -> i64 {
        Summer::new("groups")
            .int(self.id.0)
            .int(self.tenant.0.into())
            .bytes(self.name.as_bytes())
            .text(self.description.as_deref())
            .time(self.created)
            .sum()
    }

    fn what(&self) -> String {
        format!("group {:?} ({}), in table groups,", self.name, self.id.0)
    }
}

impl Guarded for Member {
    fn guard(&self) -> i64 {
        Summer::new("members")
            .int(self.tenant.0.into())
            .int(self.group.0)
            .int(self.member.0)
            .sum()
    }

    fn what(&self) -> String {
        let (member, group) = (self.member.0, self.group.0);
        format!("the membership of {member} in {group}, in table members,")
    }
}

impl Guarded for Key {
    fn guard(&self) -> i64 {
        Summer::new("api_keys")
            .int(self.id.0)
            .int(self.tenant.0.into())
            .int(self.of.0)
            .bytes(&self.hash.0)
            .text(self.description.as_deref())
            .time(self.created)
            .opt_time(self.expires)
            .sum()
    }

    fn what(&self) -> String {
        format!("key {}, in table api_keys,", self.id.0)
    }
}

impl Principal {
    /// The guard on its row.
    pub fn guard(&self) -> i64 {
        match self {
            Self::User(u) => u.guard(),
            Self::Agent(a) => a.guard(),
            Self::Group(g) => g.guard(),
        }
    }
}

/// Writes the guards of all rows anew, as those of an earlier version need it.
pub(in crate::meta) fn guard_all(tx: &mut dyn Tx) -> Result<()> {
    for user in read(tx, USERS, user_from)? {
        let key = [user.tenant.into(), user.name.as_str().into()];
        let sql = "UPDATE users SET sum = $1 WHERE tenant = $2 AND name = $3";
        set_guard(tx, sql, &user, &key)?;
    }
    for agent in read(tx, AGENTS, agent_from)? {
        let sql = "UPDATE agents SET sum = $1 WHERE id = $2";
        set_guard(tx, sql, &agent, &[agent.id.into()])?;
    }
    for group in read(tx, GROUPS, group_from)? {
        let sql = "UPDATE groups SET sum = $1 WHERE id = $2";
        set_guard(tx, sql, &group, &[group.id.into()])?;
    }
    for m in read(tx, MEMBERS, member_from)? {
        let key = [m.tenant.into(), m.group.into(), m.member.into()];
        let sql = "UPDATE members SET sum = $1 WHERE tenant = $2 AND group_id = $3 AND member = $4";
        set_guard(tx, sql, &m, &key)?;
    }
    for key in read(tx, KEYS, key_from)? {
        let sql = "UPDATE api_keys SET sum = $1 WHERE id = $2";
        set_guard(tx, sql, &key, &[key.id.into()])?;
    }
    Ok(())
}

/// Reads rows without a look at their guards.
fn read<T>(tx: &mut dyn Tx, sql: &str, from: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    tx.query(sql, &[])?.iter().map(from).collect()
}

fn set_guard(tx: &mut dyn Tx, sql: &str, row: &impl Guarded, key: &[Param<'_>]) -> Result<()> {
    let guard = [row.guard().into()];
    tx.execute(sql, &[&guard, key].concat()).map(drop)
}
