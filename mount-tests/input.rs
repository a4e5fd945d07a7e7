//! What is refused, and what it says: stores, directories and machines that are not as they should be.

use crate::shell::{run, sh};
use crate::world::{NEXUS, World, detach, needs_root, over_rings};
use nexus::core::{Config, Kind};
use nexus::nexus::Nexus;
use std::fs;
use std::io::Write as _;
use std::process::Command;

#[test]
fn a_store_has_one_daemon() {
    let world = World::new();
    let said = world.nexus(&["daemon"]).must_fail();
    assert!(
        said.contains("in use") || said.contains("running"),
        "{said}"
    );
    let other = Nexus::open(Config::new(world.data())).err().unwrap();
    assert_eq!(other.kind(), Kind::Busy);
    fs::write(world.path("f"), "the first goes on").unwrap();
    world.is_sound();
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let world = World::new();
    fs::write(world.path("f"), "kept").unwrap();
    world.shutdown();
    let database = world.data().join("nexus.db");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch(sql).unwrap();
    };
    change(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         SELECT 999, 'later', applied_on, checksum FROM refinery_schema_history WHERE version = 1",
    );
    let before = fs::read(&database).unwrap();
    let said = world.try_start().must_fail();
    assert!(
        said.contains("upgrade nexus") && said.contains("999"),
        "{said}"
    );
    assert!(fs::read(&database).unwrap() == before, "it was written to");
    change("DELETE FROM refinery_schema_history WHERE version = 999");
    world.start();
    assert_eq!(fs::read_to_string(world.path("f")).unwrap(), "kept");
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let host = tempfile::tempdir().unwrap();
    let file = host.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let said = World::at(file.join("data")).try_start().must_fail();
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    let said = World::at(file.clone()).try_start().must_fail();
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert_eq!(fs::read_to_string(file).unwrap(), "not a directory");
}

#[test]
fn a_read_only_data_directory_is_named() {
    if !needs_root() {
        return;
    }
    let world = World::new();
    world.shutdown();
    let data = world.data().to_owned();
    let dir = data.display();
    sh(
        world.root(),
        &format!("mount --bind {dir} {dir} && mount -o remount,bind,ro {dir}"),
    );
    let said = world.try_start();
    detach(&data);
    let said = said.must_fail();
    assert!(said.contains(data.to_str().unwrap()), "{said}");
    assert!(said.to_lowercase().contains("read-only"), "{said}");
    world.start();
    world.is_sound();
}

#[test]
fn a_mount_point_that_is_a_file_is_refused_and_a_missing_one_is_made() {
    let world = World::new();
    let file = world.host("host").join("file");
    fs::write(&file, "").unwrap();
    let said = world.nexus(&["mount", file.to_str().unwrap()]).must_fail();
    assert!(
        said.contains(file.to_str().unwrap()) && said.contains("directory"),
        "{said}"
    );
    let missing = world.host("host").join("missing");
    world.nexus(&["mount", missing.to_str().unwrap()]).must();
    assert!(missing.join("workspace").is_dir());
    world.nexus(&["umount", missing.to_str().unwrap()]).must();
}

#[test]
fn a_mount_in_the_data_directory_or_over_it_is_refused() {
    let world = World::new();
    let inside = world.data().join("mount");
    let link = world.host("host").join("link");
    std::os::unix::fs::symlink(world.data(), &link).unwrap();
    for dir in [world.data(), &inside, &link.join("mount")] {
        let said = world.nexus(&["mount", dir.to_str().unwrap()]).must_fail();
        assert!(said.contains("data directory"), "{said}");
    }
    let above = world.data().parent().unwrap();
    let said = world.nexus(&["mount", above.to_str().unwrap()]).must_fail();
    assert!(said.contains("would hide the data directory"), "{said}");
    assert_eq!(world.mounts(), 1);
}

#[test]
fn a_mount_that_a_dead_daemon_left_is_replaced() {
    let world = World::new();
    fs::write(world.path("f"), "kept").unwrap();
    world.kill();
    // Attributes may come from the kernel's cache; this always goes to the daemon.
    let ask = || {
        rustix::fs::statvfs(world.root())
            .err()
            .map(rustix::io::Errno::raw_os_error)
    };
    // After a death the kernel takes rings down one by one, and what they had gets these; then it lets go of the mount.
    let passing =
        |e: &Option<i32>| over_rings() && matches!(e, Some(libc::ECANCELED | libc::ECONNABORTED));
    let mut answers = std::iter::repeat_with(ask).take(1000).skip_while(passing);
    assert_eq!(answers.next(), Some(Some(libc::ENOTCONN)));
    world.start();
    assert_eq!(fs::read_to_string(world.path("f")).unwrap(), "kept");
}

#[test]
fn without_the_fuse_device_a_mount_says_what_to_do() {
    if !needs_root() {
        return;
    }
    let world = World::unmounted(&[]);
    let script = format!(
        "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9
         exec {NEXUS} mount {}",
        world.root().display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &script])
        .env("NEXUS_DATA_DIR", world.data());
    let said = run(&mut command).must_fail();
    assert!(said.contains("/dev/fuse"), "{said}");
    assert!(
        said.contains("modprobe fuse") || said.contains("--device"),
        "{said}"
    );
}

#[test]
fn names_sizes_and_paths_that_cannot_be_are_refused() {
    let world = World::new();
    let long = "n".repeat(256);
    let refusals: [(&[&str], &str); 3] = [
        (&["write", &format!("/workspace/{long}"), "x"], "name"),
        (&["cat", "/workspace/absent"], "absent"),
        (&["mkdir", ""], "empty path"),
    ];
    for (arguments, part) in refusals {
        let said = world.nexus(arguments).must_fail();
        assert!(!said.contains("panicked") && said.contains(part), "{said}");
    }
    // What goes up stops at the root.
    let root = world.nexus(&["ls", "/"]).must();
    assert!(root.contains("workspace"), "{root}");
    assert_eq!(world.nexus(&["ls", "/workspace/../../.."]).must(), root);
    let file = fs::File::create(world.path("f")).unwrap();
    let too_large = file.set_len(u64::MAX >> 1);
    println!("the largest size: {too_large:?}");
    assert!(rustix::fs::ftruncate(&file, 1 << 40).is_ok());
    fs::write(world.path("g"), "the daemon goes on").unwrap();
    world.is_sound();
}

#[test]
fn a_full_disk_is_told_to_who_meets_it_and_nothing_else_is_lost() {
    // semantics.md §5: "ENOSPC, EIO and a broken database are reported by the call that met them; what was there stays."
    if !needs_root() {
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let at = disk.path().display();
    sh(
        disk.path(),
        &format!("mount -t tmpfs -o size=48m none {at}"),
    );
    fs::write(disk.path().join("ballast"), vec![1; 12 << 20]).unwrap();
    let world = World::at(disk.path().join("data"));
    world.start();
    fs::write(world.path("early"), "before").unwrap();
    let (daemon, mut kept) = (world.daemon(), 0);
    let full = loop {
        let bytes = crate::dice::Dice::from_seed(kept).bytes(1 << 20);
        let mut file = fs::File::create(world.path(format!("f{kept}"))).unwrap();
        match file.write_all(&bytes).and_then(|()| file.sync_all()) {
            Ok(()) => kept += 1,
            Err(e) => break e,
        }
        assert!(kept < 100, "the disk is never full");
    };
    assert_eq!(
        full.raw_os_error(),
        Some(libc::ENOSPC),
        "after {kept} files"
    );
    let all_there = || {
        assert_eq!(fs::read_to_string(world.path("early")).unwrap(), "before");
        for n in 0..kept {
            let found = fs::read(world.path(format!("f{n}"))).unwrap();
            assert!(
                found == crate::dice::Dice::from_seed(n).bytes(1 << 20),
                "f{n}"
            );
        }
    };
    all_there();
    assert_eq!(world.daemon(), daemon, "the daemon lives");
    fs::remove_file(disk.path().join("ballast")).unwrap();
    fs::write(world.path("late"), "after").unwrap();
    world.kill();
    world.start();
    all_there();
    assert_eq!(fs::read_to_string(world.path("late")).unwrap(), "after");
    world.is_sound();
    drop(world);
    detach(disk.path());
}

/// Fills the disk that a world lies on to the last byte, and has the database in want of more; what took the last bytes.
fn fill(world: &World, seed: u64) -> std::path::PathBuf {
    let write = |name: String, n: u64, size| {
        // Each with bytes of its own: what is the same is stored once.
        let bytes = crate::dice::Dice::from_seed(10_000 * seed + n).bytes(size);
        let made = fs::File::create(world.path(name));
        made.and_then(|mut f| f.write_all(&bytes).and_then(|()| f.sync_all()))
    };
    let mut large = (0..1000).map(|n| write(format!("large{n}"), n, 1 << 20));
    assert!(large.any(|done| done.is_err()), "the disk is never full");
    let filler = world.data().parent().unwrap().join(format!("filler{seed}"));
    let mut file = fs::File::create(&filler).unwrap();
    while file.write(&[1; 4096]).is_ok() {}
    let mut small = (1000..20_000).map(|n| write(format!("small{n}"), n, 2000));
    assert!(
        small.any(|done| done.is_err()),
        "the database needs nothing"
    );
    filler
}

#[test]
fn gc_frees_what_nobody_needs_on_a_disk_that_is_full() {
    const GARBAGE: u64 = 80;
    if !needs_root() {
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let at = disk.path().display();
    sh(
        disk.path(),
        &format!("mount -t tmpfs -o size=240m none {at}"),
    );
    let world = World::at(disk.path().join("data"));
    world.start();
    let reserve = world.data().join("reserve");
    sh(world.data(), "until [ -e reserve ]; do sleep 0.05; done");
    for n in 0..GARBAGE {
        let bytes = crate::dice::Dice::from_seed(n).bytes(1 << 20);
        fs::write(world.path("garbage"), bytes).unwrap();
    }
    fs::remove_file(world.path("garbage")).unwrap();
    let filler = fill(&world, GARBAGE);
    assert!(reserve.exists(), "nobody but gc takes what is kept for it");
    let said = world.ctl(&["gc", "--keep-within", "0s"]);
    let freed = said["bytes"].as_u64().unwrap();
    assert!(freed > (GARBAGE - 2) << 20, "{said}");
    fs::remove_file(filler).unwrap();
    fs::write(world.path("late"), "after").unwrap();
    world.restart();
    assert_eq!(fs::read_to_string(world.path("late")).unwrap(), "after");
    world.is_sound();
    drop(world);
    detach(disk.path());
}
