//! What is said about nodes and people: grants, boundaries, lists, memberships, and who comes and goes.

use super::game::{AGENTS, GROUPS, Game, Play, ROLES, SECOND, USERS, same};
use super::paths::Entry;
use crate::access::Rights;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{PrincipalId, Time};
use crate::fs::AclOf;
use crate::fs::grant::To;
use crate::fs::tests::principals::{TENANT, boss, subject};
use crate::fs::tests::*;

impl Game {
    fn rules(&self, who: &Caller, at: &str) -> bool {
        who.admin || self.m.reaches(who, at) && self.m.may(who, at, Rights::OWN)
    }

    pub(super) fn grant(&mut self, who: &Caller, at: &str) -> Play {
        let (to, role) = (self.anyone(), self.one(&ROLES));
        let later = Time(self.m.now.0 + i64::from(1 + self.n.below(20)) * SECOND);
        let end = self.one(&[None, Some(later)]);
        let whom = match to.as_str() {
            "*" => To::Everyone,
            name => To::One(subject(name)),
        };
        let made = self.w.engine().grant(who, self.ino(at), role, &whom, end);
        same(&made.is_ok(), &self.rules(who, at), || {
            format!("{who:?} grants on {at}: {made:?}")
        })?;
        if made.is_ok() {
            let grants = &mut self.m.thing_mut(at).grants;
            grants.retain(|(t, r, _)| (t, *r) != (&to, role));
            grants.push((to, role, end));
        }
        Ok(())
    }

    pub(super) fn revoke(&mut self) -> Play {
        let all = self.w.engine().grants(&boss(), |_| true).unwrap();
        let kept: usize = self.m.things.values().map(|t| t.grants.len()).sum();
        same(&all.len(), &kept, || "grants".to_owned())?;
        if all.is_empty() {
            return Ok(());
        }
        let tuple = &all[self.n.index(u32::try_from(all.len()).unwrap())];
        self.w.engine().revoke(&boss(), tuple.id).unwrap();
        let to = self.named(&tuple.subject_id);
        let thing = self.m.things.get_mut(&tuple.ino().unwrap()).unwrap();
        thing
            .grants
            .retain(|(t, r, _)| (t, *r) != (&to, &*tuple.relation));
        Ok(())
    }

    fn named(&self, id: &str) -> String {
        let Ok(id) = id.parse() else {
            return id.to_owned();
        };
        let roster = self.w.engine().roster(TENANT).unwrap();
        let name = roster.by_id(PrincipalId(id)).unwrap().subject().to_string();
        name.trim_start_matches("user:").to_owned()
    }

    pub(super) fn restrict(&mut self, who: &Caller, at: &str) -> Play {
        let on = self.n.index(2) == 0;
        let done = self.w.engine().restrict(who, self.ino(at), on);
        same(&done.is_ok(), &self.rules(who, at), || {
            format!("{who:?} restricts {at}: {done:?}")
        })?;
        if done.is_ok() {
            self.m.thing_mut(at).restricted = on;
        }
        Ok(())
    }

    /// An entry for a user or a group.
    fn entry(&mut self) -> Entry {
        let who = self.one(&[&USERS[..], &GROUPS].concat());
        (who.to_owned(), self.n.index(2) == 0, self.n.below(8))
    }

    fn acl_entry(&self, (who, deny, rights): &Entry) -> AclEntry {
        let number = self.m.numbers[who];
        AclEntry {
            who: if who.starts_with("group:") {
                AclWho::Group(number)
            } else {
                AclWho::User(number)
            },
            deny: *deny,
            rights: *rights,
        }
    }

    /// Puts an entry into a node's own list, or takes one away.
    pub(super) fn list_on(&mut self, who: &Caller, at: &str) -> Play {
        let entry = self.entry();
        let acl = self.acl_entry(&entry);
        let (e, ino, rules) = (self.w.engine(), self.ino(at), self.rules(who, at));
        if self.n.index(3) > 0 {
            let set = e.set_acl_entry(who, ino, AclOf::Itself, acl);
            same(&set.is_ok(), &rules, || {
                format!("{who:?} lists {entry:?} on {at}: {set:?}")
            })?;
            if rules {
                self.m.thing_mut(at).set_entry(entry);
            }
            return Ok(());
        }
        let is_there = self
            .m
            .thing(at)
            .list
            .iter()
            .any(|e| (&e.0, e.1) == (&entry.0, entry.1));
        let gone = e.remove_acl_entry(who, ino, AclOf::Itself, (acl.who, acl.deny));
        same(&gone.is_ok(), &(rules && is_there), || {
            format!("{who:?} unlists {entry:?} on {at}: {gone:?}")
        })?;
        if gone.is_ok() {
            self.m.thing_mut(at).remove_entry(&entry.0, entry.1);
        }
        Ok(())
    }

    /// The same for what a directory hands on.
    pub(super) fn hand_on(&mut self, who: &Caller, at: &str) -> Play {
        let entry = self.entry();
        let acl = self.acl_entry(&entry);
        let (e, ino) = (self.w.engine(), self.ino(at));
        let rules = self.rules(who, at) && self.m.thing(at).is_dir;
        if self.n.index(2) > 0 {
            let set = e.set_acl_entry(who, ino, AclOf::Below, acl);
            same(&set.is_ok(), &rules, || {
                format!("{who:?} hands {entry:?} on at {at}: {set:?}")
            })?;
            if rules {
                self.m.thing_mut(at).hand(entry);
            }
            return Ok(());
        }
        let handed = self.m.thing(at).handed.iter().flat_map(|h| &h.entries);
        let is_there = handed
            .into_iter()
            .any(|e| (&e.0, e.1) == (&entry.0, entry.1));
        let gone = e.remove_acl_entry(who, ino, AclOf::Below, (acl.who, acl.deny));
        same(&gone.is_ok(), &(rules && is_there), || {
            format!("{who:?} hands {entry:?} no more at {at}: {gone:?}")
        })?;
        if gone.is_ok() {
            self.m.thing_mut(at).hand_no_more(&entry.0, entry.1);
        }
        Ok(())
    }

    pub(super) fn change_member(&mut self) {
        let group = self.one(&GROUPS);
        let member = self
            .one(&[&USERS[..], &AGENTS, &GROUPS].concat())
            .to_owned();
        let (e, pair) = (self.w.engine(), (group.to_owned(), member.clone()));
        if self.m.members.remove(&pair) {
            e.remove_member(&boss(), &group[6..], &subject(&member))
                .unwrap();
        } else {
            e.add_member(&boss(), &group[6..], &subject(&member))
                .unwrap();
            self.m.members.insert(pair);
        }
    }

    /// A user goes with his agent, and another comes by the same name.
    pub(super) fn replace_user(&mut self) {
        let user = self.one(&USERS);
        self.w.engine().delete_user(&boss(), user).unwrap();
        let number = self.m.numbers[user];
        self.m.numbers.insert(gone(number), number);
        let agent = match user {
            "ann" => "agent:rob",
            "ben" => "agent:bot",
            _ => "",
        };
        let is_his = |name: &str| name == user || name == agent;
        self.m.members.retain(|(_, member)| !is_his(member));
        for thing in self.m.things.values_mut() {
            thing.grants.retain(|(to, ..)| !is_his(to));
            // Lists know numbers, of which the new one has another.
            let handed = thing.handed.iter_mut().flat_map(|h| &mut h.entries);
            for entry in thing.list.iter_mut().chain(handed) {
                if entry.0 == user {
                    entry.0 = gone(number);
                }
            }
        }
        self.come(user);
    }
}

/// What a list calls a user who went.
fn gone(number: u32) -> String {
    format!("uid:{number}")
}
