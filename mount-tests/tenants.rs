//! Tenants deleted and made again, on real mounts with real users.

use crate::shell::{Said, run, script, sh};
use crate::world::{World, needs_root};
use serde_json::Value;
use std::path::Path;

/// Runs `nexusctl` with the words of a line.
fn ctl(world: &World, line: &str) -> Value {
    world.ctl(&line.split(' ').collect::<Vec<_>>())
}

fn mount(world: &World, dir: &Path) -> Said {
    let dir = dir.to_str().unwrap();
    let who = ["--tenant", "acme", "--identity", "os", "--allow-other"];
    world.nexus(&[&["mount", dir], &who[..]].concat())
}

/// Runs something in a directory as somebody.
fn as_uid(dir: &Path, uid: u32, does: &str) -> Said {
    let text = format!("exec setpriv --reuid {uid} --regid {uid} --clear-groups bash -c '{does}'");
    run(&mut script(dir, &text))
}

/// A tenant `acme` with ann (21001) and bob (21002, who reads ann's plan by a group), an agent, a key and a type.
fn acme(world: &World, dir: &Path) {
    ctl(world, "tenant create acme");
    for line in [
        "user create ann --uid 21001",
        "user create bob --uid 21002",
        "agent create coder --owner ann",
        "group create staff",
        "group add staff bob",
        "key create ann",
    ] {
        ctl(world, &format!("--tenant acme {line}"));
    }
    mount(world, dir).must();
    as_uid(&dir.join("workspace"), 21001, "echo secret-of-old > plan").must();
    let grant = "--tenant acme rebac grant group staff file /workspace/plan --relation can_read";
    ctl(world, grant);
    as_uid(dir, 21002, "cat workspace/plan").must();
}

#[test]
fn a_tenant_that_was_deleted_shows_nothing_to_the_next_of_its_name() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    sh(&world.workspace(), "echo kept > other");
    let dir = world.host("acme");
    acme(&world, &dir);
    let old = ctl(&world, "--tenant acme user show ann");
    let delete = ["tenant", "delete", "acme", "--yes"];
    let busy = world.ctl_said(&delete).must_fail();
    assert!(busy.contains("nexus umount"), "{busy}");
    as_uid(&dir, 21001, "cat workspace/plan").must();
    let path = dir.to_str().unwrap().to_owned();
    world.nexus(&["umount", &path]).must();
    let unsure = world.ctl_said(&["tenant", "delete", "acme"]).must_fail();
    assert!(unsure.contains("--yes"), "{unsure}");
    let stays = world.ctl_said(&["tenant", "delete", "default", "--yes"]);
    assert!(stays.must_fail().contains("default"));
    let planned = ctl(&world, "tenant delete acme --dry-run");
    assert_eq!(ctl(&world, "tenant delete acme --yes"), planned);
    assert_eq!(
        (&planned["keys"], &planned["files"]),
        (&1.into(), &1.into())
    );
    let missing = world.ctl_said(&delete);
    assert_eq!(missing.status.code(), Some(2));
    world.kill();
    world.restart();
    let told = world.log(&["--kind", "tenant-delete"]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["subject"], "tenant:acme");
    mount(&world, &dir).must_fail();

    ctl(&world, "tenant create acme");
    for line in [
        "user create ann --uid 21001",
        "group create staff",
        "group add staff ann",
    ] {
        ctl(&world, &format!("--tenant acme {line}"));
    }
    let new = ctl(&world, "--tenant acme user show ann");
    assert!(new["id"].as_u64() > old["id"].as_u64());
    let tenants = ctl(&world, "tenant list")["tenants"].clone();
    let acme = tenants
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "acme");
    assert!(acme.unwrap()["id"].as_u64() > planned["tenant"].as_u64());
    mount(&world, &dir).must();
    for round in 0..2 {
        let seen = "ls -A workspace shared; find . -name plan; grep -rs secret-of . ; cat .nexus/log; ls .at; cat workspace/plan; true";
        let said = as_uid(&dir, 21001, seen).must();
        assert!(
            !said.contains("secret-of-old") && !said.contains("plan"),
            "{said}"
        );
        as_uid(&dir, 21002, "ls workspace").must_fail();
        for line in [
            "key list",
            "trash list",
            "log",
            "grep secret",
            "rebac list",
            "user list",
            "snapshot list",
            "agent list",
        ] {
            let words: Vec<_> = line.split(' ').collect();
            let words = [&["--tenant", "acme"][..], &words].concat();
            let by = match words[2] {
                "key" | "rebac" | "user" | "agent" => world.ctl_said(&words),
                _ => world.nexus(&words),
            };
            let said = format!("{by:?}");
            for old in ["plan", "secret-of-old", "bob", "coder", "key 1"] {
                assert!(!said.contains(old), "{line}: {said}");
            }
        }
        if round == 0 {
            world.kill();
            world.restart();
        }
    }
    world.nexus(&["umount", &path]).must();
    world.is_sound();
}
