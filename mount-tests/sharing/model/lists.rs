//! Modes, access control lists (acl(5)) and denies.

use super::{ALL, Model, OWN, Thing};

/// For whom, whether it refuses, and which of `rwx`.
pub(in crate::sharing) type Entry = (String, bool, u32);

/// What a directory hands on to what is made in it.
#[derive(Debug, Clone)]
pub(in crate::sharing) struct Handed {
    pub(in crate::sharing) owner: u32,
    pub(in crate::sharing) group: u32,
    pub(in crate::sharing) mask: u32,
    pub(in crate::sharing) other: u32,
    pub(in crate::sharing) entries: Vec<Entry>,
}

/// Whether some entries allow what a mode cannot say.
fn extends(entries: &[Entry]) -> bool {
    entries.iter().any(|(_, deny, _)| !deny)
}

fn replace(entries: &mut Vec<Entry>, new: Entry) {
    entries.retain(|(who, deny, _)| (who, *deny) != (&new.0, new.1));
    entries.push(new);
}

pub(in crate::sharing) fn has(entries: &[Entry], who: &str, deny: bool) -> bool {
    entries.iter().any(|e| (e.0.as_str(), e.1) == (who, deny))
}

impl Handed {
    fn of(mode: u32) -> Self {
        let group = mode >> 3 & 7;
        Self {
            owner: mode >> 6 & 7,
            group,
            mask: group,
            other: mode & 7,
            entries: Vec::new(),
        }
    }

    /// Whether it says anything but denies.
    fn has_words(&self) -> bool {
        extends(&self.entries) || self.owner | self.group | self.other != 0
    }
}

impl Thing {
    pub(in crate::sharing) fn set_entry(&mut self, new: Entry) {
        if !extends(&self.list) {
            self.class = self.mode >> 3 & 7;
        }
        let allows = !new.1;
        replace(&mut self.list, new);
        if allows {
            let named = self.list.iter().filter(|e| !e.1);
            self.set_group(named.fold(self.class, |sum, e| sum | e.2));
        }
    }

    /// Takes out the entries that fit.
    pub(in crate::sharing) fn drop_entries(&mut self, fits: impl Fn(&Entry) -> bool) {
        let extended = extends(&self.list);
        self.list.retain(|e| !fits(e));
        if extended && !extends(&self.list) {
            self.set_group(self.class);
        }
    }

    /// Puts another list in the place of all but the denies, as setfacl(1) does on a mount.
    pub(in crate::sharing) fn set_list(&mut self, new: Handed) {
        let group = if extends(&new.entries) {
            new.mask
        } else {
            new.group
        };
        self.mode = new.owner << 6 | group << 3 | new.other;
        self.class = new.group;
        self.list.retain(|e| e.1);
        self.list.extend(new.entries);
    }

    fn set_group(&mut self, bits: u32) {
        self.mode = self.mode & !0o070 | bits << 3;
    }

    pub(in crate::sharing) fn hand(&mut self, new: Entry) {
        // It begins with what owner, owning group and others have: of a list the group's own entry, not the mask.
        let group = if extends(&self.list) {
            self.class
        } else {
            self.mode >> 3 & 7
        };
        let mode = self.mode & !0o070 | group << 3;
        let handed = self.handed.get_or_insert_with(|| Handed::of(mode));
        let allows = !new.1;
        replace(&mut handed.entries, new);
        if allows {
            let named = handed.entries.iter().filter(|e| !e.1);
            handed.mask = named.fold(handed.group, |sum, e| sum | e.2);
        }
    }

    pub(in crate::sharing) fn drop_handed(&mut self, who: &str, deny: bool) {
        if let Some(handed) = &mut self.handed {
            handed
                .entries
                .retain(|e| (e.0.as_str(), e.1) != (who, deny));
        }
        self.tidy();
    }

    pub(in crate::sharing) fn hand_list(&mut self, mut new: Handed) {
        let denies = self.handed.take().into_iter().flat_map(|old| old.entries);
        new.entries.extend(denies.filter(|e| e.1));
        self.handed = Some(new);
        self.tidy();
    }

    /// Leaves denies alone of what is handed on.
    pub(in crate::sharing) fn hand_no_list(&mut self) {
        self.hand_list(Handed::of(0));
    }

    fn tidy(&mut self) {
        let says = |h: &Handed| !h.entries.is_empty() || h.has_words();
        self.handed = self.handed.take().filter(says);
    }

    /// What somebody makes in this directory, who asks for a mode and has an umask.
    pub(in crate::sharing) fn child(
        &self,
        is_dir: bool,
        owner: &'static str,
        (asked, umask): (u32, u32),
    ) -> Self {
        let Some(handed) = self.handed.as_ref().filter(|h| h.has_words()) else {
            return Self::new(is_dir, owner, asked & !umask);
        };
        let mut given = handed.clone();
        given.entries.retain(|e| !e.1);
        let group = if given.entries.is_empty() {
            given.group
        } else {
            given.mask
        };
        let most = given.owner << 6 | group << 3 | given.other;
        Self {
            list: given.entries.clone(),
            class: given.group,
            handed: is_dir.then_some(given),
            ..Self::new(is_dir, owner, asked & most)
        }
    }
}

impl Model {
    /// What lists refuse somebody.
    pub(super) fn denied(&self, user: &str, at: &str) -> u32 {
        let reached = self.reached(user);
        let handed = self
            .dirs(at)
            .filter_map(|dir| self.things[dir].handed.as_ref());
        let handed = handed.flat_map(|h| &h.entries);
        let all = self.things[at].list.iter().chain(handed);
        let his = all.filter(|(who, deny, _)| *deny && reached.contains(who));
        let denied = his.fold(0, |sum, (_, _, bits)| {
            sum | if *bits == 0 { ALL } else { *bits }
        });
        // Whose it is may change that.
        if self.things[at].owner == user {
            denied & !OWN
        } else {
            denied
        }
    }

    /// What mode and list give.
    pub(super) fn by_mode(&self, user: &str, at: &str) -> u32 {
        let thing = &self.things[at];
        if thing.owner == user {
            return thing.mode >> 6 & 7 | OWN;
        }
        let reached = self.reached(user);
        let (in_group, group) = (reached.contains(&thing.group), thing.mode >> 3 & 7);
        if !extends(&thing.list) {
            return if in_group { group } else { thing.mode & 7 };
        }
        let allowing = thing.list.iter().filter(|e| !e.1);
        let mut named = allowing.clone().filter(|e| e.0 == format!("user:{user}"));
        if let Some((_, _, bits)) = named.next() {
            return bits & group;
        }
        let groups = allowing.filter(|e| e.0.starts_with("group:") && reached.contains(&e.0));
        let mut bits: Vec<_> = groups.map(|e| e.2).collect();
        bits.extend(in_group.then_some(thing.class));
        if bits.is_empty() {
            return thing.mode & 7;
        }
        bits.into_iter().fold(0, |sum, bits| sum | bits) & group
    }
}
