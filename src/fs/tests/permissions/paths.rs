//! Who may do and see what, by paths and sets, as semantics.md §4 says it: slow, and plainly right.

use crate::access::Rights;
use crate::core::Time;
use crate::fs::tests::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone)]
pub(super) struct Thing {
    pub(super) ino: Ino,
    pub(super) is_dir: bool,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) restricted: bool,
    /// To whom, which role, until when.
    pub(super) grants: Vec<(String, &'static str, Option<Time>)>,
}

pub(super) struct Model {
    pub(super) things: BTreeMap<String, Thing>,
    /// A group and who is in it.
    pub(super) members: BTreeSet<(String, String)>,
    pub(super) now: Time,
}

pub(super) fn above(at: &str) -> &str {
    at.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Model {
    /// A subject and every group that it is in, round by round.
    pub(super) fn reached(&self, subject: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([subject.to_owned()]);
        loop {
            let inside = self.members.iter().filter(|(_, m)| all.contains(m));
            let more: BTreeSet<_> = inside.map(|(g, _)| g.clone()).collect();
            if more.is_subset(&all) {
                return all;
            }
            all.extend(more);
        }
    }

    pub(super) fn own_grants(&self, who: &Caller, at: &str) -> Rights {
        let Some(thing) = self.things.get(at) else {
            return Rights::NONE;
        };
        let Some(user) = &who.user else {
            return Rights::NONE;
        };
        let reached = self.reached(user);
        let mut sum = Rights::NONE;
        for (to, role, end) in &thing.grants {
            if end.is_none_or(|end| self.now < end) && (to == "*" || reached.contains(to)) {
                sum = sum.and(match *role {
                    "owner" => Rights::ALL,
                    "can_write" => Rights::READ.and(Rights::WRITE),
                    "can_read" => Rights::READ,
                    _ => Rights::READ.and(Rights::EXECUTE),
                });
            }
        }
        sum
    }

    pub(super) fn granted(&self, who: &Caller, at: &str) -> Rights {
        let (mut sum, mut behind) = (Rights::NONE, false);
        let mut up = at;
        while let Some(thing) = self.things.get(up) {
            let here = self.own_grants(who, up);
            if !behind || here == Rights::ALL {
                sum = sum.and(here);
            }
            behind |= thing.restricted;
            up = above(up);
        }
        let lists = self.things[at].is_dir && sum.covers(Rights::READ);
        if lists { sum.and(Rights::EXECUTE) } else { sum }
    }

    pub(super) fn allowed(&self, who: &Caller, at: &str) -> Rights {
        let thing = &self.things[at];
        if who.admin {
            return Rights::ALL;
        }
        let by_mode = if thing.uid == who.uid {
            Rights::from_bits(thing.mode >> 6).and(Rights::OWN)
        } else if thing.gid == who.gid {
            Rights::from_bits(thing.mode >> 3)
        } else {
            Rights::from_bits(thing.mode)
        };
        self.granted(who, at).and(by_mode)
    }

    pub(super) fn may(&self, who: &Caller, at: &str, right: Rights) -> bool {
        self.allowed(who, at).covers(right)
    }

    /// Whether something below was granted to somebody.
    pub(super) fn is_way(&self, who: &Caller, at: &str) -> bool {
        let below = format!("{at}/");
        let mut inside = self.things.keys().filter(|p| p.starts_with(&below));
        inside.any(|p| !self.own_grants(who, p).is_empty())
    }

    pub(super) fn is_spoken_of(&self, at: &str) -> bool {
        let said = |t: &Thing| t.restricted || !t.grants.is_empty();
        let spoken =
            |(p, t): (&String, &Thing)| said(t) && (p == at || at.starts_with(&format!("{p}/")));
        self.things.iter().any(spoken)
    }

    /// Whether somebody who looks at a directory with a right, or else at the ways through it, sees what is in it.
    pub(super) fn sees(&self, who: &Caller, at: &str, right: Rights) -> bool {
        let any = if self.may(who, above(at), right) {
            !self.is_spoken_of(at) || !self.allowed(who, at).is_empty()
        } else {
            self.is_way(who, above(at)) && !self.granted(who, at).is_empty()
        };
        any || (self.is_way(who, at) && self.looks(who, above(at), right))
    }

    pub(super) fn looks(&self, who: &Caller, dir: &str, right: Rights) -> bool {
        self.may(who, dir, right) || self.is_way(who, dir)
    }

    /// What a listing of a directory gives; `None` when it is refused.
    pub(super) fn listed(&self, who: &Caller, dir: &str) -> Option<BTreeSet<String>> {
        let reached = self.reaches(who, dir) && self.looks(who, dir, Rights::READ);
        let inside = self.things.keys().filter(|p| above(p) == dir);
        let seen = inside.filter(|p| self.sees(who, p, Rights::READ));
        reached.then(|| {
            seen.map(|p| p.rsplit_once('/').unwrap().1.to_owned())
                .collect()
        })
    }

    pub(super) fn reaches(&self, who: &Caller, at: &str) -> bool {
        let mut up = above(at);
        while self.things.contains_key(up) {
            if !self.looks(who, up, Rights::EXECUTE) {
                return false;
            }
            up = above(up);
        }
        true
    }

    pub(super) fn is_empty(&self, at: &str) -> bool {
        let below = format!("{at}/");
        !self.things.keys().any(|p| p.starts_with(&below))
    }
}
