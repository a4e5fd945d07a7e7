//! Lists of directories that a kernel keeps for the one user of a mount: as exact as if it asked each time.

use super::*;
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
