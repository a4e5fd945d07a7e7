//! The log from outside: what is found, added up and followed.

use crate::shell::sh;
use crate::world::{World, json_lines};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

fn ops(records: &[Value]) -> Vec<u64> {
    records.iter().map(|r| r["op"].as_u64().unwrap()).collect()
}

/// A world where a session of an agent's did something among other things.
fn busy() -> World {
    let world = World::new();
    sh(&world.workspace(), "mkdir a b; echo 1 > a/f; echo 2 > b/g");
    let script = format!(
        "cd {}; echo 3 > a/h; mv a/h b/h; rm b/g",
        world.workspace().display()
    );
    let agent = ["run", "--agent", "fixer", "--session", "s1", "--"];
    let run = [&agent[..], &["sh", "-c", &script]].concat();
    world.nexus(&run).must();
    fs::write(world.path("b/last"), "x").unwrap();
    world
}

/// Who reads the log believes what stands in it.
#[test]
fn a_name_cannot_pass_for_a_line_of_the_log() {
    let world = World::new();
    let forged = "f\n      1  2026-11-22 07:53:38  unlink  x  alice  rm[1]\u{1b}[A";
    fs::create_dir(world.path(forged)).unwrap();
    let told = world.nexus(&["log", "--kind", "mkdir"]).must();
    let lines: Vec<_> = told.lines().filter(|l| l.contains("07:53:38")).collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(
        lines[0].contains("/workspace/f\\n") && !told.contains('\u{1b}'),
        "{told}"
    );
}

#[test]
fn operations_are_found_by_whatever_is_known_of_them() {
    let world = busy();
    let all = world.log(&[]);
    let is = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        move |r: &&Value| r[&key] == *value
    };
    let among = |fits: &dyn Fn(&&Value) -> bool| {
        let found: Vec<Value> = all.iter().filter(|r| fits(r)).cloned().collect();
        assert!(!found.is_empty() && found.len() < all.len());
        found
    };
    let below = |dir: &'static str| {
        move |r: &&Value| {
            let under = |path: &Value| {
                let path = path.as_str().unwrap_or_default();
                path == dir || path.starts_with(&format!("{dir}/"))
            };
            under(&r["path"]) || under(&r["path2"])
        }
    };
    let of_fixer = among(&is("agent", "fixer"));
    assert_eq!(world.log(&["--agent", "fixer"]), of_fixer);
    assert_eq!(world.log(&["--session", "s1"]), of_fixer);
    assert_eq!(world.log(&["--command", "mv"]), among(&is("command", "mv")));
    assert_eq!(world.log(&["--kind", "mkdir"]), among(&is("kind", "mkdir")));
    assert_eq!(world.log(&["/workspace/b"]), among(&below("/workspace/b")));
    let both = world.log(&["/workspace/a", "--session", "s1", "--kind", "rename,unlink"]);
    assert_eq!(both.len(), 1);
    let (first, last) = (ops(&of_fixer)[0], *ops(&of_fixer).last().unwrap());
    let range = format!("{first}..{last}");
    assert_eq!(world.log(&["--op", &range]), of_fixer);
    let since = format!("op:{first}");
    let times = [
        "--since",
        &since,
        "--until",
        of_fixer.last().unwrap()["time"].as_str().unwrap(),
    ];
    assert_eq!(world.log(&times), of_fixer);
    assert_eq!(world.log(&["--since", "1h-ago"]).len(), all.len());
    assert_eq!(world.log(&["--until", "1h-ago"]).len(), 0);
    let by_upstream = ["ops", "log", "--json", "--session", "s1"];
    assert_eq!(
        world.nexus(&by_upstream).must().lines().count(),
        of_fixer.len()
    );
    let wrong = world.nexus(&["log", "--kind", "wrote"]).must_fail();
    assert!(wrong.contains("wrote"), "{wrong}");
}

#[test]
fn a_session_is_added_up() {
    let world = busy();
    let said = world.nexus(&["log", "--session", "s1", "--summary", "--json"]);
    let sum: Value = serde_json::from_str(&said.must()).unwrap();
    let of_s1 = world.log(&["--session", "s1"]);
    assert_eq!(sum["operations"], of_s1.len());
    assert_eq!(sum["first"]["op"], of_s1[0]["op"]);
    assert_eq!(sum["last"]["time"], of_s1.last().unwrap()["time"]);
    assert_eq!(sum["authors"][0]["of"]["agent"], "fixer");
    let counted = |list: &str, of: &str| {
        let found = sum[list].as_array().unwrap().iter().find(|c| c["of"] == of);
        found.map(|c| c["operations"].as_u64().unwrap())
    };
    assert_eq!(counted("kinds", "rename"), Some(1));
    assert_eq!(counted("commands", "rm"), Some(1));
    assert_eq!(counted("directories", "/workspace/b"), Some(1));
    let text = world.nexus(&["log", "--session", "s1", "--summary"]).must();
    assert!(text.contains("+fixer in s1"), "{text}");
}

#[test]
fn a_receipt_is_kept_and_held_against_the_store_later() {
    let world = busy();
    let receipt = world.ctl(&["log", "head"]);
    let newest = world.log(&[]).pop().unwrap();
    assert_eq!(
        (&receipt["op"], &receipt["time"]),
        (&newest["op"], &newest["time"])
    );
    let kept = world.host("kept").join("receipts");
    fs::write(&kept, format!("{receipt}\n")).unwrap();
    let verify = ["verify", "--from", kept.to_str().unwrap()];
    fs::write(world.path("later"), "x").unwrap();
    world.kill();
    world.restart();
    assert_eq!(world.ctl(&verify)["clean"], true);
    let mut other = receipt.clone();
    other["op"] = (newest["op"].as_u64().unwrap() + 1000).into();
    fs::write(&kept, format!("{receipt}\n{other}\n")).unwrap();
    let said = world.ctl_said(&verify);
    assert!(!said.ok() && said.out.contains("were cut off"), "{said:?}");
    fs::write(&kept, "").unwrap();
    assert!(
        world
            .ctl_said(&verify)
            .must_fail()
            .contains("nexusctl log head")
    );
}

/// Waits until a descriptor can be read.
fn is_ready(file: &fs::File, patience: Duration) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    let patience = patience.try_into().unwrap();
    poll(&mut polled, Some(&patience)).unwrap() == 1
}

#[test]
fn events_are_lines_that_poll_waits_for() {
    let world = World::new();
    fs::write(world.path("before"), "x").unwrap();
    let mut events = fs::File::open(world.root().join(".nexus/events")).unwrap();
    let mut bytes = vec![0; 1 << 16];
    assert_eq!(
        events.read(&mut bytes).unwrap(),
        0,
        "nothing has happened since"
    );
    assert!(!is_ready(&events, Duration::from_millis(50)));
    let mut seen = Vec::new();
    for n in 0..20 {
        let name = format!("f{n}");
        let (path, host) = (world.path(&name), world.workspace());
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            fs::write(path, "x").unwrap();
        });
        assert!(is_ready(&events, Duration::from_secs(10)), "{host:?}");
        writer.join().unwrap();
        while is_ready(&events, Duration::ZERO) {
            let len = events.read(&mut bytes).unwrap();
            seen.extend_from_slice(&bytes[..len]);
        }
    }
    let lines = json_lines(std::str::from_utf8(&seen).unwrap());
    let log = world.log(&["/workspace"]);
    let after = log.iter().position(|r| r["op"] == lines[0]["op"]).unwrap();
    assert_eq!(lines, log[after..], "no line is missing, none comes twice");
    assert!(lines.iter().all(|line| line["path"] != "/workspace/before"));
    // Small pieces of a line are pieces of the same line.
    fs::write(world.path("last"), "x").unwrap();
    let (mut piece, mut line) = ([0; 7], Vec::new());
    while !line.ends_with(b"\n") {
        let len = events.read(&mut piece).unwrap();
        line.extend_from_slice(&piece[..len]);
    }
    let line = json_lines(std::str::from_utf8(&line).unwrap());
    assert_eq!(line[0]["path"], "/workspace/last");
}

#[test]
fn tail_follows_the_events() {
    let world = World::new();
    let mut tail = Command::new("tail");
    tail.args(["-f", "-s", "0.05"])
        .arg(world.root().join(".nexus/events"));
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap());
    // When it has opened the file is not known from outside.
    let written = (0..).map(|n| {
        fs::write(world.path(format!("f{n}")), "x").unwrap();
        std::thread::sleep(Duration::from_millis(20));
    });
    let mut line = String::new();
    std::thread::scope(|s| {
        let reading = s.spawn(|| lines.read_line(&mut line).unwrap());
        written
            .take_while(|()| !reading.is_finished())
            .for_each(drop);
    });
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert_eq!(json_lines(&line)[0]["kind"], "create");
}

#[test]
fn a_watch_goes_on_where_it_was() {
    let world = busy();
    let all = world.log(&[]);
    let from = all[all.len() / 2]["op"].as_u64().unwrap();
    let mut watch = world.command(&["watch", "--json", "--from", &from.to_string()]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || json_lines(&lines.next().unwrap().unwrap()).pop().unwrap();
    for record in &all[all.len() / 2 + 1..] {
        assert_eq!(next(), *record);
    }
    fs::write(world.path("new"), "x").unwrap();
    assert_eq!(next()["path"], "/workspace/new");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let refused = world.nexus(&["watch", "--from", "x"]).must_fail();
    assert!(refused.contains("--from"), "{refused}");
}

/// What is told while nobody reads waits in the log, not in memory.
#[test]
fn who_reads_late_what_he_follows_misses_nothing() {
    let world = World::new();
    let from = ops(&world.log(&[])).pop().unwrap();
    let mut watch = world.command(&["watch", "--json", "--from", &from.to_string()]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || json_lines(&lines.next().unwrap().unwrap()).pop().unwrap();
    // It follows: what comes now is told as it comes, until pipe and socket are full.
    fs::write(world.path("first"), "x").unwrap();
    let mut told = vec![next()["op"].as_u64().unwrap()];
    sh(
        &world.workspace(),
        "for i in $(seq 3000); do : > f$i; done; mkdir last",
    );
    while told.len() < 4000 {
        let record = next();
        told.push(record["op"].as_u64().unwrap());
        if record["kind"] == "mkdir" {
            break;
        }
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    let all: Vec<_> = (from + 1..).take(told.len()).collect();
    assert_eq!(told, all);
}
