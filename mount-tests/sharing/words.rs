//! What is said and asked at the command line.

use super::*;
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn the_tutorials_questions_are_answered_in_its_words() {
    let Some(world) = village() else { return };
    world.ctl(&["group", "create", "developers"]);
    world.ctl(&["agent", "create", "coder", "--owner", "bob", "--isolated"]);
    let p = "/workspace/project";
    for line in [
        "rebac create agent coder member-of group developers",
        &format!("rebac create group developers owner-of file {p}/plan"),
        &format!("rebac grant user bob file {p} --relation can_write"),
    ] {
        ask(&world, line);
    }
    let check = |line: &str| world.nexus(&line.split(' ').collect::<Vec<_>>());
    let yes = check(&format!("rebac check agent coder owner-of file {p}/plan"));
    assert_eq!((yes.status.code(), &*yes.out), (Some(0), "✓ GRANTED\n"));
    let no = check(&format!("rebac check user bob file {p} --relation owner"));
    assert_eq!((no.status.code(), &*no.out), (Some(3), "✗ DENIED\n"));
    for (line, code) in [
        (
            "user bob file /workspace/project/deep/f --relation can_write",
            0,
        ),
        ("user carol can_read file /workspace/project", 3),
        ("group developers owner file /workspace/project/plan", 0),
        ("user * can_read file /workspace/project", 3),
        ("agent coder member-of group developers", 0),
        ("user bob member-of group developers", 3),
        ("user none can_read file /workspace/project", 2),
        ("user bob can_read file /workspace/none", 2),
        ("user bob can_fly file /workspace/project", 1),
    ] {
        exits(&world, &format!("rebac check {line}"), code);
    }
    let expand = |line: &str| ask(&world, &format!("rebac expand {line}"))["subjects"].clone();
    let owners = json!([["agent", "coder"], ["group", "developers"]]);
    assert_eq!(expand(&format!("owner-of file {p}/plan")), owners);
    let leaves = json!([["user", "bob"], ["agent", "coder"]]);
    assert_eq!(expand(&format!("can_read file {p}/plan --leaves")), leaves);
    let listed = ask(&world, "rebac list --subject-type user --subject-id bob");
    let tuple = &listed["tuples"][0];
    assert_eq!(
        (&tuple["relation"], &tuple["object_id"]),
        (&json!("can_write"), &json!(p))
    );
    let on_plan = ask(
        &world,
        &format!("rebac list --object-path {p}/plan --relation owner-of"),
    );
    assert_eq!(on_plan["tuples"][0]["subject_id"], "developers");
    let objects = ask(&world, "rebac objects agent coder --relation can_read");
    assert_eq!(objects["objects"], json!([format!("{p}/plan")]));
    let same = world.ctl(&[
        "rebac",
        "objects",
        "agent",
        "coder",
        "--relation",
        "can_read",
    ]);
    assert_eq!(same, objects);
    // Others learn of what names them, and of nothing else.
    let his = said(&world, BOB, "nexus rebac list").must();
    assert!(
        his.contains("user:bob") && !his.contains("developers"),
        "{his}"
    );
    assert_eq!(said(&world, CAROL, "nexus rebac list").must(), "");
}

#[test]
fn memberships_are_listed_and_a_group_is_part_of_another() {
    let Some(world) = village() else { return };
    world.ctl(&["group", "create", "developers"]);
    world.ctl(&["agent", "create", "coder", "--owner", "bob", "--isolated"]);
    let made = ask(
        &world,
        "rebac create agent coder member-of group developers",
    );
    let members = ask(&world, "rebac list --relation member-of");
    let member = json!({
        "subject_type": "agent", "subject_id": "coder", "relation": "member",
        "object_type": "group", "object_id": "developers", "expires": null, "expired": false,
    });
    assert_eq!(members["tuples"], json!([member]));
    assert_eq!(made, member);
    world.ctl(&["group", "create", "department"]);
    let part = ask(
        &world,
        "rebac create group developers part-of group department",
    );
    assert_eq!(
        (&part["subject_id"], &part["object_id"]),
        (&json!("developers"), &json!("department"))
    );
    exits(
        &world,
        "rebac check agent coder member-of group department",
        0,
    );
}

/// semantics.md §4: "Everybody is told why he may do something or may not, and about others whoever owns it; nothing is named
/// that the asker may not see."
#[test]
fn why_tells_what_decided_to_whom_it_concerns() {
    let Some(world) = village() else { return };
    let why = |line: &str| ask(&world, &format!("why {line}"));
    let before = why("bob read /workspace/project/plan");
    assert_eq!(
        (&before["allowed"], &before["layer"]),
        (&json!(false), &json!("none"))
    );
    assert!(
        before["because"]
            .as_str()
            .unwrap()
            .contains("search /workspace/project")
    );
    ask(
        &world,
        "rebac grant user bob file /workspace/project --relation can_read",
    );
    let after = why("bob read /workspace/project/plan");
    assert_eq!(
        (&after["allowed"], &after["layer"]),
        (&json!(true), &json!("graph"))
    );
    assert_eq!(after["by"]["object_id"], "/workspace/project");
    let own = why("alice own /workspace/project/plan");
    assert_eq!(
        (&own["allowed"], &own["layer"]),
        (&json!(true), &json!("unix"))
    );
    let his = said(&world, BOB, "nexus why bob write /workspace/project/plan").must();
    assert!(
        his.starts_with("✗ user:bob may not write /workspace/project/plan\n"),
        "{his}"
    );
    assert!(
        his.contains("no grant gives it, and neither does mode 0600 of owner alice"),
        "{his}"
    );
    let code = |uid, line: &str| said(&world, uid, line).status.code();
    assert_eq!(
        code(BOB, "nexus why alice write /workspace/project/plan"),
        Some(3)
    );
    assert_eq!(
        code(ALICE, "nexus why bob write /workspace/project/plan"),
        Some(0)
    );
    let hidden = code(CAROL, "nexus why carol read /workspace/project/plan");
    assert_eq!(hidden, Some(2), "what one may not see is not found");
}

/// semantics.md §4: "Changing grants takes ownership, and nobody gives more than he has. Grants never cross tenants. An expired
/// grant is no grant."
#[test]
fn what_may_not_be_granted_is_refused_with_its_exit_code() {
    let Some(world) = village() else { return };
    ask(
        &world,
        "rebac grant user bob file /workspace/project --relation can_write",
    );
    world.ctl(&["tenant", "create", "acme"]);
    world.ctl(&["user", "create", "dave", "--tenant", "acme"]);
    let done = || {
        let kept = world.log(&[]).into_iter();
        kept.filter(|r| r["kind"] != "refused").count()
    };
    let before = done();
    for (wrong, code) in [
        ("user bob file /workspace/none --relation can_read", 2),
        ("user none file /workspace/project --relation can_read", 2),
        ("group none file /workspace/project --relation can_read", 2),
        ("user bob file /workspace/project --relation can_fly", 1),
        ("user bob file /workspace/project", 1),
        (
            "user bob can_read file /workspace/project --relation can_read",
            1,
        ),
        ("user bob can_read memory /workspace/project", 1),
        ("robot bob can_read file /workspace/project", 1),
        (
            "user bob can_read file /workspace/project --expires soon",
            1,
        ),
        (
            "user bob can_read file /workspace/project --expires 2001-01-01T00:00:00Z",
            1,
        ),
        ("user bob member-of group none", 2),
        ("user dave can_read file /workspace/project", 2),
        ("user bob can_read file /workspace/project --tenant acme", 2),
    ] {
        exits(&world, &format!("rebac grant {wrong}"), code);
    }
    for (uid, wrong, code) in [
        (
            BOB,
            "grant user carol can_read file /workspace/project/plan",
            3,
        ),
        (BOB, "grant user bob owner file /workspace/project/plan", 3),
        (BOB, "expand can_read file /workspace/project", 3),
        (
            CAROL,
            "create user carol can_read file /workspace/project",
            2,
        ),
        (CAROL, "delete 1", 2),
    ] {
        let said = said(&world, uid, &format!("nexus rebac {wrong}"));
        assert_eq!(said.status.code(), Some(code), "{wrong}: {said:?}");
    }
    assert_eq!(done(), before);
}

#[test]
fn modes_owners_and_groups_are_set_at_the_command_line() {
    let Some(world) = village() else { return };
    let file = world.path("project/plan");
    let meta = || fs::metadata(&file).unwrap();
    for (said_as, mode) in [("0o640", 0o640), ("600", 0o600), ("0644", 0o644)] {
        said(
            &world,
            ALICE,
            &format!("nexus chmod {said_as} /workspace/project/plan"),
        )
        .must();
        assert_eq!(meta().mode() & 0o7777, mode);
    }
    said(&world, BOB, "nexus chmod 777 /workspace/project/plan").must_fail();
    world.ctl(&["group", "create", "developers"]);
    world.ctl(&["group", "add", "developers", "carol"]);
    ask(
        &world,
        "rebac grant user carol file /workspace/project --relation can_execute",
    );
    world
        .nexus(&["chmod", "0o640", "/workspace/project/deep/f"])
        .must();
    said(
        &world,
        ALICE,
        "nexus chgrp developers /workspace/project/plan",
    )
    .must_fail();
    world
        .nexus(&["chgrp", "developers", "/workspace/project/plan"])
        .must();
    world
        .nexus(&["chmod", "0660", "/workspace/project/plan"])
        .must();
    said(&world, CAROL, "echo hers >> project/plan").must();
    world
        .nexus(&["chown", "carol:developers", "/workspace/project/plan"])
        .must();
    assert_eq!(meta().uid(), CAROL);
    let halved = world.nexus(&["chown", "carol:", "/workspace/project/plan"]);
    assert!(halved.must_fail().contains("chgrp"));
    let hinted = said(&world, CAROL, "nexus chmod 777 /workspace/project/deep/f").must_fail();
    assert!(hinted.contains("nexus why"), "{hinted}");
    world
        .nexus(&["chown", "bob", "/workspace/project/plan"])
        .must();
    assert_eq!((meta().uid(), meta().mode() & 0o777), (BOB, 0o660));
    world
        .nexus(&["chown", "4711", "/workspace/project/plan"])
        .must();
    world
        .nexus(&["chgrp", "4712", "/workspace/project/plan"])
        .must();
    assert_eq!((meta().uid(), meta().gid()), (4711, 4712));
    exits(&world, "chown nobody-here /workspace/project/plan", 2);
    exits(&world, "chgrp nobody-here /workspace/project/plan", 2);
    exits(&world, "chmod 0999 /workspace/project/plan", 1);
    exits(&world, "chmod 0640 /workspace/project/none", 2);
    world.is_sound();
}

#[test]
fn the_log_says_to_whom_something_was_granted() {
    let world = World::new();
    world.ctl(&["user", "create", "bob"]);
    fs::write(world.path("f"), "x").unwrap();
    let given = ask(
        &world,
        "rebac grant user bob file /workspace/f --relation can_read",
    );
    ask(&world, &format!("rebac delete {}", given["tuple_id"]));
    let log = world.log(&[]);
    for kind in ["grant", "revoke"] {
        let record = log.iter().find(|r| r["kind"] == kind).unwrap();
        assert_eq!(
            (&record["path"], &record["subject"]),
            (&json!("/workspace/f"), &json!("user:bob"))
        );
    }
    let said = world.nexus(&["log"]).must();
    for told in ["can_read to user:bob  ", "can_read of user:bob  "] {
        assert!(said.contains(&format!("/workspace/f: {told}")), "{said}");
    }
    let grant = log.iter().find(|r| r["kind"] == "grant").unwrap();
    assert_eq!(
        (&grant["relation"], &grant["tuple"]),
        (&json!("can_read"), &given["tuple_id"])
    );
}

#[test]
fn without_a_daemon_the_same_is_said_and_answered() {
    let world = World::unmounted(&[]);
    world.nexus(&["init"]).must();
    world.ctl(&["user", "create", "bob"]);
    world.nexus(&["write", "-p", "/workspace/a/f", "x"]).must();
    ask(
        &world,
        "rebac grant user bob file /workspace/a --relation can_read",
    );
    exits(
        &world,
        "rebac check user bob can_read file /workspace/a/f",
        0,
    );
    exits(
        &world,
        "rebac revoke user bob can_write file /workspace/a",
        2,
    );
    exits(
        &world,
        "rebac revoke user bob can_read file /workspace/a",
        0,
    );
    exits(
        &world,
        "rebac check user bob can_read file /workspace/a/f",
        3,
    );
    // What is computed belongs to nobody.
    exits(&world, "rebac grant user bob can_read file /.nexus", 1);
    exits(&world, "rebac check user bob can_read file /.nexus", 1);
    world.is_sound();
}

/// What docs/permissions.md says of blocking one person.
#[test]
fn a_deny_blocks_one_person_of_those_who_have_a_grant() {
    let Some(world) = village() else { return };
    ask(
        &world,
        "rebac grant user * can_read file /workspace/project",
    );
    said(&world, CAROL, "cat project/plan project/deep/f").must();
    ask(
        &world,
        "setfacl default:deny:user:carol:--- /workspace/project",
    );
    said(
        &world,
        CAROL,
        &format!("{NO}; no cat project/plan; no cat project/deep/f"),
    )
    .must();
    said(&world, BOB, "cat project/plan project/deep/f").must();
    let why = ask(&world, "why carol read /workspace/project/deep/f");
    assert_eq!(
        (&why["allowed"], &why["layer"]),
        (&json!(false), &json!("deny"))
    );
    let because = why["because"].as_str().unwrap();
    assert!(
        because.contains("the list of /workspace/project denies"),
        "{because}"
    );
    exits(
        &world,
        "rebac check user carol can_read file /workspace/project/deep/f",
        0,
    );
    ask(
        &world,
        "setfacl default:deny:user:carol:--- /workspace/project --remove",
    );
    said(&world, CAROL, "cat project/plan").must();
}

#[test]
fn who_is_refused_what_is_an_administrators_is_in_the_log() {
    let Some(world) = village() else { return };
    let refused = said(&world, BOB, "nexus admin create-user mallory").must_fail();
    assert!(refused.contains("administrator"), "{refused}");
    said(
        &world,
        BOB,
        "nexus rebac grant user bob file /workspace/project --relation owner",
    )
    .must_fail();
    ask(
        &world,
        "rebac grant user bob can_read file /workspace/project --expires 2100-01-01T00:00:00Z",
    );
    world.ctl(&["group", "create", "developers"]);
    world.ctl(&["group", "add", "developers", "bob"]);
    world
        .nexus(&["setfacl", "user:carol:r--", "/workspace/project/plan"])
        .must();
    let log = world.nexus(&["log", "-n", "10"]).must();
    for told in [
        "/workspace/project: can_read to user:bob until 2100-01-01T00:00:00",
        "group:developers: user:bob",
        "/workspace/project/plan: user:carol:r--",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let line = log.lines().find(|l| l.contains("refused")).unwrap();
    assert!(
        line.contains("user-create user=mallory (only an administrator") && line.contains("bob"),
        "{log}"
    );
}
