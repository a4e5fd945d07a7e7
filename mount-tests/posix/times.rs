//! Times, extended attributes, and what statfs says.

use crate::shell::{run, script, sh};
use crate::world::{World, is_root};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, statvfs, utimensat};
use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn times_keep_their_nanoseconds() {
    let world = World::new();
    fs::write(world.path("f"), "").unwrap();
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 1_234_567_890,
            tv_nsec: 123_456_789,
        },
        last_modification: Timespec {
            tv_sec: -5,
            tv_nsec: 1,
        },
    };
    utimensat(CWD, world.path("f"), &times, AtFlags::empty()).unwrap();
    world.kill();
    world.restart();
    let meta = fs::metadata(world.path("f")).unwrap();
    assert_eq!(
        (meta.atime(), meta.atime_nsec()),
        (1_234_567_890, 123_456_789)
    );
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (-5, 1));
}

#[test]
fn times_move_with_what_they_stand_for() {
    let world = World::new();
    fs::create_dir(world.path("d")).unwrap();
    let of = |name: &str| fs::metadata(world.path(name)).unwrap();
    let stamp = |m: &fs::Metadata| (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    let dir = stamp(&of("d"));
    fs::write(world.path("d/f"), "1").unwrap();
    assert!(stamp(&of("d")) > dir, "an entry came");
    let file = of("d/f");
    fs::write(world.path("d/f"), "22").unwrap();
    assert!(stamp(&of("d/f")) > stamp(&file), "bytes changed");
    let (file, dir) = (of("d/f"), stamp(&of("d")));
    sh(&world.workspace(), "chmod 600 d/f");
    let after = of("d/f");
    assert_eq!(
        (after.mtime(), after.mtime_nsec()),
        (file.mtime(), file.mtime_nsec())
    );
    assert!((after.ctime(), after.ctime_nsec()) > (file.ctime(), file.ctime_nsec()));
    assert_eq!(stamp(&of("d")), dir);
}

#[test]
fn attributes_are_kept_listed_and_removed() {
    let world = World::new();
    let path = world.path("f");
    fs::write(&path, "").unwrap();
    setxattr(&path, "user.colour", b"blue\0!", XattrFlags::CREATE).unwrap();
    let again = setxattr(&path, "user.colour", b"x", XattrFlags::CREATE);
    assert_eq!(again, Err(Errno::EXIST));
    setxattr(&path, "user.empty", b"", XattrFlags::empty()).unwrap();
    let missing = setxattr(&path, "user.none", b"x", XattrFlags::REPLACE);
    assert_eq!(missing, Err(Errno::NODATA));
    world.kill();
    world.restart();
    let mut value = [0; 64];
    let n = getxattr(&path, "user.colour", &mut value).unwrap();
    assert_eq!(&value[..n], b"blue\0!");
    let short = getxattr(&path, "user.colour", &mut value[..2]);
    assert_eq!(short, Err(Errno::RANGE));
    let mut names = vec![0; 4096];
    let n = listxattr(&path, &mut names).unwrap();
    let names = String::from_utf8(names[..n].to_vec()).unwrap();
    assert!(
        names.contains("user.colour\0") && names.contains("user.empty\0"),
        "{names:?}"
    );
    removexattr(&path, "user.colour").unwrap();
    assert_eq!(
        getxattr(&path, "user.colour", &mut value),
        Err(Errno::NODATA)
    );
}

#[test]
fn every_file_tells_its_hash_version_and_operation() {
    let world = World::new();
    let path = world.path("f");
    let fact = |name: &str| {
        let mut value = [0; 128];
        let n = getxattr(&path, name, &mut value).unwrap();
        String::from_utf8(value[..n].to_vec()).unwrap()
    };
    for (version, size) in [(1, 3), (2, 5_000_000)] {
        fs::write(&path, vec![b'n'; size]).unwrap();
        let sum = sh(&world.workspace(), "sha256sum f");
        assert_eq!(fact("user.nexus.hash"), sum[..64]);
        let told: u64 = fact("user.nexus.version").parse().unwrap();
        assert!(told >= version, "version {told}");
        let op: u64 = fact("user.nexus.op").parse().unwrap();
        let last = world.log(&["/workspace/f"]).pop().unwrap();
        assert_eq!(last["op"], op, "{last}");
    }
    let forged = setxattr(&path, "user.nexus.hash", b"0", XattrFlags::empty());
    assert!(forged.is_err());
}

#[test]
fn statfs_tells_of_the_disk_below() {
    let world = World::new();
    let (above, below) = (
        statvfs(world.root()).unwrap(),
        statvfs(world.data()).unwrap(),
    );
    assert_eq!(above.f_namemax, 255);
    let (total, disk) = (
        above.f_blocks * above.f_frsize,
        below.f_blocks * below.f_frsize,
    );
    assert_eq!(total, disk);
    assert!(above.f_bavail > 0 && above.f_bavail <= above.f_blocks);
}

#[test]
fn refusals_carry_the_errno_that_posix_names() {
    let world = World::new();
    fs::write(world.path("f"), "").unwrap();
    let refused = |text: &str, word: &str| {
        let said = run(&mut script(&world.workspace(), text)).must_fail();
        assert!(said.contains(word), "{text}: {said}");
    };
    refused("cat missing", "No such file or directory");
    refused("cat f/x", "Not a directory");
    refused("mkdir f", "File exists");
    refused("cat .", "Is a directory");
    refused("touch ../system/x", "No such file or directory");
    // The kernel judges modes first, and only root passes: /archives is root's.
    let read_only = if is_root() {
        "Read-only file system"
    } else {
        "Permission denied"
    };
    refused("touch ../archives/x", read_only);
    refused("mkdir ../elsewhere", "denied");
}
