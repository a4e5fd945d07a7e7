//! What `nexus run` of who is no root leaves of lists and groups: its user namespace knows nobody else.

use crate::guests::{ALICE, BOB, said, town};
use crate::shell::{Said, run};
use crate::world::World;
use std::process::Command;

const CARL: u32 = 2004;

/// A directory of alice's in what all of the tenant share; files in it belong to the tenant's group, in which carl is.
fn shared() -> Option<World> {
    let world = town()?;
    world.ctl(&["user", "create", "carl", "--uid", &CARL.to_string()]);
    world.ctl(&["group", "create", "developers"]);
    for user in ["alice", "bob"] {
        world.ctl(&["group", "add", "developers", user]);
    }
    there(&world, ALICE, "mkdir -p d").must();
    Some(world)
}

fn there(world: &World, uid: u32, text: &str) -> Said {
    let dir = world.root().join("shared");
    said(
        world,
        uid,
        &format!("cd {}; cd d 2>/dev/null || true; {text}", dir.display()),
    )
}

/// A command of alice's in a session, which must say nothing of errors.
#[track_caller]
fn session(world: &World, script: &str) -> String {
    let said = there(
        world,
        ALICE,
        &format!("nexus run --session s -- bash -ec '{script}'"),
    );
    assert!(said.ok() && said.err.is_empty(), "{}{}", said.out, said.err);
    said.out
}

#[track_caller]
fn opens(world: &World, uid: u32, file: &str, is_open: bool) {
    let tried = there(world, uid, &format!(": >> {file}"));
    assert_eq!(tried.ok(), is_open, "{uid} {file}: {}", tried.err);
}

#[test]
fn a_save_by_rename_in_a_session_keeps_the_list_and_gives_nobody_more() {
    let Some(world) = shared() else { return };
    let alice = |text: &str| there(&world, ALICE, text).must();
    alice("echo 1 > f; chmod 640 f; setfacl -m u:2002:rw f");
    let list = "nexus getfacl f; getfacl -pn f; stat -c %a:%g f";
    let before = alice(list);
    let same = || {
        assert_eq!(alice(list), before);
        opens(&world, BOB, "f", true);
        opens(&world, CARL, "f", false);
    };
    same();
    session(&world, "sed -i s/1/2/ f");
    assert_eq!(alice("cat f"), "2\n");
    same();
    // What it is shown is what the owning group has, and no list.
    let seen = session(
        &world,
        "stat -c %a f; getfacl -cp f; cp -p f g; rsync -a f h; cp -a f i",
    );
    assert!(
        seen.starts_with("640\nuser::rw-\ngroup::r--\nother::---"),
        "{seen}"
    );
    for copy in ["g", "h", "i"] {
        assert_eq!(alice(&format!("stat -c %a {copy}")), "640\n");
        opens(&world, CARL, copy, false);
        opens(&world, BOB, copy, false);
    }
    // Of the past, too.
    session(&world, "cp -p .at/now/f j; chmod u+x f");
    opens(&world, CARL, "j", false);
    opens(&world, BOB, "f", true);
    there(&world, ALICE, "nexus undo --session s --yes").must();
    assert_eq!(alice("cat f"), "1\n");
    same();
    world.is_sound();
}

#[test]
fn a_group_that_a_session_cannot_name_is_kept_and_no_other_gets_its_rights() {
    let Some(world) = shared() else { return };
    let alice = |text: &str| there(&world, ALICE, text).must();
    alice("echo 1 > f; nexus chgrp developers f; chmod 660 f");
    let before = alice("stat -c %g:%a f");
    assert_eq!(
        session(
            &world,
            "stat -c %a f; sed -i s/1/2/ f; cp -p f g; rsync -a f h"
        ),
        "600\n"
    );
    assert_eq!(alice("stat -c %g:%a f; cat f"), format!("{before}2\n"));
    opens(&world, BOB, "f", true);
    for file in ["f", "g", "h"] {
        opens(&world, CARL, file, false);
        there(&world, CARL, &format!("cat {file}")).must_fail();
    }
    session(&world, "chmod u+x f");
    assert!(alice("stat -c %a f").starts_with("760"));
    alice("nexus undo --session s --yes");
    assert_eq!(alice("stat -c %g:%a f; cat f"), format!("{before}1\n"));
    world.is_sound();
}

#[test]
fn a_mode_set_in_a_session_is_the_owning_groups_and_what_it_takes_is_gone() {
    let Some(world) = shared() else { return };
    let alice = |text: &str| there(&world, ALICE, text).must();
    alice("echo 1 > f; chmod 600 f; setfacl -m u:2002:r f");
    // The same again, as tools do after a save in place.
    session(&world, "stat -c %a f; chmod 600 f");
    there(&world, BOB, "cat f").must();
    session(&world, "chmod g+w f; stat -c %a f");
    opens(&world, CARL, "f", true);
    opens(&world, BOB, "f", false);
    there(&world, BOB, "cat f").must();
    session(&world, "chmod 600 f");
    there(&world, BOB, "cat f").must_fail();
    opens(&world, CARL, "f", false);
    alice("getfacl -cp f | grep -q 2002 || nexus getfacl f | grep -q bob");
    let refused = there(
        &world,
        ALICE,
        "nexus run --session s -- setfacl -m u:2001:r f",
    )
    .must_fail();
    assert!(refused.contains("not supported"), "{refused}");
    world.is_sound();
}

#[test]
fn what_is_no_newer_state_of_a_file_takes_nothing_over() {
    let Some(world) = shared() else { return };
    let alice = |text: &str| there(&world, ALICE, text).must();
    let listed = "umask 077; echo 1 > f; setfacl -m u:2002:rw f";
    // A new file whose mode nobody copied, an old one, and one of another mode.
    for (before, save) in [
        ("true", "umask 077; echo secret > t; mv t f"),
        ("umask 077; echo secret > t", "chmod 600 t; mv t f"),
        ("true", "echo secret > t; chmod 400 t; mv t f"),
        (
            "mkdir -p other",
            "echo secret > other/t; chmod 600 other/t; mv other/t f",
        ),
    ] {
        alice(&format!("rm -f f; {listed}; {before}"));
        there(&world, BOB, "cat f").must();
        session(&world, save);
        assert_eq!(alice("cat f"), "secret\n");
        there(&world, BOB, "cat f").must_fail();
    }
    // In a directory that hands a list on, neither does who is in that get what he had not.
    alice("rm -f f; umask 077; echo 1 > f; setfacl -d -m u:2002:rw .");
    session(&world, "sed -i s/1/2/ f");
    there(&world, BOB, "cat f").must_fail();
    session(&world, "umask 0; echo 1 > n; chmod 600 n");
    there(&world, BOB, "cat n").must_fail();
    world.is_sound();
}

/// A user's own group is that of his processes, which need not have his number.
#[test]
fn what_is_made_in_a_session_and_by_commands_has_the_group_that_it_has_outside() {
    let Some(world) = shared() else { return };
    let (dir, bin) = (world.workspace(), world.host("bin"));
    let alice = |text: &str| {
        let text = format!(
            "cd {}; PATH={}:$PATH; umask 027; {text}",
            dir.display(),
            bin.display()
        );
        let mut shell = Command::new("setpriv");
        shell.args(["--reuid", &ALICE.to_string(), "--regid", "4711"]);
        shell.args(["--clear-groups", "bash", "-ec", &text]);
        run(shell
            .env_remove("NEXUS_DATA_DIR")
            .env_remove("XDG_DATA_HOME"))
        .must()
    };
    alice(
        "echo 1 > outside; nexus mkdir command; echo 1 | nexus write written; nexus run --session s -- sh -c 'echo 1 > inside; mkdir in'",
    );
    let made = "outside command written inside in";
    let (uid, all) = (ALICE, format!("stat -c %u:%g {made}"));
    assert_eq!(alice(&all), format!("{uid}:4711\n").repeat(5));
    assert_eq!(
        alice(&format!("nexus run --session s -- {all}")),
        format!("{uid}:4711\n").repeat(5)
    );
    assert_eq!(
        alice(
            "nexus run --session s -- sh -c 'stat -c %a outside; chmod 600 outside'; stat -c %a outside"
        ),
        "640\n600\n"
    );
    world.is_sound();
}
