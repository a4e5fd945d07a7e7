//! Random small worlds: every way of asking agrees with every other, before and after a restart.

use super::super::threads::Numbers;
use super::*;
use crate::access::rebac::{ObjectRef, Principals, Relation, Subject, SubjectFilter};
use std::collections::BTreeSet;

const SUBJECTS: [&str; 10] = [
    "user:u0",
    "user:u1",
    "user:u2",
    "user:*",
    "agent:a",
    "group:g0#member",
    "group:g1#member",
    "folder:f0",
    "folder:f1",
    "doc:d0",
];
const OBJECTS: [&str; 4] = ["folder:f0", "folder:f1", "doc:d0", "doc:d1"];
const RELATIONS: [&str; 5] = ["parent", "owner", "banned", "reader", "viewer"];
const STEPS: usize = 60;

struct Worlds {
    w: World,
    n: Numbers,
}

impl Worlds {
    fn new(seed: u64) -> Self {
        let w = World::new();
        let people = ["u0", "u1", "u2"].map(|name| make(&w, name));
        w.engine()
            .create_agent(&people[0], "a", None, false)
            .unwrap();
        for group in ["g0", "g1"] {
            w.engine().create_group(&boss(), group, None).unwrap();
        }
        define(&w, &boss(), DOCS);
        Self {
            w,
            n: Numbers(seed),
        }
    }

    fn pick(&mut self, among: &[&'static str]) -> &'static str {
        among[self.n.index(u32::try_from(among.len()).unwrap())]
    }

    fn step(&mut self) {
        let e = self.w.engine().clone();
        match self.n.index(12) {
            0..8 => {
                let text = [
                    self.pick(&SUBJECTS),
                    self.pick(&RELATIONS),
                    self.pick(&OBJECTS),
                ];
                // What the definition does not take is refused.
                relate(&self.w, &boss(), &text.join(" ")).ok();
            }
            8 => {
                let all = all(&self.w);
                if !all.is_empty() {
                    let one = &all[self.n.index(u32::try_from(all.len()).unwrap())];
                    e.revoke(&boss(), one.id).unwrap();
                }
            }
            9 | 10 => {
                let group = self.pick(&["g0", "g1"]);
                let member = subject(self.pick(&["u0", "u1", "agent:a", "group:g0", "group:g1"]));
                if e.add_member(&boss(), group, &member).is_err() {
                    e.remove_member(&boss(), group, &member).unwrap();
                }
            }
            _ => {
                e.delete_user(&boss(), "u2").unwrap();
                make(&self.w, "u2");
            }
        }
    }

    /// Every answer, after the ways of asking have been compared.
    fn agreed(&self) -> BTreeSet<(ObjectRef, Relation, Subject)> {
        let (boss, mut yes) = (boss(), BTreeSet::new());
        let inquiry = self.w.engine().inquire(&boss).unwrap();
        for object in OBJECTS.map(|o| o.parse::<ObjectRef>().unwrap()) {
            for relation in RELATIONS.map(|r| r.parse::<Relation>().unwrap()) {
                let Ok(expanded) = inquiry.expand(&object, &relation, Principals::All) else {
                    continue;
                };
                let filters = ["user", "agent", "group#member", "folder", "doc"];
                let filters = filters.map(|f| f.parse::<SubjectFilter>().unwrap());
                let listed = inquiry.subjects(&object, &relation, &filters).unwrap();
                for subject in SUBJECTS.map(|s| s.parse::<Subject>().unwrap()) {
                    let answer = inquiry.check(&object, &relation, &subject).unwrap();
                    let objects = inquiry.objects(&object.kind, &relation, &subject).unwrap();
                    assert_ne!(answer.verdict, Verdict::Unknown);
                    let everybody = Subject::Wildcard("user".parse().unwrap());
                    let is_user =
                        matches!(&subject, Subject::Object(o) if o.kind.as_str() == "user");
                    let among = |found: &[Subject]| {
                        found.contains(&subject) || is_user && found.contains(&everybody)
                    };
                    let text = format!("{subject} {relation} {object}");
                    assert_eq!(objects.found.contains(&object), answer.allows(), "{text}");
                    // Everybody stands for those whom nothing names; who is excluded is asked for by himself.
                    assert!(!answer.allows() || among(&listed.found), "{text}");
                    assert!(
                        !listed.found.contains(&subject) || answer.allows(),
                        "{text}"
                    );
                    assert!(
                        !expanded.found.contains(&subject) || answer.allows(),
                        "{text}"
                    );
                    if !matches!(subject, Subject::Userset(..)) {
                        assert_eq!(among(&expanded.found), among(&listed.found), "{text}");
                    }
                    if answer.allows() {
                        yes.insert((object.clone(), relation.clone(), subject));
                    }
                }
            }
        }
        yes
    }
}

#[test]
fn every_way_of_asking_agrees_with_every_other_and_after_a_restart() {
    let mut said_yes = 0;
    for seed in 1..6 {
        let mut worlds = Worlds::new(seed);
        for step in 0..STEPS {
            println!("seed {seed}, step {step}");
            worlds.step();
            if step % 6 == 5 {
                let before = worlds.agreed();
                said_yes += before.len();
                if step % 18 == 5 {
                    worlds.w.crash();
                    assert_eq!(worlds.agreed(), before);
                }
            }
        }
        worlds.w.assert_sound();
    }
    assert!(said_yes > 500, "the worlds are not empty: {said_yes}");
}
