//! A world and its model, played side by side: random operations by random people, and every answer compared.

use super::paths::{Handed, Model, Thing, name_of, rights_of};
use super::rights;
use super::time::{reopen, world_at};
use crate::access::acl::{Acl, AclWho};
use crate::core::Time;
use crate::fs::grant::To;
use crate::fs::tests::principals::{TENANT, boss, make, subject};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::*;
use crate::meta::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const USERS: [&str; 3] = ["ann", "ben", "cas"];
/// One acts with ben's rights, the other is isolated, and ann's.
pub(super) const AGENTS: [&str; 2] = ["agent:bot", "agent:rob"];
pub(super) const GROUPS: [&str; 4] = ["group:g0", "group:g1", "group:g2", "group:g3"];
pub(super) const ROLES: [&str; 4] = ["owner", "can_write", "can_read", "can_execute"];
pub(super) const TOP: &str = "/workspace/t";

/// The first answer of the engine that is not the model's, in words.
pub(super) type Play = std::result::Result<(), String>;

pub(super) struct Game {
    pub(super) w: World,
    pub(super) m: Model,
    pub(super) n: Numbers,
    /// Users and agents; whoever asks is confirmed first, as doors do.
    people: BTreeMap<&'static str, Caller>,
}

/// Compares an answer of the engine with the model's.
pub(super) fn same<T: PartialEq + Debug>(
    engine: &T,
    model: &T,
    what: impl FnOnce() -> String,
) -> Play {
    if engine == model {
        return Ok(());
    }
    Err(format!(
        "{}: {engine:?}, and by the model {model:?}",
        what()
    ))
}

impl Game {
    pub(super) fn new(seed: u64) -> Self {
        let start = Time(1_700_000_000 * SECOND);
        let w = world_at(start);
        let e = w.engine();
        e.set_namespace(&boss(), "workspace", Some(0o777), None)
            .unwrap();
        for group in GROUPS {
            e.create_group(&boss(), &group[6..], None).unwrap();
        }
        let mut game = Self {
            m: Model {
                paths: BTreeMap::new(),
                things: BTreeMap::new(),
                members: BTreeSet::new(),
                numbers: BTreeMap::new(),
                owners: BTreeMap::new(),
                now: start,
            },
            n: Numbers(seed),
            people: BTreeMap::new(),
            w,
        };
        for user in USERS {
            game.come(user);
        }
        let roster = game.w.engine().roster(TENANT).unwrap();
        let gids = roster
            .groups()
            .map(|g| (format!("group:{}", g.name), g.gid()));
        game.m.numbers.extend(gids);
        game.make(&boss(), TOP, true).unwrap();
        game
    }

    /// A user comes, with his agent if he has one.
    pub(super) fn come(&mut self, user: &'static str) {
        let caller = make(&self.w, user);
        self.m.numbers.insert(user.to_owned(), caller.uid);
        let agent = match user {
            "ann" => Some(("agent:rob", true)),
            "ben" => Some(("agent:bot", false)),
            _ => None,
        };
        if let Some((agent, isolated)) = agent {
            let made = self
                .w
                .engine()
                .create_agent(&caller, &agent[6..], None, isolated);
            let acting = Caller {
                agent: Some(agent[6..].into()),
                agent_id: Some(made.unwrap().id),
                ..caller.clone()
            };
            self.people.insert(agent, acting);
            if !isolated {
                self.m.owners.insert(agent.to_owned(), user.to_owned());
            }
        }
        self.people.insert(user, caller);
    }

    pub(super) fn person(&self, name: &str) -> Caller {
        self.w.engine().confirm(&self.people[name])
    }

    pub(super) fn everybody(&self) -> Vec<Caller> {
        let people = self.people.keys().map(|name| self.person(name));
        people.chain([boss()]).collect()
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.n.index(u32::try_from(of.len()).unwrap())]
    }

    pub(super) fn pick(&mut self) -> String {
        let n = self.n.index(u32::try_from(self.m.paths.len()).unwrap());
        self.m.paths.keys().nth(n).unwrap().clone()
    }

    /// A path that may or may not be there.
    pub(super) fn spot(&mut self) -> String {
        let mut dir = self.pick();
        if !self.m.thing(&dir).is_dir || dir.matches('/').count() > 5 {
            dir = TOP.to_owned();
        }
        format!("{dir}/{}", self.one(&["a", "b", "c"]))
    }

    /// Somebody; one time in five the administrator.
    pub(super) fn somebody(&mut self) -> Caller {
        match self.n.index(5) {
            4 => boss(),
            3 => {
                let agent = self.one(&AGENTS);
                self.person(agent)
            }
            n => self.person(USERS[n]),
        }
    }

    /// Whom a grant may name.
    pub(super) fn anyone(&mut self) -> String {
        let all = [&USERS[..], &AGENTS, &GROUPS, &["*"]].concat();
        self.one(&all).to_owned()
    }

    pub(super) fn ino(&self, at: &str) -> Ino {
        self.m.paths[at]
    }

    pub(super) fn place<'a>(&self, at: &'a str) -> (Ino, Name, &'a str) {
        let (dir, last) = at.rsplit_once('/').unwrap();
        let parent = self.m.paths.get(dir).copied();
        (
            parent.unwrap_or_else(|| self.w.workspace()),
            name(last),
            dir,
        )
    }

    /// Takes over what is new: owner, mode and lists as the engine made them, for the model judges and does not create.
    pub(super) fn add(&mut self, at: &str, node: &Node) {
        let (_, acls) = self.w.engine().acls(&boss(), node.ino).unwrap();
        let name = |who: AclWho| {
            let number = match who {
                AclWho::User(n) | AclWho::Group(n) => n,
            };
            let found = self.m.numbers.iter().find(|(_, n)| **n == number);
            found.unwrap().0.clone()
        };
        let entries = |list: &Acl| {
            let all = list.entries.iter();
            all.map(|e| (name(e.who), e.deny, e.rights)).collect()
        };
        let handed = acls.default.as_ref().map(|list| Handed {
            bits: list.owner << 6 | list.group << 3 | list.other,
            entries: entries(list),
        });
        let thing = Thing {
            is_dir: node.is_dir(),
            uid: node.uid,
            gid: node.gid,
            mode: node.mode,
            restricted: false,
            grants: Vec::new(),
            list: acls.access.as_ref().map(&entries).unwrap_or_default(),
            class: acls.access.as_ref().map_or(0, |list| list.group),
            handed,
        };
        self.m.paths.insert(at.to_owned(), node.ino);
        self.m.things.insert(node.ino, thing);
    }

    pub(super) fn step(&mut self) -> Play {
        let (who, at) = (self.somebody(), self.pick());
        match self.n.index(50) {
            0..8 => {
                let (spot, is_dir) = (self.spot(), self.n.index(2) == 0);
                self.make(&who, &spot, is_dir)
            }
            8..11 => self.remove(&who, &at),
            11..16 => {
                let to = self.spot();
                self.rename(&who, &at, &to)
            }
            16..18 => {
                let to = self.spot();
                self.link(&who, &at, &to)
            }
            18..21 => self.set(&who, &at),
            21..28 => self.grant(&who, &at),
            28..31 => self.revoke(),
            31..33 => self.restrict(&who, &at),
            33..36 => self.list_on(&who, &at),
            36..38 => self.hand_on(&who, &at),
            38..42 => {
                self.change_member();
                Ok(())
            }
            42..47 => {
                self.m.now.0 += SECOND;
                self.w.engine().clock().advance(Duration::from_secs(1));
                Ok(())
            }
            47 => {
                self.replace_user();
                Ok(())
            }
            _ => {
                match self.n.index(8) {
                    0 => reopen(&mut self.w, self.m.now),
                    _ => self.w.engine().drop_caches(),
                }
                Ok(())
            }
        }
    }

    /// Compares what somebody may do and see, everywhere.
    pub(super) fn compare(&self, who: &Caller) -> Play {
        for (at, ino) in &self.m.paths {
            let name = name_of(who);
            same(
                &rights(&self.w, who, *ino),
                &self.m.allowed(who, at),
                || format!("{name} may on {at}"),
            )?;
            if !who.admin {
                let found = self.w.engine().resolve_link(who, &path(at)).is_ok();
                let seen = self.m.finds(who, at);
                same(&found, &seen, || format!("{name} finds {at}"))?;
            }
            if self.m.thing(at).is_dir && !who.admin {
                let listed = self.w.engine().list(who, *ino).ok();
                let names = |e: &crate::fs::DirEntry| e.name.to_string();
                let listed = listed.map(|all| all.iter().map(names).collect());
                same(&listed, &self.m.listed(who, at), || {
                    format!("{name} lists {at}")
                })?;
            }
        }
        Ok(())
    }

    /// Compares what grants alone give, asked of one and of all, at a random place.
    pub(super) fn compare_grants(&mut self) -> Play {
        let (at, role) = (self.pick(), self.one(&ROLES));
        let (e, ino) = (self.w.engine(), self.ino(&at));
        let expanded = e.expand(&boss(), ino, role).unwrap();
        let open = expanded.contains(&To::Everyone);
        for name in [&USERS[..], &AGENTS, &GROUPS].concat() {
            let to = To::One(subject(name));
            let given = self.m.given(name, &at).covers(rights_of(role));
            let held = e.holds(&boss(), ino, role, &to).unwrap();
            same(&held, &given, || format!("{name} has {role} on {at}"))?;
            let listed = expanded.contains(&to) || open && name != "agent:rob";
            same(&listed, &given, || {
                format!("{name} among who has {role} on {at}")
            })?;
        }
        Ok(())
    }
}
