//! What is said about things and people: modes, owners, lists, grants, boundaries, memberships.

use super::{GROUPS, Game, PEOPLE, SUBJECTS};
use crate::hammer::now;
use crate::sharing::model::{Entry, Handed, Model, OWN, has};
use nexus::core::Time;
use serde_json::json;

const MODES: [u32; 12] = [
    0o700, 0o750, 0o755, 0o711, 0o000, 0o644, 0o777, 0o070, 0o600, 0o640, 0o664, 0o770,
];

fn letters(bits: u32) -> String {
    let letter = |(bit, letter)| if bits & bit == 0 { '-' } else { letter };
    [(4, 'r'), (2, 'w'), (1, 'x')].map(letter).iter().collect()
}

/// As `nexus setfacl` takes it.
fn words((who, deny, bits): &Entry, default: &str) -> String {
    let deny = if *deny { "deny:" } else { "" };
    format!("{default}{deny}{who}:{}", letters(*bits))
}

impl Game {
    /// One time in three the administrator, whom nothing is refused.
    fn ruler(&mut self, n: usize) -> (Option<usize>, String) {
        if self.dice.one_in(3) {
            (None, "admin".to_owned())
        } else {
            (Some(n), self.people[n].name.to_owned())
        }
    }

    /// What the model says of a ruler.
    fn rules(who: Option<usize>, at: &str) -> impl Fn(&Model) -> bool {
        let user = who.map(|n| PEOPLE[n].0);
        move |m| user.is_none_or(|user| m.uses(user, at, OWN))
    }

    pub(super) fn chmod(&mut self, n: usize, at: &str) {
        let mode = self.one(&MODES);
        let (who, name) = self.ruler(n);
        let on_mount = who.is_some() && self.dice.one_in(2);
        let octal = format!("{mode:o}");
        let what = format!("{name}: chmod {octal} {at}, on a mount: {on_mount}");
        let set = self.goes(&what, Self::rules(who, at), |g| {
            if on_mount {
                return g.does(n, "chmod", at, &[&octal]);
            }
            g.asks(who, "chmod", &json!({"path": at, "mode": octal}))
        });
        if set {
            self.model.things.get_mut(at).unwrap().mode = mode;
        }
    }

    pub(super) fn chown(&mut self, at: &str) {
        let (owner, _) = self.one(&PEOPLE);
        let group = self.one(&GROUPS);
        let body = json!({"path": at, "owner": format!("{owner}:{group}")});
        println!("admin: chown {body}");
        self.asks(None, "chown", &body).unwrap();
        let thing = self.model.things.get_mut(at).unwrap();
        (thing.owner, thing.group) = (owner, format!("group:{group}"));
    }

    /// Puts an entry into a list, or takes one out.
    pub(super) fn entry(&mut self, n: usize, at: &str) {
        let (who, name) = self.ruler(n);
        let (subject, deny) = (self.one(&SUBJECTS).to_owned(), self.dice.one_in(2));
        let new: Entry = (subject, deny, u32::try_from(self.dice.below(8)).unwrap());
        let is_default = self.dice.one_in(3);
        let remove = self.dice.one_in(3);
        let thing = &self.model.things[at];
        let handed = thing.handed.as_ref().map_or(&[][..], |h| &h.entries);
        let entries = if is_default { handed } else { &thing.list };
        let fits = (thing.is_dir || !is_default) && (!remove || has(entries, &new.0, new.1));
        let text = words(&new, if is_default { "default:" } else { "" });
        let body = json!({"path": at, "entry": text, "remove": remove});
        let rules = Self::rules(who, at);
        let what = format!("{name}: acl-set {body}");
        let set = self.goes(
            &what,
            |m| fits && rules(m),
            |g| g.asks(who, "acl-set", &body),
        );
        let thing = self.model.things.get_mut(at).unwrap();
        match (set, is_default, remove) {
            (false, ..) => {}
            (true, false, false) => thing.set_entry(new),
            (true, false, true) => thing.drop_entries(|e| (&e.0, e.1) == (&new.0, new.1)),
            (true, true, false) => thing.hand(new),
            (true, true, true) => thing.drop_handed(&new.0, new.1),
        }
    }

    /// Sets a whole list on a mount, where the kernel wants the owner.
    pub(super) fn list(&mut self, n: usize, at: &str) {
        let bits = |g: &mut Self| u32::try_from(g.dice.below(8)).unwrap();
        let named = self.dice.index(3);
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..named {
            let subject = self.one(&SUBJECTS);
            if !has(&entries, subject, false) {
                entries.push((subject.to_owned(), false, bits(self)));
            }
        }
        let new = Handed {
            owner: bits(self) | 4,
            group: bits(self),
            mask: bits(self),
            other: bits(self),
            entries,
        };
        let is_default = self.model.things[at].is_dir && self.dice.one_in(2);
        let value = self.kernels(n, &new);
        let what = format!("{}: setfacl {new:?} {at} {is_default}", PEOPLE[n].0);
        let set = self.goes(
            &what,
            Self::masters(PEOPLE[n].0, self.people[n].has_own, at),
            |g| g.does(n, "setfacl", at, &[name_of(is_default), &value]),
        );
        let thing = self.model.things.get_mut(at).unwrap();
        match (set, is_default) {
            (false, _) => {}
            (true, false) => thing.set_list(new),
            (true, true) => thing.hand_list(new),
        }
    }

    /// Takes a list away on a mount.
    pub(super) fn unlist(&mut self, n: usize, at: &str) {
        let is_default = self.model.things[at].is_dir && self.dice.one_in(2);
        let what = format!("{}: setfacl -b {at} {is_default}", PEOPLE[n].0);
        let gone = self.goes(
            &what,
            Self::masters(PEOPLE[n].0, self.people[n].has_own, at),
            |g| g.does(n, "unsetfacl", at, &[name_of(is_default)]),
        );
        let thing = self.model.things.get_mut(at).unwrap();
        match (gone, is_default) {
            (false, _) => {}
            (true, false) => thing.drop_entries(|e| !e.1),
            (true, true) => thing.hand_no_list(),
        }
    }

    /// Who may set a list on a mount: the kernel asks for the UNIX owner as well, but root.
    fn masters(user: &str, is_root: bool, at: &str) -> impl Fn(&Model) -> bool {
        move |m| m.uses(user, at, OWN) && (is_root || m.things[at].owner == user)
    }

    /// A list in the kernel's form, in hexadecimal digits, with numbers as somebody's mount has them.
    fn kernels(&self, n: usize, list: &Handed) -> String {
        let nobody = u32::MAX;
        let mut all = vec![(1_u16, list.owner, nobody)];
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for (who, _, bits) in &list.entries {
            match who.split_once(':').unwrap() {
                ("user", name) => {
                    let (_, uid) = PEOPLE.into_iter().find(|(n, _)| *n == name).unwrap();
                    let is_self = self.people[n].has_own && PEOPLE[n].0 == name;
                    users.push((2, *bits, if is_self { 0 } else { uid }));
                }
                (_, group) => groups.push((8, *bits, self.gids[group])),
            }
        }
        all.extend(users);
        all.push((4, list.group, nobody));
        all.extend(groups);
        if !list.entries.is_empty() {
            all.push((16, list.mask, nobody));
        }
        all.push((32, list.other, nobody));
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, bits, id) in all {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(u16::try_from(bits).unwrap().to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        let digits: Vec<_> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        digits.concat()
    }

    /// For good, or for a while that may be over soon.
    pub(super) fn grant(&mut self, n: usize, at: &str) {
        let (who, name) = self.ruler(n);
        let role = self.one(&["owner", "can_write", "can_read", "can_execute"]);
        let to = if self.dice.one_in(7) {
            "user:*"
        } else {
            self.one(&SUBJECTS)
        };
        let mut body = json!({"path": at, "relation": role, "subject": to});
        let span = 200_000_000 + i64::try_from(self.dice.below(3_000_000_000)).unwrap();
        let end = self.dice.one_in(2).then(|| Time(now().0 + span));
        if let Some(end) = end {
            body["expires"] = json!(end.to_string());
        }
        let rules = Self::rules(who, at);
        let what = format!("{name}: grant {body}");
        let given = self.goes(
            &what,
            |m| rules(m) && end.is_none_or(|end| m.now < end),
            |g| g.asks(who, "rebac-grant", &body),
        );
        if given {
            let thing = self.model.things.get_mut(at).unwrap();
            thing.grants.insert((to.to_owned(), role), end);
        }
    }

    pub(super) fn revoke(&mut self) {
        let all = self.model.things.iter();
        let all = all.flat_map(|(at, thing)| thing.grants.keys().map(move |g| (at, g)));
        let all: Vec<_> = all.map(|(at, g)| (at.clone(), g.clone())).collect();
        let Some((at, grant)) = all.get(self.dice.index(all.len())) else {
            return;
        };
        let body = json!({"path": at, "subject": grant.0, "relation": grant.1});
        println!("admin: revoke {body}");
        self.asks(None, "rebac-revoke", &body).unwrap();
        self.model.things.get_mut(at).unwrap().grants.remove(grant);
    }

    pub(super) fn restrict(&mut self, n: usize, at: &str) {
        let (who, name) = self.ruler(n);
        let on = self.dice.one_in(2);
        let command = if on {
            "rebac-restrict"
        } else {
            "rebac-unrestrict"
        };
        let what = format!("{name}: {command} {at}");
        let done = self.goes(&what, Self::rules(who, at), |g| {
            g.asks(who, command, &json!({ "path": at }))
        });
        if done {
            self.model.things.get_mut(at).unwrap().restricted = on;
        }
    }

    pub(super) fn change_member(&mut self) {
        let (group, member) = (self.one(&GROUPS), self.one(&SUBJECTS));
        let pair = (format!("group:{group}"), member.to_owned());
        let is_in = self.model.members.contains(&pair);
        let command = if is_in { "group-remove" } else { "group-add" };
        let body = json!({"group": group, "member": member});
        println!("admin: {command} {body}");
        self.asks(None, command, &body).unwrap();
        if is_in {
            self.model.members.remove(&pair);
        } else {
            self.model.members.insert(pair);
        }
    }
}

fn name_of(is_default: bool) -> &'static str {
    if is_default {
        "system.posix_acl_default"
    } else {
        "system.posix_acl_access"
    }
}
