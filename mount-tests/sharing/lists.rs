//! Lists of directories and names that a kernel keeps for the one user of a mount: as exact as if it asked each time.

use super::*;
use std::io::ErrorKind;
use std::path::Path;

/// What bob's own mount lists, asked twice: the second answer is the kernel's.
#[track_caller]
fn lists(dir: &Path, expected: &str) {
    for _ in 0..2 {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.join(" "), expected);
    }
}

#[test]
fn a_list_that_was_kept_follows_grants_boundaries_denies_and_modes() {
    let Some(world) = village() else { return };
    let own = world.host("bobs");
    world
        .nexus(&["mount", own.to_str().unwrap(), "--user", "bob"])
        .must();
    let project = own.join("workspace/project");
    let by_alice = |line: &str| said(&world, ALICE, line).must();
    let to_bob = "user bob file /workspace/project --relation can_read";
    by_alice(&format!("nexus rebac grant {to_bob}"));
    lists(&project, "deep plan");
    by_alice("nexus rebac restrict /workspace/project/deep");
    lists(&project, "plan");
    by_alice("chmod 755 project/deep");
    lists(&project, "deep plan");
    by_alice("chmod 700 project/deep");
    lists(&project, "plan");
    by_alice("nexus rebac unrestrict /workspace/project/deep");
    lists(&project, "deep plan");
    by_alice("nexus setfacl deny:user:bob:--- /workspace/project/plan");
    lists(&project, "deep");
    by_alice(
        "nexus setfacl deny:user:bob:--- /workspace/project/plan --remove; echo > project/new",
    );
    lists(&project, "deep new plan");
    by_alice(&format!("nexus rebac revoke {to_bob}"));
    assert!(fs::read_dir(&project).is_err());
    world.nexus(&["umount", own.to_str().unwrap()]).must();
}

/// Where something was said, who has no right to a file does not find it: whatever gives or takes the last one counts.
#[test]
fn a_name_that_was_kept_follows_the_mode_and_owner_of_what_it_stands_for() {
    let Some(world) = village() else { return };
    let own = world.host("bobs");
    world
        .nexus(&["mount", own.to_str().unwrap(), "--user", "bob"])
        .must();
    let project = own.join("workspace/project");
    let by_alice = |line: &str| said(&world, ALICE, line).must();
    by_alice(
        "chmod 755 project; nexus rebac grant user carol file /workspace/project --relation can_read",
    );
    let chown = |line: &str| world.nexus(&line.split(' ').collect::<Vec<_>>()).must();
    for name in ["plan", "deep"] {
        let found = |expected: bool| {
            for _ in 0..2 {
                assert_eq!(project.join(name).symlink_metadata().is_ok(), expected);
            }
        };
        found(false);
        by_alice(&format!("chmod 704 project/{name}"));
        found(true);
        by_alice(&format!("chmod 700 project/{name}"));
        found(false);
        by_alice(&format!("nexus chmod 704 /workspace/project/{name}"));
        found(true);
        by_alice(&format!("nexus chmod 700 /workspace/project/{name}"));
        found(false);
        chown(&format!("chown bob /workspace/project/{name}"));
        found(true);
        chown(&format!("chown alice /workspace/project/{name}"));
        found(false);
    }
    world.is_sound();
}

/// A kernel that is given names with all that is known of them is not to take that for a permission to look them up.
#[test]
fn who_may_list_a_directory_and_not_search_it_finds_nothing_in_it() {
    let Some(world) = village() else { return };
    let own = world.host("bobs");
    world
        .nexus(&["mount", own.to_str().unwrap(), "--user", "bob"])
        .must();
    let project = own.join("workspace/project");
    said(&world, ALICE, "chmod 704 project").must();
    lists(&project, "deep plan");
    for name in ["deep", "plan"] {
        let found = project.join(name).symlink_metadata();
        assert_eq!(found.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
    said(&world, ALICE, "chmod 705 project").must();
    lists(&project, "deep plan");
    project.join("plan").symlink_metadata().unwrap();
}
