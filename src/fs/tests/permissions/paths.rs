//! Who may do and see what, by paths and sets, as semantics.md §4 says it: slow, and plainly right.

use crate::access::Rights;
use crate::core::Time;
use crate::fs::tests::*;
use std::collections::{BTreeMap, BTreeSet};

/// An entry of a list: for whom, whether it refuses, and which of `rwx`.
pub(super) type Entry = (String, bool, u32);

/// What a directory hands on: what its mode was when that began, and entries.
#[derive(Clone, Default)]
pub(super) struct Handed {
    pub(super) bits: u32,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone)]
pub(super) struct Thing {
    pub(super) is_dir: bool,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) restricted: bool,
    /// To whom, which role, until when.
    pub(super) grants: Vec<(String, &'static str, Option<Time>)>,
    pub(super) list: Vec<Entry>,
    /// What the owning group has where the mode's group bits are the mask of a list.
    pub(super) class: u32,
    pub(super) handed: Option<Handed>,
}

#[derive(Clone)]
pub(super) struct Model {
    /// What stands at a path; a file may stand at several.
    pub(super) paths: BTreeMap<String, Ino>,
    pub(super) things: BTreeMap<Ino, Thing>,
    /// A group and who is in it.
    pub(super) members: BTreeSet<(String, String)>,
    /// The numbers that modes and lists know users and groups by.
    pub(super) numbers: BTreeMap<String, u32>,
    /// The owners of agents that act with their rights.
    pub(super) owners: BTreeMap<String, String>,
    pub(super) now: Time,
}

pub(super) fn above(at: &str) -> &str {
    at.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The subject that a caller is.
pub(super) fn name_of(who: &Caller) -> String {
    match (&who.agent, &who.user) {
        (Some(agent), _) => format!("agent:{agent}"),
        (None, Some(user)) => user.to_string(),
        (None, None) => "boss".to_owned(),
    }
}

/// Whether some entries allow something that a mode cannot say.
fn extends(entries: &[Entry]) -> bool {
    entries.iter().any(|(_, deny, _)| !deny)
}

impl Thing {
    pub(super) fn set_entry(&mut self, entry: Entry) {
        if !extends(&self.list) {
            self.class = self.mode >> 3 & 7;
        }
        self.list.retain(|(w, d, _)| (w, *d) != (&entry.0, entry.1));
        let allows = !entry.1;
        self.list.push(entry);
        if allows {
            let named = self.list.iter().filter(|e| !e.1);
            self.set_group(named.fold(self.class, |sum, e| sum | e.2));
        }
    }

    pub(super) fn remove_entry(&mut self, who: &str, deny: bool) {
        let extended = extends(&self.list);
        self.list
            .retain(|(w, d, _)| (w.as_str(), *d) != (who, deny));
        if extended && !extends(&self.list) {
            self.set_group(self.class);
        }
    }

    fn set_group(&mut self, bits: u32) {
        self.mode = self.mode & !0o070 | bits << 3;
    }

    pub(super) fn hand(&mut self, entry: Entry) {
        let bits = self.mode & 0o777;
        let new = || Handed {
            bits,
            ..Handed::default()
        };
        let handed = self.handed.get_or_insert_with(new);
        handed
            .entries
            .retain(|(w, d, _)| (w, *d) != (&entry.0, entry.1));
        handed.entries.push(entry);
    }

    pub(super) fn hand_no_more(&mut self, who: &str, deny: bool) {
        if let Some(handed) = &mut self.handed {
            handed
                .entries
                .retain(|(w, d, _)| (w.as_str(), *d) != (who, deny));
        }
        self.handed = self
            .handed
            .take()
            .filter(|h| !h.entries.is_empty() || h.bits != 0);
    }

    fn is_spoken_of(&self) -> bool {
        self.restricted || !self.grants.is_empty() || !self.list.is_empty() || self.handed.is_some()
    }
}

impl Model {
    pub(super) fn thing(&self, at: &str) -> &Thing {
        &self.things[&self.paths[at]]
    }

    pub(super) fn thing_mut(&mut self, at: &str) -> &mut Thing {
        self.things.get_mut(&self.paths[at]).unwrap()
    }

    /// Every path of what stands at one.
    pub(super) fn names(&self, at: &str) -> Vec<&str> {
        let same = self.paths.iter().filter(|(_, ino)| **ino == self.paths[at]);
        same.map(|(path, _)| path.as_str()).collect()
    }

    /// The directories above a path that the model has, the nearest first.
    pub(super) fn dirs(&self, at: &str) -> Vec<&str> {
        let (mut all, mut up) = (Vec::new(), at);
        while let Some((path, _)) = self.paths.get_key_value(above(up)) {
            all.push(path.as_str());
            up = path;
        }
        all
    }

    /// Whom grants may name to reach a subject.
    pub(super) fn reached(&self, subject: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([subject.to_owned()]);
        let owner = self.owners.get(subject);
        all.extend(owner.cloned());
        if owner.is_some() || !subject.starts_with("agent:") {
            all.insert("*".to_owned());
        }
        // Round by round.
        loop {
            let inside = self.members.iter().filter(|(_, m)| all.contains(m));
            let more: BTreeSet<_> = inside.map(|(g, _)| g.clone()).collect();
            if more.is_subset(&all) {
                return all;
            }
            all.extend(more);
        }
    }

    fn own_grants(&self, reached: &BTreeSet<String>, at: &str) -> Rights {
        let mut sum = Rights::NONE;
        for (to, role, end) in &self.thing(at).grants {
            if end.is_none_or(|end| self.now < end) && reached.contains(to) {
                sum = sum.and(rights_of(role));
            }
        }
        sum
    }

    /// What grants give to a subject where something stands, by one of its paths.
    fn granted_at(&self, reached: &BTreeSet<String>, at: &str) -> Rights {
        let (mut sum, mut behind) = (Rights::NONE, false);
        for up in [at].into_iter().chain(self.dirs(at)) {
            let here = self.own_grants(reached, up);
            if !behind || here == Rights::ALL {
                sum = sum.and(here);
            }
            behind |= self.thing(up).restricted;
        }
        sum
    }

    /// What grants alone give to a subject: what they give by every name.
    pub(super) fn given(&self, subject: &str, at: &str) -> Rights {
        let reached = self.reached(subject);
        let by_name = self
            .names(at)
            .into_iter()
            .map(|at| self.granted_at(&reached, at));
        by_name.reduce(Rights::within).unwrap()
    }

    pub(super) fn granted(&self, who: &Caller, at: &str) -> Rights {
        let given = self.given(&name_of(who), at);
        let lists = self.thing(at).is_dir && given.covers(Rights::READ);
        if lists {
            given.and(Rights::EXECUTE)
        } else {
            given
        }
    }

    /// Whether a list speaks of a caller: of his user, whose number an agent has too, or of a group of his.
    fn is(&self, who: &Caller, named: &str) -> bool {
        if named.starts_with("group:") {
            return self.reached(&name_of(who)).contains(named);
        }
        self.numbers[named] == who.uid
    }

    /// What lists refuse, whichever path one comes by.
    pub(super) fn denied(&self, who: &Caller, at: &str) -> Rights {
        let mut entries: Vec<&Entry> = self.thing(at).list.iter().collect();
        for name in self.names(at) {
            let above = self.dirs(name).into_iter();
            let handed = above.filter_map(|dir| self.thing(dir).handed.as_ref());
            entries.extend(handed.flat_map(|h| &h.entries));
        }
        let matching = entries
            .into_iter()
            .filter(|(named, deny, _)| *deny && self.is(who, named));
        matching.fold(Rights::NONE, |sum, (_, _, bits)| {
            sum.and(if *bits == 0 {
                Rights::ALL
            } else {
                Rights::from_bits(*bits)
            })
        })
    }

    fn by_mode(&self, who: &Caller, at: &str) -> Rights {
        let thing = self.thing(at);
        if who.isolated {
            return Rights::NONE;
        }
        if thing.uid == who.uid {
            return Rights::from_bits(thing.mode >> 6).and(Rights::OWN);
        }
        let number = |(name, number): (&String, &u32)| *number == thing.gid && self.is(who, name);
        let groups = self
            .numbers
            .iter()
            .filter(|(name, _)| name.starts_with("group:"));
        let owns = who.gid == thing.gid || groups.into_iter().any(number);
        let group = thing.mode >> 3;
        if !extends(&thing.list) {
            return Rights::from_bits(if owns { group } else { thing.mode });
        }
        let allows = thing
            .list
            .iter()
            .filter(|(named, deny, _)| !deny && self.is(who, named));
        let (groups, users): (Vec<_>, Vec<_>) = allows.partition(|e| e.0.starts_with("group:"));
        let bits = if let Some((_, _, bits)) = users.first() {
            bits & group
        } else if owns || !groups.is_empty() {
            let named = groups.iter().fold(0, |sum, e| sum | e.2);
            (named | if owns { thing.class } else { 0 }) & group
        } else {
            thing.mode
        };
        Rights::from_bits(bits)
    }

    pub(super) fn allowed(&self, who: &Caller, at: &str) -> Rights {
        if who.admin {
            return Rights::ALL;
        }
        let given = self.granted(who, at).and(self.by_mode(who, at));
        given.without(self.denied(who, at))
    }

    pub(super) fn may(&self, who: &Caller, at: &str, right: Rights) -> bool {
        self.allowed(who, at).covers(right)
    }

    /// Whether something below was granted to somebody, and no deny keeps him from going there with a right.
    fn is_way(&self, who: &Caller, at: &str, right: Rights) -> bool {
        let (below, reached) = (format!("{at}/"), self.reached(&name_of(who)));
        let mut inside = self.paths.keys().filter(|p| p.starts_with(&below));
        inside.any(|p| !self.own_grants(&reached, p).is_empty())
            && self.denied(who, at).within(right).is_empty()
    }

    fn is_spoken_of(&self, at: &str) -> bool {
        let names = self.names(at).into_iter();
        let mut all = names.flat_map(|name| [name].into_iter().chain(self.dirs(name)));
        all.any(|p| self.thing(p).is_spoken_of())
    }

    /// The directories from one upwards of which something was said.
    pub(super) fn domains(&self, dir: &str) -> Vec<&str> {
        let own = self.paths.get_key_value(dir).map(|(p, _)| p.as_str());
        let all = own.into_iter().chain(self.dirs(dir));
        all.filter(|p| self.thing(p).is_spoken_of()).collect()
    }

    /// Whether somebody who looks at a directory with a right, or else at the ways through it, sees what is in it.
    pub(super) fn sees(&self, who: &Caller, at: &str, right: Rights) -> bool {
        let any = if self.may(who, above(at), right) {
            let is_own = self.may(who, above(at), Rights::OWN);
            is_own || !self.is_spoken_of(at) || !self.allowed(who, at).is_empty()
        } else {
            let granted = self.granted(who, at).without(self.denied(who, at));
            self.is_way(who, above(at), right) && !granted.is_empty()
        };
        any || self.is_way(who, at, Rights::EXECUTE) && self.looks(who, above(at), right)
    }

    pub(super) fn looks(&self, who: &Caller, dir: &str, right: Rights) -> bool {
        self.may(who, dir, right) || self.is_way(who, dir, right)
    }

    /// What a listing of a directory gives; `None` when it is refused.
    pub(super) fn listed(&self, who: &Caller, dir: &str) -> Option<BTreeSet<String>> {
        let reached = self.reaches(who, dir) && self.looks(who, dir, Rights::READ);
        let inside = self.paths.keys().filter(|p| above(p) == dir);
        let seen = inside.filter(|p| self.sees(who, p, Rights::READ));
        reached.then(|| {
            seen.map(|p| p.rsplit_once('/').unwrap().1.to_owned())
                .collect()
        })
    }

    /// Whether somebody who walks a path finds what stands there: he sees each name on the way, and it itself.
    pub(super) fn finds(&self, who: &Caller, at: &str) -> bool {
        let sees = |p: &str| {
            if self.paths.contains_key(above(p)) {
                return self.looks(who, above(p), Rights::EXECUTE)
                    && self.sees(who, p, Rights::EXECUTE);
            }
            // Whoever is a user may search what is above the model's top.
            !who.isolated && !self.is_spoken_of(p)
                || !self.allowed(who, p).is_empty()
                || self.is_way(who, p, Rights::EXECUTE)
        };
        sees(at) && self.dirs(at).into_iter().all(sees)
    }

    /// Whether somebody can walk to one of the paths.
    pub(super) fn reaches(&self, who: &Caller, at: &str) -> bool {
        let walks = |name: &str| {
            let mut dirs = self.dirs(name).into_iter();
            dirs.all(|dir| self.looks(who, dir, Rights::EXECUTE))
        };
        self.names(at).into_iter().any(walks)
    }

    pub(super) fn is_empty(&self, at: &str) -> bool {
        let below = format!("{at}/");
        !self.paths.keys().any(|p| p.starts_with(&below))
    }
}

pub(super) fn rights_of(role: &str) -> Rights {
    match role {
        "owner" => Rights::ALL,
        "can_write" => Rights::READ.and(Rights::WRITE),
        "can_read" => Rights::READ,
        _ => Rights::READ.and(Rights::EXECUTE),
    }
}
