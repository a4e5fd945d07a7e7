//! Sharing, as the collaboration tutorial tells it: grants said at the command line, and held by a mount of several users.

mod admin;
mod grants;
mod own_types;
mod groups;
mod links;
mod lists;
mod model;
mod moves;
mod random;
mod undone;
mod words;

use crate::shell::{Said, run};
use crate::world::{NEXUS, World, needs_root};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

/// `no COMMAND…` in a script ends it unless the command fails; `! COMMAND` would not.
const NO: &str = r#"no() { if "$@"; then echo "succeeded: $*" >&2; exit 9; fi; }"#;

const ALICE: u32 = 21_001;
const BOB: u32 = 21_002;
const CAROL: u32 = 21_003;

/// A multi-user mount, three users who may ask the daemon, and a project of alice's.
fn village() -> Option<World> {
    if !needs_root() {
        return None;
    }
    let world = World::with(&["--identity", "os", "--allow-other"]);
    for (name, uid) in [("alice", ALICE), ("bob", BOB), ("carol", CAROL)] {
        world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
    }
    world.install(NEXUS);
    fs::set_permissions(world.workspace(), Permissions::from_mode(0o777)).unwrap();
    said(
        &world,
        ALICE,
        "umask 077; mkdir -p project/deep; echo plan > project/plan; echo x > project/deep/f",
    )
    .must();
    Some(world)
}

fn as_user(world: &World, uid: u32, text: &str) -> Command {
    let mut command = Command::new("setpriv");
    let id = uid.to_string();
    let text = format!("PATH={}:$PATH; {NO}; {text}", world.host("bin").display());
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command
        .args(["bash", "-ec", &text])
        .env("NEXUS_DATA_DIR", world.data());
    command.current_dir(world.workspace());
    command
}

/// Runs a script as a user, in the workspace; it may say `nexus`.
fn said(world: &World, uid: u32, text: &str) -> Said {
    run(as_user(world, uid, text).stdin(Stdio::null()))
}

/// What a user sees, on a line.
#[track_caller]
fn sees(world: &World, uid: u32, dir: &str) -> String {
    let listed = said(world, uid, &format!("ls {dir}")).must();
    listed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs `nexus --json` as the administrator.
#[track_caller]
fn ask(world: &World, line: &str) -> Value {
    let words = [&["--json"], &*line.split(' ').collect::<Vec<_>>()].concat();
    serde_json::from_str(&world.nexus(&words).must()).unwrap()
}

#[track_caller]
fn exits(world: &World, line: &str, code: i32) {
    let said = world.nexus(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(said.status.code(), Some(code), "{line}: {said:?}");
}
