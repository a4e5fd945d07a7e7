//! Who may do and see what, as docs/permissions.md says it: by paths and sets, slow and plainly right.

mod lists;
mod moves;

pub(super) use lists::{Entry, Handed, has};
use nexus::core::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Rights as modes and lists write them, and ownership.
pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const SEARCH: u32 = 1;
pub(super) const OWN: u32 = 8;
pub(super) const ALL: u32 = READ | WRITE | SEARCH | OWN;

/// What the top's owner is called, who is none of the players.
pub(super) const NOBODY: &str = "";

#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) is_dir: bool,
    pub(super) owner: &'static str,
    /// A group, or the owner's own as in `user:bob`.
    pub(super) group: String,
    pub(super) mode: u32,
    pub(super) restricted: bool,
    /// To whom, and which role; until when.
    pub(super) grants: BTreeMap<(String, &'static str), Option<Time>>,
    /// Its access list.
    pub(super) list: Vec<Entry>,
    /// What the group has where the mode's group bits are the mask of the list.
    pub(super) class: u32,
    /// What a directory hands on.
    pub(super) handed: Option<Handed>,
}

/// What there is. The first path is the top, in which everybody may do everything.
#[derive(Default)]
pub(super) struct Model {
    pub(super) things: BTreeMap<String, Thing>,
    /// A group and who is in it, as in `user:bob`.
    pub(super) members: BTreeSet<(String, String)>,
    pub(super) now: Time,
}

pub(super) fn above(at: &str) -> &str {
    at.rsplit_once('/').unwrap().0
}

fn rights_of(role: &str) -> u32 {
    match role {
        "owner" => ALL,
        "can_write" => READ | WRITE,
        "can_execute" => READ | SEARCH,
        _ => READ,
    }
}

impl Thing {
    pub(super) fn new(is_dir: bool, owner: &'static str, mode: u32) -> Self {
        Self {
            is_dir,
            owner,
            group: format!("user:{owner}"),
            mode,
            restricted: false,
            grants: BTreeMap::new(),
            list: Vec::new(),
            class: 0,
            handed: None,
        }
    }

    fn is_spoken_of(&self) -> bool {
        self.restricted || !self.grants.is_empty() || !self.list.is_empty() || self.handed.is_some()
    }
}

impl Model {
    /// When grants end.
    pub(super) fn ends(&self) -> BTreeSet<Time> {
        let grants = self.things.values().flat_map(|thing| thing.grants.values());
        grants.copied().flatten().collect()
    }

    /// The directories above a path, the nearest first.
    fn dirs<'a>(&'a self, at: &'a str) -> impl Iterator<Item = &'a str> {
        let up = |at: &&'a str| Some(above(at)).filter(|dir| self.things.contains_key(*dir));
        std::iter::successors(Some(at), up).skip(1)
    }

    /// Whom a grant may name to reach a user.
    fn reached(&self, user: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([format!("user:{user}"), "user:*".to_owned()]);
        loop {
            let inside = self.members.iter().filter(|(_, m)| all.contains(m));
            let more: BTreeSet<_> = inside.map(|(g, _)| g.clone()).collect();
            if more.is_subset(&all) {
                return all;
            }
            all.extend(more);
        }
    }

    fn own(&self, reached: &BTreeSet<String>, at: &str) -> u32 {
        let holds = |end: Option<Time>| end.is_none_or(|end| self.now < end);
        let grants = self.things[at].grants.iter();
        let counting = grants.filter(|((to, _), end)| holds(**end) && reached.contains(to));
        counting.fold(0, |sum, ((_, role), _)| sum | rights_of(role))
    }

    /// What grants give on a path.
    pub(super) fn granted(&self, user: &str, at: &str) -> u32 {
        let reached = self.reached(user);
        let (mut sum, mut behind) = (0, false);
        for up in [at].into_iter().chain(self.dirs(at)) {
            let here = self.own(&reached, up);
            if !behind || here & OWN != 0 {
                sum |= here;
            }
            behind |= self.things[up].restricted;
        }
        let lists = self.things[at].is_dir && sum & READ != 0;
        if lists { sum | SEARCH } else { sum }
    }

    /// The same, but for what lists deny.
    fn left(&self, user: &str, at: &str) -> u32 {
        self.granted(user, at) & !self.denied(user, at)
    }

    pub(super) fn allowed(&self, user: &str, at: &str) -> u32 {
        (self.granted(user, at) | self.by_mode(user, at)) & !self.denied(user, at)
    }

    pub(super) fn may(&self, user: &str, at: &str, rights: u32) -> bool {
        self.allowed(user, at) & rights == rights
    }

    /// Whether something below was granted to somebody, and no deny keeps him from going there with a right.
    fn is_way(&self, user: &str, at: &str, right: u32) -> bool {
        let (below, reached) = (format!("{at}/"), self.reached(user));
        let mut inside = self.things.keys().filter(|p| p.starts_with(&below));
        inside.any(|p| self.own(&reached, p) != 0) && self.denied(user, at) & right == 0
    }

    fn is_spoken_of(&self, at: &str) -> bool {
        let mut line = [at].into_iter().chain(self.dirs(at));
        line.any(|p| self.things[p].is_spoken_of())
    }

    pub(super) fn looks(&self, user: &str, dir: &str, right: u32) -> bool {
        self.may(user, dir, right) || self.is_way(user, dir, right)
    }

    fn sees(&self, user: &str, at: &str, right: u32) -> bool {
        let any = if self.may(user, above(at), right) {
            let is_own = self.may(user, above(at), OWN);
            is_own || !self.is_spoken_of(at) || self.allowed(user, at) != 0
        } else {
            self.is_way(user, above(at), right) && self.left(user, at) != 0
        };
        any || self.is_way(user, at, SEARCH) && self.looks(user, above(at), right)
    }

    /// Whether somebody who walks there finds what stands at a path.
    pub(super) fn finds(&self, user: &str, at: &str) -> bool {
        let comes = |p: &str| {
            let dir = above(p);
            !self.things.contains_key(dir)
                || self.looks(user, dir, SEARCH) && self.sees(user, p, SEARCH)
        };
        self.things.contains_key(at) && comes(at) && self.dirs(at).all(comes)
    }

    /// Whether somebody finds what stands at a path and has rights on it.
    pub(super) fn uses(&self, user: &str, at: &str, rights: u32) -> bool {
        self.finds(user, at) && self.may(user, at, rights)
    }

    /// The names that a listing gives; `None` when it is refused.
    pub(super) fn listed(&self, user: &str, dir: &str) -> Option<Vec<String>> {
        let listed = self.finds(user, dir) && self.looks(user, dir, READ);
        let inside = self.things.keys().filter(|p| above(p) == dir);
        let seen = inside.filter(|p| self.sees(user, p, READ));
        listed.then(|| {
            seen.map(|p| p.rsplit_once('/').unwrap().1.to_owned())
                .collect()
        })
    }

    pub(super) fn is_empty(&self, at: &str) -> bool {
        let below = format!("{at}/");
        !self.things.keys().any(|p| p.starts_with(&below))
    }
}
