//! Every command that tells of paths tells everybody of the same ones: those that he finds.

use super::town::{Town, above, last};
use super::{Context, boss};
use crate::access::Right;
use crate::api::who;
use crate::core::Caller;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SEEDS: u64 = 6;

fn texts(list: &Value) -> BTreeSet<String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// Runs a check for everybody in several towns.
fn everywhere(check: impl Fn(&mut Town, &str, &Caller)) {
    for seed in 1..=SEEDS {
        println!("seed {seed}");
        let mut town = Town::new(seed);
        for name in ["ann", "ben", "cas", "agent:rob"] {
            let who = town.village.person(name);
            check(&mut town, name, &who);
        }
    }
}

/// permissions.md §4: "every API that emits a path filters with the same function"
#[test]
fn what_is_listed_is_what_is_found() {
    everywhere(|town, name, who| {
        let listed = town.listed(who);
        for at in &town.all {
            let found = town.finds(who, at);
            let lists = town.lists(who, above(at));
            if ["read", "execute"]
                .iter()
                .all(|op| town.has(name, who, op, above(at)))
            {
                assert_eq!(listed.contains(at), found, "{name} {at}");
            }
            assert!(!listed.contains(at) || lists);
            let gets = town
                .village
                .ask(who, "acl-get", &json!({ "path": at }))
                .is_ok();
            assert_eq!(gets, found, "{name} {at}");
        }
    });
}

#[test]
fn the_log_tells_others_of_what_is_listed_and_of_nothing_else() {
    everywhere(|town, name, who| {
        let listed = town.listed(who);
        let log = |who: &Caller| {
            let log = town.village.must(who, "log", &json!({"limit": 10_000}));
            log["records"].as_array().unwrap().clone()
        };
        let paths = |record: &Value| {
            let both = ["path", "path2"].map(|key| record[key].as_str().map(str::to_owned));
            both.into_iter().flatten().collect::<Vec<_>>()
        };
        // A grant is told to whom it names, and to owners.
        let concerned = |record: &Value| {
            let Some(subject) = record["subject"].as_str().filter(|_| record["path"] != "/") else {
                return true;
            };
            let at = record["path"].as_str().unwrap();
            let everybody = subject == "user:*" && name != "agent:rob";
            let team = subject == "group:team" && name == "ben";
            let himself = subject == format!("user:{name}") || subject == name;
            himself || everybody || team || !town.all.contains(at) || town.may(name, who, "own", at)
        };
        let told = log(who);
        for record in &told {
            for at in paths(record).iter().filter(|at| town.all.contains(*at)) {
                assert!(listed.contains(at), "{name} is told of {at}: {record}");
            }
            assert!(concerned(record), "{name}: {record}");
        }
        for record in log(&boss()) {
            let all = paths(&record);
            let is_listed = !all.is_empty() && all.iter().all(|at| listed.contains(at));
            if is_listed && concerned(&record) {
                let op = &record["op"];
                assert!(
                    told.iter().any(|r| r["op"] == *op),
                    "{name} is not told of {record}"
                );
            }
        }
    });
}

#[test]
fn grants_are_told_to_those_whom_they_name_and_to_owners_where_they_find_the_path() {
    everywhere(|town, name, who| {
        let subject = if name == "agent:rob" {
            name.to_owned()
        } else {
            format!("user:{name}")
        };
        let list = |who: &Caller| {
            let listed = town.village.must(who, "rebac-list", &json!({}));
            let all = listed["tuples"].as_array().unwrap().clone();
            let of_file = |t: &Value| t["object_type"] == "file";
            all.into_iter().filter(of_file).collect::<Vec<_>>()
        };
        let told = list(who);
        let mut objects = BTreeSet::new();
        for tuple in list(&boss()) {
            let at = tuple["object_id"].as_str().unwrap().to_owned();
            let to = (
                tuple["subject_type"].as_str().unwrap(),
                tuple["subject_id"].as_str().unwrap(),
            );
            let names = subject == format!("{}:{}", to.0, to.1)
                || to == ("user", "*") && name != "agent:rob"
                || to == ("group", "team") && name == "ben";
            let found = town.finds(who, &at);
            let expected = found && (names || town.may(&subject, who, "own", &at));
            assert_eq!(told.contains(&tuple), expected, "{name}: {tuple}");
            if names && found {
                objects.insert(at);
            }
        }
        let asked = json!({"subject": subject, "relation": "can_read"});
        let granted = texts(&town.village.must(who, "rebac-objects", &asked)["objects"]);
        assert_eq!(granted, objects, "{name}");
        for at in &granted {
            let asked = json!({"subject": subject, "relation": "can_read", "path": at});
            assert_eq!(
                town.village.must(who, "rebac-check", &asked)["granted"],
                true
            );
        }
    });
}

/// Everything that somebody may do something to, by pages of so many.
fn below(town: &Town, who: &Caller, (name, right): (&str, Right), most: usize) -> BTreeSet<String> {
    let cx = Context {
        nexus: &town.village.nexus,
        caller: who,
        tell: &mut |_| true,
    };
    let (mut all, mut from) = (Vec::new(), Some(Vec::new()));
    while let Some(begin) = from {
        let asked = (&name.parse().unwrap(), right);
        let page = who::below(&cx, &"/workspace".into(), asked, (begin, most)).unwrap();
        all.extend(page.found.iter().map(ToString::to_string));
        from = page.next;
    }
    let found: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(found.len(), all.len(), "none is told twice: {all:?}");
    found
}

/// permissions.md §3: "list omits what check allows"
#[test]
fn who_may_and_what_one_may_is_what_why_says_of_each() {
    let ops = [
        ("read", "can_read", Right::Read),
        ("write", "can_write", Right::Write),
        ("own", "owner", Right::Own),
    ];
    everywhere(|town, name, who| {
        let seen = town.walk(who);
        // A deny may keep somebody from all of it.
        if !town.lists(who, "/workspace") {
            return;
        }
        for (op, role, right) in ops {
            let expected: BTreeSet<_> = seen
                .iter()
                .filter(|at| town.may(name, who, op, at))
                .cloned()
                .collect();
            for most in [1, 3, 1000] {
                let mut found = below(town, who, (name, right), most);
                found.remove("/workspace");
                assert_eq!(found, expected, "{name} {op}, {most} at a time");
            }
            let subject: crate::meta::Subject = name.parse().unwrap();
            let asked =
                json!({"subject": subject.to_string(), "relation": role, "under": "/workspace"});
            let mut told = texts(&town.village.must(who, "rebac-objects", &asked)["objects"]);
            told.remove("/workspace");
            assert_eq!(told, expected);
        }
    });
    everywhere(|town, name, who| {
        for at in &town.all {
            for (op, ..) in ops {
                let asked = json!({ "op": op, "path": at });
                let told = town.village.must(&boss(), "who", &asked);
                let listed = texts(&told["subjects"]);
                let subject: crate::meta::Subject = name.parse().unwrap();
                let may = town.may(name, &boss(), op, at);
                assert_eq!(
                    listed.contains(&subject.to_string()),
                    may,
                    "{name} {op} {at}"
                );
                let his = town.village.ask(who, "who", &asked).is_ok();
                let owns = town.finds(who, at) && town.may(name, who, "own", at);
                assert!(!his || owns, "{name} is told who may {op} {at}");
            }
        }
    });
}

#[test]
fn what_is_copied_or_would_be_removed_is_what_is_listed() {
    everywhere(|town, name, who| {
        let walked = town.walk(who);
        let tops: Vec<_> = walked
            .iter()
            .filter(|at| above(at) == "/workspace")
            .cloned()
            .collect();
        for top in tops {
            let below = |at: &&String| **at == top || at.starts_with(&format!("{top}/"));
            let inside: BTreeSet<_> = walked.iter().filter(below).cloned().collect();
            let dry = json!({"path": top, "recursive": true, "dry_run": true});
            match town.village.ask(who, "remove", &dry) {
                Ok(reply) => assert_eq!(texts(&reply["paths"]), inside, "{name} {top}"),
                Err(e) => town.names_only_found(who, &e.chain(), &top),
            }
            let to = format!("/shared/{}", last(&top));
            let copy = json!({"from": top, "to": to, "recursive": true});
            match town.village.ask(who, "copy", &copy) {
                Ok(reply) => assert_eq!(reply["copied"], inside.len(), "{name} {top}"),
                Err(e) => town.names_only_found(who, &e.chain(), &top),
            }
            town.village
                .ask(&boss(), "remove", &json!({"path": to, "recursive": true}))
                .ok();
        }
    });
}

#[test]
fn an_explanation_names_what_the_asker_finds_and_nothing_else() {
    everywhere(|town, name, who| {
        for at in &town.all {
            for subject in ["ann", "ben", "cas", "agent:rob"] {
                for op in ["read", "write", "execute", "own"] {
                    let asked = json!({"subject": subject, "op": op, "path": at});
                    let said = match town.village.ask(who, "why", &asked) {
                        Ok(reply) => reply.to_string(),
                        Err(e) => e.chain(),
                    };
                    town.names_only_found(who, &said, at);
                    assert!(
                        town.finds(who, at) || !said.contains("allowed"),
                        "{name}: {said}"
                    );
                }
            }
        }
    });
}

/// permissions.md §4: "ENOENT for hidden and absent alike"
#[test]
fn every_command_says_of_what_is_hidden_what_it_says_of_what_is_absent() {
    let commands = [
        ("list", json!({})),
        ("info", json!({"hash": true})),
        ("grep", json!({"pattern": "x"})),
        ("acl-get", json!({})),
        ("acl-set", json!({"entry": "user:ann:r--"})),
        ("chmod", json!({"mode": "0777"})),
        ("chown", json!({"owner": "ann"})),
        ("chgrp", json!({"group": "team"})),
        (
            "rebac-grant",
            json!({"subject": "user:cas", "relation": "owner"}),
        ),
        (
            "rebac-revoke",
            json!({"subject": "user:cas", "relation": "owner"}),
        ),
        (
            "rebac-check",
            json!({"subject": "user:cas", "relation": "owner"}),
        ),
        ("rebac-list", json!({})),
        ("rebac-expand", json!({"relation": "owner"})),
        ("rebac-restrict", json!({})),
        ("rebac-unrestrict", json!({})),
        ("why", json!({"subject": "cas", "op": "read"})),
        ("who", json!({"op": "read"})),
        ("remove", json!({"recursive": true})),
    ];
    everywhere(|town, name, who| {
        for at in town.all.iter().filter(|at| !town.finds(who, at)) {
            let absent = format!("{}/qx99xq", above(at));
            for (command, body) in &commands {
                let said = |at: &str| {
                    let mut body = body.clone();
                    body["path"] = json!(at);
                    let refused = town.village.ask(who, command, &body).unwrap_err();
                    (
                        refused.kind(),
                        refused.to_string().replace(last(at), "NAME"),
                    )
                };
                assert_eq!(said(at), said(&absent), "{name} {command} {at}");
            }
            for command in ["copy", "move"] {
                let said = |at: &str| {
                    let refused = town.village.ask(
                        who,
                        command,
                        &json!({"from": at, "to": "/shared/x", "recursive": true}),
                    );
                    refused.unwrap_err().kind()
                };
                assert_eq!(said(at), said(&absent), "{name} {command} {at}");
            }
        }
    });
}
