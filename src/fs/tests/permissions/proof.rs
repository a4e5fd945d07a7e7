//! Explanations checked by what the database says: each must prove its answer by itself, and a refusal that there is no proof.
//!
//! Nothing here asks the judge, its caches or its ways of walking: rows alone, walked plainly.

use crate::access::acl::{Acl, AclEntry, AclWho, Acls};
use crate::access::{Layer, Right};
use crate::core::{PrincipalId, Time};
use crate::fs::tests::principals::{TENANT, boss};
use crate::fs::tests::*;
use crate::fs::{Explanation, Obstacle};
use crate::meta::node::Tense;
use crate::meta::principal::rows;
use crate::meta::tuple::{self, Tuple};
use crate::meta::{Agent, Group, Node, Principal, Subject, entry, node, xattr};
use std::collections::{BTreeMap, BTreeSet};

const RIGHTS: [Right; 4] = [Right::Read, Right::Write, Right::Execute, Right::Own];
const ROWS: u32 = 100_000;

type Proof = std::result::Result<(), String>;

/// What the database says.
pub(super) struct State {
    engine: Arc<Engine>,
    nodes: BTreeMap<Ino, Node>,
    /// Nodes and the directories where they have names.
    parents: BTreeSet<(Ino, Ino)>,
    tuples: Vec<Tuple>,
    lists: BTreeMap<Ino, Acls>,
    walls: BTreeSet<Ino>,
    /// Members and their groups.
    groups: BTreeSet<(PrincipalId, PrincipalId)>,
    principals: BTreeMap<PrincipalId, Principal>,
    tenant_gid: u32,
    now: Time,
}

/// A user or an agent, as lists and grants know him.
struct Person {
    uid: u32,
    gids: BTreeSet<u32>,
    ids: BTreeSet<PrincipalId>,
    isolated: bool,
}

impl State {
    pub(super) fn read(engine: &Arc<Engine>) -> Self {
        let mut tx = engine.store().read().unwrap();
        let nodes = node::page(&mut *tx, Tense::Present, (0, 0), ROWS).unwrap();
        let entries = entry::page(&mut *tx, (0, b""), ROWS).unwrap();
        let entries = entries.into_iter().map(|(_, e)| e.unwrap());
        let lists = xattr::named(&mut *tx, xattr::ACLS).unwrap();
        let walls = xattr::named(&mut *tx, xattr::RESTRICTED).unwrap();
        let members = rows::members(&mut *tx, TENANT).unwrap();
        let principals = rows::principals(&mut *tx, TENANT).unwrap();
        let principals = principals.into_iter().map(|p| p.unwrap());
        let members = members.into_iter().map(|m| m.unwrap());
        let tuples = tuple::page(&mut *tx, 0, ROWS).unwrap();
        Self {
            nodes: nodes
                .into_iter()
                .map(|(_, n)| n.unwrap())
                .map(|n| (n.ino, n))
                .collect(),
            parents: entries.map(|e| (e.ino, e.parent)).collect(),
            tuples: tuples.into_iter().map(|(_, t)| t.unwrap()).collect(),
            lists: lists
                .iter()
                .map(|(_, x)| (x.ino, Acls::decode(&x.value).unwrap()))
                .collect(),
            walls: walls.iter().map(|(_, x)| x.ino).collect(),
            groups: members.map(|m| (m.member, m.group)).collect(),
            principals: principals.map(|p| (p.id(), p)).collect(),
            tenant_gid: engine.tenants()[0].gid,
            now: engine.clock().now(),
            engine: engine.clone(),
        }
    }

    /// Every explanation, of everybody and everything.
    pub(super) fn proves_all(&self) -> Proof {
        for principal in self.principals.values() {
            let Some(person) = self.person(principal) else {
                continue;
            };
            for node in self.nodes.values() {
                for right in RIGHTS {
                    let subject = principal.subject();
                    let why = self.engine.explain(&boss(), &subject, node.ino, right);
                    let why = why.unwrap();
                    let lapsed = why.obstacle.as_ref().and_then(Obstacle::lapsed);
                    let proved = self.proves(&why, &person, node, right);
                    let leads = match why.by.as_ref().or(lapsed) {
                        Some(tuple) => self.leads(&why.through, principal, tuple),
                        None => why.through.is_empty(),
                    };
                    let way = || leads.then_some(()).ok_or("that is not the way".to_owned());
                    let proved = proved.and_then(|()| way());
                    proved
                        .map_err(|e| format!("{subject} {right:?} {}: {e}: {why:?}", node.ino))?;
                }
            }
        }
        Ok(())
    }

    /// `None` for a group, which does nothing itself.
    fn person(&self, principal: &Principal) -> Option<Person> {
        let (user, isolated, mut ids) = match principal {
            Principal::User(user) => (user, false, BTreeSet::from([user.id])),
            Principal::Agent(agent) => {
                let Agent {
                    id,
                    owner,
                    isolated,
                    ..
                } = **agent;
                let Principal::User(user) = &self.principals[&owner] else {
                    unreachable!("users own agents")
                };
                let owner = (!isolated).then_some(owner);
                (user, isolated, [id].into_iter().chain(owner).collect())
            }
            Principal::Group(_) => return None,
        };
        loop {
            let more = self
                .groups
                .iter()
                .filter(|(member, _)| ids.contains(member));
            let more: BTreeSet<_> = more.map(|(_, group)| *group).collect();
            if more.is_subset(&ids) {
                break;
            }
            ids.extend(more);
        }
        let gid = |id| match &self.principals[id] {
            Principal::Group(group) => Some(Group::gid(group)),
            Principal::User(_) | Principal::Agent(_) => None,
        };
        let gids = ids
            .iter()
            .filter_map(gid)
            .chain([user.gid, self.tenant_gid]);
        Some(Person {
            uid: user.uid,
            gids: gids.collect(),
            isolated,
            ids,
        })
    }

    /// The ways down to a node, each from the node upwards, itself first.
    fn lines(&self, of: Ino) -> Vec<Vec<Ino>> {
        let up = self.parents.range((of, Ino(0))..=(of, Ino(u64::MAX)));
        let lines: Vec<_> = up.flat_map(|(_, dir)| self.lines(*dir)).collect();
        if lines.is_empty() {
            return vec![vec![of]];
        }
        lines
            .into_iter()
            .map(|line| [vec![of], line].concat())
            .collect()
    }

    fn names(tuple: &Tuple, who: &Person) -> bool {
        match tuple.subject_id.as_str() {
            "*" => !who.isolated,
            id => who.ids.contains(&PrincipalId(id.parse().unwrap())),
        }
    }

    fn is_alive(&self, tuple: &Tuple) -> bool {
        tuple.expires.is_none_or(|end| self.now < end)
    }

    fn is_for(&self, tuple: &Tuple, who: &Person) -> bool {
        self.is_alive(tuple) && Self::names(tuple, who)
    }

    /// Whether a tuple gives a right at the beginning of a line: it is on the line, with no boundary in between.
    fn gives(&self, tuple: &Tuple, who: &Person, line: &[Ino], right: Right) -> bool {
        let walls = self.walls_before(tuple, line, right);
        self.is_for(tuple, who) && walls.is_some_and(|walls| walls.is_empty())
    }

    /// The boundaries that keep a tuple, whoever it is for and however long, from giving a right at the beginning of a line;
    /// `None` where it would not without them.
    fn walls_before(&self, tuple: &Tuple, line: &[Ino], right: Right) -> Option<Vec<Ino>> {
        let on = tuple.ino().unwrap();
        let at = line.iter().position(|ino| *ino == on)?;
        let is_dir = self.nodes[&line[0]].is_dir();
        let role = match (tuple.relation.as_str(), right) {
            ("owner", _) | (_, Right::Read) | ("can_write", Right::Write) => true,
            (relation, Right::Execute) => is_dir || relation == "can_execute",
            _ => false,
        };
        let walls = line[..at].iter().filter(|ino| self.walls.contains(ino));
        let passes = tuple.relation == "owner";
        role.then(|| walls.filter(|_| !passes).copied().collect())
    }

    /// Where it is refused: at the node, or where somebody does not come on; and the right that he lacks there.
    fn refused_at(&self, who: &Person, node: Ino, right: Right) -> Vec<(Ino, Right)> {
        if self.reaches(who, node) {
            return vec![(node, right)];
        }
        let above = self.lines(node).concat().into_iter();
        let above = above.filter(|dir| *dir != node && !self.passes(who, *dir, Right::Execute));
        above.map(|dir| (dir, Right::Execute)).collect()
    }

    /// Whether a tuple, as the database has it, would give what is refused but for boundaries or an end as `fits` wants them.
    fn would_give(
        &self,
        tuple: &Tuple,
        who: &Person,
        (of, right): (Ino, Right),
        fits: impl Fn(&[Ino]) -> bool,
    ) -> bool {
        let lines = self.lines(of);
        let given = |line: &Vec<Ino>| self.tuples.iter().any(|t| self.gives(t, who, line, right));
        let but = |line: &Vec<Ino>| {
            let walls = self.walls_before(tuple, line, right);
            walls.is_some_and(|walls| fits(&walls))
        };
        self.tuples.contains(tuple)
            && Self::names(tuple, who)
            && !self.is_denied(who, of, right)
            && !lines.iter().any(given)
            && !self.by_mode(who, &self.nodes[&of], right)
            && lines.iter().any(but)
    }

    /// Whether some tuple would give it but for boundaries alone, or its end alone.
    fn lapses(&self, who: &Person, at: (Ino, Right)) -> bool {
        self.tuples.iter().any(|t| {
            let alive = self.is_alive(t);
            self.would_give(t, who, at, |walls| alive != walls.is_empty())
        })
    }

    /// Whether each is in the next, or acts for it, from whom it is about to whom the tuple names, and no way is shorter.
    fn leads(&self, through: &[Subject], about: &Principal, tuple: &Tuple) -> bool {
        let Some(named) = tuple.principal() else {
            return through.is_empty();
        };
        let id = |s: &Subject| {
            let found = self.principals.values().find(|p| p.subject() == *s);
            found.unwrap().id()
        };
        let way: Vec<_> = through.iter().map(id).collect();
        let next_to = |at: &PrincipalId| {
            let groups = self.groups.iter().filter(move |(member, _)| member == at);
            let owner = match &self.principals[at] {
                Principal::Agent(agent) if !agent.isolated => Some(agent.owner),
                _ => None,
            };
            let next = groups.map(|(_, group)| *group).chain(owner);
            next.collect::<BTreeSet<_>>()
        };
        let mut level = BTreeSet::from([about.id()]);
        let mut steps = 1;
        while !level.contains(&named) && steps < 100 {
            level.extend(level.clone().iter().flat_map(next_to));
            steps += 1;
        }
        way.first() == Some(&about.id())
            && way.last() == Some(&named)
            && way.windows(2).all(|two| next_to(&two[0]).contains(&two[1]))
            && way.len() == steps
    }

    /// Whether a node's list, or what it hands on, refuses somebody a right.
    fn refuses(list: Option<&Acl>, who: &Person, right: Right) -> bool {
        let entries = list.into_iter().flat_map(|l| &l.entries);
        entries.filter(|e| e.deny).any(|e| {
            let bit = match right {
                Right::Read => 4,
                Right::Write => 2,
                Right::Execute => 1,
                Right::Own => 0,
            };
            let is_his = match e.who {
                AclWho::User(uid) => uid == who.uid,
                AclWho::Group(gid) => who.gids.contains(&gid),
            };
            is_his && (e.rights == 0 || e.rights & bit != 0)
        })
    }

    /// Whether something said at a node of a line refuses a right at its beginning.
    fn denies(&self, at: Ino, who: &Person, of: Ino, right: Right) -> bool {
        let lists = self.lists.get(&at);
        let list = lists.and_then(|l| if at == of { &l.access } else { &l.default }.as_ref());
        self.lines(of).iter().any(|line| line.contains(&at)) && Self::refuses(list, who, right)
    }

    fn is_denied(&self, who: &Person, of: Ino, right: Right) -> bool {
        // Whose it is may change what is said about it.
        let is_own = right == Right::Own && self.by_mode(who, &self.nodes[&of], right);
        !is_own && self.lists.keys().any(|at| self.denies(*at, who, of, right))
    }

    fn is_granted(&self, who: &Person, of: Ino, right: Right) -> bool {
        let lines = self.lines(of);
        let given = |line: &Vec<Ino>| self.tuples.iter().any(|t| self.gives(t, who, line, right));
        lines.iter().all(given)
    }

    /// Whether an entry of a list that allows something speaks of somebody who is not the owner.
    fn is_listed(&self, who: &Person, of: &Node) -> bool {
        let list = self.lists.get(&of.ino).and_then(|l| l.access.as_ref());
        let entries = list.map(|l| &l.entries).into_iter().flatten();
        let mut whom = entries.filter(|e| !e.deny).map(|e| e.who).peekable();
        let speaks = |whom: AclWho| match whom {
            AclWho::User(uid) => uid == who.uid,
            AclWho::Group(gid) => who.gids.contains(&gid),
        };
        who.uid != of.uid
            && whom.peek().is_some()
            && (who.gids.contains(&of.gid) || whom.any(speaks))
    }

    /// Mode and list (acl(5)).
    fn by_mode(&self, who: &Person, of: &Node, right: Right) -> bool {
        let bit = match right {
            Right::Read => 4,
            Right::Write => 2,
            Right::Execute => 1,
            Right::Own => return !who.isolated && who.uid == of.uid,
        };
        if who.isolated {
            return false;
        }
        let (owner, group, other) = (of.mode >> 6, of.mode >> 3, of.mode);
        let list = self.lists.get(&of.ino).and_then(|l| l.access.as_ref());
        let entries: Vec<_> = list
            .map(|l| &l.entries)
            .into_iter()
            .flatten()
            .filter(|e| !e.deny)
            .collect();
        let owns = who.gids.contains(&of.gid);
        let bits = if who.uid == of.uid {
            owner
        } else if entries.is_empty() {
            if owns { group } else { other }
        } else if let Some(own) = entries.iter().find(|e| e.who == AclWho::User(who.uid)) {
            own.rights & group
        } else {
            let is_his =
                |e: &&&AclEntry| matches!(e.who, AclWho::Group(gid) if who.gids.contains(&gid));
            let mut all: Vec<_> = entries.iter().filter(is_his).map(|e| e.rights).collect();
            all.extend(owns.then(|| list.map_or(0, |l| l.group)));
            if all.is_empty() {
                other
            } else {
                all.iter().fold(0, |sum, bits| sum | bits) & group
            }
        };
        bits & bit != 0
    }

    fn allows(&self, who: &Person, of: Ino, right: Right) -> bool {
        let by_any = self.is_granted(who, of, right) || self.by_mode(who, &self.nodes[&of], right);
        by_any && !self.is_denied(who, of, right)
    }

    /// Whether a directory may be passed: searched, or on the way to something granted.
    fn passes(&self, who: &Person, dir: Ino, right: Right) -> bool {
        let leads = |t: &Tuple| {
            let lines = self.lines(t.ino().unwrap());
            self.is_for(t, who) && lines.iter().any(|line| line[1..].contains(&dir))
        };
        self.allows(who, dir, right)
            || self.tuples.iter().any(leads) && !self.is_denied(who, dir, right)
    }

    /// Whether one of the ways down to a node is open to somebody.
    fn reaches(&self, who: &Person, of: Ino) -> bool {
        let open = |line: &Vec<Ino>| {
            let mut above = line[1..].iter();
            above.all(|dir| self.passes(who, *dir, Right::Execute))
        };
        self.lines(of).iter().any(open)
    }

    fn proves(&self, why: &Explanation, who: &Person, node: &Node, right: Right) -> Proof {
        let looks = node.is_dir() && matches!(right, Right::Read | Right::Execute);
        let at_node =
            self.allows(who, node.ino, right) || looks && self.passes(who, node.ino, right);
        let is_writable = self.is_writable(node.ino);
        let writes = matches!(right, Right::Write | Right::Own);
        let expected = self.reaches(who, node.ino) && at_node && (is_writable || !writes);
        if why.allowed != expected {
            return Err(format!("it is {expected}"));
        }
        let holds = match (why.allowed, &why.obstacle) {
            (true, None) => self.proves_yes(why, who, node, right),
            (false, Some(obstacle)) => self.proves_no(obstacle, who, node, right),
            _ => false,
        };
        if holds {
            return Ok(());
        }
        Err("that does not prove it".to_owned())
    }

    fn is_writable(&self, of: Ino) -> bool {
        let line = self.lines(of).concat();
        let writable = ["/workspace", "/shared"].map(|at| {
            let node = self.engine.resolve(&boss(), &path(at));
            node.unwrap().ino
        });
        writable.iter().any(|top| line.contains(top))
    }

    fn proves_yes(&self, why: &Explanation, who: &Person, node: &Node, right: Right) -> bool {
        let undenied = !self.is_denied(who, node.ino, right);
        undenied
            && match (why.layer, &why.by) {
                // The tuple as the database has it, on a way that nothing interrupts; and by every other name another.
                (Layer::Graph, Some(by)) => {
                    let lines = self.lines(node.ino);
                    let gives = |line: &Vec<Ino>| self.gives(by, who, line, right);
                    self.tuples.contains(by)
                        && lines.iter().any(gives)
                        && (lines.iter().all(gives) || self.is_granted(who, node.ino, right))
                }
                (Layer::Graph, None) => {
                    !self.allows(who, node.ino, right) && self.passes(who, node.ino, right)
                }
                (Layer::Unix | Layer::Acl, None) => {
                    let is_his = why.layer == Layer::Acl;
                    self.by_mode(who, node, right)
                        && !self.is_granted(who, node.ino, right)
                        && self.is_listed(who, node) == is_his
                }
                _ => false,
            }
    }

    fn proves_no(&self, obstacle: &Obstacle, who: &Person, node: &Node, right: Right) -> bool {
        let lines = self.lines(node.ino);
        let above = |dir: Ino| lines.iter().any(|line| line[1..].contains(&dir));
        let given = |line: &Vec<Ino>| self.tuples.iter().any(|t| self.gives(t, who, line, right));
        match obstacle {
            Obstacle::Way(dir) => above(*dir) && !self.passes(who, *dir, Right::Execute),
            // Of the node itself, or of the search of a directory on the way.
            Obstacle::Deny(at) => {
                let stops = |dir: &Ino| self.denies(*at, who, *dir, Right::Execute);
                self.denies(*at, who, node.ino, right)
                    || !self.reaches(who, node.ino)
                        && lines.iter().any(|line| line[1..].iter().any(stops))
            }
            Obstacle::ReadOnly => !self.is_writable(node.ino),
            Obstacle::Names => lines.iter().any(given) && !lines.iter().all(given),
            // Alive, and cut by this boundary among others.
            Obstacle::Boundary(at, tuple) => {
                let refused = self.refused_at(who, node.ino, right);
                let cut = |walls: &[Ino]| walls.first() == Some(at);
                self.is_alive(tuple)
                    && refused
                        .iter()
                        .any(|on| self.would_give(tuple, who, *on, cut))
            }
            Obstacle::Ended(tuple) => {
                let refused = self.refused_at(who, node.ino, right);
                let open = |walls: &[Ino]| walls.is_empty();
                // It was a way to the node as well, if it is of the node.
                let mut meant = refused.into_iter().chain([(node.ino, right)]);
                !self.is_alive(tuple) && meant.any(|on| self.would_give(tuple, who, on, open))
            }
            // No boundary and no end is to blame either.
            Obstacle::Nothing => {
                !self.lapses(who, (node.ino, right))
                    && !lines.iter().any(given)
                    && !self.by_mode(who, node, right)
                    && !self.is_denied(who, node.ino, right)
            }
        }
    }
}
