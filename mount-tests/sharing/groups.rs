//! Groups in groups, taken apart at each level.

use super::{ALICE, BOB, ask, exits, said, village};
use crate::person::Person;
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
