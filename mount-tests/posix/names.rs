//! Names: directories, renames, links.

use crate::shell::sh;
use crate::world::World;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};

#[test]
fn a_directory_lists_each_name_once_while_names_come_and_go() {
    let world = World::new();
    let dir = world.path("many");
    fs::create_dir(&dir).unwrap();
    let stay: BTreeSet<OsString> = (0..2000).map(|n| format!("stay-{n}").into()).collect();
    for name in &stay {
        fs::write(dir.join(name), "").unwrap();
    }
    for n in 0..500 {
        fs::write(dir.join(format!("go-{n}")), "").unwrap();
    }
    let (mut seen, mut gone) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().starts_with("go-") {
            fs::remove_file(dir.join(&name)).unwrap();
            fs::write(dir.join(format!("new-{gone}")), "").unwrap();
            gone += 1;
        }
        assert!(seen.insert(name.clone()), "{} twice", name.display());
    }
    assert_eq!(gone, 500, "every name that was there was listed");
    assert!(stay.is_subset(&seen));
}

#[test]
fn rm_of_a_large_tree_leaves_nothing() {
    let world = World::new();
    let dir = world.path("tree");
    for n in 0..30 {
        fs::create_dir_all(dir.join(format!("a/{n}/b"))).unwrap();
        (0..20).for_each(|f| fs::write(dir.join(format!("a/{n}/b/{f}")), "x").unwrap());
    }
    fs::remove_dir_all(&dir).unwrap();
    assert!(!dir.exists());
    assert_eq!(fs::read_dir(world.workspace()).unwrap().count(), 0);
}

#[test]
fn rename_replaces_only_when_it_may() {
    let world = World::new();
    let (a, b) = (world.path("a"), world.path("b"));
    fs::write(&a, "a").unwrap();
    fs::write(&b, "b").unwrap();
    let kept = renameat_with(CWD, &a, CWD, &b, RenameFlags::NOREPLACE);
    assert_eq!(kept, Err(Errno::EXIST));
    assert_eq!(fs::read(&b).unwrap(), b"b");
    fs::rename(&a, &b).unwrap();
    assert_eq!(fs::read(&b).unwrap(), b"a");
    assert!(!a.exists());
    renameat_with(CWD, &b, CWD, &a, RenameFlags::NOREPLACE).unwrap();
    assert_eq!(fs::read(&a).unwrap(), b"a");
}

#[test]
fn rename_exchanges_a_file_and_a_directory() {
    let world = World::new();
    let (file, dir) = (world.path("file"), world.path("dir"));
    fs::write(&file, "text").unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("in"), "side").unwrap();
    renameat_with(CWD, &file, CWD, &dir, RenameFlags::EXCHANGE).unwrap();
    assert_eq!(fs::read(&dir).unwrap(), b"text");
    assert_eq!(fs::read(file.join("in")).unwrap(), b"side");
    let none = renameat_with(CWD, &file, CWD, world.path("none"), RenameFlags::EXCHANGE);
    assert_eq!(none, Err(Errno::NOENT));
}

#[test]
fn rename_refuses_to_make_a_loop_or_to_bury_files() {
    let world = World::new();
    fs::create_dir_all(world.path("a/b")).unwrap();
    fs::create_dir_all(world.path("full/x")).unwrap();
    let into_itself = fs::rename(world.path("a"), world.path("a/b/c")).unwrap_err();
    assert_eq!(into_itself.raw_os_error(), Some(libc::EINVAL));
    let over_full = fs::rename(world.path("a"), world.path("full")).unwrap_err();
    assert_eq!(over_full.kind(), ErrorKind::DirectoryNotEmpty);
    fs::write(world.path("file"), "").unwrap();
    let dir_over_file = fs::rename(world.path("a"), world.path("file")).unwrap_err();
    assert_eq!(dir_over_file.kind(), ErrorKind::NotADirectory);
    let file_over_dir = fs::rename(world.path("file"), world.path("full")).unwrap_err();
    assert_eq!(file_over_dir.kind(), ErrorKind::IsADirectory);
}

/// On a mount whose user is one, the kernel asks the engine and nobody else, and keeps names that it was told.
#[test]
fn what_lies_below_a_closed_directory_is_closed_at_once() {
    // An agent is no superuser, whoever runs this test.
    let world = World::with(&["--agent", "tester"]);
    let closed = |word: &str| {
        let refused = fs::metadata(world.path("d/e/f")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{word}");
        let refused = fs::read(world.path("d/e/f")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{word}");
    };
    sh(&world.workspace(), "mkdir -p d/e; echo text > d/e/f");
    for (mode, again) in [("000", "700"), ("600", "700"), ("677", "711")] {
        assert_eq!(fs::read(world.path("d/e/f")).unwrap(), b"text\n");
        sh(&world.workspace(), &format!("chmod {mode} d"));
        closed(mode);
        sh(&world.workspace(), &format!("chmod {again} d"));
        world.nexus(&["ls", "/workspace/d/e"]).must();
    }
    sh(
        &world.workspace(),
        "cd d/e && chmod 0 . && ! cat f && chmod 700 .",
    );
    assert_eq!(fs::read(world.path("d/e/f")).unwrap(), b"text\n");
}

#[test]
fn a_name_is_any_255_bytes() {
    let world = World::new();
    let bytes: Vec<u8> = (1..=255_u8).filter(|b| *b != b'/').chain([b'x']).collect();
    let name = OsStr::from_bytes(&bytes);
    assert_eq!(name.len(), 255);
    fs::write(world.path(name), "odd").unwrap();
    let listed = fs::read_dir(world.workspace()).unwrap().next().unwrap();
    assert_eq!(listed.unwrap().file_name(), name);
    assert_eq!(fs::read(world.path(name)).unwrap(), b"odd");
    let longer = world.path("y".repeat(256));
    assert_eq!(
        fs::write(longer, "").unwrap_err().raw_os_error(),
        Some(libc::ENAMETOOLONG)
    );
    world.restart();
    world.is_sound();
}

#[test]
fn links_count_and_share() {
    let world = World::new();
    let (a, b) = (world.path("a"), world.path("b"));
    fs::write(&a, "1").unwrap();
    fs::hard_link(&a, &b).unwrap();
    fs::write(&b, "22").unwrap();
    assert_eq!(fs::read(&a).unwrap(), b"22");
    let (of_a, of_b) = (fs::metadata(&a).unwrap(), fs::metadata(&b).unwrap());
    assert_eq!((of_a.nlink(), of_a.ino()), (2, of_b.ino()));
    fs::remove_file(&a).unwrap();
    assert_eq!(fs::metadata(&b).unwrap().nlink(), 1);
    fs::create_dir_all(world.path("d/e")).unwrap();
    assert_eq!(fs::metadata(world.path("d")).unwrap().nlink(), 3);
    let of_dir = fs::hard_link(world.path("d"), world.path("d2")).unwrap_err();
    assert_eq!(of_dir.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn a_symlink_holds_any_text_and_loops_end() {
    let world = World::new();
    let target = "t/".repeat(2047);
    symlink(&target, world.path("long")).unwrap();
    assert_eq!(
        fs::read_link(world.path("long")).unwrap().as_os_str(),
        OsStr::new(&target)
    );
    symlink("loop", world.path("loop")).unwrap();
    let looped = fs::read(world.path("loop")).unwrap_err();
    assert_eq!(looped.raw_os_error(), Some(libc::ELOOP));
    symlink("gone", world.path("dangling")).unwrap();
    assert!(fs::symlink_metadata(world.path("dangling")).is_ok());
    assert_eq!(
        fs::metadata(world.path("dangling")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn removing_takes_what_it_is_meant_for() {
    let world = World::new();
    fs::create_dir_all(world.path("d/e")).unwrap();
    fs::write(world.path("f"), "").unwrap();
    let errno = |e: std::io::Error| e.raw_os_error().unwrap();
    assert_eq!(
        errno(fs::remove_dir(world.path("d")).unwrap_err()),
        libc::ENOTEMPTY
    );
    assert_eq!(
        errno(fs::remove_dir(world.path("f")).unwrap_err()),
        libc::ENOTDIR
    );
    assert_eq!(
        errno(fs::remove_file(world.path("d")).unwrap_err()),
        libc::EISDIR
    );
    assert_eq!(
        errno(fs::remove_file(world.path("none")).unwrap_err()),
        libc::ENOENT
    );
    assert_eq!(
        errno(fs::remove_file(world.path("f/x")).unwrap_err()),
        libc::ENOTDIR
    );
}
