//! Random policies and operations against a model of paths and sets, for every user and every node.

use super::paths::{Model, Thing, above};
use super::rights;
use super::time::{reopen, world_at};
use crate::access::Rights;
use crate::core::{PrincipalId, Time};
use crate::fs::grant::To;
use crate::fs::tests::principals::{boss, make, subject};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::*;
use crate::fs::{RenameMode, SetAttr};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many steps a run has; `NEXUS_MODEL_STEPS` says another number and `NEXUS_SEED` another seed.
const STEPS: u64 = 3000;
const SECOND: i64 = 1_000_000_000;
const USERS: [&str; 3] = ["ann", "ben", "cas"];
const GROUPS: [&str; 4] = ["group:g0", "group:g1", "group:g2", "group:g3"];
const ROLES: [&str; 4] = ["owner", "can_write", "can_read", "can_execute"];
const TOP: &str = "/workspace/t";

struct Game {
    w: World,
    m: Model,
    n: Numbers,
    people: BTreeMap<&'static str, Caller>,
}

impl Game {
    fn new(seed: u64) -> Self {
        let start = Time(1_700_000_000 * SECOND);
        let w = world_at(start);
        w.engine()
            .set_namespace(&boss(), "workspace", Some(0o777), None)
            .unwrap();
        let people = USERS.map(|u| (u, make(&w, u))).into();
        for group in GROUPS {
            w.engine().create_group(&boss(), &group[6..], None).unwrap();
        }
        let m = Model {
            things: BTreeMap::new(),
            members: BTreeSet::new(),
            now: start,
        };
        let mut game = Self {
            w,
            m,
            n: Numbers(seed),
            people,
        };
        assert!(game.make(&boss(), TOP, true));
        game
    }

    fn pick(&mut self) -> String {
        let n = self.n.index(u32::try_from(self.m.things.len()).unwrap());
        self.m.things.keys().nth(n).unwrap().clone()
    }

    /// A path that may or may not be there.
    fn spot(&mut self) -> String {
        let mut dir = self.pick();
        if !self.m.things[&dir].is_dir || dir.matches('/').count() > 5 {
            dir = TOP.to_owned();
        }
        format!("{dir}/{}", ["a", "b", "c"][self.n.index(3)])
    }

    /// Somebody; one time in four the administrator.
    fn somebody(&mut self) -> Caller {
        match self.n.index(4) {
            3 => boss(),
            n => self.people[USERS[n]].clone(),
        }
    }

    fn anyone(&mut self) -> String {
        match self.n.index(8) {
            7 => "*".to_owned(),
            n if n < 3 => USERS[n].to_owned(),
            n => GROUPS[n - 3].to_owned(),
        }
    }

    fn place<'a>(&self, at: &'a str) -> (Ino, Name, &'a str) {
        let (dir, last) = at.rsplit_once('/').unwrap();
        let parent = self
            .m
            .things
            .get(dir)
            .map_or_else(|| self.w.workspace(), |t| t.ino);
        (parent, name(last), dir)
    }

    fn make(&mut self, who: &Caller, at: &str, is_dir: bool) -> bool {
        let (e, (dir, last, up)) = (self.w.engine(), self.place(at));
        let may = at == TOP || self.m.may(who, up, Rights::WRITE.and(Rights::EXECUTE));
        let expected = may && !self.m.things.contains_key(at);
        let mode = [0o700, 0o750, 0o755, 0o711, 0o000, 0o644, 0o777][self.n.index(7)];
        let result = if is_dir {
            e.mkdir(who, dir, &last, mode)
        } else {
            let flags = OpenFlags {
                exclusive: true,
                ..writing()
            };
            e.create(who, dir, &last, mode, flags)
                .map(|(node, handle)| {
                    close(&self.w, who, handle);
                    node
                })
        };
        assert_eq!(result.is_ok(), expected, "{who:?} makes {at}: {result:?}");
        let Ok(node) = result else { return false };
        let (uid, gid, mode) = (node.uid, node.gid, node.mode);
        let thing = Thing {
            ino: node.ino,
            is_dir,
            uid,
            gid,
            mode,
            restricted: false,
            grants: Vec::new(),
        };
        self.m.things.insert(at.to_owned(), thing).is_none()
    }

    fn remove(&mut self, who: &Caller, at: &str) {
        let Some(thing) = self.m.things.get(at).filter(|_| at != TOP).cloned() else {
            return;
        };
        let (e, (dir, last, _)) = (self.w.engine(), self.place(at));
        let expected = self.may_remove(who, at) && self.m.is_empty(at);
        let gone = if thing.is_dir {
            e.rmdir(who, dir, &last)
        } else {
            e.unlink(who, dir, &last)
        };
        assert_eq!(gone.is_ok(), expected, "{who:?} removes {at}: {gone:?}");
        if expected {
            self.m.things.remove(at);
        }
    }

    fn may_remove(&self, who: &Caller, at: &str) -> bool {
        let m = &self.m;
        let found = m.looks(who, above(at), Rights::EXECUTE) && m.sees(who, at, Rights::EXECUTE);
        let takes =
            m.granted(who, at).covers(Rights::WRITE) || m.may(who, above(at), Rights::WRITE);
        found && takes || who.admin
    }

    fn rename(&mut self, who: &Caller, from: &str, to: &str) {
        let below = format!("{from}/");
        if from == TOP || !self.m.things.contains_key(from) || self.m.things.contains_key(to) {
            return;
        }
        let ((dir, last, up), (to_dir, to_name, to_up)) = (self.place(from), self.place(to));
        let adds = Rights::WRITE.and(Rights::EXECUTE);
        let turns = up == to_up
            || self.m.may(who, up, Rights::WRITE)
                && (!self.m.things[from].is_dir || self.m.may(who, from, Rights::WRITE));
        let into_itself = to.starts_with(&below);
        let expected =
            self.may_remove(who, from) && self.m.may(who, to_up, adds) && turns && !into_itself;
        let moved =
            self.w
                .engine()
                .rename(who, (dir, &last), (to_dir, &to_name), RenameMode::Replace);
        assert_eq!(
            moved.is_ok(),
            expected,
            "{who:?} moves {from} to {to}: {moved:?}"
        );
        if !expected {
            return;
        }
        let all = std::mem::take(&mut self.m.things).into_iter();
        self.m.things = all
            .map(|(p, thing)| match p.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    (format!("{to}{rest}"), thing)
                }
                _ => (p, thing),
            })
            .collect();
    }

    fn set(&mut self, who: &Caller, at: &str) {
        let thing = self.m.things[at].clone();
        let chowns = who.admin && self.n.index(2) == 0;
        let set = if chowns {
            SetAttr {
                uid: Some(self.people[USERS[self.n.index(3)]].uid),
                ..SetAttr::default()
            }
        } else {
            SetAttr {
                mode: Some(self.n.below(0o1000)),
                ..SetAttr::default()
            }
        };
        let done = self.w.engine().setattr(who, thing.ino, &set, None);
        assert_eq!(
            done.is_ok(),
            self.m.may(who, at, Rights::OWN),
            "{who:?} sets {at}"
        );
        if let Ok(node) = done {
            let thing = self.m.things.get_mut(at).unwrap();
            (thing.uid, thing.mode) = (node.uid, node.mode);
        }
    }

    fn rules(&self, who: &Caller, at: &str) -> bool {
        who.admin || self.m.reaches(who, at) && self.m.may(who, at, Rights::OWN)
    }

    fn grant(&mut self, who: &Caller, at: &str) {
        let (to, role) = (self.anyone(), ROLES[self.n.index(4)]);
        let end = [
            None,
            Some(Time(
                self.m.now.0 + i64::from(1 + self.n.below(20)) * SECOND,
            )),
        ][self.n.index(2)];
        let whom = if to == "*" {
            To::Everyone
        } else {
            To::One(subject(&to))
        };
        let made = self
            .w
            .engine()
            .grant(who, self.m.things[at].ino, role, &whom, end);
        assert_eq!(
            made.is_ok(),
            self.rules(who, at),
            "{who:?} grants on {at}: {made:?}"
        );
        if made.is_ok() {
            let grants = &mut self.m.things.get_mut(at).unwrap().grants;
            grants.retain(|(t, r, _)| (t, *r) != (&to, role));
            grants.push((to, role, end));
        }
    }

    fn revoke(&mut self) {
        let all = self.w.engine().grants(&boss(), |_| true).unwrap();
        let kept: usize = self.m.things.values().map(|t| t.grants.len()).sum();
        assert_eq!(all.len(), kept);
        if all.is_empty() {
            return;
        }
        let tuple = &all[self.n.index(u32::try_from(all.len()).unwrap())];
        self.w.engine().revoke(&boss(), tuple.id).unwrap();
        let to = self.name_of(&tuple.subject_id);
        let at = |t: &&mut Thing| t.ino == tuple.ino().unwrap();
        let thing = self.m.things.values_mut().find(at).unwrap();
        thing
            .grants
            .retain(|(t, r, _)| (t, *r) != (&to, &*tuple.relation));
    }

    fn name_of(&self, id: &str) -> String {
        let Ok(id) = id.parse() else {
            return id.to_owned();
        };
        let roster = self.w.engine().roster(TenantId(1)).unwrap();
        let name = roster.by_id(PrincipalId(id)).unwrap().subject().to_string();
        name.trim_start_matches("user:").to_owned()
    }

    fn restrict(&mut self, who: &Caller, at: &str) {
        let on = self.n.index(2) == 0;
        let done = self.w.engine().restrict(who, self.m.things[at].ino, on);
        assert_eq!(
            done.is_ok(),
            self.rules(who, at),
            "{who:?} restricts {at}: {done:?}"
        );
        if done.is_ok() {
            self.m.things.get_mut(at).unwrap().restricted = on;
        }
    }

    fn change_member(&mut self) {
        let group = GROUPS[self.n.index(4)];
        let member = self.anyone();
        if member == "*" {
            return;
        }
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

    /// A user goes, and another comes by the same name.
    fn replace_user(&mut self) {
        let user = USERS[self.n.index(3)];
        self.w.engine().delete_user(&boss(), user).unwrap();
        self.m.members.retain(|(_, member)| member != user);
        for thing in self.m.things.values_mut() {
            thing.grants.retain(|(to, ..)| to != user);
        }
        self.people.insert(user, make(&self.w, user));
    }

    fn step(&mut self) {
        let (who, at) = (self.somebody(), self.pick());
        match self.n.index(40) {
            0..7 => {
                let (spot, is_dir) = (self.spot(), self.n.index(2) == 0);
                self.make(&who, &spot, is_dir);
            }
            7..10 => self.remove(&who, &at),
            10..15 => {
                let to = self.spot();
                self.rename(&who, &at, &to);
            }
            15..18 => self.set(&who, &at),
            18..25 => self.grant(&who, &at),
            25..28 => self.revoke(),
            28..30 => self.restrict(&who, &at),
            30..34 => self.change_member(),
            34..38 => {
                self.m.now.0 += SECOND;
                self.w.engine().clock().advance(Duration::from_secs(1));
            }
            38 => self.replace_user(),
            _ if self.n.index(5) == 0 => reopen(&mut self.w, self.m.now),
            _ => self.w.engine().drop_caches(),
        }
    }

    fn compare(&self) {
        let everybody = self.people.values().cloned().chain([boss()]);
        for who in everybody {
            for (at, thing) in &self.m.things {
                let name = who.user.as_deref().unwrap_or("boss");
                assert_eq!(
                    rights(&self.w, &who, thing.ino),
                    self.m.allowed(&who, at),
                    "{name} {at}"
                );
                if thing.is_dir && !who.admin {
                    let listed = self.w.engine().list(&who, thing.ino).ok();
                    let names = |e: &crate::fs::DirEntry| e.name.to_string();
                    let listed = listed.map(|all| all.iter().map(names).collect());
                    assert_eq!(listed, self.m.listed(&who, at), "{name} lists {at}");
                }
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test asks how long it may run")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_engine_allows_and_shows_what_the_model_does() {
    let seed = setting("NEXUS_SEED").unwrap_or(1);
    let steps = setting("NEXUS_MODEL_STEPS").unwrap_or(STEPS);
    let mut game = Game::new(seed);
    for step in 0..steps {
        println!("seed {seed}, step {step}");
        game.step();
        if step % 3 == 0 {
            game.compare();
        }
    }
    game.compare();
    game.w.assert_sound();
}
