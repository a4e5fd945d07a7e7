//! Random sharing by several users, on a mount and through the daemon's socket, compared with a model after each step.
//!
//! `NEXUS_SHARING_STEPS=n` makes n steps instead of a few hundred.

use super::model::{Model, NOBODY, OWN, READ, Thing, WRITE, above};
use super::{ALICE, BOB, CAROL, village};
use crate::dice::{Dice, setting};
use crate::person::Person;
use crate::world::World;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const STEPS: u64 = 300;
const PEOPLE: [(&str, u32); 3] = [("alice", ALICE), ("bob", BOB), ("carol", CAROL)];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const TOP: &str = "/workspace/top";

struct Game {
    world: World,
    model: Model,
    dice: Dice,
    people: Vec<(&'static str, Person)>,
    admin: Person,
}

impl Game {
    fn new() -> Option<Self> {
        let world = village()?;
        for group in GROUPS {
            world.ctl(&["group", "create", group]);
        }
        fs::create_dir(world.path("top")).unwrap();
        fs::set_permissions(world.path("top"), fs::Permissions::from_mode(0o777)).unwrap();
        let people = PEOPLE.map(|(name, uid)| (name, Person::new(&world, uid)));
        let mut model = Model::default();
        model
            .things
            .insert(TOP.to_owned(), Thing::new(true, NOBODY));
        Some(Self {
            admin: Person::new(&world, 0),
            people: people.into(),
            dice: Dice::new("sharing"),
            model,
            world,
        })
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.dice.index(of.len())]
    }

    fn pick(&mut self) -> String {
        let n = self.dice.index(self.model.things.len());
        self.model.things.keys().nth(n).unwrap().clone()
    }

    /// A path that may or may not be there.
    fn spot(&mut self) -> String {
        let mut dir = self.pick();
        if !self.model.things[&dir].is_dir || dir.matches('/').count() > 5 {
            TOP.clone_into(&mut dir);
        }
        format!("{dir}/{}", self.one(&["a", "b", "c"]))
    }

    fn on_mount(&self, at: &str) -> String {
        self.world
            .root()
            .join(&at[1..])
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// One call on the mount by a person, which the model expects to go or not.
    #[track_caller]
    fn does(&mut self, n: usize, call: &str, paths: &[&str], expected: bool) -> Option<Value> {
        let mut words: Vec<_> = paths.iter().map(|at| self.on_mount(at)).collect();
        words.extend((call == "write").then(|| "text".to_owned()));
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let (name, person) = &mut self.people[n];
        let done = person.does(call, &words);
        println!("{name}: {call} {paths:?}: {}", done.is_ok());
        assert_eq!(done.is_ok(), expected, "{name}: {call} {paths:?}: {done:?}");
        done.ok()
    }

    fn make(&mut self, n: usize, at: &str) {
        let (user, is_dir) = (self.people[n].0, self.dice.one_in(2));
        let expected = self.model.may_add(user, above(at)) && !self.model.things.contains_key(at);
        self.does(n, if is_dir { "mkdir" } else { "write" }, &[at], expected);
        if expected {
            self.model
                .things
                .insert(at.to_owned(), Thing::new(is_dir, user));
        }
    }

    fn remove(&mut self, n: usize, at: &str) {
        let user = self.people[n].0;
        let expected = self.model.may_take(user, at) && self.model.is_empty(at);
        let call = if self.model.things[at].is_dir {
            "rmdir"
        } else {
            "rm"
        };
        self.does(n, call, &[at], expected);
        if expected {
            self.model.things.remove(at);
        }
    }

    fn rename(&mut self, n: usize, from: &str, to: &str) {
        // The kernel answers for both by itself.
        if from == to || to.starts_with(&format!("{from}/")) {
            return;
        }
        let (user, m) = (self.people[n].0, &self.model);
        let turns = above(from) == above(to)
            || m.may(user, above(from), WRITE)
                && (!m.things[from].is_dir || m.may(user, from, WRITE));
        let expected = m.may_take(user, from)
            && m.may_add(user, above(to))
            && turns
            && m.carries(user, from, above(to))
            && m.gives_way(user, to, from);
        self.does(n, "mv", &[from, to], expected);
        if expected {
            self.model.things.remove(to);
            let all = std::mem::take(&mut self.model.things).into_iter();
            let carried = |path: String| match path.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
                _ => path,
            };
            self.model.things = all.map(|(path, thing)| (carried(path), thing)).collect();
        }
    }

    /// Asks the daemon as somebody, or as the administrator; the model expects a yes or a no.
    #[track_caller]
    fn asks(&mut self, n: Option<usize>, command: &str, body: &Value, expected: bool) {
        let person = match n {
            Some(n) => &mut self.people[n].1,
            None => &mut self.admin,
        };
        let done = person.asks(command, body);
        println!("{n:?}: {command} {body}: {}", done.is_ok());
        assert_eq!(done.is_ok(), expected, "{n:?}: {command} {body}: {done:?}");
    }

    /// One time in three the administrator, whom nothing is refused.
    fn ruler(&mut self, n: usize, at: &str) -> (Option<usize>, bool) {
        let user = self.people[n].0;
        let rules = self.model.finds(user, at) && self.model.may(user, at, OWN);
        if self.dice.one_in(3) {
            (None, true)
        } else {
            (Some(n), rules)
        }
    }

    fn grant(&mut self, n: usize, at: &str) {
        let (who, expected) = self.ruler(n, at);
        let role = self.one(&["owner", "can_write", "can_read"]);
        let to = self.one(&[
            "user:alice",
            "user:bob",
            "user:carol",
            "user:*",
            "group:g0",
            "group:g1",
            "group:g2",
        ]);
        let body = json!({"path": at, "relation": role, "subject": to});
        self.asks(who, "rebac-grant", &body, expected);
        if expected {
            let thing = self.model.things.get_mut(at).unwrap();
            thing.grants.insert((to.to_owned(), role));
        }
    }

    fn revoke(&mut self) {
        let all = self.model.things.iter();
        let all: Vec<_> = all
            .flat_map(|(at, thing)| thing.grants.iter().map(move |g| (at.clone(), g.clone())))
            .collect();
        let Some((at, grant)) = all.get(self.dice.index(all.len().max(1))) else {
            return;
        };
        let body = json!({"path": at, "subject": grant.0, "relation": grant.1});
        self.asks(None, "rebac-revoke", &body, true);
        self.model.things.get_mut(at).unwrap().grants.remove(grant);
    }

    fn restrict(&mut self, n: usize, at: &str) {
        let (who, expected) = self.ruler(n, at);
        let on = self.dice.one_in(2);
        let command = if on {
            "rebac-restrict"
        } else {
            "rebac-unrestrict"
        };
        self.asks(who, command, &json!({ "path": at }), expected);
        if expected {
            self.model.things.get_mut(at).unwrap().restricted = on;
        }
    }

    fn change_member(&mut self) {
        let group = self.one(&GROUPS);
        let member = self.one(&[
            "user:alice",
            "user:bob",
            "user:carol",
            "group:g0",
            "group:g1",
            "group:g2",
        ]);
        let pair = (format!("group:{group}"), member.to_owned());
        let is_in = self.model.members.contains(&pair);
        let command = if is_in { "group-remove" } else { "group-add" };
        self.asks(
            None,
            command,
            &json!({"group": group, "member": member}),
            true,
        );
        if is_in {
            self.model.members.remove(&pair);
        } else {
            self.model.members.insert(pair);
        }
    }

    fn step(&mut self) {
        let (n, at) = (self.dice.index(PEOPLE.len()), self.pick());
        let is_top = at == TOP;
        match self.dice.below(20) {
            0..5 => {
                let spot = self.spot();
                self.make(n, &spot);
            }
            5..7 if !is_top => self.remove(n, &at),
            7..10 if !is_top => {
                let to = self.spot();
                self.rename(n, &at, &to);
            }
            10..14 => self.grant(n, &at),
            14..16 => self.revoke(),
            16 => self.restrict(n, &at),
            17..19 => self.change_member(),
            // The kernel forgets what it knows, and so does the engine.
            19 if self.dice.one_in(10) => drop(self.admin.asks("cache-drop", &json!({})).unwrap()),
            _ => {}
        }
    }

    /// What each finds and may do at some place, by every way in.
    fn compare(&mut self) {
        let at = self.pick();
        for n in 0..PEOPLE.len() {
            let (user, m) = (self.people[n].0, &self.model);
            let (found, listed) = (m.finds(user, &at), m.listed(user, &at));
            let reads = found && m.may(user, &at, READ);
            let granted = found && m.granted(user, &at) & READ != 0;
            let is_dir = m.things[&at].is_dir;
            self.does(n, "stat", &[&at], found);
            self.asks(Some(n), "info", &json!({ "path": at }), found);
            if is_dir {
                let names = self.does(n, "list", &[&at], listed.is_some());
                assert_eq!(names, listed.map(|l| json!(l)), "{user} lists {at}");
            } else {
                self.does(n, "read", &[&at], reads);
                let got = self.people[n].1.does("get", &[&at]);
                assert_eq!(got.is_ok(), reads, "{user} gets {at}: {got:?}");
            }
            let check =
                json!({"path": at, "relation": "can_read", "subject": format!("user:{user}")});
            let checked = self.people[n].1.asks("rebac-check", &check);
            let holds = checked.is_ok_and(|reply| reply["granted"] == true);
            assert_eq!(holds, granted, "{user} has can_read on {at}");
        }
    }
}

#[test]
fn users_on_a_mount_and_at_the_socket_may_and_see_what_the_model_says() {
    let Some(mut game) = Game::new() else { return };
    for step in 0..setting("NEXUS_SHARING_STEPS").unwrap_or(STEPS) {
        println!("step {step}");
        game.step();
        game.compare();
    }
    game.world.is_sound();
}
