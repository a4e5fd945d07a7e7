//! Principals, memberships and keys as rows.

use super::{Agent, Group, Key, Member, Principal, Unnumbered, User};
use crate::core::{Error, Hash, KeyId, Kind, PrincipalId, Result, TenantId, Time, error::fail};
use crate::db::{Row, Tx};
use crate::meta::page::naming;
use crate::meta::sum::Guarded;
use crate::meta::tenant::{counter, raise_counter};
use std::sync::Arc;

pub(super) const USERS: &str =
    "SELECT id, tenant, name, uid, gid, full_name, email, created, sum FROM users";
pub(super) const AGENTS: &str =
    "SELECT id, tenant, name, owner, isolated, created, sum FROM agents";
pub(super) const GROUPS: &str = "SELECT id, tenant, name, description, created, sum FROM groups";
pub(super) const MEMBERS: &str = "SELECT tenant, group_id, member, sum FROM members";
pub(super) const KEYS: &str =
    "SELECT id, tenant, principal, hash, description, created, expires, sum FROM api_keys";

pub(super) fn user_from(row: &Row) -> Result<User> {
    Ok(User {
        id: PrincipalId(row.uint(0)?),
        tenant: TenantId(row.u32(1)?),
        name: row.text(2)?.to_owned(),
        uid: row.u32(3)?,
        gid: row.u32(4)?,
        full_name: row.opt_text(5)?.map(str::to_owned),
        email: row.opt_text(6)?.map(str::to_owned),
        created: Time(row.int(7)?),
    })
}

pub(super) fn agent_from(row: &Row) -> Result<Agent> {
    Ok(Agent {
        id: PrincipalId(row.uint(0)?),
        tenant: TenantId(row.u32(1)?),
        name: row.text(2)?.to_owned(),
        owner: PrincipalId(row.uint(3)?),
        isolated: yes_or_no(row, 4)?,
        created: Time(row.int(5)?),
    })
}

/// A truth value; another number is damage that no guard over the truth would show.
fn yes_or_no(row: &Row, column: usize) -> Result<bool> {
    match row.int(column)? {
        0 => Ok(false),
        1 => Ok(true),
        n => fail(
            Kind::Corrupt,
            format!("column {column} should be 0 or 1, found {n}"),
        ),
    }
}

pub(super) fn group_from(row: &Row) -> Result<Group> {
    Ok(Group {
        id: PrincipalId(row.uint(0)?),
        tenant: TenantId(row.u32(1)?),
        name: row.text(2)?.to_owned(),
        description: row.opt_text(3)?.map(str::to_owned),
        created: Time(row.int(4)?),
    })
}

pub(super) fn member_from(row: &Row) -> Result<Member> {
    Ok(Member {
        tenant: TenantId(row.u32(0)?),
        group: PrincipalId(row.uint(1)?),
        member: PrincipalId(row.uint(2)?),
    })
}

pub(super) fn key_from(row: &Row) -> Result<Key> {
    Ok(Key {
        id: KeyId(row.uint(0)?),
        tenant: TenantId(row.u32(1)?),
        of: PrincipalId(row.uint(2)?),
        hash: Hash::from_slice(row.bytes(3)?)?,
        description: row.opt_text(4)?.map(str::to_owned),
        created: Time(row.int(5)?),
        expires: row.opt_int(6)?.map(Time),
    })
}

/// Reads rows of a table whose guard stands in column `guard`, each with its own verdict.
fn judged<T: Guarded>(
    rows: &[Row],
    (table, guard): (&str, usize),
    from: impl Fn(&Row) -> Result<T>,
) -> Vec<Result<T>> {
    let verdict = |row: &Row| {
        let read = || Ok((from(row)?, row.int(guard)?));
        let (found, guard) = naming((table, 3), row, read())?;
        found.guarded_by(guard)
    };
    rows.iter().map(verdict).collect()
}

/// The users that the first version made, who have no number yet, by uid.
pub fn unnumbered(tx: &mut dyn Tx, tenant: TenantId) -> Result<Vec<User>> {
    let sql = format!("{USERS} WHERE tenant = $1 AND id = 0 ORDER BY uid");
    let rows = tx.query(&sql, &[tenant.into()])?;
    judged(&rows, ("users", 8), user_from).into_iter().collect()
}

/// Every principal of a tenant that has a number, each row with its own verdict.
pub fn principals(tx: &mut dyn Tx, tenant: TenantId) -> Result<Vec<Result<Principal>>> {
    let mut of = |select: &str| {
        let sql = format!("{select} WHERE tenant = $1 AND id > 0 ORDER BY id");
        tx.query(&sql, &[tenant.into()])
    };
    let users = judged(&of(USERS)?, ("users", 8), user_from).into_iter();
    let agents = judged(&of(AGENTS)?, ("agents", 6), agent_from).into_iter();
    let groups = judged(&of(GROUPS)?, ("groups", 5), group_from).into_iter();
    let users = users.map(|u| u.map(|u| Principal::User(Arc::new(u))));
    let agents = agents.map(|a| a.map(|a| Principal::Agent(Arc::new(a))));
    let groups = groups.map(|g| g.map(|g| Principal::Group(Arc::new(g))));
    Ok(users.chain(agents).chain(groups).collect())
}

pub fn put_unnumbered(tx: &mut dyn Tx, u: &Unnumbered, created: Time) -> Result<()> {
    let user = User {
        id: PrincipalId(0),
        tenant: u.tenant,
        name: u.name.clone(),
        uid: u.uid,
        gid: u.gid,
        full_name: u.full_name.clone(),
        email: u.email.clone(),
        created,
    };
    put_user(tx, &user)
}

pub fn put(tx: &mut dyn Tx, new: &Principal) -> Result<()> {
    match new {
        Principal::User(u) => put_user(tx, u),
        Principal::Agent(a) => put_agent(tx, a),
        Principal::Group(g) => put_group(tx, g),
    }
}

/// A name that has a row already has one of the first version, which gets its number.
fn put_user(tx: &mut dyn Tx, u: &User) -> Result<()> {
    tx.execute(
        "INSERT INTO users (id, tenant, name, uid, gid, full_name, email, created, sum) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) \
         ON CONFLICT (tenant, name) DO UPDATE SET id = excluded.id, sum = excluded.sum",
        &[
            u.id.into(),
            u.tenant.into(),
            u.name.as_str().into(),
            u.uid.into(),
            u.gid.into(),
            u.full_name.as_deref().into(),
            u.email.as_deref().into(),
            u.created.into(),
            u.guard().into(),
        ],
    )?;
    Ok(())
}

fn put_agent(tx: &mut dyn Tx, a: &Agent) -> Result<()> {
    tx.execute(
        "INSERT INTO agents (id, tenant, name, owner, isolated, created, sum) VALUES ($1,$2,$3,$4,$5,$6,$7)",
        &[
            a.id.into(),
            a.tenant.into(),
            a.name.as_str().into(),
            a.owner.into(),
            u32::from(a.isolated).into(),
            a.created.into(),
            a.guard().into(),
        ],
    )?;
    Ok(())
}

fn put_group(tx: &mut dyn Tx, g: &Group) -> Result<()> {
    tx.execute(
        "INSERT INTO groups (id, tenant, name, description, created, sum) VALUES ($1,$2,$3,$4,$5,$6)",
        &[
            g.id.into(),
            g.tenant.into(),
            g.name.as_str().into(),
            g.description.as_deref().into(),
            g.created.into(),
            g.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete(tx: &mut dyn Tx, old: &Principal) -> Result<()> {
    let sql = match old {
        Principal::User(_) => "DELETE FROM users WHERE tenant = $1 AND id = $2",
        Principal::Agent(_) => "DELETE FROM agents WHERE tenant = $1 AND id = $2",
        Principal::Group(_) => "DELETE FROM groups WHERE tenant = $1 AND id = $2",
    };
    tx.execute(sql, &[old.tenant().into(), old.id().into()])?;
    Ok(())
}

pub fn members(tx: &mut dyn Tx, tenant: TenantId) -> Result<Vec<Result<Member>>> {
    let sql = format!("{MEMBERS} WHERE tenant = $1 ORDER BY group_id, member");
    let rows = tx.query(&sql, &[tenant.into()])?;
    Ok(judged(&rows, ("members", 3), member_from))
}

pub fn put_member(tx: &mut dyn Tx, m: &Member) -> Result<()> {
    tx.execute(
        "INSERT INTO members (tenant, group_id, member, sum) VALUES ($1,$2,$3,$4)",
        &[
            m.tenant.into(),
            m.group.into(),
            m.member.into(),
            m.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete_member(tx: &mut dyn Tx, m: &Member) -> Result<()> {
    tx.execute(
        "DELETE FROM members WHERE tenant = $1 AND group_id = $2 AND member = $3",
        &[m.tenant.into(), m.group.into(), m.member.into()],
    )?;
    Ok(())
}

pub fn keys(tx: &mut dyn Tx, tenant: TenantId) -> Result<Vec<Result<Key>>> {
    let sql = format!("{KEYS} WHERE tenant = $1 ORDER BY id");
    let rows = tx.query(&sql, &[tenant.into()])?;
    Ok(judged(&rows, ("api_keys", 7), key_from))
}

pub fn put_key(tx: &mut dyn Tx, k: &Key) -> Result<()> {
    tx.execute(
        "INSERT INTO api_keys (id, tenant, principal, hash, description, created, expires, sum) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
        &[
            k.id.into(),
            k.tenant.into(),
            k.of.into(),
            (&k.hash).into(),
            k.description.as_deref().into(),
            k.created.into(),
            k.expires.into(),
            k.guard().into(),
        ],
    )?;
    Ok(())
}

pub fn delete_key(tx: &mut dyn Tx, k: &Key) -> Result<()> {
    tx.execute(
        "DELETE FROM api_keys WHERE tenant = $1 AND id = $2",
        &[k.tenant.into(), k.id.into()],
    )?;
    Ok(())
}

/// The lowest uid of a tenant that was never given out by itself; 0 before the first.
pub fn uid_next(tx: &mut dyn Tx, tenant: TenantId) -> Result<u32> {
    let value = counter(tx, &uids_of(tenant))?;
    u32::try_from(value)
        .map_err(|e| Error::new(Kind::Corrupt, format!("uid counter at {value}")).caused_by(e))
}

pub fn set_uid_next(tx: &mut dyn Tx, tenant: TenantId, next: u32) -> Result<()> {
    raise_counter(tx, &uids_of(tenant), next.into())
}

fn uids_of(tenant: TenantId) -> String {
    format!("uid/{}", tenant.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Postgres, Sqlite, server::Server};
    use crate::meta::{Roster, tenant};

    const TENANT: TenantId = TenantId(1);

    fn change(db: &dyn Db, work: impl FnOnce(&mut dyn Tx) -> Result<()>) {
        let mut tx = db.begin().unwrap();
        work(&mut *tx).unwrap();
        tx.commit().unwrap();
    }

    /// A user, her agent, a group, a membership and a key, with everything that may be left out in and left out.
    fn people() -> (Vec<Principal>, Member, Key) {
        let user = User {
            id: PrincipalId(20),
            tenant: TENANT,
            name: "ann".into(),
            uid: 1001,
            gid: 1002,
            full_name: Some("Ann Ä.".into()),
            email: None,
            created: Time(5),
        };
        let agent = Agent {
            id: PrincipalId(21),
            tenant: TENANT,
            name: "coder".into(),
            owner: user.id,
            isolated: true,
            created: Time(6),
        };
        let group = Group {
            id: PrincipalId(22),
            tenant: TENANT,
            name: "ann".into(),
            description: Some("one".into()),
            created: Time(7),
        };
        let member = Member {
            tenant: TENANT,
            group: group.id,
            member: agent.id,
        };
        let key = Key {
            id: KeyId(23),
            tenant: TENANT,
            of: agent.id,
            hash: Hash::of(b"key"),
            description: None,
            created: Time(8),
            expires: Some(Time(i64::MAX)),
        };
        let all = vec![
            Principal::User(user.into()),
            Principal::Agent(agent.into()),
            Principal::Group(group.into()),
        ];
        (all, member, key)
    }

    fn rows_come_back_and_go(db: &dyn Db) {
        db.migrate().unwrap();
        let (all, member, key) = people();
        change(db, |tx| {
            let home = tenant::Tenant {
                id: TENANT,
                name: "default".into(),
                gid: 1,
                root: crate::core::Ino(16),
            };
            tenant::insert_tenant(tx, &home, Time(1))?;
            all.iter().try_for_each(|p| put(tx, p))?;
            put_member(tx, &member)?;
            put_key(tx, &key)?;
            set_uid_next(tx, TENANT, 1002)
        });
        let roster = Roster::load(&mut *db.read().unwrap(), TENANT).unwrap();
        assert!(roster.all().eq(&all));
        assert!(roster.memberships().eq([(member.group, member.member)]));
        assert_eq!(**roster.key_of_hash(&key.hash).unwrap(), key);
        assert_eq!(roster.uid_next(), 1002);
        let sql =
            "SELECT entity_type, parent_type, parent_id FROM entity_registry WHERE created_at = $1";
        let agent = db.read().unwrap().query(sql, &[Time(6).into()]).unwrap();
        let found = |n| agent[0].text(n).unwrap();
        assert_eq!([found(0), found(1), found(2)], ["agent", "user", "ann"]);
        change(db, |tx| {
            delete_member(tx, &member)?;
            delete_key(tx, &key)?;
            all.iter().try_for_each(|p| delete(tx, p))
        });
        let roster = Roster::load(&mut *db.read().unwrap(), TENANT).unwrap();
        assert_eq!(roster.all().count() + roster.keys().count(), 0);
        assert_eq!(roster.memberships().count(), 0);
    }

    #[test]
    fn principals_come_back_from_both_databases_as_they_went_in() {
        let dir = tempfile::tempdir().unwrap();
        rows_come_back_and_go(&Sqlite::open(&dir.path().join("nexus.db")).unwrap());
        let server = Server::start();
        rows_come_back_and_go(&Postgres::connect(&server.database("principals")).unwrap());
    }
}
