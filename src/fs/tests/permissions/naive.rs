//! The plain way to decide, to compare with: up the tree by hash maps, at each step the grants of each role, and of each group in
//! them its members and their groups. permissions.md §2 measured this and our way in one world.

use crate::access::{Rights, relation};
use crate::core::{Ino, PrincipalId, TenantId};
use crate::fs::tests::World;
use crate::meta::tuple::FILE;
use std::collections::{HashMap, HashSet};

/// The roles that let somebody read.
const ROLES: [&str; 4] = ["owner", "can_write", "can_read", "can_execute"];

#[derive(Default)]
pub(super) struct Naive {
    parents: HashMap<Ino, Ino>,
    grants: HashMap<(Ino, usize), Vec<PrincipalId>>,
    members: HashMap<PrincipalId, HashSet<PrincipalId>>,
    groups_in: HashMap<PrincipalId, Vec<PrincipalId>>,
}

impl Naive {
    /// The same world.
    pub(super) fn of(w: &World, dirs: &[Ino], files: &[Ino]) -> Self {
        let (e, mut naive) = (w.engine(), Self::default());
        for role in ROLES {
            assert!(relation::rights(role).covers(Rights::READ), "{role}");
        }
        for ino in dirs.iter().chain(files) {
            let node = e.node(*ino).unwrap();
            let parent = e.parent(&node).unwrap().unwrap_or(Ino(0));
            naive.parents.insert(*ino, parent);
        }
        for tuple in e.tuples(TenantId(1), |t| t.object_type == FILE) {
            let role = ROLES.iter().position(|role| *role == tuple.relation);
            if let (Some(ino), Some(role), Some(to)) = (tuple.ino(), role, tuple.principal()) {
                naive.grants.entry((ino, role)).or_default().push(to);
            }
        }
        let roster = e.roster(TenantId(1)).unwrap();
        for group in roster.groups() {
            let members: HashSet<_> = roster.members_of(group.id).collect();
            let is_group = |id: &PrincipalId| roster.groups().any(|other| other.id == *id);
            let within = members.iter().copied().filter(is_group).collect();
            naive.groups_in.insert(group.id, within);
            naive.members.insert(group.id, members);
        }
        naive
    }

    pub(super) fn may_read(&self, who: PrincipalId, file: Ino) -> bool {
        let mut at = Some(file);
        while let Some(ino) = at {
            for role in 0..ROLES.len() {
                let granted = self.grants.get(&(ino, role));
                let mut to = granted.into_iter().flatten();
                if to.any(|to| *to == who || self.is_in(who, *to)) {
                    return true;
                }
            }
            at = self.parents.get(&ino).copied();
        }
        false
    }

    fn is_in(&self, who: PrincipalId, group: PrincipalId) -> bool {
        let Some(members) = self.members.get(&group) else {
            return false;
        };
        let mut within = self.groups_in.get(&group).into_iter().flatten();
        members.contains(&who) || within.any(|inner| self.is_in(who, *inner))
    }
}
