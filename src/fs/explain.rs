//! Why somebody may do something to a node, or may not.

use super::engine::Engine;
use super::ground::allowed;
use super::holders::found;
use super::policy;
use crate::access::decide::weigh;
use crate::access::domain::{self, Domain, Grant};
use crate::access::{Bits, Ground, Layer, Right, Rights};
use crate::core::{Caller, Ino, Kind, PrincipalId, Result, error::fail};
use crate::meta::tuple::Tuple;
use crate::meta::{Node, Principal, Roster, Subject, User};
use std::sync::Arc;

/// The answer of the judge with what it stands on. Names nothing that the asker may not see.
#[derive(Debug, Clone)]
pub struct Explanation {
    pub allowed: bool,
    /// The layer that decided; `None` too where it does not come to the node's layers.
    pub layer: Layer,
    /// The grant that gave it, where the graph decided; `None` where it is the way to one further down.
    pub by: Option<Arc<Tuple>>,
    /// From whom it is about to whom that grant, or the one that the obstacle takes away, names: the owner an agent acts for, and
    /// each group in the next. Empty where it names everybody.
    pub through: Vec<Subject>,
    /// What is in the way, where it is not allowed.
    pub obstacle: Option<Obstacle>,
    pub node: Arc<Node>,
    /// Whom of those that the mode tells apart he is.
    pub bits: Bits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A directory on the way, or above it, that he may not search.
    Way(Ino),
    /// An entry of this node's list refuses it, whatever else allows it.
    Deny(Ino),
    /// The namespace is not to be changed.
    ReadOnly,
    /// It has several names, and what gives it by one does not by another.
    Names,
    /// A grant on something above would give it, and ends at this boundary.
    Boundary(Ino, Arc<Tuple>),
    /// A grant would give it, and its time is over.
    Ended(Arc<Tuple>),
    /// No grant, list or mode gives it.
    Nothing,
}

impl Obstacle {
    /// The grant that would give it, if this were not.
    pub fn lapsed(&self) -> Option<&Arc<Tuple>> {
        match self {
            Self::Boundary(_, cut) | Self::Ended(cut) => Some(cut),
            Self::Way(_) | Self::Deny(_) | Self::ReadOnly | Self::Names | Self::Nothing => None,
        }
    }
}

impl Engine {
    /// Explains whether a user or an agent has a right on a node. Anybody may ask about himself; about others it takes
    /// ownership of the node.
    pub fn explain(
        &self,
        caller: &Caller,
        subject: &Subject,
        ino: Ino,
        right: Right,
    ) -> Result<Explanation> {
        let roster = self.roster_of(caller)?;
        let about = found(caller, &roster, subject)?;
        let node = self.may_ask(caller, ino, Some(about.id()))?;
        let mut why = self.judged(caller, (&roster, about), &node, right)?;
        let lapsed = why.obstacle.as_ref().and_then(Obstacle::lapsed);
        let tuple = why.by.as_ref().or(lapsed);
        if let Some(named) = tuple.and_then(|t| t.principal()) {
            why.through = through(&roster, about, named);
        }
        Ok(why)
    }

    /// The users and agents whom the judge lets do something to a node, by their numbers behind `after`: those among the next
    /// `most` of the tenant, and where to go on if there are more. Administrators of the store are none of these. Takes ownership
    /// of the node.
    pub fn who_may(
        &self,
        caller: &Caller,
        ino: Ino,
        right: Right,
        (after, most): (PrincipalId, usize),
    ) -> Result<(Vec<Subject>, Option<PrincipalId>)> {
        let node = self.may_ask(caller, ino, None)?;
        let roster = self.roster_of(caller)?;
        let acts = |p: &&Principal| !matches!(p, Principal::Group(_));
        let mut behind = roster.all().filter(acts).filter(|p| p.id() > after);
        let (mut found, mut last) = (Vec::new(), after);
        for about in behind.by_ref().take(most) {
            last = about.id();
            let why = self.judged(caller, (&roster, about), &node, right)?;
            found.extend(why.allowed.then(|| about.subject()));
        }
        Ok((found, behind.next().map(|_| last)))
    }

    /// What the judge says of a principal and a node, whoever may know.
    fn judged(
        &self,
        caller: &Caller,
        (roster, about): (&Roster, &Principal),
        node: &Arc<Node>,
        right: Right,
    ) -> Result<Explanation> {
        let who = self.acting_as(caller, roster, about)?;
        let ground = self.ground(&who, node)?;
        let standing = weigh(&who, node, &ground)?;
        let bits = Bits::of(&who, node, ground.list());
        let mut why = Explanation {
            allowed: standing.allowed().has(right),
            layer: standing.layer(right, bits),
            by: None,
            through: Vec::new(),
            obstacle: None,
            node: node.clone(),
            bits,
        };
        if let Some(dir) = self.stopped_at(&who, node)? {
            let mut obstacle = self.stopping(&who, dir)?;
            // A grant on the node is a way to it, too, while it lasts.
            if let (Obstacle::Way(_), ended @ Obstacle::Ended(_)) =
                (&obstacle, self.refusing(&ground, &who, node, right))
            {
                obstacle = ended;
            }
            why.allowed = false;
            why.layer = match obstacle {
                Obstacle::Deny(_) => Layer::Deny,
                _ => Layer::None,
            };
            why.obstacle = Some(obstacle);
        } else if !why.allowed && self.leads_on(&who, node, right)? {
            (why.allowed, why.layer) = (true, Layer::Graph);
        } else if !why.allowed {
            why.obstacle = Some(self.refusing(&ground, &who, node, right));
        } else if matches!(right, Right::Write | Right::Own) && !self.is_writable(&who, node.ino)? {
            (why.allowed, why.layer) = (false, Layer::None);
            why.obstacle = Some(Obstacle::ReadOnly);
        }
        if why.allowed && why.layer == Layer::Graph {
            let by = giving(&ground, node, right).next();
            why.by = by.and_then(|grant| self.policy.tuple(grant.id));
        }
        Ok(why)
    }

    /// The asker himself, or another principal as a door would bring him.
    fn acting_as(&self, caller: &Caller, roster: &Roster, about: &Principal) -> Result<Caller> {
        let (owner, agent) = match about {
            Principal::User(user) => (Some(user), None),
            Principal::Agent(agent) => {
                let owner = roster.by_id(agent.owner);
                let owner = owner.and_then(|p| match p {
                    Principal::User(user) => Some(user),
                    Principal::Agent(_) | Principal::Group(_) => None,
                });
                (owner, Some(agent))
            }
            Principal::Group(_) => {
                return fail(
                    Kind::Invalid,
                    "a group does nothing itself: say a user or agent:NAME",
                );
            }
        };
        let is_asker = match agent {
            Some(agent) => caller.agent_id == Some(agent.id),
            None => caller.agent.is_none() && caller.user_id == Some(about.id()),
        };
        if is_asker {
            return Ok(caller.clone());
        }
        let as_user = self.as_user(about, owner.map(|u| &**u))?;
        Ok(self.confirm(&Caller {
            agent: agent.map(|a| a.name.as_str().into()),
            agent_id: agent.map(|a| a.id),
            isolated: agent.is_some_and(|a| a.isolated),
            ..as_user
        }))
    }

    fn as_user(&self, about: &Principal, user: Option<&User>) -> Result<Caller> {
        let tenant = self.home(about.tenant())?.tenant.clone();
        let Some(user) = user else {
            return fail(Kind::NotFound, "an agent without an owner does nothing");
        };
        Ok(Caller {
            user: Some(user.name.as_str().into()),
            user_id: Some(user.id),
            admin: false,
            uid: user.uid,
            gid: user.gid,
            groups: [tenant.gid].into(),
            ..Caller::engine(tenant.id)
        })
    }

    /// The highest directory above a node that somebody can neither search nor pass through to what he was granted; `None`
    /// when he comes to one of its names.
    fn stopped_at(&self, who: &Caller, node: &Node) -> Result<Option<Ino>> {
        let mut stop = None;
        for dir in self.parents(node)? {
            match self.stopped_from(who, dir)? {
                None => return Ok(None),
                at => stop = stop.or(at),
            }
        }
        Ok(stop)
    }

    fn stopped_from(&self, who: &Caller, dir: Ino) -> Result<Option<Ino>> {
        let mut stop = None;
        let mut at = Some(dir);
        while let Some(up) = at {
            let dir = self.node(up)?;
            if !allowed(self.sight(who, &dir, Right::Execute).map(drop))? {
                stop = Some(up);
            }
            at = self.parent(&dir)?;
        }
        Ok(stop)
    }

    /// What keeps somebody from searching a directory on the way.
    fn stopping(&self, who: &Caller, dir: Ino) -> Result<Obstacle> {
        let node = self.node(dir)?;
        let ground = self.ground(who, &node)?;
        Ok(match self.refusing(&ground, who, &node, Right::Execute) {
            Obstacle::Nothing | Obstacle::Names => Obstacle::Way(dir),
            found => found,
        })
    }

    /// What is in the way of somebody who has come to a node.
    fn refusing(&self, ground: &Ground, who: &Caller, node: &Node, right: Right) -> Obstacle {
        if let Some(at) = denying(ground, who, node.ino, right) {
            return Obstacle::Deny(at);
        }
        if giving(ground, node, right).next().is_some() {
            return Obstacle::Names;
        }
        let (mut cut, mut ended) = (None, None);
        for line in ground.lines() {
            let found = self.lapsed(line, ground, |grant| gives(grant.rights, node, right));
            (cut, ended) = (cut.or(found.0), ended.or(found.1));
        }
        let tuple = |id| self.policy.tuple(id);
        let cut = cut.and_then(|(at, id)| Some(Obstacle::Boundary(at, tuple(id)?)));
        let ended = || Some(Obstacle::Ended(tuple(ended?)?));
        cut.or_else(ended).unwrap_or(Obstacle::Nothing)
    }

    /// Whether a directory may be passed, and what leads on in it seen, on the way to something granted.
    fn leads_on(&self, who: &Caller, node: &Node, right: Right) -> Result<bool> {
        let looks = node.is_dir() && matches!(right, Right::Read | Right::Execute);
        Ok(looks && allowed(self.sight(who, node, right).map(drop))?)
    }

    fn is_writable(&self, who: &Caller, ino: Ino) -> Result<bool> {
        match self.locate(ino)?.writable(who) {
            Err(e) if e.kind() == Kind::ReadOnly => Ok(false),
            other => allowed(other),
        }
    }
}

/// The number of a grant that a boundary takes away, with that boundary; and of one whose time is over.
type Lapsed = (Option<(Ino, u64)>, Option<u64>);

impl Engine {
    /// What would be given along a line, were it not for one boundary or one end; the nearest of each.
    fn lapsed<'g>(
        &self,
        line: impl Iterator<Item = &'g Domain>,
        ground: &Ground,
        gives: impl Fn(&Grant) -> bool,
    ) -> Lapsed {
        let (mut cut, mut ended) = (None, None);
        let mut boundary = None;
        for domain in line {
            // Decisions do not look at what ended a while ago.
            let over = domain.over.iter().filter_map(|id| self.policy.tuple(*id));
            let over = over.filter_map(|tuple| Some((policy::grant(&tuple)?, true)));
            let told = |grant: &Grant| (grant.clone(), grant.is_expired(ground.now));
            let all = domain.grants.iter().map(told).chain(over);
            for (grant, is_over) in all.filter(|(g, _)| g.is_for(&ground.who) && gives(g)) {
                // Ownership passes boundaries.
                let at = boundary.filter(|_| !grant.rights.covers(Rights::OWN));
                match (at, is_over) {
                    (Some(at), false) => cut = cut.or(Some((at, grant.id))),
                    (None, true) => ended = ended.or(Some(grant.id)),
                    (Some(_), true) | (None, false) => {}
                }
            }
            boundary = boundary.or(domain.restricted.then_some(domain.on));
        }
        (cut, ended)
    }
}

/// The shortest way from a principal to whom a grant names.
fn through(roster: &Roster, about: &Principal, named: PrincipalId) -> Vec<Subject> {
    let own = roster.way(about.id(), named);
    let by_owner = match about {
        Principal::Agent(agent) if !agent.isolated => {
            let way = roster.way(agent.owner, named);
            way.map(|way| [vec![agent.id], way].concat())
        }
        _ => None,
    };
    let ways = own.into_iter().chain(by_owner);
    let way = ways.min_by_key(Vec::len).unwrap_or_default();
    let all = way.into_iter().filter_map(|id| roster.by_id(id));
    all.map(Principal::subject).collect()
}

/// The grants that give somebody a right, by any of the node's names; the nearest first.
fn giving<'g>(ground: &'g Ground, node: &'g Node, right: Right) -> impl Iterator<Item = &'g Grant> {
    let counting = ground
        .lines()
        .flat_map(|line| domain::counting(line, ground.now));
    counting.filter(move |g| g.is_for(&ground.who) && gives(g.rights, node, right))
}

/// Whoever may read a directory by a grant may search it.
fn gives(rights: Rights, node: &Node, right: Right) -> bool {
    rights.has(right) || (right == Right::Execute && node.is_dir() && rights.has(Right::Read))
}

/// The nearest node whose list refuses somebody a right.
fn denying(ground: &Ground, who: &Caller, ino: Ino, right: Right) -> Option<Ino> {
    let refuses = |domain: &&Domain| {
        // A directory's own list is about itself; what it hands on is about what lies below.
        let acls = &domain.acls;
        let list = if domain.on == ino {
            &acls.access
        } else {
            &acls.default
        };
        list.as_ref()
            .is_some_and(|list| list.denied(who).has(right))
    };
    let found = ground.lines().flatten().find(refuses);
    found.map(|domain| domain.on)
}
