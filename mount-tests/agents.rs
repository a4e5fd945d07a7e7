//! `nexus run`: what a process tree does is its agent's, and what the agent may not do it cannot.

use crate::shell::sh;
use crate::world::World;
use std::fs;

#[test]
fn all_that_a_command_starts_is_its_agents_and_its_sessions() {
    let world = World::new();
    let (dir, data) = (world.workspace(), world.data().display().to_string());
    fs::write(dir.join("mine"), "by me").unwrap();
    let script = format!(
        "cd {0}; echo one > a; (setsid sh -c 'echo two > b') ; sh -c 'mv a c'; ls {data}; ls /proc/self/fd >/dev/null; exit 7",
        dir.display()
    );
    let run = [
        "run",
        "--agent",
        "fixer",
        "--session",
        "s1",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let said = world.nexus(&run);
    assert_eq!(said.status.code(), Some(7), "{said:?}");
    assert_eq!(said.out, "", "the data directory is hidden");
    let log = world.log(&[]);
    let of = |kind: &str, path: &str| {
        let found = log.iter().find(|r| r["kind"] == kind && r["path"] == path);
        found
            .unwrap_or_else(|| panic!("{kind} {path}: {log:#?}"))
            .clone()
    };
    for (kind, path) in [
        ("create", "/workspace/a"),
        ("create", "/workspace/b"),
        ("rename", "/workspace/a"),
    ] {
        let record = of(kind, path);
        assert_eq!(
            (&record["agent"], &record["session"]),
            (&"fixer".into(), &"s1".into())
        );
    }
    assert!(of("create", "/workspace/mine")["agent"].is_null());
    assert_eq!(world.mounts(), 1, "its own mount is gone");
    assert_eq!(fs::read_to_string(world.path("b")).unwrap(), "two\n");
    world.is_sound();
}

#[test]
fn an_isolated_agent_is_confined_to_what_it_was_granted() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir open secret; echo no > secret/f; echo yes > open/f",
    );
    world.ctl(&["agent", "create", "guest", "--isolated"]);
    let run = |text: &str| {
        let dir = world.workspace();
        let script = format!("cd / && {}", text.replace('@', dir.to_str().unwrap()));
        world.nexus(&["run", "--agent", "guest", "--", "sh", "-c", &script])
    };
    run("cat @/open/f").must_fail();
    run("echo x > @/new").must_fail();
    assert!(
        world
            .nexus(&["run", "--", "true"])
            .must_fail()
            .contains("--agent")
    );
    assert_eq!(fs::read_to_string(world.path("secret/f")).unwrap(), "no\n");
}
