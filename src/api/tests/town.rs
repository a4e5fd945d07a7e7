//! A random tree of which a good deal was said, and what somebody comes to in it.

use super::{PEOPLE, Village, boss};
use crate::core::Caller;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NODES: u64 = 14;
const WORDS: u64 = 30;

/// A small generator, so that a run is named by its seed (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % end
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// A tree in which everybody has something, and of which a good deal was said.
pub(super) struct Town {
    pub(super) village: Village,
    dice: Dice,
    /// Every path there is, as the administrator finds them.
    pub(super) all: BTreeSet<String>,
}

pub(super) fn above(at: &str) -> &str {
    at.rsplit_once('/').unwrap().0
}

pub(super) fn last(at: &str) -> &str {
    at.rsplit_once('/').unwrap().1
}

impl Town {
    pub(super) fn new(seed: u64) -> Self {
        let village = Village::new();
        village.must(
            &boss(),
            "namespace-set",
            &json!({"name": "workspace", "mask": "0777"}),
        );
        let mut town = Self {
            village,
            dice: Dice(seed),
            all: BTreeSet::new(),
        };
        let mut dirs = vec!["/workspace".to_owned()];
        for n in 0..NODES {
            let dir = dirs[town.dice.below(dirs.len())].clone();
            // A name that occurs in no other word.
            let at = format!("{dir}/qx{n}xq");
            if town.dice.below(3) > 0 {
                town.must("mkdir", &json!({ "path": at }));
                dirs.push(at.clone());
            } else {
                town.village.write(&boss(), &at, b"text").unwrap();
            }
            let owner = town.dice.one(&PEOPLE);
            town.must("chown", &json!({"path": at, "owner": owner}));
            let mode = town
                .dice
                .one(&["0700", "0711", "0755", "0750", "0000", "0777"]);
            town.must("chmod", &json!({"path": at, "mode": mode}));
        }
        for _ in 0..WORDS {
            town.say();
        }
        town.all = town.walk(&boss());
        town
    }

    fn must(&self, command: &str, body: &Value) -> Value {
        self.village.must(&boss(), command, body)
    }

    /// Says something about a node, or moves or removes it.
    fn say(&mut self) {
        let all: Vec<_> = self.walk(&boss()).into_iter().collect();
        let (at, to) = (
            &all[self.dice.below(all.len())],
            &all[self.dice.below(all.len())],
        );
        let user = self.dice.one(&PEOPLE);
        match self.dice.below(10) {
            0..4 => {
                let subject = match self.dice.below(6) {
                    0 => "group:team".to_owned(),
                    1 => "user:*".to_owned(),
                    2 => "agent:rob".to_owned(),
                    _ => format!("user:{user}"),
                };
                let relation = self
                    .dice
                    .one(&["owner", "can_write", "can_read", "can_execute"]);
                self.must(
                    "rebac-grant",
                    &json!({"path": at, "subject": subject, "relation": relation}),
                );
            }
            4 => drop(self.must("rebac-restrict", &json!({ "path": at }))),
            5 => drop(self.must(
                "acl-set",
                &json!({"path": at, "entry": format!("deny:user:{user}:---")}),
            )),
            6 => drop(self.must("acl-set", &json!({"path": at, "entry": "group:team:r-x"}))),
            7 => drop(self.village.ask(
                &boss(),
                "acl-set",
                &json!({"path": at, "entry": format!("default:deny:user:{user}:-w-")}),
            )),
            8 => drop(self.village.ask(
                &boss(),
                "move",
                &json!({"from": at, "to": format!("{to}/{}", last(at))}),
            )),
            _ => drop(self.village.ask(&boss(), "remove", &json!({ "path": at }))),
        }
    }

    /// What somebody comes to, listing from the top.
    pub(super) fn walk(&self, who: &Caller) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next = vec!["/workspace".to_owned()];
        while let Some(dir) = next.pop() {
            let Ok(listed) = self.village.ask(who, "list", &json!({ "path": dir })) else {
                continue;
            };
            for entry in listed["entries"].as_array().unwrap() {
                let at = format!("{dir}/{}", entry["name"].as_str().unwrap());
                if entry["kind"] == "directory" {
                    next.push(at.clone());
                }
                found.insert(at);
            }
        }
        found
    }

    /// What somebody is listed in all directories there are, also in those to which he comes by name only.
    pub(super) fn listed(&self, who: &Caller) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let dirs: BTreeSet<&str> = self.all.iter().map(|at| above(at)).collect();
        for dir in dirs {
            let Ok(listed) = self.village.ask(who, "list", &json!({ "path": dir })) else {
                continue;
            };
            let names = listed["entries"].as_array().unwrap().iter();
            found.extend(names.map(|e| format!("{dir}/{}", e["name"].as_str().unwrap())));
        }
        found
    }

    pub(super) fn finds(&self, who: &Caller, at: &str) -> bool {
        self.village
            .ask(who, "info", &json!({ "path": at }))
            .is_ok()
    }

    pub(super) fn lists(&self, who: &Caller, dir: &str) -> bool {
        self.village
            .ask(who, "list", &json!({ "path": dir }))
            .is_ok()
    }

    pub(super) fn may(&self, name: &str, who: &Caller, op: &str, at: &str) -> bool {
        let asked = json!({"subject": name, "op": op, "path": at});
        let why = self.village.ask(who, "why", &asked);
        why.is_ok_and(|why| why["allowed"] == true)
    }

    /// Whether somebody has a right on a directory, and does not only pass it on the way to something.
    pub(super) fn has(&self, name: &str, who: &Caller, op: &str, dir: &str) -> bool {
        let asked = json!({"subject": name, "op": op, "path": dir});
        let why = self.village.ask(who, "why", &asked);
        why.is_ok_and(|why| {
            let passes = why["layer"] == "graph" && why["by"].is_null();
            why["allowed"] == true && !passes
        })
    }

    /// Whether a text names nothing but what somebody finds, and what is in `said` already.
    pub(super) fn names_only_found(&self, who: &Caller, text: &str, said: &str) {
        for at in &self.all {
            let is_told = text.contains(last(at)) && !said.contains(last(at));
            assert!(
                !is_told || self.finds(who, at) || self.lists(who, above(at)),
                "{at} in {text}"
            );
        }
    }
}
