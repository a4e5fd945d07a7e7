//! Bytes: appends, holes, copies, mappings, open files without a name.

use crate::shell::{python, sh};
use crate::world::World;
use rustix::fs::{FallocateFlags, SeekFrom, copy_file_range, fallocate, seek};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

const MIB: usize = 1 << 20;

#[test]
fn appends_of_several_processes_never_overwrite_each_other() {
    let world = World::new();
    python(
        &world.workspace(),
        r#"
import os
children = []
for who in range(4):
    pid = os.fork()
    if pid == 0:
        f = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for n in range(250):
            os.write(f, b"%d %03d\n" % (who, n))
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"#,
    );
    let text = fs::read_to_string(world.path("log")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1000);
    for who in 0..4 {
        let own = lines.iter().filter(|l| l.starts_with(&format!("{who} ")));
        assert!(own.is_sorted(), "the lines of one writer stay in order");
    }
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 1000);
}

#[test]
fn an_unlinked_open_file_lives_until_it_is_closed() {
    let world = World::new();
    let path = world.path("temp");
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .clone();
    let mut file = options.open(&path).unwrap();
    file.write_all(b"before").unwrap();
    fs::remove_file(&path).unwrap();
    file.write_all(b" after").unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    fs::write(&path, "another").unwrap();
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "before after");
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"another");
    world.is_sound();
}

#[test]
fn a_replaced_file_stays_readable_for_those_who_have_it_open() {
    let world = World::new();
    fs::write(world.path("a"), "old").unwrap();
    let old = File::open(world.path("a")).unwrap();
    fs::write(world.path("b"), "new").unwrap();
    fs::rename(world.path("b"), world.path("a")).unwrap();
    let mut bytes = [0; 3];
    old.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
    assert_eq!(fs::read(world.path("a")).unwrap(), b"new");
}

#[test]
fn holes_take_no_blocks() {
    let world = World::new();
    let blocks = |name: &str| fs::metadata(world.path(name)).unwrap().blocks();
    for (name, size) in [("small", 8192), ("large", 1 << 30)] {
        let file = File::create(world.path(name)).unwrap();
        file.set_len(size).unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), 0);
        drop(file);
        assert_eq!(blocks(name), 0);
    }
    // In a process of its own: tests beside start others, which inherit this one's descriptors, and close(2) of one makes a
    // version in the midst.
    python(
        &world.workspace(),
        r"
import os
MIB = 1 << 20
island = b'\7' * MIB
fd = os.open('large', os.O_WRONLY)
blocks = lambda: os.fstat(fd).st_blocks
for at in (0, 512, 700):
    assert os.pwrite(fd, island, at * MIB) == MIB
assert blocks() == 3 * 2048, blocks()
assert os.pwrite(fd, island, 0) == MIB
os.fsync(fd)
assert blocks() == 3 * 2048, blocks()
# Nobody knows what is below until the file is closed; then nothing wrong may be remembered.
assert os.pwrite(fd, island, 512 * MIB) == MIB
assert blocks() >= 3 * 2048, blocks()
os.close(fd)
",
    );
    assert_eq!(blocks("large"), 3 * 2048);
    let copies =
        "cp --sparse=auto large copy; cp --sparse=always large dug; cmp large copy; cmp large dug";
    sh(&world.workspace(), copies);
    assert_eq!((blocks("copy"), blocks("dug")), (3 * 2048, 3 * 2048));
    let shown = sh(&world.workspace(), "du --block-size=1M large");
    assert!(shown.starts_with("3\t"), "{shown}");
}

#[test]
fn holes_read_as_zeros_and_can_be_found() {
    let world = World::new();
    let path = world.path("sparse");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path);
    let file = file.unwrap();
    file.write_all_at(b"head", 0).unwrap();
    file.write_all_at(b"tail", 64 * MIB as u64).unwrap();
    let size = 64 * MIB as u64 + 4;
    for _ in 0..2 {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        assert_eq!(file.metadata().unwrap().len(), size);
        let hole = seek(&file, SeekFrom::Hole(0)).unwrap();
        assert!((4..=4 * MIB as u64).contains(&hole), "{hole}");
        let data = seek(&file, SeekFrom::Data(hole)).unwrap();
        assert!(
            (60 * MIB as u64..=64 * MIB as u64).contains(&data),
            "{data}"
        );
        assert_eq!(
            seek(&file, SeekFrom::Hole(data)).unwrap(),
            size,
            "the end is a hole"
        );
        let past = seek(&file, SeekFrom::Data(size)).unwrap_err();
        assert_eq!(past, rustix::io::Errno::NXIO);
        let mut middle = vec![1; MIB];
        file.read_exact_at(&mut middle, 32 * MIB as u64).unwrap();
        assert!(middle.iter().all(|b| *b == 0));
        world.kill();
        drop(file);
        world.restart();
    }
}

#[test]
fn a_punched_hole_is_zeros_and_the_size_stays() {
    let world = World::new();
    let path = world.path("punched");
    fs::write(&path, vec![7; 3 * MIB]).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&file, punch, MIB as u64, MIB as u64).unwrap();
    drop(file);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 3 * MIB);
    assert!(bytes[..MIB].iter().all(|b| *b == 7));
    assert!(bytes[MIB..2 * MIB].iter().all(|b| *b == 0));
    assert!(bytes[2 * MIB..].iter().all(|b| *b == 7));
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, 4 * MIB as u64).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4 * MIB as u64);
}

#[test]
fn copy_file_range_copies_bytes_between_files() {
    let world = World::new();
    let bytes: Vec<u8> = (0..5 * MIB)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    fs::write(world.path("from"), &bytes).unwrap();
    let from = File::open(world.path("from")).unwrap();
    let to = File::create(world.path("to")).unwrap();
    let (mut at, mut out) = (100_u64, 0_u64);
    while at < bytes.len() as u64 {
        let left = bytes.len() - usize::try_from(at).unwrap();
        let n = copy_file_range(&from, Some(&mut at), &to, Some(&mut out), left).unwrap();
        assert!(n > 0);
    }
    drop(to);
    assert!(fs::read(world.path("to")).unwrap() == bytes[100..]);
}

#[test]
fn copy_file_range_keeps_a_hole_of_a_tib() {
    let world = World::new();
    let size = 1 << 40;
    let made = |name| {
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true);
        open.open(world.path(name)).unwrap()
    };
    let (from, to) = (made("from"), made("to"));
    from.write_at(b"head", 0).unwrap();
    from.write_at(b"tail", size - 4).unwrap();
    let (mut at, mut out) = (0, 0);
    while at < size {
        let left = usize::try_from(size - at).unwrap();
        assert!(copy_file_range(&from, Some(&mut at), &to, Some(&mut out), left).unwrap() > 0);
    }
    drop((from, to));
    let copy = File::open(world.path("to")).unwrap();
    let stat = copy.metadata().unwrap();
    assert_eq!(stat.len(), size);
    assert!(stat.blocks() * 512 < 4 * MIB as u64, "{}", stat.blocks());
    let mut end = [1; 5];
    copy.read_exact_at(&mut end, size - 5).unwrap();
    assert_eq!(&end, b"\0tail");
}

#[test]
fn a_shared_mapping_writes_the_file() {
    let world = World::new();
    python(
        &world.workspace(),
        r#"
import mmap, os
f = os.open("map", os.O_RDWR | os.O_CREAT, 0o644)
os.ftruncate(f, 1 << 20)
m = mmap.mmap(f, 1 << 20)
m[0:5] = b"start"
m[(1 << 20) - 3:] = b"end"
m.flush()
assert os.pread(f, 5, 0) == b"start"
m[5:9] = b"more"
m.close()
os.close(f)
"#,
    );
    let bytes = fs::read(world.path("map")).unwrap();
    assert_eq!(
        (&bytes[..9], &bytes[MIB - 3..]),
        (&b"startmore"[..], &b"end"[..])
    );
    world.kill();
    world.restart();
    assert!(fs::read(world.path("map")).unwrap() == bytes);
}

#[test]
fn truncation_cuts_and_extends() {
    let world = World::new();
    let path = world.path("t");
    fs::write(&path, vec![9; 200_000]).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1000).unwrap();
    file.set_len(3000).unwrap();
    drop(file);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() == 3000 && bytes[..1000].iter().all(|b| *b == 9));
    assert!(bytes[1000..].iter().all(|b| *b == 0));
    nix::unistd::truncate(&path, 10).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [9; 10]);
    let absurd = OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(u64::MAX >> 1);
    if let Err(e) = absurd {
        assert_eq!(e.raw_os_error(), Some(libc::EFBIG), "{e}");
    }
}

#[test]
fn direct_and_synchronous_writes_work() {
    let world = World::new();
    python(
        &world.workspace(),
        r#"
import mmap, os
buffer = mmap.mmap(-1, 8192)
buffer.write(b"d" * 8192)
f = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
assert os.writev(f, [buffer]) == 8192
os.lseek(f, 0, 0)
assert os.readv(f, [buffer]) == 8192
os.close(f)
f = os.open("sync", os.O_WRONLY | os.O_CREAT | os.O_SYNC, 0o644)
os.write(f, b"s")
os.close(f)
"#,
    );
    assert_eq!(fs::read(world.path("direct")).unwrap(), vec![b'd'; 8192]);
    assert_eq!(fs::read(world.path("sync")).unwrap(), b"s");
}

#[test]
fn exclusive_creation_has_one_winner() {
    let world = World::new();
    let dir = world.workspace();
    let winners: usize = std::thread::scope(|scope| {
        let race = |n: usize| {
            let dir = &dir;
            scope.spawn(move || {
                let one = |k| File::create_new(dir.join(format!("lock-{k}"))).is_ok();
                let won = (0..50).filter(|k| one(*k)).count();
                println!("racer {n} won {won}");
                won
            })
        };
        let racers: Vec<_> = (0..4).map(race).collect();
        racers.into_iter().map(|r| r.join().unwrap()).sum()
    });
    assert_eq!(winners, 50);
}
