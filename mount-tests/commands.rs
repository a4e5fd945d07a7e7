//! What the programs take and print.

use crate::shell::run;
use crate::world::World;
use std::fs;

#[test]
fn a_unit_is_a_text_of_lines() {
    let world = World::unmounted(&[]);
    let unit = world.nexus(&["service", "/mnt/a b"]).must();
    let starts = |line: &&str| line.starts_with("ExecStart=");
    let start = unit.lines().find(starts).expect(&unit);
    assert!(start.contains(" mount \"/mnt/a b\" --data-dir "), "{start}");
    assert!(unit.lines().any(|line| line == "[Install]"), "{unit}");
}

#[test]
fn a_list_is_set_and_shown_by_whichever_path_leads_there() {
    let world = World::new();
    world.ctl(&["user", "create", "bob"]);
    fs::write(world.path("f"), "x").unwrap();
    let full = world.path("f");
    let set = ["setfacl", "user:bob:r--", full.to_str().unwrap()];
    world.nexus(&set).must();
    let mut relative = world.command(&["getfacl", "f"]);
    let shown = run(relative.current_dir(world.workspace())).must();
    assert!(shown.contains("user:bob:r--"), "{shown}");
    assert!(shown.contains("# file: f\n"), "{shown}");
}
