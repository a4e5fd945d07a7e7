//! Who has what on a node by grants, and who may ask.

use super::engine::{Engine, no_node};
use super::grant::To;
use super::ground::allowed;
use super::policy;
use super::reach::reach_of;
use super::view;
use crate::access::domain::{self, ANYBODY, Domain, Grant, Grantee};
use crate::access::{Right, Rights, relation};
use crate::core::{Caller, Error, FsPath, Ino, Kind, PrincipalId, Result, error::fail};
use crate::meta::tuple::Tuple;
use crate::meta::{Node, Principal, Roster, Subject};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was said about a node and what lies above it, with where it was said; the nearest first.
pub(super) type Line = Vec<(Ino, Arc<Domain>)>;

impl Engine {
    /// Whether grants alone give somebody a role on a node, himself or through his groups; an agent through its owner, too,
    /// unless it is isolated. Anybody may ask about himself and his groups; about others it takes ownership of the node.
    pub fn holds(&self, caller: &Caller, ino: Ino, role: &str, who: &To) -> Result<bool> {
        let wanted = relation::rights(relation::role(role)?);
        let (about, reached) = match who {
            // What everyone has, the caller has, too.
            To::Everyone => (caller.user_id, vec![ANYBODY]),
            To::One(subject) => {
                let roster = self.roster_of(caller)?;
                let id = found(&roster, subject)?.id();
                (Some(id), reach_of(&roster, id))
            }
        };
        let node = self.may_ask(caller, ino, about)?;
        Ok(self.graph_rights(node.ino, &reached)?.covers(wanted))
    }

    /// Everybody who has a role on a node by grants, directly or through groups, and the groups themselves. Takes ownership of
    /// the node.
    pub fn expand(&self, caller: &Caller, ino: Ino, role: &str) -> Result<Vec<To>> {
        let wanted = relation::rights(relation::role(role)?);
        let node = self.may_ask(caller, ino, None)?;
        let roster = self.roster(node.tenant)?;
        let line = self.line(&node)?;
        let counting = domain::counting(line.iter().map(|(_, d)| &**d), self.latest());
        let grants: Vec<&Grant> = counting.collect();
        let everyone = sum(&grants, &[ANYBODY]).covers(wanted);
        let has = |id: &PrincipalId| {
            let mut reached = reach_of(&roster, *id);
            // Where everyone has it, he stands for all who are not named.
            reached.retain(|id| !everyone || *id != ANYBODY);
            sum(&grants, &reached).covers(wanted)
        };
        let having = reachable(&roster, &grants).into_iter().filter(has);
        let mut all: Vec<To> = having
            .filter_map(|id| Some(To::One(roster.by_id(id)?.subject())))
            .collect();
        all.extend(everyone.then_some(To::Everyone));
        all.sort();
        Ok(all)
    }

    /// The nodes on which a grant gives somebody a role, for himself or through his groups; as far as the caller may know of
    /// the grant (see [`Engine::grants`]).
    pub fn granted_on(&self, caller: &Caller, role: &str, who: &To) -> Result<BTreeSet<Ino>> {
        let wanted = relation::rights(relation::role(role)?);
        let reached = match who {
            To::Everyone => vec![ANYBODY],
            To::One(subject) => {
                let roster = self.roster_of(caller)?;
                reach_of(&roster, found(&roster, subject)?.id())
            }
        };
        let now = self.latest();
        let fits = |t: &Tuple| {
            let gives = relation::rights(&t.relation).covers(wanted);
            gives && !t.is_expired(now) && policy::names(t, &reached)
        };
        let known = self.grants(caller, fits)?;
        Ok(known.iter().filter_map(|t| t.ino()).collect())
    }

    /// The path of a node, for somebody who may see it; `None` for all others.
    pub fn path_for(&self, caller: &Caller, ino: Ino) -> Result<Option<FsPath>> {
        let walked = self.path_of(ino).and_then(|path| {
            let found = self.resolve_link(caller, &path)?;
            Ok((found.ino == ino).then_some(path))
        });
        match walked {
            Err(e) if matches!(e.kind(), Kind::NotFound | Kind::Denied) => Ok(None),
            other => other,
        }
    }

    /// A node of which a caller may know who has what on it: about himself he may always ask, about anybody when the node
    /// is his. What he may not see is not found.
    pub(super) fn may_ask(
        &self,
        caller: &Caller,
        ino: Ino,
        about: Option<PrincipalId>,
    ) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return fail(
                Kind::Unsupported,
                "this is computed, and nothing is granted on it",
            );
        }
        let node = self.getattr(caller, ino)?;
        self.path_for(caller, ino)?.ok_or_else(|| no_node(ino))?;
        let who = self.reached_by(caller)?;
        let himself = about.is_some_and(|id| who.binary_search(&id).is_ok());
        if himself || allowed(self.may(caller, &node, Right::Own))? {
            return Ok(node);
        }
        fail(
            Kind::NotPermitted,
            "only an owner or an administrator may ask what others have here",
        )
    }

    pub(super) fn line(&self, node: &Node) -> Result<Line> {
        let mut line = Vec::new();
        let mut at = Some(node.ino);
        while let Some(ino) = at {
            line.extend(self.policy.domain(ino).map(|domain| (ino, domain)));
            at = self.parent(&*self.node(ino)?)?;
        }
        Ok(line)
    }

    pub(super) fn roster_of(&self, caller: &Caller) -> Result<Arc<Roster>> {
        match caller.tenant {
            Some(tenant) => self.roster(tenant),
            None => fail(Kind::NotFound, "you belong to no tenant here"),
        }
    }
}

/// A principal by its name; fails with `NotFound` for one the tenant does not have.
pub(super) fn found<'r>(roster: &'r Roster, subject: &Subject) -> Result<&'r Principal> {
    let missing = || {
        Error::new(
            Kind::NotFound,
            format!("no {} {:?}", subject.kind, subject.name),
        )
    };
    roster.named(subject).ok_or_else(missing)
}

fn sum(grants: &[&Grant], who: &[PrincipalId]) -> Rights {
    let theirs = grants.iter().filter(|g| g.is_for(who));
    theirs.fold(Rights::NONE, |sum, g| sum.and(g.rights))
}

/// Whom grants name, who is in those groups, at any depth, and who acts for them: each is entered once, so a ring of groups
/// ends.
fn reachable(roster: &Roster, grants: &[&Grant]) -> BTreeSet<PrincipalId> {
    let named = grants.iter().filter_map(|g| match g.grantee {
        Grantee::Principal(id) => Some(id),
        Grantee::Everyone => None,
    });
    let mut all: BTreeSet<_> = named.collect();
    let mut next: Vec<_> = all.iter().copied().collect();
    while let Some(at) = next.pop() {
        next.extend(roster.members_of(at).filter(|member| all.insert(*member)));
    }
    let acting = roster.agents().filter(|a| !a.isolated && all.contains(&a.owner));
    let acting: Vec<_> = acting.map(|a| a.id).collect();
    all.extend(acting);
    all
}
