//! All principals of a tenant in memory: who is who, who is in which group, whose key a key is.
//!
//! It is read from the rows once and then follows the edits of every commit, so it is never older than they are.

use super::edit::Edit;
use super::principal::{Agent, Group, Key, Member, Principal, Subject, SubjectKind, User, rows};
use crate::core::{Error, Hash, KeyId, PrincipalId, Result, TenantId};
use crate::db::Tx;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub struct Roster {
    all: BTreeMap<PrincipalId, Principal>,
    names: HashMap<Subject, PrincipalId>,
    uids: HashMap<u32, PrincipalId>,
    /// A group and who is in it.
    members: BTreeSet<(PrincipalId, PrincipalId)>,
    /// A member and the group it is in.
    groups: BTreeSet<(PrincipalId, PrincipalId)>,
    keys: BTreeMap<KeyId, Arc<Key>>,
    hashes: HashMap<Hash, KeyId>,
    uid_next: u32,
}

impl Roster {
    /// Reads the rows of a tenant; a damaged one is an error.
    pub fn load(tx: &mut dyn Tx, tenant: TenantId) -> Result<Self> {
        Self::load_past(tx, tenant, &mut Err)
    }

    /// The same past damaged rows, each of which is told to `damaged`, while that agrees.
    pub fn load_past(
        tx: &mut dyn Tx,
        tenant: TenantId,
        damaged: &mut dyn FnMut(Error) -> Result<()>,
    ) -> Result<Self> {
        let mut roster = Self {
            uid_next: rows::uid_next(tx, tenant)?,
            ..Self::default()
        };
        for row in rows::principals(tx, tenant)? {
            let row = row.map(|principal| roster.add(principal));
            row.or_else(&mut *damaged)?;
        }
        for row in rows::members(tx, tenant)? {
            let row = row.map(|member| roster.join(&member));
            row.or_else(&mut *damaged)?;
        }
        for row in rows::keys(tx, tenant)? {
            let row = row.map(|key| roster.add_key(Arc::new(key)));
            row.or_else(&mut *damaged)?;
        }
        Ok(roster)
    }

    /// Follows an edit that was committed.
    pub fn follow(&mut self, edit: &Edit) {
        match edit {
            Edit::Principal(new) => self.add(new.clone()),
            Edit::PrincipalGone(old) => self.remove(old),
            Edit::Member(new) => self.join(new),
            Edit::MemberGone(old) => self.leave(old),
            Edit::Key(new) => self.add_key(new.clone()),
            Edit::KeyGone(old) => {
                self.keys.remove(&old.id);
                self.hashes.remove(&old.hash);
            }
            Edit::Uids(_, next) => self.uid_next = *next,
            _ => {}
        }
    }

    fn add(&mut self, new: Principal) {
        self.names.insert(new.subject(), new.id());
        if let Principal::User(user) = &new {
            self.uids.insert(user.uid, user.id);
        }
        self.all.insert(new.id(), new);
    }

    fn remove(&mut self, old: &Principal) {
        self.names.remove(&old.subject());
        if let Principal::User(user) = old {
            self.uids.remove(&user.uid);
        }
        self.all.remove(&old.id());
    }

    fn join(&mut self, new: &Member) {
        self.members.insert((new.group, new.member));
        self.groups.insert((new.member, new.group));
    }

    fn leave(&mut self, old: &Member) {
        self.members.remove(&(old.group, old.member));
        self.groups.remove(&(old.member, old.group));
    }

    fn add_key(&mut self, new: Arc<Key>) {
        self.hashes.insert(new.hash, new.id);
        self.keys.insert(new.id, new);
    }

    pub fn by_id(&self, id: PrincipalId) -> Option<&Principal> {
        self.all.get(&id)
    }

    pub fn named(&self, subject: &Subject) -> Option<&Principal> {
        self.by_id(*self.names.get(subject)?)
    }

    /// Every principal, in the order of their numbers: the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Principal> {
        self.all.values()
    }

    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.all().filter_map(|p| match p {
            Principal::User(user) => Some(user),
            Principal::Agent(_) | Principal::Group(_) => None,
        })
    }

    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.all().filter_map(|p| match p {
            Principal::Agent(agent) => Some(agent),
            Principal::User(_) | Principal::Group(_) => None,
        })
    }

    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.all().filter_map(|p| match p {
            Principal::Group(group) => Some(group),
            Principal::User(_) | Principal::Agent(_) => None,
        })
    }

    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        match self.named(&Subject::new(SubjectKind::User, name))? {
            Principal::User(user) => Some(user),
            Principal::Agent(_) | Principal::Group(_) => None,
        }
    }

    pub fn agent(&self, name: &str) -> Option<&Arc<Agent>> {
        match self.named(&Subject::new(SubjectKind::Agent, name))? {
            Principal::Agent(agent) => Some(agent),
            Principal::User(_) | Principal::Group(_) => None,
        }
    }

    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        match self.named(&Subject::new(SubjectKind::Group, name))? {
            Principal::Group(group) => Some(group),
            Principal::User(_) | Principal::Agent(_) => None,
        }
    }

    pub fn user_of_uid(&self, uid: u32) -> Option<&Arc<User>> {
        match self.by_id(*self.uids.get(&uid)?)? {
            Principal::User(user) => Some(user),
            Principal::Agent(_) | Principal::Group(_) => None,
        }
    }

    /// The lowest uid that was never given out by itself; 0 before the first.
    pub fn uid_next(&self) -> u32 {
        self.uid_next
    }

    /// Who is in a group, itself and not through another.
    pub fn members_of(&self, group: PrincipalId) -> impl Iterator<Item = PrincipalId> {
        second_of(&self.members, group)
    }

    /// The groups that a principal is in, itself and not through another.
    pub fn direct_groups(&self, of: PrincipalId) -> impl Iterator<Item = PrincipalId> {
        second_of(&self.groups, of)
    }

    /// Every group that a principal is in, itself or through others.
    pub fn groups_of(&self, of: PrincipalId) -> BTreeSet<PrincipalId> {
        reachable(vec![of], |at| self.direct_groups(at))
    }

    /// Everybody who is in any of some groups, himself or through others, and those others.
    pub fn all_members_of(&self, groups: Vec<PrincipalId>) -> BTreeSet<PrincipalId> {
        reachable(groups, |at| self.members_of(at))
    }

    /// The shortest way from a principal to a group that it is in, from itself to the group; `None` when it is not in it.
    pub fn way(&self, of: PrincipalId, group: PrincipalId) -> Option<Vec<PrincipalId>> {
        // Where each was come to from: nearest first, and a ring ends.
        let mut from = HashMap::from([(of, of)]);
        let mut next = VecDeque::from([of]);
        while let Some(at) = next.pop_front() {
            if at == group {
                let mut way = vec![at];
                let mut at = at;
                while at != of {
                    at = *from.get(&at)?;
                    way.push(at);
                }
                way.reverse();
                return Some(way);
            }
            for up in self.direct_groups(at) {
                if let Entry::Vacant(new) = from.entry(up) {
                    new.insert(at);
                    next.push_back(up);
                }
            }
        }
        None
    }

    /// The numbers that files know those groups by.
    pub fn gids_of(&self, of: PrincipalId) -> impl Iterator<Item = u32> {
        let groups = self.groups_of(of).into_iter();
        groups.filter_map(|id| match self.by_id(id)? {
            Principal::Group(group) => Some(group.gid()),
            Principal::User(_) | Principal::Agent(_) => None,
        })
    }

    /// The group that files know by a number.
    pub fn group_of_gid(&self, gid: u32) -> Option<&Arc<Group>> {
        self.groups().find(|g| g.gid() == gid)
    }

    /// Every membership: pairs of a group and a member.
    pub fn memberships(&self) -> impl Iterator<Item = (PrincipalId, PrincipalId)> {
        self.members.iter().copied()
    }

    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    pub fn key(&self, id: KeyId) -> Option<&Arc<Key>> {
        self.keys.get(&id)
    }

    pub fn key_of_hash(&self, hash: &Hash) -> Option<&Arc<Key>> {
        self.keys.get(self.hashes.get(hash)?)
    }
}

/// Whatever can be come to from some principals. Each is entered once: a ring ends, and of many ways to one, one is gone.
fn reachable<I: Iterator<Item = PrincipalId>>(
    mut next: Vec<PrincipalId>,
    mut next_to: impl FnMut(PrincipalId) -> I,
) -> BTreeSet<PrincipalId> {
    let mut found = BTreeSet::new();
    while let Some(at) = next.pop() {
        next.extend(next_to(at).filter(|one| found.insert(*one)));
    }
    found
}

/// The second of all pairs that begin with `first`.
fn second_of(
    pairs: &BTreeSet<(PrincipalId, PrincipalId)>,
    first: PrincipalId,
) -> impl Iterator<Item = PrincipalId> {
    let all = (first, PrincipalId(0))..=(first, PrincipalId(u64::MAX));
    pairs.range(all).map(|(_, second)| *second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn roster(pairs: &[(u64, u64)]) -> Roster {
        let mut roster = Roster::default();
        for (group, member) in pairs {
            roster.follow(&Edit::Member(Member {
                tenant: TenantId(1),
                group: PrincipalId(*group),
                member: PrincipalId(*member),
            }));
        }
        roster
    }

    fn groups(roster: &Roster, of: u64) -> Vec<u64> {
        let found = roster.groups_of(PrincipalId(of));
        found.into_iter().map(|p| p.0).collect()
    }

    #[test]
    fn a_member_of_a_group_in_a_group_is_in_both() {
        let roster = roster(&[(10, 1), (11, 10), (12, 11), (13, 2)]);
        assert_eq!(groups(&roster, 1), [10, 11, 12]);
        assert_eq!(groups(&roster, 11), [12]);
        assert_eq!(groups(&roster, 12), [] as [u64; 0]);
    }

    #[test]
    fn the_way_to_a_group_is_the_shortest_and_a_ring_has_an_end() {
        let roster = roster(&[(10, 1), (11, 10), (12, 11), (12, 10), (10, 12), (13, 2)]);
        let way = |of, to| {
            let found = roster.way(PrincipalId(of), PrincipalId(to))?;
            Some(found.into_iter().map(|p| p.0).collect::<Vec<_>>())
        };
        assert_eq!(way(1, 12), Some(vec![1, 10, 12]));
        assert_eq!(way(1, 11), Some(vec![1, 10, 11]));
        assert_eq!(way(1, 1), Some(vec![1]));
        assert_eq!(way(1, 13), None);
    }

    /// Finds the groups of principal 1, and counts memberships looked at.
    fn looked_at(roster: &Roster) -> (usize, usize) {
        let looked = Cell::new(0);
        let look = |group| {
            looked.set(looked.get() + 1);
            group
        };
        let found = reachable(vec![PrincipalId(1)], |at| {
            roster.direct_groups(at).map(look)
        });
        assert_eq!(found, roster.groups_of(PrincipalId(1)));
        (found.len(), looked.get())
    }

    #[test]
    fn a_ring_of_groups_is_walked_once() {
        const RING: u64 = 10_000;
        let mut pairs: Vec<_> = (0..RING).map(|n| (100 + (n + 1) % RING, 100 + n)).collect();
        pairs.push((100, 1));
        let roster = roster(&pairs);
        assert_eq!(looked_at(&roster), (10_000, pairs.len()));
        let members = roster.all_members_of(vec![PrincipalId(100)]);
        assert_eq!(members.len(), 10_001);
    }

    #[test]
    fn where_ways_part_and_meet_again_each_membership_is_looked_at_once() {
        const LAYERS: u64 = 60;
        // Two groups a layer, each in both of the next: 2^60 ways to the last.
        let id = |layer: u64, side: u64| 100 + 2 * layer + side;
        let mut pairs = vec![(id(0, 0), 1), (id(0, 1), 1)];
        for layer in 1..LAYERS {
            for (outer, inner) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                pairs.push((id(layer, outer), id(layer - 1, inner)));
            }
        }
        let mut roster = roster(&pairs);
        assert_eq!(looked_at(&roster), (120, pairs.len()));
        let last: Vec<_> = [0, 1].map(|side| PrincipalId(id(LAYERS - 1, side))).into();
        assert_eq!(roster.all_members_of(last).len(), 119);
        // Cut between two layers, nothing behind is reached.
        for (outer, inner) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            roster.follow(&Edit::MemberGone(Member {
                tenant: TenantId(1),
                group: PrincipalId(id(30, outer)),
                member: PrincipalId(id(29, inner)),
            }));
        }
        assert_eq!(groups(&roster, 1).len(), 60);
    }

    #[test]
    fn who_leaves_a_group_is_in_it_no_more() {
        let mut roster = roster(&[(10, 1), (10, 2)]);
        roster.follow(&Edit::MemberGone(Member {
            tenant: TenantId(1),
            group: PrincipalId(10),
            member: PrincipalId(1),
        }));
        assert_eq!(groups(&roster, 1), [] as [u64; 0]);
        assert_eq!(roster.members_of(PrincipalId(10)).count(), 1);
    }
}
