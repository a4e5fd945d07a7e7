//! Grants: relationship tuples on nodes, who may make them, and boundaries.

use super::commit::Change;
use super::engine::Engine;
use super::holders::found;
use super::view;
use crate::access::{Right, relation};
use crate::core::{Caller, Error, Ino, Kind, Result, Time, error::fail};
use crate::meta::tuple::{EVERYBODY, FILE, Tuple};
use crate::meta::{Edit, Node, OpKind, Roster, Subject, SubjectKind, Xattr, xattr};
use serde_json::json;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Whom a grant is to reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// A user, an agent, or the members of a group.
    One(Subject),
    /// Every user of the tenant, and every agent that acts with its owner's rights.
    Everyone,
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(subject) => subject.fmt(f),
            Self::Everyone => write!(f, "{}:{EVERYBODY}", SubjectKind::User),
        }
    }
}

impl FromStr for To {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let one: Subject = text.parse()?;
        let all = Subject::new(SubjectKind::User, EVERYBODY);
        Ok(if one == all {
            Self::Everyone
        } else {
            Self::One(one)
        })
    }
}

impl Engine {
    /// Gives somebody a role on a node, until `expires` if that is said. Takes ownership of the node: nobody gives more than he
    /// has. Said again it only sets the end anew.
    pub fn grant(
        &self,
        caller: &Caller,
        ino: Ino,
        role: &str,
        to: &To,
        expires: Option<Time>,
    ) -> Result<Arc<Tuple>> {
        let role = relation::role(role)?;
        if expires.is_some_and(|end| end <= self.latest()) {
            return fail(Kind::Invalid, "the grant would have ended already");
        }
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            let node = self.may_rule(caller, ino)?;
            let (kind, id) = named(caller, &*self.roster(node.tenant)?, to)?;
            let new = Tuple {
                id: self.next_id(),
                tenant: node.tenant,
                object_type: FILE.to_owned(),
                object_id: ino.to_string(),
                relation: role.to_owned(),
                subject_type: kind,
                subject_id: id,
                subject_relation: String::new(),
                created: ch.now,
                expires,
            };
            ch.add_tuple(new, &node)
        })
    }

    /// Takes a grant back. Takes ownership of the node or object, or to be the one who was granted it.
    pub fn revoke(&self, caller: &Caller, id: u64) -> Result<Arc<Tuple>> {
        self.change(caller, |ch| {
            let missing = || Error::new(Kind::NotFound, format!("no relationship tuple {id}"));
            let tuple = self.tuple(id).ok_or_else(missing)?;
            if !self.knows(caller, &tuple)? {
                return Err(missing());
            }
            // An isolated agent has nothing of its owner's, not even to give up.
            let user = caller.user_id.filter(|_| !caller.isolated);
            let mut own = [caller.agent_id, user].into_iter().flatten();
            let is_his_own = own.any(|id| tuple.principal() == Some(id));
            let Some(ino) = tuple.ino() else {
                ch.unrelate(&tuple, is_his_own)?;
                return Ok(tuple);
            };
            let node = self.node(ino)?;
            if !is_his_own {
                self.path_for(caller, node.ino)?.ok_or_else(missing)?;
                self.may_rule(caller, node.ino)?;
            }
            let path = self.path_of(node.ino)?;
            ch.edit(Edit::TupleGone(tuple.clone()));
            ch.forget_below(&node)?;
            ch.record(
                OpKind::Revoke,
                node.ino,
                &path,
                None,
                &json!({ "tuple": tuple, "subject": self.subject_of(&tuple)? }),
            );
            Ok(tuple)
        })
    }

    /// Whether grants from above end at a node, or at what a view shows of one; for who sees it.
    pub fn is_restricted(&self, caller: &Caller, ino: Ino) -> Result<bool> {
        self.getattr(caller, ino)?;
        let all = self.attributes(caller, ino)?;
        Ok(all.iter().any(|x| x.name == xattr::RESTRICTED))
    }

    /// Makes a boundary of a node, or takes it away: grants from above end there, the owner's do not. Takes ownership. Gives
    /// whether that changed anything.
    pub fn restrict(&self, caller: &Caller, ino: Ino, on: bool) -> Result<bool> {
        self.change(caller, |ch| {
            ch.birth(ino, None)?;
            let node = self.may_rule(caller, ino)?;
            let all = self.xattrs(ino)?;
            let old = all.iter().find(|x| x.name == xattr::RESTRICTED);
            match (old, on) {
                (None, true) => ch.add_xattr(Xattr {
                    ino,
                    name: xattr::RESTRICTED.to_vec(),
                    value: b"1".to_vec(),
                    began: ch.op(),
                }),
                (Some(old), false) => ch.end_xattr(old),
                _ => return Ok(false),
            }
            ch.forget_below(&node)?;
            let path = self.path_of(ino)?;
            ch.record(
                OpKind::Restrict,
                ino,
                &path,
                None,
                &json!({ "restricted": !on }),
            );
            Ok(true)
        })
    }

    /// A node whose grants the caller may change: he owns it. What he may not see is not found.
    pub(super) fn may_rule(&self, caller: &Caller, ino: Ino) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return view::read_only();
        }
        let node = self.getattr(caller, ino)?;
        self.may_reach(caller, &node)?;
        self.locate(ino)?.writable(caller)?;
        self.may(caller, &node, Right::Own)?;
        Ok(node)
    }
}

impl Change<'_> {
    fn add_tuple(&mut self, new: Tuple, node: &Node) -> Result<Arc<Tuple>> {
        let mut twins = self.tuples_on(node.ino);
        twins.retain(|t| t.says_as(&new));
        let path = self.engine.path_of(node.ino)?;
        if let [twin] = &*twins
            && twin.expires == new.expires
        {
            return Ok(twin.clone());
        }
        for twin in &twins {
            self.edit(Edit::TupleGone(twin.clone()));
        }
        let new = Arc::new(new);
        self.edit(Edit::Tuple(new.clone()));
        self.forget_below(node)?;
        let subject = self.engine.subject_of(&new)?;
        let undo = json!({ "tuple": new, "replaced": twins, "subject": subject });
        self.record(OpKind::Grant, node.ino, &path, None, &undo);
        Ok(new)
    }

    /// Takes away what was granted on a node that goes.
    pub(super) fn drop_grants_on(&mut self, ino: Ino) -> Result<()> {
        let mut going = self.tuples_on(ino).into_iter();
        going.try_for_each(|tuple| self.drop_grant(tuple))
    }

    /// Takes a grant away, which the record of the operation will tell.
    pub(super) fn drop_grant(&mut self, tuple: Arc<Tuple>) -> Result<()> {
        let grantee = self.engine.subject_of(&tuple)?;
        self.edit(Edit::TupleGone(tuple.clone()));
        self.dropped.push((tuple, grantee));
        Ok(())
    }

    /// Brings a grant back, likewise.
    pub(super) fn return_grant(&mut self, tuple: Arc<Tuple>) -> Result<()> {
        let grantee = self.engine.subject_of(&tuple)?;
        self.edit(Edit::Tuple(tuple.clone()));
        self.returned.push((tuple, grantee));
        Ok(())
    }

    /// What was granted on a node.
    pub(super) fn tuples_on(&self, ino: Ino) -> Vec<Arc<Tuple>> {
        let domain = self.engine.policy.domain(ino).unwrap_or_default();
        let ids = domain.granted();
        ids.filter_map(|id| self.engine.tuple(id)).collect()
    }
}

/// A subject as tuples name it; fails with `NotFound` for one the tenant does not have.
fn named(caller: &Caller, roster: &Roster, to: &To) -> Result<(String, String)> {
    let To::One(subject) = to else {
        return Ok((SubjectKind::User.to_string(), EVERYBODY.to_owned()));
    };
    let found = found(caller, roster, subject)?;
    Ok((subject.kind.to_string(), found.id().0.to_string()))
}
