//! Who has what on a node by grants, and who may ask.

use super::engine::{Engine, no_node};
use super::grant::To;
use super::ground::{allowed, allowed_to};
use super::policy::TRIES;
use super::principals::no_principal;
use super::reach::reach_of;
use super::view;
use crate::access::domain::{ANYBODY, Grantee};
use crate::access::{Ground, Right, relation};
use crate::core::{Caller, Error, FsPath, Ino, Kind, PrincipalId, Result, error::fail};
use crate::meta::tuple::Tuple;
use crate::meta::{Node, Principal, Roster, Subject, SubjectKind};
use std::collections::BTreeSet;
use std::sync::Arc;

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
                let id = found(caller, &roster, subject)?.id();
                (Some(id), reach_of(&roster, id))
            }
        };
        let node = self.may_ask(caller, ino, about)?;
        let granted = self.ground(caller, &node)?.granted_to(&reached);
        Ok(granted.covers(wanted))
    }

    /// Everybody who has a role on a node by grants, directly or through groups, and the groups themselves. Takes ownership of
    /// the node.
    pub fn expand(&self, caller: &Caller, ino: Ino, role: &str) -> Result<Vec<To>> {
        let wanted = relation::rights(relation::role(role)?);
        let node = self.may_ask(caller, ino, None)?;
        let roster = self.roster(node.tenant)?;
        let ground = self.ground(caller, &node)?;
        let everyone = ground.granted_to(&[ANYBODY]).covers(wanted);
        let has = |id: &PrincipalId| {
            let mut reached = reach_of(&roster, *id);
            // Where everyone has it, he stands for all who are not named.
            reached.retain(|id| !everyone || *id != ANYBODY);
            ground.granted_to(&reached).covers(wanted)
        };
        let having = reachable(&roster, &ground).into_iter().filter(has);
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
                reach_of(&roster, found(caller, &roster, subject)?.id())
            }
        };
        let now = self.latest();
        let fits = |t: &Tuple| {
            let gives = relation::rights(&t.relation).covers(wanted);
            gives && !t.is_expired(now) && t.names(&reached)
        };
        let known = self.grants(caller, fits)?;
        Ok(known.iter().filter_map(|t| t.ino()).collect())
    }

    /// A path of a node, for somebody who may see it there; `None` for all others.
    pub fn path_for(&self, caller: &Caller, ino: Ino) -> Result<Option<FsPath>> {
        let Some(mut paths) = allowed_to(self.paths_of(ino))? else {
            return Ok(None);
        };
        for _ in 0..TRIES {
            let before = self.policy.revision();
            for path in &paths {
                let walked = allowed_to(self.resolve_link(caller, path))?;
                if walked.is_some_and(|found| found.ino == ino) {
                    return Ok(Some(path.clone()));
                }
            }
            let walked = paths;
            paths = allowed_to(self.paths_of(ino))?.unwrap_or_default();
            // Else it was moved away while he walked there, and perhaps back again.
            if paths == walked && self.policy.revision() == before {
                break;
            }
        }
        Ok(None)
    }

    /// A path of a node, for somebody whom a listing of its directory shows it.
    pub fn listed_path(&self, caller: &Caller, ino: Ino) -> Result<Option<FsPath>> {
        for path in allowed_to(self.paths_of(ino))?.unwrap_or_default() {
            let there = allowed_to(self.resolve_link(caller, &path))?;
            if there.is_some_and(|found| found.ino == ino) && self.lists(caller, &path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn paths_of(&self, ino: Ino) -> Result<Vec<FsPath>> {
        let mut paths = Vec::new();
        let node = self.node(ino)?;
        for place in self.places(&node)? {
            paths.push(self.path_of(place.parent)?.join(place.name.clone()));
        }
        if node.is_dir() && paths.is_empty() {
            paths.push(self.path_of(ino)?);
        }
        Ok(paths)
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

    pub(super) fn roster_of(&self, caller: &Caller) -> Result<Arc<Roster>> {
        match caller.tenant {
            Some(tenant) => self.roster(tenant),
            None => Err(caller.stranger(Kind::NotFound)),
        }
    }
}

impl Engine {
    /// Fails with `NotFound` when the caller's tenant has nobody of a name.
    pub fn is_known(&self, caller: &Caller, subject: &Subject) -> Result<()> {
        found(caller, &*self.roster_of(caller)?, subject).map(drop)
    }
}

/// A principal by its name; fails with `NotFound` for one the tenant does not have, and says so where the name is that of
/// another kind of principal.
pub(super) fn found<'r>(
    caller: &Caller,
    roster: &'r Roster,
    subject: &Subject,
) -> Result<&'r Principal> {
    roster.named(subject).ok_or_else(|| {
        let Subject { kind, name } = subject;
        // Users and groups are no secret; whose agents there are is.
        let is_told = |found: &Principal| match found {
            Principal::Agent(agent) => caller.admin || caller.user_id == Some(agent.owner),
            Principal::User(_) | Principal::Group(_) => true,
        };
        let others = SubjectKind::ALL.into_iter().filter(|other| other != kind);
        let mut named = others.filter_map(|other| roster.named(&Subject::new(other, name)));
        match named.find(|found| is_told(found)).map(Principal::subject) {
            Some(other) => {
                let is = match other.kind {
                    SubjectKind::Agent => "an agent",
                    SubjectKind::User => "a user",
                    SubjectKind::Group => "a group",
                };
                let message = format!("no {kind} {name:?}: {name} is {is}, say {other}");
                Error::new(Kind::NotFound, message)
            }
            None => no_principal(*kind, name),
        }
    })
}

/// Whom grants name, who is in those groups, at any depth, and who acts for them.
fn reachable(roster: &Roster, ground: &Ground) -> BTreeSet<PrincipalId> {
    let grants = ground.lines().flatten().flat_map(|domain| &domain.grants);
    let named = grants.filter_map(|g| match g.grantee {
        Grantee::Principal(id) => Some(id),
        Grantee::Everyone => None,
    });
    let mut all: BTreeSet<_> = named.collect();
    all.extend(roster.all_members_of(all.iter().copied().collect()));
    let acting = roster
        .agents()
        .filter(|a| !a.isolated && all.contains(&a.owner));
    let acting: Vec<_> = acting.map(|a| a.id).collect();
    all.extend(acting);
    all
}
