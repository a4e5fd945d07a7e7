//! SIGKILL of the daemon at random points, while several processes write and one undoes and forgets.
//!
//! Each writer names an operation on a pipe once the system call that completes it has returned: from then on it
//! must never be lost. `NEXUS_CRASH_ROUNDS` says how often the daemon is killed (20).

use crate::dice::{Dice, setting};
use crate::historian::Historian;
use crate::shell::{script, wait};
use crate::world::{World, end};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};

const WRITERS: usize = 3;

/// Writes, renames, removes and appends until the mount fails; acknowledges `path size checksum` (or `path -`) after
/// each close, rename or unlink. A file's next state is announced before (`?`): a crash may or may not keep it.
const WRITER: &str = r##"
import hashlib, os, random, sys
base, seed = sys.argv[1], int(sys.argv[2])
dice = random.Random(seed)
def say(mark, name, content):
    what = "-" if content is None else f"{len(content)} {hashlib.sha256(content).hexdigest()}"
    os.write(1, f"{mark} {name} {what}\n".encode())
def change(old, call, **new):
    for name, content in new.items():
        say("?", name, content)
    call()
    for name, content in new.items():
        say("=", name, content)
        files.pop(name, None)
        if content is not None:
            files[name] = content
def put(name, content, flags, sync):
    f = os.open(os.path.join(base, name), os.O_WRONLY | os.O_CREAT | flags, 0o644)
    view = memoryview(content)
    while view:
        view = view[os.write(f, view[:131072]):]
    if sync:
        os.fsync(f)
    os.close(f)
files, n = {}, 0
try:
    os.makedirs(base, exist_ok=True)
    for name in os.listdir(base):
        files[name] = open(os.path.join(base, name), "rb").read()
    while True:
        n += 1
        kind = dice.randrange(10)
        name = f"f{dice.randrange(40)}"
        size = dice.choice([0, 10, 4096, 70000, 70000, 1500000])
        if kind < 5 or not files:
            content = dice.randbytes(size)
            change(name, lambda: put(name, content, os.O_TRUNC, dice.random() < 0.2), **{name: content})
        elif kind < 7:
            name = dice.choice(sorted(files))
            more = dice.randbytes(min(size, 70000))
            change(name, lambda: put(name, more, os.O_APPEND, False), **{name: files[name] + more})
        elif kind < 9:
            old = dice.choice(sorted(files))
            if old != name:
                call = lambda: os.rename(os.path.join(base, old), os.path.join(base, name))
                change(old, call, **{name: files[old], old: None})
        else:
            name = dice.choice(sorted(files))
            change(name, lambda: os.unlink(os.path.join(base, name)), **{name: None})
except OSError as e:
    os.write(1, f"# {e}\n".encode())
"##;

/// A file's content as a writer told it: absent, or size and checksum.
type Content = Option<(u64, String)>;

/// What must be there, and what may be there instead: the change under way when the daemon died.
#[derive(Default)]
struct Expected {
    certain: BTreeMap<String, Content>,
    pending: BTreeMap<String, Vec<Content>>,
}

impl Expected {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [mark, name, rest @ ..] = &words[..] else {
            return;
        };
        let content = match rest {
            [size, sum] => Some((size.parse().unwrap(), (*sum).to_owned())),
            _ => None,
        };
        match *mark {
            "?" => self
                .pending
                .entry((*name).to_owned())
                .or_default()
                .push(content),
            "=" => {
                self.pending.remove(*name);
                self.certain.insert((*name).to_owned(), content);
            }
            _ => {}
        }
    }

    /// Compares with the directory, and takes what is found as certain from here on.
    fn check(&mut self, world: &World, base: &str) {
        let names: Vec<String> = self
            .certain
            .keys()
            .chain(self.pending.keys())
            .cloned()
            .collect();
        for name in names {
            let found = content(world, &format!("{base}/{name}"));
            let mut allowed = self.pending.remove(&name).unwrap_or_default();
            // A create and its data are two operations; so are a truncation at open and the data.
            let under_way = !allowed.is_empty();
            allowed.push(self.certain.get(&name).cloned().flatten());
            let emptied = under_way && found.as_ref().is_some_and(|(size, _)| *size == 0);
            assert!(
                allowed.contains(&found) || emptied,
                "{base}/{name} is {found:?}, acknowledged was {allowed:?}"
            );
            self.certain.insert(name, found);
        }
        let known = self.certain.iter().filter(|(_, c)| c.is_some()).count();
        let listed = fs::read_dir(world.path(base)).map_or(0, Iterator::count);
        assert_eq!(listed, known, "names in {base} that nobody acknowledged");
    }
}

fn content(world: &World, path: &str) -> Content {
    let path = world.path(path);
    let size = fs::metadata(&path).ok()?.size();
    let said = run_sum(&path);
    Some((size, said))
}

fn run_sum(path: &std::path::Path) -> String {
    let out = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.trim_start_matches('\\')[..64].to_owned()
}

fn writer(world: &World, base: &str, seed: u64) -> Child {
    Command::new("python3")
        .args(["-I", "-c", WRITER, base, &seed.to_string()])
        .current_dir(world.workspace())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs the writers, kills the daemon after a random number of acknowledgements, and collects what was said.
fn round(world: &World, dice: &mut Dice, expected: &mut [Expected], past: &mut Historian) {
    let daemon = world.daemon();
    let mut children: Vec<Child> = (0..WRITERS)
        .map(|n| writer(world, &format!("w{n}"), dice.next()))
        .collect();
    let mut historian = past.start(world);
    let told = historian.stdout.take().unwrap();
    let outs: Vec<_> = children
        .iter_mut()
        .map(|c| c.stdout.take().unwrap())
        .collect();
    let (heard, count) = std::sync::mpsc::channel();
    let until = dice.below(150);
    std::thread::scope(|scope| {
        for (out, expected) in outs.into_iter().zip(expected.iter_mut()) {
            let heard = heard.clone();
            scope.spawn(move || {
                for line in BufReader::new(out).lines() {
                    expected.hear(&line.unwrap());
                    // The counter may have heard enough and gone.
                    heard.send(()).ok();
                }
            });
        }
        drop(heard);
        scope.spawn(move || {
            for line in BufReader::new(told).lines() {
                past.hear(&line.unwrap());
            }
        });
        let acknowledged = count.iter().take(usize::try_from(until).unwrap()).count();
        println!("killed after {acknowledged} lines");
        end(daemon);
    });
    for child in children.iter_mut().chain([&mut historian]) {
        assert!(wait(child).is_some(), "a writer hangs on a dead mount");
    }
}

#[test]
fn what_was_closed_survives_the_death_of_the_daemon() {
    // semantics.md §5: "When `close(2)` or an API call has returned, SIGKILL of the daemon loses nothing of it."
    // semantics.md §5: "After any crash the tree is exactly the state after some operation N in the log. Recovery is automatic."
    let mut dice = Dice::new("crash");
    let world = World::new();
    let mut expected: Vec<Expected> = (0..WRITERS).map(|_| Expected::default()).collect();
    let mut past = Historian::default();
    for n in 0..setting("NEXUS_CRASH_ROUNDS").unwrap_or(20) {
        print!("round {n}: ");
        round(&world, &mut dice, &mut expected, &mut past);
        world.restart();
        world.is_sound();
        past.check(&world);
        for (n, expected) in expected.iter_mut().enumerate() {
            expected.check(&world, &format!("w{n}"));
        }
    }
    let work = fs::read_dir(world.data().join("work")).unwrap().count();
    assert!(
        work < 20,
        "work files of dead daemons are cleared: {work} left"
    );
}

#[test]
fn what_the_api_wrote_survives_the_death_of_the_daemon() {
    let world = World::new();
    for n in 0..10 {
        let text = format!("text {n}");
        world.nexus(&["write", "/workspace/api", &text]).must();
        world.kill();
        world.restart();
        assert_eq!(world.nexus(&["cat", "/workspace/api"]).must(), text);
    }
    world.is_sound();
}

#[test]
fn the_log_has_no_gap_after_crashes() {
    let world = World::new();
    for n in 0..5 {
        fs::write(world.path(format!("f{n}")), "x").unwrap();
        world.kill();
        world.restart();
    }
    let log = world.log(&[]);
    let ops: Vec<u64> = log.iter().map(|r| r["op"].as_u64().unwrap()).collect();
    assert!(ops.windows(2).all(|w| w[1] == w[0] + 1), "{ops:?}");
    let made = |n: i32| {
        log.iter()
            .any(|r: &Value| r["path"] == format!("/workspace/f{n}"))
    };
    assert!((0..5).all(made));
}

#[test]
fn a_supervised_mount_comes_back_by_itself() {
    let world = World::with(&["--supervise"]);
    fs::write(world.path("f"), "before").unwrap();
    let first = world.daemon();
    end(first);
    // The mount point answers again: the kernel says ENOTCONN (or shows the empty directory below) until then.
    let bound = "for i in $(seq 600); do cat mount/workspace/f 2>/dev/null && exit 0; sleep 0.1; done; exit 1";
    let place = world.root().parent().unwrap().to_owned();
    let said = crate::shell::run(&mut script(&place, bound)).must();
    assert_eq!(said, "before");
    assert_ne!(world.daemon(), first);
    fs::write(world.path("f"), "after").unwrap();
    world.is_sound();
    world.shutdown();
}
