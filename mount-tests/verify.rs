//! Damaged bytes: found by `verify`, an error to who reads them, never handed out.
//!
//! `NEXUS_FLIPS` says how often something is damaged (25).

use crate::dice::{Dice, setting};
use crate::shell::sh;
use crate::world::World;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

type Contents = BTreeMap<&'static str, Vec<u8>>;

/// Small files, a blob of its own file, a tree of chunks. Another process copies them in: a test beside this one that
/// starts a program would close copies of our descriptors, and make versions of half a file.
fn write_files(world: &World) -> Contents {
    let sizes = [
        ("a", 10),
        ("b", 3000),
        ("c", 60_000),
        ("blob", 100_000),
        ("tree", 3_000_000),
    ];
    let mut contents = Contents::new();
    for (n, (name, size)) in sizes.into_iter().enumerate() {
        let bytes = Dice::from_seed(n as u64).bytes(size);
        fs::write(world.host("originals").join(name), &bytes).unwrap();
        contents.insert(name, bytes);
    }
    let (from, to) = (world.host("originals"), world.workspace());
    sh(&from, &format!("cp * {}", to.display()));
    contents
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Changes one byte somewhere in a file; gives what was there.
fn flip(path: &Path, dice: &mut Dice) -> (u64, u8) {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let at = dice.below(file.metadata().unwrap().len());
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    let mask = 1 << dice.below(8);
    file.write_all_at(&[byte[0] ^ mask], at).unwrap();
    println!("{}: bit mask {mask:#x} at {at}", path.display());
    (at, byte[0])
}

fn mend(path: &Path, (at, byte): (u64, u8)) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[byte], at).unwrap();
}

/// How many files cannot be read, or are not there. Wrong bytes fail the test.
fn lost(world: &World, contents: &Contents) -> usize {
    let mut lost = 0;
    for (name, bytes) in contents {
        match fs::read(world.path(name)) {
            Ok(found) => assert!(found == *bytes, "{name} has wrong bytes"),
            Err(e) => {
                println!("{name}: {e}");
                lost += 1;
            }
        }
    }
    lost
}

#[test]
fn a_flipped_bit_in_a_blob_is_an_io_error_and_verify_names_it() {
    // semantics.md §5: "Blobs are verified against their hash when read cold, and rows against theirs: damage is EIO, never wrong bytes."
    let mut dice = Dice::new("flipped blob");
    let world = World::new();
    let contents = write_files(&world);
    world.is_sound();
    world.shutdown();
    let mut blobs = Vec::new();
    files_below(&world.data().join("cas"), &mut blobs);
    let blob = &blobs[dice.index(blobs.len())];
    let before = flip(blob, &mut dice);
    world.start();
    let broken: Vec<_> = contents
        .keys()
        .filter_map(|name| fs::read(world.path(name)).err())
        .collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].raw_os_error(), Some(libc::EIO));
    assert_eq!(lost(&world, &contents), 1);
    let report = world.ctl_said(&["verify"]);
    let hash = blob.file_name().unwrap().to_str().unwrap();
    assert!(report.out.contains(hash), "{report:?}");
    world.shutdown();
    mend(blob, before);
    world.start();
    assert_eq!(lost(&world, &contents), 0);
    world.is_sound();
}

#[test]
fn flipped_bits_in_the_database_are_found_or_harmless() {
    let mut dice = Dice::new("flipped database");
    let world = World::new();
    let contents = write_files(&world);
    world.is_sound();
    world.shutdown();
    let database = world.data().join("nexus.db");
    let whole = fs::read(&database).unwrap();
    let mut found = 0;
    for _ in 0..setting("NEXUS_FLIPS").unwrap_or(25) {
        for _ in 0..=dice.below(60) {
            flip(&database, &mut dice);
        }
        let started = world.try_start();
        if started.ok() {
            let lost = lost(&world, &contents);
            let sound = ["fsck", "verify"].iter().all(|check| {
                let report = world.ctl_said(&[check]);
                println!("{check}: {}{}", report.out, report.err);
                report.ok() && report.out.contains("\"problems\":[]")
            });
            found += u64::from(!sound);
            assert!(
                lost == 0 || !sound,
                "{lost} files are lost and nothing is said to be wrong"
            );
        } else {
            println!("does not start: {}", started.err);
            found += 1;
            assert!(!started.err.contains("panicked"), "{}", started.err);
        }
        world.stop_everything();
        for rest in ["nexus.db-wal", "nexus.db-shm"] {
            fs::remove_file(world.data().join(rest)).ok();
        }
        fs::write(&database, &whole).unwrap();
    }
    assert!(found > 0, "no damage was ever found");
    world.start();
    assert_eq!(lost(&world, &contents), 0);
    world.is_sound();
}
