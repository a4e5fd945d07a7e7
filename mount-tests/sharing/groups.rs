//! Groups in groups, taken apart at each level.

use super::{ALICE, BOB, CAROL, ask, exits, said, village};
use crate::person::Person;
use crate::world::World;
use serde_json::json;

/// permissions.md §3: "nested group removal reaching only one level"
#[test]
fn who_leaves_at_any_level_has_nothing_of_what_came_through_it() {
    let Some(world) = village() else { return };
    world.ctl(&["agent", "create", "helper", "--owner", "bob"]);
    let groups = ["g0", "g1", "g2", "g3"];
    for group in groups {
        world.ctl(&["group", "create", group]);
    }
    // Bob is in g0, that in g1, and so on; and g0 in g2 as well.
    let mut inside = vec![("g0".to_owned(), "user:bob".to_owned())];
    inside.extend(
        groups
            .windows(2)
            .map(|two| (two[1].to_owned(), format!("group:{}", two[0]))),
    );
    for (group, member) in &inside {
        world.ctl(&["group", "add", group, member]);
    }
    ask(
        &world,
        "rebac grant group g3 file /workspace/project --relation can_read",
    );
    let plan = world.path("project/plan").to_str().unwrap().to_owned();
    let mut bob = Person::new(&world, BOB);
    let mut has = |expected: bool| {
        assert_eq!(bob.does("read", &[&plan]).is_ok(), expected);
        assert_eq!(
            bob.does("get", &["/workspace/project/plan"]).is_ok(),
            expected
        );
        let code = if expected { 0 } else { 3 };
        for who in ["user bob", "agent helper"] {
            exits(
                &world,
                &format!("rebac check {who} can_read file /workspace/project/plan"),
                code,
            );
        }
        let leaves = ask(
            &world,
            "rebac expand can_read file /workspace/project --leaves",
        );
        let both = json!([["user", "bob"], ["agent", "helper"]]);
        assert_eq!(leaves["subjects"] == both, expected, "{leaves}");
    };
    has(true);
    for (group, member) in &inside {
        world.ctl(&["group", "remove", group, member]);
        has(false);
        world.ctl(&["group", "add", group, member]);
        has(true);
    }
    // By a second way round the middle nothing is lost until that goes, too.
    world.ctl(&["group", "add", "g2", "group:g0"]);
    world.ctl(&["group", "remove", "g2", "group:g1"]);
    has(true);
    world.ctl(&["group", "remove", "g2", "group:g0"]);
    has(false);
    said(&world, ALICE, "cat project/plan").must();
    world.is_sound();
}

/// permissions.md §4: "group membership needs group admin"
#[test]
fn who_owns_a_group_adds_and_takes_out_its_members() {
    let Some(world) = village() else { return };
    world.ctl(&["group", "create", "developers"]);
    let code = |uid, line: &str| said(&world, uid, line).status.code();
    let add = "nexus rebac create user bob member-of group developers";
    let out = "nexus rebac revoke user bob member-of group developers";
    assert_eq!(code(ALICE, add), Some(3));
    let made = ask(
        &world,
        "rebac grant user alice group developers --relation admin",
    );
    assert_eq!(
        (&made["relation"], &made["object_id"]),
        (&json!("owner"), &json!("developers"))
    );
    said(&world, ALICE, add).must();
    exits(&world, "rebac check user bob member-of group developers", 0);
    exits(&world, "rebac check user alice owner group:developers", 0);
    exits(&world, "rebac check user bob owner group:developers", 3);
    let shown = world.ctl(&["group", "show", "developers"]);
    assert_eq!(shown["owners"], json!(["user:alice"]));
    let owners = ask(&world, "rebac expand owner group developers");
    assert_eq!(owners["subjects"], json!([["user", "alice"]]));
    let (give, take) = (
        "nexus rebac create user carol owner-of group developers",
        "nexus rebac revoke user alice owner group developers",
    );
    assert_eq!(code(BOB, give), Some(3), "a member is no owner");
    assert_eq!(code(ALICE, give), Some(0));
    assert_eq!(code(CAROL, take), Some(0));
    assert_eq!(code(ALICE, out), Some(3));
    assert_eq!(code(CAROL, out), Some(0));
    let changes = world.nexus(&["--json", "rebac", "changes"]).must();
    let of_group = |line: &&str| line.contains(r#""object_id":"developers""#);
    assert_eq!(changes.lines().filter(of_group).count(), 5, "{changes}");
    let listed = said(&world, ALICE, "nexus rebac list").must();
    assert!(!listed.contains("developers"), "{listed}");
    world.is_sound();
}

#[test]
fn who_came_into_a_group_is_taken_back_by_who_is_in_charge_of_it() {
    let Some(world) = village() else { return };
    world.ctl(&["group", "create", "developers"]);
    ask(
        &world,
        "rebac grant group developers file /workspace/project --relation can_read",
    );
    ask(
        &world,
        "rebac grant user alice group developers --relation owner",
    );
    let reads = |expected: bool| {
        let read = said(&world, BOB, "cat project/plan");
        assert_eq!(read.status.success(), expected, "{read:?}");
    };
    said(
        &world,
        ALICE,
        "nexus rebac create user bob member-of group developers",
    )
    .must();
    reads(true);
    let log = world.log(&["--kind", "group-add"]);
    let added = log.last().unwrap()["op"].to_string();
    // Whom it concerns sees it, and is not in charge for that.
    said(&world, BOB, &format!("no nexus undo {added} --yes")).must();
    let told = said(&world, ALICE, "nexus undo --last --dry-run").must();
    assert!(
        told.contains("remove   user:bob from group developers"),
        "{told}"
    );
    reads(true);
    let told = said(&world, ALICE, "nexus undo --last --yes").must();
    assert!(told.contains("undone: 1 members"), "{told}");
    reads(false);
    let undone = world.log(&["--kind", "undo"]);
    let undone = undone.last().unwrap()["op"].to_string();
    let told = said(&world, ALICE, &format!("nexus undo {undone} --yes")).must();
    assert!(
        told.contains("add      user:bob to group developers"),
        "{told}"
    );
    reads(true);
    let changes = world.nexus(&["rebac", "changes", "--from", &undone]).must();
    let told: Vec<_> = changes.lines().collect();
    assert!(told.len() == 2 && told[0].contains("revoke") && told[1].contains("grant"));
    world.is_sound();
}

#[test]
fn changes_that_are_still_to_come_are_told_to_be() {
    let world = World::new();
    let end = world.log(&[]).last().unwrap()["op"].as_u64().unwrap();
    let from = |op: u64| world.nexus(&["rebac", "changes", "--from", &op.to_string()]);
    let none = from(end + 1);
    assert_eq!((none.err.as_str(), none.out.as_str()), ("no changes\n", ""));
    let ahead = from(end + 2).must_fail();
    assert!(ahead.contains("still to come"), "{ahead}");
}
