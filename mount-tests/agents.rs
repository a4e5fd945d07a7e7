//! `nexus run`: what a process tree does is its agent's, and what the agent may not do it cannot.

use crate::shell::{Said, run, sh, wait};
use crate::world::{World, end, is_root, needs_root};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

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
fn whoever_asks_for_the_store_in_a_session_is_told_that_it_is_hidden() {
    let world = World::new();
    let other = world.host("other");
    let other = other.to_str().unwrap();
    let nexus = |words: &str| format!("'{}' {words}", crate::world::NEXUS);
    let ctl = |words: &str| format!("'{}' {words}", crate::world::NEXUSCTL);
    for command in [
        nexus("status"),
        nexus(&format!("mount {other}")),
        nexus(&format!("umount {other}")),
        nexus("undo --last --yes"),
        nexus("run --session s2 -- true"),
        nexus("doctor"),
        ctl("user create zed"),
        ctl("mounts"),
        ctl("shutdown"),
    ] {
        let inside = ["run", "--session", "s1", "--", "sh", "-c", &command];
        let said = run(world.command(&inside).current_dir(world.workspace()));
        let told = said.must_fail();
        assert!(
            told.contains("hides the store") && told.contains("outside"),
            "{command}: {told}"
        );
    }
    // A name for the log hides nothing.
    let named = ["--session", "s1", "status"];
    world.nexus(&named).must();
    let empty = world.host("empty");
    let mut fresh = world.command(&["init"]);
    fresh
        .env("NEXUS_SESSION", "s1")
        .env("NEXUS_DATA_DIR", empty);
    run(&mut fresh).must();
    let log = world.nexus(&["log"]).must();
    assert!(!log.contains("@s1"), "{log}");
    let touch = ["run", "--session", "s1", "--", "touch", "it"];
    run(world.command(&touch).current_dir(world.workspace())).must();
    let log = world.nexus(&["log", "--kind", "create"]).must();
    assert!(log.contains("@s1  touch["), "{log}");
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
    let refused = run("cat @/open/f").must_fail();
    assert!(refused.contains("cat: "), "{refused}");
    run("echo x > @/new").must_fail();
    let words = "rebac grant agent guest file /workspace/open --relation can_read";
    world.nexus(&words.split(' ').collect::<Vec<_>>()).must();
    assert_eq!(run("cat @/open/f").must(), "yes\n");
    run("cat @/secret/f").must_fail();
    assert!(
        world
            .nexus(&["run", "--", "true"])
            .must_fail()
            .contains("--agent")
    );
    assert_eq!(fs::read_to_string(world.path("secret/f")).unwrap(), "no\n");
}

/// A command of the owner's, from a directory.
fn from_dir(world: &World, dir: &Path, words: &[&str]) -> Said {
    run(world.command(words).current_dir(dir))
}

#[test]
fn whose_work_it_is_is_decided_by_the_mount_it_starts_on() {
    let world = World::unmounted(&[]);
    world.nexus(&["init"]).must();
    world.ctl(&["user", "create", "bob"]);
    world.ctl(&["user", "create", "carol"]);
    world.ctl(&["agent", "create", "mine"]);
    // Sorts before the owner's mount, and after it.
    let (bobs, carols) = (world.host("a-bob"), world.host("z-carol"));
    let mount = |dir: &Path, words: &[&str]| {
        let all = [&["mount", dir.to_str().unwrap()], words].concat();
        world.nexus(&all).must();
    };
    mount(&bobs, &["--user", "bob", "--read-only"]);
    mount(&carols, &["--user", "carol"]);
    let touch = |dir: &Path, agent: &str, name: &str| {
        let words = ["run", "--agent", agent, "--", "touch", name];
        from_dir(&world, dir, &words)
    };
    let lost = touch(Path::new("/"), "label", "/none").must_fail();
    assert!(lost.contains("(bob)") && lost.contains("(carol)"), "{lost}");
    touch(&carols.join("workspace"), "label", "by-carol").must();
    let refused = touch(&bobs.join("workspace"), "label", "by-bob").must_fail();
    assert!(refused.contains("Read-only"), "{refused}");
    // An administrator starts anybody's agent: it acts for its owner, wherever it starts.
    world.start();
    let own = world.path("by-mine");
    touch(Path::new("/"), "mine", own.to_str().unwrap()).must();
    touch(&carols.join("workspace"), "mine", "by-mine-too").must();
    let log = world.log(&["--kind", "create"]);
    let by = |name: &str| {
        let path = format!("/workspace/{name}");
        let found = log.iter().find(|r| r["path"] == path.as_str());
        found.unwrap_or_else(|| panic!("{name}: {log:#?}"))["user"].clone()
    };
    assert_eq!(by("by-carol"), "carol");
    assert_eq!(by("by-mine"), by("by-mine-too"));
    assert!(by("by-mine") != "carol" && by("by-mine") != "bob");
}

#[test]
fn the_recipe_for_an_agent_of_somebody_else_works() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -p project/src; echo no > project/plan",
    );
    world.ctl(&["user", "create", "alice"]);
    world.ctl(&["agent", "create", "coder", "--owner", "alice", "--isolated"]);
    let grant = "rebac grant agent coder file /workspace/project/src --relation can_write";
    world.nexus(&grant.split(' ').collect::<Vec<_>>()).must();
    let src = world.path("project/src");
    let script = format!("cd {}; echo made > it; cat ../plan", src.display());
    let run = ["run", "--agent", "coder", "--", "sh", "-c", &script];
    let refused = from_dir(&world, Path::new("/"), &run).must_fail();
    assert!(refused.contains("../plan"), "{refused}");
    assert_eq!(fs::read_to_string(src.join("it")).unwrap(), "made\n");
    let log = world.log(&["--agent", "coder"]);
    assert!(!log.is_empty() && log.iter().all(|r| r["user"] == "alice"));
}

#[test]
fn a_name_of_no_agent_is_told_to_be_a_label() {
    let world = World::new();
    world.ctl(&["agent", "create", "coder"]);
    let told = |agent: &str| world.nexus(&["run", "--agent", agent, "--", "true"]).err;
    let label = told("codr");
    assert!(label.contains("no agent \"codr\"") && label.contains("confines nothing"));
    assert_eq!(told("coder"), "");
}

#[test]
fn a_name_of_no_agent_is_told_by_mounts_and_by_commands_as_well() {
    let world = World::new();
    world.ctl(&["agent", "create", "coder"]);
    for (agent, is_told) in [("codr", true), ("coder", false)] {
        let dir = world.host("host").join(agent);
        fs::create_dir(&dir).unwrap();
        let dir = dir.to_str().unwrap();
        let line = format!("nexus: no agent {agent:?}: a label in the log, confines nothing\n");
        let expected = if is_told { &*line } else { "" };
        for command in [
            &["mount", dir, "--agent", agent][..],
            &["--agent", agent, "ls", "/workspace"],
        ] {
            let said = world.nexus(command);
            assert_eq!(said.err, expected, "{command:?}");
            said.must();
        }
        let said = world.ctl_said(&["--agent", agent, "agent", "list"]);
        assert_eq!(said.err, expected);
        world.nexus(&["umount", dir]).must();
    }
}

/// Starts a command as an agent, in a process group of its own, and waits until it says something.
fn started(world: &World, command: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
    let all = [&["run", "--agent", "fixer", "--"], command].concat();
    let mut nexus = world.command(&all);
    nexus.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = nexus.process_group(0).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    (child, out, line.trim().to_owned())
}

const CATCHES: &str = "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: print('caught', flush=True))\n\
                       print('ready', flush=True)\nsys.stdin.readline()\nsys.exit(5)";

#[test]
fn what_the_terminal_sends_is_the_commands_to_answer() {
    let world = World::new();
    let (mut nexus, mut out, _) = started(&world, &["python3", "-c", CATCHES]);
    let group = Pid::from_child(&nexus);
    kill_process_group(group, Signal::INT).unwrap();
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "caught\n");
    nexus.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert_eq!(wait(&mut nexus).unwrap().code(), Some(5));
    assert_eq!(world.mounts(), 1);
    // A command that catches nothing is ended, and `nexus run` tells it.
    let (mut nexus, ..) = started(&world, &["sh", "-c", "echo ready; exec sleep 1000"]);
    kill_process_group(Pid::from_child(&nexus), Signal::INT).unwrap();
    assert_eq!(wait(&mut nexus).unwrap().code(), Some(128 + 2));
    assert_eq!(world.mounts(), 1);
}

#[test]
fn signals_to_end_are_passed_on_and_nothing_is_left() {
    let world = World::new();
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1)] {
        let (mut nexus, ..) = started(&world, &["sh", "-c", "echo ready; exec sleep 1000"]);
        kill_process(Pid::from_child(&nexus), signal).unwrap();
        assert_eq!(wait(&mut nexus).unwrap().code(), Some(128 + number));
        assert_eq!(world.mounts(), 1);
    }
    // Killed, it can do nothing; the daemon sees that it has gone.
    let (mut nexus, _, left) = started(&world, &["sh", "-c", "echo $$; exec sleep 1000"]);
    assert_eq!(world.mounts(), 2);
    nexus.kill().unwrap();
    assert_eq!(wait(&mut nexus).unwrap().signal(), Some(9));
    let mut tries = std::iter::repeat_with(|| world.mounts()).take(1000);
    assert!(tries.any(|n| n == 1), "its mount is still there");
    end(Pid::from_raw(left.parse().unwrap()).unwrap());
    let runtime = fs::read_link(world.data().join("runtime")).unwrap();
    let rooms = || fs::read_dir(&runtime).unwrap().count();
    let mut tries = std::iter::repeat_with(rooms).take(1000);
    assert!(tries.any(|n| n == 0), "its mount point is still there");
}

#[test]
fn a_mount_that_was_lent_is_not_made_again() {
    let world = World::new();
    let (mut nexus, _, left) = started(&world, &["sh", "-c", "echo $$; exec sleep 1000"]);
    let runtime = fs::read_link(world.data().join("runtime")).unwrap();
    world.kill();
    world.restart();
    assert_eq!(world.mounts(), 1);
    let log = fs::read_to_string(world.data().join("daemon.log")).unwrap();
    assert!(!log.contains("not mounted again"), "nobody wants it: {log}");
    assert!(
        !runtime.exists(),
        "the killed daemon's dead mount was cleared"
    );
    end(Pid::from_raw(left.parse().unwrap()).unwrap());
    wait(&mut nexus);
}

#[test]
fn root_cannot_undo_its_confinement() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    sh(&world.workspace(), "echo secret > hidden");
    world.ctl(&["agent", "create", "guest", "--isolated"]);
    let (mount, data) = (world.root().display(), world.data().display());
    let tries = format!(
        "cd /; umount -l {mount}; umount -l {data}; mount --bind /proc/1/root /mnt; \
         nsenter -t 1 -m cat {mount}/workspace/hidden; unshare -m umount -l {mount}; \
         unshare -Urm umount -l {mount}; cat {mount}/workspace/hidden; cat /proc/1/root{mount}/workspace/hidden; \
         ls {data}; ls /proc/1/root{data}; echo end"
    );
    let said = world.nexus(&["run", "--agent", "guest", "--", "sh", "-c", &tries]);
    assert_eq!(said.out, "end\n", "{said:?}");
    // What programs of root need is there.
    let dir = world.host("owned");
    let legit = format!(
        "cd /; touch {0}/f; chown 1:1 {0}/f; setpriv --reuid 1 --clear-groups id -u",
        dir.display()
    );
    let said = world.nexus(&["run", "--agent", "guest", "--", "sh", "-c", &legit]);
    assert_eq!(said.must(), "1\n");
    // A label confines nothing: mounting still works.
    let mounts = [
        "run",
        "--session",
        "s1",
        "--",
        "sh",
        "-c",
        "mount -t tmpfs none /mnt",
    ];
    world.nexus(&mounts).must();
}

/// The socket for others would be a way past the agent, as the owner's is.
#[test]
fn no_socket_of_the_daemon_is_open_to_an_agent() {
    if !is_root() {
        return;
    }
    let world = World::with(&["--identity", "os", "--allow-other"]);
    let sockets = [world.socket(), world.data().join("control.sock")];
    for socket in sockets {
        let socket = socket.to_str().unwrap();
        let ask = format!("curl -sS --unix-socket {socket} -X POST http://nexus/daemon/status");
        sh(world.root(), &ask);
        let said = world.nexus(&["run", "--session", "s1", "--", "sh", "-c", &ask]);
        assert!(!said.ok() && said.out.is_empty(), "{said:?}");
    }
    // Nor is another's mount.
    let (mut nexus, ..) = started(&world, &["sh", "-c", "echo ready; read go"]);
    let runtime = fs::read_link(world.data().join("runtime")).unwrap();
    let list = format!("ls {}", runtime.display());
    assert!(sh(world.root(), &list).contains("run-"));
    let said = world.nexus(&["run", "--session", "s1", "--", "sh", "-c", &list]);
    assert_eq!(said.must(), "");
    drop(nexus.stdin.take());
    wait(&mut nexus);
}

/// A directory that its caller had open would lead an agent past its mount, by `/proc/self/fd` without knowing the path.
#[test]
fn what_its_caller_has_open_leads_no_agent_out() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir open secret; echo no > secret/f");
    world.ctl(&["agent", "create", "guest", "--isolated"]);
    let words = "rebac grant agent guest file /workspace/open --relation can_write";
    world.nexus(&words.split(' ').collect::<Vec<_>>()).must();
    let program = world
        .command(&[])
        .get_program()
        .to_str()
        .unwrap()
        .to_owned();
    let run = |redirect: &str, does: &str| {
        let text = format!("cd /; {program} run --agent guest -- sh -c '{does}' {redirect}");
        let mut shell = Command::new("sh");
        world.furnish(shell.args(["-c", &text]).stdin(Stdio::null()));
        run(&mut shell)
    };
    let here = dir.display();
    for (redirect, way) in [
        (format!("5<{here}"), "5/secret/f".to_owned()),
        (format!("5<{here}/open"), "5/../secret/f".to_owned()),
        (format!("5<{here}/secret/f"), "5".to_owned()),
        ("5</".to_owned(), format!("5{here}/secret/f")),
    ] {
        let said = run(&redirect, &format!("cat /proc/self/fd/{way}"));
        assert!(!said.ok() && said.out.is_empty(), "{redirect}: {said:?}");
    }
    let refused = run(&format!("<{here}"), "true").must_fail();
    assert!(
        refused.contains("standard input is a directory"),
        "{refused}"
    );
    // A redirection is its caller's word, and a pipe leads nowhere.
    run(&format!(">{here}/secret/out"), "echo said").must();
    assert_eq!(
        fs::read_to_string(world.path("secret/out")).unwrap(),
        "said\n"
    );
    assert_eq!(run("5<<E\nhanded\nE\n", "cat <&5").must(), "handed\n");
}

/// semantics.md §2: what a grant lets it write it keeps as tools do.
#[test]
fn an_isolated_agent_uses_tools_on_what_it_may_write() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir p; echo one > p/f; chmod 644 p/f");
    world.ctl(&["agent", "create", "guest", "--isolated"]);
    let words = "rebac grant agent guest file /workspace/p --relation can_write";
    world.nexus(&words.split(' ').collect::<Vec<_>>()).must();
    let does = format!(
        "cd {}/p; sed -i s/one/two/ f; stat -c %a f; echo 1 > s; chmod 750 s; touch -d @7 s; cp -p s t; install -m 700 s i; stat -c %a:%Y s t; \
         mkdir -m 700 d; tar cf a.tar s d; mkdir o; tar xf a.tar -C o; stat -c %a:%Y o/s; git init -q r; cd r; git add .",
        dir.display()
    );
    let said = world.nexus(&["run", "--agent", "guest", "--", "sh", "-ec", &does]);
    assert_eq!(said.err, "");
    assert_eq!(said.must(), "644\n750:7\n750:7\n750:7\n");
    // Whom it is open to, its owner says.
    let give = format!("setfacl -m u:65534:r {}/p/s", dir.display());
    let said = world.nexus(&["run", "--agent", "guest", "--", "sh", "-ec", &give]);
    assert!(!said.ok());
    world.is_sound();
}
