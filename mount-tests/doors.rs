//! One store behind every door: what one shows, the others show at once.

use crate::shell::{run, script, sh};
use crate::world::{NEXUS, World, all_read_only, detach, json_lines, needs_root};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Works through every file command; gives what they printed.
fn file_commands(world: &World) -> Vec<String> {
    let run = |arguments: &[&str]| world.nexus(arguments).must();
    let mut said = vec![run(&["mkdir", "--parents", "/workspace/a/b"])];
    said.push(run(&["write", "/workspace/a/one", "first text"]));
    let mut input = world.command(&["write", "/workspace/a/b/two"]);
    let mut writer = input.stdin(Stdio::piped()).spawn().unwrap();
    writer
        .stdin
        .take()
        .unwrap()
        .write_all(&vec![b'z'; 3 << 20])
        .unwrap();
    assert!(writer.wait().unwrap().success());
    for arguments in [
        &["cat", "/workspace/a/one"][..],
        &["cp", "/workspace/a/one", "/workspace/a/copy"],
        &["cp", "--recursive", "/workspace/a", "/workspace/c"],
        &["mv", "/workspace/a/copy", "/workspace/a/moved"],
        &["rm", "/workspace/a/moved"],
        &["rm", "--recursive", "/workspace/c/b"],
        &["ls", "/workspace/a"],
        &["ls", "/workspace/c"],
        &["tree", "/workspace"],
        &["cat", "/workspace/c/copy"],
    ] {
        said.push(run(arguments));
    }
    let two = run(&["cat", "/workspace/a/b/two"]);
    assert!(two.len() == 3 << 20 && two.bytes().all(|b| b == b'z'));
    said
}

#[test]
fn file_commands_do_the_same_embedded_and_through_the_daemon() {
    let (embedded, served) = (World::unmounted(&[]), World::new());
    embedded.nexus(&["init"]).must();
    let (alone, through) = (file_commands(&embedded), file_commands(&served));
    assert_eq!(alone, through);
    assert!(alone.iter().any(|said| said.contains("first text")));
    assert!(
        !embedded.data().join("control.sock").exists(),
        "no daemon was started"
    );
    let listed = sh(&served.workspace(), "find . | LC_ALL=C sort | tr '\\n' ' '");
    assert_eq!(
        listed,
        ". ./a ./a/b ./a/b/two ./a/one ./c ./c/copy ./c/one "
    );
    // What was written without a daemon is there for one.
    embedded.start();
    assert_eq!(fs::read(embedded.path("a/one")).unwrap(), b"first text");
    embedded.is_sound();
}

#[test]
fn a_refused_upload_says_why_however_much_was_still_to_come() {
    let world = World::new();
    // What stands in no buffer: the client is in the midst of sending when it is refused.
    let long = fs::File::create(world.host("input").join("long")).unwrap();
    long.set_len(48 << 20).unwrap();
    for _ in 0..5 {
        let mut upload = world.command(&["write", "/workspace/none/f"]);
        upload.stdin(fs::File::open(world.host("input").join("long")).unwrap());
        let said = run(&mut upload).must_fail();
        assert!(said.contains("/workspace/none/f"), "{said}");
        assert!(!said.contains("broke"), "{said}");
    }
    // Directories come with a file that is whole, and not with one that was refused.
    let mut refused = world.command(&["write", "--parents", "/archives/a/b"]);
    refused.stdin(fs::File::open(world.host("input").join("long")).unwrap());
    let said = run(&mut refused).must_fail();
    assert!(said.contains("read-only"), "{said}");
    world
        .nexus(&["write", "--parents", "/workspace/p/q/r", "text"])
        .must();
    assert_eq!(fs::read(world.path("p/q/r")).unwrap(), b"text");
}

/// The superuser puts something right, and goes.
#[test]
fn what_root_makes_in_somebody_elses_store_is_that_ones() {
    if !needs_root() {
        return;
    }
    let world = World::unmounted(&[]);
    world.nexus(&["init"]).must();
    let (data, uid) = (world.data().to_str().unwrap().to_owned(), 64_321);
    run(Command::new("chown").args(["-R", &format!("{uid}:{uid}"), &data])).must();
    let input = world.host("input").join("long");
    for n in 0..3 {
        // Too large for the database, and in a directory of the store that may be new.
        fs::write(&input, vec![n; 300_000]).unwrap();
        let mut upload = world.command(&["write", &format!("/workspace/{n}")]);
        upload.stdin(fs::File::open(&input).unwrap());
        run(&mut upload).must();
    }
    let strange = [
        "!",
        "-uid",
        &uid.to_string(),
        "-o",
        "!",
        "-gid",
        &uid.to_string(),
    ];
    let left = run(Command::new("find").arg(&data).args(strange)).must();
    assert_eq!(left, "");
    // So whoever it belongs to goes on.
    let mut own = world.command(&["--json", "write", "/workspace/0", "text"]);
    own.uid(uid).gid(uid);
    run(&mut own).must();
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let world = World::new();
    let code = |arguments: &[&str]| world.nexus(arguments).status.code();
    assert_eq!(code(&["cat", "/workspace/none"]), Some(2));
    assert_eq!(code(&["ls", "/none"]), Some(2));
    assert_eq!(code(&["write", "/archives/x", "y"]), Some(1));
    assert_eq!(code(&["mkdir", "/workspace/d"]), Some(0));
    assert_eq!(code(&["mkdir", "/workspace/d"]), Some(1));
    let said = world.nexus(&["cat", "/workspace/none"]);
    assert!(
        said.err.starts_with("nexus: ") && said.err.contains("none"),
        "{said:?}"
    );
}

#[test]
fn a_change_through_one_door_is_seen_through_the_others_at_once() {
    let world = World::new();
    // semantics.md §5: "When a system call or API call has returned, everybody sees its effect, through every door."
    for n in 0..30 {
        let name = format!("/workspace/f{}", n % 3);
        let text = format!("text {n}");
        world.nexus(&["write", &name, &text]).must();
        let path = world.root().join(&name[1..]);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(&path, format!("mount {n}")).unwrap();
        assert_eq!(world.nexus(&["cat", &name]).must(), format!("mount {n}"));
        if n % 5 == 4 {
            world.nexus(&["rm", &name]).must();
            assert!(!path.exists());
            fs::write(&path, "again").unwrap();
            assert_eq!(world.nexus(&["cat", &name]).must(), "again");
        }
    }
    world.nexus(&["mkdir", "/workspace/d"]).must();
    assert!(world.path("d").is_dir());
    world.nexus(&["mv", "/workspace/d", "/workspace/e"]).must();
    assert!(world.path("e").is_dir() && !world.path("d").exists());
}

#[test]
fn two_mounts_of_one_daemon_see_each_others_changes_at_once() {
    let world = World::new();
    let other = world.host("other");
    let daemon = world.daemon();
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    assert_eq!(world.daemon(), daemon, "the second mount joined");
    for n in 0..49 {
        let (here, there) = if n % 2 == 0 {
            (world.root(), &*other)
        } else {
            (&*other, world.root())
        };
        let (here, there) = (here.join("workspace/f"), there.join("workspace/f"));
        fs::write(&here, format!("{n}")).unwrap();
        assert_eq!(fs::read_to_string(&there).unwrap(), format!("{n}"));
        assert_eq!(
            fs::metadata(&there).unwrap().len(),
            fs::metadata(&here).unwrap().len()
        );
        if n % 7 == 0 {
            fs::remove_file(&here).unwrap();
            assert!(!there.exists());
        }
    }
    assert_eq!(world.mounts(), 2);
    world.nexus(&["unmount", other.to_str().unwrap()]).must();
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(world.path("f")).unwrap(), "48");
}

/// semantics.md §6: "One write session of a file is one version"
#[test]
fn taking_a_mount_away_ends_no_session_on_another() {
    let world = World::new();
    let other = world.host("other");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    fs::write(world.path("f"), "before").unwrap();
    // A process of its own: what is open here would be closed once in every command that is started.
    let session = "import os, sys; f = os.open('f', os.O_WRONLY); os.write(f, b'half'); print(flush=True); \
                  sys.stdin.readline(); os.write(f, b' and half')";
    let mut writer = Command::new("python3")
        .args(["-c", session])
        .current_dir(world.workspace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let out = writer.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut ready).unwrap();
    let said = world.nexus(&["umount", other.to_str().unwrap()]).must();
    assert!(said.contains("nothing was pending"), "{said}");
    writer.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(writer.wait().unwrap().success());
    let versions = world.log(&["--kind", "write"]);
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(
        fs::read_to_string(world.path("f")).unwrap(),
        "half and half"
    );
}

/// The kernel keeps lists of names; so it has to hear of those that it was never asked for.
#[test]
fn a_directory_listed_before_shows_what_other_doors_did_to_it() {
    let world = World::new();
    let other = world.host("other");
    world.nexus(&["mount", other.to_str().unwrap()]).must();
    let names = |top: &std::path::Path| {
        let list = fs::read_dir(top.join("workspace")).unwrap();
        let mut names: Vec<_> = list.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    for n in 0..20 {
        let tops = [world.root(), &*other];
        let (here, there) = (tops[n % 2], tops[1 - n % 2]);
        let before = names(there);
        assert_eq!(names(here), before);
        match n % 4 {
            0 => fs::write(here.join(format!("workspace/f{n}")), "").unwrap(),
            1 => drop(fs::create_dir(here.join(format!("workspace/d{n}")))),
            2 => {
                let new = format!("/workspace/new{n}");
                world.nexus(&["write", &new, "x"]).must();
            }
            _ => {
                let from = here.join("workspace").join(&before[n % before.len()]);
                fs::rename(from, here.join(format!("workspace/moved{n}"))).unwrap();
            }
        }
        let after = names(there);
        assert_ne!(after, before, "step {n}");
        assert_eq!(names(here), after, "step {n}");
    }
}

#[test]
fn tenants_never_see_each_other() {
    let world = World::new();
    let other = world.host("other");
    world.ctl(&["tenant", "create", "acme"]);
    world
        .nexus(&["mount", other.to_str().unwrap(), "--tenant", "acme"])
        .must();
    fs::write(world.path("ours"), "default").unwrap();
    fs::write(other.join("workspace/theirs"), "acme").unwrap();
    assert!(!world.path("theirs").exists() && !other.join("workspace/ours").exists());
    let names = |dir| {
        fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(world.workspace()), ["ours"]);
    assert_eq!(names(other.join("workspace")), ["theirs"]);
    assert_eq!(names(other.join("shared")).len(), 0);
    assert_eq!(
        world.nexus(&["cat", "/workspace/theirs"]).status.code(),
        Some(2)
    );
    let logged = |log: &[Value]| log.iter().any(|r| r["path"] == "/workspace/theirs");
    assert!(!logged(&world.log(&[])));
    let inside = fs::read_to_string(other.join(".nexus/log")).unwrap();
    assert!(logged(&json_lines(&inside)) && !inside.contains("ours"));
    detach(&other);
}

#[test]
fn the_log_names_the_process_that_made_each_change() {
    let world = World::new();
    sh(
        &world.workspace(),
        "echo one > f; sed -i s/one/two/ f; git init -q r; cp f g; rm g; mkdir d; mv f d/; ln d/f h",
    );
    // semantics.md §6: "Every change by any process through any door is one operation with tenant, user, agent, session, uid, pid, command, time and path."
    let log = world.log(&[]);
    let by = |command: &str, path: &str| {
        log.iter()
            .any(|r| r["command"] == command && r["path"].as_str().unwrap().starts_with(path))
    };
    for (command, path) in [
        ("bash", "/workspace/f"),
        ("sed", "/workspace/"),
        ("git", "/workspace/r/.git"),
        ("cp", "/workspace/g"),
        ("rm", "/workspace/g"),
        ("mkdir", "/workspace/d"),
        ("mv", "/workspace/f"),
        ("ln", "/workspace/"),
    ] {
        assert!(by(command, path), "{command} {path}: {log:#?}");
    }
    let keys = "op time kind path tenant user agent session uid pid command";
    for record in &log {
        for key in keys.split(' ') {
            assert!(record.get(key).is_some(), "{key} is missing: {record}");
        }
    }
    let last = log.last().unwrap();
    assert_eq!(last["tenant"], "default");
    assert_eq!(last["uid"], rustix::process::geteuid().as_raw());
    assert!(last["pid"].as_u64() > Some(1));
    let time: jiff::Timestamp = last["time"].as_str().unwrap().parse().unwrap();
    assert!(time > "2020-01-01T00:00:00Z".parse().unwrap());
}

#[test]
fn the_log_of_a_path_holds_its_changes_and_no_others() {
    let world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    fs::write(world.path("b"), "1").unwrap();
    fs::write(world.path("a"), "2").unwrap();
    let paths = |log: Vec<Value>| {
        log.iter()
            .map(|r| r["path"].to_string())
            .collect::<Vec<_>>()
    };
    let of_a = paths(world.log(&["/workspace/a"]));
    assert!(
        of_a.len() >= 2 && of_a.iter().all(|p| p == "\"/workspace/a\""),
        "{of_a:?}"
    );
}

#[test]
fn the_log_can_be_followed() {
    let world = World::new();
    let mut follow = world.command(&["log", "--follow", "--json", "/workspace/watched"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    fs::write(world.path("watched"), "x").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(json_lines(&line)[0]["path"], "/workspace/watched");
}

#[test]
fn facts_are_files_in_the_mount() {
    let world = World::with(&["--agent", "helper", "--session", "s1"]);
    fs::write(world.path("f"), "x").unwrap();
    let fact = |name: &str| fs::read_to_string(world.root().join(".nexus").join(name)).unwrap();
    let me: Value = serde_json::from_str(&fact("whoami")).unwrap();
    assert_eq!(
        (&me["tenant"], &me["agent"], &me["session"]),
        (&"default".into(), &"helper".into(), &"s1".into())
    );
    assert!(
        serde_json::from_str::<Value>(&fact("stats"))
            .unwrap()
            .is_object()
    );
    assert!(fact("version").contains(env!("CARGO_PKG_VERSION")));
    let last = json_lines(&fact("log"))
        .into_iter()
        .rfind(|r| r["path"] == "/workspace/f");
    assert_eq!(last.unwrap()["agent"], "helper");
    let socket = fs::read_link(world.root().join(".nexus/control.sock")).unwrap();
    assert_eq!(socket, world.data().join("control.sock"));
    let listed = sh(world.root(), "ls -a");
    assert!(
        !listed.contains(".nexus"),
        "hidden but resolvable: {listed}"
    );
}

#[test]
fn curl_reaches_the_control_socket() {
    let world = World::new();
    let text = "curl -fsS --unix-socket .nexus/control.sock -X POST http://nexus/daemon/status";
    let status: Value = serde_json::from_str(&sh(world.root(), text)).unwrap();
    assert_eq!(status["pid"], world.daemon().as_raw_nonzero().get());
    let missing = "curl -sS -o /dev/null -w '%{http_code}' --unix-socket .nexus/control.sock http://nexus/files/workspace/none";
    assert_eq!(sh(world.root(), missing), "404");
}

#[test]
fn a_closed_pipe_ends_the_log_quietly() {
    let world = World::new();
    // More than a pipe takes at once.
    sh(&world.workspace(), "touch $(seq 3000)");
    let data = world.data().display();
    let text = format!("set +o pipefail; {NEXUS} log --limit 3000 --data-dir {data} | head -n 1");
    let said = run(&mut script(world.root(), &text));
    assert!(said.ok() && said.err.is_empty(), "{said:?}");
}

#[test]
fn help_and_version_need_no_store() {
    for binary in [NEXUS, crate::world::NEXUSCTL] {
        for word in ["--help", "--version"] {
            let said = run(Command::new(binary).arg(word).env_remove("HOME"));
            assert!(!said.must().is_empty());
        }
    }
    let man = tempfile::tempdir().unwrap();
    run(Command::new(NEXUS).arg("man").arg(man.path())).must();
    assert!(fs::read_dir(man.path()).unwrap().count() > 5);
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            !run(Command::new(NEXUS).args(["completions", shell]))
                .must()
                .is_empty()
        );
    }
}

#[test]
fn a_read_only_mount_refuses_every_change_with_erofs() {
    let world = World::new();
    fs::write(world.path("f"), "kept").unwrap();
    fs::create_dir(world.path("d")).unwrap();
    let other = world.host("other");
    world
        .nexus(&["mount", other.to_str().unwrap(), "--read-only"])
        .must();
    let (f, d, new) = (
        other.join("workspace/f"),
        other.join("workspace/d"),
        other.join("workspace/new"),
    );
    let mode = fs::Permissions::from_mode(0o600);
    let refused = [
        fs::write(&new, "x"),
        fs::write(&f, "x"),
        fs::OpenOptions::new().append(true).open(&f).map(drop),
        fs::create_dir(&new),
        fs::remove_file(&f),
        fs::remove_dir(&d),
        fs::rename(&f, &new),
        fs::hard_link(&f, &new),
        std::os::unix::fs::symlink("f", &new),
        fs::set_permissions(&f, mode),
        fs::File::open(&f).and_then(|file| file.set_modified(std::time::UNIX_EPOCH)),
    ];
    all_read_only(refused);
    assert_eq!(fs::read(&f).unwrap(), b"kept");
    fs::write(world.path("f"), "the other mount still writes").unwrap();
    world.is_sound();
}
