//! Users, agents, groups and keys, as people and scripts make them at the command line.

use crate::shell::{Said, run, script, sh};
use crate::world::{NEXUS, NEXUSCTL, World, needs_root};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

/// Runs a script that may say `nexus` and `nexusctl` for this store.
fn scripted(world: &World, text: &str) -> Said {
    let bin = world.host("bin");
    for (name, program) in [("nexus", NEXUS), ("nexusctl", NEXUSCTL)] {
        std::os::unix::fs::symlink(program, bin.join(name)).ok();
    }
    let text = format!("PATH={}:$PATH\n{text}", bin.display());
    let mut command = script(&bin, &text);
    command.env("NEXUS_DATA_DIR", world.data());
    run(&mut command)
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|v| v[key].as_str().unwrap().to_owned()).collect()
}

/// What the collaboration tutorial says, word for word, with and without a daemon.
#[test]
fn the_tutorials_words_make_users_keys_and_groups() {
    for world in [World::unmounted(&[]), World::new()] {
        world.nexus(&["init"]).must();
        let said = scripted(
            &world,
            r#"
            nexus admin create-user admin \
              --name "Admin User" \
              --email "admin@example.com"
            nexus admin create-user alice \
              --name "Alice Smith" \
              --email "alice@example.com"
            nexus admin create-user bob --name "Bob Jones" --email "bob@example.com"
            nexus admin list-users
            ALICE_KEY=$(nexus admin create-user-key alice --description "Alice's API Key" | grep "API Key" | awk '{print $4}')
            BOB_KEY=$(nexus admin create-user-key bob --description "Bob's key" | grep "API Key" | awk '{print $4}')
            nexus admin create-group developers
            nexus admin add-user-to-group bob developers
            echo "keys $ALICE_KEY $BOB_KEY"
            "#,
        )
        .must();
        let listed = "Users:\n  - admin (Admin User) - admin@example.com\n  - alice (Alice Smith) - alice@example.com\n  \
                      - bob (Bob Jones) - bob@example.com\n";
        assert!(said.contains(listed), "{said}");
        let keys = said.lines().last().unwrap().strip_prefix("keys ").unwrap();
        let keys: Vec<_> = keys.split(' ').collect();
        assert_eq!(keys.len(), 2);
        for key in &keys {
            let random = key.strip_prefix("nxk_").unwrap();
            assert!(random.len() == 64 && random.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(keys[0], keys[1]);
        let group = world.ctl(&["group", "show", "developers"]);
        assert_eq!(group["members"], json!(["user:bob"]));
        world.is_sound();
    }
}

#[test]
fn a_key_is_shown_once_and_listed_until_it_is_revoked() {
    let world = World::new();
    world.ctl(&["user", "create", "alice"]);
    let said = scripted(
        &world,
        "nexusctl key create alice --description 'her laptop' --expires 90d",
    )
    .must();
    let line = said.lines().next().unwrap();
    let key = line.strip_prefix("API Key: nxk_").unwrap().to_owned();
    assert_eq!(said.matches("API Key").count(), 1);
    let list = || world.ctl(&["key", "list", "alice"])["keys"].clone();
    let listed = list();
    assert_eq!(names(&listed, "description"), ["her laptop"]);
    assert_eq!(listed[0]["expired"], false);
    assert!(listed[0]["expires"].as_str() > listed[0]["created"].as_str());
    assert!(!listed.to_string().contains(&key));
    let log = format!("{:?}", world.log(&[]));
    assert!(log.contains("key-create") && !log.contains(&key));
    let id = listed[0]["id"].to_string();
    world.shutdown();
    world.ctl(&["key", "revoke", &id]);
    assert_eq!(list().as_array().unwrap().len(), 0);
    let again = world.ctl_said(&["key", "revoke", &id]);
    assert_eq!(again.status.code(), Some(2));
    let refused = world.ctl_said(&["key", "create", "alice", "--expires", "soon"]);
    assert!(refused.must_fail().contains("90d"));
}

/// Runs `nexusctl` with the words of a line.
fn ctl(world: &World, line: &str) -> Value {
    world.ctl(&line.split(' ').collect::<Vec<_>>())
}

/// Alice with an isolated agent and a key for it, bob, and a group in a group.
fn organisation() -> World {
    let world = World::new();
    for line in [
        "user create alice --name Alice",
        "user create bob",
        "agent create coder --owner alice --isolated",
        "group create developers --description all",
        "group create everybody",
        "group add developers alice",
        "group add developers agent:coder",
        "group add everybody group:developers",
        "key create agent:coder",
    ] {
        ctl(&world, line);
    }
    world
}

#[test]
fn users_agents_and_groups_come_and_go() {
    let world = organisation();
    let alice = ctl(&world, "user show alice");
    assert_eq!(alice["groups"], json!(["developers", "everybody"]));
    assert_eq!(alice["agents"], json!(["coder"]));
    let agents = ctl(&world, "agent list")["agents"].clone();
    assert_eq!(
        (&agents[0]["isolated"], &agents[0]["owner"]),
        (&json!(true), &json!("alice"))
    );
    let members = || ctl(&world, "group show developers")["members"].clone();
    assert_eq!(members(), json!(["agent:coder", "user:alice"]));
    ctl(&world, "user delete alice");
    assert_eq!(ctl(&world, "agent list")["agents"], json!([]));
    assert_eq!(ctl(&world, "key list")["keys"], json!([]));
    assert_eq!(members(), json!([]));
    let again = ctl(&world, "user create alice");
    assert_ne!(again["id"], alice["id"]);
    assert_ne!(again["uid"], alice["uid"]);
    assert_eq!(ctl(&world, "user show alice")["groups"], json!([]));
    world.kill();
    world.restart();
    assert_eq!(ctl(&world, "user show alice")["id"], again["id"]);
    world.is_sound();
}

#[test]
fn the_log_says_whom_a_change_was_about() {
    let world = organisation();
    ctl(&world, "user delete alice");
    let log = world.log(&[]);
    let last = log.iter().rfind(|r| r["kind"] == "user-delete").unwrap();
    assert_eq!(last["subject"], "user:alice");
    let said = world.nexus(&["log"]).must();
    let line = said.lines().find(|l| l.contains("user-delete")).unwrap();
    assert!(line.contains("user:alice"), "{line}");
}

#[test]
fn what_may_not_be_is_refused_with_its_exit_code() {
    let world = organisation();
    let done = || {
        let kept = world.log(&[]).into_iter();
        kept.filter(|r| r["kind"] != "refused").count()
    };
    let before = done();
    for (wrong, exit) in [
        ("user create alice", 1),
        ("user create default", 1),
        ("user create a:b", 1),
        ("agent create coder --owner bob", 1),
        ("group add developers alice", 1),
        ("group add none alice", 2),
        ("group remove everybody alice", 2),
        ("user delete carol", 2),
        ("key revoke 1", 2),
        // Whoever acts as an agent is no administrator.
        ("--agent any user create eve", 3),
        ("--agent any group add everybody bob", 3),
        ("--agent any key create alice", 3),
        // And nobody acts as another's.
        ("--agent coder user list", 3),
    ] {
        let said = world.ctl_said(&wrong.split(' ').collect::<Vec<_>>());
        assert_eq!(said.status.code(), Some(exit), "{wrong}: {said:?}");
    }
    assert_eq!(done(), before);
}

fn writes(dir: &Path, name: &str) -> bool {
    fs::write(dir.join("workspace").join(name), "x").is_ok()
}

/// semantics.md §2: "and is nobody from the next system call on"
#[test]
fn a_mount_is_nobodys_once_its_user_or_agent_is_gone() {
    let world = World::new();
    let (hers, agents) = (world.host("hers"), world.host("agents"));
    world.ctl(&["user", "create", "alice"]);
    world.ctl(&["agent", "create", "coder", "--owner", "alice"]);
    let mount = |dir: &Path, options: &[&str]| {
        let options = [
            &["mount", dir.to_str().unwrap(), "--user", "alice"],
            options,
        ]
        .concat();
        world.nexus(&options)
    };
    mount(&hers, &[]).must();
    mount(&agents, &["--agent", "coder"]).must();
    assert!(writes(&hers, "a") && writes(&agents, "b"));
    world.ctl(&["agent", "delete", "coder"]);
    assert!(writes(&hers, "c") && !writes(&agents, "d"));
    world.ctl(&["agent", "create", "coder", "--owner", "alice"]);
    assert!(!writes(&agents, "e"), "another agent has the name");
    let refused = mount(&agents, &["--agent", "coder"]).must_fail();
    assert!(refused.contains("mounted already"), "{refused}");
    // A daemon that starts again knows for whom it made its mounts.
    world.kill();
    world.restart();
    assert!(writes(&hers, "f") && !writes(&agents, "g"));
    world.ctl(&["user", "delete", "alice"]);
    assert!(!writes(&hers, "h") && fs::read(hers.join("workspace/f")).is_err());
    world.ctl(&["user", "create", "alice"]);
    assert!(!writes(&hers, "i"));
    assert!(writes(world.root(), "j"), "everybody else goes on");
    world.is_sound();
}

#[test]
fn nobody_mounts_as_an_agent_of_another() {
    let world = World::new();
    let dir = world.host("other");
    for user in ["alice", "bob"] {
        world.ctl(&["user", "create", user]);
    }
    world.ctl(&["agent", "create", "coder", "--owner", "alice"]);
    let mount = |user: &str| {
        let dir = dir.to_str().unwrap();
        world.nexus(&["mount", dir, "--user", user, "--agent", "coder"])
    };
    let refused = mount("bob").must_fail();
    assert!(refused.contains("coder"), "{refused}");
    mount("alice").must();
    assert!(writes(&dir, "f"));
}

#[test]
fn a_mount_is_for_an_agent_and_a_session_whose_names_are_on_one_line() {
    let world = World::new();
    let dir = world.host("other");
    for label in ["--agent", "--session"] {
        let refused = world.nexus(&["mount", dir.to_str().unwrap(), label, "a\nb"]);
        let refused = refused.must_fail();
        assert!(refused.contains("printable"), "{refused}");
    }
}

#[test]
fn a_deleted_user_of_a_multi_user_mount_may_do_nothing_from_then_on() {
    if !needs_root() {
        return;
    }
    let world = World::many_users();
    world.ctl(&["user", "create", "anna", "--uid", "21001"]);
    let as_anna = |does: &str| {
        let text = format!("setpriv --reuid 21001 --regid 21001 --clear-groups {does}");
        run(&mut script(&world.path("t"), &text))
    };
    as_anna("touch a").must();
    as_anna("cat a").must();
    // A process that the mount remembers is forgotten, too.
    let text = "exec setpriv --reuid 21001 --regid 21001 --clear-groups bash -c 'echo > l; echo went; read -r; echo > m'";
    let mut lasting = script(&world.path("t"), text);
    let mut lasting = lasting
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(lasting.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "went\n");
    world.ctl(&["user", "delete", "anna"]);
    lasting.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert!(!lasting.wait().unwrap().success());
    as_anna("touch b").must_fail();
    as_anna("cat a").must_fail();
    world.ctl(&["user", "create", "anna", "--uid", "21001"]);
    as_anna("touch c").must();
    assert_eq!(sh(&world.path("t"), "ls | tr '\\n' ' '"), "a c l ");
}
