//! Who may do and see what on a mount where everything is its owner's alone, but for what was granted: by paths and sets.

use std::collections::{BTreeMap, BTreeSet};

pub(super) const READ: u8 = 1;
pub(super) const WRITE: u8 = 2;
pub(super) const SEARCH: u8 = 4;
pub(super) const OWN: u8 = 8;

/// What the top's owner is called, who is none of the players.
pub(super) const NOBODY: &str = "";

pub(super) struct Thing {
    pub(super) is_dir: bool,
    pub(super) owner: &'static str,
    pub(super) restricted: bool,
    /// To whom, and which role.
    pub(super) grants: BTreeSet<(String, &'static str)>,
}

impl Thing {
    pub(super) fn new(is_dir: bool, owner: &'static str) -> Self {
        Self {
            is_dir,
            owner,
            restricted: false,
            grants: BTreeSet::new(),
        }
    }
}

/// What there is. The first path is the top, in which everybody may do everything.
#[derive(Default)]
pub(super) struct Model {
    pub(super) things: BTreeMap<String, Thing>,
    /// A group and who is in it, as in `user:bob`.
    pub(super) members: BTreeSet<(String, String)>,
}

pub(super) fn above(at: &str) -> &str {
    at.rsplit_once('/').unwrap().0
}

fn rights_of(role: &str) -> u8 {
    match role {
        "owner" => READ | WRITE | SEARCH | OWN,
        "can_write" => READ | WRITE,
        _ => READ,
    }
}

impl Model {
    fn dirs<'a>(&'a self, at: &'a str) -> impl Iterator<Item = &'a str> {
        let up = |at: &&'a str| Some(above(at)).filter(|dir| self.things.contains_key(*dir));
        std::iter::successors(Some(at), up).skip(1)
    }

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

    fn own(&self, user: &str, at: &str) -> u8 {
        let reached = self.reached(user);
        let grants = self.things[at]
            .grants
            .iter()
            .filter(|(to, _)| reached.contains(to));
        grants.fold(0, |sum, (_, role)| sum | rights_of(role))
    }

    /// What grants give on a path.
    pub(super) fn granted(&self, user: &str, at: &str) -> u8 {
        let (mut sum, mut behind) = (0, false);
        for up in [at].into_iter().chain(self.dirs(at)) {
            let here = self.own(user, up);
            if !behind || here & OWN != 0 {
                sum |= here;
            }
            behind |= self.things[up].restricted;
        }
        let lists = self.things[at].is_dir && sum & READ != 0;
        if lists { sum | SEARCH } else { sum }
    }

    pub(super) fn allowed(&self, user: &str, at: &str) -> u8 {
        let thing = &self.things[at];
        let everything = READ | WRITE | if thing.is_dir { SEARCH } else { 0 };
        let by_mode = match thing.owner {
            NOBODY => everything,
            owner if owner == user => everything | OWN,
            _ => 0,
        };
        by_mode | self.granted(user, at)
    }

    pub(super) fn may(&self, user: &str, at: &str, rights: u8) -> bool {
        self.allowed(user, at) & rights == rights
    }

    fn is_way(&self, user: &str, at: &str) -> bool {
        let below = format!("{at}/");
        let mut inside = self.things.keys().filter(|p| p.starts_with(&below));
        inside.any(|p| self.own(user, p) != 0)
    }

    fn is_spoken_of(&self, at: &str) -> bool {
        let said = |p| {
            let thing: &Thing = &self.things[p];
            thing.restricted || !thing.grants.is_empty()
        };
        said(at) || self.dirs(at).any(said)
    }

    pub(super) fn looks(&self, user: &str, dir: &str, right: u8) -> bool {
        self.may(user, dir, right) || self.is_way(user, dir)
    }

    fn sees(&self, user: &str, at: &str, right: u8) -> bool {
        let any = if self.may(user, above(at), right) {
            !self.is_spoken_of(at) || self.allowed(user, at) != 0
        } else {
            self.is_way(user, above(at)) && self.granted(user, at) != 0
        };
        any || self.is_way(user, at) && self.looks(user, above(at), right)
    }

    /// Whether somebody who walks there finds what stands at a path.
    pub(super) fn finds(&self, user: &str, at: &str) -> bool {
        let comes = |p: &str| {
            let dir = above(p);
            !self.things.contains_key(dir)
                || self.looks(user, dir, SEARCH) && self.sees(user, p, SEARCH)
        };
        comes(at) && self.dirs(at).all(comes)
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

    pub(super) fn may_take(&self, user: &str, at: &str) -> bool {
        let takes = self.granted(user, at) & WRITE != 0 || self.may(user, above(at), WRITE);
        self.finds(user, at) && takes
    }

    /// Whether somebody may bring what stands at a path to a directory: he owns it, or nobody has more on it there.
    pub(super) fn carries(&self, user: &str, at: &str, to: &str) -> bool {
        let (from, thing) = (above(at), &self.things[at]);
        if from == to || self.may(user, at, OWN) {
            return true;
        }
        let (held, theirs) = if thing.is_dir {
            (self.granted(user, at), READ | WRITE | OWN)
        } else {
            (self.allowed(user, at), READ | WRITE)
        };
        let owners = |dir| {
            let line = [dir].into_iter().chain(self.dirs(dir));
            line.map(|dir| self.things[dir].owner).collect()
        };
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (owners(from), owners(to));
        let is_other = |owner: &&str| ![NOBODY, thing.owner].contains(owner);
        let mut more = 0;
        if after.difference(&before).any(is_other) {
            more |= theirs;
        }
        let before = self.counting(at, from);
        for (whose, rights) in self.counting(at, to) {
            let same = before.iter().filter(|(other, _)| *other == whose);
            more |= same.fold(rights, |rest, (_, had)| rest & !had);
        }
        more & !held == 0
    }

    /// Whether what stands at a path, if anything does, may be replaced by another.
    pub(super) fn gives_way(&self, user: &str, at: &str, by: &str) -> bool {
        self.things.get(at).is_none_or(|there| {
            let fits = there.is_dir == self.things[by].is_dir && self.is_empty(at);
            fits && self.finds(user, at)
        })
    }

    /// To whom, and what, by grants on a node and from a directory upwards.
    fn counting<'a>(&'a self, at: &'a str, dir: &'a str) -> Vec<(&'a str, u8)> {
        let (mut all, mut behind) = (Vec::new(), false);
        for up in [at, dir].into_iter().chain(self.dirs(dir)) {
            let grants = self.things[up].grants.iter();
            let counting = grants.filter(|(_, role)| !behind || *role == "owner");
            all.extend(counting.map(|(to, role)| (to.as_str(), rights_of(role))));
            behind |= self.things[up].restricted;
        }
        all
    }

    pub(super) fn may_add(&self, user: &str, dir: &str) -> bool {
        self.finds(user, dir) && self.may(user, dir, WRITE | SEARCH)
    }
}
