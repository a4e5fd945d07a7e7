//! Power cuts and failing disks, on a disk of the test's own.
//!
//! `NEXUS_CUT_ROUNDS` says how often the power fails (15).

use crate::dice::{Dice, setting};
use crate::drive::Drive;
use crate::historian::{self, Historian};
use crate::shell::{Said, run, wait};
use crate::world::{World, end};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes files one after the other and tells of each: `open`, `synced`, `closed`.
const WRITER: &str = r#"
import os, random, sys
dice = random.Random(int(sys.argv[1]))
def content(n):
    return (b"%08d" % n) * dice.choice([1, 500, 10000, 200000])
n = int(sys.argv[2])
try:
    while True:
        text = content(n)
        os.write(1, b"open %d %d\n" % (n, len(text)))
        f = os.open("f%06d" % n, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        view = memoryview(text)
        while view:
            view = view[os.write(f, view[:100000]):]
        if dice.random() < 0.4:
            os.fsync(f)
            os.write(1, b"synced %d %d\n" % (n, len(text)))
        os.close(f)
        os.write(1, b"closed %d %d\n" % (n, len(text)))
        n += 1
except OSError as e:
    print("ended:", e)
"#;

/// What the writer told: sizes of files in their order, and the last that was synced.
#[derive(Default)]
struct Told {
    first: usize,
    sizes: Vec<u64>,
    synced: Option<usize>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [word, n, size] = words[..] else { return };
        let (Ok(n), Ok(size)) = (n.parse::<usize>(), size.parse()) else {
            return;
        };
        match word {
            "open" => self.sizes.push(size),
            "synced" => self.synced = Some(n),
            _ => {}
        }
    }

    /// What is there is a prefix of what was done, and holds all that was synced.
    fn check(&self, dir: &Path) {
        let there = |n: usize| fs::read(dir.join(format!("f{n:06}"))).ok();
        let end = self.first + self.sizes.len();
        let found: Vec<Option<Vec<u8>>> = (0..end).map(there).collect();
        let kept = found.iter().take_while(|content| content.is_some()).count();
        assert!(
            found[kept..].iter().all(Option::is_none),
            "a gap at f{kept:06}"
        );
        let listed = fs::read_dir(dir).unwrap().count();
        assert_eq!(listed, kept, "and nothing else");
        let synced = self.synced.map_or(0, |n| n + 1).max(self.first);
        println!("{end} files were begun, {synced} had to survive, {kept} did");
        assert!(
            kept >= synced,
            "f{kept:06} is lost, up to {synced} was synced"
        );
        for (n, content) in found[self.first..kept].iter().enumerate() {
            let (name, content) = (self.first + n, content.as_ref().unwrap());
            let whole = content.len() as u64 == self.sizes[n];
            let begun = content.is_empty() && name + 1 == kept && name >= synced;
            assert!(
                whole || begun,
                "f{name:06}: {} of {}",
                content.len(),
                self.sizes[n]
            );
            let unit = format!("{name:08}");
            assert!(
                content.chunks(8).all(|c| c == unit.as_bytes()),
                "f{name:06} is torn"
            );
        }
    }
}

/// Where the writer writes.
const PLACE: &str = "files";

fn write_until_dark(world: &World, seed: u64, first: usize, past: &mut Historian) -> Told {
    let mut writer = Command::new("python3")
        .args(["-I", "-c", WRITER, &seed.to_string(), &first.to_string()])
        .current_dir(world.path(PLACE))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut told = Told {
        first,
        ..Told::default()
    };
    // Not before the writer is at work: the historian takes many operations of the disk.
    told.hear(&lines.next().unwrap().unwrap());
    let mut historian = past.start(world);
    let said = BufReader::new(historian.stdout.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| said.lines().for_each(|line| past.hear(&line.unwrap())));
        for line in lines {
            told.hear(&line.unwrap());
        }
        for child in [&mut writer, &mut historian] {
            assert!(wait(child).is_some(), "it hangs in the dark");
        }
    });
    told
}

#[test]
fn what_was_synced_survives_power_cuts() {
    // semantics.md §5: "When `fsync(2)` or an API write has returned, a power cut loses nothing of it."
    let mut dice = Dice::new("power cut");
    for round in 0..setting("NEXUS_CUT_ROUNDS").unwrap_or(15) {
        println!("round {round}");
        let drive = Drive::new();
        let world = World::at(drive.data());
        world.start();
        let (mut first, mut past) = (0, Historian::default());
        for place in [PLACE, historian::PLACE] {
            fs::create_dir(world.path(place)).unwrap();
        }
        File::open(world.workspace()).unwrap().sync_all().unwrap();
        for _ in 0..2 {
            let daemon = world.daemon();
            drive.cut_after(1 + dice.below(1500));
            let told = write_until_dark(&world, dice.next(), first, &mut past);
            end(daemon);
            drive.forget_unsynced(&mut dice);
            drive.spin_up();
            world.start();
            world.is_sound();
            told.check(&world.path(PLACE));
            past.check_after_cut(&world);
            first = fs::read_dir(world.path(PLACE)).unwrap().count();
        }
        drop(world);
    }
}

#[test]
fn what_the_api_wrote_survives_power_cuts() {
    let mut dice = Dice::new("power cut");
    let drive = Drive::new();
    let world = World::at(drive.data());
    world.start();
    for n in 0..6 {
        let text = format!("text {n} ").repeat(dice.index(200_000) + 1);
        let path = format!("/workspace/api-{n}");
        let source = world.host("host").join("text");
        fs::write(&source, &text).unwrap();
        let mut write = world.command(&["write", &path]);
        run(write.stdin(File::open(&source).unwrap())).must();
        end(world.daemon());
        drive.forget_unsynced(&mut dice);
        drive.spin_up();
        world.start();
        assert_eq!(world.nexus(&["cat", &path]).must(), text);
        world.is_sound();
    }
    drop(world);
}

#[test]
fn the_first_start_can_be_cut_anywhere() {
    let mut dice = Dice::new("first start");
    for _ in 0..12 {
        let drive = Drive::new();
        let world = World::at(drive.data());
        drive.cut_after(1 + dice.below(80));
        world.try_start();
        world.stop_everything();
        drive.forget_unsynced(&mut dice);
        drive.spin_up();
        world.start();
        fs::write(world.path("f"), "works").unwrap();
        world.is_sound();
        drop(world);
    }
}

/// Something a program does that must be there once it has succeeded.
type Deed = fn(&World, usize) -> std::io::Result<()>;

fn content(n: usize, size: usize) -> Vec<u8> {
    Dice::from_seed(n as u64).bytes(size)
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const DEEDS: [(&str, usize, Deed); 4] = [
    ("small", 3000, |world, n| {
        put(&world.path(format!("small-{n}")), &content(n, 3000))
    }),
    ("large", 2_500_000, |world, n| {
        put(&world.path(format!("large-{n}")), &content(n, 2_500_000))
    }),
    ("moved", 90_000, |world, n| {
        put(&world.path("moving"), &content(n, 90_000))?;
        fs::rename(world.path("moving"), world.path(format!("moved-{n}")))?;
        File::open(world.workspace())?.sync_all()
    }),
    ("undone", 70_000, |world, n| {
        let name = format!("undone-{n}");
        put(&world.path(&name), &content(n, 70_000))?;
        fs::remove_file(world.path(&name))?;
        let path = format!("/workspace/{name}");
        told(&world.nexus(&["undo", &path, "--kind", "unlink"]))?;
        told(&world.ctl_said(&["gc", "--keep-within", "0s"]))
    }),
];

/// A command has only words for what went wrong.
fn told(said: &Said) -> std::io::Result<()> {
    if said.ok() {
        return Ok(());
    }
    println!("{}", said.err);
    Err(std::io::Error::from_raw_os_error(libc::EIO))
}

/// Lets every operation of the store fail in turn, once.
fn fail_everywhere(errno: i32) {
    // semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
    let mut dice = Dice::new("failing disk");
    let drive = Drive::new();
    let world = World::at(drive.data());
    world.start();
    let daemon = world.daemon();
    let mut done: Vec<(String, usize, usize)> = Vec::new();
    let (mut n, mut refused) = (0, 0);
    for (name, size, deed) in DEEDS {
        for k in 1.. {
            n += 1;
            drive.fail_once(k, errno);
            let outcome = deed(&world, n);
            let fired = drive.calm();
            match outcome {
                Ok(()) => done.push((name.to_owned(), n, size)),
                Err(e) => {
                    refused += 1;
                    assert!(fired, "{name} fails without a cause: {e}");
                    let reported = e.raw_os_error().unwrap();
                    assert!([errno, libc::EIO].contains(&reported), "{name}: {e}");
                }
            }
            assert_eq!(world.daemon(), daemon, "the daemon lives");
            n += 1;
            let after = deed(&world, n).or_else(|e| {
                // The system tells of a failed write at the next sync, too: the one of a forgetting, here.
                assert!(
                    fired && name == "undone",
                    "{name} after trouble at {k}: {e}"
                );
                n += 1;
                deed(&world, n)
            });
            after.unwrap_or_else(|e| panic!("{name} after trouble at {k}: {e}"));
            done.push((name.to_owned(), n, size));
            for (name, n, size) in done.iter().rev().take(4) {
                let found = fs::read(world.path(format!("{name}-{n}"))).unwrap();
                assert!(found == content(*n, *size), "{name}-{n}");
            }
            if !fired {
                println!("{name}: {k} operations");
                break;
            }
        }
    }
    assert!(refused > 0, "no call ever met the trouble");
    world.is_sound();
    end(daemon);
    drive.forget_unsynced(&mut dice);
    drive.spin_up();
    world.start();
    world.is_sound();
    for (name, n, size) in &done {
        let found = fs::read(world.path(format!("{name}-{n}"))).unwrap();
        assert!(found == content(*n, *size), "{name}-{n} after the cut");
    }
    drop(world);
}

#[test]
fn an_io_error_fails_the_call_that_met_it_and_nothing_else() {
    fail_everywhere(libc::EIO);
}

#[test]
fn a_full_disk_fails_the_call_that_met_it_and_nothing_else() {
    fail_everywhere(libc::ENOSPC);
}
