//! Moves of what is somebody else's, on the mount.

use super::*;

/// A directory of alice's for everybody, with a file in it that is hers alone, and one of carol's.
fn team() -> Option<World> {
    let world = village()?;
    let text = "mkdir team; chmod 777 team; umask 077; echo dear > team/private.txt";
    said(&world, ALICE, text).must();
    said(&world, CAROL, "mkdir carols").must();
    Some(world)
}

const GRANT: &str =
    "nexus rebac grant user carol file /workspace/carols --relation owner >/dev/null";

/// semantics.md §4: "nobody gives more than he has"
#[test]
fn a_move_below_ones_own_grant_opens_nothing() {
    let Some(world) = team() else { return };
    for text in [
        format!("{GRANT}; no mv team/private.txt carols/"),
        format!("no ln team/private.txt carols/; no mv team/private.txt carols/; {GRANT}"),
    ] {
        said(&world, CAROL, &text).must();
        said(&world, CAROL, "cat carols/private.txt").must_fail();
        said(&world, CAROL, "cat team/private.txt").must_fail();
        ask(
            &world,
            "rebac revoke user carol owner file /workspace/carols",
        );
    }
    // What he may read is copied, and the copy is his.
    said(&world, ALICE, "chmod 644 team/private.txt").must();
    let text = "mv team/private.txt carols/; cat carols/private.txt; stat -c %u carols/private.txt";
    let moved = said(&world, CAROL, text).must();
    assert_eq!(moved, format!("dear\n{CAROL}\n"));
    world.is_sound();
}

#[test]
fn a_file_that_is_hidden_is_not_replaced() {
    let Some(world) = village() else { return };
    said(
        &world,
        ALICE,
        "umask 077; mkdir tp; echo hers > tp/design.md",
    )
    .must();
    ask(
        &world,
        "rebac grant user bob file /workspace/tp --relation can_write",
    );
    said(
        &world,
        ALICE,
        "nexus rebac restrict /workspace/tp/design.md",
    )
    .must();
    let text = "cd tp; echo his > newone.md; ls; no rm design.md; no mv newone.md design.md; no mkdir design.md";
    assert_eq!(said(&world, BOB, text).must(), "newone.md\n");
    let refused = said(&world, BOB, "mkdir tp/design.md").must_fail();
    assert!(refused.contains("Permission denied"), "{refused}");
    assert_eq!(said(&world, ALICE, "cat tp/design.md").must(), "hers\n");
    world.is_sound();
}

/// Carol's kernel keeps the names on the way to what was granted to her, and that there are none, until it is told.
#[test]
fn a_way_leads_where_what_was_granted_goes() {
    let Some(world) = village() else { return };
    let own = world.host("carols");
    let at = own.to_str().unwrap();
    world.nexus(&["mount", at, "--user", "carol"]).must();
    let text = "umask 077; mkdir -p shut/a/b shut/c; mv project shut/a/b/; touch shut/hers
        nexus rebac grant user carol file /workspace/shut/hers --relation can_read
        nexus rebac grant user carol file /workspace/shut/a/b/project/plan --relation can_read";
    said(&world, ALICE, text).must();
    let finds = |path: &str| own.join("workspace").join(path).exists();
    for (text, way, others) in [
        ("true", "shut/a/b/project", "shut/c"),
        ("mv shut/a/b/project shut/c/", "shut/c/project", "shut/a"),
        ("mv shut/c/project shut/a/b/", "shut/a/b/project", "shut/c"),
        ("mv shut/a shut/c/", "shut/c/a/b/project", "shut/a"),
        ("mv shut/c/a/b/project/plan shut/", "shut/plan", "shut/c"),
        ("mv shut/plan shut/c/a/b/", "shut/c/a/b/plan", "shut/plan"),
        ("rm shut/c/a/b/plan", "shut/hers", "shut/c"),
        ("nexus undo --last --yes", "shut/c/a/b/plan", "shut/plan"),
    ] {
        said(&world, ALICE, text).must();
        assert!(finds(way), "after {text}: {way}");
        assert!(!finds(others), "after {text}: {others}");
    }
    world.is_sound();
}
