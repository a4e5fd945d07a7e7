//! What may be made, removed and moved: nobody has more on what comes to another place than who moves it has.

use super::{ALL, Model, NOBODY, OWN, READ, SEARCH, WRITE, above, rights_of};
use nexus::core::Time;
use std::collections::BTreeSet;

impl Model {
    pub(in crate::sharing) fn may_add(&self, user: &str, dir: &str) -> bool {
        self.uses(user, dir, WRITE | SEARCH)
    }

    pub(in crate::sharing) fn may_make(&self, user: &str, at: &str) -> bool {
        self.may_add(user, above(at)) && !self.things.contains_key(at)
    }

    pub(in crate::sharing) fn may_take(&self, user: &str, at: &str) -> bool {
        let takes = self.left(user, at) & WRITE != 0 || self.may(user, above(at), WRITE);
        self.finds(user, at) && takes
    }

    pub(in crate::sharing) fn may_remove(&self, user: &str, at: &str) -> bool {
        self.may_take(user, at) && self.is_empty(at)
    }

    pub(in crate::sharing) fn may_rename(&self, user: &str, from: &str, to: &str) -> bool {
        self.may_take(user, from)
            && self.may_add(user, above(to))
            && self.may_move(user, from, above(to))
            && self.gives_way(user, to, from)
    }

    pub(in crate::sharing) fn may_exchange(&self, user: &str, one: &str, other: &str) -> bool {
        self.may_take(user, one)
            && self.may_add(user, above(other))
            && self.may_move(user, one, above(other))
            && self.may_take(user, other)
            && self.may_move(user, other, above(one))
    }

    /// Whether somebody may let what stands at a path have another directory above it.
    fn may_move(&self, user: &str, at: &str, to: &str) -> bool {
        let is_dir = self.things[at].is_dir;
        let writes = || self.may(user, above(at), WRITE) && (!is_dir || self.may(user, at, WRITE));
        above(at) == to || writes() && self.carries(user, at, to)
    }

    /// Whether what stands at a path, if anything does, may be replaced by another.
    fn gives_way(&self, user: &str, at: &str, by: &str) -> bool {
        self.things.get(at).is_none_or(|there| {
            let fits = there.is_dir == self.things[by].is_dir && self.is_empty(at);
            fits && self.finds(user, at)
        })
    }

    /// Whether somebody may bring what stands at a path to a directory: he owns it, or nobody has more on it there.
    fn carries(&self, user: &str, at: &str, to: &str) -> bool {
        let (from, thing) = (above(at), &self.things[at]);
        if self.may(user, at, OWN) {
            return true;
        }
        let (held, theirs) = if thing.is_dir {
            (self.left(user, at), ALL)
        } else {
            (self.allowed(user, at), READ | WRITE)
        };
        let (before, after) = (self.owners(from), self.owners(to));
        let is_other = |owner: &&str| ![NOBODY, thing.owner].contains(owner);
        let mut more = self.more_by_grants(at, from, to) | self.more_by_denies(from, to);
        if after.difference(&before).any(is_other) {
            more |= theirs;
        }
        more & !held == 0
    }

    fn line<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a str> {
        [dir].into_iter().chain(self.dirs(dir))
    }

    fn owners(&self, dir: &str) -> BTreeSet<&str> {
        self.line(dir).map(|dir| self.things[dir].owner).collect()
    }

    /// To whom, what, and until when, by grants on a node and from a directory upwards.
    fn counting<'a>(&'a self, at: &'a str, dir: &'a str) -> Vec<(&'a str, u32, Time)> {
        let (mut all, mut behind) = (Vec::new(), false);
        for up in [at].into_iter().chain(self.line(dir)) {
            for ((to, role), end) in &self.things[up].grants {
                let end = end.unwrap_or(Time(i64::MAX));
                if self.now < end && (!behind || *role == "owner") {
                    all.push((to.as_str(), rights_of(role), end));
                }
            }
            behind |= self.things[up].restricted;
        }
        all
    }

    fn more_by_grants(&self, at: &str, from: &str, to: &str) -> u32 {
        let before = self.counting(at, from);
        let mut more = 0;
        for (whose, new, end) in self.counting(at, to) {
            let lasting = before.iter().filter(|b| b.0 == whose && b.2 >= end);
            more |= lasting.fold(new, |rest, (_, old, _)| rest & !old);
        }
        more
    }

    /// Whom what is handed on from a directory upwards refuses, and what.
    fn refused(&self, dir: &str) -> Vec<(&str, u32)> {
        let handed = self
            .line(dir)
            .filter_map(|dir| self.things[dir].handed.as_ref());
        let denies = handed.flat_map(|h| &h.entries).filter(|e| e.1);
        denies
            .map(|(who, _, bits)| (who.as_str(), if *bits == 0 { ALL } else { *bits }))
            .collect()
    }

    fn more_by_denies(&self, from: &str, to: &str) -> u32 {
        let after = self.refused(to);
        let mut more = 0;
        for (whose, old) in self.refused(from) {
            let kept = after.iter().filter(|r| r.0 == whose);
            more |= kept.fold(old, |rest, (_, new)| rest & !new);
        }
        more
    }
}
