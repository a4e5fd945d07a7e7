//! Types of a tenant's own at the command line, through the daemon's socket.

use super::*;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

const DOCS: &str = "\
types:
  user: {}
  folder:
    relations:
      viewer:
        rewrite: {this: true}
        types: [{type: user}, {type: group, relation: member}]
  doc:
    relations:
      parent: {rewrite: {this: true}, types: [{type: folder}]}
      owner: {rewrite: {this: true}, types: [{type: user}, {type: agent}]}
      viewer:
        rewrite: {union: [{this: true}, {computed: owner}, {ttu: {tupleset: parent, computed: viewer}}]}
        types: [{type: user}, {type: user, wildcard: true}, {type: group, relation: member}]
";

/// A village with documents in folders; alice owns `doc:readme`, and the staff, which bob is of, views the plans it is in.
fn library() -> Option<(World, PathBuf)> {
    let world = village()?;
    let file = world.host("types").join("docs.yaml");
    fs::write(&file, DOCS).unwrap();
    let set = ask(&world, &format!("rebac type set {}", file.display()));
    assert_eq!(
        (&set["types"][0]["type"], &set["types"][1]["type"]),
        (&json!("doc"), &json!("folder"))
    );
    world.ctl(&["group", "create", "staff"]);
    for line in [
        "rebac create user bob member-of group staff",
        "rebac grant user alice doc:readme --relation owner-of",
        "rebac create group staff viewer folder plans",
        "rebac create folder plans parent doc readme",
    ] {
        ask(&world, line);
    }
    Some((world, file))
}

#[test]
fn own_types_are_granted_on_and_asked_about_as_files_are() {
    let Some((world, _)) = library() else { return };
    for (question, code) in [
        ("user bob viewer doc:readme", 0),
        ("user:bob viewer doc:readme", 0),
        ("user bob doc readme --relation viewer-of", 0),
        ("user bob owner doc:readme", 3),
        ("user carol viewer doc:readme", 3),
        ("group staff#member viewer doc:readme", 0),
        ("user none viewer doc:readme", 2),
        ("user bob flies doc:readme", 1),
        ("user bob viewer memory:readme", 1),
        ("user bob viewer doc:a#b", 1),
    ] {
        exits(&world, &format!("rebac check {question}"), code);
    }
    let expanded = ask(&world, "rebac expand viewer doc:readme --leaves");
    assert_eq!(
        expanded["subjects"],
        json!([["user", "alice"], ["user", "bob"]])
    );
    let why = ask(&world, "why bob viewer doc:readme");
    assert_eq!(
        (&why["granted"], &why["chain"][0]["subject"], &why["untold"]),
        (&json!(true), &json!("folder:plans"), &json!(0))
    );
    let his = said(&world, BOB, "nexus why user bob viewer doc readme").must();
    assert!(
        his.starts_with("✓ user:bob is viewer of doc:readme\n"),
        "{his}"
    );
    assert!(his.contains("user:bob is member of group:staff"), "{his}");
    assert!(!his.contains("is parent of"), "{his}");
    let not = said(&world, CAROL, "nexus why carol viewer doc:readme").must();
    assert!(
        not.contains("nothing leads to viewer of doc:readme"),
        "{not}"
    );
    exits(&world, "why bob flies doc:readme", 1);
    let groups = ask(
        &world,
        "rebac subjects viewer doc:readme --type group#member",
    );
    assert_eq!(groups["subjects"], json!([["group", "staff#member"]]));
    let objects = ask(
        &world,
        "rebac objects user bob --relation viewer --type doc",
    );
    assert_eq!(objects["objects"], json!(["doc:readme"]));
    world.is_sound();
}

#[test]
fn owners_give_and_take_and_others_are_told_why_they_may_not() {
    let Some((world, _)) = library() else { return };
    let refused = said(&world, BOB, "nexus rebac grant user bob viewer doc:readme");
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        refused.err.contains("only an owner of doc:readme"),
        "{refused:?}"
    );
    said(
        &world,
        ALICE,
        "nexus rebac grant user carol viewer doc:readme --expires 7d",
    )
    .must();
    said(
        &world,
        CAROL,
        "nexus rebac check user carol viewer doc:readme",
    )
    .must();
    let listed = ask(
        &world,
        "rebac list --object-type doc --object-id readme --subject-id carol",
    );
    let tuple = &listed["tuples"][0];
    assert_eq!(
        (&tuple["relation"], &tuple["object_type"]),
        (&json!("viewer"), &json!("doc"))
    );
    said(
        &world,
        ALICE,
        "nexus rebac revoke user carol viewer doc:readme",
    )
    .must();
    said(
        &world,
        CAROL,
        "no nexus rebac check user carol viewer doc:readme",
    )
    .must();
    let log = said(&world, ALICE, "nexus log").must();
    assert!(
        log.contains("doc:readme: viewer of user:carol  alice"),
        "{log}"
    );
    world.is_sound();
}

#[test]
fn many_questions_are_answered_as_each_is_by_itself() {
    let Some((world, _)) = library() else { return };
    ask(
        &world,
        "rebac grant user bob can_read file /workspace/project",
    );
    for n in 0..11 {
        world.ctl(&["group", "create", &format!("g{n}")]);
        if n > 0 {
            world.ctl(&[
                "group",
                "add",
                &format!("g{n}"),
                &format!("group:g{}", n - 1),
            ]);
        }
    }
    world.ctl(&["group", "add", "g0", "carol"]);
    ask(&world, "rebac grant group g10 viewer doc:far");
    let questions = [
        ("user:bob viewer doc:readme", "allowed", 0),
        ("user:carol viewer doc:readme", "denied", 3),
        ("user:carol viewer doc:far", "unknown", 3),
        (
            "user:bob can_read file:/workspace/project/deep/f",
            "allowed",
            0,
        ),
        ("user:bob can_write file:/workspace/project", "denied", 3),
        ("user:bob member-of group:staff", "allowed", 0),
        ("user:none viewer doc:readme", "error", 2),
    ];
    let lines = questions.map(|(line, ..)| line).join("\n");
    let file = world.host("types").join("questions");
    fs::write(&file, &lines).unwrap();
    let all = world.nexus(&["rebac", "check", "--batch", file.to_str().unwrap()]);
    assert_eq!(
        all.status.code(),
        Some(1),
        "one could not be asked: {all:?}"
    );
    for ((line, word, code), told) in questions.iter().zip(all.out.lines()) {
        assert!(told.starts_with(word) && told.contains(line), "{told}");
        exits(&world, &format!("rebac check {line}"), *code);
    }
    let by_bob = "echo user:bob viewer doc:readme | nexus rebac check --batch -";
    assert_eq!(
        said(&world, BOB, by_bob).must(),
        "allowed  user:bob viewer doc:readme\n"
    );
    world.is_sound();
}

#[test]
fn types_are_shown_as_they_are_set_and_outlive_a_crash() {
    let Some((world, file)) = library() else {
        return;
    };
    let shown = said(&world, BOB, "nexus rebac type show doc").must();
    fs::write(file.with_extension("json"), &shown).unwrap();
    let again = format!("rebac type set {}", file.with_extension("json").display());
    let before = world.log(&[]).len();
    ask(&world, &again);
    assert_eq!(
        world.log(&[]).len(),
        before,
        "what is the same is no change"
    );
    said(&world, BOB, "no nexus rebac type delete doc").must();
    exits(&world, "rebac type delete folder", 1);
    exits(&world, "rebac type show none", 2);
    fs::write(&file, "types: {file: {}}").unwrap();
    let built_in = world
        .nexus(&["rebac", "type", "set", file.to_str().unwrap()])
        .must_fail();
    assert!(built_in.contains("the tree is judged by it"), "{built_in}");
    world.kill();
    world.restart();
    exits(&world, "rebac check user bob viewer doc:readme", 0);
    ask(&world, "rebac type delete doc");
    ask(&world, "rebac type delete folder");
    for kind in ["doc", "folder"] {
        exits(&world, &format!("rebac list --object-type {kind}"), 1);
    }
    let left = ask(&world, "rebac list");
    let types: Vec<_> = left["tuples"].as_array().unwrap().iter().collect();
    assert!(
        types.iter().all(|tuple| tuple["object_type"] == "group"),
        "{types:?}"
    );
    assert_eq!(ask(&world, "rebac type list")["types"], json!([]));
    world.is_sound();
}

#[test]
fn changes_are_told_as_they_come() {
    let Some((world, _)) = library() else { return };
    let mut follower = world.command(&["--json", "rebac", "changes", "--follow"]);
    let mut child = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let past: Vec<Value> = (0..6).map(|_| next()).collect();
    let kinds = past.iter().map(|c| c["change"].as_str().unwrap());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["type-set", "type-set", "grant", "grant", "grant", "grant"]
    );
    // Somebody writes and removes files meanwhile: nothing of it is told.
    said(&world, ALICE, "umask 077; echo x > project/x; rm project/x").must();
    said(
        &world,
        ALICE,
        "nexus rebac grant user bob can_read file /workspace/project/plan",
    )
    .must();
    let told = next();
    assert_eq!(
        (&told["subject"], &told["object_id"]),
        (&json!("user:bob"), &json!("/workspace/project/plan"))
    );
    assert_eq!(
        (&told["change"], &told["user"]),
        (&json!("grant"), &json!("alice"))
    );
    said(&world, ALICE, "rm project/plan").must();
    assert_eq!(next()["change"], "revoke");
    child.kill().unwrap();
    child.wait().unwrap();
    let from = told["op"].as_u64().unwrap();
    let rest = world
        .nexus(&["rebac", "changes", "--from", &from.to_string()])
        .must();
    assert_eq!(rest.lines().count(), 2, "{rest}");
    assert!(
        rest.contains("grant        user:bob can_read file:/workspace/project/plan  alice"),
        "{rest}"
    );
    // To bob what names him, and what everybody knows.
    let his = said(&world, BOB, "nexus rebac changes").must();
    assert!(
        his.contains("user:bob can_read file") && !his.contains("owner doc"),
        "{his}"
    );
}
