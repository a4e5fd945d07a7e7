//! What was taken back is gone at the next system call, whatever the kernel remembers of it.

mod hammered;
mod listed;

use crate::shell::{NOT, Said, python, run, sh};
use crate::world::{World, needs_root};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const ANNA: u32 = 21_001;
pub(crate) const BERT: u32 = 21_002;

/// What opens `t/vault` to bert and closes it again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gate {
    /// A grant.
    Grant,
    /// He comes into the group that the directory's mode speaks of.
    Group,
    /// The modes let everybody in.
    Mode,
    /// A grant above the directory, which a boundary ends.
    Restrict,
    /// A grant on the directory, against which a list denies him.
    Deny,
}

impl Gate {
    /// In this order: each is closed while the ones before are, and the last two leave something closed behind.
    pub(crate) const ALL: [Self; 5] = [
        Self::Grant,
        Self::Group,
        Self::Mode,
        Self::Restrict,
        Self::Deny,
    ];

    #[track_caller]
    pub(crate) fn set(self, world: &World, open: bool) {
        const VAULT: &str = "/workspace/t/vault";
        let say = |line: &str| world.nexus(&line.split(' ').collect::<Vec<_>>());
        let grant = |verb, on| {
            say(&format!(
                "rebac {verb} user bert file {on} --relation can_read"
            ))
            .must()
        };
        match (self, open) {
            (Self::Grant, true) => drop(grant("grant", VAULT)),
            (Self::Grant, false) => drop(grant("revoke", VAULT)),
            (Self::Group, true) => drop(world.ctl(&["group", "add", "team", "bert"])),
            (Self::Group, false) => drop(world.ctl(&["group", "remove", "team", "bert"])),
            (Self::Mode, true) => {
                say(&format!("chmod 0644 {VAULT}/f {VAULT}/sub/g")).must();
                say(&format!("chmod 0755 {VAULT}/sub {VAULT}")).must();
            }
            (Self::Mode, false) => drop(say(&format!("chmod 0750 {VAULT}")).must()),
            (Self::Restrict, true) => {
                grant("grant", "/workspace/t");
                say(&format!("rebac unrestrict {VAULT}")).must();
            }
            (Self::Restrict, false) => drop(say(&format!("rebac restrict {VAULT}")).must()),
            (Self::Deny, true) => {
                grant("grant", VAULT);
                // The first time there is none.
                say(&format!("setfacl deny:user:bert:--- {VAULT} --remove"));
            }
            (Self::Deny, false) => {
                say(&format!("setfacl deny:user:bert:--- {VAULT}")).must();
            }
        }
    }
}

/// Anna is in the team that may read the vault; bert is not.
pub(crate) fn village() -> Option<World> {
    village_in(World::unmounted(&[]))
}

fn village_in(world: World) -> Option<World> {
    if !needs_root() {
        return None;
    }
    let world = world.for_many_users();
    for (name, uid) in [("anna", ANNA), ("bert", BERT)] {
        world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
    }
    world.ctl(&["group", "create", "team"]);
    world.ctl(&["group", "add", "team", "anna"]);
    let id = world.ctl(&["group", "show", "team"])["id"]
        .as_u64()
        .unwrap();
    let gid = u32::try_from((1 << 30) + id).unwrap();
    let vault = world.path("t/vault");
    fs::create_dir_all(vault.join("sub")).unwrap();
    for file in ["f", "sub/g"] {
        fs::write(vault.join(file), "secret").unwrap();
    }
    for at in ["", "sub", "f", "sub/g"] {
        chown(vault.join(at), None, Some(gid)).unwrap();
    }
    sh(&vault, "chmod 750 . sub; chmod 640 f sub/g");
    Some(world)
}

pub(crate) fn setpriv(uid: u32, program: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    let id = uid.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command.args(program).stdin(Stdio::null());
    command
}

pub(crate) fn as_user(uid: u32, dir: &Path, text: &str) -> Said {
    run(setpriv(uid, &["bash", "-ec", &format!("{NOT}{text}")]).current_dir(dir))
}

/// A mount of bert's own.
fn berts(world: &World) -> PathBuf {
    let mount = world.host("berts");
    let at = mount.to_str().unwrap();
    world.nexus(&["mount", at, "--user", "bert"]).must();
    mount
}

#[test]
fn what_one_user_has_walked_opens_nothing_to_the_next() {
    let Some(world) = village() else { return };
    let t = world.path("t");
    let looks = "stat vault/f; cat vault/f; stat vault/sub/g; ls vault vault/sub; ls -l vault/sub; test -r vault/sub/g";
    for gate in Gate::ALL {
        for _ in 0..2 {
            as_user(ANNA, &t, looks).must();
            for look in looks.split("; ") {
                as_user(BERT, &t, look).must_fail();
            }
        }
        // Nor does what he was told is not there hide it from her, or from him once he may.
        as_user(BERT, &t, "stat vault/new").must_fail();
        sh(
            &t,
            "umask 022; echo secret > vault/new; chmod 644 vault/new",
        );
        as_user(ANNA, &t, "cat vault/new").must();
        gate.set(&world, true);
        as_user(BERT, &t, looks).must();
        as_user(BERT, &t, "cat vault/new; ls vault | grep -q new").must();
        gate.set(&world, false);
        as_user(BERT, &t, "cat vault/new").must_fail();
        sh(&t, "rm vault/new");
    }
}

/// semantics.md §4: "What `open(2)` granted holds for the open file, until who opened it is deleted."
#[test]
fn what_is_open_stays_open_and_nothing_else_does() {
    let Some(world) = village() else { return };
    for gate in Gate::ALL {
        gate.set(&world, true);
        let text = "cd vault; exec 3<f; echo open; read -r; cat <&3; not cat f; not stat f; not ls; not cat sub/g; not cd sub; not truncate -s 0 f";
        let mut command = setpriv(BERT, &["bash", "-ec", &format!("{NOT}{text}")]);
        command
            .current_dir(world.path("t"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut lasting = command.spawn().unwrap();
        let mut out = BufReader::new(lasting.stdout.take().unwrap());
        let mut said = String::new();
        out.read_line(&mut said).unwrap();
        gate.set(&world, false);
        lasting.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        let ended = lasting.wait_with_output().unwrap();
        out.read_line(&mut said).unwrap();
        assert!(
            ended.status.success(),
            "{said} {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        assert_eq!(said, "open\nsecret");
    }
}

/// A kernel that serves one user remembers more, and forgets it all the same.
#[test]
fn a_mount_of_one_user_forgets_what_he_may_no_more() {
    let Some(world) = village() else { return };
    let t = berts(&world).join("workspace/t");
    let looks = "import os; os.stat('vault/f'); os.listdir('vault'); open('vault/sub/g').read(); os.listdir('vault/sub')";
    let refused = "import os\nfor call in [lambda: os.stat('vault/f'), lambda: os.listdir('vault'), lambda: open('vault/sub/g'), lambda: os.stat('vault/sub')]:\n  \
                   try: call()\n  except OSError: continue\n  raise SystemExit('went')";
    for gate in Gate::ALL {
        for _ in 0..5 {
            python(&t, refused);
            gate.set(&world, true);
            python(&t, looks);
            gate.set(&world, false);
        }
        python(&t, refused);
    }
}

/// A path that leads through a directory that was closed leads nowhere, though somebody else has its end open.
#[test]
fn truncate_takes_the_way_to_a_file() {
    let Some(world) = village() else { return };
    let t = world.path("t");
    sh(&t, "mkdir -m 755 d; echo secret > d/f; chmod 666 d/f");
    as_user(BERT, &t, "stat d/f").must();
    let held = File::open(t.join("d/f")).unwrap();
    sh(&t, "chmod 700 d");
    as_user(BERT, &t, "truncate -s 0 d/f").must_fail();
    assert_eq!(held.metadata().unwrap().len(), 7);
}

/// What was moved into a directory is as closed as that is, though it was walked where it was before.
#[test]
fn what_is_moved_into_a_private_directory_is_private() {
    let Some(world) = village() else { return };
    let t = world.path("t");
    sh(
        &t,
        "mkdir -m 755 d; echo secret > d/f; chmod 644 d/f; mkdir -m 700 p",
    );
    as_user(BERT, &t, "stat d/f").must();
    sh(&t, "mv d p/d");
    for look in [
        "stat p/d/f",
        "stat p/d",
        "cat p/d/f",
        "ls p/d",
        "cd p/d",
        "test -r p/d/f",
    ] {
        as_user(BERT, &t, look).must_fail();
    }
    sh(&t, "cat p/d/f; mv p/d e");
    as_user(BERT, &t, "cat e/f").must();
}

/// What is made in a private directory is found by its owner alone, also by a kernel that has just been told of it.
#[test]
fn what_is_made_in_a_private_directory_is_private() {
    let Some(world) = village() else { return };
    let t = world.path("t");
    as_user(ANNA, &t, "umask 077; mkdir p").must();
    for made in [
        "echo > p/f",
        "mkdir p/f",
        "ln -s g p/f",
        "mkfifo p/f",
        "echo > p/g; ln p/g p/f",
        "echo > p/g; mv p/g p/f",
    ] {
        as_user(ANNA, &t, &format!("umask 077; {made}")).must();
        as_user(BERT, &t, "stat p/f").must_fail();
        as_user(ANNA, &t, "rm -r p/*").must();
    }
}
