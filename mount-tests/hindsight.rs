//! What a kernel keeps of the past it forgets when the present is closed: names, lists, whoever stands in it already.

mod together;

use crate::hammer::{EVERY, HAMMER, Must, Outcome, State, accesses};
use crate::past::head;
use crate::person::BECOMES;
use crate::revoke::{ANNA, BERT, Gate as Right, village};
use crate::shell::{NOT, python, run, script, sh};
use crate::world::{World, needs_root};
use rustix::process::{Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, PipeWriter, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How many processes try.
const WORKERS: u64 = 4;
/// How often it is looked whether something has happened by itself, and with which pause.
const LOOKS: u32 = 12_000;
const PAUSE: Duration = Duration::from_millis(10);

/// What opens the vault as it was to bert, and closes it again.
#[derive(Clone, Copy, Debug)]
enum Gate {
    Right(Right),
    /// The mode that it has today.
    Mode,
    /// It is moved into a directory that is not his.
    Move,
}

impl Gate {
    fn set(self, world: &World, open: bool) {
        let (vault, away) = ("/workspace/t/vault", "/workspace/t/private/vault");
        // By commands: they return when every kernel has forgotten, however busy the machine is.
        let said = match (self, open) {
            (Self::Right(right), open) => return right.set(world, open),
            (Self::Mode, true) => world.nexus(&["chmod", "755", vault]),
            (Self::Mode, false) => world.nexus(&["chmod", "750", vault]),
            (Self::Move, true) => world.nexus(&["mv", away, vault]),
            (Self::Move, false) => world.nexus(&["mv", vault, away]),
        };
        said.must();
    }

    /// What it takes that this gate alone decides.
    fn prepare(self, world: &World) {
        let mode = if matches!(self, Self::Move) { 755 } else { 750 };
        sh(&world.path("t"), &format!("chmod {mode} vault"));
        if matches!(self, Self::Move) {
            self.set(world, false);
        }
    }
}

/// The vault of `revoke.rs` with open doors inside, changed since the operation that is given, on a mount of each user's own.
fn archive() -> Option<(World, u64, [PathBuf; 2])> {
    let world = village()?;
    let t = world.path("t");
    sh(
        &t,
        "mkdir -m 700 private; cd vault; chmod 755 sub; chmod 644 f sub/g; echo -n secret > gone; ln -s f link; chmod 644 gone",
    );
    let op = head(&world);
    sh(
        &t,
        "cd vault; echo changed > f; chmod 644 f; rm gone; mv sub/g sub/h; ln -sf other link",
    );
    let mounts = ["bert", "anna"].map(|user| {
        let mount = world.host(user);
        let at = mount.to_str().unwrap();
        world.nexus(&["mount", at, "--user", user]).must();
        mount
    });
    Some((world, op, mounts))
}

/// Tries one access after the other, by path and from inside. The first byte of the state says what has to come of it.
const TRIES: &str = r#"
import mmap, os, sys, time
state, vault, n, every, always, within = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "always", sys.argv[6] == "within"
state = mmap.mmap(os.open(state, os.O_RDONLY), 16, prot=mmap.PROT_READ)
become(int(sys.argv[7]))
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())
def reads(name):
    fd = os.open(name, os.O_RDONLY)
    try: assert os.read(fd, 9) == b"secret"
    finally: os.close(fd)
def names(path, some):
    assert set(os.listdir(path)) == set(some)
if within:
    # What is in use stays where it is in the kernel, whatever is dropped above it.
    os.chdir(vault)
    sub, held = os.open("sub", os.O_RDONLY), os.open("f", os.O_PATH)
    calls = [lambda: os.stat("g", dir_fd=sub)]
    vault = "."
else:
    calls = [lambda: names(vault, ["f", "gone", "link", "sub"])]
at = lambda name: vault + "/" + name
calls += [
    lambda: os.stat(at("f")), lambda: os.stat(at("sub")), lambda: os.stat(at("sub/g")), lambda: os.stat(at("gone")),
    lambda: reads(at("f")), lambda: reads(at("sub/g")), lambda: reads(at("gone")), lambda: os.lstat(at("link")),
    lambda: os.readlink(at("link")), lambda: names(at("sub"), ["g"]), lambda: os.getxattr(at("f"), "user.nexus.hash"),
    lambda: os.close(os.open(at("sub"), os.O_RDONLY | os.O_DIRECTORY)), lambda: os.scandir(at("sub")).close(),
    lambda: [e.stat() for e in os.scandir(at("sub"))],
]
say("ready")
# Until the first round: whoever is early would be through before the last is there.
late = time.time() + 240
while state[1] == 0:
    assert time.time() < late, "somebody has not begun"
    time.sleep(.001)
def after():
    # Nor is it said later that something is not there because it was not for him.
    try:
        os.stat(at("none"))
        say("wrong", "none")
    except OSError: pass
"#;

struct Hammer<'a> {
    vault: &'a Path,
    /// Whose they are: 0 on a mount of somebody's own.
    uid: u32,
    state: &'a Path,
    says: &'a PipeWriter,
    n: u64,
}

impl Hammer<'_> {
    fn worker(&self, expects: &str, from: &str) -> Child {
        let text = |p: &Path| p.to_str().unwrap().to_owned();
        let mut command = Command::new("python3");
        command.args([
            "-c",
            &format!("{BECOMES}{TRIES}{HAMMER}"),
            &text(self.state),
            &text(self.vault),
        ]);
        command.args([&self.n.to_string(), &EVERY.to_string(), expects, from]);
        command.arg(self.uid.to_string());
        command.stdin(Stdio::null());
        command.stdout(self.says.try_clone().unwrap());
        command.spawn().unwrap()
    }
}

/// Where bert and anna look: each on a mount of his own, or both on that of everybody.
#[derive(Clone, Copy, PartialEq)]
enum On {
    Own,
    Shared,
}

fn hammer(gate: Gate, on: On) {
    let Some((world, op, [bert, anna])) = archive() else {
        return;
    };
    let everybodys = world.root().to_owned();
    let ([bert, anna], uids) = match on {
        On::Own => ([bert, anna], [0, 0]),
        On::Shared => ([everybodys.clone(), everybodys], [BERT, ANNA]),
    };
    gate.prepare(&world);
    let path = world.host("state").join("now");
    let state = State::new(&path);
    let (hears, says) = pipe().unwrap();
    // Who wants to stand in it has to be let in first.
    gate.set(&world, true);
    let n = accesses(WORKERS);
    let then = format!("workspace/t/.at/op:{op}/vault");
    let (to_bert, to_anna) = (bert.join(&then), anna.join(&then));
    let (state_at, says_at) = (&path, &says);
    let of = |vault, uid| Hammer {
        vault,
        uid,
        state: state_at,
        says: says_at,
        n,
    };
    let mut workers = vec![of(&to_bert, uids[0]).worker("once", "outside")];
    workers.extend((0..2).map(|_| of(&to_bert, uids[0]).worker("once", "within")));
    // Who may always: it is somebody else's answer that must not be kept for bert.
    match (gate, on) {
        (Gate::Move, On::Own) => {}
        (Gate::Move, On::Shared) => workers.push(of(&to_anna, 0).worker("always", "within")),
        _ => workers.push(of(&to_anna, uids[1]).worker("always", "within")),
    }
    drop(says);
    let mut lines = BufReader::new(hears).lines().map(Result::unwrap);
    let (mut round, mut open, mut outcome) = (0_u8, true, Outcome::default());
    let (mut ready, mut left) = (0, 0);
    for line in &mut lines {
        let words: Vec<_> = line.split(' ').collect();
        match words[0] {
            "ready" => ready += 1,
            "went" if words[1] == round.to_string() => left -= i64::from(left > 0),
            "went" => {}
            _ => outcome.note(&line),
        }
        if ready == workers.len() && left == 0 && outcome.allowed.is_empty() {
            open = !open;
            round = round.wrapping_add(1);
            state.set(Must::Whatever, round);
            gate.set(&world, open);
            state.set(if open { Must::Go } else { Must::Fail }, round);
            (left, outcome.changes) = (4, outcome.changes + 1);
        }
    }
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    println!("{gate:?}: {outcome:?} of {n} each");
    outcome.must_be_right();
    world.is_sound();
}

#[test]
fn no_look_at_the_past_succeeds_after_a_revoke_has_returned() {
    hammer(Gate::Right(Right::Grant), On::Own);
    hammer(Gate::Right(Right::Grant), On::Shared);
}

#[test]
fn nor_after_somebody_has_left_a_group() {
    hammer(Gate::Right(Right::Group), On::Own);
    hammer(Gate::Right(Right::Group), On::Shared);
}

#[test]
fn nor_after_a_mode_was_narrowed() {
    hammer(Gate::Mode, On::Own);
    hammer(Gate::Mode, On::Shared);
}

#[test]
fn nor_after_what_it_shows_was_moved_away() {
    hammer(Gate::Move, On::Own);
    hammer(Gate::Move, On::Shared);
}

/// One file of many, in a directory that somebody stands in, where something was said about another.
#[test]
fn a_file_that_is_nobodys_any_more_is_not_in_the_past() {
    let Some((world, op, [bert, _])) = archive() else {
        return;
    };
    let t = world.path("t");
    sh(&t, "chmod 755 vault");
    Right::Grant.set(&world, true);
    let text = format!(
        "{NOT}cd workspace/t/.at/op:{op}/vault; exec 3< sub; stat f sub/g > /dev/null; ls; echo; read || true; ls; not stat f; not cat f; stat sub/g > /dev/null; not stat ../vault/f"
    );
    let mut inside = Command::new("bash");
    inside.args(["-ec", &text]).current_dir(&bert);
    inside.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut inside = inside.spawn().unwrap();
    let mut said = BufReader::new(inside.stdout.take().unwrap()).lines();
    let mut list = || {
        let lines = said.by_ref().map(Result::unwrap);
        lines.take_while(|l| !l.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(list(), ["f", "gone", "link", "sub"]);
    Right::Grant.set(&world, false);
    sh(&t, "setfacl -m u:21002:--- vault/f");
    drop(inside.stdin.take());
    assert_eq!(list(), ["gone", "link", "sub"]);
    assert!(inside.wait().unwrap().success());
}

/// Whether the kernel asks for names again when it is told to (FUSE_NOTIFY_INC_EPOCH).
fn forgets_names() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(16))
}

#[test]
fn what_was_looked_at_is_looked_at_again_without_asking() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir -p d/sub; touch d/f d/sub/g; ln -s f d/link");
    let made = ["snapshot", "create", "then", "/workspace"];
    world.nexus(&made).must();
    // A moment has one directory, which is where it was found last: this is another one.
    sh(&dir, "touch d/other");
    let op = head(&world);
    sh(&dir, "rm d/f");
    let looks = format!(
        "import os
for at in ['.at/op:{op}/d/', 'd/.at/op:{op}/', '.at/then/d/']:
    at = '{}/' + at
    for name in ['f', 'sub', 'sub/g']: os.stat(at + name)
    os.readlink(at + 'link')
    assert not os.path.exists(at + 'none')",
        dir.display()
    );
    let outside = world.host("outside");
    python(&outside, &looks);
    let daemon = world.daemon();
    let forgets = forgets_names();
    if forgets {
        // Who asks it now waits.
        kill_process(daemon, Signal::STOP).unwrap();
    } else {
        println!(
            "skipped in part: this kernel cannot be told to forget all names, so the daemon is asked again"
        );
    }
    let mut again = Command::new("timeout");
    let said = run(again
        .args(["60", "python3", "-c", &looks])
        .current_dir(&outside));
    if forgets {
        kill_process(daemon, Signal::CONT).unwrap();
    }
    said.must();
    // A word that means another moment by now is asked for.
    sh(&dir, "ls .at/now/d; mkdir new");
    assert_eq!(sh(&dir, "ls .at/now/"), "d\nnew\n");
}

/// Lets bob read the vault for some seconds.
fn lend(world: &World, seconds: u64) {
    let end = format!("{seconds}s");
    let words = "rebac grant user bob file /workspace/vault --relation can_read --expires";
    let words: Vec<_> = words.split(' ').chain([end.as_str()]).collect();
    world.nexus(&words).must();
}

/// Whether what a look asks for is there; what else goes wrong is no answer.
#[track_caller]
fn shows(said: std::io::Result<String>, expected: &str) -> bool {
    match said {
        Ok(said) => {
            assert_eq!(said, expected);
            true
        }
        Err(e) => {
            let kinds = [ErrorKind::PermissionDenied, ErrorKind::NotFound];
            assert!(kinds.contains(&e.kind()), "{e}");
            false
        }
    }
}

/// Waits for what happens by itself.
#[track_caller]
fn comes(what: &str, has: impl Fn() -> bool) {
    let came = (0..LOOKS).any(|_| {
        let came = has();
        if !came {
            thread::sleep(PAUSE);
        }
        came
    });
    assert!(came, "waited in vain for {what}");
}

fn names(dir: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().into_string().unwrap());
    }
    names.sort();
    Ok(names.join(" "))
}

/// semantics.md §6: "The past is judged by today's grants"
#[test]
fn a_grant_that_ends_by_the_clock_ends_in_the_past_too() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -m 700 vault; mkdir vault/sub; echo -n secret > vault/f; touch vault/sub/g",
    );
    let op = head(&world);
    sh(
        &world.workspace(),
        "echo changed > vault/f; rm -r vault/sub",
    );
    world.ctl(&["user", "create", "bob"]);
    let own = world.host("bobs");
    let at = own.to_str().unwrap();
    world.nexus(&["mount", at, "--user", "bob"]).must();
    let now = own.join("workspace/vault/f");
    let [above, inside] =
        [".at", "vault/.at"].map(|at| own.join(format!("workspace/{at}/op:{op}")));
    let then = above.join("vault");
    // What the daemon is asked for, and what the kernel may keep.
    let asked: [&dyn Fn() -> bool; 4] = [
        &|| shows(fs::read_to_string(then.join("f")), "secret"),
        &|| shows(names(&then), "f sub"),
        &|| shows(fs::read_to_string(inside.join("f")), "secret"),
        &|| shows(names(&inside), "f sub"),
    ];
    let kept: [&dyn Fn() -> bool; 3] = [
        &|| {
            shows(
                fs::metadata(then.join("f")).map(|f| f.len().to_string()),
                "6",
            )
        },
        &|| {
            shows(
                fs::metadata(then.join("sub/g")).map(|f| f.len().to_string()),
                "0",
            )
        },
        &|| {
            shows(
                fs::metadata(inside.join("f")).map(|f| f.len().to_string()),
                "6",
            )
        },
    ];
    let all = || asked.iter().chain(&kept).all(|look| look());
    assert!(!asked.iter().chain(&kept).any(|look| look()));
    // A machine that is too slow for one span is not for another.
    let seen = (2..8).map(|n| 1 << n).any(|seconds| {
        lend(&world, seconds);
        all() && all()
    });
    assert!(seen);
    // The present ends when the daemon's clock says so, and from then on nothing else is given.
    comes("the end of the grant", || fs::read(&now).is_err());
    assert!(!asked.iter().any(|look| look()));
    // A kernel counts the time of what it keeps in ticks of its own, from when it is told.
    comes("the end of what is kept", || {
        !kept.iter().any(|look| look())
    });
    // Lent again, it is there again.
    lend(&world, 3600);
    assert!(all());
    world.is_sound();
}

/// docs/permissions.md: what runs from the past runs with the rights of whoever runs it.
#[test]
fn nothing_from_the_past_runs_with_more_rights_than_it_has_today() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "echo x > tool; chmod 6755 tool; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 tool",
    );
    let op = head(&world);
    assert_eq!(sh(&dir, "stat -c %a tool").trim(), "6755");
    let then = format!(".at/op:{op}/tool");
    assert_eq!(sh(&dir, &format!("stat -c %a {then}")).trim(), "755");
    run(&mut script(&dir, "getfattr -n security.capability tool")).must();
    run(&mut script(
        &dir,
        &format!("getfattr -n security.capability {then}"),
    ))
    .must_fail();
}
