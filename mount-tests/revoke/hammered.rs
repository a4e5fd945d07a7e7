//! Several processes try while somebody grants and revokes: no answer is of before.

use super::{ANNA, BERT, Gate, berts, village, village_in};
use crate::hammer::{EVERY, HAMMER, Must, Outcome, State, accesses, now, pass};
use crate::person::{ASKS, BECOMES};
use crate::shell::{python, sh};
use crate::world::World;
use nexus::core::Time;
use std::io::{BufRead as _, BufReader, PipeWriter, pipe};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How many processes of bert's try.
const WORKERS: u64 = 4;

/// Tries one access after the other: whose they are on a mount of everybody's, where the daemon is asked, too.
const TRIES: &str = r#"
import mmap
state, vault, n, every, mine, uid, sock = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], int(sys.argv[6]), sys.argv[7]
state = mmap.mmap(os.open(state, os.O_RDONLY), 16, prot=mmap.PROT_READ)
become(uid)
def say(*words):
    # One write, so that it stays one line among others'.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())
def access(name, how):
    if not os.access(name, how): raise OSError
def reads(name):
    fd = os.open(name, os.O_RDONLY)
    try:
        assert os.read(fd, 9) == b"secret"
    finally:
        os.close(fd)
calls = [
    lambda: reads(vault + "/f"), lambda: os.stat(vault + "/f"), lambda: os.listdir(vault),
    lambda: access(vault + "/f", os.R_OK), lambda: reads(vault + "/sub/g"), lambda: os.stat(vault + "/sub/g"),
    lambda: os.listdir(vault + "/sub"), lambda: os.chdir(vault + "/sub"), lambda: os.getxattr(vault + "/f", "user.nexus.hash"),
]
def check():
    asked = {"subject": "user:bert", "relation": "can_read", "path": "/workspace/t/vault/f"}
    if not ask("rebac-check", asked)["granted"]: raise OSError
if uid:
    calls += [lambda: ask("info", {"path": "/workspace/t/vault/sub/g"}), lambda: get("/workspace/t/vault/f")]
    # Of the grant alone: by the mode's group he has none.
    if mine == "granted": calls.append(check)
always, after = mine == "always", lambda: None
"#;

/// Where bert tries.
#[derive(Clone, Copy)]
enum On<'a> {
    /// The mount of everybody, and the daemon's socket.
    Shared,
    /// A mount of his own: whoever is on it is he.
    His(&'a Path),
}

struct Hammer<'a> {
    world: &'a World,
    state: &'a Path,
    says: &'a PipeWriter,
}

impl Hammer<'_> {
    fn worker(&self, vault: &Path, uid: u32, mine: &str) -> Child {
        let (n, every) = (accesses(WORKERS).to_string(), EVERY.to_string());
        let mut command = Command::new("python3");
        command.args(["-c", &format!("{BECOMES}{ASKS}{TRIES}{HAMMER}")]);
        command.args([self.state, vault]);
        command.args([&n, &every, mine, &uid.to_string()]);
        command.arg(self.world.socket()).stdin(Stdio::null());
        let said = self.says.try_clone().unwrap();
        command.stdout(said).spawn().unwrap()
    }
}

/// Opens or closes a gate with everybody trying, and says what holds from now on.
fn turn(world: &World, gate: Gate, open: bool, (state, round): (&State, u8)) {
    state.set(Must::Whatever, round);
    gate.set(world, open);
    state.set(if open { Must::Go } else { Must::Fail }, round);
}

/// Lets bert in until a moment that soon comes, and waits for it with everybody trying.
struct Lent {
    span: Duration,
    end: Time,
}

impl Lent {
    fn turn(&mut self, world: &World, open: bool, (state, round): (&State, u8)) {
        if open {
            state.set(Must::Wait, round);
            self.end = lend(world, &mut self.span);
        } else {
            pass(self.end);
        }
        state.set(Must::GoUntil(self.end), round);
    }
}

/// Grants bert the vault for a while, and says when that ends. There is time left of it, however slow the machine is.
fn lend(world: &World, span: &mut Duration) -> Time {
    const LEFT: i64 = 200_000_000;
    loop {
        let end = Time(now().0 + i64::try_from(span.as_nanos()).unwrap());
        let until = end.to_string();
        let words = "rebac grant user bert file /workspace/t/vault --relation can_read --expires";
        let words: Vec<_> = words.split(' ').chain([&*until]).collect();
        let said = world.nexus(&words);
        assert!(said.ok() || said.err.contains("ended already"), "{said:?}");
        if said.ok() && end.0 - now().0 > LEFT {
            return end;
        }
        *span *= 2;
    }
}

/// Four who must be let in and kept out with each turn, and on everybody's mount anna, who may always.
fn hammer(
    world: &World,
    his: &str,
    on: On<'_>,
    mut turn: impl FnMut(bool, (&State, u8)),
) -> Outcome {
    let path = world.host("state").join("now");
    let state = State::new(&path);
    let (hears, says) = pipe().unwrap();
    let hammer = Hammer {
        world,
        state: &path,
        says: &says,
    };
    let shared = world.path("t/vault");
    let (vault, uid) = match on {
        On::Shared => (shared.clone(), BERT),
        On::His(mount) => (mount.join("workspace/t/vault"), 0),
    };
    let workers = (0..WORKERS).map(|_| hammer.worker(&vault, uid, his));
    let mut workers: Vec<_> = workers.collect();
    workers.push(hammer.worker(&shared, ANNA, "always"));
    drop(says);
    let mut lines = BufReader::new(hears).lines().map(Result::unwrap);
    let (mut round, mut open, mut left) = (0_u8, false, 0);
    let mut outcome = Outcome::default();
    loop {
        if left == 0 {
            open = !open;
            round = round.wrapping_add(1);
            turn(open, (&state, round));
            (left, outcome.changes) = (WORKERS, outcome.changes + 1);
        }
        let Some(line) = lines.next() else { break };
        match line.strip_prefix("went ") {
            Some(of) if of == round.to_string() => left -= 1,
            Some(_) => {}
            None => outcome.note(&line),
        }
    }
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    if open {
        turn(false, (&state, round));
    }
    outcome
}

/// semantics.md §4: "A revoke holds for the next system call on every door and mount."
#[test]
fn no_access_succeeds_after_a_revoke_has_returned() {
    let Some(world) = village() else { return };
    for gate in Gate::ALL {
        let his = match gate {
            Gate::Grant | Gate::Restrict => "granted",
            Gate::Group | Gate::Mode | Gate::Deny => "once",
        };
        let outcome = hammer(&world, his, On::Shared, |open, state| {
            turn(&world, gate, open, state);
        });
        println!("{gate:?}: {outcome:?} of {} each", accesses(WORKERS));
        outcome.must_be_right();
    }
    world.is_sound();
}

/// semantics.md §4: "An expired grant is no grant."
#[test]
fn no_access_that_begins_after_the_end_of_a_grant_succeeds() {
    let Some(world) = village() else { return };
    let own = berts(&world);
    for on in [On::Shared, On::His(&own)] {
        let mut lent = Lent {
            span: Duration::from_millis(300),
            end: Time(0),
        };
        let outcome = hammer(&world, "granted", on, |open, state| {
            lent.turn(&world, open, state);
        });
        println!("{outcome:?} of {} each", accesses(WORKERS));
        outcome.must_be_right();
    }
    world.is_sound();
}

/// The hammer hits: where kernels are told nothing, what they keep lets somebody in who may not any more.
#[test]
fn the_hammer_finds_what_kernels_are_not_told() {
    const ROUNDS: usize = 5;
    if !cfg!(debug_assertions) {
        println!("skipped: only a daemon of a debug build can be told to tell kernels nothing");
        return;
    }
    for (gate, own) in [(Gate::Grant, true), (Gate::Mode, false)] {
        let Some(world) = village_in(World::mute()) else {
            return;
        };
        let own = own.then(|| berts(&world));
        let on = own.as_deref().map_or(On::Shared, On::His);
        let found = (0..ROUNDS).any(|_| {
            let outcome = hammer(&world, "once", on, |open, state| {
                turn(&world, gate, open, state);
            });
            println!("{gate:?}: {} stale", outcome.stale());
            outcome.stale() > 0
        });
        assert!(found, "{gate:?}: nothing was found");
    }
}

/// What a listing had read ahead when a grant ended is not kept by a kernel, which nobody tells of it.
#[test]
fn a_listing_that_goes_on_behind_the_end_of_a_grant_brings_nothing() {
    const ROUNDS: usize = 5;
    let Some(world) = village() else { return };
    sh(&world.path("t/vault"), "touch n{1..3000}");
    let t = berts(&world).join("workspace/t");
    let mut span = Duration::from_millis(500);
    let mut in_time = 0;
    for _ in 0..ROUNDS {
        let end = lend(&world, &mut span).0;
        let script = format!(
            "import os, time
try:
    vault = os.open('vault', os.O_RDONLY)
    names = os.scandir(vault)
    next(names)
    if time.time_ns() >= {end}: raise OSError
except OSError: raise SystemExit(print('late'))
while time.time_ns() < {end}: time.sleep(.001)
seen = []
try:
    for entry in names: seen.append(entry.name)
except OSError: pass
for name in seen:
    try: os.stat(name, dir_fd=vault)
    except OSError: continue
    raise SystemExit(name + ' is there')"
        );
        match python(&t, &script).trim() {
            "late" => span *= 2,
            _ => in_time += 1,
        }
    }
    assert!(in_time > 0, "never in time");
}
